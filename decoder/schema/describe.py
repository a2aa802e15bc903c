"""Describes the schema in tables for people: protocols, messages, enums, coverage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from decoder.formatting.table import Column, Table
from decoder.schema.annotations import annotation, bits_enum, field_enum, is_secret, label, type_name
from decoder.schema.enums import enum_names, gateway_values
from decoder.schema.pool import files, message_class
from decoder.schema.protocols import Protocol, protocols

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor


def _columns(*names: str) -> list[Column]:
    return [Column(name, fold=True) for name in names]


def protocol_list() -> list[Table]:
    """Lists every protocol."""
    rows = [(str(p.proto_id), p.name, p.kind, "" if p.state == "current" else p.state, p.meaning) for p in protocols()]
    return [Table("", _columns("id", "protocol", "kind", "state", "meaning"), [*rows])]


def protocol_tables(protocol: Protocol) -> list[Table]:
    """Describes a protocol's messages in both directions, and the values of their enums."""
    notes = [f"{protocol.kind}: {protocol.meaning}", f"since: {protocol.since}"]
    if protocol.state != "current":
        notes.append(f"state: {protocol.state}")
    if protocol.former_names:
        notes.append(f"formerly: {protocol.former_names}")
    if protocol.note:
        notes.append(f"note: {protocol.note}")
    tables = [Table(f"{protocol.proto_id} {protocol.name}", notes=notes)]
    answer = "push, gateway to client" if protocol.kind == "push" else "response, gateway to client"
    messages: list[Descriptor] = []
    for name, way in ((protocol.request, "request, client to gateway"), (protocol.response, answer)):
        if name:
            messages.append(_descriptor(name))
            tables.append(_message_table(messages[-1], f"{name} ({way})"))
    if not messages:
        notes.append("its messages are not published")
    return tables + _enum_summary(messages)


def _descriptor(name: str) -> Descriptor:
    return cast("Descriptor", message_class(name).DESCRIPTOR)


def message_tables(message: Descriptor) -> list[Table]:
    """Describes a message with all its submessages, and the values of its enums."""
    return [_message_table(message, message.full_name), *_enum_summary([message])]


def enum_tables(enum: EnumDescriptor) -> list[Table]:
    """Describes an enum's values: number, displayed name, proto name, meaning."""
    shown = enum_names(enum, "sdk")
    first = enum_names(enum, "proto")
    rows = [
        (
            str(value.number),
            str(shown[value.number]) if first[value.number] == value.name else "",
            value.name,
            _remark(f"{enum.full_name}.{value.name}", annotation(value, "value_only_in")),
        )
        for value in gateway_values(enum)
    ]
    notes = [text for text in [_remark(enum.full_name, annotation(enum, "enum_only_in"))] if text]
    return [Table(enum.full_name, _columns("number", "name", "proto name", "meaning"), [*rows], notes)]


def package_tables(package: str) -> list[Table]:
    """Describes what a package without a protocol of its own declares."""
    own = [file for file in files() if file.package == package]
    enums = [(e.name, comments().get(e.full_name, "")) for file in own for e in file.enum_types_by_name.values()]
    messages = [(m.name, comments().get(m.full_name, "")) for file in own for m in file.message_types_by_name.values()]
    tables = [Table(package, notes=[comments().get(package, "")])]
    tables += [Table("Messages", _columns("name", "meaning"), [*messages])] if messages else []
    return tables + ([Table("Enums", _columns("name", "meaning"), [*enums])] if enums else [])


def coverage_tables() -> list[Table]:
    """Counts the share of the vendor's release that the compiled schema covers."""
    heading, row = (line.split("\t") for line in _lines("release.tsv"))
    expected = dict(zip(heading[1:], map(int, row[1:]), strict=True))
    ours: Counter[str] = Counter()
    beyond: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    for file in files():
        _count(file, ours, beyond, decisions)
    rows = [
        (_COUNTED[what], f"{ours[what]:,}", f"{total:,}", f"{100 * ours[what] / total:.1f} %", f"{beyond[what]:,}")
        for what, total in expected.items()
    ]
    columns = _columns("of " + row[0], "in the schema", "in the release", "coverage", "from elsewhere")
    total = sum(decisions.values())
    decided = total - decisions["undecided"]
    kinds = [(kind, f"{count:,}") for kind, count in decisions.most_common()]
    title = f"Integer and enum fields with a decision: {decided:,} of {total:,} ({100 * decided / total:.1f} %)"
    return [Table("Coverage", columns, [*rows]), Table(title, _columns("what it is", "fields"), [*kinds])]


@cache
def comments() -> dict[str, str]:
    """Returns the comments of the .proto files by full name."""
    return dict(line.split("\t", 1) for line in _lines("comments.tsv"))


def _lines(name: str) -> list[str]:
    return Path(__file__).with_name(name).read_text("utf-8").splitlines()


def all_messages(file: FileDescriptor) -> Iterator[Descriptor]:
    """Yields every message of a file, nested ones too."""
    todo = list(reversed(list(file.message_types_by_name.values())))
    while todo:
        message = todo.pop()
        yield message
        todo += reversed(list(message.nested_types))


def decision(item: FieldDescriptor) -> str:
    """Returns the meaning of an integer or enum field, "undecided", or "" for a field of another type."""
    if item.enum_type is not None or annotation(item, "names"):
        return "enum"
    if item.cpp_type not in (item.CPPTYPE_INT32, item.CPPTYPE_INT64, item.CPPTYPE_UINT32, item.CPPTYPE_UINT64):
        return ""
    if annotation(item, "bits"):
        return "bits"
    return (annotation(item, "kind") or "undecided").lower()


def _count(file: FileDescriptor, ours: Counter[str], beyond: Counter[str], decisions: Counter[str]) -> None:
    for enum in file.enum_types_by_name.values():
        whole = beyond if annotation(enum, "enum_only_in") else ours
        whole["enums"] += 1
        for value in gateway_values(enum):
            (beyond if annotation(value, "value_only_in") else whole)["values"] += 1
    outside: set[str] = set()
    for message in all_messages(file):
        if annotation(message, "message_only_in") or (message.containing_type or message).full_name in outside:
            outside.add(message.full_name)
        whole = beyond if message.full_name in outside else ours
        whole["messages"] += 1
        for item in message.fields:
            part = beyond if annotation(item, "field_only_in") else whole
            part["fields"] += 1
            what = decision(item)
            if what:
                part["integers"] += 1
                decisions[what] += 1


def _message_table(message: Descriptor, title: str) -> Table:
    notes = [text for text in [_remark(message.full_name, annotation(message, "message_only_in"))] if text]
    rows = list(_field_rows(message, (), message.file.package))
    return Table(title, _columns("no.", "field", "type", "what it is", "remark"), [*rows], notes)


def _field_rows(message: Descriptor, path: tuple[Descriptor, ...], package: str) -> Iterator[tuple[str, ...]]:
    path = (*path, message)
    for item in message.fields:
        remark = _remark(f"{message.full_name}.{item.name}", annotation(item, "field_only_in"))
        if item.message_type is not None and not remark:
            remark = comments().get(item.message_type.full_name, "")
        yield str(item.number), "  " * (len(path) - 1) + item.name, _type(item, package), _what(item), remark
        if item.message_type is not None and item.message_type not in path:
            yield from _field_rows(item.message_type, path, package)


def _type(item: FieldDescriptor, package: str) -> str:
    name = type_name(item).removeprefix(package + ".")
    return name if label(item) == "optional" else f"{label(item)} {name}"


def _what(item: FieldDescriptor) -> str:
    if is_secret(item):
        return "secret"
    for enum, words in ((bits_enum(item), "bits of"), (None if item.enum_type else field_enum(item), "enum")):
        if enum is not None:
            return f"{words} {enum.full_name}"
    options = [annotation(item, "kind"), annotation(item, "sensitive")]
    return ", ".join(_WORDS[option] for option in options if option in _WORDS)


def _enum_summary(messages: list[Descriptor]) -> list[Table]:
    used: dict[str, EnumDescriptor] = {}
    todo, seen = list(messages), set()
    while todo:
        message = todo.pop(0)
        seen.add(message.full_name)
        for item in message.fields:
            enum = field_enum(item) or bits_enum(item)
            if enum is not None:
                used[enum.full_name] = enum
            if item.message_type is not None and item.message_type.full_name not in seen:
                todo.append(item.message_type)
    rows = [
        (name, ", ".join(f"{number} {shown}" for number, shown in enum_names(enum, "sdk").items()))
        for name, enum in sorted(used.items())
    ]
    return [Table("Enums", _columns("enum", "values"), [*rows])] if rows else []


def _remark(full_name: str, only_in: str | None) -> str:
    parts = [comments().get(full_name, ""), f"[only in {only_in}]" if only_in else ""]
    return " ".join(part for part in parts if part)


_COUNTED = {
    "messages": "messages",
    "fields": "fields",
    "enums": "enums",
    "values": "enum values",
    "integers": "integer and enum fields",
}
_WORDS = {
    "ID": "id",
    "QUANTITY": "quantity",
    "SECONDS": "seconds since 1970",
    "SCALED": "scaled",
    "CONNECTION": "names a connection",
    "TRADE": "names a trade",
    "PERSONAL": "personal",
    "NETWORK": "address",
}
