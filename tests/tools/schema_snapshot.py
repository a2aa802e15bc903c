"""Facts of one release in a compact table: names, numbers, types and labels, nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.tools.schema_model import INTEGER_TYPES, Enum, Field, File, Message, Schema, Value, walk_enums, walk_messages


def counts(schema: Schema) -> dict[str, int]:
    """How much a release declares."""
    messages = [message for file in schema.values() for _, message in walk_messages(file)]
    enums = [enum for file in schema.values() for _, enum in walk_enums(file)]
    return {
        "messages": len(messages),
        "fields": sum(len(message.fields) for message in messages),
        "enums": len(enums),
        "values": sum(len(enum.values) for enum in enums),
        "integers": sum(item.is_enum or item.type in INTEGER_TYPES for message in messages for item in message.fields),
    }


def write_snapshot(schema: Schema, release: str) -> str:
    """The text of a snapshot: a heading per message or enum, a line per field or value."""
    lines = [f"# {release}: " + ", ".join(f"{number} {what}" for what, number in counts(schema).items())]
    for _, file in sorted(schema.items()):
        for name, enum in walk_enums(file):
            lines += [f"enum {name}", *(f"{value.number}\t{value.name}" for value in enum.values)]
        for name, message in walk_messages(file):
            lines.append(f"message {name}")
            lines += [
                f"{item.number}\t{item.name}\t{'enum ' * item.is_enum}{item.type}\t{item.label}"
                for item in message.fields
            ]
    return "\n".join(lines) + "\n"


def read_snapshot(path: Path) -> Schema:
    """The schema that ``write_snapshot`` was given, but for defaults and the order of files."""
    schema: Schema = {}
    messages: dict[str, Message] = {}
    target: Enum | Message = Message("")
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        if "\t" not in line:
            kind, full_name = line.split(" ")
            scope, _, name = full_name.rpartition(".")
            file = schema.setdefault(full_name.split(".")[0], File(full_name.split(".")[0]))
            if kind == "enum":
                target = Enum(name)
                file.enums.append(target)
            else:
                target = messages[full_name] = Message(name)
                (messages[scope].messages if scope in messages else file.messages).append(target)
        elif isinstance(target, Enum):
            number, name = line.split("\t")
            target.values.append(Value(name, int(number)))
        else:
            number, name, type_name, label = line.split("\t")
            is_enum = type_name.startswith("enum ")
            target.fields.append(Field(name, int(number), label, type_name.removeprefix("enum "), is_enum))
    return schema
