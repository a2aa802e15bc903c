"""Compare a release with our schema and take over what is new.

``merge`` changes our schema in memory and says what it did; the caller decides whether to write it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from tests.tools.compile_schema import quote
from tests.tools.schema_model import INTEGER_TYPES, Enum, Field, File, Message, Schema, Value

Action = Literal["new", "changed", "gone", "conflict"]


@dataclass(frozen=True)
class Change:
    action: Action  # a conflict is left alone: a number changed its type or label, a person must look
    what: str
    detail: str = ""


@dataclass
class Merge:
    """``only_in`` marks what is taken over as not belonging to the release that the schema follows."""

    ours: Schema
    theirs: Schema
    only_in: str | None = None
    gone_after: str = "an earlier release"
    changes: list[Change] = field(default_factory=list)
    new_fields: list[tuple[str, Field]] = field(default_factory=list)
    new_values: list[tuple[str, Value]] = field(default_factory=list)

    def run(self) -> list[Change]:
        for package, file in self.theirs.items():
            mine = self.ours.get(package)
            if mine is None:
                mine = self.ours[package] = File(package)
                self.note("new", package, "file")
            self.merge_enums(package, mine.enums, file.enums)
            self.merge_messages(package, mine.messages, file.messages)
        if self.only_in is None:
            for package in self.ours.keys() - self.theirs.keys():
                self.merge_enums(package, self.ours[package].enums, [])
                self.merge_messages(package, self.ours[package].messages, [])
        return self.changes

    def note(self, action: Action, what: str, detail: str = "") -> None:
        self.changes.append(Change(action, what, detail))

    def mark(self, options: dict[str, str], key: str) -> None:
        if self.only_in is not None:
            options[key] = quote(self.only_in)

    def back(self, what: str, options: dict[str, str], key: str) -> None:
        """Something that the schema knew from elsewhere is in the release itself now."""
        if self.only_in is None and options.pop(key, ""):
            self.note("changed", what, "is in this release now")

    def gone(self, what: str, options: dict[str, str], key: str) -> None:
        if self.only_in is None and key not in options:
            self.note("gone", what)
            options[key] = quote(f"futu-api <= {self.gone_after}")

    def merge_messages(self, scope: str, mine: list[Message], theirs: list[Message]) -> None:
        known = {message.name: message for message in mine}
        for message in theirs:
            name = f"{scope}.{message.name}"
            ours = known.get(message.name)
            if ours is None:
                ours = Message(message.name)
                self.mark(ours.options, "message_only_in")
                mine.append(ours)
                self.note("new", name, "message")
            else:
                self.back(name, ours.options, "message_only_in")
            self.merge_fields(name, ours, message)
            self.merge_messages(name, ours.messages, message.messages)
        names = {message.name for message in theirs}
        for message in mine:
            if message.name not in names:
                self.gone(f"{scope}.{message.name}", message.options, "message_only_in")

    def merge_fields(self, scope: str, mine: Message, theirs: Message) -> None:
        known = {item.number: item for item in mine.fields}
        for item in theirs.fields:
            name = f"{scope}.{item.name}"
            ours = known.get(item.number)
            if ours is None:
                ours = Field(item.name, item.number, item.label, item.type, item.is_enum, item.default)
                if "message_only_in" not in mine.options:
                    self.mark(ours.options, "field_only_in")
                mine.fields.append(ours)
                self.new_fields.append((name, ours))
                self.note("new", name, f"{item.label} {item.type} = {item.number}")
                continue
            self.back(name, ours.options, "field_only_in")
            if not same_type(ours, item) or ours.label != item.label:
                self.note("conflict", name, f"{ours.label} {ours.type} here, {item.label} {item.type} there")
            elif ours.name != item.name and self.only_in is None:
                self.note("changed", f"{scope}.{ours.name}", f"renamed {item.name}")
                ours.name = item.name
        numbers = {item.number for item in theirs.fields}
        for item in mine.fields:
            if item.number not in numbers and "message_only_in" not in mine.options:
                self.gone(f"{scope}.{item.name}", item.options, "field_only_in")

    def merge_enums(self, package: str, mine: list[Enum], theirs: list[Enum]) -> None:
        known = {enum.name: enum for enum in mine}
        for enum in theirs:
            name = f"{package}.{enum.name}"
            ours = known.get(enum.name)
            if ours is None:
                ours = Enum(enum.name)
                self.mark(ours.options, "enum_only_in")
                mine.append(ours)
                self.note("new", name, "enum")
            else:
                self.back(name, ours.options, "enum_only_in")
            self.merge_values(name, ours, enum.values)
        names = {enum.name for enum in theirs}
        for enum in mine:
            if enum.name not in names:
                self.gone(f"{package}.{enum.name}", enum.options, "enum_only_in")

    def merge_values(self, scope: str, mine: Enum, theirs: Iterable[Value]) -> None:
        pairs = {(value.name, value.number) for value in mine.values}
        names = {value.name for value in mine.values}
        there = {(value.name, value.number) for value in theirs}
        for value in theirs:
            if (value.name, value.number) in pairs:
                ours = next(item for item in mine.values if item.name == value.name)
                self.back(f"{scope}.{value.name}", ours.options, "value_only_in")
            elif value.name in names:
                self.note("conflict", f"{scope}.{value.name}", f"another number there: {value.number}")
            else:
                self.take_value(scope, mine, value)
        for value in mine.values:
            known = (value.name, value.number) in there or "synthetic" in value.options
            if not known and "enum_only_in" not in mine.options:
                self.gone(f"{scope}.{value.name}", value.options, "value_only_in")
        if not any(value.number == 0 for value in mine.values):
            mine.values.insert(0, Value(f"{mine.name}_Zero", 0, {"synthetic": "true"}))

    def take_value(self, scope: str, mine: Enum, value: Value) -> None:
        ours = Value(value.name, value.number)
        if "enum_only_in" not in mine.options:
            self.mark(ours.options, "value_only_in")
        taken = next((i for i, item in enumerate(mine.values) if item.number == value.number), None)
        if taken is not None and "synthetic" in mine.values[taken].options:
            mine.values[taken] = ours
        elif taken is None:
            mine.values.append(ours)
        else:
            # Of two names the first declared is the one that is shown: the current one.
            mine.values.insert(taken if self.only_in is None else taken + 1, ours)
        self.new_values.append((scope, ours))
        self.note("new", f"{scope}.{value.name}", f"= {value.number}" + ("" if taken is None else ", a second name"))


def same_type(ours: Field, theirs: Field) -> bool:
    """True when both have the same wire type; an enum of ours stands where the vendor declares int32."""
    return ours.type == theirs.type or (ours.is_enum and theirs.type == "int32")


def undecided(schema: Schema) -> list[str]:
    """The integer fields of which nobody has said what they hold."""
    from tests.tools.schema_model import walk_messages

    return [
        f"{name}.{item.name}"
        for file in schema.values()
        for name, message in walk_messages(file)
        for item in message.fields
        if item.type in INTEGER_TYPES and not item.decided
    ]
