"""The schema as plain objects: what the .proto files say, without protobuf's own classes.

Every tool in this folder works on these.  ``from_descriptor`` reads them out of descriptors (the
vendor's or ours), ``schema_text`` writes them as .proto text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        EnumDescriptorProto,
        FieldDescriptorProto,
        FileDescriptorProto,
    )

INTEGER_TYPES = frozenset({"int32", "int64", "uint32", "uint64"})
SCALARS = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    8: "bool",
    9: "string",
    12: "bytes",
    13: "uint32",
}
LABELS = {1: "optional", 2: "required", 3: "repeated"}
MESSAGE, ENUM = 11, 14


@dataclass
class Field:
    name: str
    number: int
    label: str
    type: str  # a scalar's keyword, or the full name of a message or enum
    is_enum: bool = False
    default: str = ""
    deprecated: bool = False
    options: dict[str, str] = field(default_factory=dict)  # our annotations, as written in the text
    comment: str = ""

    @property
    def decided(self) -> bool:
        """True unless this is an integer of which nobody has said what it holds."""
        return self.type not in INTEGER_TYPES or any(key in self.options for key in ("kind", "bits", "names"))


@dataclass
class Message:
    name: str
    fields: list[Field] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    comment: str = ""


@dataclass
class Value:
    name: str
    number: int
    options: dict[str, str] = field(default_factory=dict)
    comment: str = ""


@dataclass
class Enum:
    name: str
    values: list[Value] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    comment: str = ""


@dataclass
class File:
    package: str  # also the file's name without .proto, in every release seen so far
    enums: list[Enum] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    comment: str = ""


Schema = dict[str, File]
Annotations = Mapping[str, tuple[Any, Callable[[Any], str]]]  # name -> (extension, how its value is written)


def walk_messages(file: File) -> Iterator[tuple[str, Message]]:
    """Every message of a file with its full name, outer ones first."""
    stack = [(f"{file.package}.{message.name}", message) for message in reversed(file.messages)]
    while stack:
        name, message = stack.pop()
        yield name, message
        stack.extend((f"{name}.{inner.name}", inner) for inner in reversed(message.messages))


def walk_enums(file: File) -> Iterator[tuple[str, Enum]]:
    for enum in file.enums:
        yield f"{file.package}.{enum.name}", enum


def from_descriptor(proto: FileDescriptorProto, annotations: Annotations | None = None) -> File:
    """One file's objects.  ``annotations`` are the extension handles of opend.proto (ours only)."""
    return _Reader(proto, annotations or {}).file()


class _Reader:
    def __init__(self, proto: FileDescriptorProto, annotations: Annotations) -> None:
        self.proto = proto
        self.annotations = annotations
        self.comments = {
            tuple(place.path): f"{place.leading_comments.strip()}\n{place.trailing_comments.strip()}".strip()
            for place in proto.source_code_info.location
        }

    def file(self) -> File:
        return File(
            package=self.proto.package,
            enums=[self.enum(enum, (5, i)) for i, enum in enumerate(self.proto.enum_type)],
            messages=[self.message(message, (4, i)) for i, message in enumerate(self.proto.message_type)],
            comment=self.comments.get((2,), ""),
        )

    def message(self, proto: DescriptorProto, path: tuple[int, ...]) -> Message:
        if proto.enum_type or proto.extension or proto.oneof_decl:
            raise ValueError(
                f"{self.proto.package}.{proto.name}: nested enums, extensions and oneofs are not supported"
            )
        return Message(
            name=proto.name,
            fields=[self.field(item, (*path, 2, i)) for i, item in enumerate(proto.field)],
            messages=[self.message(inner, (*path, 3, i)) for i, inner in enumerate(proto.nested_type)],
            options=self.options(proto.options),
            comment=self.comments.get(path, ""),
        )

    def field(self, proto: FieldDescriptorProto, path: tuple[int, ...]) -> Field:
        label = LABELS[proto.label]
        if proto.options.HasField("features") and proto.options.features.field_presence == 3:
            label = "required"
        if proto.options.packed:
            raise ValueError(f"{self.proto.package}: field {proto.name} is packed, which the text writer does not know")
        return Field(
            name=proto.name,
            number=proto.number,
            label=label,
            type=proto.type_name.lstrip(".") or SCALARS[proto.type],
            is_enum=proto.type == ENUM,
            default=proto.default_value,
            deprecated=proto.options.deprecated,
            options=self.options(proto.options) | ({"debug_redact": "true"} if proto.options.debug_redact else {}),
            comment=self.comments.get(path, ""),
        )

    def enum(self, proto: EnumDescriptorProto, path: tuple[int, ...]) -> Enum:
        return Enum(
            name=proto.name,
            values=[
                Value(item.name, item.number, self.options(item.options), self.comments.get((*path, 2, i), ""))
                for i, item in enumerate(proto.value)
            ],
            options=self.options(proto.options),
            comment=self.comments.get(path, ""),
        )

    def options(self, proto: Any) -> dict[str, str]:
        return {
            name: spell(proto.Extensions[handle])
            for name, (handle, spell) in self.annotations.items()
            if handle.containing_type.full_name == proto.DESCRIPTOR.full_name and proto.HasExtension(handle)
        }
