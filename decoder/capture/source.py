"""Reads the bytes of a capture from a file, a pipe or standard input, compressed or not.

A :class:`ByteSource` is a window over the bytes: parsers read whole records straight from :attr:`ByteSource.buffer` and
ask for more only when a record does not fit.  Nothing waits for a full chunk: a parser gets the bytes that a pipe holds
now, so a growing capture is decoded as it grows.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import time
from collections.abc import Callable
from typing import BinaryIO

from decoder.capture.compressed import Damaged, Decompressor, decompressor
from decoder.errors import CaptureError

__all__ = ["CHUNK", "ByteSource", "CutShort", "Damaged", "display_name"]

CHUNK = 64 * 1024
"""Bytes read at once: large enough to amortise the calls, small enough that a chunk and the objects made of it stay in
a processor's cache (256 KiB: 20 % more time for the whole pipeline)."""

_RETRY = 0.05
"""Seconds before a non-blocking descriptor that had no data is asked again."""
_MAGIC = 4
"""Bytes that tell how an input is compressed."""

Source = str | os.PathLike[str] | BinaryIO


class CutShort(Exception):
    """Raised where the input ends inside a record; the text says how much of it is there."""


def display_name(source: Source) -> str:
    """Returns the name of a source for messages, safe to print on a terminal."""
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        if name == "-":
            return "standard input"
    else:
        name = str(getattr(source, "name", "") or "capture")
    return name if name.isprintable() else ascii(name)


class ByteSource:
    """Gives a window over the bytes of a capture, decompressed if it is compressed.

    :ivar buffer: the bytes at hand; those before :attr:`start` are used up
    :ivar start: where the next record begins in :attr:`buffer`
    :ivar position: bytes taken from the file so far, compressed ones when it is compressed
    :ivar size: bytes of the file, None when unknown (a pipe)
    :raises CaptureError: when the file cannot be opened or read, or is compressed in a way that is not read here
    """

    def __init__(self, source: Source, chunk: int = CHUNK) -> None:
        self.name = display_name(source)
        self.buffer = b""
        self.start = 0
        self.position = 0
        self._passed = 0
        self._chunk = chunk
        self._owned: io.FileIO | None = None
        if isinstance(source, (str, os.PathLike)):
            if os.fspath(source) == "-":
                # Windows too: Python opens the descriptor behind sys.stdin.buffer in binary mode.
                stream: BinaryIO = sys.stdin.buffer
            else:
                try:
                    self._owned = io.FileIO(os.fspath(source))
                except OSError as error:
                    raise CaptureError(f"{self.name}: cannot be opened: {error.strerror or error}") from error
                stream = self._owned
        elif hasattr(source, "read"):
            stream = source
        else:
            raise TypeError(
                f"a capture is a path or a file that is open in binary mode, not {type(source).__name__}; several "
                "captures are arguments of their own: read(*paths)"
            )
        # read1 gives what a pipe holds now; read of a buffered stream would wait for all that was asked for.
        self._raw: Callable[[int], bytes | None] = getattr(stream, "read1", stream.read)
        self.size = _size(stream)
        self._read: Callable[[int], bytes] = self._read_plain
        self._decompressor: Decompressor | None = None
        if self.fill(2):  # shorter than a pcap header: a pipe may hold no more yet
            self.fill(_MAGIC)
            self._decompressor = decompressor(self.buffer, self._read_plain, self.name)
        if self._decompressor is not None:
            self.buffer = b""
            self._read = self._decompressor.read

    @property
    def cut(self) -> str | None:
        """Why the compressed data ended too early, else None."""
        return None if self._decompressor is None else self._decompressor.cut

    @property
    def offset(self) -> int:
        """Number of (decompressed) bytes before :attr:`start`."""
        return self._passed + self.start

    def fill(self, need: int) -> bool:
        """Reads until at least ``need`` bytes stand at :attr:`start`; returns False when the input ends before that.

        Pieces are joined once, however small they come; no more than a chunk is read at once, whatever ``need``
        claims.

        :raises CaptureError: when reading fails
        :raises Damaged: when compressed data is damaged
        """
        at_hand = len(self.buffer) - self.start
        if at_hand >= need:
            return True
        pieces = [self.buffer[self.start :]]
        self._passed += self.start
        self.start = 0
        self.buffer = b""  # so that the bytes are not in memory twice
        try:
            while at_hand < need:
                piece = self._read(self._chunk)
                if not piece:
                    return False
                pieces.append(piece)
                at_hand += len(piece)
        finally:
            self.buffer = b"".join(pieces)
        return True

    def skip(self, count: int) -> bool:
        """Skips ``count`` bytes without holding them; returns False when the input ends before that."""
        while (at_hand := len(self.buffer) - self.start) < count:
            self.start = len(self.buffer)
            count -= at_hand
            if not self.fill(1):
                return False
        self.start += count
        return True

    def close(self) -> None:
        """Closes the file, if it was opened here, and frees the buffer."""
        self.buffer = b""
        self.start = 0
        if self._owned is not None:
            self._owned.close()

    def _read_plain(self, count: int) -> bytes:
        while True:
            try:
                data = self._raw(count)
            except (OSError, ValueError) as error:
                raise CaptureError(f"{self.name}: cannot be read: {getattr(error, 'strerror', '') or error}") from error
            if isinstance(data, str):
                raise CaptureError(f"{self.name}: is open in text mode: open it in binary mode")
            if data is not None:
                self.position += len(data)
                return data
            time.sleep(_RETRY)


def _size(stream: object) -> int | None:
    """Returns the size of a regular file in bytes, None for anything else."""
    try:
        status = os.fstat(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
