"""Decides whether a candidate header found while resynchronizing is real.

Three things prove a message: its SHA-1; another header where it ends; that the message before it is whole, by its
SHA-1, where it begins.  Two things speak against: that its chain breaks off, and that it stands inside another
message.  A body in clear may embed whole messages, so there the place decides; an encrypted body cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.framing.budget import Budget
from decoder.framing.header import BODY_LEN, HEADER, HEADER_LEN, MAGIC, Header, plausible
from decoder.framing.header_chains import HeaderChains, resembles

if TYPE_CHECKING:
    from decoder.framing.buffer import Buffer
    from decoder.framing.handler import FrameHandler
    from decoder.framing.header_chains import Chain
    from decoder.framing.pending_frame import PendingFrame

__all__ = ["ANY_LENGTH", "END", "HOLE", "MANY", "MAX_HASHED", "MORE", "Trial"]

MORE, HOLE, END = 0, 1, 2
"""Followed by more bytes, by a hole, or by the end of the stream: the bytes at hand."""
ANY_LENGTH = 0xFFFFFFFF
MAX_HASHED = 64 * 1024 * 1024
"""Bytes that may be hashed beyond 8 for each byte that arrives: two messages of the greatest length waited for."""

# Numbers of messages in a row that are stronger evidence than
MANY = 32  # whatever contradicts them; no body embeds so many
_SOME = 4  # the message they stand in, if the first of them begins a packet; that the row breaks off, if one does
_FEW = 2  # that the row breaks off, if the first of them begins a packet


class Trial:
    """Weighs the chains that `HeaderChains` finds in `buffer`."""

    __slots__ = ("budget", "buffer", "handler", "max_body")

    def __init__(self, handler: FrameHandler, buffer: Buffer, max_body: int) -> None:
        self.handler = handler
        self.buffer = buffer
        self.max_body = max_body
        self.budget = Budget(MAX_HASHED)
        """Bounds what is hashed and scanned for this stream."""

    def chains_from(self, position: int) -> HeaderChains:
        """Returns what follows the chains of headers from `position` on."""
        return HeaderChains(position, self.max_body, self.budget)

    def proven(self, chain: Chain) -> bool:
        """Returns True if a message of the chain is whole and verified; tried again once another key is known."""
        if chain.proven:
            return True
        keys = self.handler.keys_known
        for start, header in chain.members:
            end = start + HEADER_LEN + header[BODY_LEN]
            if (
                end > self.buffer.end
                or chain.tried.get(start) == keys
                or not self.budget.spend(HEADER_LEN + header[BODY_LEN])
            ):
                continue
            chain.tried[start] = keys
            if self.handler.verifies(header, self.buffer.read(start + HEADER_LEN, end)):
                chain.proven = True
                chain.embeddable = self._in_clear(start, header)
                return True
        return False

    def may_be_embedded(self, chain: Chain) -> bool:
        """Returns True if the chain, which is proven, may stand in the body of another message."""
        return chain.embeddable is not False

    def _in_clear(self, start: int, header: Header) -> bool:
        body = self.buffer.read(start + HEADER_LEN, start + HEADER_LEN + header[BODY_LEN])
        return self.handler.in_clear(header, body)

    def confirms(self, chain: Chain, chains: HeaderChains, at_start: bool) -> bool:
        """Returns True if a chain can be more than embedded headers; `at_start` if a header must begin it."""
        if chains.is_unbroken(chain, self.buffer) or chain.headers >= MANY:
            return True
        if self.handler.conflicts.overlapping(chain.next, chain.next + HEADER_LEN):
            return True  # another version may go on with a header
        # It breaks off.
        if chain.headers >= _FEW and (
            at_start or self.handler.nothing_decrypted or self.buffer.begins_packet(chain.start, HEADER_LEN)
        ):
            return True
        several = chain.headers >= _SOME and chain.starts_segment  # the next message may be damaged as well
        return self.proven(chain) and (at_start or several or not self.may_be_embedded(chain))

    def ends_at(self, frame: PendingFrame, chain: Chain) -> bool:
        """Returns True if the SHA-1 shows that a message is whole where `chain` begins; asked once for each of both."""
        begin = frame.start + HEADER_LEN
        if chain.asked_by == frame.start or frame.reason is not None or chain.start < begin:
            return False
        if not self.budget.spend(chain.start - frame.start):
            return False
        chain.asked_by = frame.start
        return self.handler.verifies(frame.header, self.buffer.read(begin, chain.start))

    def overrides_length(self, frame: PendingFrame, chain: Chain, chains: HeaderChains, then: int) -> bool:
        """Returns True if a chain inside a message is stronger evidence than the length in that message's header."""
        if not self.confirms(chain, chains, at_start=False):
            return False
        if chain.headers > 1 and self.handler.nothing_decrypted:
            return True
        return self.proven(chain) and (
            chain.headers >= self._enough(frame, chain, then) or not self.may_be_embedded(chain)
        )

    def _enough(self, frame: PendingFrame, chain: Chain, then: int) -> int:
        """Returns the number of headers in a row that contradict the length of the message they stand in."""
        begins_packet = self.buffer.begins_packet(chain.start, HEADER_LEN)
        if not plausible(frame.header, ANY_LENGTH):  # no client writes such a header
            return 1
        if frame.certain:
            return MANY if not begins_packet else _SOME if then != END else 1
        if then != MORE:
            return 1
        return _SOME if begins_packet or frame.reason is not None else MANY

    def end_of_whole(self, frame: PendingFrame, chains: HeaderChains) -> int | None:
        """Returns where a frame really ends that is whole but not proven, if another begins in it."""
        buffer, nothing_decrypted = self.buffer, self.handler.nothing_decrypted
        chains.scan(buffer)
        after = buffer.read(frame.end, frame.end + HEADER_LEN)
        if len(after) == HEADER_LEN:
            wrong = not resembles(HEADER.unpack(after), self.max_body)
        else:
            wrong = not MAGIC.startswith(after[: len(MAGIC)])
        for chain in chains.chains:
            if chain.start >= frame.end or not self.budget.spend_scan(HEADER_LEN):
                break
            if self.ends_at(frame, chain):
                return chain.start
            if not self.confirms(chain, chains, at_start=False):
                continue
            several = chain.headers > 1
            if nothing_decrypted and (several or chain.next == frame.end):
                return chain.start
            if wrong and (several or self.proven(chain)):
                return chain.start
        return None

    def end_of_part(self, frame: PendingFrame, chains: HeaderChains, then: int) -> int | None:
        """Returns where a frame really ends whose bytes are not all there, if another begins in it."""
        moved = chains.scan(self.buffer)
        for chain in moved if then == MORE else list(chains.chains):
            if not self.budget.spend_scan(HEADER_LEN):
                break
            if self.ends_at(frame, chain) or self.overrides_length(frame, chain, chains, then):
                return chain.start
        return None
