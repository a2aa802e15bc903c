"""Formats times and durations for people, and finds the time zone of a text that a time stamp accompanies."""

from __future__ import annotations

import time
from datetime import datetime, timezone

__all__ = ["latency_text", "local_time", "zone_of"]

_WITH_TIME = len("2026-11-28 09:30")  # characters: a date alone is the same in every zone
_QUARTER = 900  # seconds: offsets of time zones are multiples of a quarter of an hour
_MAX_OFFSET = 14 * 3600  # seconds: the greatest offset in use, UTC+14
_TOLERANCE = 1.0  # seconds: the text may be cut to whole seconds where the stamp is not


def local_time(seconds: float, utc: bool) -> str:
    """Returns a time (seconds since 1970) as ``2023-11-15 09:30:00``; the number itself if it is out of range."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds) if utc else time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.15g}"


def latency_text(nanoseconds: int) -> str:
    """Returns a latency with three significant digits and a fitting unit: ``545 µs``."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        value = nanoseconds / size
        if abs(value) >= 0.9995:
            return f"{value:.{2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0}f} {unit}"
    return f"{nanoseconds} ns"


def zone_of(text: str | bytes, stamp: float) -> str | None:
    """Returns the zone of the time in `text`, as ``UTC-4``, given the same time as seconds since 1970.

    None if `text` is not a date with a time of day, if there is no stamp (0), or if the two are not the same time in
    any zone.  The gateway writes times in the zone of the market (futures: as set in its configuration).
    """
    if not stamp or not isinstance(text, str) or len(text) < _WITH_TIME:
        return None
    try:
        local = datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc).timestamp()
        offset = round((local - stamp) / _QUARTER) * _QUARTER
    except (ValueError, OverflowError):
        return None
    if abs(offset) > _MAX_OFFSET or abs(stamp + offset - local) > _TOLERANCE:
        return None
    hours, minutes = divmod(abs(offset) // 60, 60)
    return f"UTC{'-' if offset < 0 else '+'}{hours}" + (f":{minutes:02}" if minutes else "")
