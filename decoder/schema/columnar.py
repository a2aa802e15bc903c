"""Makes columnar types: from the bytes of many bodies, one after the other, protobuf collects each field as a list.

On the wire a field that is set once looks like an item of a list, and protobuf merges messages that it meets twice.  So
in a columnar type every scalar field is a list, every list of messages one message, and parsing ``b"".join(bodies)``
gives, in one call, the column of each field: `bid.price` of all bids of all bodies.  Where a field is not in every
message, its column is shorter, and does not say where; and a message that has a field twice would shift the column.  So
it is for bodies as protobuf writes them, not for bytes as they came.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING

from decoder.schema.fields import fields_of
from decoder.schema.pool import message_class, pool

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.message import Message

    from decoder.schema.fields import Descriptor

__all__ = ["columnar_class"]

_LOCK = threading.Lock()


@cache
def columnar_class(full_name: str) -> type[Message]:
    """Returns the columnar type of a body type, as ``Qot_UpdateTicker.Response``; its fields have the same names."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.message_factory import GetMessageClass

    package = f"columnar.{full_name}"
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    name = _add(message_class(full_name).DESCRIPTOR, file, {})
    with _LOCK:
        pool().AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool().FindMessageTypeByName(f"{package}.{name}"))


def _add(descriptor: Descriptor, file: FileDescriptorProto, made: dict[str, str]) -> str:
    """Adds the columnar type of `descriptor`, and of what is in it, to `file`; returns its name."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto

    if descriptor.full_name in made:
        return made[descriptor.full_name]
    name = made[descriptor.full_name] = f"T{len(made)}"
    message = file.message_type.add(name=name)
    for field in fields_of(descriptor):
        column = message.field.add(name=field.name, number=field.descriptor.number)
        if field.kind == "message":
            column.label = FieldDescriptorProto.LABEL_OPTIONAL
            column.type = FieldDescriptorProto.TYPE_MESSAGE
            column.type_name = f".{file.package}.{_add(field.message_type, file, made)}"
        else:
            column.label = FieldDescriptorProto.LABEL_REPEATED
            column.type = field.descriptor.type  # type: ignore[assignment]
            if column.type == FieldDescriptorProto.TYPE_ENUM:
                column.type = FieldDescriptorProto.TYPE_INT32
    return name
