"""Times of the gateway as nanoseconds since 1970, UTC: text in the time of a market, and seconds."""

from __future__ import annotations

import re
from datetime import datetime, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

from decoder.bounded import BoundedDict

__all__ = ["minutes", "rfc3339_ns", "seconds_ns", "utc_ns"]

_ZONES = {
    "HK.": "Asia/Hong_Kong",
    "SH.": "Asia/Shanghai",
    "SZ.": "Asia/Shanghai",
    "US.": "America/New_York",
    "CC.": "America/New_York",
}
"""Time zone of the texts by the market of the code, as the vendor documents and real frames show.

Futures have the zone of a setting of OpenD, which is not on the wire; of other markets no text was seen.
"""

_MINUTES = 4_096
"""Minutes of a market that are remembered; a capture of a day holds 1,440 of each."""

_LATEST = 9_200_000_000
"""Seconds before and after 1970 that nanoseconds in 64 bits can say; what is beyond is no time."""

_SECONDS = {f":{second:02}": second * 10**9 for second in range(60)}


def utc_ns(text: str | None, code: str | None) -> int | None:
    """Returns a text like ``2026-07-05 04:42:35.809`` of the market of `code` in nanoseconds since 1970, UTC.

    None where there is none, where it is no such text, and where the zone of the market is not known.
    """
    if text is None or code is None:
        return None
    minute = minutes[text[:16], code[:3]]
    second = _SECONDS.get(text[16:19])
    if minute is None or second is None:
        return None
    digits = text[20:]
    if not digits:
        return minute + second if len(text) == 19 else None
    if len(digits) > 9 or text[19] != "." or not (digits.isascii() and digits.isdigit()):
        return None
    return minute + second + int(digits) * _POWERS[len(digits)]


_POWERS = [int(10 ** (9 - digits)) for digits in range(10)]


def seconds_ns(seconds: float | None) -> int | None:
    """Returns seconds since 1970 as nanoseconds, to the microsecond, which is what a double can say."""
    return None if seconds is None or not -_LATEST < seconds < _LATEST else round(seconds * 1e6) * 1000


def rfc3339_ns(text: str) -> int:
    """Returns a time as `decoder.formatting.times.rfc3339` writes it in nanoseconds since 1970."""
    seconds = datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc)
    return int(seconds.timestamp()) * 10**9 + int(text[20:29])


def _minute(key: tuple[str, str]) -> int | None:
    text, market = key
    zone = _zone(market)
    if zone is None or not _MINUTE.fullmatch(text):
        return None
    try:
        seconds = int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())
    except (ValueError, OverflowError):
        return None
    return seconds * 10**9 if -_LATEST < seconds < _LATEST else None


_MINUTE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d", re.ASCII)
minutes: BoundedDict[tuple[str, str], int | None] = BoundedDict(_MINUTES, _minute)
"""Nanoseconds since 1970 of a minute as text, with the market's part of a code (``HK.``); None if there is none."""


@cache
def _known_zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError):  # Windows has no time zones without the package tzdata
        return None


def _zone(market: str) -> tzinfo | None:
    name = _ZONES.get(market)
    return None if name is None else _known_zone(name)
