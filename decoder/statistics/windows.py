"""Sliding windows over the last seconds: how many a second, and how long the responses took."""

from __future__ import annotations

from collections import deque
from math import ceil

__all__ = ["LatencyWindow", "RateWindow"]

_BUCKET_NS = 100_000_000
"""Grain of a rate: 0.1 s, so that the rate of the last second is off by a tenth at most."""

_BUCKETS = 301
"""30 s, the longest window (limits of the gateway speak of 30 s), and the bucket that is being filled."""

_LATENCY_NS = 60 * 1_000_000_000
_MAX_LATENCIES = 2_048
"""Responses of one protocol that are kept; of more in a minute the newest count."""


class RateWindow:
    """Counts events of the last 30 s."""

    __slots__ = ("_counts", "_newest")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._newest = 0

    def add(self, time_ns: int) -> None:
        """Counts an event; one that is older than the window by the newest so far is ignored."""
        bucket = time_ns // _BUCKET_NS
        if bucket > self._newest:
            for passed in range(max(self._newest + 1, bucket - _BUCKETS + 1), bucket + 1):
                self._counts[passed % _BUCKETS] = 0
            self._newest = bucket
        if bucket > self._newest - _BUCKETS:
            self._counts[bucket % _BUCKETS] += 1

    def count(self, now_ns: int, seconds: int) -> int:
        """Returns the number of events in the `seconds` before `now_ns`, at most 30."""
        end = now_ns // _BUCKET_NS
        first = max(end - seconds * 10, self._newest - _BUCKETS + 1)
        return sum(self._counts[bucket % _BUCKETS] for bucket in range(first, min(end, self._newest + 1)))

    def per_second(self, now_ns: int, seconds: int) -> float:
        """Returns the events a second in the `seconds` before `now_ns`."""
        return self.count(now_ns, seconds) / seconds


class LatencyWindow:
    """Keeps the latencies of the last 60 s."""

    __slots__ = ("_latencies",)

    def __init__(self) -> None:
        self._latencies: deque[tuple[int, int]] = deque(maxlen=_MAX_LATENCIES)

    def add(self, time_ns: int, latency_ns: int) -> None:
        """Takes the latency of a response that was completed at `time_ns`."""
        self._latencies.append((time_ns, latency_ns))

    def quantiles(self, now_ns: int, *fractions: float) -> list[int | None]:
        """Returns the latencies that these fractions of the last 60 s do not exceed (nearest rank); else None."""
        latencies = self._latencies
        while latencies and latencies[0][0] <= now_ns - _LATENCY_NS:
            latencies.popleft()
        ordered = sorted(latency for _, latency in latencies)
        if not ordered:
            return [None] * len(fractions)
        return [ordered[max(0, ceil(fraction * len(ordered)) - 1)] for fraction in fractions]
