"""Reports schema drift: what the gateway says and the schema does not know."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from decoder.findings.context import name_of
from decoder.formatting.escape import escape
from decoder.schema.fields import fields_of

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.findings.context import Context
    from decoder.message import Message
    from decoder.schema.fields import Descriptor, Field

__all__ = ["SchemaDrift"]

_MAX_TEXT = 200  # characters of the places that a finding names
_INDEX = re.compile(r"\[\d+\]")
_KNOWN = {
    "unknown-protocol": "this version does not know the protocol; look for a newer one of this tool",
    "no-schema": "no messages are published for this protocol",
    "unknown-fields": "the sender has a newer schema than this tool: these fields are not shown",
    "unknown-enum-value": "the sender has a newer schema than this tool: these values are shown as numbers",
    "bad-body": "a bug in the sender, or another protocol's body",
}
_ENUM_VALUE = "unknown-enum-value"
_SAME_AS = {"no-schema": "unknown-protocol"}

Test = Callable[["ProtobufMessage"], bool]


class SchemaDrift:
    """Compares bodies with the schema."""

    def __init__(self) -> None:
        self._tests: dict[type[ProtobufMessage], Test] = {}
        self._namespace: dict[str, Any] = {"never": lambda message: False}
        self._names: dict[str, str] = {}

    def message(self, context: Context, message: Message) -> None:
        """Takes any message."""
        content = message.content
        body = content.message
        if body is not None:
            test = self._tests.get(body.__class__)
            if test is None:
                test = self._tests[body.__class__] = self._namespace[self._make(body.DESCRIPTOR)]
            if not (test(body) or content.remarks_on_form):
                return
        for remark in content.remarks:
            kind, _, places = remark.partition(":")
            advice = _KNOWN.get(kind)
            if kind == _ENUM_VALUE:
                self._unknown_values(context, message, places.split(","))
            elif advice is not None:
                detail = f" ({escape(places.strip(), _MAX_TEXT)})" if places else ""
                context.report(
                    "warning" if kind == "bad-body" else "note",
                    _SAME_AS.get(kind, kind),
                    message,
                    f"{name_of(message)} {message.kind}: {kind.replace('-', ' ')}{detail}: {advice}",
                    message.proto_id,
                    message.direction,
                )

    @staticmethod
    def _unknown_values(context: Context, message: Message, places: list[str]) -> None:
        """Reports each field with an unknown value once, over all connections."""
        for place in places:
            field = _INDEX.sub("", place.partition("=")[0]).strip()
            if not field or " " in field:
                continue  # how many more there are
            text = (
                f"{name_of(message)} {message.kind}: unknown enum value ({escape(place.strip(), _MAX_TEXT)}): "
                f"{_KNOWN[_ENUM_VALUE]}"
            )
            context.report_once("note", _ENUM_VALUE, message, text, message.proto_id, message.direction, field)

    def _make(self, descriptor: Descriptor) -> str:
        """Returns the name of a function that tells whether a message has an enum value that the schema does not know.

        It looks at nothing but enums, 1.1 µs on the traffic of the benchmark; the notes of a message look at all.
        """
        name = self._names.get(descriptor.full_name)
        if name is None:
            name = self._names[descriptor.full_name] = f"test_{len(self._names)}"
            self._namespace[name] = None  # a type within itself finds its name here
            tests = [test for field in fields_of(descriptor) if (test := self._test(field)) is not None]
            if tests:
                exec(f"def {name}(m): return {' or '.join(tests)}", self._namespace)
            else:
                name = self._names[descriptor.full_name] = "never"
        return name

    def _test(self, field: Field) -> str | None:
        """Returns the expression for one field; None if nothing in it can be unknown."""
        read = f"m.{field.name}"
        if field.kind == "message":
            inner = self._make(field.message_type)
            if inner == "never":
                return None
            if field.repeated:
                return f"any([{inner}(x) for x in {read}])"
            return f"(m.HasField({field.name!r}) and {inner}({read}))"
        if field.kind not in ("enum", "bits"):
            return None
        known = f"known_{len(self._namespace)}"
        if field.kind == "bits":
            self._namespace[known] = ~sum(field.known)
            value = f"x & {known}"
        else:
            self._namespace[known] = frozenset(field.known) | {0}
            value = f"x not in {known}"
        return f"any([{value} for x in {read}])" if field.repeated else value.replace("x", read, 1)
