"""Work grows with the input and no faster, whatever a capture holds.

Work is counted: Python and C calls, bytes copied out of buffers, bytes hashed.  Time is not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from decoder import Decoder
from decoder.conversation.half_connection import HalfConnection
from decoder.framing.buffer import Buffer
from decoder.framing.trial import MAX_HASHED
from tests.support import exchange as ex
from tests.support.segments import SYN, Segment, Talk

MSS = 1000


def message(serial_no: int, size: int = 0) -> bytes:
    return ex.frame(1004, bytes(size), serial_no=serial_no)


def claiming(size: int, serial_no: int = 1) -> bytes:
    """A header that promises a body of `size` bytes."""
    return ex.HEADER.pack(b"FT", 1004, 0, 0, serial_no, size, bytes(20), bytes(8))


def after_a_hole(data: bytes) -> list[Segment]:
    return Talk().c2s(message(1)).s2c(message(1)).lose("c2s", 99).c2s(data, mss=MSS).ack("s2c").segments


def noise(size: int) -> list[Segment]:
    return after_a_hole(b"FT" * (size // 2))


def noise_from_the_start(size: int) -> list[Segment]:
    return Talk().c2s(b"FT" * (size // 2), mss=MSS).segments


def headers_that_claim_much(size: int) -> list[Segment]:
    return after_a_hole(claiming(2**24) * (size // 44))


def headers_in_a_message_that_fails(size: int) -> list[Segment]:
    return Talk().c2s(message(1), claiming(size), claiming(2**20) * (size // 44), mss=MSS).segments


def headers_that_begin_packets(size: int) -> list[Segment]:
    talk = Talk().c2s(message(1), claiming(2**24))
    for number in range(size // 100):
        talk.c2s(claiming(2**20, number) + bytes(56))
    return talk.segments


def bytes_in_reverse(size: int) -> list[Segment]:
    talk = Talk().c2s(message(1, size // 50), mss=1)
    return [*talk.segments[:3], *talk.segments[:2:-1]]


def overlaps_behind_a_hole(size: int) -> list[Segment]:
    data = message(1, size)
    first, *rest = (Segment("c2s", 1001 + at, data[at : at + 100]) for at in range(0, size, 50))
    return [Segment("c2s", 1000, flags=SYN), *rest, first]


def copies_of_one_range(size: int) -> list[Segment]:
    rng = Random(1)
    talk = Talk().c2s(message(1), claiming(size) + bytes(MSS), mss=2 * MSS)
    at = talk.segments[-1].seq + 100
    for _ in range(size // MSS):
        talk.segments.append(Segment("c2s", at, rng.randbytes(50)))
        talk.c2s(bytes(MSS))
    return talk.segments


def holes_in_one_message(size: int) -> list[Segment]:
    talk = Talk().c2s(message(1)).s2c(message(1)).c2s(claiming(2**24))
    for _ in range(size // 100):
        talk.c2s(bytes(50)).lose("c2s", 1)
    return talk.ack("s2c").segments


def cut_packets_behind_a_hole(size: int) -> list[Segment]:
    talk = Talk().c2s(message(1)).lose("c2s", 1).c2s(bytes(size), mss=100)
    return [segment.snapped(60) for segment in talk.segments]


def fakes_that_wait_for_the_same_place(size: int) -> list[Segment]:
    count = size // 44
    return after_a_hole(b"".join(claiming((count - number) * 44) for number in range(count)))


def messages_before_their_key(size: int) -> list[Segment]:
    hello = ex.frame(1001, ex.init_request(), ex.rsa(ex.init_request(), ex.rsa_key()))
    talk = Talk().c2s(hello)
    for number in range(size // 100):
        talk.c2s(ex.frame(1004, ex.keep_alive(), ex.cbc(ex.keep_alive()), number))
    return talk.segments


ATTACKS = [
    noise,
    noise_from_the_start,
    headers_that_claim_much,
    headers_in_a_message_that_fails,
    headers_that_begin_packets,
    bytes_in_reverse,
    overlaps_behind_a_hole,
    copies_of_one_range,
    holes_in_one_message,
    cut_packets_behind_a_hole,
    fakes_that_wait_for_the_same_place,
    messages_before_their_key,
]


class Work:
    """Counts it while it is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = self.copied = self.hashed = 0
        read, verifies = Buffer.read, HalfConnection.verifies

        def counted_read(buffer: Buffer, start: int, end: int) -> bytes:
            data = read(buffer, start, end)
            self.copied += len(data)
            return data

        def counted_proves(side: HalfConnection, header: Any, body: bytes, *, by_hash: bool = False) -> bool:
            self.hashed += len(body)
            return verifies(side, header, body, by_hash=by_hash)

        monkeypatch.setattr(Buffer, "read", counted_read)
        monkeypatch.setattr(HalfConnection, "verifies", counted_proves)

    def of(self, segments: list[Segment]) -> tuple[int, int, int]:
        self.calls = self.copied = self.hashed = 0
        decoder = Decoder()
        packets = [(segment.packet(), segment.cut) for segment in segments]

        def count(frame: Any, event: str, arg: Any) -> None:
            self.calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            for number, (data, cut) in enumerate(packets, 1):
                decoder.feed(data[: len(data) - cut], number, 1, len(data), number)
            decoder.flush()
        finally:
            sys.setprofile(None)
        return self.calls, self.copied, self.hashed


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_work_grows_with_the_input(attack: Callable[[int], list[Segment]], monkeypatch: pytest.MonkeyPatch) -> None:
    work, size = Work(monkeypatch), 40_000
    small, large = work.of(attack(size)), work.of(attack(4 * size))
    assert large[0] <= 5 * small[0], "calls"
    for what, before, after in zip(("copied", "hashed"), small[1:], large[1:], strict=True):
        assert after <= 5 * before + MAX_HASHED, f"bytes {what}"
