"""Target `bodies`: the input is the plaintext of one body, and what it is said to be."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from hashlib import sha1
from typing import Any

from google.protobuf.message import Message as ProtobufMessage

from decoder import schema
from decoder.body.body import Body
from decoder.body.codegen import REDACTED
from decoder.body.from_dict import from_dict
from decoder.body.from_json import read_json
from decoder.body.to_dict import to_dict
from decoder.body.wire import text_view, wire_view
from decoder.framing.header import MAGIC, RESERVED
from decoder.message import Flow, Message
from decoder.vocabulary import Direction, EnumStyle, Kind

from . import printed
from .conversations import recorded

MAX_LEN = 400
_HEAD = struct.Struct(">HB")  # which protocol, options
_PROTOCOLS = [*(protocol.proto_id for protocol in schema.protocols()), 9999]
_STYLES: tuple[EnumStyle, ...] = ("sdk", "proto", "number")
_FLOWS = (Flow(0, "c2s", "192.0.2.1:50112", "192.0.2.2:11111"), Flow(0, "s2c", "192.0.2.2:11111", "192.0.2.1:50112"))
_WIRE_FIELDS = 100


def check(data: bytes) -> None:
    """Whatever the bytes are, they are shown; what can be read can be written again; no secret slips out."""
    if len(data) < _HEAD.size:
        return
    index, options = _HEAD.unpack_from(data)
    plain = data[_HEAD.size :]
    flow = _FLOWS[options & 1]
    style = _STYLES[(options >> 2 & 3) % 3]
    proto_id, body_format = _PROTOCOLS[index % len(_PROTOCOLS)], options >> 1 & 1
    body = Body(proto_id, flow.direction, body_format, plain)
    shown = body.to_dict(style, redact=False)
    assert (shown is None) == (body.message is None)
    if body.message is not None and shown is not None:
        if not body.remarks:
            _check_inverse(body.message, shown, style)
        _check_redacted(body.message, body.to_dict(style, redact=True))
    header = (MAGIC, proto_id, body_format, 0, index, len(plain), sha1(plain).digest(), RESERVED)
    kind: Kind = "request" if flow.direction == "c2s" else "push" if schema.is_push(proto_id) else "response"
    message = Message(flow, header, 10**18, (1,), kind, plain, "None", "verified", None, None)
    printed.check([message], printed.FORMATS[options >> 4 & 3])
    if options & 0x40:
        view = wire_view(plain, max_fields=_WIRE_FIELDS, max_depth=5)
        assert _entries(view) <= _WIRE_FIELDS + 7, "more fields than were asked for"
        json.dumps(view)
        text_view(plain)


def _check_inverse(message: ProtobufMessage, shown: dict[str, Any], style: EnumStyle) -> None:
    """A message without oddities can be made again of how it is shown, directly and through JSON."""
    again = from_dict(shown, type(message))
    assert to_dict(again, style, redact=False) == shown
    if not _holds_nan(shown):
        assert again == message
    from_json, remarks = read_json(json.dumps(shown).encode(), type(message))
    assert not remarks
    assert to_dict(from_json, style, redact=False) == shown


def _holds_nan(shown: dict[str, Any]) -> bool:
    return '"NaN"' in json.dumps(shown)


def _check_redacted(message: ProtobufMessage, shown: Any) -> None:
    for field, value in message.ListFields():
        plain = shown[field.name]
        if schema.is_secret(field):
            assert plain == REDACTED or set(plain) == {REDACTED}, f"{field.name} is a secret"
        elif field.message_type is not None:
            several = isinstance(plain, list)
            for item, item_plain in zip(value if several else [value], plain if several else [plain], strict=True):
                _check_redacted(item, item_plain)


def _entries(view: list[dict[str, Any]]) -> int:
    return len(view) + sum(_entries(entry["value"]) for entry in view if isinstance(entry.get("value"), list))


def seeds() -> Iterator[bytes]:
    """A body of each protocol and direction that was recorded, as protobuf and as JSON."""
    seen = set()
    for messages in recorded().values():
        for message in messages:
            kind = message.proto_id, message.direction, message.header[2]
            plain = message.plaintext
            if kind in seen or plain is None or len(plain) > MAX_LEN * 3:
                continue
            seen.add(kind)
            yield _packed(*kind, plain)
            if message.header[2] == 0:
                yield _packed(*kind[:2], 1, json.dumps(message.to_dict("proto")).encode())
    # Every type, with a c2s or s2c in which everything required is missing.
    for protocol in schema.protocols():
        yield _packed(protocol.proto_id, "s2c", 0, b"\x08\x00\x22\x00")
        yield _packed(protocol.proto_id, "c2s", 0, b"\x0a\x00")


def _packed(proto_id: int, direction: Direction, body_format: int, plain: bytes) -> bytes:
    index = _PROTOCOLS.index(proto_id)
    options = (direction == "s2c") | body_format << 1 | (index % 3) << 2 | (len(plain) % 4) << 4 | 0x40
    return _HEAD.pack(index, options) + plain[: MAX_LEN - _HEAD.size]
