"""Reads capture files as raw packets: pcap and pcapng, compressed or not, from a file, a stream or standard input.

The first bytes of a file tell its format, never its name.  Packets come in batches, as many as the bytes at hand hold;
a capture that is still being written is decoded as it grows.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from decoder.capture import pcap, pcapng
from decoder.capture.pcapng import MAX_PACKET, Block, Interface, RawPacket
from decoder.capture.source import CHUNK, ByteSource, CutShort, Damaged, display_name
from decoder.errors import CaptureError
from decoder.vocabulary import APPLICATION

__all__ = [
    "CaptureReader",
    "RawPacket",
    "is_rewritten",
]


_EDITCAP = "convert it first: editcap -F pcap IN OUT"
_LOOKS_LIKE = (
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"\xfd7zXZ\x00", "xz data", "unpack it first (xz -dc FILE | opendump decode -)"),
    (b"BZh", "bzip2 data", "unpack it first (bzip2 -dc FILE | opendump decode -)"),
    (b"\x04\x22\x4d\x18", "lz4 data", "unpack it first (lz4 -dc FILE | opendump decode -)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"snoop\x00\x00\x00", "a snoop capture", _EDITCAP),
    (b"GMBU", "a Network Monitor capture", _EDITCAP),
    (b"RTSS", "a Network Monitor capture", _EDITCAP),
    (b"TRSNIFF data", "a Sniffer capture", _EDITCAP),
    (b"XCP\x00", "a NetXRay capture", _EDITCAP),
    (b"\x1c\x00\x01\xab", "an IXIA capture", _EDITCAP),
    (b"\x1c\x00\x01\xac", "an IXIA capture", _EDITCAP),
    (b"\xab\x01\x00\x1c", "an IXIA capture", _EDITCAP),
    (b"\xac\x01\x00\x1c", "an IXIA capture", _EDITCAP),
    (b"\x7fver", "an OmniPeek capture", _EDITCAP),
    (b"-----BEGIN ", "a PEM file", "give a key with --rsa-key"),
    (b"SQLite format 3", "an SQLite database", "give a pcap or pcapng file"),
    (b"\x7fELF", "a program", "give a pcap or pcapng file"),
)


class CaptureReader:
    """Reads one capture.

    :param source: a path, ``-`` for standard input, or a stream open in binary mode
    :param chunk: bytes asked for at once
    :param max_packet: longest packet that is believed, in bytes; a longer one counts as damage

    :ivar name: name of the capture in messages
    :ivar interfaces: the interfaces described so far (in the current section)
    :ivar packets: number of packets read
    :ivar application: program that wrote a pcapng capture, as its first section says; empty if it does not
    :ivar warnings: faults that did not stop the reading, one line each
    """

    def __init__(
        self, source: str | os.PathLike[str] | BinaryIO, *, chunk: int = CHUNK, max_packet: int = MAX_PACKET
    ) -> None:
        self.source = source
        self.name = display_name(source)
        self.interfaces: list[Interface] = []
        self.packets = 0
        self.application = ""
        self.warnings: list[str] = []
        self._chunk = chunk
        self._max_packet = max_packet
        self._bytes: ByteSource | None = None

    @property
    def position(self) -> int:
        """Bytes of the file read so far; compressed ones when it is compressed."""
        return self._bytes.position if self._bytes else 0

    @property
    def size(self) -> int | None:
        """Bytes of the file, None when unknown: before it is read, and of a pipe."""
        return self._bytes.size if self._bytes else None

    @property
    def reopens(self) -> bool:
        """True if it can be read a second time: a regular file, given by its path."""
        if not isinstance(self.source, (str, os.PathLike)):
            return False
        try:
            return stat.S_ISREG(os.stat(self.source).st_mode)
        except OSError:
            return False

    def is_pcapng(self) -> bool:
        """Returns True if its first bytes are those of pcapng; to be called before it is read.

        :raises CaptureError: when it cannot be opened
        """
        with self._opened() as source:
            return source.fill(4) and source.buffer.startswith(pcapng.SECTION_MAGIC, source.start)

    def limit_chunk(self, chunk: int) -> None:
        """Sets the bytes read at once to at most `chunk`, but no less than 16 KiB."""
        self._chunk = max(min(self._chunk, chunk), 16 * 1024)

    def batches(self) -> Generator[list[RawPacket], None, None]:
        """Yields all packets, in batches as large as the bytes at hand allow.

        :raises CaptureError: when the file cannot be read, is no capture, or is damaged; every packet before the
            damage was yielded
        """
        with self._opened() as source:
            if not source.fill(pcap.HEADER_SIZE):
                raise CaptureError(f"{self.name}: {_description(source)}")
            if source.buffer.startswith(pcapng.SECTION_MAGIC, source.start):
                self.application = pcapng.application_of(source)
                walk = pcapng.packets(source, self.interfaces, self._max_packet)
            elif source.buffer[source.start : source.start + 4] in pcap.MAGICS:
                walk = pcap.packets(source, self.interfaces, self._max_packet)
            else:
                raise CaptureError(f"{self.name}: {_description(source)}")
            for batch in walk:
                self.packets += len(batch)
                yield batch

    def blocks(self) -> Iterator[Block]:
        """Yields all blocks of a pcapng file, byte for byte.

        :raises CaptureError: as `batches`, and when it is a capture of another kind
        """
        with self._opened() as source:
            if not source.fill(4) or not source.buffer.startswith(pcapng.SECTION_MAGIC, source.start):
                raise CaptureError(f"{self.name}: is not a pcapng capture")
            yield from pcapng.blocks(source)

    @contextmanager
    def _opened(self) -> Iterator[ByteSource]:
        """Opens the bytes, and turns faults met while they are read into warnings and a CaptureError."""
        self.interfaces.clear()
        self.packets = 0
        self.warnings.clear()
        source: ByteSource | None = None
        try:
            self._bytes = source = ByteSource(self.source, self._chunk)
            yield source
            if source.cut:
                raise CutShort
        except CutShort as cut:
            reason = source.cut if source and source.cut else cut
            self.warnings.append(
                f"{self.name}: cut short after packet {self.packets} ({reason}); everything before it is decoded"
            )
        except Damaged as damage:
            place = f" at byte {source.offset:,}" if source else ""
            raise CaptureError(
                f"{self.name}: damaged after packet {self.packets}{place}: {damage}; everything before it is decoded"
            ) from None
        finally:
            if source is not None:
                source.close()


def _description(source: ByteSource) -> str:
    """Returns what a file that is no capture looks like, and what to do about it."""
    start = source.buffer[source.start : source.start + 512]
    if not start:
        cut = source.cut
        return "is empty: give a pcap or pcapng file" if cut is None else f"is cut short before its first packet: {cut}"
    if start[:4] in pcap.MAGICS or start.startswith(pcapng.SECTION_MAGIC):
        return f"is too short for a capture ({len(start)} bytes)"
    for magic, kind, advice in _LOOKS_LIKE:
        if start.startswith(magic):
            return f"is {kind}, not a pcap or pcapng capture: {advice}"
    if source.name.lower().endswith(".etl"):
        return "is a Windows event trace, not a pcap or pcapng capture: convert it first with etl2pcapng"
    if all(byte >= 0x20 or byte in b"\t\r\n\f" for byte in start) and b"\x7f" not in start:
        return "is text, not a pcap or pcapng capture: capture with tcpdump -w FILE or Wireshark"
    return "is no capture: give a pcap or pcapng file, as tcpdump -w and Wireshark write them"


def is_rewritten(readers: Iterable[object]) -> bool:
    """Returns True if `opendump rewrite` wrote every capture, as far as they were read."""
    return all(
        isinstance(reader, CaptureReader) and reader.application.startswith(f"{APPLICATION} ") for reader in readers
    )
