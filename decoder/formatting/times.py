"""Formats times for machines."""

from __future__ import annotations

from datetime import datetime, timedelta

from decoder.bounded import BoundedDict

__all__ = ["rfc3339"]


def _to_second(seconds: int) -> str:
    try:
        return (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat()
    except OverflowError:  # the time stamp of a damaged capture
        return "9999-12-31T23:59:59"


_seconds = BoundedDict(4096, _to_second)  # texts of recent seconds; a second holds thousands of messages


def rfc3339(time_ns: int) -> str:
    """Returns `time_ns` (nanoseconds since 1970, UTC) as RFC 3339 with nine decimals."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{_seconds[seconds]}.{nanoseconds:09d}Z"
