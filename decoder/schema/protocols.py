"""Looks up protocols by id and name, in a table that needs no protobuf."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from decoder.schema.pool import message_class

if TYPE_CHECKING:
    from google.protobuf.message import Message

Kind = Literal["request/response", "push"]
Transport = Literal["tcp", "websocket"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """Holds the properties of one protocol of the gateway."""

    proto_id: int
    name: str
    kind: Kind
    transport: Transport  # ids below 100 exist on the WebSocket port only
    request: str | None  # full message names; a push has only a response
    response: str | None
    state: str  # "current", "removed: last seen in ...", "unverified id"
    since: str  # the first release known to have it
    former_names: str
    meaning: str
    note: str


def _read() -> dict[int, Protocol]:
    with open(os.path.join(os.path.dirname(__file__), "protocols.tsv"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    table: dict[int, Protocol] = {}
    for line in lines[1:]:
        number, name, kind, transport, request, response, *rest = line.split("\t")
        table[int(number)] = Protocol(
            int(number), name, cast(Kind, kind), cast(Transport, transport), request or None, response or None, *rest
        )
    return table


_BY_ID = _read()
_BY_NAME = {protocol.name: protocol for protocol in _BY_ID.values()}
PUSH_IDS = frozenset(number for number, protocol in _BY_ID.items() if protocol.kind == "push")
_BODIES: dict[tuple[int, str], type[Message] | None] = {}


def protocol(proto_id: int) -> Protocol | None:
    """Returns the protocol with this id, or None."""
    return _BY_ID.get(proto_id)


def protocol_named(name: str) -> Protocol | None:
    """Returns the protocol with this name (``Trd_PlaceOrder``), or None."""
    return _BY_NAME.get(name)


def protocols() -> tuple[Protocol, ...]:
    """Returns every protocol, in the order of the ids."""
    return tuple(_BY_ID.values())


def is_push(proto_id: int) -> bool:
    """Returns True if the gateway sends this protocol unasked.  The id decides: serial numbers prove nothing."""
    return proto_id in PUSH_IDS


def body_class(proto_id: int, direction: str) -> type[Message] | None:
    """Returns the message class of a body, by protocol and direction (``c2s`` or ``s2c``).

    None if the protocol is unknown, has no published messages, or does not go that way.
    """
    key = proto_id, direction
    try:
        return _BODIES[key]
    except KeyError:
        known = _BY_ID.get(proto_id)
        if known is None:
            return None  # not remembered: a hostile capture can name four billion ids
        name = known.request if direction == "c2s" else known.response
        found = _BODIES[key] = message_class(name) if name else None
        return found
