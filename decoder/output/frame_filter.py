"""Writes numbers of packets as a display filter of Wireshark, ready to paste."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["frame_filter"]

_MAX_RANGES = 200
"""Ranges in one filter; Wireshark takes more, a reader and a command line do not."""


def frame_filter(packets: Iterable[int]) -> str:
    """Return ``frame.number in {12, 17..19}``; numbers that follow one another are one range."""
    ranges: list[list[int]] = []
    for number in sorted(set(packets)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    parts = [str(first) if first == last else f"{first}..{last}" for first, last in ranges[:_MAX_RANGES]]
    return f"frame.number in {{{', '.join(parts)}}}"
