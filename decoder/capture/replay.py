"""Plays captured packets at the pace at which they were captured, or faster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from decoder.capture.pcapng import RawPacket

__all__ = ["Replay"]

_PAUSE = 0.05
"""Seconds between two looks at the clock; packets of this time come in one batch."""

_LONGEST_GAP_NS = 5 * 1_000_000_000
"""Quiet times of the capture are cut to this: nobody wants to watch a night pass."""


class Replay:
    """Yields packets when their time has come.

    :param speed: seconds of the capture in a second
    :param clock: returns seconds; for tests
    :param sleep: waits for seconds; for tests

    :ivar paused: time stands still
    :ivar now_ns: the time in the capture
    :ivar ended: all packets came
    """

    def __init__(
        self,
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.speed = speed
        self.paused = False
        self.ended = False
        self.now_ns = 0
        self._clock = clock
        self._sleep = sleep
        self._looked = 0.0

    def play(self, batches: Iterator[list[RawPacket]]) -> Iterator[list[RawPacket]]:
        """Yields the packets of `batches` in time, and an empty batch while none is due; goes on after the last."""
        self._looked = self._clock()
        for batch in batches:
            start = 0
            if not self.now_ns:
                self.now_ns = batch[0][0]
            while start < len(batch):
                self._pass_time(batch[start][0])
                stop = start
                while stop < len(batch) and batch[stop][0] <= self.now_ns:
                    stop += 1
                yield batch[start:stop]
                start = stop
                if start < len(batch):
                    self._sleep(_PAUSE)
        self.ended = True
        while True:
            self._looked = self._clock()
            yield []
            self._sleep(_PAUSE)

    def _pass_time(self, next_ns: int) -> None:
        """Moves the time on, and over a quiet time up to the packet at `next_ns`."""
        now = self._clock()
        passed, self._looked = now - self._looked, now
        if self.paused:
            return
        self.now_ns = max(self.now_ns, next_ns - _LONGEST_GAP_NS, self.now_ns + int(passed * self.speed * 1e9))
