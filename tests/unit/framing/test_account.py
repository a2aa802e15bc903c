"""Each byte of a direction comes out in one message or one gap."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from decoder.framing.account import Account
from decoder.vocabulary import Arrival

NOW = Arrival((9,), 90)


class Gaps(list[tuple[int, str]]):
    """Stands for the handler of frames: keeps the gaps."""

    now = NOW

    def handle_gap(self, size: int, reason: str, arrival: Arrival) -> None:
        self.append((size, reason))


def account(begin: int = 100) -> tuple[Account, Gaps]:
    gaps: Any = Gaps()
    return Account(gaps, begin), gaps


def test_what_lies_before_the_first_message_is_mid_stream_and_between_messages_resync() -> None:
    stream, gaps = account()
    stream.begin_message(110)
    stream.end_message(150)
    stream.begin_message(150)
    stream.end_message(200)
    stream.begin_message(207)
    stream.end_message(250)
    stream.finish(253)
    assert gaps == [(10, "mid-stream"), (7, "resync"), (3, "resync")]


def test_a_hole_is_a_gap_of_its_own() -> None:
    stream, gaps = account()
    stream.begin_message(100)
    stream.end_message(150)
    stream.hole(30, "lost")
    stream.begin_message(190)
    assert gaps == [(30, "lost"), (10, "resync")]


def test_holes_before_the_first_message_wait_for_it() -> None:
    stream, gaps = account()
    stream.hole(30, "lost")
    assert gaps == []
    stream.begin_message(150)
    assert gaps == [(30, "lost"), (20, "mid-stream")]


def test_many_of_them_are_merged() -> None:
    stream, gaps = account()
    for _ in range(1_000):
        stream.hole(2, "snaplen")
    stream.begin_message(2_100)
    assert len(gaps) == 16
    assert sum(size for size, _ in gaps) == 2_000


def test_a_stream_without_a_message_is_reported_only_when_asked() -> None:
    stream, gaps = account()
    stream.finish(140)
    assert gaps == []
    stream.report_silent()
    assert gaps == [(40, "mid-stream")]


@given(st.lists(st.tuples(st.sampled_from(["message", "hole", "skip"]), st.integers(1, 1_000)), max_size=30))
def test_messages_and_gaps_are_all_bytes(steps: list[tuple[str, int]]) -> None:
    stream, gaps = account()
    offset, messages = 100, 0
    for step, size in [*steps, ("message", 44)]:
        if step == "message":
            stream.begin_message(offset)
            stream.end_message(offset + size)
            messages += size
        elif step == "hole":
            stream.hole(size, "lost")
        offset += size
    stream.finish(offset)
    assert messages + sum(size for size, _ in gaps) == offset - 100
