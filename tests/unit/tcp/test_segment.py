"""Arithmetic on sequence numbers, and the size of a segment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.tcp.segment import ACK, Segment, signed_distance
from decoder.vocabulary import Arrival


@pytest.mark.parametrize(
    ("seq", "reference", "distance"),
    [(5, 3, 2), (3, 5, -2), (1, 2**32 - 1, 2), (2**32 - 1, 1, -2), (2**31, 0, -(2**31)), (2**31 - 1, 0, 2**31 - 1)],
)
def test_the_distance_of_sequence_numbers_has_a_sign(seq: int, reference: int, distance: int) -> None:
    assert signed_distance(seq, reference) == distance


@given(st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1))
def test_the_distance_is_that_of_the_stream_whatever_wraps(reference: int, distance: int) -> None:
    assert signed_distance((reference + distance) % 2**32, reference) == distance


def test_bytes_that_were_not_captured_count_for_the_size() -> None:
    assert Segment(7, 0, ACK, b"abc", 5, Arrival((1,), 0)).size == 8
