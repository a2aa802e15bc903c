"""Where frames go on after a hole, and what is only quoted: the playbook of tests/test_framing.py, continued."""

from __future__ import annotations

import pytest

from tests.unit.framing.test_framer import SIZE, A, B, C, D, E, Play, message, with_flip, with_length

# Quotations


QUOTED = message(100) + message(101) + message(102)


@pytest.mark.parametrize("mss", [7, 100, 1448, 100_000])
@pytest.mark.parametrize("tail", [b"", b"\xff" * 9])
def test_whole_frames_in_a_body_are_not_messages(tail: bytes, mss: int) -> None:
    play = Play()
    quoting = message(2, body=b"\x0a\x05" + QUOTED + tail)
    assert play.feed(A, quoting, B, mss=mss) + play.finish() == ["1 verified", "2 verified", "2 verified"]


@pytest.mark.parametrize("mss", [7, 100, 1448, 100_000])
@pytest.mark.parametrize("tail", [b"", b"\xff" * 9])
def test_nor_if_that_body_is_damaged(tail: bytes, mss: int) -> None:
    play = Play()
    quoting = with_flip(message(2, body=b"\x0a\x05" + QUOTED + tail), 45)
    assert play.feed(A, quoting, C, mss=mss) + play.finish() == ["1 verified", "2 sha1-mismatch", "3 verified"]


@pytest.mark.parametrize("mss", [60, 1448, 100_000])
def test_nor_if_it_comes_after_a_hole_that_took_its_header(mss: int) -> None:
    quoting = message(2, body=bytes(100) + QUOTED + b"\xff" * 50)
    play = Play()
    assert play.feed(A) == ["1 verified"]
    assert play.hole(80) == ["gap 80 lost"]
    told = play.feed(quoting[80:], C, D, mss=mss) + play.finish()
    assert told == [f"gap {len(quoting) - 80} resync", "3 verified", "4 verified"]


@pytest.mark.parametrize("mss", [60, 1448, 100_000])
def test_nor_where_the_capture_begins(mss: int) -> None:
    quoting = message(2, body=bytes(100) + QUOTED + b"\xff" * 50)
    play = Play(confirmed=False, begins_at_first_byte=False)
    told = play.feed(quoting[80:], C, D, mss=mss) + play.finish()
    assert told == [f"gap {len(quoting) - 80} mid-stream", "3 verified", "4 verified"]


def test_a_message_that_quotes_and_is_cut_by_the_end() -> None:
    play = Play()
    quoting = message(2, body=bytes(100) + QUOTED + b"\xff" * 500)
    assert play.feed(A + quoting[:-400]) == ["1 verified"]
    assert play.finish() == ["2 unfinished"]


def test_a_plausible_header_in_a_body_is_no_message() -> None:
    play = Play()
    fake = with_length(message(9), 20)
    assert play.feed(A) == ["1 verified"]
    assert play.hole(80) == ["gap 80 lost"]
    told = play.feed(bytes(50) + fake[:44] + bytes(100) + B, C) + play.finish()
    assert told == ["gap 194 resync", "2 verified", "3 verified"]


def test_a_plausible_header_that_claims_more_than_comes_holds_nobody_up_for_good() -> None:
    play = Play()
    fake = with_length(message(9), 20_000)
    play.feed(A)
    play.hole(80)
    play.feed(bytes(50) + fake[:44] + bytes(100) + B)
    assert play.feed(C, D) == []
    assert play.finish() == ["gap 194 resync", "2 verified", "3 verified", "4 verified"]


# Holes


def test_a_hole_in_a_body_costs_that_message() -> None:
    play = Play()
    assert play.feed(A + B[:50]) == ["1 verified"]
    assert play.hole(10) == ["gap 10 lost"]
    assert play.feed(B[60:70]) == []
    assert play.feed(B[70:]) == ["2 gap"]
    assert play.feed(C) == ["3 verified"]
    assert play.frames == [(1,), (1, 2, 3), (4,)]


def test_several_holes_in_one_message() -> None:
    play = Play()
    long = message(2, 500)
    play.feed(A + long[:100])
    play.hole(50)
    play.feed(long[150:200])
    play.hole(100)
    assert play.feed(long[300:] + C) == ["2 gap", "3 verified"]
    assert play.frames[1] == (1, 2, 3)


def test_what_the_snap_length_cut_is_truncated() -> None:
    play = Play()
    play.feed(A + B[:50])
    assert play.hole(SIZE - 50, "snaplen") == [f"gap {SIZE - 50} snaplen", "2 truncated"]
    assert play.feed(C[:44]) == []
    assert play.hole(30, "snaplen") == ["gap 30 snaplen", "3 truncated"]
    assert play.feed(D) == ["4 verified"]


def test_truncated_and_lost_is_lost() -> None:
    play = Play()
    long = message(2, 500)
    play.feed(long[:100])
    play.hole(50, "snaplen")
    play.feed(long[150:200])
    assert play.hole(len(long) - 200) == [f"gap {len(long) - 200} lost", "2 gap"]


def test_a_hole_over_whole_messages() -> None:
    play = Play()
    play.feed(A)
    assert play.hole(2 * SIZE) == [f"gap {2 * SIZE} lost"]
    assert play.feed(D) == ["4 verified"]


def test_a_hole_from_one_message_into_the_next() -> None:
    play = Play()
    play.feed(A + B[:60])
    assert play.hole(20) == ["gap 20 lost", "2 gap"]
    assert play.feed(C[6:]) == []
    assert play.feed(D) == [f"gap {SIZE - 6} resync", "4 verified"]


def test_a_hole_in_a_header() -> None:
    play = Play()
    play.feed(A + B[:20])
    assert play.hole(10) == ["gap 10 lost"]
    assert play.feed(B[30:], C) == [f"gap {SIZE - 10} resync", "3 verified"]


def test_a_message_between_two_holes() -> None:
    play = Play()
    play.feed(A)
    play.hole(100)
    assert play.feed(bytes(20) + B) == []
    assert play.hole(100) == ["gap 20 resync", "2 verified", "gap 100 lost"]


def test_a_message_after_a_hole_that_begins_a_packet_comes_out_at_once() -> None:
    play = Play()
    play.feed(A)
    play.hole(100)
    assert play.feed(bytes(20), B) == ["gap 20 resync", "2 verified"]


def test_a_message_after_a_hole_that_begins_no_packet_waits_for_one_that_does() -> None:
    """It may be a quotation that goes on in the next packet."""
    play = Play()
    play.feed(A)
    play.hole(100)
    assert play.feed(bytes(20) + B) == []
    assert play.framer.waiting_for_ack is not None
    assert play.feed(C[:20]) == []
    assert play.feed(C[20:] + D[:70]) == []
    assert play.feed(D[70:]) == []
    assert play.feed(E) == ["gap 20 resync", "2 verified", "3 verified", "4 verified", "5 verified"]


def test_it_waits_no_longer_than_its_owner_wants() -> None:
    play = Play()
    play.feed(A)
    play.hole(100)
    play.feed(bytes(20) + B)
    play.framer.resume(give_up=True)
    assert play.news() == ["gap 20 resync", "2 verified"]


def test_a_header_after_a_hole_whose_body_has_another_hole_counts_if_one_stands_where_it_ends() -> None:
    play = Play()
    play.feed(A)
    play.hole(100)
    assert play.feed(bytes(20) + B[:60]) == []
    assert play.hole(10) == ["gap 10 lost"]
    assert play.feed(B[70:] + C) == ["gap 20 resync", "2 gap", "3 verified"]


def test_a_header_after_a_hole_whose_body_has_another_hole_does_not_count_otherwise() -> None:
    play = Play()
    play.feed(A)
    play.hole(100)
    play.feed(bytes(20) + B[:60])
    play.hole(10)
    assert play.feed(B[70:] + bytes(60) + C, D) == [f"gap {20 + 64 + 60} resync", "3 verified", "4 verified"]


JUNK = b"\xff" * 60


def test_a_sealed_message_after_a_hole_is_no_quotation_whatever_follows_it() -> None:
    play = Play(sealed=True)
    play.feed(A)
    play.hole(100)
    assert play.feed(bytes(20) + B + JUNK, D) == ["gap 20 resync", "2 verified", "gap 60 resync", "4 verified"]


def test_nor_are_messages_in_a_row_that_begin_a_packet() -> None:
    play = Play()
    play.feed(A)
    play.hole(100)
    told = play.feed(bytes(20), B + C + JUNK, D)
    assert told == ["gap 20 resync", "2 verified", "3 verified", "gap 60 resync", "4 verified"]


@pytest.mark.parametrize("after", [b"\xff", b"\xff" * 43])
def test_one_that_bytes_follow_which_begin_no_header_is(after: bytes) -> None:
    play = Play()
    play.feed(A)
    play.hole(100)
    assert play.feed(bytes(20) + B + after) + play.finish() == [f"gap {20 + SIZE + len(after)} resync"]


def test_a_message_after_a_hole_counts_if_a_damaged_header_follows_it() -> None:
    play = Play()
    play.feed(A)
    play.hole(100)
    told = play.feed(bytes(20) + B + with_flip(C, 0) + D, E) + play.finish()
    assert [each for each in told if not each.startswith("gap")] == ["2 verified", "4 verified", "5 verified"]


def test_a_damaged_length_after_a_hole() -> None:
    play = Play()
    play.feed(A)
    play.hole(100)
    told = play.feed(bytes(20) + with_length(B, 5000), C, D) + play.finish()
    assert told == ["gap 20 resync", "2 cut short", "3 verified", "4 verified"]


def test_a_first_message_that_fails_counts_with_the_one_behind_it() -> None:
    play = Play(confirmed=False)
    bad = with_flip(A, 50)
    told = play.feed(bad[:20], bad[20:] + B + JUNK) + play.finish()
    assert told == ["1 sha1-mismatch", "2 verified", "gap 60 resync"]


def test_a_damaged_length_and_sha1_cut_where_the_next_message_begins() -> None:
    play = Play()
    told = play.feed(A + with_flip(with_length(B, SIZE - 44 + 20), 20) + C, D)
    assert told == ["1 verified", "2 cut short", "3 verified", "4 verified"]


def test_a_damaged_length_and_a_hole() -> None:
    play = Play()
    play.feed(A, with_length(B, 300)[:60])
    assert play.hole(SIZE - 60) == [f"gap {SIZE - 60} lost"]
    assert play.feed(C, D, E, message(6)) == ["2 gap", "3 verified", "4 verified", "5 verified", "6 verified"]


def test_a_damaged_length_and_a_hole_where_no_header_stands_at_its_end() -> None:
    play = Play()
    play.feed(A, with_length(B, 120)[:60])
    play.hole(SIZE - 60)
    told = play.feed(C, D) + play.finish()
    assert told == ["2 gap", "3 verified", "4 verified"]
