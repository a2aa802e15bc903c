"""Reads packets from pcap files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any

from decoder import core
from decoder.capture.pcapng import Interface, RawPacket
from decoder.capture.source import ByteSource, CutShort, Damaged

__all__ = ["HEADER_SIZE", "MAGICS", "packets"]

MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1_000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    # The variant of Alexey Kuznetsov: interface, protocol and packet type follow the usual record header.
    b"\x34\xcd\xb2\xa1": ("<", 1_000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1_000, 24),
}
"""The magic numbers of pcap: byte order, nanoseconds of a tick, bytes of a record header."""

HEADER_SIZE = 24
"""Bytes of the header of a file."""

Unpack = Callable[[bytes, int], tuple[Any, ...]]
_RECORD: dict[str, Unpack] = {order: Struct(order + "IIII").unpack_from for order in "<>"}
"""Unpacks the header of a record, by byte order: seconds, ticks, bytes captured, bytes on the wire."""


def packets(source: ByteSource, interfaces: list[Interface], max_packet: int) -> Iterator[list[RawPacket]]:
    """Yields the packets of a pcap stream in batches, each before more input is read.

    `interfaces` gets the one interface that the header describes.

    :raises CutShort: at the end of an input that ends inside a record
    :raises Damaged: where no record can be
    """
    order, size = _pcap_header(source, interfaces)
    unpack = _RECORD[order]
    while True:
        linktype, _, scale, _, _ = interfaces[0]
        if core.pcap_records is None:
            batch, source.start = _whole_records(source, unpack, size, linktype, scale)
        else:
            batch, source.start = core.pcap_records(source.buffer, source.start, size, order == ">", linktype, scale)
        if batch:
            yield batch
        if not source.fill(size):
            _check_end(source, size)
            return
        seconds, fraction, captured, wire = unpack(source.buffer, source.start)
        if captured > max_packet:
            raise Damaged(f"a packet claims {captured} bytes")
        if not captured:
            if source.fill(HEADER_SIZE) and _is_pcap_header(source):
                # Files joined end to end (cat a.pcap b.pcap): what reads as an empty packet is the next header.
                order, size = _pcap_header(source, interfaces)
                unpack = _RECORD[order]
            else:
                yield [(seconds * 1_000_000_000 + fraction * scale, linktype, b"", wire)]
                source.start += size
        elif not source.fill(size + captured):
            there = len(source.buffer) - source.start - size
            raise CutShort(f"{there} of the {captured} bytes of the next packet are there")


def _whole_records(
    source: ByteSource, unpack: Unpack, size: int, linktype: int, scale: int
) -> tuple[list[RawPacket], int]:
    """Reads the records that are whole in the buffer and not empty; returns them, and where the next one begins."""
    batch: list[RawPacket] = []
    append = batch.append
    buffer, position = source.buffer, source.start
    end = len(buffer)
    last = end - size
    while position <= last:
        seconds, fraction, captured, wire = unpack(buffer, position)
        start = position + size
        following = start + captured
        if not start < following <= end:  # an empty one may be the header of another file
            break
        append((seconds * 1_000_000_000 + fraction * scale, linktype, buffer[start:following], wire))
        position = following
    return batch, position


def _is_pcap_header(source: ByteSource) -> bool:
    start = source.buffer[source.start : source.start + 8]
    return start[:4] in MAGICS and start[4:] in (b"\x02\x00\x04\x00", b"\x00\x02\x00\x04")


def _check_end(source: ByteSource, size: int) -> None:
    """Raises CutShort if the input ends inside a record header of `size` bytes."""
    if left := len(source.buffer) - source.start:
        raise CutShort(f"{left} bytes of a record header of {size} are there")


def _pcap_header(source: ByteSource, interfaces: list[Interface]) -> tuple[str, int]:
    """Consumes the header of a pcap file: sets the interface, returns byte order and size of the record headers."""
    endian, scale, size = MAGICS[source.buffer[source.start : source.start + 4]]
    snaplen, network = Struct(endian + "II").unpack_from(source.buffer, source.start + 16)
    source.start += HEADER_SIZE
    # The upper half of the last field has the length of the frame check sequence, if there is one.
    interfaces[:] = [Interface(network & 0xFFFF, snaplen, scale)]
    return endian, size
