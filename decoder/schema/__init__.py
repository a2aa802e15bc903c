"""Describes the gateway's messages: protocols, message classes, enum names, annotations.

Importing this package reads a table of protocols.  protobuf is imported, and the compiled schema
loaded, with the first message class or descriptor.
"""

from __future__ import annotations

from decoder.schema.annotations import bits_enum, field_enum, has_secrets, is_secret
from decoder.schema.columnar import columnar_class
from decoder.schema.enums import EnumStyle, bit_names, enum_names, enum_numbers
from decoder.schema.pool import enum_descriptor, message_class
from decoder.schema.protocols import PUSH_IDS, Protocol, body_class, is_push, protocol, protocol_named, protocols
from decoder.schema.shallow import part_class, shallow_class

__all__ = [
    "PUSH_IDS",
    "EnumStyle",
    "Protocol",
    "bit_names",
    "bits_enum",
    "body_class",
    "columnar_class",
    "enum_descriptor",
    "enum_names",
    "enum_numbers",
    "field_enum",
    "has_secrets",
    "is_push",
    "is_secret",
    "message_class",
    "part_class",
    "protocol",
    "protocol_named",
    "protocols",
    "shallow_class",
]
