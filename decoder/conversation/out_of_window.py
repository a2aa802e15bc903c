"""Keeps segments that fit no place of the streams of a connection: stray, forged, or of a later connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.conversation.half_connection import NEAR
from decoder.tcp.segment import ACK, SYN, Segment, signed_distance

if TYPE_CHECKING:
    from decoder.conversation.half_connection import HalfConnection

__all__ = ["OutOfWindow"]

_MAX_KEPT = 8
"""Segments kept that may be the first of a later connection; the oldest is dropped for a new one."""


class OutOfWindow(list[tuple["HalfConnection", Segment]]):
    """The latest segments of a connection that did not fit."""

    __slots__ = ()

    def keep(self, half: HalfConnection, segment: Segment) -> None:
        """Keeps a segment."""
        self.append((half, segment))
        del self[:-_MAX_KEPT]

    def matching(self, half: HalfConnection, segment: Segment) -> list[tuple[HalfConnection, Segment]]:
        """Returns those that show, together with this segment, that a later connection has begun."""
        return [each for each in self if _agree(half, segment, *each)]

    def announces(self, half: HalfConnection, segment: Segment) -> bool:
        """Returns True if a kept SYN says that another connection begins with this segment."""
        return bool(self) and any(kept.flags & SYN for _, kept in self.matching(half, segment))


def _agree(half: HalfConnection, segment: Segment, other_half: HalfConnection, other: Segment) -> bool:
    """Returns True if two segments out of window belong to one handshake, or are near each other."""
    same = half is other_half
    if segment.flags & SYN and other.flags & SYN:
        if same or not (segment.flags | other.flags) & ACK or segment.flags & other.flags & ACK:
            return False
        first, answer = (other, segment) if segment.flags & ACK else (segment, other)
        return signed_distance(answer.ack, first.seq + 1) == 0
    if segment.flags & SYN or not segment.size:
        return False
    if other.flags & SYN:
        if same:
            return signed_distance(segment.seq, other.seq + 1) == 0
        return bool(other.flags & ACK) and signed_distance(segment.seq, other.ack) == 0
    reference = segment.seq if same else segment.ack
    return abs(signed_distance(reference, other.seq)) < NEAR
