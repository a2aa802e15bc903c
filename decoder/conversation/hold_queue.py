"""Holds back what comes out of a connection while one of its messages waits for a key or for other packets."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from decoder.framing.header import BODY_LEN, PROTO_ID, SERIAL_NO
from decoder.message import Gap, Message

if TYPE_CHECKING:
    from decoder.framing.header import Header
    from decoder.limits import Limits
    from decoder.message import Flow
    from decoder.vocabulary import Arrival

__all__ = ["HoldQueue", "Item", "PendingMessage", "requests_to_come"]

_ITEM_COST = 1024
"""Bytes of memory that holding a message back takes beside its body."""


class PendingMessage(NamedTuple):
    """A frame that waits for the key to it."""

    flow: Flow
    header: Header
    body: bytes
    arrival: Arrival
    notes: list[str] | None
    other: bytes | None = None
    """The body with the versions of its bytes that came later, if there are any."""


Item = Message | Gap | PendingMessage
"""A message or gap that a direction emits, or a message that waits for its key."""


class HoldQueue:
    """Keeps messages and gaps until nothing is waited for any longer."""

    __slots__ = ("_items", "_limits", "pending", "size")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._items: list[Item] = []
        self.pending = 0
        """Number of messages that wait for their key."""
        self.size = 0
        """Memory in use."""

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item) -> bool:
        """Adds an item; returns False if there are too many now."""
        self._items.append(item)
        if isinstance(item, Gap):
            self.size += _ITEM_COST
        else:
            self.size += _ITEM_COST + item.header[BODY_LEN]
            if isinstance(item, PendingMessage):
                self.pending += 1
                self.size += len(item.other or b"")
        return len(self._items) <= self._limits.max_held and self.size <= self._limits.max_held_bytes

    def take_all(self) -> list[Item]:
        """Empties the queue; returns its items in the order of the packets that completed them.

        Each direction stays in its own order.
        """
        items, self._items, self.pending, self.size = self._items, [], 0, 0
        latest: dict[int, int] = {}
        places = []
        for item in items:
            packet = item.frame if isinstance(item, Gap) else max(_packets(item), default=0)
            flow = id(item.flow)
            latest[flow] = max(latest.get(flow, 0), packet)
            places.append(latest[flow])
        return [items[index] for _, index in sorted(zip(places, range(len(items)), strict=True))]


def requests_to_come(items: list[Item]) -> Counter[tuple[int, int]]:
    """Counts the requests in `items` by protocol id and serial number; those without a key may be requests too."""
    return Counter(
        (item.header[PROTO_ID], item.header[SERIAL_NO])
        for item in items
        if not isinstance(item, Gap) and item.flow.direction == "c2s"
    )


def _packets(item: Message | PendingMessage) -> tuple[int, ...]:
    return item.arrival.packets if isinstance(item, PendingMessage) else tuple(item.frames)
