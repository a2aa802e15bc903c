"""Times for machines."""

from __future__ import annotations

from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st

from decoder.formatting.times import rfc3339

LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)


def test_nine_decimals_and_z() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"
    assert rfc3339(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456789Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999999999Z"


@given(st.integers(0, int(LAST.timestamp()) * 10**9))
def test_as_the_calendar_of_the_standard_library(time_ns: int) -> None:
    shown = rfc3339(time_ns)
    assert datetime.fromisoformat(shown[:19]).replace(tzinfo=timezone.utc) == datetime.fromtimestamp(
        time_ns // 10**9, timezone.utc
    )
    assert shown[19:] == f".{time_ns % 10**9:09d}Z"


def test_a_time_that_no_calendar_has_is_the_last_second_of_9999() -> None:
    """The time stamp of a damaged capture must not end the output."""
    assert rfc3339((1 << 63) * 1000).startswith("9999-12-31T23:59:59.")
