"""Capture files as raw packets: pcap and pcapng, gzipped or not, from a file, a stream or standard input.

What a file is shows in its first bytes, never in its name.  Packets come in batches, as many as the bytes at hand
hold; a capture that is still being written decodes as it grows.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from heapq import heappop, heappush
from operator import itemgetter
from struct import Struct
from typing import Any, BinaryIO

from decoder import pcapng
from decoder.byte_source import CHUNK, ByteSource, CutShort, Damaged, display_name
from decoder.errors import CaptureError
from decoder.pcapng import MAX_PACKET, Block, Interface, RawPacket

__all__ = ["CaptureReader", "RawPacket", "merged"]

#: The magic numbers of pcap: byte order, nanoseconds of a tick, bytes of a record header.
_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1_000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    # Alexey Kuznetzov's: interface, protocol and packet type follow the usual record header.
    b"\x34\xcd\xb2\xa1": ("<", 1_000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1_000, 24),
}
_PCAP_HEADER = 24

_EDITCAP = "convert it first: editcap -F pcap IN OUT"
_LOOKS_LIKE = (
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"\xfd7zXZ\x00", "xz data", "unpack it first (xz -dc FILE | opendump decode -)"),
    (b"BZh", "bzip2 data", "unpack it first (bzip2 -dc FILE | opendump decode -)"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "unpack it first (zstd -dc FILE | opendump decode -)"),
    (b"\x04\x22\x4d\x18", "lz4 data", "unpack it first (lz4 -dc FILE | opendump decode -)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"snoop\x00\x00\x00", "a snoop capture", _EDITCAP),
    (b"GMBU", "a Network Monitor capture", _EDITCAP),
    (b"RTSS", "a Network Monitor capture", _EDITCAP),
    (b"TRSNIFF data", "a Sniffer capture", _EDITCAP),
    (b"XCP\x00", "a NetXRay capture", _EDITCAP),
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

    :ivar name: what to call the capture in messages
    :ivar interfaces: what it was taken on, as far as it was read (of the current section)
    :ivar packets: how many packets were read
    :ivar warnings: what was wrong with it and could be lived with, one line each
    """

    def __init__(
        self, source: str | os.PathLike[str] | BinaryIO, *, chunk: int = CHUNK, max_packet: int = MAX_PACKET
    ) -> None:
        self.source = source
        self.name = display_name(source)
        self.interfaces: list[Interface] = []
        self.packets = 0
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
        """Whether it can be read a second time: a regular file, given by its path."""
        if not isinstance(self.source, (str, os.PathLike)):
            return False
        try:
            return stat.S_ISREG(os.stat(self.source).st_mode)
        except OSError:
            return False

    def is_pcapng(self) -> bool:
        """Whether its first bytes are those of pcapng; to be asked before it is read.

        :raises CaptureError: when it cannot be opened
        """
        with self._opened() as source:
            return source.fill(4) and source.buffer.startswith(pcapng.SECTION_MAGIC, source.start)

    def limit_chunk(self, chunk: int) -> None:
        """Ask for at most `chunk` bytes at once (but never for absurdly few)."""
        self._chunk = max(min(self._chunk, chunk), 16 * 1024)

    def batches(self) -> Generator[list[RawPacket], None, None]:
        """All packets, in batches of whatever the bytes at hand hold.

        :raises CaptureError: when the file cannot be read, is no capture, or is damaged; every packet before the
            damage was yielded
        """
        with self._opened() as source:
            if not source.fill(_PCAP_HEADER):
                raise CaptureError(f"{self.name}: {_what_else(source)}")
            if source.buffer.startswith(pcapng.SECTION_MAGIC, source.start):
                walk = pcapng.packets(source, self.interfaces, self._max_packet)
            elif source.buffer[source.start : source.start + 4] in _PCAP:
                walk = _pcap_packets(source, self.interfaces, self._max_packet)
            else:
                raise CaptureError(f"{self.name}: {_what_else(source)}")
            for batch in walk:
                self.packets += len(batch)
                yield batch

    def blocks(self) -> Iterator[Block]:
        """All blocks of a pcapng file, byte for byte.

        :raises CaptureError: as `batches`, and when it is a capture of another kind
        """
        with self._opened() as source:
            if not source.fill(4) or not source.buffer.startswith(pcapng.SECTION_MAGIC, source.start):
                raise CaptureError(f"{self.name}: is not a pcapng capture")
            yield from pcapng.blocks(source)

    @contextmanager
    def _opened(self) -> Iterator[ByteSource]:
        """The bytes, open; what goes wrong while they are read is put into words."""
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


def merged(
    readers: Sequence[CaptureReader], on_error: Callable[[CaptureReader, CaptureError], None]
) -> Iterator[list[RawPacket]]:
    """Several captures as one in time order, in batches; equal times keep the order of `readers`.

    Each capture keeps its own order, as mergecap does it: the one whose next packet is the oldest comes first.  Files
    whose times do not overlap (rotated ones, given in any order) are open one at a time and their batches pass
    through as they are.

    :param on_error: told of each capture that cannot be read, or not to its end; the others go on
    """
    for reader in readers if len(readers) > 1 else ():
        reader.limit_chunk(_MERGE_MEMORY // len(readers))
    heap: list[tuple[int, int, _Lane]] = []
    for order, reader in enumerate(readers):
        lane = _Lane(reader, order, on_error)
        if lane.load():
            heappush(heap, (lane.batch[0][0], order, lane))
            if len(readers) > 1 and reader.reopens:
                lane.park()
    batch: list[RawPacket] = []
    while heap:
        _, order, lane = heappop(heap)
        if not lane.batch and not lane.load():
            continue
        run = lane.take(heap[0][:2] if heap else None)
        if batch:
            batch += run
        else:
            batch = run
        if lane.at == len(lane.batch) or len(batch) >= _MERGED_BATCH:
            yield batch
            batch = []
        if lane.at < len(lane.batch) or lane.load():
            heappush(heap, (lane.batch[lane.at][0], order, lane))


#: Bytes that the chunks of all merged captures may take together, and packets of a merged batch.
_MERGE_MEMORY = 32 * 1024 * 1024
_MERGED_BATCH = 512


class _Lane:
    """One of the captures that are merged: its batch at hand, and how much of it was taken."""

    def __init__(
        self, reader: CaptureReader, order: int, on_error: Callable[[CaptureReader, CaptureError], None]
    ) -> None:
        self.reader = reader
        self.order = order
        self.batch: list[RawPacket] = []
        self.at = 0
        self._latest: int | None = None  # time in the batch, once it matters
        self._on_error = on_error
        self._batches = reader.batches()

    def load(self) -> bool:
        """Have the next batch at hand; False when there is none."""
        self.at = 0
        try:
            self.batch = next(self._batches, [])
        except CaptureError as error:
            self.batch = []
            self._on_error(self.reader, error)
        self._latest = None
        return bool(self.batch)

    def park(self) -> None:
        """Close the file and forget what was read: its turn may come much later."""
        self._batches.close()
        self._batches = self.reader.batches()
        self.batch = []

    def take(self, limit: tuple[int, int] | None) -> list[RawPacket]:
        """The packet at hand and those after it that come before `limit`: the time and order of the next lane."""
        batch, at, order = self.batch, self.at, self.order
        stop = len(batch)
        if limit is None:
            self.at = stop
            return batch[at:]
        if self._latest is None:
            self._latest = max(map(_TIME, batch))
        if (self._latest, order) >= limit:
            stop = at + 1
            while stop < len(batch) and (batch[stop][0], order) < limit:
                stop += 1
        self.at = stop
        return batch[at:stop]


_TIME = itemgetter(0)


def _pcap_packets(source: ByteSource, interfaces: list[Interface], max_packet: int) -> Iterator[list[RawPacket]]:
    """The packets of a pcap stream; a batch is yielded before more input is asked for."""
    unpack, size = _pcap_header(source, interfaces)
    while True:
        # The hot loop: records that are whole in the buffer.
        linktype, _, scale, _, _ = interfaces[0]
        batch: list[RawPacket] = []
        append = batch.append
        buffer, position = source.buffer, source.start
        end = len(buffer)
        last = end - size
        while position <= last:
            seconds, fraction, captured, wire = unpack(buffer, position)
            start = position + size
            following = start + captured
            if not start < following <= end:
                break
            append((seconds * 1_000_000_000 + fraction * scale, linktype, buffer[start:following], wire))
            position = following
        source.start = position
        if batch:
            yield batch
        if not source.fill(size):
            if left := len(source.buffer) - source.start:
                raise CutShort(f"{left} bytes of a record header of {size} are there")
            return
        seconds, fraction, captured, wire = unpack(source.buffer, source.start)
        if captured > max_packet:
            raise Damaged(f"a packet claims {captured} bytes")
        if not captured:
            if source.fill(_PCAP_HEADER) and _is_pcap_header(source):
                # Files joined end to end (cat a.pcap b.pcap): what reads as an empty packet is the next header.
                unpack, size = _pcap_header(source, interfaces)
            else:
                yield [(seconds * 1_000_000_000 + fraction * scale, linktype, b"", wire)]
                source.start += size
        elif not source.fill(size + captured):
            there = len(source.buffer) - source.start - size
            raise CutShort(f"{there} of the {captured} bytes of the next packet are there")


def _is_pcap_header(source: ByteSource) -> bool:
    start = source.buffer[source.start : source.start + 8]
    return start[:4] in _PCAP and start[4:] in (b"\x02\x00\x04\x00", b"\x00\x02\x00\x04")


def _pcap_header(source: ByteSource, interfaces: list[Interface]) -> tuple[Callable[..., tuple[Any, ...]], int]:
    """Take the header of a pcap file: sets the interface, gives how to unpack the head of a record, and its size."""
    endian, scale, size = _PCAP[source.buffer[source.start : source.start + 4]]
    snaplen, network = Struct(endian + "II").unpack_from(source.buffer, source.start + 16)
    source.start += _PCAP_HEADER
    # The upper half of the last field says how long the frame check sequence is, if there is any.
    interfaces[:] = [Interface(network & 0xFFFF, snaplen, scale)]
    return Struct(endian + "IIII").unpack_from, size


def _what_else(source: ByteSource) -> str:
    """What a file looks like that is no capture, and what to do about it."""
    start = source.buffer[source.start : source.start + 512]
    if not start:
        return "is empty: give a pcap or pcapng file"
    if start[:4] in _PCAP or start.startswith(pcapng.SECTION_MAGIC):
        return f"is too short for a capture ({len(start)} bytes)"
    for magic, kind, advice in _LOOKS_LIKE:
        if start.startswith(magic):
            return f"is {kind}, not a pcap or pcapng capture: {advice}"
    if source.name.lower().endswith(".etl"):
        return "is a Windows event trace, not a pcap or pcapng capture: convert it first with etl2pcapng"
    if all(byte >= 0x20 or byte in b"\t\r\n\f" for byte in start) and b"\x7f" not in start:
        return "is text, not a pcap or pcapng capture: capture with tcpdump -w FILE or Wireshark"
    return "is no capture: give a pcap or pcapng file, as tcpdump -w and Wireshark write them"
