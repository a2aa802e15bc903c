"""Converts plain data to protobuf messages: for bodies that a program builds, and for JSON bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from decoder import schema
from decoder.body.codegen import REDACTED
from decoder.body.scalars import is_number, read_bytes, read_double, read_integer
from decoder.errors import BodyError
from decoder.schema.fields import Field, fields_by_name

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    M = TypeVar("M", bound=ProtobufMessage)

__all__ = ["Filler", "from_dict", "join", "missing_fields", "shown"]

MAX_DEPTH = 100
"""Levels of nesting; protobuf parses no deeper message."""


def from_dict(data: Mapping[str, Any], message_class: type[M]) -> M:
    """Builds a message of `message_class` with the fields of `data`: the inverse of `to_dict`.

    Field names in either spelling (``max_count``, ``maxCount``).  Enums as numbers or by any name
    (``FILLED_ALL``, ``OrderStatus_Filled_All``), bit sets as numbers or as names joined by ``|``,
    64-bit integers as numbers or strings, bytes as bytes or base64.  None means absent.

    Raises BodyError, with the path of the field, for an unknown name, a wrong type, a number out of
    range, or a required field that is missing.
    """
    message = message_class()
    _Strict().fill(message, data, "")
    if not message.IsInitialized():
        raise BodyError(f"required field missing: {', '.join(missing_fields(message))}")
    return message


def missing_fields(message: ProtobufMessage) -> list[str]:
    """Returns the paths of the required fields that are not set."""
    return cast("list[str]", cast(Any, message).FindInitializationErrors())  # missing in the type stubs


class Filler:
    """Sets the fields of a message from plain data; subclasses decide how unknown names are handled."""

    def fill(self, message: ProtobufMessage, data: Any, path: str, depth: int = 1) -> None:
        """Sets the fields of `message` that `data` names; `path` is its place, for errors.  Raises BodyError."""
        if not isinstance(data, Mapping):
            raise BodyError(f"{path or 'body'}: wants an object with the fields of {message.DESCRIPTOR.full_name}")
        if depth > MAX_DEPTH:
            raise BodyError(f"{path}: nested too deep")
        fields = fields_by_name(message.DESCRIPTOR)
        seen = set()
        for name, value in data.items():
            field = fields.get(name)
            if field is None:
                self.unknown_field(message, path, str(name))
                continue
            here = join(path, field.name)
            if field.name in seen:
                raise BodyError(f"{here}: given twice, under both spellings of its name")
            seen.add(field.name)
            if value is not None:
                self._set(message, field, value, here, depth)

    def unknown_field(self, message: ProtobufMessage, path: str, name: str) -> None:
        """Handles a `name` that is no field of `message`, which is at `path`."""
        raise NotImplementedError

    def unknown_enum_name(self, field: Field, name: str, path: str) -> None:
        """Handles a `name` that is no value of the enum of `field`; the field stays unset."""
        raise NotImplementedError

    def text(self, field: Field, value: str, path: str) -> str:
        """Returns `value` as a text that protobuf accepts."""
        raise NotImplementedError

    def binary(self, value: Any) -> bytes:
        """Returns `value` as bytes; raises ValueError."""
        return read_bytes(value)

    def _set(self, message: ProtobufMessage, field: Field, value: Any, path: str, depth: int) -> None:
        if field.kind == "message":
            target = getattr(message, field.name)
            if not field.repeated:
                target.SetInParent()
                self.fill(target, value, path, depth + 1)
                return
            for index, item in enumerate(_list(value, path)):
                self.fill(target.add(), item, f"{path}[{index}]", depth + 1)
        elif field.repeated:
            items = (self._value(field, item, f"{path}[{index}]") for index, item in enumerate(_list(value, path)))
            getattr(message, field.name).extend(item for item in items if item is not None)
        else:
            plain = self._value(field, value, path)
            if plain is not None:
                setattr(message, field.name, plain)

    def _value(self, field: Field, value: Any, path: str) -> int | float | str | bytes | None:
        """Converts a scalar to the type that protobuf wants; None leaves the field unset."""
        kind = field.kind
        try:
            if kind == "enum" or kind == "bits":
                return self._named(field, value, path)
            if kind == "int":
                return read_integer(value, field.low, field.high)
            if kind == "double" or kind == "float":
                return read_double(value, single=kind == "float")
            if kind == "bytes":
                return self.binary(value)
        except ValueError as error:
            raise BodyError(f"{path}: {error}") from None
        if kind == "bool":
            if not isinstance(value, bool):
                raise BodyError(f"{path}: wants true or false")
            return value
        if not isinstance(value, str):
            raise BodyError(f"{path}: wants text")
        return self.text(field, value, path)

    def _named(self, field: Field, value: Any, path: str) -> int | None:
        """Converts an enum or bit set, given by number or by name."""
        if not isinstance(value, str):
            return read_integer(value, field.low, field.high)
        assert field.enum is not None
        numbers = schema.enum_numbers(field.enum)
        number = 0
        for name in value.split("|") if field.kind == "bits" else [value]:
            known = numbers.get(name)
            if known is None:
                if not is_number(name):
                    self.unknown_enum_name(field, name, path)
                    return None
                known = read_integer(name, field.low, field.high)
            number |= known
        return number


class _Strict(Filler):
    """Refuses unknown names: for data that a program builds."""

    def unknown_field(self, message: ProtobufMessage, path: str, name: str) -> None:
        raise BodyError(f"{join(path, shown(name))}: {message.DESCRIPTOR.full_name} has no such field")

    def unknown_enum_name(self, field: Field, name: str, path: str) -> None:
        assert field.enum is not None
        raise BodyError(f"{path}: {shown(name)} is no value of {field.enum.full_name}")

    def text(self, field: Field, value: str, path: str) -> str:
        if field.secret and value == REDACTED:
            raise BodyError(f"{path}: is redacted; convert the message with redact=False")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BodyError(f"{path}: holds half a surrogate pair, which UTF-8 cannot carry") from None
        return value

    def binary(self, value: Any) -> bytes:
        return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else super().binary(value)


def join(path: str, name: str) -> str:
    """Returns the path of the field `name` in the message at `path`."""
    return f"{path}.{name}" if path else name


def shown(name: str) -> str:
    """Returns a name from outside, shortened and escaped for one line of an error or a note."""
    short = name if len(name) <= 40 else name[:40] + "…"
    return short if short.isprintable() else ascii(short)[1:-1]


def _list(value: Any, path: str) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise BodyError(f"{path}: wants a list")
    return value
