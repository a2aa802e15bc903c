"""The search for a header: at the start of a stream, after a hole, after bytes that are none.

Also the account of what is passed over on the way: these bytes are a gap once a header is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from decoder.framing.header_chains import HeaderChains, Run
from decoder.framing.trial import END, MANY, MORE, PendingFrame

if TYPE_CHECKING:
    from collections.abc import Callable

    from decoder.framing.buffer import Buffer
    from decoder.framing.handler import FrameHandler
    from decoder.framing.trial import Trial

__all__ = ["Found", "Resynchronizer"]

_MAX_EARLY = 16  # holes before the first header that are told one by one; of others, those with one reason as one


class Found(NamedTuple):
    """Where a message begins; and where it really ends, if its header has a wrong length."""

    frame: PendingFrame
    end: int | None


class Resynchronizer:
    """Looks for a header in `buffer` while it is `active`."""

    __slots__ = (
        "_buffer",
        "_early_gaps",
        "_evidence",
        "_freeze",
        "_hesitate",
        "_max_body",
        "_max_scan",
        "_passed",
        "_passed_from",
        "_sink",
        "active",
        "aligner",
        "first_frame",
        "foreign",
    )

    def __init__(
        self,
        sink: FrameHandler,
        buffer: Buffer,
        evidence: Trial,
        max_body: int,
        max_scan: int,
        begin: int,
        freeze: Callable[[int], bool],
        hesitate: Callable[[int], bool],
    ) -> None:
        """`freeze` and `hesitate` are asked whether to wait for another copy, or for more."""
        self._sink = sink
        self._buffer = buffer
        self._evidence = evidence
        self._max_body = max_body
        self._max_scan = max_scan
        self._freeze = freeze
        self._hesitate = hesitate
        self.active = True
        self.aligner = HeaderChains(begin, max_body)
        self.first_frame: int | None = None
        """Stream offset of the first header found."""
        self.foreign = False
        """Whether it was given up: no header in the first `max_scan` bytes."""
        self._passed = 0
        self._passed_from = begin  # bytes before this offset came out with a frame
        self._early_gaps: list[
            tuple[int, str, tuple[int, int]]
        ] = []  # holes before the first header: told once there is one

    @property
    def at_start(self) -> bool:
        """Whether the buffer begins with the first byte that came."""
        return self.first_frame is None and not (self._passed or self._early_gaps)

    @property
    def left(self) -> int:
        """Bytes in the buffer that did not come out with a frame."""
        return max(0, self._buffer.end - max(self._buffer.base, self._passed_from))

    def begin(self, position: int, passed_from: int) -> None:
        """Search from `position` on; bytes before `passed_from` came out with a frame."""
        self.active = True
        self.aligner = HeaderChains(position, self._max_body)
        self._passed_from = passed_from

    def end(self, at: int) -> None:
        """A message begins at `at`: tell what was passed over on the way to it."""
        self.active = False
        first = self.first_frame is None
        if first:
            self.first_frame = at
        for size, reason, now in self._early_gaps:
            self._sink.gap(size, reason, now)
        self._early_gaps = []
        if self._passed:
            self._sink.gap(self._passed, "mid-stream" if first else "resync", self._sink.now)
            self._passed = 0

    def gap(self, size: int, reason: str) -> None:
        """Take note of a hole."""
        early = self._early_gaps
        if self.first_frame is not None:
            self._sink.gap(size, reason, self._sink.now)
        elif len(early) < _MAX_EARLY or reason not in [other for _, other, _ in early]:
            early.append((size, reason, self._sink.now))
        else:  # a capture of nothing but headers has a hole in each packet
            index = max(i for i, (_, other, _) in enumerate(early) if other == reason)
            early[index] = (early[index][0] + size, *early[index][1:])

    def pass_over(self, end: int, passed_from: int | None = None, *, found: bool = False) -> None:
        """Forget bytes that belong to no message; `found` if one was found behind them."""
        if passed_from is not None:
            self._passed_from = passed_from
        size = end - max(self._buffer.base, self._passed_from)
        self.count(size)
        self._buffer.drop(end)
        if size > 0 and not found and self.first_frame is None and self._passed > self._max_scan:
            self.foreign = True
            self.count(len(self._buffer))
            self._buffer.drop(self._buffer.end)

    def count(self, size: int) -> None:
        """Count bytes as passed over."""
        self._passed += max(0, size)

    def finish(self) -> None:
        """Nothing more will come: tell what was passed over since the last message."""
        if self.first_frame is not None and self._passed:
            self._sink.gap(self._passed, "resync", self._sink.now)
        self._passed = 0

    def look(self, then: int) -> Found | None:
        """Look at the bytes at hand; None if no header is found yet."""
        aligner, buffer = self.aligner, self._buffer
        moved = aligner.scan(buffer)
        first = aligner.runs[0].start if aligner.runs else aligner.position
        if self.at_start and first > buffer.base and self._freeze(buffer.base + 1):
            return None  # no header where one must be, if this is the start of all
        while aligner.runs:
            run = aligner.runs[0]
            counts = self._judge(run, then)
            if counts is False and self.at_start and run.start == buffer.base and self._freeze(run.end):
                return None  # the header that must be here may be a damaged copy
            if counts is None:
                found = self._doubt(run, moved if then == MORE else list(aligner.runs), then)
            else:
                found = Found(PendingFrame(run.header, run.start, certain=True), None) if counts else None
            if found is not None or counts is None:
                self.pass_over(run.start if found is None else found.frame.start, found=found is not None)
                return found
            aligner.give_up_first()
        self.pass_over(buffer.end if then else min(aligner.position, buffer.end))
        return None

    def _judge(self, run: Run, then: int) -> bool | None:
        """Whether the first run is one of messages; None if that takes more bytes."""
        buffer, sink, evidence = self._buffer, self._sink, self._evidence
        at_start = self.at_start and run.start == buffer.base
        if at_start and sink.starts(run.header):
            return True
        if run.end > buffer.end:
            return False if then == END else None
        if not evidence.credible(run, self.aligner, at_start and sink.begins):
            return False
        proven = evidence.proven(run)
        if proven or run.headers > 1:
            # While no message begins a packet, these may be quotations; what follows tells.
            anchored = at_start or run.anchored or run.headers >= MANY
            unclear = then == MORE and proven and not anchored and evidence.quotable(run)
            return None if unclear and self._hesitate(run.end) else True
        if then == END:
            return sink.trusted and sink.blind and run.anchored and run.end == buffer.end
        return None if then == MORE else False

    def _doubt(self, run: Run, others: list[Run], then: int) -> Found | None:
        """Nothing is known of the first run yet; see whether one inside its first message tells more."""
        frame = PendingFrame(run.header, run.start, certain=False)
        if frame.end <= self._buffer.end:
            return None
        # A header where one must be is waited for, unless another is proven: two in a row may be quoted in its message.
        first = then == MORE and self.at_start and run.start == self._buffer.base and self._sink.begins
        for other in others:
            if self._evidence.ends_at(frame, other):
                return Found(frame, other.start)
            if other is run or (first and not self._evidence.proven(other)):
                continue
            if self._evidence.outweighs(frame, other, self.aligner, then):
                return Found(PendingFrame(other.header, other.start, certain=True), None)
        return None
