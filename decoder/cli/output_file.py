"""Where a command's data goes: standard output or the file given with ``-o``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import BinaryIO

import click

from decoder.errors import OpenDError

__all__ = ["OutputFile"]


class OutputFile:
    """Bytes to standard output, or to the file at `path`, which is created when the first of them come.

    So a run that fails before leaves no empty file, and no half of an old one.  Writing bytes keeps Windows from
    turning line ends.

    :param captures: the inputs, none of which may be written over
    :param live: pass on every write at once; a terminal always gets it at once
    :raises click.UsageError: when `path` is one of `captures`
    """

    def __init__(self, path: str | None, captures: Sequence[str], *, live: bool) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        if path is not None and any(_same_file(path, capture) for capture in captures):
            raise click.UsageError(f"-o {path} is the capture itself: give another file")
        self.terminal = path is None and sys.stdout is not None and sys.stdout.isatty()
        """Whether a person reads along."""
        self.encoding = "utf-8" if path is not None else _encoding()
        self._at_once = live or self.terminal
        if self.terminal and os.name == "nt":
            os.system("")  # an old console obeys colour sequences only after a command was run in it

    def write(self, data: bytes) -> None:
        """Write `data`.  Raises OSError when the pipe was closed, OpenDError when the file cannot be written."""
        if self._path is None:
            self._write(sys.stdout.buffer, data)
            return
        try:
            if self._file is None:
                self._file = open(self._path, "wb")  # noqa: SIM115 (closed by __exit__)
            self._write(self._file, data)
        except OSError as error:
            raise OpenDError(f"{self._path}: cannot be written: {error.strerror}") from None

    def _write(self, file: BinaryIO, data: bytes) -> None:
        rest = memoryview(data)
        while rest:  # a signal that is handled while a pipe is full makes even a buffered write end early
            rest = rest[file.write(rest) :]
        if self._at_once:
            file.flush()

    def encode(self, text: str | bytes) -> bytes:
        """`text` as bytes; characters that the encoding lacks are escaped."""
        return text if isinstance(text, bytes) else text.encode(self.encoding, "backslashreplace")

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.write(b"")  # an empty result is a result
        if self._file is not None:
            self._file.close()
        elif self._path is None and kind is None:
            sys.stdout.buffer.flush()


def _encoding() -> str:
    return (sys.stdout is not None and sys.stdout.encoding) or "utf-8"


def _same_file(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False
