"""The account of a direction: what comes out as a gap, and when."""

from __future__ import annotations

from decoder.framing.account import Account
from decoder.vocabulary import Arrival, GapReason


class Handler:
    """Takes the gaps."""

    now = Arrival((9,), 90)

    def __init__(self) -> None:
        self.gaps: list[tuple[int, str, int]] = []

    def handle_gap(self, size: int, reason: GapReason, arrival: Arrival) -> None:
        self.gaps.append((size, reason, arrival.packets[-1]))


def account(begin: int = 0) -> tuple[Account, Handler]:
    handler = Handler()
    return Account(handler, begin), handler  # type: ignore[arg-type]


def test_a_gap_is_the_difference_of_two_offsets() -> None:
    one, handler = account(100)
    one.begin_message(100)
    one.end_message(160)
    one.begin_message(200)
    one.end_message(300)
    one.finish(310)
    assert handler.gaps == [(40, "resync", 9), (10, "resync", 9)]


def test_a_hole_is_no_part_of_what_was_skipped() -> None:
    one, handler = account()
    one.begin_message(0)
    one.end_message(50)
    one.hole(20, "lost", Arrival((3,), 30))
    one.begin_message(100)
    assert handler.gaps == [(20, "lost", 3), (30, "resync", 9)]


def test_a_hole_in_a_message_is_all_that_is_missing_of_it() -> None:
    one, handler = account()
    one.begin_message(0)
    one.hole(20, "lost")
    one.end_message(100)
    one.begin_message(100)
    assert handler.gaps == [(20, "lost", 9)]


def test_what_lies_before_the_first_message_is_told_with_it() -> None:
    one, handler = account()
    one.hole(20, "snaplen", Arrival((2,), 20))
    assert one.nothing_told is False
    one.note_skipped(30)
    assert (handler.gaps, one.skipped_before(35)) == ([], 15)
    one.begin_message(40)
    assert handler.gaps == [(20, "snaplen", 2), (20, "mid-stream", 9)]
    assert one.first_frame == 40


def test_holes_before_the_first_message_are_merged_by_reason_where_there_are_many() -> None:
    one, handler = account()
    for number in range(100):
        one.hole(1, "lost" if number % 2 else "snaplen")
    one.begin_message(100)
    assert len(handler.gaps) == 16
    assert sum(size for size, _, _ in handler.gaps) == 100
    assert {reason for _, reason, _ in handler.gaps} == {"lost", "snaplen"}


def test_a_stream_without_a_message_is_told_on_demand() -> None:
    one, handler = account()
    one.finish(70)
    assert handler.gaps == []
    one.report_silent()
    assert handler.gaps == [(70, "mid-stream", 9)]


def test_a_message_inside_another_that_came_out_takes_nothing_back() -> None:
    one, handler = account()
    one.begin_message(0)
    one.end_message(100)
    one.begin_message(50)
    one.end_message(80)
    one.begin_message(120)
    assert handler.gaps == [(20, "resync", 9)]
