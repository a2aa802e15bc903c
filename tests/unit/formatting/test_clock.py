"""Times and durations for people."""

from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest

from decoder.formatting.clock import latency_text, local_time, zone_of


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (545_000, "545 µs"),
        (999_499, "999 µs"),
        (999_600, "1.00 ms"),
        (1_234_567, "1.23 ms"),
        (12_345_678, "12.3 ms"),
        (12_000_000_000, "12.0 s"),
        (3_600_000_000_000, "3600 s"),
        (-2_000_000, "-2.00 ms"),
    ],
)
def test_latency(nanoseconds: int, text: str) -> None:
    assert latency_text(nanoseconds) == text


def test_times_that_no_calendar_has() -> None:
    assert local_time(0, True) == "1970-01-01 00:00:00"
    for seconds in (1e300, float("nan"), float("inf"), 2.0**63):
        assert local_time(seconds, True) == f"{seconds:.15g}"
        assert local_time(seconds, False) == f"{seconds:.15g}"


@pytest.mark.parametrize(
    ("zone", "when", "text"),
    [
        ("Asia/Hong_Kong", datetime(2026, 7, 5, 16, 43), "UTC+8"),
        ("America/New_York", datetime(2026, 7, 5, 4, 43), "UTC-4"),
        ("America/New_York", datetime(2026, 1, 5, 4, 43), "UTC-5"),
        ("Asia/Kolkata", datetime(2026, 1, 5, 4, 43), "UTC+5:30"),
        ("Europe/London", datetime(2026, 1, 5, 4, 43), "UTC+0"),
    ],
)
def test_the_zone_of_a_text_follows_from_its_time_stamp(zone: str, when: datetime, text: str) -> None:
    stamp = when.replace(tzinfo=ZoneInfo(zone)).timestamp()
    assert zone_of(when.isoformat(" "), stamp) == text
    assert zone_of(when.isoformat(" ") + ".809", stamp + 0.809) == text


def test_without_a_time_stamp_that_fits_no_zone_is_made_up() -> None:
    noon = datetime(2026, 7, 5, 12, tzinfo=timezone.utc).timestamp()
    assert zone_of("2026-07-05 12:00:00", noon) == "UTC+0"
    assert zone_of("2026-07-05 12:00:00", 0) is None
    assert zone_of("2026-07-05 12:07:00", noon) is None  # no zone is seven minutes off
    assert zone_of("2026-07-06 12:00:00", noon) is None  # nor a whole day
    assert zone_of("12:00:00", noon) is None
    assert zone_of("2026-07-05", noon - 12 * 3600) is None
    assert zone_of(b"\xff", noon) is None
    for stamp in (float("nan"), float("inf"), -1e300):
        assert zone_of("2026-07-05 12:00:00", stamp) is None
