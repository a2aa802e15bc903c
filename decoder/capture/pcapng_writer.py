"""Writes pcapng blocks, and adds comments to blocks that were read."""

from __future__ import annotations

from decoder.capture.pcapng import (
    APPLICATION,
    COMMENT,
    END_OF_OPTIONS,
    ENHANCED_PACKET,
    INTERFACE_DESCRIPTION,
    LAYOUTS,
    OBSOLETE_PACKET,
    SECTION_HEADER,
    TIME_RESOLUTION,
    Block,
    Layouts,
)

__all__ = ["interface_block", "packet_block", "section_block", "with_comment", "with_open_end"]


def with_comment(block: Block, comment: str) -> bytes:
    """Returns the bytes of a packet block with a comment before its other options; the rest is unchanged.

    A block without options (a Simple Packet Block, or one that holds no packet) is returned unchanged.
    """
    layouts = LAYOUTS[block.endian]
    if block.type not in (ENHANCED_PACKET, OBSOLETE_PACKET) or len(block.raw) < 32:
        return block.raw
    (captured,) = layouts.u32.unpack_from(block.raw, 20)
    start = 28 + captured + (-captured & 3)
    if start > len(block.raw) - 4:
        return block.raw
    options = block.raw[start:-4] or layouts.option.pack(END_OF_OPTIONS, 0)
    return _block(layouts, block.type, block.raw[8:start] + _option(layouts, COMMENT, _comment(comment)) + options)


def with_open_end(block: Block) -> bytes:
    """Returns the bytes of a Section Header Block with the length of its section unset, as the section may grow."""
    return block.raw[:16] + b"\xff" * 8 + block.raw[24:]


def section_block(application: str | None = None) -> bytes:
    """Returns a Section Header Block, which begins a file; `application` is the program that writes it."""
    layouts = LAYOUTS["<"]
    options = b""
    if application is not None:
        options = _option(layouts, APPLICATION, application.encode()) + layouts.option.pack(END_OF_OPTIONS, 0)
    return _block(layouts, SECTION_HEADER, bytes.fromhex("4d3c2b1a01000000ffffffffffffffff") + options)


def interface_block(linktype: int, snaplen: int = 0) -> bytes:
    """Returns an Interface Description Block whose packets have their time in nanoseconds."""
    layouts = LAYOUTS["<"]
    resolution = _option(layouts, TIME_RESOLUTION, b"\x09") + layouts.option.pack(END_OF_OPTIONS, 0)
    return _block(layouts, INTERFACE_DESCRIPTION, layouts.interface.pack(linktype, 0, snaplen) + resolution)


def packet_block(interface: int, time_ns: int, data: bytes, wire_len: int, comment: str | None = None) -> bytes:
    """Returns an Enhanced Packet Block for an interface that `interface_block` described."""
    layouts = LAYOUTS["<"]
    head = layouts.enhanced.pack(0, 0, interface, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), wire_len)[8:]
    options = b""
    if comment is not None:
        options = _option(layouts, COMMENT, _comment(comment)) + layouts.option.pack(END_OF_OPTIONS, 0)
    return _block(layouts, ENHANCED_PACKET, head + _padded(data) + options)


def _block(layouts: Layouts, kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return layouts.head.pack(kind, length) + body + layouts.u32.pack(length)


def _option(layouts: Layouts, code: int, value: bytes) -> bytes:
    return layouts.option.pack(code, len(value)) + _padded(value)


def _comment(text: str) -> bytes:
    """Returns a comment as UTF-8, cut to the longest option, 65,535 bytes."""
    data = text.encode("utf-8", "replace")
    return data if len(data) <= 0xFFFF else data[:0xFFFF].decode("utf-8", "ignore").encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) & 3)
