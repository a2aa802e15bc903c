"""The vendor's message classes, as installed with futu-api, by protocol id."""

from __future__ import annotations

import importlib
from typing import Any

from futu.common.constant import ProtoId
from google.protobuf import json_format
from google.protobuf.message import Message

NAMES: dict[int, str] = {
    number: name for name, number in vars(ProtoId).items() if isinstance(number, int) and not name.startswith("_")
}
PROTOBUF, JSON = 0, 1
FORMATS = {PROTOBUF: "Protobuf", JSON: "Json"}


def module(name: str) -> Any:
    """The vendor's module of a .proto file, for its messages and enum constants."""
    return importlib.import_module(f"futu.common.pb.{name}_pb2")


def new(proto_id: int, side: str) -> Message:
    """An empty ``Request`` or ``Response`` of the protocol."""
    message: Message = getattr(module(NAMES[proto_id]), side)()
    return message


def to_dict(message: Message) -> dict[str, Any]:
    """The form in which both ends write a message down: proto names, enums as numbers."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True, use_integers_for_enums=True)


def serialize(message: Message, fmt: int) -> bytes:
    """What the gateway sends: protobuf, or JSON with the field names of the .proto (the SDK reads no other)."""
    if fmt == PROTOBUF:
        return message.SerializeToString()
    return json_format.MessageToJson(message, preserving_proto_field_name=True, indent=None).encode()


def parse(data: bytes, fmt: int, message: Message) -> Message:
    """Fill the message from a plaintext; raises what protobuf raises."""
    if fmt == PROTOBUF:
        message.ParseFromString(data)
    else:
        json_format.Parse(data.decode(), message)
    return message
