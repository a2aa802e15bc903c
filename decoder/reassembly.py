"""One direction of a TCP connection: segments in, ordered bytes and holes out.

Offsets are 64-bit, counted from the first sequence number seen; a 32-bit sequence number becomes an
offset by its signed distance from the next expected one, so wrap-around needs no special case.
The first copy of a byte wins.  Copies that differ are kept aside until the bytes have been used:
the SHA-1 of the message arbitrates.

`Stream` does not decide alone that a hole is lost: `Stream.lose_hole` is called when the flow ends or
the peer acknowledged past the hole long ago, and `Stream.push` does it when too much is buffered.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

__all__ = ["Hole", "Piece", "Stream", "signed_distance"]

_MASK = 0xFFFFFFFF
_MAX_VARIANTS = 16  # conflicting copies kept of one stream at a time
_CHUNK_COST = 128  # bytes that keeping a chunk takes beside its data


class Piece(NamedTuple):
    """Bytes in stream order, and the packets that brought them."""

    data: bytes
    numbers: tuple[int, ...]
    time_ns: int


class Hole(NamedTuple):
    """Bytes that are missing at this place of the stream."""

    size: int
    reason: str


class Variant(NamedTuple):
    """A later copy of bytes that differs from the first."""

    start: int
    data: bytes
    numbers: tuple[int, ...]


class _Chunk:
    """Bytes that wait for those before them; `size` bytes cut by the snap length if `data` is None."""

    __slots__ = ("data", "end", "numbers", "start", "time_ns")

    def __init__(self, start: int, end: int, data: bytes | None, numbers: tuple[int, ...], time_ns: int) -> None:
        self.start = start
        self.end = end
        self.data = data
        self.numbers = numbers
        self.time_ns = time_ns


def signed_distance(seq: int, reference: int) -> int:
    """How far `seq` lies after `reference` in the 32-bit sequence space, negative if before."""
    return ((seq - reference + 0x80000000) & _MASK) - 0x80000000


class Stream:
    """Reassembles one direction."""

    __slots__ = ("fin", "next_seq", "pending", "pending_bytes", "position", "started", "variants")

    def __init__(self) -> None:
        self.started = False
        self.next_seq = -1
        """Sequence number of the byte at `position`; -1 (no sequence number) before the start."""
        self.position = 0
        """Offset up to which the stream has been given out."""
        self.pending: list[_Chunk] = []  # sorted, disjoint, all beyond `position`
        self.pending_bytes = 0
        self.fin: int | None = None
        """Offset of the end of the stream, once a FIN told."""
        self.variants: list[Variant] = []
        """Copies that differ from what was taken first."""

    def start(self, seq: int) -> None:
        """Let the byte with sequence number `seq` be offset 0."""
        self.started = True
        self.next_seq = seq & _MASK

    def offset(self, seq: int) -> int:
        """The offset of sequence number `seq`."""
        return self.position + signed_distance(seq, self.next_seq)

    def advance(self, size: int) -> None:
        """Count `size` bytes as given out: what the caller may do with a segment that starts at `next_seq`."""
        self.position += size
        self.next_seq = (self.next_seq + size) & _MASK

    def push(
        self, seq: int, data: bytes, missing: int, numbers: tuple[int, ...], time_ns: int, max_pending: int
    ) -> list[Piece | Hole]:
        """Take a segment, `missing` bytes of which the capture cut off, and give out what is now in order."""
        if not self.started:
            self.start(seq)
        start = self.offset(seq)
        if self.fin is not None and start + len(data) + missing > self.fin:  # beyond the end: not of this stream
            data = data[: max(0, self.fin - start)]
            missing = max(0, min(missing, self.fin - start - len(data)))
        if start == self.position - 1 and len(data) + missing <= 1:
            return []  # a keep-alive probe; its byte, if any, is garbage
        end = start + len(data)
        if data and end > self.position:
            self._insert(start, data, numbers, time_ns)
        if missing and end + missing > self.position:
            self._insert_cut(max(end, self.position), end + missing, numbers, time_ns)
        pieces = self._take_ready()
        while self.pending_bytes > max_pending:
            pieces += self.lose_hole("limit")
        return pieces

    def _insert(self, start: int, data: bytes, numbers: tuple[int, ...], time_ns: int) -> None:
        """Keep those bytes that no earlier copy holds."""
        if start < self.position:
            data = data[self.position - start :]
            start = self.position
        end = start + len(data)
        pending = self.pending
        index = bisect_right(pending, start, key=lambda chunk: chunk.end)
        cursor = start
        while cursor < end:
            chunk = pending[index] if index < len(pending) else None
            if chunk is not None and chunk.data is None and chunk.start < end:
                # Bytes that another copy has whole are not missing.
                del pending[index]
                for left, right in ((chunk.start, min(cursor, chunk.end)), (max(end, chunk.start), chunk.end)):
                    if left < right:
                        pending.insert(index, _Chunk(left, right, None, chunk.numbers, chunk.time_ns))
                        index += left < cursor
                continue
            if chunk is None or cursor < chunk.start:
                stop = end if chunk is None else min(end, chunk.start)
                pending.insert(index, _Chunk(cursor, stop, data[cursor - start : stop - start], numbers, time_ns))
                self.pending_bytes += stop - cursor + _CHUNK_COST
                cursor = stop
            else:
                stop = min(end, chunk.end)
                copy = data[cursor - start : stop - start]
                assert chunk.data is not None
                if copy != chunk.data[cursor - chunk.start : stop - chunk.start]:
                    self.note_variant(cursor, copy, numbers)
                cursor = stop
            index += 1

    def note_variant(self, start: int, data: bytes, numbers: tuple[int, ...]) -> None:
        """Remember that another copy of the bytes at `start` differs."""
        if len(self.variants) < _MAX_VARIANTS:
            self.variants.append(Variant(start, data, numbers))

    def _insert_cut(self, start: int, end: int, numbers: tuple[int, ...], time_ns: int) -> None:
        """Mark the bytes from `start` to `end` as cut by the snap length, where no copy of them is kept."""
        pending = self.pending
        index = bisect_right(pending, start, key=lambda chunk: chunk.end)
        while start < end:
            chunk = pending[index] if index < len(pending) else None
            stop = end if chunk is None else min(end, chunk.start)
            if start < stop:
                pending.insert(index, _Chunk(start, stop, None, numbers, time_ns))
                index += 1
            if chunk is None:
                break
            start = max(start, chunk.end)
            index += 1

    def _take_ready(self) -> list[Piece | Hole]:
        pieces: list[Piece | Hole] = []
        pending = self.pending
        taken = 0
        while taken < len(pending) and pending[taken].start == self.position:
            chunk = pending[taken]
            taken += 1
            self.advance(chunk.end - chunk.start)
            if chunk.data is None:
                pieces.append(Hole(chunk.end - chunk.start, "snaplen"))
            else:
                self.pending_bytes -= len(chunk.data) + _CHUNK_COST
                pieces.append(Piece(chunk.data, chunk.numbers, chunk.time_ns))
        del pending[:taken]
        return pieces

    def lose_hole(self, reason: str) -> list[Piece | Hole]:
        """Give up the hole before the first pending bytes: it, and what is in order after it."""
        if not self.pending:
            return []
        hole = Hole(self.pending[0].start - self.position, reason)
        self.advance(hole.size)
        return [hole, *self._take_ready()]

    def finish(self, acked: int) -> list[Piece | Hole]:
        """The end of the flow: all that is pending, with every hole lost, and what the peer got but we did not.

        The peer has acknowledged up to offset `acked`.
        """
        pieces: list[Piece | Hole] = []
        while self.pending:
            pieces += self.lose_hole("lost")
        # A FIN takes a sequence number too, so one byte more than seen may be acknowledged.
        unseen = acked - self.position
        if self.fin is not None:
            unseen = self.fin - self.position
        if unseen > 1 or (unseen == 1 and self.fin is not None):
            self.advance(unseen)
            pieces.append(Hole(unseen, "lost"))
        return pieces
