"""Quantiles of a stream, against a sorted list."""

from __future__ import annotations

from math import ceil
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.statistics.quantiles import Quantiles

FRACTIONS = (0.0, 0.5, 0.9, 0.99, 0.999, 1.0)


def nearest_rank(values: list[int], fraction: float) -> int:
    return sorted(values)[max(1, ceil(fraction * len(values))) - 1]


def filled(values: list[int], **options: int) -> Quantiles:
    quantiles = Quantiles(**options)
    for value in values:
        quantiles.add(value)
    return quantiles


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=300))
def test_few_numbers_are_counted_exactly(values: list[int]) -> None:
    quantiles = filled(values)
    assert (quantiles.count, quantiles.lowest, quantiles.highest) == (len(values), min(values), max(values))
    for fraction in FRACTIONS:
        assert quantiles.quantile(fraction) == nearest_rank(values, fraction)


@pytest.mark.parametrize("seed", range(5))
def test_many_are_off_by_half_a_per_mille_at_most(seed: int) -> None:
    random = Random(seed)
    values = [int(random.lognormvariate(14, 3)) for _ in range(20_000)]
    quantiles = filled(values)
    for fraction in FRACTIONS:
        exact = nearest_rank(values, fraction)
        found = quantiles.quantile(fraction)
        assert found is not None
        assert abs(found - exact) <= 0.0005 * exact + 1
    assert (quantiles.lowest, quantiles.highest) == (min(values), max(values))


def test_memory_is_bounded_whatever_comes() -> None:
    random = Random(1)
    quantiles = filled([random.randrange(10**15) for _ in range(100_000)])
    assert len(quantiles._counts) < 52 * 1_024


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=200))
def test_negative_numbers_too(values: list[int]) -> None:
    """The lag of a clock that is behind is negative."""
    quantiles = filled(values, most=4, bits=5)
    for fraction in FRACTIONS:
        found = quantiles.quantile(fraction)
        assert found is not None
        assert min(values) <= found <= max(values)


def test_of_nothing_there_is_none() -> None:
    assert Quantiles().quantile(0.5) is None


@given(st.lists(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=40), min_size=1, max_size=20))
def test_many_at_once_count_as_one_after_the_other(batches: list[list[int]]) -> None:
    """Also where counting by the leading bits begins in the middle of a batch."""
    at_once = Quantiles(50, 5)
    for batch in batches:
        at_once.add_all(batch)
    values = [value for batch in batches for value in batch]
    one_by_one = filled(values, most=50, bits=5)
    assert (at_once.count, at_once.lowest, at_once.highest) == (len(values), min(values), max(values))
    assert [at_once.quantile(each) for each in FRACTIONS] == [one_by_one.quantile(each) for each in FRACTIONS]
