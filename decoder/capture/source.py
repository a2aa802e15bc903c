"""Bytes of a capture, from wherever it comes: a file, a pipe, standard input, gzip of any of them.

A :class:`ByteSource` is a window over the bytes: walkers read whole records straight from
:attr:`ByteSource.buffer` and ask for more only when a record does not fit.  Nothing waits for a
full chunk: what a pipe holds now is what a walker gets now, so a growing capture decodes as it grows.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import time
import zlib
from collections.abc import Callable
from typing import BinaryIO

from decoder.errors import CaptureError

__all__ = ["CHUNK", "ByteSource", "CutShort", "Damaged", "display_name"]

#: Bytes asked for at once: large enough to amortise the calls, small enough that a chunk and all that is made of it
#: stay in a processor's cache (256 KiB: 20 % more time for the whole pipeline).
CHUNK = 64 * 1024

#: A pause before asking a non-blocking descriptor again, in seconds.
_RETRY = 0.05

_GZIP_MAGIC = b"\x1f\x8b"

Source = str | os.PathLike[str] | BinaryIO


class CutShort(Exception):
    """The input ends inside a record; the text says by how much."""


class Damaged(Exception):
    """What stands here cannot be a record; the text says why."""


def display_name(source: Source) -> str:
    """What to call a source in a message, safe to print on a terminal."""
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        if name == "-":
            return "standard input"
    else:
        name = str(getattr(source, "name", "") or "capture")
    return name if name.isprintable() else ascii(name)


class ByteSource:
    """A window over the bytes of a capture; gzip (also of several members) is seen through.

    :ivar buffer: the bytes at hand; those before :attr:`start` are used up
    :ivar start: where the next record begins in :attr:`buffer`
    :ivar position: bytes taken from the file so far, compressed ones when it is compressed
    :ivar size: bytes of the file, None when unknown (a pipe)
    :ivar cut: why the input ended too early (gzip only), else None
    :raises CaptureError: when the file cannot be opened or read
    """

    def __init__(self, source: Source, chunk: int = CHUNK) -> None:
        self.name = display_name(source)
        self.buffer = b""
        self.start = 0
        self.position = 0
        self.cut: str | None = None
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
        else:
            stream = source
        # read1 gives what a pipe holds now; read of a buffered stream would wait for all that was asked for.
        self._raw: Callable[[int], bytes | None] = getattr(stream, "read1", stream.read)
        self.size = _size(stream)
        self._read = self._read_plain
        if self.fill(2) and self.buffer.startswith(_GZIP_MAGIC):
            self._compressed = self.buffer
            self._inflater = zlib.decompressobj(wbits=31)
            self.buffer = b""
            self._read = self._read_gzip

    @property
    def offset(self) -> int:
        """How many (uncompressed) bytes stand before :attr:`start`."""
        return self._passed + self.start

    def fill(self, need: int) -> bool:
        """Have at least ``need`` bytes from :attr:`start` on; False when the input ends before that.

        Pieces are joined once, however small they come; no more than a chunk is ever asked for, whatever ``need``
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
        self.buffer = b""  # not to be held twice
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
        """Pass over ``count`` bytes without holding them; False when the input ends before that."""
        while (at_hand := len(self.buffer) - self.start) < count:
            self.start = len(self.buffer)
            count -= at_hand
            if not self.fill(1):
                return False
        self.start += count
        return True

    def close(self) -> None:
        """Close the file, if it was opened here, and let go of what was read."""
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

    def _read_gzip(self, count: int) -> bytes:
        """The next bytes of the uncompressed data; empty at its end, :attr:`cut` set when that came too early."""
        while True:
            if self._inflater.eof:
                # Another member may follow, or the zeros with which some tools pad.
                left = self._inflater.unused_data.lstrip(b"\0")
                while len(left) < 2 and (more := self._read_plain(count)):
                    left = (left + more).lstrip(b"\0")
                if not left:
                    return b""
                if not left.startswith(_GZIP_MAGIC):
                    raise Damaged("what follows the compressed data is not gzip")
                self._inflater = zlib.decompressobj(wbits=31)
                self._compressed = left
            data = self._compressed or self._read_plain(count)
            if not data:
                self.cut = "the compressed data ends too early"
                return self._inflater.flush()
            before = self._inflater.copy()
            try:
                plain = self._inflater.decompress(data, count)
                self._compressed = self._inflater.unconsumed_tail
            except zlib.error as error:
                self._inflater = before
                plain = self._salvage(data, count)
                if not plain:
                    raise Damaged(f"the compressed data is damaged ({error})") from None
            if plain:
                return plain

    def _salvage(self, data: bytes, count: int) -> bytes:
        """About `count` bytes of what stands before the damage in `data`: zlib gives none of what it read with it."""
        pieces = []
        at = salvaged = 0
        while at < len(data) and salvaged < count:
            try:
                pieces.append(self._inflater.decompress(data[at : at + 1]))
            except zlib.error:
                break
            salvaged += len(pieces[-1])
            at += 1
        self._compressed = data[at:]
        return b"".join(pieces)


def _size(stream: object) -> int | None:
    """Size of a regular file in bytes, None for anything else."""
    try:
        status = os.fstat(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
