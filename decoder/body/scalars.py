"""Converts scalar values to and from the protobuf JSON mapping.

Source of the mapping: https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from math import isinf
from struct import pack, unpack
from typing import Any

__all__ = [
    "is_number",
    "plain_bytes",
    "plain_double",
    "plain_float",
    "plain_text",
    "read_bytes",
    "read_double",
    "read_integer",
]


def plain_text(value: str | bytes) -> str:
    """Returns a string field as text; protobuf returns bytes where they are not UTF-8 (the check is switched off)."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def plain_bytes(value: bytes) -> str:
    """Returns bytes as base64."""
    return b2a_base64(value, newline=False).decode("ascii")


def plain_double(value: float) -> float | str:
    """Returns a float; infinities and NaN, which JSON does not have, as strings."""
    if value - value == 0:
        return value
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def plain_float(value: float) -> float | str:
    """Returns a 4-byte float as the shortest decimal of at least six digits that converts back to the same 4 bytes."""
    if value - value != 0:
        return plain_double(value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if unpack("<f", pack("<f", short))[0] == value:
            return short
    return float(f"{value:.9g}")


_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?")
_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*")


def is_number(text: str) -> bool:
    """Returns True if `text` is a number as JSON writes one."""
    return _NUMBER.fullmatch(text) is not None


def read_integer(value: Any, low: int, high: int) -> int:
    """Converts a number or a string to an integer; a float must have no fraction.

    Raises ValueError with the reason; the reason never quotes the value, which may be a secret.
    """
    if isinstance(value, str):
        if _INTEGER.fullmatch(value):
            value = int(value)
        elif is_number(value):
            value = float(value)
        else:
            raise ValueError("wants an integer, is text")
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError("wants an integer, is another number")
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"wants an integer, is {_kind(value)}")
    if not low <= value <= high:
        raise ValueError(f"is outside {low} to {high}")
    return value


def read_double(value: Any, *, single: bool) -> float:
    """Converts a number or a string to a float, of 4 bytes if `single`.

    Raises ValueError with the reason, which never quotes the value.
    """
    if isinstance(value, str):
        special = _SPECIAL.get(value)
        if special is not None:
            return special
        if not is_number(value):
            raise ValueError("wants a number, is text")
        value = float(value)
        if isinf(value):
            raise ValueError("is out of range")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"wants a number, is {_kind(value)}")
    try:
        number = float(value)
        if single:
            pack("<f", number)
    except OverflowError:
        raise ValueError("is out of range") from None
    return number


def read_bytes(value: Any) -> bytes:
    """Decodes base64, standard or URL-safe, with or without padding.  Raises ValueError with the reason."""
    if not isinstance(value, str):
        raise ValueError(f"wants base64, is {_kind(value)}")
    try:
        text = value.encode("ascii").rstrip(b"=").translate(_URL_SAFE)
        if not _BASE64.fullmatch(text):
            raise ValueError
        return a2b_base64(text + b"=" * (-len(text) % 4))
    except (Base64Error, ValueError):
        raise ValueError("is not base64") from None


def _kind(value: Any) -> str:
    """Names the type of a value in the words of JSON."""
    for types, kind in ((bool, "true or false"), (str, "text"), ((int, float), "a number"), (dict, "an object")):
        if isinstance(value, types):
            return kind
    return "a list" if isinstance(value, list | tuple) else "nothing" if value is None else type(value).__name__
