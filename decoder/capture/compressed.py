"""Decompresses captures as they are read: gzip (of several members too) and zstd.

zstd needs Python 3.14 (`compression.zstd`) or the package `backports.zstd`, the extra ``scapy-opend[zstd]``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

from decoder.errors import CaptureError

__all__ = ["Damaged", "Decompressor", "decompressor"]

Read = Callable[[int], bytes]
"""Reads at most so many bytes, b"" at the end of the input."""

_MAX_RATIO = 250
"""Bytes that a byte of compressed data may become, on average: a capture becomes 3 to 50, zeros more than 1,000.  A
small file must not keep the decoder busy for hours."""
_RATIO_FROM = 8 * 1024 * 1024
"""Decompressed bytes from which on the ratio is looked at: a short capture may well be all alike."""


class Damaged(Exception):
    """Raised where the input cannot be what it should be; the text says why."""


class Decompressor(Protocol):
    """Reads decompressed bytes."""

    cut: str | None
    """Why the input ended too early, else None."""

    def read(self, count: int) -> bytes:
        """Returns about `count` bytes, b"" at the end.  Raises Damaged."""


def decompressor(start: bytes, read: Read, name: str) -> Decompressor | None:
    """Returns a decompressor for an input that begins with `start` and goes on with `read`; None if none is needed.

    `name` is that of the file, for messages.  Raises CaptureError for zstd where nothing is installed that reads it.
    """
    if start.startswith(_Gzip.magic):
        return _Gzip(start, read, name)
    if start.startswith(_Zstd.magic):
        return _Zstd(start, read, name)
    return None


class _Stream:
    """Counts bytes, and stops at input that becomes far more than a capture does."""

    magic: bytes
    command: str

    def __init__(self, start: bytes, read: Read, name: str) -> None:
        self.cut: str | None = None
        self._name = name
        self._read = read
        self._waiting = start  # compressed bytes that were read and not used yet
        self._taken = len(start)
        self._made = 0

    def read(self, count: int) -> bytes:
        plain = self._next(count)
        self._made += len(plain)
        if self._made > max(_RATIO_FROM, _MAX_RATIO * self._taken):
            raise Damaged(
                f"{self._taken:,} compressed bytes became {self._made:,}, more than any capture does; "
                f"if it is one, unpack it first ({self.command} FILE | opendump decode -)"
            )
        return plain

    def _next(self, count: int) -> bytes:
        raise NotImplementedError

    def _input(self, count: int) -> bytes:
        """Returns compressed bytes: those that wait, else new ones."""
        if self._waiting:
            data, self._waiting = self._waiting, b""
            return data
        data = self._read(count)
        self._taken += len(data)
        return data

    def _begins_again(self, left: bytes, count: int) -> bool:
        """Returns True if another compressed part follows `left`, or the zeros with which some tools pad."""
        left = left.lstrip(b"\0")
        while len(left) < len(self.magic) and (more := self._read(count)):
            self._taken += len(more)
            left = (left + more).lstrip(b"\0")
        if not left:
            return False
        if not left.startswith(self.magic):
            kind = type(self).__name__[1:].lower()
            raise Damaged(f"what follows the compressed data is not {kind}")
        self._waiting = left
        return True


class _Gzip(_Stream):
    """Reads gzip."""

    magic = b"\x1f\x8b"
    command = "gzip -dc"

    def __init__(self, start: bytes, read: Read, name: str) -> None:
        super().__init__(start, read, name)
        self._inflater = zlib.decompressobj(wbits=31)

    def _next(self, count: int) -> bytes:
        while True:
            if self._inflater.eof:
                if not self._begins_again(self._inflater.unused_data, count):
                    return b""
                self._inflater = zlib.decompressobj(wbits=31)
            data = self._input(count)
            if not data:
                self.cut = "the compressed data ends too early"
                return self._inflater.flush()
            before = self._inflater.copy()
            try:
                plain = self._inflater.decompress(data, count)
                self._waiting = self._inflater.unconsumed_tail
            except zlib.error as error:
                self._inflater = before
                plain = self._salvage(data, count)
                if not plain:
                    raise Damaged(f"the compressed data is damaged ({error})") from None
            if plain:
                return plain

    def _salvage(self, data: bytes, count: int) -> bytes:
        """Returns about `count` bytes from before the damage in `data`: zlib returns none of a call that fails."""
        pieces = []
        at = salvaged = 0
        while at < len(data) and salvaged < count:
            try:
                pieces.append(self._inflater.decompress(data[at : at + 1]))
            except zlib.error:
                break
            salvaged += len(pieces[-1])
            at += 1
        self._waiting = data[at:]
        return b"".join(pieces)


class _Zstd(_Stream):
    """Reads zstd."""

    magic = b"\x28\xb5\x2f\xfd"
    command = "zstd -dc"

    def __init__(self, start: bytes, read: Read, name: str) -> None:
        super().__init__(start, read, name)
        self._library = _zstd_library(name)
        self._frame: Any = self._library.ZstdDecompressor()

    def _next(self, count: int) -> bytes:
        while True:
            if self._frame.eof:
                if not self._begins_again(self._frame.unused_data, count):
                    return b""
                self._frame = self._library.ZstdDecompressor()
            data = self._input(count) if self._frame.needs_input else b""
            if not data and self._frame.needs_input:
                self.cut = "the compressed data ends too early"
                return b""
            try:
                plain: bytes = self._frame.decompress(data, count)
            except self._library.ZstdError as error:
                raise Damaged(f"the compressed data is damaged ({error})") from None
            if plain:
                return plain


def _zstd_library(name: str) -> Any:
    for library in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(library)
        except ImportError:
            continue
    raise CaptureError(
        f"{name}: is compressed with zstd: pip install 'scapy-opend[zstd]', or zstd -dc FILE | opendump decode -"
    )
