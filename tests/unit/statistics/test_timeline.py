"""Counts over time, in a bounded number of intervals."""

from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from decoder.statistics.timeline import Timeline, log_key, log_value, quantiles

START = 1_700_000_000_000_000_000


WEEK = 7 * 86_400 * 10**9


@given(st.lists(st.tuples(st.integers(0, 2**60) | st.integers(-WEEK // 2, 0), st.integers(0, 4)), min_size=1))
def test_every_count_is_in_the_interval_of_its_time(values: list[tuple[int, int]]) -> None:
    """However the times are spread: nothing is lost, and no more intervals than asked for."""
    timeline = Timeline(50)
    for offset, key in values:
        timeline.add(START + offset, key)
    assert 1 <= len(timeline) <= 50
    width = timeline.width_ns
    origin = next(start for start, _ in timeline)
    assert origin <= START + min(offset for offset, _ in values)
    found = {(start, key): count for start, cell in timeline for key, count in cell.items()}
    expected: dict[tuple[int, int], int] = {}
    for offset, key in values:
        place = origin + (START + offset - origin) // width * width, key
        expected[place] = expected.get(place, 0) + 1
    assert found == expected


def test_the_width_is_no_more_than_twice_what_is_needed() -> None:
    timeline = Timeline(400)
    for second in range(86_400):
        timeline.add(START + second * 10**9, 0)
    assert 200 <= len(timeline) <= 400
    assert sum(timeline.total().values()) == 86_400


def test_damaged_times_are_kept_and_stretch_nothing_back() -> None:
    timeline = Timeline(4)
    for time_ns in (START, START - 10**12, -(2**70), 2**80):
        timeline.add(time_ns, 1)
    assert timeline.total() == {1: 4}
    assert len(timeline) <= 4


@given(st.integers(0, 2**64))
def test_a_logarithmic_key_is_off_by_six_percent_at_most(value: int) -> None:
    near = log_value(log_key(value))
    assert abs(near - max(value, 8)) <= max(value, 8) / 16 + 1


@given(st.lists(st.integers(8, 10**12), min_size=1))
def test_keys_rise_with_their_values(values: list[int]) -> None:
    assert [log_key(value) for value in sorted(values)] == sorted(map(log_key, values))


@given(st.lists(st.integers(8, 10**9), min_size=1, max_size=300), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_quantiles_by_nearest_rank(values: list[int], fraction: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        counts[log_key(value)] = counts.get(log_key(value), 0) + 1
    exact = sorted(values)[max(1, ceil(fraction * len(values))) - 1]
    assert abs(quantiles(counts, (fraction,))[0] - exact) <= exact / 16 + 1


def test_several_quantiles_at_once() -> None:
    counts = {log_key(value): 1 for value in (100, 1_000, 10_000, 100_000)}
    assert [round(value, -2) for value in quantiles(counts, (0.25, 0.5, 1.0))] == [100, 1_000, 102_400]
