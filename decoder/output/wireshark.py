"""Generates what Wireshark needs to show messages by name: a dissector in Lua, and the schema as proto2.

proto2, because Wireshark 4.0 and 4.4 cannot parse edition 2023, and one such file on the search path makes them ignore
all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.descriptor import Descriptor

from decoder import schema
from decoder.schema.annotations import annotation, label, type_name
from decoder.schema.pool import files

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor, FileDescriptor

__all__ = ["LUA_NAME", "dissector", "proto_files"]

LUA_NAME = "opend.lua"
"""Name of the file with the dissector."""


def dissector() -> str:
    """Returns the dissector: Lua that Wireshark 3.6 and newer runs."""
    names = (f'  [{protocol.proto_id}] = "{protocol.name}",' for protocol in schema.protocols())
    pushes = (f"  [{protocol.proto_id}] = true," for protocol in schema.protocols() if protocol.kind == "push")
    text = Path(__file__).with_name("wireshark.lua").read_text("utf-8")
    tables = {"NAMES": names, "PUSHES": pushes, "ENUMS": _enum_names(), "FIELDS": _field_types()}
    for name, lines in tables.items():
        text = text.replace(f"@{name}@", "\n".join(lines))
    return text


def _enum_names() -> Iterator[str]:
    """Yields a line of Lua for each enum: the names of its values; of several with one number the first."""
    for file in files():
        for enum in _enums(file):
            names = {value.number: value.name for value in reversed(enum.values) if not annotation(value, "synthetic")}
            listed = ", ".join(f'[{number}] = "{name}"' for number, name in sorted(names.items()))
            yield f'  ["{enum.full_name}"] = {{ {listed} }},'


def _field_types() -> Iterator[str]:
    """Yields a line of Lua for each message type: the enums and, after a dot, the message types of its fields."""
    for file in files():
        for message in _messages(file.message_types_by_name.values()):
            typed = {field.name: field.enum_type or field.message_type for field in message.fields}
            listed = ", ".join(
                f'["{name}"] = "{"." * isinstance(declared, Descriptor)}{declared.full_name}"'
                for name, declared in typed.items()
                if declared is not None
            )
            if listed:
                yield f'  ["{message.full_name}"] = {{ {listed} }},'


def _messages(messages: Iterable[Descriptor]) -> Iterator[Descriptor]:
    for message in messages:
        yield message
        yield from _messages(message.nested_types)


def _enums(file: FileDescriptor) -> Iterator[EnumDescriptor]:
    yield from file.enum_types_by_name.values()
    for message in _messages(file.message_types_by_name.values()):
        yield from message.enum_types


def proto_files() -> dict[str, str]:
    """Returns the schema as proto2, one text for each file of the vendor; imports are by bare name."""
    return {file.name: "\n".join(_file(file)) + "\n" for file in files()}


def _file(file: FileDescriptor) -> Iterator[str]:
    yield 'syntax = "proto2";'
    yield "// Written by opendump for Wireshark."
    yield f"package {file.package};"
    for other in file.dependencies:
        if other.package not in ("opend", "google.protobuf"):
            yield f'import "{other.name}";'
    for enum in file.enum_types_by_name.values():
        yield from _enum(enum, "")
    for message in file.message_types_by_name.values():
        yield from _message(message, "")


def _enum(enum: EnumDescriptor, indent: str) -> Iterator[str]:
    values = [value for value in enum.values if not annotation(value, "synthetic")]
    yield f"{indent}enum {enum.name} {{"
    if len({value.number for value in values}) < len(values):
        yield f"{indent}  option allow_alias = true;"
    for value in values:
        yield f"{indent}  {value.name} = {value.number};"
    yield f"{indent}}}"


def _message(message: Descriptor, indent: str) -> Iterator[str]:
    yield f"{indent}message {message.name} {{"
    for enum in message.enum_types:
        yield from _enum(enum, indent + "  ")
    for nested in message.nested_types:
        yield from _message(nested, indent + "  ")
    for field in message.fields:
        yield f"{indent}  {label(field)} {type_name(field)} {field.name} = {field.number};"
    yield f"{indent}}}"
