"""Parses JSON bodies (format 1) into the protobuf messages of the schema.

The mapping is protobuf's, in every spelling that clients use: either spelling of field names, numbers or
strings for integers, enums by number or name, base64 of either alphabet.  Text that is not JSON, or that
gives a value twice, is refused.
"""

from __future__ import annotations

import json
from math import isinf
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from decoder.body.codegen import BAD_UTF8, UNKNOWN_ENUM_VALUE
from decoder.body.from_dict import Filler, join, shown
from decoder.body.parse import note
from decoder.errors import BodyError
from decoder.schema.fields import Field

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    M = TypeVar("M", bound=ProtobufMessage)

__all__ = ["read_json"]

_MAX_DIGITS = 400
"""Digits of one integer: no field has more than 20, and int() takes quadratic time."""
_MAX_PLACES = 9
"""Places kept for one note: one more than a note names, so that it ends in an ellipsis."""


def read_json(data: bytes, cls: type[M]) -> tuple[M, list[str]]:
    """Parses the JSON body `data` as a message of `cls`; the notes name what is not in the schema.

    Notes: ``unknown-fields``, ``unknown-enum-value`` (a name; the field stays unset), ``bad-utf8``
    (half a surrogate pair, read as a replacement character).  The message may lack required fields.

    Raises BodyError for broken text, duplicate keys (also one field under both spellings), wrong
    types, integers out of range, and nesting that is too deep.
    """
    reader = _Reader()
    message = cls()
    reader.fill(message, _parse(data), "")
    return message, [note(kind, places) for kind, places in reader.places.items()]


class _Reader(Filler):
    def __init__(self) -> None:
        self.places: dict[str, dict[str, None]] = {}

    def unknown_field(self, message: ProtobufMessage, path: str, name: str) -> None:
        self._note("unknown-fields", join(path, shown(name)))

    def unknown_enum_name(self, field: Field, name: str, path: str) -> None:
        self._note(UNKNOWN_ENUM_VALUE, f"{path} = {shown(name)}")

    def text(self, field: Field, value: str, path: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            self._note(BAD_UTF8, path)
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return value

    def _note(self, kind: str, place: str) -> None:
        places = self.places.setdefault(kind, {})
        if len(places) < _MAX_PLACES:
            places[place] = None


def _parse(data: bytes) -> Any:
    try:
        return _DECODER.decode(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BodyError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise BodyError("nested too deep") from None
    except ValueError as error:
        raise BodyError(f"not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BodyError("a key is given twice")  # which one is not said: it may hold a secret
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise BodyError(f"a number of {len(digits)} digits")
    return int(digits)


def _float(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise BodyError("a number is out of range")
    return value


def _constant(name: str) -> NoReturn:
    raise BodyError(f"{name} is not JSON; protobuf writes it as a string")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
