"""Reads pcapng: as packets, or block by block.

The format is that of draft-ietf-opsawg-pcapng: a file is a sequence of blocks, each ``type, length, body, padding,
length``.  A Section Header Block fixes the byte order of what follows and forgets the interfaces known so far; an
Interface Description Block gives the link type and the time resolution of the packets that name it.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from struct import Struct
from typing import NamedTuple

from decoder.capture.source import ByteSource, CutShort, Damaged

__all__ = [
    "APPLICATION",
    "COMMENT",
    "END_OF_OPTIONS",
    "LAYOUTS",
    "MAX_PACKET",
    "PACKET_BLOCKS",
    "SECTION_HEADER",
    "TIME_RESOLUTION",
    "Block",
    "Interface",
    "Layouts",
    "RawPacket",
    "application_of",
    "blocks",
    "packets",
    "read_options",
]

RawPacket = tuple[int, int, bytes, int]
"""One packet as captured: time (ns since 1970, UTC), link type, captured bytes, length on the wire."""

MAX_PACKET = 16 * 1024 * 1024
"""Bytes of the longest packet that is read; a longer one counts as damage.  libpcap itself stops at 256 KiB (USB:
128 MiB)."""
_MAX_BLOCK = 256 * 1024 * 1024
"""Bytes of the longest block that `blocks` reads; a longer one counts as damage."""
_MAX_INTERFACES = 65_536
"""Interfaces of a section; more count as damage."""
_MAX_TIME = 2**63 - 1
"""Latest time, in nanoseconds since 1970: what 63 bits hold."""
_ROOM_FOR_OPTIONS = 1024 * 1024
"""Bytes of a block beside the packet in it; a block that claims more counts as damage."""

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
ENHANCED_PACKET = 6

PACKET_BLOCKS = frozenset((OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET))
"""The types of block that hold a packet."""
_READ = PACKET_BLOCKS | {SECTION_HEADER, INTERFACE_DESCRIPTION}
_SHORTEST = {SECTION_HEADER: 28, INTERFACE_DESCRIPTION: 20, OBSOLETE_PACKET: 32, SIMPLE_PACKET: 16, ENHANCED_PACKET: 32}
"""Least bytes of a block, by its type; 12 for all others."""

SECTION_MAGIC = SECTION_HEADER.to_bytes(4, "big")
_BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}

END_OF_OPTIONS, COMMENT, APPLICATION, TIME_RESOLUTION, _TIME_OFFSET = 0, 1, 4, 9, 14


class Interface(NamedTuple):
    """Holds what an Interface Description Block, or the header of a pcap file, says about its packets."""

    linktype: int
    snaplen: int
    """Bytes kept of each packet, 0 for all."""
    multiplier: int = 1_000
    """Nanoseconds of a tick are `multiplier` / `divisor`; a tick is a microsecond unless told otherwise."""
    divisor: int = 1
    offset_ns: int = 0


class Block(NamedTuple):
    """Holds one block."""

    type: int
    endian: str
    """`<` or `>`, as `struct` writes it."""
    raw: bytes
    """All of it, from its type to its second length."""


class Layouts(NamedTuple):
    """Holds the structures of a section, in its byte order."""

    endian: str
    head: Struct
    """Type and total length of any block."""
    enhanced: Struct
    """Enhanced Packet Block up to the packet: type, length, interface, time high, time low, captured, wire."""
    obsolete: Struct
    """Obsolete Packet Block: interface, (drops), time high, time low, captured, wire."""
    interface: Struct
    """Link type, (reserved), snap length."""
    option: Struct
    """Code and length."""
    u32: Struct


LAYOUTS = {
    endian: Layouts(
        endian,
        Struct(endian + "II"),
        Struct(endian + "IIIIIII"),
        Struct(endian + "HHIIII"),
        Struct(endian + "HHI"),
        Struct(endian + "HH"),
        Struct(endian + "I"),
    )
    for endian in "<>"
}


def packets(source: ByteSource, interfaces: list[Interface], max_packet: int = MAX_PACKET) -> Iterator[list[RawPacket]]:
    """Yields the packets of a pcapng stream, in batches as they arrive; `interfaces` follows the section being read.

    A batch is yielded before more input is read, so a growing capture is decoded as it grows.

    :raises CutShort: at the end of an input that ends inside a block
    :raises Damaged: where no block can be; everything before it was yielded
    """
    time_ns = 0
    layouts: Layouts | None = None
    while True:
        if layouts is not None:
            # The hot loop: Enhanced Packet Blocks that are whole in the buffer, 0.45 µs each.
            batch: list[RawPacket] = []
            append, unpack = batch.append, layouts.enhanced.unpack_from
            buffer, position = source.buffer, source.start
            end = len(buffer)
            current = -1
            while position + 32 <= end:
                kind, length, index, high, low, captured, wire = unpack(buffer, position)
                start = position + 28
                stop = start + captured
                following = position + length
                if kind != ENHANCED_PACKET or not stop + 4 <= following <= end or length & 3:
                    break
                if index != current:
                    if index >= len(interfaces):
                        break
                    linktype, _, multiplier, divisor, offset = interfaces[index]
                    current = index
                time_ns = (high << 32 | low) * multiplier
                if divisor != 1:
                    time_ns //= divisor
                time_ns += offset
                if not 0 <= time_ns <= _MAX_TIME:
                    time_ns = _clamped(time_ns)
                append((time_ns, linktype, buffer[start:stop], wire))
                position = following
            source.start = position
            if batch:
                yield batch
        if not source.fill(1):
            return
        kind, length, layouts = _block_head(source, layouts)
        if kind not in _READ:
            _skip_block(source, length, layouts)
            continue
        if length > max_packet + _ROOM_FOR_OPTIONS:
            raise Damaged(f"a block claims {length} bytes")
        if kind == ENHANCED_PACKET:
            # Its second length is not checked, as in the hot loop: a file reads the same in pieces of any size.
            if not source.fill(length):
                raise _cut_in_block(source, length)
            _, _, index, _, _, captured, _ = layouts.enhanced.unpack_from(source.buffer, source.start)
            _check_packet(length - 32, captured, index, interfaces)
            continue  # whole and sound: the hot loop takes it
        raw = _whole_block(source, length, layouts)
        if kind == SECTION_HEADER:
            interfaces.clear()
        elif kind == INTERFACE_DESCRIPTION:
            if len(interfaces) >= _MAX_INTERFACES:
                raise Damaged(f"more than {_MAX_INTERFACES} interfaces")
            interfaces.append(_interface(raw, layouts))
        elif kind == SIMPLE_PACKET:
            _check_packet(length - 16, 0, 0, interfaces)
            (wire,) = layouts.u32.unpack_from(raw, 8)
            captured = min(wire, interfaces[0].snaplen or wire, length - 16)
            # It has no time: the one of the packet before it keeps the order.
            yield [(time_ns, interfaces[0].linktype, raw[12 : 12 + captured], wire)]
        else:
            index, _, high, low, captured, wire = layouts.obsolete.unpack_from(raw, 8)
            _check_packet(length - 32, captured, index, interfaces)
            linktype, _, multiplier, divisor, offset = interfaces[index]
            time_ns = _clamped((high << 32 | low) * multiplier // divisor + offset)
            yield [(time_ns, linktype, raw[28 : 28 + captured], wire)]
        source.start += length


def application_of(source: ByteSource) -> str:
    """Returns the program that wrote the section that begins here, as its header says; empty if it does not."""
    layouts = LAYOUTS[_BYTE_ORDER.get(source.buffer[source.start + 8 : source.start + 12], "<")]
    (length,) = layouts.u32.unpack_from(source.buffer, source.start + 4)
    if not 28 <= length <= _ROOM_FOR_OPTIONS or not source.fill(length):
        return ""  # whoever reads the packets says what is wrong with it
    options = source.buffer[source.start + 24 : source.start + length - 4]
    found = dict(read_options(options, layouts.endian)).get(APPLICATION, b"")
    return found.decode("utf-8", "replace")


def blocks(source: ByteSource) -> Iterator[Block]:
    """Yields every block of a pcapng stream, byte for byte.

    :raises CutShort: at the end of an input that ends inside a block
    :raises Damaged: where no block can be
    """
    layouts: Layouts | None = None
    while source.fill(1):
        kind, length, layouts = _block_head(source, layouts)
        if length > _MAX_BLOCK:
            raise Damaged(f"a block claims {length} bytes")
        raw = _whole_block(source, length, layouts)
        source.start += length
        yield Block(kind, layouts.endian, raw)


def read_options(data: bytes, endian: str) -> Iterator[tuple[int, bytes]]:
    """Yields code and value of each option in the option list `data`, up to its end or its first fault."""
    unpack = LAYOUTS[endian].option.unpack_from
    position = 0
    while position + 4 <= len(data):
        code, length = unpack(data, position)
        position += 4
        if code == END_OF_OPTIONS or position + length > len(data):
            return
        yield code, data[position : position + length]
        position += length + (-length & 3)


def _block_head(source: ByteSource, layouts: Layouts | None) -> tuple[int, int, Layouts]:
    """Returns type and length of the next block, and the layouts of its section, which it may open."""
    if not source.fill(12):
        raise CutShort(f"{len(source.buffer) - source.start} bytes of a block are all there is")
    start = source.start
    if source.buffer.startswith(SECTION_MAGIC, start):
        endian = _BYTE_ORDER.get(source.buffer[start + 8 : start + 12])
        if endian is None:
            raise Damaged("a section header without a byte order")
        layouts = LAYOUTS[endian]
    if layouts is None:
        raise Damaged("no section header")
    kind, length = layouts.head.unpack_from(source.buffer, start)
    if length & 3 or length < _SHORTEST.get(kind, 12):
        raise Damaged(f"a block claims {length} bytes")
    return kind, length, layouts


def _whole_block(source: ByteSource, length: int, layouts: Layouts) -> bytes:
    """Returns the bytes of the next block, its two lengths compared, without consuming it."""
    if not source.fill(length):
        raise _cut_in_block(source, length)
    raw = source.buffer[source.start : source.start + length]
    _check_lengths(length, raw[-4:], layouts)
    return raw


def _cut_in_block(source: ByteSource, length: int) -> CutShort:
    return CutShort(f"a block of {length} bytes, of which {len(source.buffer) - source.start} are there")


def _skip_block(source: ByteSource, length: int, layouts: Layouts) -> None:
    """Skips a block without holding it."""
    if not source.skip(length - 4) or not source.fill(4):
        raise CutShort(f"the last block should have {length} bytes")
    _check_lengths(length, source.buffer[source.start : source.start + 4], layouts)
    source.start += 4


def _check_lengths(length: int, trailer: bytes, layouts: Layouts) -> None:
    (again,) = layouts.u32.unpack(trailer)
    if again != length:
        raise Damaged(f"a block begins with length {length} and ends with {again}")


def _check_packet(room: int, captured: int, index: int, interfaces: list[Interface]) -> None:
    if index >= len(interfaces):
        raise Damaged(f"a packet of interface {index}, which is not described before it")
    if captured > room:
        raise Damaged(f"a packet of {captured} bytes in a block that has room for {room}")


def _interface(raw: bytes, layouts: Layouts) -> Interface:
    linktype, _, snaplen = layouts.interface.unpack_from(raw, 8)
    per_second, offset = 10**6, 0
    for code, value in read_options(raw[16:-4], layouts.endian):
        if code == TIME_RESOLUTION and len(value) == 1:
            exponent = value[0] & 0x7F
            per_second = 2**exponent if value[0] & 0x80 else 10**exponent
        elif code == _TIME_OFFSET and len(value) == 8:
            offset = int.from_bytes(value, "little" if layouts.endian == "<" else "big", signed=True)
    common = gcd(10**9, per_second)
    return Interface(linktype, snaplen, 10**9 // common, per_second // common, offset * 10**9)


def _clamped(time_ns: int) -> int:
    """Returns a time within 63 bits: later stages need not expect the year 584554."""
    return min(max(time_ns, 0), _MAX_TIME)
