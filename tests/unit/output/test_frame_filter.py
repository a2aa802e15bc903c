"""Numbers of packets as a display filter of Wireshark."""

from __future__ import annotations

import re

from decoder.output.frame_filter import frame_filter
from hypothesis import given
from hypothesis import strategies as st


def numbers(text: str) -> list[int]:
    """The packets that Wireshark would show."""
    assert text.startswith("frame.number in {")
    found: list[int] = []
    for first, last in re.findall(r"(\d+)(?:\.\.(\d+))?", text.partition("{")[2]):
        found += range(int(first), int(last or first) + 1)
    return found


def test_numbers_that_follow_one_another_are_a_range() -> None:
    assert frame_filter([17, 12, 18, 19, 12]) == "frame.number in {12, 17..19}"


@given(st.sets(st.integers(1, 200), min_size=1))
def test_it_shows_exactly_these_packets(packets: set[int]) -> None:
    assert numbers(frame_filter(packets)) == sorted(packets)


def test_ranges_are_bounded() -> None:
    assert numbers(frame_filter(range(1, 10_000, 2))) == list(range(1, 400, 2))
