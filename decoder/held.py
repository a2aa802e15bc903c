"""What a connection holds back, and the order in which it comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from .message import Gap, Message

if TYPE_CHECKING:
    from .header import Header
    from .side import Side

__all__ = ["HeldFrame", "in_order", "is_request"]


@dataclass
class HeldFrame:
    """A frame that waits for the keys to it."""

    side: Side
    header: Header
    body: bytes
    numbers: tuple[int, ...]
    time_ns: int
    notes: list[str] | None


def is_request(item: Message | Gap | HeldFrame) -> TypeGuard[Message | HeldFrame]:
    """Whether `item` is a request, or may be one."""
    return isinstance(item, HeldFrame) or (isinstance(item, Message) and item.kind == "request")


def in_order(queue: list[Message | Gap | HeldFrame]) -> list[Message | Gap | HeldFrame]:
    """`queue` in the order of the packets that completed its items, and each direction in its own order."""
    latest = {"c2s": 0, "s2c": 0}
    places = []
    for item in queue:
        if isinstance(item, HeldFrame):
            direction, number = item.side.direction, max(item.numbers)
        elif isinstance(item, Gap):
            direction, number = item.direction, item.frame
        else:
            direction, number = item.direction, max(item.frames, default=0)
        latest[direction] = max(latest[direction], number)
        places.append(latest[direction])
    return [item for _, _, item in sorted(zip(places, range(len(queue)), queue, strict=True))]
