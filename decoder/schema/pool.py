"""Loads the compiled schema into a descriptor pool of its own.

A program may import the vendor's SDK too, and both define ``Common.proto``: in protobuf's default
pool they would clash.  The schema is loaded at first use; until then nothing here imports protobuf.
"""

from __future__ import annotations

import os  # not pathlib, which takes 4 ms to import
import threading
from functools import cache
from typing import TYPE_CHECKING

from decoder.errors import SchemaError

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor, FileDescriptor
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

_LOCK = threading.Lock()
_loaded: tuple[DescriptorPool, tuple[str, ...]] | None = None


def pool() -> DescriptorPool:
    """Returns the private pool with every file of the schema."""
    return _load()[0]


def files() -> list[FileDescriptor]:
    """Returns the gateway's files, without the one that declares our options."""
    found, names = _load()
    every = [found.FindFileByName(name) for name in names]
    return [file for file in every if file.package != "opend"]


def _load() -> tuple[DescriptorPool, tuple[str, ...]]:
    global _loaded
    if _loaded is None:
        with _LOCK:
            if _loaded is None:
                from google.protobuf import descriptor_pb2
                from google.protobuf.descriptor_pool import DescriptorPool

                found = DescriptorPool()
                found.AddSerializedFile(descriptor_pb2.DESCRIPTOR.serialized_pb)
                with open(os.path.join(os.path.dirname(__file__), "opend.binpb"), "rb") as file:
                    protos = descriptor_pb2.FileDescriptorSet.FromString(file.read()).file
                for proto in protos:
                    found.AddSerializedFile(proto.SerializeToString())
                _loaded = found, tuple(proto.name for proto in protos)
    return _loaded


@cache
def message_class(full_name: str) -> type[Message]:
    """Returns the class of a message, e.g. ``Trd_PlaceOrder.C2S``.

    Raises SchemaError if the schema has no message of that name.
    """
    from google.protobuf.message_factory import GetMessageClass

    try:
        return GetMessageClass(pool().FindMessageTypeByName(full_name))
    except KeyError:
        raise SchemaError(f"no message {full_name!r} in the schema; `opendump schema` lists the protocols") from None


def enum_descriptor(full_name: str) -> EnumDescriptor:
    """Returns the descriptor of an enum, e.g. ``Trd_Common.OrderStatus``.

    Raises SchemaError if the schema has no enum of that name.
    """
    try:
        return pool().FindEnumTypeByName(full_name)
    except KeyError:
        raise SchemaError(f"no enum {full_name!r} in the schema; `opendump schema` lists the protocols") from None
