"""Writes each message in full: header, verdict, packets, and every field of the body, one a line (``-V``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from decoder import schema
from decoder.body.scalars import plain_float
from decoder.body.wire import wire_view
from decoder.formatting.clock import latency_text, local_time, zone_of
from decoder.formatting.escape import escape
from decoder.limits import Limits
from decoder.message import Gap, Message
from decoder.output.info import REDACTED
from decoder.output.text import error_text
from decoder.schema.annotations import annotation
from decoder.schema.fields import Field, fields_by_name, split_bits
from decoder.vocabulary import GAP_REASONS

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.vocabulary import EnumStyle

__all__ = ["TreeOutput"]

_BOLD, _RED, _GREEN, _YELLOW, _RESET = "\x1b[1m", "\x1b[1;31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"
_VERDICT_COLORS = {"verified": _GREEN, "unverified": _YELLOW, "failed": _RED}
_INDENT = "    "
_MAX_UNKNOWN_SCAN = 1024 * 1024  # bytes of a body; the unknown fields of a longer one are not shown, only noted
_MAX_BYTES = 256  # bytes shown of a field of type bytes
_ITEMS_PER_LINE = 8  # items of a list of scalars


class TreeOutput:
    """Renders messages and gaps as indented lines, a blank line after each."""

    def __init__(
        self, enums: EnumStyle = "sdk", *, show_secrets: bool = False, utc: bool = False, color: bool = False
    ) -> None:
        self._enums: EnumStyle = enums
        self._show_secrets = show_secrets
        self._utc = utc
        self._color = color
        self._max_text = Limits().max_text
        self._value_styles: dict[str, tuple[str, dict[int, Any]]] = {}

    def render(self, records: Iterable[Message | Gap]) -> str:
        """Returns the lines of `records`."""
        return "".join(
            "\n".join(self._message(item) if isinstance(item, Message) else self._gap(item)) + "\n\n"
            for item in records
        )

    def _gap(self, gap: Gap) -> Iterator[str]:
        size = "bytes" if gap.bytes is None else f"{gap.bytes:,} bytes"
        yield self._painted(_BOLD, f"Gap  {self._time(gap.time_ns)}  {size} {GAP_REASONS[gap.reason]}")
        yield f"{_INDENT}connection  {gap.connection}, {gap.flow.src} > {gap.flow.dst}"

    def _message(self, message: Message) -> Iterator[str]:
        content = message.content
        _, _, format_number, _, _, _, _, reserved = message.header
        self._max_text = message.flow.limits.max_text
        name = f"{message.proto or 'unknown protocol'} ({message.proto_id})"
        yield self._painted(_BOLD, f"Message {message.number}  {self._time(message.time_ns)}  {name} {message.kind}")
        conn_id = f", connID {escape(message.conn_id)}" if message.conn_id is not None else ""
        yield f"{_INDENT}connection  {message.connection}, {message.src} > {message.dst}{conn_id}"
        yield (
            f"{_INDENT}header      serial {message.serial_no}, {message.format} ({format_number}), version"
            f" {message.version}, body {message.body_len:,} bytes, SHA-1 {message.sha1 or 'none'}"
            + (f", reserved {reserved.hex()}" if any(reserved) else "")
        )
        yield f"{_INDENT}encryption  {message.encryption}"
        verdict = f"{message.verdict} ({message.reason})" if message.reason else message.verdict
        yield f"{_INDENT}verdict     {self._painted(_VERDICT_COLORS[message.verdict], verdict)}"
        if message.hint:
            yield f"{_INDENT}what to do  {message.hint}"
        yield f"{_INDENT}packets     {', '.join(map(str, message.frames))}"
        if message.request is not None:
            latency = "" if message.latency_ns is None else f", {latency_text(message.latency_ns)} later"
            yield f"{_INDENT}answers     message {message.request}{latency}"
        if message.error is not None:
            yield f"{_INDENT}error       {self._painted(_RED, error_text(message.error).removeprefix('error '))}"
        for note in dict.fromkeys((*(message.own_notes or ()), *content.remarks)):
            yield f"{_INDENT}note        {self._painted(_YELLOW, escape(note))}"
        if content.message is not None:
            yield f"{_INDENT}body"
            unknown = any(remark.startswith("unknown-fields") for remark in content.remarks)
            show_unknown = unknown and len(message.plaintext or b"") <= _MAX_UNKNOWN_SCAN
            yield from self._fields(content.message, _INDENT * 2, show_unknown)
        elif message.plaintext is not None:
            yield f"{_INDENT}body, as it stands on the wire"
            yield from _raw(content.raw(show_secrets=self._show_secrets), _INDENT * 2)

    def _fields(self, body: ProtobufMessage, indent: str, show_unknown: bool) -> Iterator[str]:
        """Yields a line for each field that is present; with `show_unknown` for unknown fields too."""
        known = fields_by_name(body.DESCRIPTOR)
        for descriptor, value in body.ListFields():
            field = known[descriptor.name]
            if field.secret and not self._show_secrets:
                yield f"{indent}{field.name}: {REDACTED}"
            elif field.kind == "message":
                for index, item in enumerate(value if field.repeated else (value,)):
                    yield f"{indent}{field.name}[{index}]" if field.repeated else f"{indent}{field.name}"
                    yield from self._fields(item, indent + _INDENT, show_unknown)
            elif field.repeated:
                texts = [self._value(field, item) for item in value]
                for start in range(0, len(texts), _ITEMS_PER_LINE):
                    begin = " " * len(f"{field.name}: [") if start else f"{field.name}: ["
                    end = "," if start + _ITEMS_PER_LINE < len(texts) else "]"
                    yield f"{indent}{begin}{', '.join(texts[start : start + _ITEMS_PER_LINE])}{end}"
            else:
                zone = zone_of(value, getattr(body, f"{field.name}stamp", 0)) if field.kind == "string" else None
                yield f"{indent}{field.name}: {self._value(field, value)}{f' ({zone})' if zone else ''}"
        if show_unknown and (data := _unknown_bytes(body)):
            if self._show_secrets or not schema.has_secrets(cast("Descriptor", body.DESCRIPTOR)):
                yield from _raw(wire_view(data), indent, "unknown ")
            else:
                yield f"{indent}unknown fields: {REDACTED}"

    def _value(self, field: Field, value: Any) -> str:
        """Returns the text of a scalar: an enum value by name and number, a time as number and date."""
        kind, names = self._value_styles.get(field.descriptor.full_name) or self._value_style(field)
        if kind == "enum":
            name = names.get(value)
            return f"{value} (unknown)" if name is None else f"{name} ({value})" if name != value else str(value)
        if kind == "bits":
            found, rest = split_bits(value, names)
            return f"{'|'.join([*found, str(rest)] if rest else found)} ({value})" if found else str(value)
        if kind == "seconds":
            return f"{value!r} ({local_time(value, self._utc)}{'Z' if self._utc else ''})" if value else repr(value)
        if kind == "string":
            return '"' + escape(value, self._max_text).replace('"', '\\"') + '"'
        if kind == "bytes":
            return _hex(value)
        if kind == "bool":
            return "true" if value else "false"
        return str(plain_float(value) if kind == "float" else value)

    def _value_style(self, field: Field) -> tuple[str, dict[int, Any]]:
        """Returns how to show a field's values, and the names of its numbers or bits."""
        kind: str = field.kind
        names: dict[int, Any] = {}
        if kind == "enum" and field.enum is not None:
            names = dict(schema.enum_names(field.enum, self._enums))
        elif kind == "bits":
            names = dict(schema.bit_names(field.descriptor, self._enums) or {})
        elif annotation(field.descriptor, "kind") == "SECONDS":
            kind = "seconds"
        self._value_styles[field.descriptor.full_name] = kind, names
        return kind, names

    def _time(self, time_ns: int) -> str:
        seconds, nanoseconds = divmod(max(time_ns, 0), 1_000_000_000)
        return f"{local_time(seconds, self._utc)}.{nanoseconds:09d}{'Z' if self._utc else ''}"

    def _painted(self, color: str, text: str) -> str:
        return f"{color}{text}{_RESET}" if self._color else text


def _hex(value: bytes) -> str:
    rest = f" … ({len(value):,} bytes)" if len(value) > _MAX_BYTES else ""
    return f"<{value[:_MAX_BYTES].hex()}>{rest}"


def _unknown_bytes(body: ProtobufMessage) -> bytes:
    """Returns the unknown fields of `body` (not of its submessages) in wire format."""
    rest = body.__class__.FromString(body.SerializePartialToString())
    for descriptor, _ in rest.ListFields():
        rest.ClearField(descriptor.name)
    return rest.SerializePartialToString()


def _raw(view: list[dict[str, Any]] | str | None, indent: str, label: str = "") -> Iterator[str]:
    """Yields the lines of a wire-level view: fields by number, or the text of a JSON body."""
    if view is None:
        yield f"{indent}withheld, as it may hold secrets: --show-secrets shows it"
    elif isinstance(view, str):
        yield from (f"{indent}{line}" for line in view.splitlines())
    else:
        for entry in view:
            if "error" in entry:
                yield f"{indent}{entry['error']}{': ' if entry.get('rest') else ''}{entry.get('rest', '')}"
                continue
            value = entry["value"]
            start = f"{indent}{entry['field']} ({label}{entry['type']})"
            if isinstance(value, list):
                yield start
                yield from _raw(value, indent + _INDENT)
                continue
            text = '"' + escape(value) + '"' if entry["type"] == "string" else str(value)
            other = next((f", or {entry[key]}" for key in ("signed", "double", "float") if key in entry), "")
            yield f"{start}: {text}{other}"
