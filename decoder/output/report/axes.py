"""Chooses the ticks of axes and writes times, durations and rates for people."""

from __future__ import annotations

import time
from calendar import timegm
from collections.abc import Iterator
from datetime import datetime, timezone
from math import floor, log10
from typing import NamedTuple

__all__ = ["Clock", "LogScale", "Tick", "TimeScale", "duration", "nice_maximum", "rate_text", "record_ns"]

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_STEPS = tuple(
    int(step * _SECOND)
    for step in (
        *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
        *(60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_419_200),
    )
)
_ROUND = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
_MAX_TICKS = 8
_DURATIONS = (
    *(10**exponent for exponent in range(11)),  # to 10 s
    *(seconds * _SECOND for seconds in (60, 600, 3_600, 36_000, 86_400, 864_000, 8_640_000, 86_400_000)),
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Tick(NamedTuple):
    """A place on an axis, in percent of its length, and the text there."""

    percent: float
    label: str


class Clock:
    """Writes times as people read them: local ones, or UTC; 24 hours.

    :param dates: a moment is written with its date, because the capture is longer than a day
    """

    def __init__(self, *, utc: bool, dates: bool = False) -> None:
        self._utc = utc
        self._dates = dates

    def moment(self, time_ns: int) -> str:
        """Returns ``08:20:02.893``, after the date where that is needed."""
        text = self.of_day(time_ns)
        return f"{self.date(time_ns)} {text}" if self._dates else text

    def _fields(self, time_ns: int) -> time.struct_time:
        seconds = time_ns // _SECOND
        try:
            return time.gmtime(seconds) if self._utc else time.localtime(seconds)
        except (OverflowError, ValueError, OSError):  # the time stamp of a damaged capture
            return time.gmtime(0)

    def offset_ns(self, time_ns: int) -> int:
        """Returns what to add to a time to get the clock's reading."""
        fields = self._fields(time_ns)
        return (timegm(fields) - time_ns // _SECOND) * _SECOND if abs(time_ns) < 2**62 else 0

    def of_day(self, time_ns: int, decimals: int = 3) -> str:
        """Returns ``08:20:02.893``."""
        fields = self._fields(time_ns)
        rest = f"{time_ns % _SECOND:09d}"[:decimals]
        return f"{fields.tm_hour:02}:{fields.tm_min:02}:{fields.tm_sec:02}{f'.{rest}' if rest else ''}"

    def date(self, time_ns: int, *, year: bool = False) -> str:
        """Returns ``22 Nov`` or ``22 Nov 2026``."""
        fields = self._fields(time_ns)
        return f"{fields.tm_mday} {_MONTHS[fields.tm_mon - 1]}{f' {fields.tm_year}' if year else ''}"

    def zone(self, time_ns: int) -> str:
        """Returns the name of the zone: ``UTC``, or ``local time, UTC+08:00``."""
        if self._utc:
            return "UTC"
        try:
            offset = datetime.fromtimestamp(time_ns / _SECOND, timezone.utc).astimezone().strftime("%z")
        except (OverflowError, ValueError, OSError):
            return "local time"
        return f"local time, UTC{offset[:3]}:{offset[3:5]}"


class TimeScale:
    """Maps times to percent of an axis from the first to the last."""

    def __init__(self, first_ns: int, last_ns: int, clock: Clock) -> None:
        self.first_ns = first_ns
        self.span_ns = max(last_ns - first_ns, 1_000_000)
        self._clock = clock

    def percent(self, time_ns: int) -> float:
        """Returns the place of a time: 0 to 100, also for times outside."""
        return min(max((time_ns - self.first_ns) / self.span_ns, 0.0), 1.0) * 100

    def ticks(self) -> Iterator[Tick]:
        """Yields at most nine ticks at round times; where a day begins its date is written."""
        step = next((step for step in _STEPS if self.span_ns / step <= _MAX_TICKS), self.span_ns)
        offset = self._clock.offset_ns(self.first_ns)
        at = -((self.first_ns + offset) // -step) * step - offset
        days = self.span_ns > _DAY
        while at <= self.first_ns + self.span_ns:
            yield Tick(self.percent(at), self._label(at, step, days))
            at += step

    def _label(self, at: int, step: int, days: bool) -> str:
        if step >= _DAY:
            return self._clock.date(at)
        decimals = 0 if step >= _SECOND else 3
        text = self._clock.of_day(at, decimals)
        if step >= 60 * _SECOND:
            text = text[:5]
        return f"{self._clock.date(at)} {text}" if days and text == "00:00" else text


class LogScale:
    """Maps durations (nanoseconds) to percent of a logarithmic axis between two round ones that hold all of them."""

    def __init__(self, least_ns: float, most_ns: float) -> None:
        low = max((i for i, value in enumerate(_DURATIONS) if value <= least_ns), default=0)
        high = next((i for i, value in enumerate(_DURATIONS) if value >= most_ns), len(_DURATIONS) - 1)
        self._ticks = _DURATIONS[min(low, high - 1) : high + 1] if high else _DURATIONS[:2]
        self._low = log10(self._ticks[0])
        self._length = log10(self._ticks[-1]) - self._low

    def percent(self, value_ns: float) -> float:
        """Returns the place of a duration: 0 to 100, also for those outside."""
        place = (log10(max(value_ns, 1)) - self._low) / self._length
        return min(max(place, 0.0), 1.0) * 100

    def ticks(self) -> Iterator[Tick]:
        """Yields at most seven ticks, round durations."""
        for value in self._ticks[:: 1 + len(self._ticks) // 8]:
            yield Tick(self.percent(value), duration(value))


def record_ns(text: str) -> int:
    """Returns a time as `decoder.formatting.times.rfc3339` wrote it, in nanoseconds since 1970."""
    return timegm(datetime.fromisoformat(text[:19]).timetuple()) * _SECOND + int(text[20:29])


def duration(value_ns: float) -> str:
    """Returns a duration with two or three digits: ``545 µs``, ``2.5 s``, ``2 h 5 min``."""
    value = abs(value_ns)
    sign = "-" if value_ns < 0 else ""
    for limit, size, unit in ((1e3, 1, "ns"), (1e6, 1e3, "µs"), (1e9, 1e6, "ms"), (60e9, 1e9, "s")):
        if value < limit * 0.9995:
            return f"{sign}{_digits(value / size)} {unit}"
    minutes = round(value / 60e9)
    if minutes < 60:
        return f"{sign}{_digits(value / 60e9)} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24 or (hours < 48 and minutes):
        return f"{sign}{hours} h {minutes} min" if minutes else f"{sign}{hours} h"
    days = value / 86_400e9
    return f"{sign}{days:.3g} day{'' if days == 1 else 's'}"


def _digits(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def nice_maximum(value: float) -> float:
    """Returns the least round number that is not below `value`."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(
        float(f"{factor * power:.3g}")
        for factor in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
        if factor * power >= value * 0.9999
    )


def rate_text(value: float) -> str:
    """Returns a rate: ``250``, ``1.5k``, ``0.02``."""
    if value >= 10_000:
        return f"{value / 1_000:g}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
