"""Saves captured packets as pcapng while they come, in one file or in a ring of two that take bounded space."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import BinaryIO

from decoder.capture.pcapng import RawPacket
from decoder.capture.pcapng_writer import interface_block, packet_block, section_block
from decoder.errors import CaptureError

__all__ = ["PacketLog", "older_name"]


def older_name(path: str) -> str:
    """Returns the name of the older half of a ring: ``day.pcapng`` becomes ``day.older.pcapng``."""
    root, extension = os.path.splitext(path)
    return f"{root}.older{extension}"


class PacketLog:
    """Writes packets to the file at `path`, which only its owner can read: a capture may hold secrets in clear.

    :param path: the file; an existing regular file is replaced, a symbolic link is not followed
    :param ring: bytes that all files together may take; when `path` has half of it, it becomes `older_name` (the
        one before is removed) and is begun again.  None: one file without a bound
    :raises CaptureError: when a file cannot be written
    """

    def __init__(self, path: str, ring: int | None = None) -> None:
        self.path = path
        self._ring = ring
        self._file: BinaryIO | None = None
        self._written = 0
        self._interfaces: dict[int, int] = {}

    def __enter__(self) -> PacketLog:
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, batch: Iterable[RawPacket]) -> None:
        """Writes `batch` and passes it on to the system, so that other programs can read it at once."""
        try:
            for packet in batch:
                self._write_packet(packet)
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            raise self._failure(error) from None

    def _write_packet(self, packet: RawPacket) -> None:
        time_ns, linktype, data, wire_len = packet
        # Every packet block is longer than its data by 32 bytes, 3 of padding at most, and maybe a new interface.
        if self._ring is not None and self._written + len(data) + 72 > self._ring // 2 and self._interfaces:
            self._turn()
        if linktype not in self._interfaces:
            self._interfaces[linktype] = len(self._interfaces)
            self._put(interface_block(linktype))
        self._put(packet_block(self._interfaces[linktype], time_ns, data, wire_len))

    def _put(self, data: bytes) -> None:
        assert self._file is not None  # opened by __enter__
        self._file.write(data)
        self._written += len(data)

    def _turn(self) -> None:
        """Makes the file the older half of the ring and begins it again."""
        assert self._file is not None
        self._file.close()
        os.replace(self.path, older_name(self.path))
        self._begin()

    def _begin(self) -> None:
        try:
            if os.path.lexists(self.path):
                if not stat.S_ISREG(os.lstat(self.path).st_mode):
                    raise CaptureError(f"{self.path}: is not a regular file; give another name")
                os.unlink(self.path)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            self._file = open(handle, "wb")  # noqa: SIM115 (closed by __exit__)
            self._written = 0
            self._interfaces = {}
            self._put(section_block())
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> CaptureError:
        return CaptureError(f"{self.path}: packets cannot be saved: {error.strerror or error}")
