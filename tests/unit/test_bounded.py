"""`BoundedDict`: what it keeps, what it drops, what it computes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.bounded import BoundedDict


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 9), st.integers())))
def test_it_keeps_the_youngest_entries(maximum: int, entries: list[tuple[int, int]]) -> None:
    """Against a list: an entry that is set again keeps its place in the order."""
    bounded: BoundedDict[int, int] = BoundedDict(maximum)
    model: list[tuple[int, int]] = []
    for key, value in entries:
        bounded[key] = value
        places = [place for place, (known, _) in enumerate(model) if known == key]
        if places:
            model[places[0]] = key, value
        else:
            model = [*model, (key, value)][-maximum:]
        assert list(bounded.items()) == model


def test_what_is_dropped_is_reported() -> None:
    dropped: list[tuple[str, int]] = []
    bounded: BoundedDict[str, int] = BoundedDict(2, on_drop=lambda key, value: dropped.append((key, value)))
    for value, key in enumerate("abac"):
        bounded[key] = value
    assert dropped == [("a", 2)]


def test_a_missing_value_is_made_once() -> None:
    made: list[int] = []

    def square(number: int) -> int:
        made.append(number)
        return number**2

    squares = BoundedDict(2, square)
    assert [squares[number] for number in (1, 2, 1, 3, 1)] == [1, 4, 1, 9, 1]
    assert made == [1, 2, 3, 1]
    assert squares.get(7) is None


def test_without_a_way_to_make_it_a_missing_value_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        BoundedDict[int, int](1)[0]


def test_dropping_takes_no_longer_when_much_was_dropped() -> None:
    """A plain dictionary would look through all its dropped entries for the first that is left."""
    bounded: BoundedDict[int, None] = BoundedDict(100_000)
    for number in range(100_000):
        bounded[number] = None
    start = time.process_time()
    for number in range(100_000, 300_000):
        bounded[number] = None
    assert time.process_time() - start < 5  # a plain dictionary: minutes
