"""Writes what a command produces: to standard output, or to the file given with ``-o``.

One rule for every command:

* ``-`` (or no ``-o``) is standard output; devices and pipes are written as they are.
* Any other file is written under a temporary name beside it and renamed when it is complete.  Until then, and when
  the command fails, an older file stays as it was.  A symbolic link is not followed: the new file takes its place.
* Key logs, and whatever is written with ``--show-secrets``, are private: only their owner can read them (mode 0600),
  and an existing file is refused unless ``--force`` is given.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

import click

from decoder.cli.options import use_color
from decoder.errors import OpenDError
from decoder.formatting.escape import escape

if TYPE_CHECKING:
    from decoder.cli.options import Color
    from decoder.formatting.table import Table

__all__ = ["OutputFile", "abandon_stdout", "is_closed_pipe", "same_file"]

_STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


class OutputFile:
    """Writes bytes to standard output or to the file at `path`, by the rule of this module.  Use it with ``with``.

    Bytes, because text would get other line ends on Windows.

    :param path: where to write; None or ``-`` for standard output
    :param inputs: the files that the command reads, none of which may be written over
    :param live: pass on every write at once; a terminal always gets it at once
    :param private: the data holds secrets
    :param force: an existing file may be replaced by private data
    :raises click.UsageError: when `path` is one of `inputs`
    :raises OpenDError: when the file exists and `private` data may not replace it
    """

    def __init__(
        self,
        path: str | None,
        inputs: Iterable[str] = (),
        *,
        live: bool = False,
        private: bool = False,
        force: bool = False,
    ) -> None:
        self._path = None if path in _STDOUT else path
        self._file: BinaryIO | None = None
        self._temporary: str | None = None
        self._private = private
        self._replace = force or not private
        if self._path is not None:
            if not self._path:
                raise click.UsageError("-o is empty: give the name of a file, or - for standard output")
            if any(same_file(self._path, other) for other in inputs):
                raise click.UsageError(f"-o {escape(self._path)} is one of the inputs: give another file")
            self._check_replacement()
        self.terminal = self._path is None and sys.stdout is not None and sys.stdout.isatty()
        """True if the output goes to a terminal."""
        self.encoding = "utf-8" if self._path is not None else _stdout_encoding()
        self._at_once = live or self.terminal
        if self.terminal and os.name == "nt":
            os.system("")  # an old console obeys colour sequences only after a command was run in it

    @property
    def name(self) -> str:
        """Name of the output for messages."""
        return "standard output" if self._path is None else escape(self._path)

    @property
    def temporary(self) -> str | None:
        """Path of what is written until it is complete; None of a device, a pipe or standard output."""
        return self._temporary

    def __enter__(self) -> OutputFile:
        try:
            self._file = self._open()
        except OSError as error:
            raise self._failure(error) from None
        if self._file is None:
            raise OpenDError("standard output is closed: give a file with -o")
        return self

    def write(self, data: bytes) -> None:
        """Writes `data`.  Raises BrokenPipeError when the reader of a pipe is gone, OpenDError on any other failure."""
        assert self._file is not None  # opened by __enter__
        try:
            rest = memoryview(data)
            while rest:  # a signal that is handled while a pipe is full makes even a buffered write end early
                rest = rest[self._file.write(rest) :]
            if self._at_once:
                self._file.flush()
        except OSError as error:
            raise self._failure(error) from None

    def flush(self) -> None:
        """Passes on what is buffered, so that lines on stderr come after it.  Raises as `write`."""
        assert self._file is not None  # opened by __enter__
        try:
            self._file.flush()
        except OSError as error:
            raise self._failure(error) from None

    def colored(self, color: Color) -> bool:
        """Returns True if what is written is to be coloured."""
        return use_color(color, terminal=self.terminal, file=self._path is not None)

    def write_tables(self, tables: Iterable[Table], color: Color, indent: str = "  ") -> None:
        """Writes tables for people: as wide as the terminal if it is one, else aligned with blanks."""
        from decoder.formatting.table import plain_text

        colored = self.colored(color)
        if self.terminal or colored:
            from shutil import get_terminal_size  # takes 2 ms to import

            from decoder.formatting.rich_table import terminal_text

            text = terminal_text(tables, get_terminal_size().columns, color=colored)
        else:
            text = plain_text(tables, indent)
        self.write(self.encode(text))

    def encode(self, text: str | bytes) -> bytes:
        """Returns `text` as bytes; characters that the encoding of the output lacks are escaped."""
        return text if isinstance(text, bytes) else text.encode(self.encoding, "backslashreplace")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            raise self._failure(failure) from None
        finally:
            self._discard()

    def _open(self) -> BinaryIO | None:
        if self._path is None:
            return None if sys.stdout is None else sys.stdout.buffer
        if _is_device(self._path):
            return open(self._path, "wb")
        # Without the path of a directory that may be long: file systems bound the length of a name.
        temporary = os.path.join(os.path.dirname(self._path), f".opendump-{os.urandom(8).hex()}.part")
        file = open(temporary, "xb", opener=self._create)  # noqa: SIM115 (closed by __exit__)
        self._temporary = temporary
        return file

    def _create(self, path: str, flags: int) -> int:
        """Creates the temporary file with the mode that the output is to have."""
        if self._private:
            return os.open(path, flags, 0o600)
        handle = os.open(path, flags, 0o666)
        if hasattr(os, "fchmod"):
            with suppress(OSError):  # there is nothing to replace, or the file system has no modes
                replaced = os.lstat(self._path or "")
                if stat.S_ISREG(replaced.st_mode):
                    os.fchmod(handle, stat.S_IMODE(replaced.st_mode))
        return handle

    def _finish(self) -> None:
        """Passes on what is buffered and gives the file its name."""
        assert self._file is not None
        self._file.flush()
        if self._temporary is not None and self._path is not None:
            self._file.close()
            self._check_replacement()
            os.replace(self._temporary, self._path)
            self._temporary = None

    def _discard(self) -> None:
        """Closes the file, and removes it if it is not complete."""
        if self._path is not None and self._file is not None:
            with suppress(OSError):
                self._file.close()
        if self._temporary is not None:
            with suppress(OSError):
                os.unlink(self._temporary)

    def _check_replacement(self) -> None:
        path = self._path
        if path is None or _is_device(path):
            return
        if not self._replace and os.path.lexists(path):
            raise OpenDError(f"{self.name}: exists already; give another name, or --force to replace it")

    def _failure(self, error: OSError) -> OSError | OpenDError:
        if self._path is None:
            abandon_stdout()
            if is_closed_pipe(error):
                return BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        return OpenDError(f"{self.name}: cannot be written: {error.strerror or error}")


def is_closed_pipe(error: OSError) -> bool:
    """Returns True if writing failed because the reader of the pipe is gone.  Windows calls it an invalid argument."""
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def abandon_stdout() -> None:
    """Discards what is buffered for standard output, so that Python does not fail on it again when it exits."""
    if sys.stdout is None:
        return
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _stdout_encoding() -> str:
    return (sys.stdout is not None and sys.stdout.encoding) or "utf-8"


def _is_device(path: str) -> bool:
    """Returns True for what has no content to replace: a device, a pipe, a socket; also behind a link (/dev/fd/3)."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def same_file(path: str, other: str) -> bool:
    """Returns True if both paths lead to one existing file."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False
