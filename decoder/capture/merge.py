"""Merges several captures in time order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from operator import itemgetter

from decoder.capture.pcapng import RawPacket
from decoder.capture.reader import CaptureReader
from decoder.errors import CaptureError

__all__ = ["merged"]

_MERGE_MEMORY = 32 * 1024 * 1024
"""Bytes that the chunks of all merged captures may take together."""
_MERGED_BATCH = 512
"""Packets from which on a merged batch is passed on."""
_TIME = itemgetter(0)


def merged(
    readers: Sequence[CaptureReader], on_error: Callable[[CaptureReader, CaptureError], None]
) -> Iterator[list[RawPacket]]:
    """Yields the packets of several captures in time order, in batches; equal times keep the order of `readers`.

    Each capture keeps its own order, as with mergecap: the one whose next packet is the oldest comes first.  Files
    whose times do not overlap (rotated ones, given in any order) are open one at a time and their batches pass
    through as they are.

    :param on_error: called for each capture that cannot be read, or not to its end; the others are read on
    """
    for reader in readers if len(readers) > 1 else ():
        reader.limit_chunk(_MERGE_MEMORY // len(readers))
    heap: list[tuple[int, int, _Lane]] = []
    for order, reader in enumerate(readers):
        lane = _Lane(reader, order, on_error)
        if lane.load():
            heappush(heap, (lane.batch[0][0], order, lane))
            if len(readers) > 1 and reader.reopens:
                lane.park()
    batch: list[RawPacket] = []
    while heap:
        _, order, lane = heappop(heap)
        if not lane.batch and not lane.load():
            continue
        run = lane.take(heap[0][:2] if heap else None)
        if batch:
            batch += run
        else:
            batch = run
        if lane.at == len(lane.batch) or len(batch) >= _MERGED_BATCH:
            yield batch
            batch = []
        if lane.at < len(lane.batch) or lane.load():
            heappush(heap, (lane.batch[lane.at][0], order, lane))


class _Lane:
    """Holds one of the captures that are merged: its current batch, and the position in it."""

    def __init__(
        self, reader: CaptureReader, order: int, on_error: Callable[[CaptureReader, CaptureError], None]
    ) -> None:
        self.reader = reader
        self.order = order
        self.batch: list[RawPacket] = []
        self.at = 0
        self._latest: int | None = None  # latest time in the batch, computed when it is needed
        self._on_error = on_error
        self._batches = reader.batches()

    def load(self) -> bool:
        """Reads the next batch; returns False when there is none."""
        self.at = 0
        try:
            self.batch = next(self._batches, [])
        except CaptureError as error:
            self.batch = []
            self._on_error(self.reader, error)
        self._latest = None
        return bool(self.batch)

    def park(self) -> None:
        """Closes the file and drops its batch: its next packet may be needed much later."""
        self._batches.close()
        self._batches = self.reader.batches()
        self.batch = []

    def take(self, limit: tuple[int, int] | None) -> list[RawPacket]:
        """Returns the current packet and those after it that come before `limit`: time and order of the next lane."""
        batch, at, order = self.batch, self.at, self.order
        stop = len(batch)
        if limit is None:
            self.at = stop
            return batch[at:]
        if self._latest is None:
            self._latest = max(map(_TIME, batch))
        if (self._latest, order) >= limit:
            stop = at + 1
            while stop < len(batch) and (batch[stop][0], order) < limit:
                stop += 1
        self.at = stop
        return batch[at:stop]
