"""Random instances of protobuf messages, and the vendor's own message classes to make them of."""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from decoder import schema
from decoder.body.parse import parse_body

MAX_ITEMS = 3
TEXTS = ("", "00700", "腾讯控股", "é \u2028 \x00 \x1b[31m \x7f", "\U0001f4b9" * 3, '"\\/', "x" * 300)
DOUBLES = (0.0, -0.0, 1.0, 0.1, -123.456, 1e300, 5e-324, 1.7e308, 2.0**53, math.inf, -math.inf, math.nan)
FLOATS = (0.0, -0.0, 1.0, 0.9, -1.1, 3.4028234663852886e38, 1.401298464324817e-45, 16777216.0, math.inf, math.nan)


@cache
def vendor_classes() -> dict[str, Any]:
    """Every message class of the installed official SDK, by full name."""
    files = importlib.metadata.distribution("futu-api").files or []
    names = sorted(PurePosixPath(file).stem for file in files if str(file).endswith("_pb2.py"))
    found: dict[str, type[Message]] = {}
    for name in names:
        module = importlib.import_module(f"futu.common.pb.{name}")
        for descriptor in module.DESCRIPTOR.message_types_by_name.values():
            found.update({inner.full_name: GetMessageClass(inner) for inner in _with_nested(descriptor)})
    return found


def _with_nested(descriptor: Descriptor) -> Iterator[Descriptor]:
    yield descriptor
    for inner in descriptor.nested_types:
        yield from _with_nested(inner)


def random_message(cls: Any, random: Random, density: float = 0.6) -> Any:
    """A message of `cls` with its required fields and `density` of the others, at every level.

    Values are drawn from the edges of each type and from between them.  Closed enums get known
    values only, as their classes refuse others.
    """
    message = cls()
    for field in cls.DESCRIPTOR.fields:
        if is_repeated(field):
            items = getattr(message, field.name)
            for _ in range(random.randint(1, MAX_ITEMS) if random.random() < density else 0):
                if field.message_type is None:
                    items.append(random_value(field, random))
                else:
                    items.add().CopyFrom(random_message(GetMessageClass(field.message_type), random, density / 2))
        elif is_required(cls, field.name) or random.random() < density:
            if field.message_type is None:
                setattr(message, field.name, random_value(field, random))
            else:
                inner = random_message(GetMessageClass(field.message_type), random, density * 0.8)
                getattr(message, field.name).CopyFrom(inner)
    return message


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether `field` is a list; its default value is one then, in every version of protobuf."""
    return isinstance(field.default_value, list)


@cache
def is_required(cls: type[Message], name: str) -> bool:
    """Whether `cls` requires its field `name`."""
    return name in cls().FindInitializationErrors()  # type: ignore[attr-defined]


def random_value(field: FieldDescriptor, random: Random) -> Any:
    """A value for the scalar field `field`."""
    if field.enum_type is not None:
        return random.choice(field.enum_type.values).number
    if field.type == field.TYPE_STRING:
        return random.choice((*TEXTS, "".join(chr(random.randrange(1, 0xD800)) for _ in range(8))))
    if field.type == field.TYPE_BYTES:
        return random.randbytes(random.choice((0, 1, 2, 3, 16)))
    if field.type == field.TYPE_BOOL:
        return random.random() < 0.5
    if field.type == field.TYPE_DOUBLE:
        return random.choice((*DOUBLES, random.uniform(-1e6, 1e6), random_double(random, "<d")))
    if field.type == field.TYPE_FLOAT:
        return random.choice((*FLOATS, random.uniform(-1e3, 1e3), random_double(random, "<f")))
    low, high = BOUNDS[field.cpp_type]
    return random.choice((0, 1, 2, 5, low, high, random.randint(0, 40), random.randint(low, high)))


def random_double(random: Random, form: str) -> float:
    """Any bit pattern."""
    value: float = struct.unpack(form, random.randbytes(struct.calcsize(form)))[0]
    return value


BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def instances(name: str, count: int = 3) -> list[Message]:
    random = Random(name)
    return [random_message(vendor_classes()[name], random, density) for density in (1.0, 0.5, 0.0)[:count]]


def parsed(name: str, data: bytes) -> Any:
    message, problem, _ = parse_body(schema.message_class(name), data)
    assert message is not None
    assert problem is None
    return message


def length_delimited(number: int, data: bytes) -> bytes:
    assert len(data) < 128
    assert number < 16
    return bytes((number << 3 | 2, len(data))) + data
