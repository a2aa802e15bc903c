"""Bodies as JSON at a third of the price: what is in them was mostly written before.

A body is read as an outline (`schema.shallow_class`), and the JSON of each message that the outline leaves unread is
looked up by its bytes.  Nine of ten levels of an order book stand in the push before as well, and so do brokers,
securities, the candles of a poll.  A message is parsed, checked and written when its bytes are first seen; whatever
deserves a note is never kept, and sends the whole body the long way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from decoder import schema
from decoder.body.body import kind_of, ret_type_of
from decoder.body.codegen import Builder, Builders
from decoder.body.parse import parse_known
from decoder.body.parse_cost import always_safe_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message as ProtobufMessage

    from decoder.body.body import Kind
    from decoder.limits import Limits
    from decoder.message import Message
    from decoder.vocabulary import EnumStyle

__all__ = ["JsonFragmentCache"]

_KEPT = 24 * 1024 * 1024  # bytes that each of two generations of parts may take; 2/3 of it is usual
_ENTRY = 250  # bytes that keeping a part takes beside its own and its JSON
_LONGEST = 256 * 1024  # bytes of a body; a longer one would pass through here twice if it is odd


class JsonFragmentCache:
    """Bodies of one enum style, with or without secrets, as data for orjson (parts of it are written already)."""

    def __init__(self, enums: EnumStyle, *, show_secrets: bool) -> None:
        self._parts: dict[type[ProtobufMessage], _Parts] = {}
        self._kept = _Kept(self._parts)
        self._limits: Limits | None = None
        self._longest = 0
        self._builders = Builders(enums, not show_secrets, complete=True)
        self._outlines = Builders(enums, not show_secrets, complete=True, parts=self._parts_of)
        self._plans: dict[tuple[int, str], _Plan | None] = {}

    def record(self, message: Message) -> dict[str, Any] | None:
        """``message.record()``, or None if its body is not just what the schema says."""
        plaintext, flow = message.plaintext, message.flow
        if flow.limits is not self._limits:
            self._limits = flow.limits
            self._longest = min(_LONGEST, always_safe_size(flow.limits))
        if plaintext is None or message.header[2] or message.is_parsed or len(plaintext) > self._longest:
            return None
        key = message.header[1], flow.direction
        try:
            plan = self._plans[key]
        except KeyError:
            plan = self._plans[key] = self._plan(*key)
        if plan is None:
            return None
        outline = parse_known(plan.outline, plaintext)
        if outline is None:
            return None
        odd: list[str] = []
        try:
            body = plan.build(outline, odd)
        except _Odd:
            return None
        if odd:
            return None
        kind = plan.kind
        ret_type = ret_type_of(outline) if kind.has_ret_type else None
        packet_id = body["c2s"].get("packetID") if kind.has_packet_id else None
        return message.record_with(kind.proto, ret_type, packet_id, body, None, message.own_notes or [])

    def _plan(self, proto_id: int, direction: str) -> _Plan | None:
        kind = kind_of(proto_id, direction)
        if kind.cls is None:
            return None
        outline = schema.shallow_class(kind.cls.DESCRIPTOR.full_name)
        return _Plan(kind, outline, self._outlines[outline])

    def _parts_of(self, cls: type[ProtobufMessage]) -> Callable[[bytes], orjson.Fragment]:
        if cls not in self._parts:
            self._parts[cls] = _Parts(cls, self._builders[cls], self._kept)
        return self._parts[cls].__getitem__


class _Plan(NamedTuple):
    """How to read the bodies of one protocol and direction."""

    kind: Kind
    outline: type[ProtobufMessage]
    build: Builder


class _Odd(Exception):
    """A message that is not just what the schema says."""


class _Kept:
    """How much memory the parts of all types take that were asked for lately."""

    def __init__(self, parts: dict[type[ProtobufMessage], _Parts]) -> None:
        self._parts = parts
        self._size = 0  # bytes at most since the last cut

    def add(self, size: int) -> None:
        """So many bytes more; if that is too much, forget what was not asked for since this happened last."""
        self._size += size
        if self._size > _KEPT:
            self._size = size
            for parts in self._parts.values():
                parts.age()


class _Parts(dict[bytes, orjson.Fragment]):
    """The JSON of messages of one type, by their bytes."""

    def __init__(self, cls: type[ProtobufMessage], build: Builder, kept: _Kept) -> None:
        super().__init__()
        self._cls = cls
        self._build = build
        self._kept = kept
        self._older: dict[bytes, orjson.Fragment] = {}

    def __missing__(self, data: bytes) -> orjson.Fragment:
        most = 3 * len(data) + _ENTRY  # bytes of its JSON; twice its own are usual
        fragment = self._older.get(data)
        if fragment is None:
            message = parse_known(self._cls, data)
            if message is None:
                raise _Odd
            odd: list[str] = []
            plain = self._build(message, odd)
            if odd:
                raise _Odd
            # The newline is cut off for the copy that this makes: orjson's own result takes a kilobyte, however short.
            text = orjson.dumps(plain, None, orjson.OPT_APPEND_NEWLINE)[:-1]
            fragment = orjson.Fragment(text)
            if len(text) > most:
                return fragment
        self._kept.add(len(data) + most + _ENTRY)
        self[data] = fragment
        return fragment

    def age(self) -> None:
        """Forget what was not asked for since the last call."""
        self._older = self.copy()
        self.clear()
