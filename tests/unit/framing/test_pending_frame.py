"""The message that a framer is at: which packets brought what was seen of it."""

from __future__ import annotations

from decoder.framing.buffer import Buffer
from decoder.framing.header import HEADER
from decoder.framing.pending_frame import PendingFrame
from decoder.vocabulary import Arrival

SIZE = 100


def pending(start: int) -> PendingFrame:
    header = HEADER.unpack(HEADER.pack(b"FT", 3004, 0, 0, 1, SIZE - 44, bytes(20), bytes(8)))
    return PendingFrame(header, start, certain=True)


def test_it_ends_where_its_header_says() -> None:
    assert pending(500).end == 500 + SIZE


def test_the_packets_are_those_of_its_own_bytes_on_both_sides_of_a_hole() -> None:
    frame, buffer = pending(10), Buffer()
    buffer.append(bytes(10), Arrival((1,), 10), 0)
    buffer.append(bytes(20), Arrival((5,), 50), 10)
    frame.keep_origin(buffer)
    buffer.drop(30)
    buffer.append(bytes(80), Arrival((3,), 30), 40)
    buffer.append(bytes(80), Arrival((7,), 70), 120)
    frame.keep_origin(buffer)
    assert frame.arrival == Arrival((3, 5), 50), "the time is that of the latest packet"


def test_bytes_behind_a_given_end_do_not_count() -> None:
    frame, buffer = pending(0), Buffer()
    buffer.append(bytes(40), Arrival((1,), 10), 0)
    buffer.append(bytes(60), Arrival((2,), 20), 40)
    frame.keep_origin(buffer, 40)
    assert frame.arrival == Arrival((1,), 10)
