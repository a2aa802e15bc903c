"""One direction of a TCP connection: segments in, ordered bytes and holes out.

Offsets are 64-bit, counted from the first sequence number seen; a 32-bit sequence number becomes an
offset by its signed distance from the next expected one, so wrap-around needs no special case.
The first copy of a byte wins; copies that differ are kept aside (`copies`).

`Stream` does not decide alone that a hole is lost: `Stream.lose_hole` is called when the flow ends or
the peer acknowledged past the hole long ago, and `Stream.push` does it when too much is buffered.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import NamedTuple

from decoder.tcp.overlaps import OverlapConflicts

__all__ = ["WINDOW", "Block", "Hole", "Stream", "signed_distance"]

WINDOW = 64 * 1024 * 1024
"""Bytes that no two segments of a connection that come one after the other lie apart, windows and losses included."""
CHUNK_COST = 128
"""Bytes that keeping a chunk takes beside its data."""

_MASK = 0xFFFFFFFF


class Block(NamedTuple):
    """Bytes in stream order, and the packets that brought them."""

    offset: int
    data: bytes
    numbers: tuple[int, ...]
    time_ns: int


class Hole(NamedTuple):
    """Bytes that are missing at this place of the stream."""

    offset: int
    size: int
    reason: str


class PendingBlock:
    """Bytes that wait for those before them."""

    __slots__ = ("data", "end", "numbers", "start", "time_ns")

    def __init__(self, start: int, data: bytes, numbers: tuple[int, ...], time_ns: int) -> None:
        self.start = start
        self.end = start + len(data)
        self.data = data
        self.numbers = numbers
        self.time_ns = time_ns


def signed_distance(seq: int, reference: int) -> int:
    """How far `seq` lies after `reference` in the 32-bit sequence space, negative if before."""
    return ((seq - reference + 0x80000000) & _MASK) - 0x80000000


class Stream:
    """Reassembles one direction."""

    __slots__ = ("_cuts", "copies", "fin", "next_seq", "pending", "pending_bytes", "position", "started")

    def __init__(self) -> None:
        self.started = False
        self.next_seq = -1
        """Sequence number of the byte at `position`; -1 (no sequence number) before the start."""
        self.position = 0
        """Offset up to which the stream has been given out."""
        self.pending: list[PendingBlock] = []
        """What waits: sorted, disjoint, all beyond `position`."""
        self.pending_bytes = 0
        """Memory that takes."""
        self.fin: int | None = None
        """Offset of the end of the stream, once a FIN told."""
        self.copies = OverlapConflicts()
        """Copies that differ from what was taken first."""
        self._cuts: list[tuple[int, int]] = []  # what the snap length cut off beyond `position`: start, end

    def start(self, seq: int) -> None:
        """Let the byte with sequence number `seq` be offset 0."""
        self.started = True
        self.next_seq = seq & _MASK

    def offset(self, seq: int) -> int:
        """The offset of sequence number `seq`."""
        return self.position + signed_distance(seq, self.next_seq)

    @property
    def waiting(self) -> bool:
        """Whether there is anything beyond a hole."""
        return bool(self.pending or self._cuts)

    @property
    def hole_end(self) -> int:
        """Where the hole at `position` ends, as far as known; `position` if there is none."""
        ends = [start for start, _ in self._cuts[:1]]
        if self.pending:
            ends.append(self.pending[0].start)
        return min(ends, default=self.position)

    def push(
        self, seq: int, data: bytes, missing: int, numbers: tuple[int, ...], time_ns: int, max_pending: int
    ) -> list[Block | Hole]:
        """Take a segment, `missing` bytes of which the capture cut off, and give out what is now in order."""
        if not self.started:
            self.start(seq)
        start = self.offset(seq)
        end = start + len(data)
        if self.fin is not None and end + missing > self.fin:
            self.fin = None  # nothing follows a real FIN
        if start < self.position < end:
            data = data[self.position - start :]
            start = self.position
        if missing and end + missing > self.position:
            insort(self._cuts, (max(end, self.position), end + missing))
        if data and end > self.position:
            if start == self.position and not self.pending:
                self._advance(len(data))
                return [Block(start, data, numbers, time_ns), *(self._take_ready() if self._cuts else ())]
            self._insert(start, data, numbers, time_ns)
        pieces = self._take_ready()
        while self.pending_bytes + len(self._cuts) * CHUNK_COST > max_pending:
            pieces += self.lose_hole("limit")
        return pieces

    def _advance(self, size: int) -> None:
        self.position += size
        self.next_seq = (self.next_seq + size) & _MASK

    def _insert(self, start: int, data: bytes, numbers: tuple[int, ...], time_ns: int) -> None:
        """Keep those bytes that no earlier copy holds."""
        end = start + len(data)
        pending = self.pending
        index = bisect_right(pending, start, key=lambda chunk: chunk.end)
        cursor = start
        while cursor < end:
            chunk = pending[index] if index < len(pending) else None
            if chunk is None or cursor < chunk.start:
                stop = end if chunk is None else min(end, chunk.start)
                pending.insert(index, PendingBlock(cursor, data[cursor - start : stop - start], numbers, time_ns))
                self.pending_bytes += stop - cursor + CHUNK_COST
            else:
                stop = min(end, chunk.end)
                copy, first = data[cursor - start : stop - start], chunk.data[cursor - chunk.start : stop - chunk.start]
                if copy != first and len(chunk.data) == 1 < len(data):
                    # What was taken for the first copy is a keep-alive probe: it repeats the last byte, or sends any.
                    pending[index] = PendingBlock(cursor, copy, numbers, time_ns)
                    copy, first = first, copy
                self.copies.compare(cursor, first, copy, numbers, time_ns)
            cursor = stop
            index += 1

    def _take_ready(self) -> list[Block | Hole]:
        """Give out what is in order now."""
        pieces: list[Block | Hole] = []
        pending = self.pending
        taken = 0
        while True:
            if taken < len(pending) and pending[taken].start == self.position:
                chunk = pending[taken]
                taken += 1
                self.pending_bytes -= len(chunk.data) + CHUNK_COST
                pieces.append(Block(chunk.start, chunk.data, chunk.numbers, chunk.time_ns))
                self._advance(len(chunk.data))
                continue
            while self._cuts and self._cuts[0][1] <= self.position:
                del self._cuts[0]
            if not self._cuts or self._cuts[0][0] > self.position:
                break
            # Of bytes that were cut there may be another copy further on.
            stop = self._cuts[0][1]
            if taken < len(pending):
                stop = min(stop, pending[taken].start)
            pieces.append(Hole(self.position, stop - self.position, "snaplen"))
            self._advance(stop - self.position)
        del pending[:taken]
        return pieces

    def lose_hole(self, reason: str) -> list[Block | Hole]:
        """Give up the hole at `position`: it, and what is in order after it."""
        if not self.waiting:
            return []
        hole = Hole(self.position, self.hole_end - self.position, reason)
        self._advance(hole.size)
        return [hole, *self._take_ready()]

    def finish(self, acked: int) -> list[Block | Hole]:
        """The end of the flow: all that is pending, with every hole lost, and what the peer got but we did not.

        `acked` is the offset up to which the peer acknowledged, 0 if that is not known.
        """
        pieces: list[Block | Hole] = []
        while self.waiting:
            pieces += self.lose_hole("lost")
        if self.fin is not None:
            unseen = self.fin - self.position
        else:
            unseen = acked - self.position
            if unseen == 1:  # a FIN that we did not see takes a sequence number too
                unseen = 0
        if 0 < unseen < WINDOW:
            pieces.append(Hole(self.position, unseen, "lost"))
            self._advance(unseen)
        return pieces
