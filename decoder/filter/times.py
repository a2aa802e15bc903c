"""Parses times that people write in ``--where``, ``--from`` and ``--to``, and compares messages with them.

A time is a date, or a part of one, and a time of day: ``2026-11-22T16:20:02.5``, ``2026-11-22 16:20``, ``2026-11``.
A time of day alone (``10:00``) means that time on every day.  Without a zone (``Z``, ``+08:00``) a time is local, or
UTC where ``--utc`` is given.  A time that is cut short stands for the whole span: ``10:15`` is a minute.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from operator import ge, gt, le, lt
from typing import NamedTuple

from decoder.bounded import BoundedDict
from decoder.errors import FilterError

__all__ = ["TimeOfDay", "TimeSpan", "period", "time_predicate"]

TimePredicate = Callable[[int], bool]

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_UNITS = (86_400, 3_600, 60, 1)
"""Seconds of a day, an hour, a minute, a second."""

_CLOCK = r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
_ZONE = r"(Z|[+-][0-9]{2}:?[0-9]{2})?"
_DATE = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[T ]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)?)?)?)?" + _ZONE
)
_TIME_OF_DAY = re.compile(_CLOCK + _ZONE)
_ORDER: Mapping[str, Callable[[int, int], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


class TimeSpan(NamedTuple):
    """A span of time: from `start` to just before `end`, in nanoseconds since 1970, UTC."""

    start: int
    end: int

    def of(self, time_ns: int) -> int:
        """Returns what of a time is compared with the bounds: all of it."""
        return time_ns


class TimeOfDay(NamedTuple):
    """A span of every day: from `start` to just before `end`, in nanoseconds since midnight in a zone."""

    start: int
    end: int
    zone: timezone | None
    """None for local time."""

    def of(self, time_ns: int) -> int:
        """Returns the time of day of `time_ns`, in nanoseconds since midnight."""
        if self.zone is None:
            return (time_ns + _offsets[time_ns // (900 * _SECOND)]) % _DAY
        return (time_ns + _offset(self.zone)) % _DAY


def time_predicate(sign: str, text: str, *, utc: bool = False) -> TimePredicate:
    """Returns a test of a time in nanoseconds since 1970.  Raises FilterError for a text that is no time."""
    span = _parse(text, utc)
    of, start, end = span.of, span.start, span.end
    if sign == "=":
        return lambda time_ns: start <= of(time_ns) < end
    if sign == "!=":
        return lambda time_ns: not start <= of(time_ns) < end
    bound = start if sign in ("<", ">=") else end - 1
    order = _ORDER[sign]
    return lambda time_ns: order(of(time_ns), bound)


def period(start: str | None, end: str | None, *, utc: bool = False) -> TimePredicate:
    """Returns a test for the times from `start` to `end`, both included; None leaves a side open.

    Two times of day of which the first is the later one mean a night: ``22:00`` to ``02:00``.
    Raises FilterError for a text that is no time, and for an end that is before its start.
    """
    first = None if start is None else _parse(start, utc)
    last = None if end is None else _parse(end, utc)
    if first is None or last is None:
        if first is not None:
            return time_predicate(">=", start or "", utc=utc)
        return time_predicate("<=", end or "", utc=utc)
    if first.start >= last.end and type(first) is type(last):
        if isinstance(last, TimeSpan):
            raise FilterError(f"{end} is before {start}")
        return lambda time_ns: first.of(time_ns) >= first.start or last.of(time_ns) < last.end
    return lambda time_ns: first.of(time_ns) >= first.start and last.of(time_ns) < last.end


def _parse(text: str, utc: bool) -> TimeSpan | TimeOfDay:
    try:
        match = _TIME_OF_DAY.fullmatch(text)
        if match is not None:
            return _time_of_day(match, utc)
        match = _DATE.fullmatch(text)
        if match is not None:
            return _time_span(match, utc)
    except (ValueError, OverflowError, OSError) as error:
        raise FilterError(f"{text!r} is no time: {error}") from None
    example = "2026-11-20T10:15:00, '2026-11-20 10:15' or 10:15"
    raise FilterError(f"expected a time such as {example} (with Z or +08:00 unless it is local), not {text!r}")


def _time_of_day(match: re.Match[str], utc: bool) -> TimeOfDay:
    hour, minute, second, fraction, zone = match.groups()
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second or 0)
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 59:
        raise ValueError("a day has 24 hours, an hour 60 minutes")
    start, length = _with_fraction(seconds * _SECOND, 1 if second else 60, fraction)
    return TimeOfDay(start, start + length, _zone(zone, utc))


def _time_span(match: re.Match[str], utc: bool) -> TimeSpan:
    *fields, fraction, zone_text = match.groups()
    parts = [int(part) for part in fields if part is not None]
    zone = _zone(zone_text, utc)
    year, month, day, *clock = [*parts, *(1, 1)[len(parts) - 1 :]] if len(parts) < 3 else parts
    begin = datetime(year, month, day, *clock, tzinfo=zone)  # type: ignore[misc, arg-type]
    if len(parts) > 2:
        start, length = _with_fraction(_since_1970(begin), _UNITS[len(parts) - 3], fraction)
        return TimeSpan(start, start + length)
    following = begin.replace(year=year + month // 12, month=month % 12 + 1) if len(parts) == 2 else None
    return TimeSpan(_since_1970(begin), _since_1970(following or begin.replace(year=year + 1)))


def _with_fraction(start: int, seconds: int, fraction: str | None) -> tuple[int, int]:
    """Returns start and length in nanoseconds of a span of `seconds`, or of the last digit of its fraction."""
    if fraction is None:
        return start, seconds * _SECOND
    return start + int(fraction.ljust(9, "0")), 10 ** (9 - len(fraction))


def _zone(text: str | None, utc: bool) -> timezone | None:
    """Returns the zone, None for local time."""
    if text == "Z" or (text is None and utc):
        return timezone.utc
    if text is None:
        return None
    digits = text[1:].replace(":", "")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(ahead if text[0] == "+" else -ahead)


def _since_1970(moment: datetime) -> int:
    """Returns nanoseconds since 1970, without the rounding of a float; `moment` is local if it has no zone."""
    if moment.tzinfo is None:
        moment = moment.astimezone()
    return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1) * 1000


def _offset(zone: timezone) -> int:
    return zone.utcoffset(None) // timedelta(seconds=1) * _SECOND


def _local_offset(quarter: int) -> int:
    """Returns by how many nanoseconds local time is ahead of UTC in a quarter of an hour since 1970."""
    try:
        return time.localtime(quarter * 900).tm_gmtoff * _SECOND
    except (OverflowError, ValueError, OSError):  # the time stamp of a damaged capture
        return 0


_offsets = BoundedDict(4096, _local_offset)  # quarters of an hour: no zone changes its offset between two of them
