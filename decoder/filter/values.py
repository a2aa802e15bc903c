"""The right side of a comparison in ``--where``: what it takes, and what it does with a value that is found."""

from __future__ import annotations

import operator
import re
from calendar import timegm
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder import schema
from decoder.body.scalars import is_number
from decoder.schema.paths import did_you_mean

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor

__all__ = [
    "ORDER",
    "NoSuchValue",
    "Predicate",
    "Value",
    "bool_test",
    "enum_numbers",
    "null_test",
    "number_test",
    "text_test",
    "time_test",
    "word_test",
]

Predicate = Callable[[Any], bool]

ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class NoSuchValue(Exception):
    """A value that the key cannot have; the text says why."""


class Value(NamedTuple):
    """The right side of a comparison."""

    text: str
    parts: tuple[str, ...] | None
    """If it is a pattern, what stands between its ``*``s."""
    null: bool

    def fits(self, text: str) -> bool:
        """Whether `text` is the text, or fits the pattern; takes time in proportion to `text`, whatever the pattern."""
        if self.parts is None:
            return text == self.text
        first, *middle, last = self.parts
        if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
            return False
        position, end = len(first), len(text) - len(last)
        for part in middle:
            position = text.find(part, position, end)
            if position < 0:
                return False
            position += len(part)
        return True


def null_test(sign: str, absent: Predicate) -> Predicate:
    """Whether nothing is there (``=``) or something (``!=``)."""
    if sign == "=":
        return absent
    if sign == "!=":
        return lambda item: not absent(item)
    raise NoSuchValue("null has no order: use = or !=")


def number_test(sign: str, value: Value, *, whole: bool = False) -> Predicate:
    """Compare a number.  Raises NoSuchValue, as the others here do."""
    if value.parts is not None or not is_number(value.text):
        raise NoSuchValue(f"expected a number, not {value.text!r}")
    number: float = float(value.text)
    if re.fullmatch(r"-?[0-9]+", value.text):
        number = int(value.text)
    elif whole:
        raise NoSuchValue(f"expected a whole number, not {value.text!r}")
    order = ORDER.get(sign)
    if order is None:
        return lambda found: bool(found == number)
    return lambda found: order(found, number)


def bool_test(sign: str, value: Value) -> Predicate:
    """Compare with ``true`` or ``false``."""
    if sign in ORDER or value.text not in ("true", "false"):
        raise NoSuchValue("expected = or != with true or false")
    wanted = value.text == "true"
    return lambda found: bool(found) is wanted


def text_test(sign: str, value: Value) -> Predicate:
    """Compare a text: as it is, with a pattern, or by its place in the order of characters."""
    text = value.text
    order = ORDER.get(sign)
    if order is not None:
        return lambda found: order(found, text)
    return value.fits if value.parts is not None else lambda found: bool(found == text)


def word_test(name: str, value: Value, words: Collection[str]) -> Predicate:
    """A test for a text of which all possible values are known: those that fit are looked up once."""
    fitting = _fitting(value, words)
    if not fitting:
        what = "protocol is called" if name == "proto" else f"{name} is"
        listed = "" if name == "proto" else f": {', '.join(sorted(words))}"
        raise NoSuchValue(f"no {what} {value.text!r}{did_you_mean(value.text, words) or listed}")
    return lambda found: found in fitting


def _fitting(value: Value, words: Collection[str]) -> frozenset[str]:
    return frozenset(filter(value.fits, words))


def enum_numbers(enum: EnumDescriptor, value: Value) -> frozenset[int]:
    """The numbers that a value, a name in any style or a number, stands for.  Raises NoSuchValue."""
    numbers = schema.enum_numbers(enum)
    if value.parts is None:
        if value.text in numbers:
            return frozenset((numbers[value.text],))
        if re.fullmatch(r"-?[0-9]{1,20}", value.text):
            return frozenset((int(value.text),))
    fitting = _fitting(value, frozenset(numbers))
    if not fitting:
        raise NoSuchValue(f"{enum.full_name} has no value {value.text!r}{did_you_mean(value.text, numbers)}")
    return frozenset(numbers[name] for name in fitting)


_TIME = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[T ]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)?)?)?)?Z?"
)


def time_test(sign: str, value: Value) -> Predicate:
    """A time cut short stands for all of the span that it names: ``time=2026-11-20T10`` is a whole hour."""
    match = _TIME.fullmatch(value.text)
    if match is None or value.parts is not None:
        raise NoSuchValue(f"expected a time in UTC such as 2026-11-20T10:15:00, not {value.text!r}")
    parts = [int(part) for part in match.groups()[:6] if part is not None]
    fraction = match[7]
    try:
        start, end = _span(parts)
    except ValueError as error:
        raise NoSuchValue(f"{value.text!r} is no time: {error}") from None
    if fraction is not None:
        start += int(fraction.ljust(9, "0"))
        end = start + 10 ** (9 - len(fraction))
    if sign in ("=", "!="):
        return lambda found: start <= found < end
    bound = start if sign in ("<", ">=") else end - 1
    order = ORDER[sign]
    return lambda found: order(found, bound)


def _span(parts: list[int]) -> tuple[int, int]:
    """From when to when, in ns, the time lasts that `parts` (year, month, … as far as they are given) name."""
    from datetime import datetime

    year, *rest = parts
    begin = datetime(year, *(rest[:2] + [1, 1][len(rest) :]), *rest[2:])  # type: ignore[arg-type]
    start = timegm(begin.timetuple())
    if len(parts) > 2:
        end = start + (86_400, 3_600, 60, 1)[len(parts) - 3]
    else:
        month = parts[1] if len(parts) == 2 else 12
        end = timegm((year + month // 12, month % 12 + 1, 1, 0, 0, 0))
    return start * 10**9, end * 10**9
