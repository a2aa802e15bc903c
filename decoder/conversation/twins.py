"""Recognizes one conversation that is seen on two address pairs: a proxy, DNAT, or two capture points.

Both connections carry the same InitConnect response, which holds a random connID and key, and then the same messages in
the same order.  In each direction the copy is the message that comes out second, on whichever connection.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decoder.message import Message

__all__ = ["TwinFinder", "Twins"]

_MAX_UNMATCHED = 256
"""Messages by which one of two connections may be ahead of the other, in each direction; older ones are forgotten."""
_MAX_CONVERSATIONS = 4096
"""Conversations that are remembered; the oldest is forgotten for a new one."""

_Identity = tuple[int, int, bytes]


class Twins:
    """Compares the messages of the connections that carry one conversation."""

    __slots__ = ("_ahead",)

    def __init__(self) -> None:
        # By direction: messages that came out on one connection and not on another yet, and the ordinal of the one.
        self._ahead: dict[str, deque[tuple[int, _Identity]]] = {
            direction: deque(maxlen=_MAX_UNMATCHED) for direction in ("c2s", "s2c")
        }

    def check(self, ordinal: int, message: Message) -> None:
        """Marks `message` of connection `ordinal` as a copy if the same one came out on the other connection."""
        ahead = self._ahead[message.direction]
        mine = ordinal, _identity(message)
        for place, (other, identity) in enumerate(ahead):
            if identity == mine[1] and other != ordinal:
                message.copy = True
                for _ in range(place + 1):  # what it has passed over is not going to come
                    ahead.popleft()
                return
        ahead.append(mine)


class TwinFinder:
    """Finds connections that carry the same conversation."""

    def __init__(self) -> None:
        self._conversations: dict[tuple[str, bytes], tuple[int, Twins]] = {}

    def find(self, ordinal: int, response: Message) -> tuple[Twins | None, int | None]:
        """Takes an InitConnect response; returns what compares the connections, and the ordinal of the first of them.

        Nothing is compared for a response that could not be read.
        """
        if response.conn_id is None or response.verdict != "verified":
            return None, None
        key = response.conn_id, response.header[6]
        known = self._conversations.get(key)
        if known is None:
            known = self._conversations[key] = ordinal, Twins()
            if len(self._conversations) > _MAX_CONVERSATIONS:
                del self._conversations[next(iter(self._conversations))]
        first, twins = known
        twins.check(ordinal, response)
        return twins, first if first != ordinal else None


def _identity(message: Message) -> _Identity:
    _, proto_id, _, _, serial_no, _, digest, _ = message.header
    return proto_id, serial_no, digest
