"""What a connection holds back, and the order in which it comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from decoder.message import Gap, Message

if TYPE_CHECKING:
    from decoder.conversation.half_connection import HalfConnection
    from decoder.framing.header import Header

__all__ = ["PendingMessage", "in_order", "is_request"]


@dataclass
class PendingMessage:
    """A frame that waits for the keys to it."""

    side: HalfConnection
    header: Header
    body: bytes
    numbers: tuple[int, ...]
    time_ns: int
    notes: list[str] | None


def is_request(item: Message | Gap | PendingMessage) -> TypeGuard[Message | PendingMessage]:
    """Whether `item` is a request, or may be one."""
    return isinstance(item, PendingMessage) or (isinstance(item, Message) and item.kind == "request")


def in_order(queue: list[Message | Gap | PendingMessage]) -> list[Message | Gap | PendingMessage]:
    """`queue` in the order of the packets that completed its items, and each direction in its own order."""
    latest = {"c2s": 0, "s2c": 0}
    places = []
    for item in queue:
        if isinstance(item, PendingMessage):
            direction, number = item.side.direction, max(item.numbers)
        elif isinstance(item, Gap):
            direction, number = item.direction, item.frame
        else:
            direction, number = item.direction, max(item.frames, default=0)
        latest[direction] = max(latest[direction], number)
        places.append(latest[direction])
    return [item for _, _, item in sorted(zip(places, range(len(queue)), queue, strict=True))]
