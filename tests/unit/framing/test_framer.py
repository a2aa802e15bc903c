"""Frames out of a stream as a playbook: bytes and holes in, messages and gaps out.

The sink stands for the rest of the decoder: it knows messages in clear by their SHA-1, and nothing else.
"""

from __future__ import annotations

import hashlib
import struct
from random import Random

import pytest

from decoder.framing.framer import Framer
from decoder.framing.header import Header
from decoder.tcp.overlaps import Conflict, OverlapConflicts
from decoder.vocabulary import Arrival, GapReason, Verdict
from tests.support.exchange import frame

MAX_BODY = 100_000
MAX_SCAN = 5_000


class Play:
    """A framer and what came out of it, in short; a packet for each `feed`, numbered from 1."""

    def __init__(
        self,
        *,
        confirmed: bool = True,
        begins_at_first_byte: bool = True,
        nothing_decrypted: bool = False,
        sealed: bool = False,
    ) -> None:
        self.confirmed, self.begins_at_first_byte, self.nothing_decrypted, self.sealed = (
            confirmed,
            begins_at_first_byte,
            nothing_decrypted,
            sealed,
        )
        self.conflicts = OverlapConflicts()
        self.told: list[str] = []
        self.frames: list[tuple[int, ...]] = []
        self.acked = 1 << 60
        """Offset up to which the receiver acknowledged: by default everything."""
        self.framer = Framer(self, MAX_BODY, MAX_SCAN, 0)
        self.offset = 0
        self.number = 0

    def feed(self, *data: bytes, mss: int = 0) -> list[str]:
        """Give bytes to the framer, each argument as one packet, or in packets of `mss` bytes."""
        packets = list(data)
        if mss:
            joined = b"".join(data)
            packets = [joined[at : at + mss] for at in range(0, len(joined), mss)]
        for packet in packets:
            self.number += 1
            self.framer.feed(packet, Arrival((self.number,), self.number * 10), self.offset)
            self.offset += len(packet)
        return self.news()

    def hole(self, size: int, reason: GapReason = "lost") -> list[str]:
        self.framer.handle_hole(self.offset, size, reason)
        self.offset += size
        return self.news()

    def finish(self) -> list[str]:
        self.framer.finish()
        assert self.framer.buffered == 0
        return self.news()

    def news(self) -> list[str]:
        told, self.told = self.told, []
        return told

    # The sink

    def handle_frame(self, header: Header, body: bytes, arrival: Arrival, offset: int) -> Verdict | None:
        if self.nothing_decrypted or not self.verifies(header, body):
            return Verdict(
                None,
                "unknown",
                "unverified" if self.nothing_decrypted else "failed",
                "no-key" if self.nothing_decrypted else "sha1-mismatch",
            )
        self.tell(header, "verified", arrival)
        return None

    def handle_unproven(self, header: Header, body: bytes, opened: Verdict, arrival: Arrival, offset: int) -> None:
        self.tell(header, str(opened[3]), arrival)

    def handle_cut_short(self, header: Header, body: bytes, arrival: Arrival) -> None:
        self.tell(header, "cut short", arrival)

    def handle_incomplete(self, header: Header, arrival: Arrival, reason: str) -> None:
        self.tell(header, reason, arrival)

    def tell(self, header: Header, what: str, arrival: Arrival) -> None:
        assert arrival.time_ns == max(arrival.packets) * 10
        self.frames.append(arrival.packets)
        self.told.append(f"{header[4]} {what}")

    now = Arrival((0,), 0)
    keys_known = 0

    def handle_undigested(self, *_: object) -> None:
        raise AssertionError("not called by this framer")

    def handle_upgraded(self) -> None:
        raise AssertionError("not called by this framer")

    def handle_gap(self, size: int, reason: str, arrival: Arrival) -> None:
        self.told.append(f"gap {size} {reason}")

    def verifies(self, header: Header, body: bytes, *, by_hash: bool = False) -> bool:
        return not self.nothing_decrypted and hashlib.sha1(body).digest() == header[6]

    def in_clear(self, header: Header, body: bytes) -> bool:
        return not self.sealed and hashlib.sha1(body).digest() == header[6]

    def starts(self, header: Header) -> bool:
        return self.confirmed

    def repairable(self, header: Header, opened: Verdict) -> bool:
        return opened[2] == "failed"

    def unacknowledged(self, offset: int) -> bool:
        return self.acked < offset


def message(serial_no: int, size: int = 30, *, body: bytes | None = None) -> bytes:
    return frame(3004, Random(serial_no).randbytes(size) if body is None else body, serial_no=serial_no)


def with_length(data: bytes, length: int) -> bytes:
    return data[:12] + struct.pack("<I", length % 2**32) + data[16:]


def with_flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]


A, B, C, D, E = (message(serial_no) for serial_no in range(1, 6))
SIZE = len(A)


# In sync


def test_frames_come_out_as_soon_as_they_are_whole() -> None:
    play = Play()
    assert play.feed(A) == ["1 verified"]
    assert play.feed(B + C) == ["2 verified", "3 verified"]
    assert play.feed(D[:20]) == []
    assert play.framer.buffered == 20
    assert play.feed(D[20:60]) == []
    assert play.feed(D[60:] + E) == ["4 verified", "5 verified"]
    assert play.frames == [(1,), (2,), (2,), (3, 4, 5), (5,)]
    assert play.framer.at_boundary


@pytest.mark.parametrize("mss", [1, 2, 7, 43, 44, 45, 100])
def test_any_segmentation_gives_the_same_frames(mss: int) -> None:
    play = Play()
    assert play.feed(A, B, C, D, E, mss=mss) == [f"{n} verified" for n in range(1, 6)]
    assert play.finish() == []


def test_a_header_alone_is_a_frame() -> None:
    play = Play()
    empty = message(1, body=b"")
    assert play.feed(empty + empty, empty) == ["1 verified"] * 3


def test_three_hundred_frames_in_one_segment() -> None:
    play = Play()
    assert play.feed(b"".join(message(n) for n in range(300))) == [f"{n} verified" for n in range(300)]


def test_the_end_in_the_middle_of_a_message() -> None:
    play = Play()
    assert play.feed(A + B[:60]) == ["1 verified"]
    assert play.finish() == ["2 unfinished"]
    assert play.frames == [(1,), (1,)]


def test_the_end_in_the_middle_of_a_header() -> None:
    play = Play()
    play.feed(A + B[:20])
    assert play.finish() == ["gap 20 resync"]


# The start


def test_a_stream_entered_in_the_middle_of_a_message() -> None:
    play = Play(confirmed=False, begins_at_first_byte=False)
    assert play.feed(A[30:], B[:50]) == []
    assert play.feed(B[50:]) == [f"gap {SIZE - 30} mid-stream", "2 verified"]


def test_a_stream_without_a_header_gives_nothing() -> None:
    play = Play(confirmed=False)
    assert play.feed(b"GET / HTTP/1.1\r\n" * 400) == []
    assert play.framer.buffered == 0
    assert play.hole(10) == []
    assert play.finish() == []


def test_a_stream_that_was_given_up_counts_again_when_a_packet_begins_with_a_header() -> None:
    play = Play(confirmed=False)
    play.feed(*[b"\x17\x03\x03" * 400] * 10)
    assert play.feed(bytes(10) + A) == []
    assert play.feed(A[:60], A[60:], B) == [f"gap {12000 + 10 + SIZE} mid-stream", "1 verified", "2 verified"]


@pytest.mark.parametrize("after", [b"", b"\xff", b"\xff" * 100])
def test_a_fake_header_at_the_start_is_no_message(after: bytes) -> None:
    play = Play(confirmed=False)
    assert play.feed(A[:44] + bytes(30) + after) + play.finish() == []


def test_holes_before_the_first_header_are_told_once_there_is_one() -> None:
    play = Play(confirmed=False)
    assert play.hole(50) == []
    assert play.feed(bytes(20)) == []
    assert play.hole(60) == []
    assert play.feed(A) == ["gap 50 lost", "gap 60 lost", "gap 20 mid-stream", "1 verified"]


# Copies


def test_what_fails_and_is_not_acknowledged_waits_for_a_better_copy() -> None:
    play = Play()
    play.acked = SIZE
    assert play.feed(A, with_flip(B, 50), C) == ["1 verified"]
    assert play.framer.waiting_for_ack == 2 * SIZE
    play.conflicts.add(Conflict(SIZE, B, Arrival((9,), 90)))
    play.framer.repair()
    assert play.news() == ["2 verified", "3 verified"]
    assert play.frames == [(1,), (9,), (3,)]


def test_what_fails_comes_out_once_it_is_acknowledged() -> None:
    play = Play()
    play.acked = 0
    assert play.feed(with_flip(A, 50), B, with_flip(C, 50)) == []
    play.acked = SIZE
    play.framer.resume(give_up=False)
    assert play.news() == ["1 sha1-mismatch", "2 verified"]
    assert play.framer.waiting_for_ack == 3 * SIZE


def test_what_fails_comes_out_when_nothing_better_is_waited_for() -> None:
    play = Play()
    play.acked = 0
    play.feed(with_flip(A, 50), B, with_flip(C, 50))
    play.framer.resume(give_up=True)
    assert play.news() == ["1 sha1-mismatch", "2 verified", "3 sha1-mismatch"]
    assert play.feed(with_flip(D, 50)) == []
    assert play.finish() == ["4 sha1-mismatch"]


@pytest.mark.parametrize("bad", [with_flip(B, 0), with_length(B, 3), with_length(B, 5000), with_length(B, 2**31)])
def test_a_better_copy_of_a_damaged_header(bad: bytes) -> None:
    play = Play()
    play.acked = SIZE
    assert play.feed(A, bad) == ["1 verified"]
    play.conflicts.add(Conflict(SIZE, B[:44], Arrival((9,), 90)))
    play.framer.repair()
    assert play.news() + play.feed(C) == ["2 verified", "3 verified"]
    assert play.frames[1] == (2, 9)


def test_a_better_copy_that_came_before_its_message_was_whole() -> None:
    play = Play()
    play.feed(A[:30])
    play.conflicts.add(Conflict(SIZE, B, Arrival((9,), 90)))
    assert play.feed(A[30:] + with_flip(B, 50) + C) == ["1 verified", "2 verified", "3 verified"]
    assert play.frames[1] == (9,)


def test_a_better_copy_of_the_very_first_header() -> None:
    play = Play()
    play.acked = 0
    assert play.feed(with_flip(A, 1), B) == []
    play.conflicts.add(Conflict(0, A, Arrival((9,), 90)))
    play.framer.repair()
    assert play.news() == ["1 verified", "2 verified"]


def test_the_right_one_of_many_copies_is_found() -> None:
    play = Play()
    bad = with_flip(with_flip(A, 50), 60)
    play.acked = 0
    play.feed(bad[:55], bad[55:])
    play.conflicts.add(Conflict(0, A[:55], Arrival((8,), 80)))
    play.conflicts.add(Conflict(70, b"XX", Arrival((9,), 90)))  # worse than what is there
    play.framer.repair()
    assert play.news() == []
    play.conflicts.add(Conflict(55, A[55:70], Arrival((10,), 100)))
    play.framer.repair()
    assert play.news() == ["1 verified"]
    assert play.frames == [(2, 8, 10)]


# Memory


def test_shedding_frees_the_buffer_at_the_cost_of_one_message() -> None:
    play = Play()
    long = message(2, 5000)
    assert play.feed(A, long[:3000]) == ["1 verified"]
    play.framer.drop_buffered()
    assert play.framer.buffered == 0
    assert play.news() == ["gap 3000 limit"]
    assert play.feed(long[3000:], C) == ["2 gap", "3 verified"]


def test_shedding_in_the_search() -> None:
    play = Play(confirmed=False)
    long = message(2, 5000)
    play.feed(bytes(9) + long[:3000])
    play.framer.drop_buffered()
    assert play.framer.buffered == 0
    assert play.feed(long[3000:], C) == ["gap 3000 limit", "gap 9 mid-stream", "2 gap", "3 verified"]


@pytest.mark.parametrize(
    ("junk", "held"), [(b"", B[:20]), (bytes(100), message(9, 5000)[:300])], ids=["a header", "a message in doubt"]
)
def test_bytes_that_were_shed_are_not_passed_over_as_well(junk: bytes, held: bytes) -> None:
    play = Play()
    play.feed(A, junk + held)
    play.framer.drop_buffered()
    told = play.news() + play.feed(bytes(6000), C) + play.finish()
    assert told == [f"gap {len(held)} limit", f"gap {len(junk) + 6000} resync", "3 verified"]


def test_bytes_that_came_out_with_a_message_are_not_named_as_shed() -> None:
    play = Play()
    quoting = with_flip(message(2, body=b"\x0a\x05" + B + C + b"\xff" * 30), 45)
    assert play.feed(A, quoting, C[:20]) == ["1 verified", "2 sha1-mismatch"]
    play.framer.drop_buffered()
    assert play.news() + play.feed(bytes(100) + D, E) == ["gap 20 limit", "gap 100 resync", "4 verified", "5 verified"]


@pytest.mark.parametrize(("junk", "lost"), [(0, "9 gap"), (50, "gap 450 resync")], ids=["in its place", "in doubt"])
def test_whole_messages_in_what_a_message_with_a_hole_claims(junk: int, lost: str) -> None:
    play = Play()
    told = play.feed(A, bytes(junk) + message(9, 700)[:300]) + play.hole(200)
    told += play.feed(bytes(100) + B + C + D, E) + play.finish()
    assert told == ["1 verified", "gap 200 lost", lost, "2 verified", "3 verified", "4 verified", "5 verified"]


def test_holes_before_the_first_header_are_told_one_by_one_only_if_they_are_few() -> None:
    few, many = Play(), Play()
    for play, holes in ((few, 3), (many, 1000)):
        for number in range(holes):
            play.hole(100, "lost" if number == 50 else "snaplen")
        told = play.feed(A, B)
        gaps = [line.split() for line in told[:-2]]
        assert sum(int(size) for _, size, _ in gaps) == holes * 100
        assert told[-2:] == ["1 verified", "2 verified"]
        assert len(gaps) < 20
        assert gaps.count(["gap", "100", "lost"]) == (holes > 50)
    assert told[:2] == ["gap 100 snaplen", "gap 100 snaplen"]
