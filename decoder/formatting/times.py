"""Formats times."""

from __future__ import annotations

from datetime import datetime, timedelta

__all__ = ["rfc3339"]

_MAX_SECONDS = 4096  # seconds whose text is kept; a second holds thousands of messages

_seconds: dict[int, str] = {}


def rfc3339(time_ns: int) -> str:
    """Returns `time_ns` (nanoseconds since 1970, UTC) as RFC 3339 with nine decimals."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    text = _seconds.get(seconds)
    if text is None:
        try:
            text = (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat()
        except OverflowError:  # the time stamp of a damaged capture
            text = "9999-12-31T23:59:59"
        if len(_seconds) > _MAX_SECONDS:
            _seconds.clear()
        _seconds[seconds] = text
    return f"{text}.{nanoseconds:09d}Z"
