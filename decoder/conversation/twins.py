"""Recognizes one conversation that is seen on two address pairs: a proxy, DNAT, or two capture points.

Both connections carry the same InitConnect response, which holds a random connID and key, and then the same messages in
the same order.  In each direction the copy is the message that comes out second, on whichever connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import ReferenceType, ref

from decoder.framing.header import DIGEST, SERIAL_NO

if TYPE_CHECKING:
    from decoder.message import Message

__all__ = ["TwinFinder", "Twins"]

_MAX_AHEAD = 256
"""Messages by which one of two connections may be ahead of the other, in each direction; older ones are forgotten."""
_MAX_CONVERSATIONS = 1024
"""Conversations that are remembered; the oldest is forgotten for a new one."""
_ENOUGH = 3
"""Messages that must agree, the InitConnect response among them, before connections are said to carry the same."""
_MAX_MISSES = 64
"""Messages on only one of two connections, for each that agrees, after which they carry different conversations."""

_MAX_NOTED = 64
"""Pairs of connections that are told."""

_Identity = tuple[str, int, int, bytes]


class Twins:
    """Compares the messages of two connections that have the same InitConnect response."""

    __slots__ = ("_ahead", "_compared", "conn_id", "given_up", "matched", "ordinals")

    def __init__(self, first: int, second: int, conn_id: str) -> None:
        self.ordinals = first, second
        """Ordinals of the connections."""
        self.conn_id = conn_id
        """Their connID."""
        self.matched = 0
        """Messages that came out on both."""
        self.given_up = False
        """True once it was seen that they carry different conversations."""
        self._compared = 0
        self._ahead: dict[_Identity, int] = {}  # those that came out on one connection only: its ordinal

    @property
    def proven(self) -> bool:
        """True if they carry the same conversation."""
        return self.matched >= _ENOUGH and not self.given_up

    def check(self, ordinal: int, message: Message) -> None:
        """Marks `message` of connection `ordinal` as a copy if the same one came out on the other connection."""
        _, proto_id, _, _, serial_no, _, digest, _ = message.header
        identity = message.direction, proto_id, serial_no, digest
        self._compared += 1
        other = self._ahead.get(identity)
        if other is not None and other != ordinal:
            del self._ahead[identity]
            self.matched += 1
            message.copy = True
            return
        self._ahead[identity] = ordinal
        if len(self._ahead) > _MAX_AHEAD:
            for key in list(self._ahead)[: _MAX_AHEAD // 2]:
                del self._ahead[key]
        self.given_up = self._compared > _MAX_MISSES * (1 + self.matched)


class HasTwins(Protocol):
    """A connection, as far as it is known here."""

    twins: Twins | None

    @property
    def ordinal(self) -> int:
        """Its ordinal in the capture."""


class TwinFinder:
    """Finds connections that carry the same conversation."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, bytes], tuple[ReferenceType[HasTwins], Message]] = {}
        self._requests: dict[tuple[int, bytes], None] = {}
        self.found: list[Twins] = []
        """Those that were found, the first 64."""

    def is_repeated(self, request: Message) -> bool:
        """Returns True if the same InitConnect request came before: its response tells a copy from a namesake."""
        key = request.header[SERIAL_NO], request.header[DIGEST]
        if key in self._requests:
            return True
        self._requests[key] = None
        if len(self._requests) > _MAX_CONVERSATIONS:
            del self._requests[next(iter(self._requests))]
        return False

    def find(self, connection: HasTwins, response: Message) -> None:
        """Takes the InitConnect response of a connection; lets it be compared with an earlier one that has the same."""
        if response.conn_id is None or response.verdict != "verified":
            return
        key = response.conn_id, response.header[DIGEST]
        reference, earlier = self._first.get(key, (None, response))
        first = None if reference is None else reference()
        if first is None or first is connection or first.twins is not None:
            self._first[key] = ref(connection), response
            if len(self._first) > _MAX_CONVERSATIONS:
                del self._first[next(iter(self._first))]
            return
        twins = Twins(first.ordinal, connection.ordinal, response.conn_id)
        twins.check(first.ordinal, earlier)
        twins.check(connection.ordinal, response)
        first.twins = connection.twins = twins
        if len(self.found) < _MAX_NOTED:
            self.found.append(twins)
