"""Defines who is called by a `Framer`: it is told what comes out, and answers what the bytes do not tell.

Frames are handed up one by one, not as a list, because one frame may bring the key that the next one needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from decoder.framing.header import Header
    from decoder.tcp.overlaps import OverlapConflicts
    from decoder.vocabulary import Arrival, GapReason, Verdict

__all__ = ["FrameHandler"]


class FrameHandler(Protocol):
    """Receives what a `Framer` finds."""

    conflicts: OverlapConflicts
    """Versions of bytes that differ from those handed to the framer."""

    # Events

    def handle_frame(self, header: Header, body: bytes, arrival: Arrival, offset: int) -> Verdict | None:
        """Emits a frame and returns None if it is proven; else only returns what it looks like."""

    def handle_unproven(self, header: Header, body: bytes, opened: Verdict, arrival: Arrival, offset: int) -> None:
        """Emits a frame that is not proven."""

    def handle_cut_short(self, header: Header, body: bytes, arrival: Arrival) -> None:
        """Emits a frame whose header has a wrong length; `body` is what stands before the next header."""

    def handle_incomplete(self, header: Header, arrival: Arrival, reason: str) -> None:
        """Emits a message whose bytes are not all there; `reason` ``unfinished`` or
        ``length-counts-header``: nothing is lost, the stream ends."""

    def handle_undigested(
        self, header: Header, body: bytes, arrival: Arrival, error: dict[str, int | str] | None
    ) -> None:
        """Emits a message whose header has no SHA-1 but may tell an error."""

    def handle_upgraded(self) -> None:
        """Lets the other direction go on: the gateway has answered the upgrade to WebSocket."""

    def handle_gap(self, size: int, reason: GapReason, arrival: Arrival) -> None:
        """Reports `size` bytes lost or skipped; `arrival` is the packet with which that became certain."""

    # Questions

    @property
    def now(self) -> Arrival:
        """The packet that is being looked at."""

    @property
    def confirmed(self) -> bool:
        """True if the connection is known to speak the protocol."""

    @property
    def begins_at_first_byte(self) -> bool:
        """True if the first byte that came is the very first of the stream."""

    @property
    def nothing_decrypted(self) -> bool:
        """True if no body could be read so far: all are encrypted, and so none has a header embedded."""

    @property
    def keys_known(self) -> int:
        """Number of keys that may prove a message."""

    def verifies(self, header: Header, body: bytes, *, by_hash: bool = False) -> bool:
        """Returns True if this is a message: the SHA-1 shows it, or unless `by_hash` it is a complete InitConnect."""

    def in_clear(self, header: Header, body: bytes) -> bool:
        """Returns True if the SHA-1 is that of the body as sent."""

    def starts(self, header: Header) -> bool:
        """Returns True if this plausible header at the very start of the stream needs no more proof."""

    def repairable(self, header: Header, opened: Verdict) -> bool:
        """Returns True if another version of the bytes of this frame, which is not proven, could prove it."""

    def unacknowledged(self, offset: int) -> bool:
        """Returns True if the byte before `offset` is not acknowledged; then `Framer.resume` will be called."""
