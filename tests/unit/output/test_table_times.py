"""Times of the gateway in nanoseconds, against the calendar of the standard library."""

from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.formatting.times import rfc3339
from decoder.output.table_times import rfc3339_ns, seconds_ns, utc_ns

ZONES = {"HK.00700": "Asia/Hong_Kong", "SH.600519": "Asia/Shanghai", "US.AAPL": "America/New_York"}


@given(
    st.sampled_from(sorted(ZONES)),
    st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)),
    st.integers(0, 9),
)
def test_a_text_in_the_time_of_its_market(code: str, at: datetime, digits: int) -> None:
    at = at.replace(microsecond=0)
    text = f"{at:%Y-%m-%d %H:%M:%S}" + (f".{'123456789'[:digits]}" if digits else "")
    fraction = int("123456789"[:digits].ljust(9, "0")) if digits else 0
    expected = int(at.replace(tzinfo=ZoneInfo(ZONES[code])).timestamp()) * 10**9 + fraction
    assert utc_ns(text, code) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "HK.00700"),
        ("2026-07-05 04:42:35", None),
        ("2026-07-05 04:42:35", "SG.D05"),
        ("", "HK.00700"),
        ("2026-07-05", "HK.00700"),
        ("2026-13-05 04:42:35", "HK.00700"),
        ("2026-07-05 04:42:61", "HK.00700"),
        ("2026-07-05 04:42:35.1234567890", "HK.00700"),
        ("2026-07-05 04:42:35x123", "HK.00700"),
        ("2026-07-05 04:42:35.٣", "HK.00700"),
        ("9999-07-05 04:42:35", "HK.00700"),  # beyond 64 bits of nanoseconds, as is the next
        ("0001-07-05 04:42:35", "HK.00700"),
    ],
)
def test_what_is_no_time_of_a_known_market_is_none(text: str | None, code: str | None) -> None:
    assert utc_ns(text, code) is None


@given(st.floats(-9.19e9, 9.19e9))
def test_seconds_to_the_microsecond(seconds: float) -> None:
    found = seconds_ns(seconds)
    assert found is not None
    assert found % 1_000 == 0
    assert abs(found / 1e9 - seconds) <= 1e-6 + abs(seconds) * 1e-15


@pytest.mark.parametrize("seconds", [None, 1e300, float("nan"), float("inf"), -1e10])
def test_seconds_that_no_64_bits_hold_are_none(seconds: float | None) -> None:
    assert seconds_ns(seconds) is None


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_rfc_3339_and_back(time_ns: int) -> None:
    assert rfc3339_ns(rfc3339(time_ns)) == time_ns
    assert datetime.fromtimestamp(time_ns // 10**9, timezone.utc).isoformat()[:19] == rfc3339(time_ns)[:19]
