"""Quote pushes that stop: with a cause after a minute, without one only if it lasts to the end."""

from __future__ import annotations

import pytest

from decoder.findings.push_silence import PushSilence
from tests.support.messages import Line


class Stream:
    """Pushes a second apart, silences and announcements."""

    def __init__(self) -> None:
        self.line = Line()
        self.silence = PushSilence(self.line.context)

    def pushes(self, count: int = 5, every_s: float = 1) -> Stream:
        for _ in range(count):
            self.silence.push(self.line.wait(every_s).push(3013, b""))
        return self

    def wait(self, seconds: float) -> Stream:
        self.line.wait(seconds)
        return self

    def event(self, text: str = "OpenD is not logged in", *, lost: bool = True) -> Stream:
        self.silence.event(self.line.push(1003, b""), text, lost=lost)
        return self

    def end(self) -> list[str]:
        self.silence.end(self.line.now)
        return self.line.codes


@pytest.mark.parametrize(("seconds", "codes"), [(61, ["warning pushes-stopped 1"]), (59, [])])
def test_after_a_lost_link_a_minute_is_enough(seconds: int, codes: list[str]) -> None:
    stream = Stream().pushes().event().wait(seconds)
    assert stream.end() == codes
    assert stream.silence.reported is bool(codes)


def test_the_text_names_what_was_told_and_the_last_push() -> None:
    stream = Stream().pushes().event("KickedOut").wait(30).event("the links are back", lost=False).wait(60)
    stream.end()
    text = stream.line.text
    assert "after message 5, until the end of what was recorded" in text
    assert "KickedOut (message 6), the links are back (message 7)" in text


def test_a_silence_that_ends_says_with_which_message() -> None:
    stream = Stream().pushes().event().wait(120).pushes(1)
    assert stream.end() == ["warning pushes-stopped 1"]
    assert "until message 7" in stream.line.text


def test_good_news_is_no_cause() -> None:
    assert Stream().pushes().event(lost=False).wait(500).end() == []


def test_a_cause_long_before_the_last_push_is_none() -> None:
    assert Stream().pushes().event().pushes(100).wait(500).end() == []


@pytest.mark.parametrize(("seconds", "codes"), [(601, ["note pushes-stopped 1"]), (599, [])])
def test_without_a_cause_it_takes_ten_minutes(seconds: int, codes: list[str]) -> None:
    assert Stream().pushes().wait(seconds).end() == codes


def test_and_twenty_times_the_longest_silence_before() -> None:
    assert Stream().pushes(5, every_s=40).wait(700).end() == []
    assert Stream().pushes(5, every_s=40).wait(801).end() == ["note pushes-stopped 1"]


def test_a_lunch_break_that_ends_by_itself_is_none() -> None:
    assert Stream().pushes().wait(3_600).pushes().end() == []


def test_two_pushes_are_no_stream() -> None:
    assert Stream().pushes(2).event().wait(1_000).end() == []


def test_after_unsubscribing_nothing_is_expected() -> None:
    stream = Stream().pushes().event()
    stream.silence.forget()
    assert stream.wait(1_000).end() == []
