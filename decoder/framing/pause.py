"""Lets a framer wait: for another version of the bytes at hand, or for bytes that follow them.

What looks damaged but has not been acknowledged by the receiver may be sent again, because the receiver dropped it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decoder.framing.handler import FrameHandler

__all__ = ["Pause"]

_NEVER = 1 << 62
"""An offset that no acknowledgement reaches."""


class Pause:
    """The wait of one framer."""

    __slots__ = ("_for_data", "_handler", "_settled_to", "until")

    def __init__(self, handler: FrameHandler, begin: int) -> None:
        """`begin` is the stream offset of the first byte that will come."""
        self._handler = handler
        self.until: int | None = None
        """Offset up to which the receiver must acknowledge before the framer goes on; None unless it waits."""
        self._for_data = False  # any new byte ends the wait
        self._settled_to = begin  # offset up to which nothing is waited for any longer

    def for_version(self, end: int) -> bool:
        """Waits if what is before `end` may be sent again; returns True if so."""
        if end <= self._settled_to or not self._handler.unacknowledged(end):
            return False
        self.until = end
        return True

    def for_data(self, end: int) -> bool:
        """Waits until more bytes come than those before `end`, once for each place; returns True if so."""
        self._for_data = end > self._settled_to
        if self._for_data:
            self.until = _NEVER
        return self._for_data

    def note_data(self) -> None:
        """Takes note that bytes came."""
        if self._for_data:
            self.end()

    def end(self) -> None:
        """Ends the wait."""
        self.until, self._for_data = None, False

    def give_up(self, offset: int) -> None:
        """Ends the wait; from now on there is none for what lies before `offset`."""
        self.end()
        self._settled_to = offset
