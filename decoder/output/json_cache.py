"""Caches the JSON of submessages: most of them repeat, so bodies are written three times as fast.

A body is parsed by a shallow type (`schema.shallow_class`), which leaves submessages as bytes; their JSON is looked up
by these bytes.  Nine of ten levels of an order book stand in the push before as well, and so do brokers, securities,
the candles of a poll.  A submessage is parsed, checked and written when its bytes are first seen.  One that needs a
note is never cached: then the whole body is written without this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import orjson

from decoder import schema
from decoder.body.body import kind_of, ret_type_of
from decoder.body.codegen import Builder, Builders
from decoder.body.parse import parse_known
from decoder.body.parse_cost import always_safe_size
from decoder.framing.header import FORMAT, PROTO_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.protobuf.message import Message as ProtobufMessage

    from decoder.body.body import Kind
    from decoder.limits import Limits
    from decoder.message import Message
    from decoder.vocabulary import EnumStyle

T = TypeVar("T")

__all__ = ["Budget", "JsonFragmentCache", "NotCacheable", "RecordParts", "TypeCache"]

_MAX_SIZE = 24 * 1024 * 1024  # bytes (estimated) of each of the two generations; they usually take 2/3 of it
_ENTRY_SIZE = 250  # bytes of memory that an entry takes beside its key and its JSON (measured)
_MAX_BODY = 256 * 1024  # bytes; a longer body that turns out to need a note would be parsed twice at a high price


class JsonFragmentCache:
    """Makes records for orjson in one enum style, with or without secrets; submessages are JSON already."""

    def __init__(self, enums: EnumStyle, *, show_secrets: bool) -> None:
        self._caches: dict[type[ProtobufMessage], TypeCache[orjson.Fragment]] = {}
        self._budget = Budget(self._caches)
        self._limits: Limits | None = None
        self._max_body = 0
        self._builders = Builders(enums, not show_secrets, complete=True)
        self._shallow_builders = Builders(enums, not show_secrets, complete=True, parts=self._cache_of)
        self._plans: dict[tuple[int, str], _Plan | None] = {}

    def record(self, message: Message) -> dict[str, Any] | None:
        """Returns ``message.record()``, or None if the body differs from the schema or cannot be cached."""
        parts = self.parts(message)
        if parts is None:
            return None
        kind, ret_type, packet_id, body = parts
        return message.record_with(kind.proto, ret_type, packet_id, body, None, message.own_notes or [])

    def parts(self, message: Message) -> RecordParts | None:
        """Returns what depends on the body in such a record, which has no notes but the message's own; or None."""
        plaintext, flow = message.plaintext, message.flow
        if flow.limits is not self._limits:
            self._limits = flow.limits
            self._max_body = min(_MAX_BODY, always_safe_size(flow.limits))
        # Hot: fields of the header by index.
        if plaintext is None or message.header[FORMAT] or message.is_parsed or len(plaintext) > self._max_body:
            return None
        key = message.header[PROTO_ID], flow.direction
        try:
            plan = self._plans[key]
        except KeyError:
            plan = self._plans[key] = self._plan(*key)
        if plan is None:
            return None
        shallow = parse_known(plan.cls, plaintext)
        if shallow is None:
            return None
        notes: list[str] = []
        try:
            body = plan.build(shallow, notes)
        except NotCacheable:
            return None
        if notes:
            return None
        kind = plan.kind
        ret_type = ret_type_of(shallow) if kind.has_ret_type else None
        packet_id = body["c2s"].get("packetID") if kind.has_packet_id else None
        return RecordParts(kind, ret_type, packet_id, body)

    def _plan(self, proto_id: int, direction: str) -> _Plan | None:
        kind = kind_of(proto_id, direction)
        if kind.cls is None:
            return None
        cls = schema.shallow_class(kind.cls.DESCRIPTOR.full_name)
        return _Plan(kind, cls, self._shallow_builders[cls])

    def _cache_of(self, cls: type[ProtobufMessage]) -> Callable[[bytes], orjson.Fragment]:
        if cls not in self._caches:
            self._caches[cls] = TypeCache(cls, _fragment_maker(self._builders[cls]), self._budget)
        return self._caches[cls].__getitem__


class RecordParts(NamedTuple):
    """Holds what depends on the body in the record of a message."""

    kind: Kind
    ret_type: str | None
    packet_id: dict[str, Any] | None
    body: dict[str, Any]


class _Plan(NamedTuple):
    """Holds what is needed to write the bodies of one protocol and direction."""

    kind: Kind
    cls: type[ProtobufMessage]
    """The shallow type."""
    build: Builder


class NotCacheable(Exception):
    """Raised when a submessage does not parse or needs a note."""


class Budget:
    """Bounds the memory that the caches of all types take together."""

    def __init__(self, caches: Mapping[Any, TypeCache[Any]]) -> None:
        self._caches = caches
        self._size = 0  # bytes (an upper bound) of the current generation

    def add(self, size: int) -> None:
        """Counts a new entry of `size` bytes; over the bound, all caches begin a new generation."""
        self._size += size
        if self._size > _MAX_SIZE:
            self._size = size
            for cache in self._caches.values():
                cache.begin_generation()


def _fragment_maker(build: Builder) -> Callable[[ProtobufMessage], tuple[orjson.Fragment, int]]:
    def make(message: ProtobufMessage) -> tuple[orjson.Fragment, int]:
        notes: list[str] = []
        plain = build(message, notes)
        if notes:
            raise NotCacheable
        # Cutting off the newline makes a copy of the right size: orjson's own result takes a kilobyte or more.
        text = orjson.dumps(plain, None, orjson.OPT_APPEND_NEWLINE)[:-1]
        return orjson.Fragment(text), len(text)

    return make


class TypeCache(dict[bytes, T]):
    """Keeps what was made of submessages of one type, by their bytes, in two generations.

    :param make: returns what is kept, and the bytes of memory that it takes; raises `NotCacheable`
    """

    def __init__(
        self, cls: type[ProtobufMessage], make: Callable[[ProtobufMessage], tuple[T, int]], budget: Budget
    ) -> None:
        super().__init__()
        self._cls = cls
        self._make = make
        self._budget = budget
        self._older: dict[bytes, T] = {}

    def __missing__(self, data: bytes) -> T:
        max_size = 3 * len(data) + _ENTRY_SIZE  # bytes; JSON of twice the size of the message is usual
        made = self._older.get(data)
        if made is None:
            message = parse_known(self._cls, data)
            if message is None:
                raise NotCacheable
            made, size = self._make(message)
            if size > max_size:
                return made
        self._budget.add(len(data) + max_size + _ENTRY_SIZE)
        self[data] = made
        return made

    def begin_generation(self) -> None:
        """Drops the entries that were not used since the last call."""
        self._older = self.copy()
        self.clear()
