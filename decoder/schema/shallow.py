"""Makes shallow types: body types whose submessages in c2s and s2c stay unparsed, as bytes.

Most of a busy gateway's traffic repeats: nine of ten levels of an order book, all candles of a poll but the last.
With a shallow type a caller can keep results by the bytes of a submessage, and parse only those that are new.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from decoder.schema.annotations import label
from decoder.schema.pool import message_class, pool

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
    from google.protobuf.message import Message

_LOCK = threading.Lock()
_parts: dict[str, type[Message]] = {}  # submessage type by the full name of the field that leaves it unparsed
# Types whose messages hardly ever repeat, as they hold an id or the latest values: keeping results is useless.
_ALWAYS_NEW = frozenset(
    (".Common.PacketID", ".Qot_Common.BasicQot", ".Qot_Common.Ticker", ".Trd_Common.Order", ".Trd_Common.OrderFill")
)


@cache
def shallow_class(full_name: str) -> type[Message]:
    """Returns the shallow type of a body type (``Qot_GetKL.Response``): in it ``s2c.klList`` is a list of bytes.

    Its fields have the names, numbers and annotations of the original; `part_class` returns the type of the bytes.
    """
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
    from google.protobuf.message_factory import GetMessageClass

    body = message_class(full_name).DESCRIPTOR
    package = f"shallow.{full_name}"
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    file.dependency[:] = [body.file.name, *(other.name for other in body.file.dependencies)]
    outer = _copy(body, file.message_type.add(), "Body")
    for field in outer.field:
        if field.type != FieldDescriptorProto.TYPE_MESSAGE:
            continue
        inner = _copy(body.fields_by_name[field.name].message_type, file.message_type.add(), f"In_{field.name}")
        field.type_name = f".{package}.{inner.name}"
        for part in inner.field:
            if part.type == FieldDescriptorProto.TYPE_MESSAGE and part.type_name not in _ALWAYS_NEW:
                _parts[f"{package}.{inner.name}.{part.name}"] = message_class(part.type_name[1:])
                part.type = FieldDescriptorProto.TYPE_BYTES
                part.ClearField("type_name")
    with _LOCK:
        pool().AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool().FindMessageTypeByName(f"{package}.{outer.name}"))


def part_class(field: FieldDescriptor) -> type[Message] | None:
    """Returns the message type of the bytes in `field` of a shallow type; None for any other field."""
    return _parts.get(field.full_name)


def _copy(original: Any, message: DescriptorProto, name: str) -> DescriptorProto:
    """Gives `message` the fields of `original`; types that are nested in the original stay there."""
    message.CopyFrom(_declaration(original))
    message.name = name
    del message.nested_type[:]
    del message.enum_type[:]
    for field in message.field:
        # protobuf 7 writes the label as a feature of editions, and refuses features in proto2.
        field.options.ClearField("features")
        field.label = field.Label.Value(f"LABEL_{label(original.fields_by_name[field.name]).upper()}")
    return message


def _declaration(descriptor: Any) -> DescriptorProto:
    """Returns the declaration of a message type in its file.

    `Descriptor.CopyToProto` would be shorter, but the pure-Python protobuf has none for types of a descriptor pool.
    """
    path = descriptor.full_name.removeprefix(f"{descriptor.file.package}.").split(".")
    declared = _file(descriptor.file.name).message_type
    for name in path:
        found = next(message for message in declared if message.name == name)
        declared = found.nested_type
    return found


@cache
def _file(name: str) -> FileDescriptorProto:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    return FileDescriptorProto.FromString(pool().FindFileByName(name).serialized_pb)
