"""What a `Framer` asks of its owner, and tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from decoder.framing.header import Header
    from decoder.tcp.overlaps import OverlapConflicts
    from decoder.vocabulary import Opened

__all__ = ["FrameHandler"]


class FrameHandler(Protocol):
    """Who takes what a `Framer` finds."""

    copies: OverlapConflicts
    """Copies of bytes that differ from those given to the framer."""

    # What comes out

    def frame(self, header: Header, body: bytes, numbers: tuple[int, ...], time_ns: int, offset: int) -> Opened | None:
        """Take a frame if it is proven; else do nothing and say what it looks like."""

    def give_unproven(
        self, header: Header, body: bytes, opened: Opened, numbers: tuple[int, ...], time_ns: int, offset: int
    ) -> None:
        """Take a frame that is not proven."""

    def give_cut_short(self, header: Header, body: bytes, numbers: tuple[int, ...], time_ns: int) -> None:
        """Take a frame whose header has a wrong length; `body` is what stands before the next header."""

    def give_lost(self, header: Header, numbers: tuple[int, ...], time_ns: int, reason: str) -> None:
        """Take note of a message whose bytes are not all there."""

    def gap(self, size: int, reason: str, now: tuple[int, int]) -> None:
        """Take note of bytes that are missing or were passed over, as was clear when it was `now`."""

    # What is known otherwise

    @property
    def now(self) -> tuple[int, int]:
        """Time and number of the packet that is looked at."""

    @property
    def trusted(self) -> bool:
        """Whether the connection is known to speak the protocol."""

    @property
    def begins(self) -> bool:
        """Whether the first byte that came is the very first of the stream."""

    @property
    def blind(self) -> bool:
        """Whether no body could be read so far: all are encrypted, and so none quotes a header."""

    @property
    def keys_known(self) -> int:
        """How many keys may prove a message."""

    def verifies(self, header: Header, body: bytes) -> bool:
        """Whether the SHA-1 shows that this is a message."""

    def in_clear(self, header: Header, body: bytes) -> bool:
        """Whether the SHA-1 is that of the body as sent."""

    def starts(self, header: Header) -> bool:
        """Whether this plausible header at the very start of the stream needs no more proof."""

    def may_mend(self, header: Header, opened: Opened) -> bool:
        """Whether another copy of this frame, which is not proven, could be."""

    def unsettled(self, offset: int) -> bool:
        """Whether the byte before `offset` is not acknowledged; if so, `Framer.thaw` will be called."""

    def hesitates(self) -> bool:
        """Whether `Framer.thaw` will be called, so that the framer may wait for more bytes."""
