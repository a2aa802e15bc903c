"""Propose what a new integer field holds, from its name and from what is known of others.

A proposal is only made where the evidence points one way; every other field stays undecided and
waits for a person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.tools.compile_schema import quote
from tests.tools.schema_model import INTEGER_TYPES, Field, Schema, walk_enums, walk_messages
from tests.tools.vendor_constants import Constants

Decision = tuple[str, str]  # ("kind", "ID"), ("enum", full name)

NAME_KINDS = (
    (re.compile(r"(ID|Id|_id)(List)?$"), "ID"),
    (re.compile(r"([tT]ime|[tT]imestamp)$"), "SECONDS"),
    (re.compile(r"([cC]ount|[vV]olume|[qQ]ty|[qQ]uantity|[nN]um|[sS]hares|[aA]mount)$"), "QUANTITY"),
)


class Proposals:
    """``comments`` are the vendor's, by full field name: read for the enum they name, never copied."""

    def __init__(self, schema: Schema, comments: Mapping[str, str]) -> None:
        self.comments = comments
        self.enums = {name for file in schema.values() for name, _ in walk_enums(file)}
        self.short: dict[str, set[str]] = {}
        for name in self.enums:
            self.short.setdefault(name.split(".")[1], set()).add(name)
        self.zeroes = {
            name: {str(value.number): value.name for value in enum.values}
            for file in schema.values()
            for name, enum in walk_enums(file)
        }
        self.precedents: dict[tuple[str, str], set[Decision]] = {}
        for file in schema.values():
            for _, message in walk_messages(file):
                for item in message.fields:
                    if decision := _decision(item):
                        self.precedents.setdefault((item.name, _width(item)), set()).add(decision)

    def apply(self, full_name: str, item: Field) -> str:
        """Decide a field if the evidence allows; returns the reason, or "" when it stays undecided."""
        if item.type not in INTEGER_TYPES or item.decided:
            return ""
        for reason, decision in (
            ("its comment names the enum", self.from_comment(full_name)),
            ("every field of that name is so", self.from_precedent(item)),
            ("its name says so", self.from_name(item)),
        ):
            if decision is not None:
                self.decide(item, decision)
                return reason
        return ""

    def from_comment(self, full_name: str) -> Decision | None:
        package = full_name.split(".")[0]
        found: set[str] = set()
        for word in re.findall(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?", self.comments.get(full_name, "")):
            near = f"{package}.{word}"
            if word in self.enums or near in self.enums:
                found.add(word if word in self.enums else near)
            elif len(self.short.get(word, ())) == 1:
                found |= self.short[word]
        return ("enum", found.pop()) if len(found) == 1 else None

    def from_precedent(self, item: Field) -> Decision | None:
        known = self.precedents.get((item.name, item.type), set())
        return next(iter(known)) if len(known) == 1 else None

    def from_name(self, item: Field) -> Decision | None:
        return next((("kind", kind) for pattern, kind in NAME_KINDS if pattern.search(item.name)), None)

    def decide(self, item: Field, decision: Decision) -> None:
        what, value = decision
        if what == "kind":
            item.options = {"kind": value} | item.options
        elif item.type == "int32":
            item.type, item.is_enum = value, True
            item.default = self.zeroes[value].get(item.default, "")
        else:  # an enum would cut wider numbers
            item.options = {"names": quote(value)} | item.options


def _decision(item: Field) -> Decision | None:
    if item.is_enum:
        return "enum", item.type
    if "names" in item.options:
        return "enum", item.options["names"].strip('"')
    return ("kind", item.options["kind"]) if "kind" in item.options else None


def _width(item: Field) -> str:
    return "int32" if item.is_enum else item.type


def sdk_differences(schema: Schema, constants: Constants, *, only_in: str | None) -> list[tuple[str, str, str]]:
    """(enum value, our SDK constant, the SDK's) wherever the code gives a constant and it is not ours.

    Constants of new values are filled in.  ``only_in``: a source of its own brings no constants.
    """
    found: list[tuple[str, str, str]] = []
    if only_in is not None:
        return found
    for file in schema.values():
        for name, enum in walk_enums(file):
            for value in enum.values:
                key = file.package, value.name
                theirs = constants.sdk_names.get(key) or constants.unnamed.get(key, set())
                ours = value.options.get("sdk", "").strip('"')
                if theirs and ours not in theirs:
                    shown = sorted(theirs)[0]
                    value.options = {"sdk": quote(shown)} | {k: v for k, v in value.options.items() if k != "sdk"}
                    found.append((f"{name}.{value.name}", ours, shown))
            for member, number in constants.int_enums.get(enum.name, {}).items():
                if enum.options.get("enum_only_in") == '"SDK code"' and number not in {v.number for v in enum.values}:
                    found.append((f"{name}.{enum.name}_{member}", "", f"{member} = {number}"))
    return found
