"""Ticks, times, durations and rates."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.formatting.times import rfc3339
from decoder.output.report.axes import Clock, LogScale, TimeScale, duration, nice_maximum, rate_text, record_ns

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND  # 2023-11-14 22:13:20 UTC
UTC = Clock(utc=True)
zoned = pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be set here")


@given(st.integers(0, 2**62), st.integers(0, 2**59))
def test_ticks_are_few_rising_round_and_inside(first: int, span: int) -> None:
    scale = TimeScale(first, first + span, UTC)
    ticks = list(scale.ticks())
    assert len(ticks) <= 9
    places = [tick.percent for tick in ticks]
    assert places == sorted(set(places))
    assert all(0 <= place <= 100 for place in places)


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0.004, ["22:13:20.000", "22:13:20.001", "22:13:20.002", "22:13:20.003", "22:13:20.004"]),
        (12, ["22:13:20", "22:13:22", "22:13:24", "22:13:26", "22:13:28", "22:13:30", "22:13:32"]),
        (7 * 3_600, ["23:00", "15 Nov 00:00", "01:00", "02:00", "03:00", "04:00", "05:00"]),
        (40 * 3_600, ["15 Nov 00:00", "06:00", "12:00", "18:00", "16 Nov 00:00", "06:00", "12:00"]),
        (6 * 86_400, ["15 Nov", "16 Nov", "17 Nov", "18 Nov", "19 Nov", "20 Nov"]),
    ],
)
def test_labels_have_what_they_need(seconds: float, labels: list[str]) -> None:
    found = [tick.label for tick in TimeScale(START, START + int(seconds * SECOND), UTC).ticks()]
    # Within a day midnight needs no date.
    expected = [label.removeprefix("15 Nov ") if seconds < 86_400 else label for label in labels]
    assert found == expected


@zoned
def test_local_time_and_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        clock = Clock(utc=False)
        assert clock.of_day(START + 5_000_000) == "03:43:20.005"
        assert clock.date(START, year=True) == "15 Nov 2023"
        assert clock.zone(START) == "local time, UTC+05:30"
        assert Clock(utc=True).zone(START) == "UTC"
        ticks = list(TimeScale(START, START + 4 * 3_600 * SECOND, clock).ticks())
        assert [tick.label for tick in ticks] == [
            "04:00",
            "04:30",
            "05:00",
            "05:30",
            "06:00",
            "06:30",
            "07:00",
            "07:30",
        ]
    finally:
        monkeypatch.undo()
        os.environ.pop("TZ", None)
        time.tzset()


def test_a_moment_has_its_date_where_that_is_needed() -> None:
    assert Clock(utc=True).moment(START) == "22:13:20.000"
    assert Clock(utc=True, dates=True).moment(START) == "14 Nov 22:13:20.000"


@pytest.mark.parametrize("time_ns", [-1, 0, 2**63, 2**80])
def test_times_of_damaged_captures(time_ns: int) -> None:
    assert UTC.moment(time_ns)
    assert UTC.zone(time_ns) == "UTC"
    assert len(list(TimeScale(time_ns, time_ns, UTC).ticks())) < 10


@given(st.integers(0, 2**62))
def test_the_time_of_a_record_is_read_back(time_ns: int) -> None:
    assert record_ns(rfc3339(time_ns)) == time_ns
    since = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=time_ns // 1_000)
    assert UTC.of_day(time_ns, 6) == since.strftime("%H:%M:%S.%f")


@given(st.integers(1, 10**17), st.integers(1, 10**17))
def test_a_logarithmic_axis_holds_all_and_rises(one: int, other: int) -> None:
    least, most = sorted((one, other))
    scale = LogScale(least, most)
    ticks = list(scale.ticks())
    assert 1 <= len(ticks) <= 8
    assert [tick.percent for tick in ticks] == sorted(tick.percent for tick in ticks)
    assert scale.percent(least) <= scale.percent(most)


def test_ticks_of_durations_are_those_that_people_use() -> None:
    assert [tick.label for tick in LogScale(3_000_000, 4_000 * SECOND).ticks()] == [
        "1 ms",
        "10 ms",
        "100 ms",
        "1 s",
        "10 s",
        "1 min",
        "10 min",
        "1 h",
        "10 h",
    ][::2]


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (545_000, "545 µs"),
        (999_700, "1 ms"),
        (15_503_000, "15.5 ms"),
        (2_503_000_000, "2.5 s"),
        (59.99 * SECOND, "1 min"),
        (90 * SECOND, "1.5 min"),
        (3_600 * SECOND, "1 h"),
        (3_725 * SECOND, "1 h 2 min"),
        (86_400 * SECOND, "1 day"),
        (10 * 86_400 * SECOND, "10 days"),
        (-2_000_000, "-2 ms"),
    ],
)
def test_durations(nanoseconds: float, text: str) -> None:
    assert duration(nanoseconds) == text


@given(st.floats(1e-6, 1e12))
def test_a_nice_maximum_is_not_far_above(value: float) -> None:
    assert value * 0.999 <= nice_maximum(value) <= value * 1.7


def test_rates() -> None:
    assert [rate_text(value) for value in (0.05, 1.5, 600, 1_200, 16_000)] == ["0.05", "1.5", "600", "1,200", "16k"]
    assert nice_maximum(0) == 1
