"""Sliding windows, compared with lists of all events."""

from __future__ import annotations

from math import ceil
from random import Random

import pytest

from decoder.statistics.windows import LatencyWindow, RateWindow

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


@pytest.mark.parametrize("seed", range(20))
def test_a_rate_counts_the_events_of_the_window(seed: int) -> None:
    rng = Random(seed)
    window, events, now = RateWindow(), [], START
    for _ in range(rng.randrange(2000)):
        now += int(rng.expovariate(1) * rng.choice([SECOND // 1000, SECOND // 10, 3 * SECOND]))
        window.add(now)
        events.append(now)
        for seconds in (1, 10, 30):
            # Whole tenths of a second before the tenth that is being filled.
            end = now // (SECOND // 10) * (SECOND // 10)
            wanted = sum(end - seconds * SECOND <= event < end for event in events)
            assert window.count(now, seconds) == wanted
            assert window.per_second(now, seconds) == pytest.approx(wanted / seconds)


def test_a_rate_falls_to_nothing_when_nothing_comes() -> None:
    window = RateWindow()
    for n in range(100):
        window.add(START + n)
    assert window.count(START + SECOND // 2, 1) == 100
    assert window.count(START + 2 * SECOND, 1) == 0
    assert window.count(START + 2 * SECOND, 10) == 100
    assert window.count(START + 3600 * SECOND, 30) == 0


def test_a_clock_that_steps_back_counts_nothing_twice() -> None:
    window = RateWindow()
    for time_ns in (START, START - 5 * SECOND, START - 3600 * SECOND, 0):
        window.add(time_ns)
    assert window.count(START + SECOND // 10, 10) == 2


@pytest.mark.parametrize("seed", range(10))
def test_quantiles_are_those_of_the_last_minute(seed: int) -> None:
    rng = Random(seed)
    window, seen, now = LatencyWindow(), [], START
    for _ in range(500):
        now += rng.randrange(SECOND)
        latency = rng.randrange(1, SECOND)
        window.add(now, latency)
        seen.append((now, latency))
        ordered = sorted(latency for time_ns, latency in seen if time_ns > now - 60 * SECOND)
        assert window.quantiles(now, 0.5, 0.99) == [ordered[ceil(q * len(ordered)) - 1] for q in (0.5, 0.99)]
    assert window.quantiles(now + 61 * SECOND, 0.5, 0.99) == [None, None]
