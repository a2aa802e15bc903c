"""Filter literals: parses the right-hand side of a comparison and builds the test for a value that is found."""

from __future__ import annotations

import operator
import re
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
    "word_test",
]

Predicate = Callable[[Any], bool]

ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""The comparisons that need an order."""


class NoSuchValue(Exception):
    """Raised for a value that the key cannot have; the text says why."""


class Value(NamedTuple):
    """Holds the right-hand side of a comparison."""

    text: str
    parts: tuple[str, ...] | None
    """Of a pattern: the texts between its ``*``s."""
    null: bool
    fold: bool = False
    """True if upper and lower case are the same."""

    @classmethod
    def contained(cls, text: str, parts: tuple[str, ...] | None) -> Value:
        """Returns the pattern for every text that contains `text`, in upper or lower case (the operator ``~``)."""
        return cls(text, ("", *(part.casefold() for part in parts or (text,)), ""), False, True)

    def fits(self, text: str) -> bool:
        """Returns True if `text` equals the value or fits its pattern, in time proportional to `text`."""
        if self.fold:
            text = text.casefold()
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
    """Returns the test for ``=null`` (nothing is there) or ``!=null``.  Raises NoSuchValue for another operator."""
    if sign == "=":
        return absent
    if sign == "!=":
        return lambda item: not absent(item)
    raise NoSuchValue("null has no order: use = or !=")


def number_test(sign: str, value: Value, *, whole: bool = False) -> Predicate:
    """Returns a comparison with a number.  Raises NoSuchValue if `value` is none or not `whole`."""
    if value.fold:
        raise NoSuchValue("~ looks for a part of a text, this is a number: use =")
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
    """Returns a comparison with ``true`` or ``false``.  Raises NoSuchValue."""
    if sign in ORDER or value.text not in ("true", "false"):
        raise NoSuchValue("expected = or != with true or false")
    wanted = value.text == "true"
    return lambda found: bool(found) is wanted


def text_test(sign: str, value: Value) -> Predicate:
    """Returns a comparison with a text, with a pattern, or by the order of characters."""
    text = value.text
    order = ORDER.get(sign)
    if order is not None:
        return lambda found: order(found, text)
    return value.fits if value.parts is not None else lambda found: bool(found == text)


def word_test(name: str, value: Value, words: Collection[str]) -> Predicate:
    """Returns a test for a text that is one of `words`.  Raises NoSuchValue if `value` is none of them."""
    fitting = _fitting(value, words)
    if not fitting:
        subject = "protocol is called" if name == "proto" else f"{name} is"
        listed = "" if name == "proto" else f"; there are {', '.join(sorted(words))}"
        raise NoSuchValue(f"no {subject} {value.text!r}{did_you_mean(value.text, words) or listed}")
    return lambda found: found in fitting


def _fitting(value: Value, words: Collection[str]) -> frozenset[str]:
    return frozenset(filter(value.fits, words))


def enum_numbers(enum: EnumDescriptor, value: Value) -> frozenset[int]:
    """Returns the numbers that `value`, a name in any style or a number, stands for.  Raises NoSuchValue."""
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
