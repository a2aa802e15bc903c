"""Renderers with the compiled core and without, and messages to compare them with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from typing import Any
from unittest.mock import patch

import pytest

from decoder import schema
from decoder.engine.core import JsonLines
from decoder.framing.header import MAGIC, RESERVED
from decoder.limits import Limits
from decoder.message import Flow, Message
from decoder.vocabulary import Direction, EnumStyle, Kind

needs_core = pytest.mark.skipif(JsonLines is None, reason="the compiled core is not built, or OPENDUMP_PURE is set")

STYLES: list[tuple[EnumStyle, bool]] = [
    (enums, shown) for enums in ("sdk", "proto", "number") for shown in (False, True)
]
"""Enum styles, each without and with secrets."""
BODIES: list[tuple[int, Direction, Any]] = [
    (protocol.proto_id, direction, cls)
    for protocol in schema.protocols()
    for direction in ("c2s", "s2c")
    if (cls := schema.body_class(protocol.proto_id, direction)) is not None
]
"""Protocol id, direction and class of every body."""
ENDS = ("192.0.2.1:50112", "192.0.2.2:11111")


@contextmanager
def without_core() -> Iterator[None]:
    """Renderers that are made here are pure Python."""
    with patch("decoder.output.json_core.JsonLines", None):
        yield


def body_message(
    proto_id: int, direction: Direction, body: bytes, *, limits: Limits | None = None, **changes: Any
) -> Message:
    """Returns a verified message with this body; `changes` are set as attributes."""
    flow = Flow(3, direction, *(ENDS if direction == "c2s" else ENDS[::-1]), limits or Limits())
    header = (MAGIC, proto_id, 0, 0, 7, len(body), sha1(body).digest(), RESERVED)
    kind: Kind = "request" if direction == "c2s" else "push" if schema.is_push(proto_id) else "response"
    message = Message(flow, header, 1_790_000_000_123_456_789, (4, 5), kind, body, "None", "verified", None, "12")
    message.number = 17
    for name, value in changes.items():
        setattr(message, name, value)
    return message
