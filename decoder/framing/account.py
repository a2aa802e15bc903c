"""Keeps the account of a direction: each byte comes out in one message or one gap.

Skipped bytes are not counted as they pass: a gap is the difference of two offsets, less the holes between them, which
are gaps of their own.  So the account closes whatever happened on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decoder.framing.handler import FrameHandler
    from decoder.vocabulary import Arrival, GapReason

__all__ = ["Account"]

_MAX_EARLY = 16
"""Gaps before the first header reported one by one; further ones are merged per reason."""


class Account:
    """Reports the gaps of one stream, in order; those before the first header once there is one."""

    __slots__ = ("_early", "_handler", "_holes", "_skipped", "first_frame", "told")

    def __init__(self, handler: FrameHandler, begin: int) -> None:
        """`begin` is the stream offset of the first byte that will come."""
        self._handler = handler
        self.told = begin
        """Stream offset before which every byte came out, or is noted as skipped."""
        self.first_frame: int | None = None
        """Stream offset of the first header found."""
        self._holes = 0  # bytes of holes behind `told`
        self._skipped = 0  # bytes before `told` that are noted, and not reported yet
        self._early: list[tuple[int, GapReason, Arrival]] = []

    @property
    def nothing_told(self) -> bool:
        """True while no gap and no message began."""
        return self.first_frame is None and not (self._skipped or self._early)

    def skipped_before(self, offset: int) -> int:
        """Returns how many bytes before `offset` belong to no message, as far as it is known."""
        return self._skipped + max(0, offset - self.told - self._holes)

    def note_skipped(self, offset: int) -> None:
        """Notes that what lies before `offset`, and did not come out, belongs to no message."""
        if offset > self.told:
            self._skipped = self.skipped_before(offset)
            self.told, self._holes = offset, 0

    def begin_message(self, offset: int) -> None:
        """Reports what was skipped before the message that begins at `offset`."""
        self.note_skipped(offset)
        first, self.first_frame = self.first_frame is None, offset if self.first_frame is None else self.first_frame
        self._report("mid-stream" if first else "resync")

    def end_message(self, offset: int) -> None:
        """Takes note that a message came out, to which everything before `offset` belongs that did not come out."""
        if offset > self.told:
            self.told, self._holes = offset, 0

    def hole(self, size: int, reason: GapReason, arrival: Arrival | None = None) -> None:
        """Reports a hole behind `told`, or keeps it until there is a header."""
        self._holes += size
        early, arrival = self._early, arrival or self._handler.now
        if self.first_frame is not None:
            self._handler.handle_gap(size, reason, arrival)
        elif len(early) < _MAX_EARLY or reason not in [other for _, other, _ in early]:
            early.append((size, reason, arrival))
        else:  # a capture of nothing but headers has a hole in each packet
            index = max(i for i, (_, other, _) in enumerate(early) if other == reason)
            before, _, first_arrival = early[index]
            early[index] = before + size, reason, first_arrival

    def finish(self, offset: int) -> None:
        """Ends the stream, whose last byte lies before `offset`: reports what was skipped since the last message."""
        self.note_skipped(offset)
        if self.first_frame is not None:
            self._report("resync")

    def report_silent(self) -> None:
        """Reports, after the end, a stream in which no message was found, if any byte of it was seen."""
        if self.first_frame is None and self._skipped:
            self._report("mid-stream")

    def _report(self, reason: GapReason) -> None:
        for size, early_reason, arrival in self._early:
            self._handler.handle_gap(size, early_reason, arrival)
        self._early = []
        if self._skipped:
            self._handler.handle_gap(self._skipped, reason, self._handler.now)
            self._skipped = 0
