"""Resynchronizes: finds the next header at the start of a stream, after a hole, or after garbage.

Also counts the bytes that are skipped on the way: they become a gap once a header is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from decoder.framing.header import HEADER_LEN
from decoder.framing.header_chains import Chain, HeaderChains
from decoder.framing.trial import END, MANY, MORE, PendingFrame

if TYPE_CHECKING:
    from collections.abc import Callable

    from decoder.framing.buffer import Buffer
    from decoder.framing.handler import FrameHandler
    from decoder.framing.trial import Trial
    from decoder.vocabulary import Arrival, GapReason

__all__ = ["FIRST_BYTES", "Resynchronizer", "SyncPoint"]

FIRST_BYTES = 64
"""Bytes kept of the start of a stream in which no header was found: enough to tell HTTP, TLS and WebSocket apart."""
_MAX_EARLY = 16
"""Gaps before the first header reported one by one; further ones are merged per reason."""


class SyncPoint(NamedTuple):
    """The place where a message begins; and where it really ends, if its header has a wrong length."""

    frame: PendingFrame
    end: int | None


class Resynchronizer:
    """Looks for a header in `buffer` while it is `active`."""

    __slots__ = (
        "_buffer",
        "_early_gaps",
        "_handler",
        "_max_body",
        "_max_scan",
        "_passed",
        "_passed_from",
        "_trial",
        "_wait_for_ack",
        "_wait_for_data",
        "active",
        "chains",
        "first_bytes",
        "first_frame",
        "not_opend",
    )

    def __init__(
        self,
        handler: FrameHandler,
        buffer: Buffer,
        trial: Trial,
        max_body: int,
        max_scan: int,
        begin: int,
        wait_for_ack: Callable[[int], bool],
        wait_for_data: Callable[[int], bool],
    ) -> None:
        """`wait_for_ack` and `wait_for_data` are asked whether to wait for another version, or for more bytes."""
        self._handler = handler
        self._buffer = buffer
        self._trial = trial
        self._max_body = max_body
        self._max_scan = max_scan
        self._wait_for_ack = wait_for_ack
        self._wait_for_data = wait_for_data
        self.active = True
        self.chains = self.chains_from(begin)
        self.first_frame: int | None = None
        """Stream offset of the first header found."""
        self.first_bytes = b""
        """First bytes of the stream, as far as they were skipped."""
        self.not_opend = False
        """True once it was given up: no header in the first `max_scan` bytes."""
        self._passed = 0
        self._passed_from = begin  # bytes before this offset came out with a frame
        self._early_gaps: list[tuple[int, GapReason, Arrival]] = []  # reported once there is a header

    def chains_from(self, position: int) -> HeaderChains:
        """Returns what follows the chains of headers from `position` on."""
        return HeaderChains(position, self._max_body, self._trial.budget)

    @property
    def at_start(self) -> bool:
        """True while the buffer begins with the first byte that came."""
        return self.first_frame is None and not (self._passed or self._early_gaps)

    @property
    def left(self) -> int:
        """Bytes in the buffer that did not come out with a frame."""
        return max(0, self._buffer.end - max(self._buffer.base, self._passed_from))

    def begin(self, position: int, passed_from: int) -> None:
        """Searches from `position` on; bytes before `passed_from` came out with a frame."""
        self.active = True
        self.chains = self.chains_from(position)
        self._passed_from = passed_from

    def end(self, at: int) -> None:
        """Ends the search, because a message begins at `at`: reports what was skipped on the way to it."""
        self.active = False
        first = self.first_frame is None
        if first:
            self.first_frame = at
        self._report("mid-stream" if first else "resync")

    def _report(self, reason: GapReason) -> None:
        for size, early_reason, arrival in self._early_gaps:
            self._handler.handle_gap(size, early_reason, arrival)
        self._early_gaps = []
        if self._passed:
            self._handler.handle_gap(self._passed, reason, self._handler.now)
            self._passed = 0

    def gap(self, size: int, reason: GapReason, arrival: Arrival | None = None) -> None:
        """Reports a hole, or keeps it until there is a header."""
        early, arrival = self._early_gaps, arrival or self._handler.now
        if self.first_frame is not None:
            self._handler.handle_gap(size, reason, arrival)
        elif len(early) < _MAX_EARLY or reason not in [other for _, other, _ in early]:
            early.append((size, reason, arrival))
        else:  # a capture of nothing but headers has a hole in each packet
            index = max(i for i, (_, other, _) in enumerate(early) if other == reason)
            before, _, first_arrival = early[index]
            early[index] = before + size, reason, first_arrival

    def pass_over(self, end: int, passed_from: int | None = None, *, found: bool = False) -> None:
        """Drops bytes that belong to no message; `found` if one was found behind them."""
        buffer = self._buffer
        if passed_from is not None:
            self._passed_from = passed_from
        size = end - max(buffer.base, self._passed_from)
        if self.first_frame is None and len(self.first_bytes) < FIRST_BYTES:
            self.first_bytes += buffer.read(buffer.base, min(end, buffer.base + FIRST_BYTES - len(self.first_bytes)))
        self.count(size)
        buffer.drop(end)
        if size > 0 and not found and self.first_frame is None and self._passed > self._max_scan:
            self.not_opend = True
            self.count(len(buffer))
            buffer.drop(buffer.end)

    def count(self, size: int) -> None:
        """Counts bytes as skipped."""
        self._passed += max(0, size)

    def finish(self) -> None:
        """Ends the stream: reports what was skipped since the last message."""
        if self.first_frame is not None:
            self._report("resync")

    def report_silent(self) -> None:
        """Reports, after the end, a stream in which no message was found, if any byte of it was seen."""
        if self.first_frame is None and self._passed:
            self._report("mid-stream")

    def look(self, then: int) -> SyncPoint | None:
        """Looks at the bytes at hand; returns None if no header is found yet."""
        chains, buffer = self.chains, self._buffer
        moved = chains.scan(buffer)
        first = chains.chains[0].start if chains.chains else chains.position
        if self.at_start and first > buffer.base and self._wait_for_ack(buffer.base + 1):
            return None  # no header where one must be, if this is the start of all
        while chains.chains:
            chain = chains.chains[0]
            confirmed = self._confirmed(chain, then)
            if confirmed is False and self.at_start and chain.start == buffer.base and self._wait_for_ack(chain.end):
                return None  # the header that must be here may be damaged
            if confirmed is not False:
                found: SyncPoint | None
                if confirmed:
                    found = SyncPoint(PendingFrame(chain.header, chain.start, certain=True), None)
                else:
                    found = self._inside(chain, moved if then == MORE else list(chains.chains), then)
                self.pass_over(chain.start if found is None else found.frame.start, found=found is not None)
                return found
            chains.give_up_first()
        self.pass_over(buffer.end if then else min(chains.position, buffer.end))
        return None

    def _confirmed(self, chain: Chain, then: int) -> bool | None:
        """Returns True if the first chain is one of messages; None if that takes more bytes."""
        buffer, handler, trial = self._buffer, self._handler, self._trial
        at_start = self.at_start and chain.start == buffer.base
        if at_start and handler.starts(chain.header):
            return True
        if chain.end > buffer.end:
            return False if then == END else None
        if not trial.confirms(chain, self.chains, at_start and handler.begins_at_first_byte):
            return False
        proven = trial.proven(chain)
        if proven or chain.headers > 1:
            # While no message begins a packet, these may be embedded in a body; what follows tells.
            starts_segment = at_start or chain.starts_segment or chain.headers >= MANY
            unclear = then == MORE and proven and not starts_segment and trial.may_be_embedded(chain)
            return None if unclear and self._wait_for_data(chain.end) else True
        if then == END:
            return handler.confirmed and handler.nothing_decrypted and chain.starts_segment and chain.end == buffer.end
        return None if then == MORE else False

    def _inside(self, chain: Chain, others: list[Chain], then: int) -> SyncPoint | None:
        """Checks, while the first chain is unconfirmed, if one inside its first message is better supported."""
        frame = PendingFrame(chain.header, chain.start, certain=False)
        if frame.end <= self._buffer.end:
            return None
        # A header where one must be is waited for, unless another is proven: two in a row may be embedded in it.
        handler = self._handler
        first = then == MORE and self.at_start and chain.start == self._buffer.base and handler.begins_at_first_byte
        for other in others:
            if not self._trial.budget.spend_scan(HEADER_LEN):
                break
            if self._trial.ends_at(frame, other):
                return SyncPoint(frame, other.start)
            if other is chain or (first and not self._trial.proven(other)):
                continue
            if self._trial.overrides_length(frame, other, self.chains, then):
                return SyncPoint(PendingFrame(other.header, other.start, certain=True), None)
        return None
