"""Resynchronizes: finds the next header at the start of a stream, after a hole, or after garbage."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from decoder.framing.header import HEADER_LEN
from decoder.framing.pending_frame import PendingFrame
from decoder.framing.trial import END, MANY, MORE

if TYPE_CHECKING:
    from decoder.framing.account import Account
    from decoder.framing.header_chains import Chain
    from decoder.framing.pause import Pause
    from decoder.framing.trial import Trial

__all__ = ["FIRST_BYTES", "Resynchronizer", "SyncPoint"]

FIRST_BYTES = 64
"""Bytes kept of the start of a stream in which no header was found: enough to tell HTTP, TLS and WebSocket apart."""


class SyncPoint(NamedTuple):
    """The place where a message begins; and where it really ends, if its header has a wrong length."""

    frame: PendingFrame
    end: int | None


class Resynchronizer:
    """Looks for a header in the buffer of `trial` while it is `active`."""

    __slots__ = ("_account", "_max_scan", "_pause", "_trial", "active", "chains", "first_bytes", "not_opend")

    def __init__(self, trial: Trial, account: Account, pause: Pause, max_scan: int) -> None:
        self._trial = trial
        self._account = account
        self._pause = pause
        self._max_scan = max_scan
        self.active = True
        self.chains = trial.chains_from(account.told)
        self.first_bytes = b""
        """First bytes of the stream, as far as they were skipped."""
        self.not_opend = False
        """True once it was given up: no header in the first `max_scan` bytes."""

    @property
    def at_start(self) -> bool:
        """True while the buffer begins with the first byte that came."""
        return self._account.nothing_told and self._trial.buffer.base <= self._account.told

    def begin(self, position: int) -> None:
        """Searches from `position` on."""
        self.active = True
        self.chains = self._trial.chains_from(position)

    def end(self, at: int) -> None:
        """Ends the search, because a message begins at `at`: reports what was skipped on the way to it."""
        self.active = False
        self._account.begin_message(at)

    def pass_over(self, end: int, *, found: bool = False) -> None:
        """Drops bytes that belong to no message; `found` if one was found behind them."""
        buffer, account = self._trial.buffer, self._account
        begins = account.first_frame is None
        if begins and len(self.first_bytes) < FIRST_BYTES:
            self.first_bytes += buffer.read(buffer.base, min(end, buffer.base + FIRST_BYTES - len(self.first_bytes)))
        dropped = end > buffer.base
        buffer.drop(end)
        if dropped and begins and not found and account.skipped_before(end) > self._max_scan:
            self.not_opend = True
            buffer.drop(buffer.end)

    def look(self, then: int) -> SyncPoint | None:
        """Looks at the bytes at hand; returns None if no header is found yet."""
        chains, buffer = self.chains, self._trial.buffer
        pause, moved = self._pause, chains.scan(buffer)
        first = chains.chains[0].start if chains.chains else chains.position
        if self.at_start and first > buffer.base and pause.for_version(buffer.base + 1):
            return None  # no header where one must be, if this is the start of all
        while chains.chains:
            chain = chains.chains[0]
            confirmed = self._confirmed(chain, then)
            if confirmed is False and self.at_start and chain.start == buffer.base and pause.for_version(chain.end):
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
        trial = self._trial
        buffer, handler = trial.buffer, trial.handler
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
            return None if unclear and self._pause.for_data(chain.end) else True
        if then == END:
            return handler.confirmed and handler.nothing_decrypted and chain.starts_segment and chain.end == buffer.end
        return None if then == MORE else False

    def _inside(self, chain: Chain, others: list[Chain], then: int) -> SyncPoint | None:
        """Checks, while the first chain is unconfirmed, if one inside its first message is better supported."""
        frame = PendingFrame(chain.header, chain.start, certain=False)
        buffer, handler = self._trial.buffer, self._trial.handler
        if frame.end <= buffer.end:
            return None
        # A header where one must be is waited for, unless another is proven: two in a row may be embedded in it.
        first = then == MORE and self.at_start and chain.start == buffer.base and handler.begins_at_first_byte
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
