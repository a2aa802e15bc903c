"""What must hold for a decoder and for what comes out of it, whatever went in."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1

from decoder import Decoder, Gap, Message
from decoder.vocabulary import HINTS

_VERDICTS = {"verified", "unverified", "failed"}
_GAPS = {"lost", "snaplen", "limit", "resync", "mid-stream"}


def check_memory(decoder: Decoder, packet: int) -> None:
    """What is buffered is counted, and stays below the limit; `packet` is the size of the last one."""
    limit = decoder.limits.max_memory
    table = decoder._table
    connections = {connection for connection, _ in table.entries.values()}
    halves = [half for _, half in table.entries.values()]
    counted = sum([half.counted for half in halves])
    older = sum([half.counted for _, half in table._older.values()])
    assert counted + older == table.buffered, f"{counted + older} bytes are counted, {table.buffered} in all"
    assert counted <= limit, f"{counted} bytes are counted"
    # What a packet changes on the other side of its connection is counted with the next one.
    buffered = sum([half.buffered for half in halves]) + sum([each.held_bytes for each in connections])
    assert buffered <= limit + packet, f"{buffered} bytes are buffered"


def check_messages(items: Sequence[Message | Gap], packets: int) -> None:
    """Messages are numbered, of packets that were there, proven if they say so; gaps have a size and a reason."""
    number = 0
    for item in items:
        if isinstance(item, Gap):
            assert item.reason in _GAPS
            assert item.bytes is None or item.bytes > 0, f"a gap of {item.bytes} bytes"
            continue
        number += 1
        assert item.number == number
        assert item.verdict in _VERDICTS
        assert (item.reason is None) == (item.verdict == "verified")
        assert item.reason is None or item.reason in HINTS
        assert item.frames, "a message of no packet"
        assert all(1 <= frame <= packets for frame in item.frames)
        assert item.request is None or 0 < item.request < number
        if item.verdict == "verified":
            assert item.plaintext is not None
            assert sha1(item.plaintext).digest() == item.header[6], "verified, but not its SHA-1"
