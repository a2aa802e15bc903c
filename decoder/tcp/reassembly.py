"""Reassembles one direction of a TCP connection: segments in, ordered blocks and holes out.

Offsets are 64-bit, counted from the first sequence number seen; a 32-bit sequence number becomes an offset by its
signed distance from the next expected one, so wrap-around needs no special case.  The first version of a byte wins;
versions that differ are kept aside (`conflicts`).

A stream whose beginning is not in the capture is not `settled` at first: packets may have overtaken each other
there, so nothing is given out before the owner calls `settle`.

`StreamReassembler` does not decide alone that a hole is lost: its owner calls `lose_hole` when the peer acknowledged
the hole, or the connection ends; `push` does it when too much is pending.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import NamedTuple

from decoder.tcp.overlaps import OverlapConflicts
from decoder.tcp.segment import signed_distance
from decoder.vocabulary import Arrival, GapReason

__all__ = ["BLOCK_COST", "WINDOW", "Block", "Hole", "StreamReassembler"]

WINDOW = 64 * 1024 * 1024
"""Largest jump in bytes between two segments still taken for the same connection: a full window plus losses."""
BLOCK_COST = 128
"""Bytes of memory that keeping a block takes beside its data."""

_MASK = 0xFFFFFFFF
_MAX_FINS = 8
"""Different ends of one stream that are remembered: one is real."""


class Block(NamedTuple):
    """Bytes in stream order, and the packets that brought them."""

    offset: int
    data: bytes
    arrival: Arrival


class Hole(NamedTuple):
    """Bytes that are missing at this place of the stream."""

    offset: int
    size: int
    reason: GapReason
    arrival: Arrival | None = None
    """The packet that the snap length cut; None where no packet brought any part of it."""


class PendingBlock:
    """Bytes that wait for those before them."""

    __slots__ = ("arrival", "data", "end", "start")

    def __init__(self, start: int, data: bytes, arrival: Arrival) -> None:
        self.start = start
        self.end = start + len(data)
        self.data = data
        self.arrival = arrival


class StreamReassembler:
    """Reassembles one direction."""

    __slots__ = (
        "_cuts",
        "conflicts",
        "fins",
        "next_seq",
        "origin",
        "pending",
        "pending_bytes",
        "position",
        "settled",
        "started",
    )

    def __init__(self) -> None:
        self.started = False
        self.settled = True
        """False while the stream may still begin earlier than at the bytes known so far."""
        self.next_seq = -1
        """Sequence number of the byte at `position`; -1 (no sequence number) before the start."""
        self.origin = 0
        """Offset of the first byte given out."""
        self.position = 0
        """Offset up to which the stream has been given out."""
        self.pending: list[PendingBlock] = []
        """Blocks that wait behind a hole: sorted, disjoint, all beyond `position` once the stream is settled."""
        self.pending_bytes = 0
        """Memory they take."""
        self.fins: dict[int, int] = {}
        """Offsets of the end of the stream, as FINs told them, and the `position` at that time; some may be forged."""
        self.conflicts = OverlapConflicts()
        """Versions of bytes that differ from those that came first."""
        self._cuts: list[tuple[int, int, Arrival]] = []  # cut off by the snap length beyond `position`: start, end

    def start(self, seq: int, *, settled: bool = True) -> None:
        """Lets the byte with sequence number `seq` be offset 0; it is the very first one if `settled`."""
        self.started, self.settled = True, settled
        self.next_seq = seq & _MASK

    def settle(self, begin: int | None = None) -> list[Block | Hole]:
        """Fixes the first byte, at offset `begin` or at the earliest byte known; returns what is in order from it."""
        self.settled = True
        self._advance((self.first_pending if begin is None else begin) - self.position)
        self.origin = self.position
        kept, self.pending, self.pending_bytes = self.pending, [], 0
        for block in kept:
            if block.end > self.position:
                skip = max(0, self.position - block.start)
                self._insert(block.start + skip, block.data[skip:], block.arrival)
        return self._take_ready()

    def offset(self, seq: int) -> int:
        """Returns the offset of sequence number `seq`."""
        return self.position + signed_distance(seq, self.next_seq)

    @property
    def fin(self) -> int | None:
        """Offset of the end of the stream, once a FIN told it; no data lies behind a real one."""
        return min(self.fins, default=None)

    def note_fin(self, offset: int) -> None:
        """Takes note of a FIN that says that the stream ends at `offset`."""
        if len(self.fins) < _MAX_FINS:
            self.fins.setdefault(offset, self.position)

    @property
    def waiting(self) -> bool:
        """True while there is anything beyond a hole."""
        return bool(self.pending or self._cuts)

    @property
    def first_pending(self) -> int:
        """Offset of the first byte known that was not given out; `position` if there is none."""
        starts = [block.start for block in self.pending[:1]] + [start for start, _, _ in self._cuts[:1]]
        return min(starts, default=self.position)

    @property
    def overhead(self) -> int:
        """Memory in use."""
        return self.pending_bytes + len(self._cuts) * BLOCK_COST

    @property
    def hole_end(self) -> int:
        """Offset where the hole at `position` ends, as far as it is known; `position` if there is none."""
        end = self.pending[0].start if self.pending else None
        if self._cuts:  # of bytes that were cut there may be another copy further on
            start, stop, _ = self._cuts[0]
            stop = stop if start <= self.position else start
            end = stop if end is None else min(stop, end)
        return self.position if end is None else end

    @property
    def waits_for_copy(self) -> bool:
        """True if the snap length cut the bytes at `position`."""
        return bool(self._cuts) and self.settled and self._cuts[0][0] <= self.position

    @property
    def hole(self) -> Hole | None:
        """The hole at `position`, as far as it is known; None if there is none."""
        size = self.hole_end - self.position
        if self.waits_for_copy:
            return Hole(self.position, size, "snaplen", self._cuts[0][2])
        return Hole(self.position, size, "lost") if size else None

    def push(self, seq: int, data: bytes, missing: int, arrival: Arrival, max_pending: int) -> list[Block | Hole]:
        """Takes a segment, `missing` bytes of which the capture cut off; returns what is now in order."""
        start = self.offset(seq)
        end = start + len(data)
        if self.fins:  # nothing follows a real FIN
            self.fins = {offset: since for offset, since in self.fins.items() if offset >= end + missing}
        if not self.settled:
            self._insert(start, data, arrival)
            if missing:
                insort(self._cuts, (end, end + missing, arrival))
            return []
        if start < self.position < end:
            data = data[self.position - start :]
            start = self.position
        if missing and end + missing > self.position:
            insort(self._cuts, (max(end, self.position), end + missing, arrival))
        if data and end > self.position:
            if start == self.position and not (self.pending or self._cuts):
                self._advance(len(data))
                return [Block(start, data, arrival)]
            self._insert(start, data, arrival)
        blocks = self._take_ready()
        while self.overhead > max_pending:
            blocks += self.lose_hole("limit")
        return blocks

    def _advance(self, size: int) -> None:
        self.position += size
        self.next_seq = (self.next_seq + size) & _MASK

    def _insert(self, start: int, data: bytes, arrival: Arrival) -> None:
        """Keeps those bytes that no earlier version holds, and conflicts with those that one holds."""
        end = start + len(data)
        pending = self.pending
        index = bisect_right(pending, start, key=lambda block: block.end)
        cursor = start
        while cursor < end:
            block = pending[index] if index < len(pending) else None
            if block is None or cursor < block.start:
                stop = end if block is None else min(end, block.start)
                pending.insert(index, PendingBlock(cursor, data[cursor - start : stop - start], arrival))
                self.pending_bytes += stop - cursor + BLOCK_COST
            else:
                stop = min(end, block.end)
                first = block.data[cursor - block.start : stop - block.start]
                self.conflicts.compare(cursor, first, data[cursor - start : stop - start], arrival)
            cursor = stop
            index += 1

    def _take_ready(self) -> list[Block | Hole]:
        """Gives out what is in order now."""
        blocks: list[Block | Hole] = []
        if not self._cuts and (not self.pending or self.pending[0].start != self.position):
            return blocks
        for block in self.pending:
            if block.start != self.position:
                break
            self.pending_bytes -= len(block.data) + BLOCK_COST
            self._advance(len(block.data))
            blocks.append(Block(block.start, block.data, block.arrival))
        del self.pending[: len(blocks)]
        while self._cuts and self._cuts[0][1] <= self.position:
            del self._cuts[0]
        return blocks

    def lose_hole(self, reason: GapReason) -> list[Block | Hole]:
        """Gives up the hole at `position`: returns it, and what is in order after it.

        What the snap length cut is told as such, whatever the `reason`.
        """
        hole = self.hole
        if hole is None:
            return []
        if hole.reason == "lost":
            hole = hole._replace(reason=reason)
        self._advance(hole.size)
        return [hole, *self._take_ready()]

    def finish(self, acked: int) -> list[Block | Hole]:
        """Ends the stream: returns all that is pending, with every hole lost, and what the peer got but we did not.

        `acked` is the offset up to which the peer acknowledged, 0 if that is not known.
        """
        fin = self.fin
        if fin is not None and acked > fin:  # the receiver had all of it: what lies behind was never sent
            self._drop_behind(fin)
        blocks = self._take_ready()
        while self.hole is not None:
            blocks += self.lose_hole("lost")
        if fin is not None and (acked >= fin or self.fins[fin] == self.position):
            unseen = fin - self.position
        else:  # a FIN that nobody acknowledged, though data came after it, is forged
            unseen = acked - self.position
            if unseen == 1:  # a FIN that we did not see takes a sequence number too
                unseen = 0
        if 0 < unseen < WINDOW:
            blocks.append(Hole(self.position, unseen, "lost"))
            self._advance(unseen)
        return blocks

    def _drop_behind(self, end: int) -> None:
        while self.pending and self.pending[-1].start >= end:
            self.pending_bytes -= len(self.pending.pop().data) + BLOCK_COST
        self._cuts = [cut for cut in self._cuts if cut[0] < end]
