"""Copies a capture as pcapng, block by block, with a comment added to each packet that has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from decoder.capture import pcapng, pcapng_writer

if TYPE_CHECKING:
    from decoder.capture.reader import CaptureReader

__all__ = ["Comment", "copy_with_comments"]


class Comment(NamedTuple):
    """Holds the comment on one packet."""

    packet: int
    """Number of the packet, from 1."""
    text: str


def copy_with_comments(reader: CaptureReader, comments: Iterator[Comment], write: Callable[[bytes], object]) -> int:
    """Copies a capture with comments, which come in packet order.

    Returns the number of comments that could not be placed: a pcapng Simple Packet Block holds none.  Raises
    CaptureError as `CaptureReader.batches` does.
    """
    pending = _Pending(comments)
    if reader.is_pcapng():
        return _copy_pcapng(reader, pending, write)
    return _copy_pcap(reader, pending, write)


class _Pending:
    """Hands out the comments packet by packet; packets ask for theirs in order."""

    def __init__(self, comments: Iterator[Comment]) -> None:
        self._comments = comments
        self._next = next(comments, None)

    def of(self, packet: int) -> str | None:
        if self._next is None or self._next.packet != packet:
            return None
        text = self._next.text
        self._next = next(self._comments, None)
        return text


def _copy_pcapng(reader: CaptureReader, pending: _Pending, write: Callable[[bytes], object]) -> int:
    number = unplaced = 0
    for block in reader.blocks():
        raw = block.raw
        if block.type in pcapng.PACKET_BLOCKS:
            number += 1
            text = pending.of(number)
            if text is not None:
                raw = pcapng_writer.with_comment(block, text)
                unplaced += raw is block.raw
        elif block.type == pcapng.SECTION_HEADER:
            raw = pcapng_writer.with_open_end(block)
        write(raw)
    return unplaced


def _copy_pcap(reader: CaptureReader, pending: _Pending, write: Callable[[bytes], object]) -> int:
    number = 0
    interfaces: dict[tuple[int, int], int] = {}
    write(pcapng_writer.section_block())
    for batch in reader.batches():
        snaplen = reader.interfaces[0].snaplen
        for time_ns, linktype, data, wire_len in batch:
            number += 1
            key = linktype, snaplen
            interface = interfaces.get(key)
            if interface is None:
                interface = interfaces[key] = len(interfaces)
                write(pcapng_writer.interface_block(linktype, snaplen))
            write(pcapng_writer.packet_block(interface, time_ns, data, wire_len, pending.of(number)))
    return 0
