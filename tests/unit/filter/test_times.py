"""Times in filters: every spelling, zones, spans, times of day, periods; against datetime and zoneinfo."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.errors import FilterError
from decoder.filter import times
from decoder.filter.times import period, time_predicate
from tests.support.command import posix

SECOND = 10**9
DAY = 86_400 * SECOND


def ns(text: str) -> int:
    """Nanoseconds since 1970 of an ISO time with a zone."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


@pytest.fixture
def hong_kong(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Hong_Kong")
    time.tzset()
    times._offsets.clear()
    yield
    monkeypatch.undo()
    time.tzset()
    times._offsets.clear()


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", "2026-01-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        ("2026-12", "2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        ("2026-11", "2026-11-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00"),
        ("2026-11-22", "2026-11-22T00:00:00+00:00", "2026-11-23T00:00:00+00:00"),
        ("2026-11-22T16", "2026-11-22T16:00:00+00:00", "2026-11-22T17:00:00+00:00"),
        ("2026-11-22 16:20", "2026-11-22T16:20:00+00:00", "2026-11-22T16:21:00+00:00"),
        ("2026-11-22 16:20:02Z", "2026-11-22T16:20:02+00:00", "2026-11-22T16:20:03+00:00"),
        ("2026-11-22T16:20:02+08:00", "2026-11-22T16:20:02+08:00", "2026-11-22T16:20:03+08:00"),
        ("2026-11-22T16:20-0530", "2026-11-22T16:20:00-05:30", "2026-11-22T16:21:00-05:30"),
    ],
)
def test_spans(text: str, start: str, end: str) -> None:
    first, after = ns(start), ns(end)
    inside = time_predicate("=", text, utc=True)
    assert [inside(t) for t in (first - 1, first, after - 1, after)] == [False, True, True, False]
    signs = {"!=": (1, 0, 0, 1), "<": (1, 0, 0, 0), "<=": (1, 1, 1, 0), ">": (0, 0, 0, 1), ">=": (0, 1, 1, 1)}
    for sign, expected in signs.items():
        test = time_predicate(sign, text, utc=True)
        assert [int(test(t)) for t in (first - 1, first, after - 1, after)] == list(expected), sign


def test_fractions_are_exact() -> None:
    second = ns("2026-11-22T16:20:02+00:00")
    inside = time_predicate("=", "2026-11-22T16:20:02.123456789Z")
    assert [inside(second + 123_456_788 + step) for step in range(3)] == [False, True, False]
    tenth = time_predicate("=", "2026-11-22T16:20:02.1Z")
    assert tenth(second + 199_999_999)
    assert not tenth(second + 200_000_000)


@posix
@pytest.mark.usefixtures("hong_kong")
def test_a_time_without_a_zone_is_local() -> None:
    local = ns("2026-11-22T16:20:02+08:00")
    assert time_predicate("=", "2026-11-22 16:20:02")(local)
    assert time_predicate("=", "16:20:02")(local)
    assert time_predicate("=", "16:20")(local)
    assert time_predicate("=", "08:20:02Z")(local)
    assert time_predicate("=", "09:20:02+09:00")(local) is False
    assert time_predicate("=", "17:20:02+09:00")(local)
    assert time_predicate("=", "08:20:02", utc=True)(local)
    assert time_predicate("=", "2026-11-22 08:20:02", utc=True)(local)
    assert not time_predicate("=", "2026-11-22 08:20:02")(local)


@posix
def test_summer_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of New York goes from 2:00 to 3:00 on 8 March 2026."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    times._offsets.clear()
    try:
        change = ns("2026-03-08T07:00:00+00:00")
        assert time_predicate("=", "01:59")(change - SECOND)
        assert time_predicate("=", "03:00")(change)
        assert time_predicate(">=", "2026-03-08 03:00")(change)
        assert not time_predicate(">=", "2026-03-08 03:00")(change - SECOND)
    finally:
        monkeypatch.undo()
        time.tzset()
        times._offsets.clear()


@given(st.integers(0, 2**61), st.integers(-14 * 60, 14 * 60))
def test_times_of_day_in_any_zone(time_ns: int, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=time_ns // SECOND)
    there = moment.astimezone(zone)
    sign, ahead = ("-" if minutes < 0 else "+"), abs(minutes)
    text = f"{there:%H:%M:%S}{sign}{ahead // 60:02}:{ahead % 60:02}"
    assert time_predicate("=", text)(time_ns)
    assert not time_predicate("=", text)(time_ns + SECOND)


def test_periods() -> None:
    day = ns("2026-11-22T00:00:00+00:00")
    clock = {name: day + (int(name[:2]) * 60 + int(name[3:])) * 60 * SECOND for name in ("09:59", "10:00", "10:15")}
    both = period("10:00", "10:15", utc=True)
    assert [both(clock[name]) for name in clock] == [False, True, True]
    assert both(clock["10:15"] + 59 * SECOND)  # the minute is included
    assert not both(clock["10:15"] + 60 * SECOND)
    assert both(clock["10:00"] + 3 * DAY)
    night = period("22:00", "02:00", utc=True)
    assert [night(day + hour * 3600 * SECOND) for hour in (1, 3, 21, 23)] == [True, False, False, True]
    assert period("2026-11-22", None, utc=True)(day)
    assert not period("2026-11-22", None, utc=True)(day - 1)
    assert period(None, "2026-11-21", utc=True)(day - 1)
    assert not period(None, "2026-11-21", utc=True)(day)
    mixed = period("2026-11-22", "10:00", utc=True)
    assert [mixed(clock["10:00"] - DAY), mixed(clock["10:00"]), mixed(clock["10:15"])] == [False, True, False]


@pytest.mark.parametrize(
    "text", ["", "yesterday", "25:00", "10:61", "2026-13", "2026-02-30", "10", "2026-11-22T10:15:00+99:00", "0000"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(FilterError):
        time_predicate("=", text)


def test_an_end_before_its_start() -> None:
    with pytest.raises(FilterError, match="is before"):
        period("2026-11-22", "2026-11-21")


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no local time before 1970")
@pytest.mark.parametrize("time_ns", [0, -(10**18), 2**63 - 1])
def test_times_of_damaged_captures(time_ns: int) -> None:
    for text in ("10:00", "2026", "10:00Z"):
        time_predicate("=", text)(time_ns)
