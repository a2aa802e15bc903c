"""Display filters that show given packets in Wireshark."""

from __future__ import annotations

from decoder.formatting.frame_filter import FrameFilter, frame_filter, merged_first


def test_numbers_that_follow_one_another_are_a_range() -> None:
    assert frame_filter([12]) == "frame.number in {12}"
    assert frame_filter([9, 12, 10, 11, 14, 12]) == "frame.number in {9..12, 14}"


def test_a_filter_has_at_most_200_ranges_and_says_so() -> None:
    collected = FrameFilter()
    assert not collected
    collected.add(range(1, 401, 2))
    assert str(collected) == frame_filter(range(1, 401, 2))
    collected.add([403])
    assert str(collected) == frame_filter(range(1, 401, 2)) + " (not all of them: select fewer messages)"


def test_what_is_collected_is_bounded() -> None:
    collected = FrameFilter()
    collected.add(range(200_000))
    collected.add([900_000])
    assert str(collected) == "frame.number in {0..199999} (not all of them: select fewer messages)"


def test_packets_of_several_captures_are_numbered_as_if_they_were_one() -> None:
    assert merged_first(0) == merged_first(1) == ""  # live, one file
    assert "mergecap" in merged_first(2)
