"""Writes numbers of packets as a display filter of Wireshark, ready to paste."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["FrameFilter", "frame_filter", "merged_first"]

_MAX_RANGES = 200
"""Ranges in one filter; Wireshark takes more, a reader and a command line do not."""
_MAX_PACKETS = 200_000
"""Numbers of packets that are collected, about 16 MB; further ones are in no filter."""


class FrameFilter:
    """Collects numbers of packets; as a string it is the display filter that shows them."""

    def __init__(self) -> None:
        self._packets: set[int] = set()
        self._is_full = False

    def __bool__(self) -> bool:
        return bool(self._packets)

    def __str__(self) -> str:
        ranges = _ranges(self._packets)
        left_out = self._is_full or len(ranges) > _MAX_RANGES
        return _text(ranges) + " (not all of them: select fewer messages)" * left_out

    def add(self, packets: Iterable[int]) -> None:
        """Takes the packets of a message."""
        if len(self._packets) < _MAX_PACKETS:
            self._packets.update(packets)
        else:
            self._is_full = True


def merged_first(captures: int) -> str:
    """Returns what to do before a filter is used: the packets of several captures are numbered as if they were one."""
    return ", once mergecap has merged the captures" if captures > 1 else ""


def frame_filter(packets: Iterable[int]) -> str:
    """Returns ``frame.number in {12, 17..19}``; numbers that follow one another are one range."""
    return _text(_ranges(packets))


def _text(ranges: list[list[int]]) -> str:
    parts = [str(first) if first == last else f"{first}..{last}" for first, last in ranges[:_MAX_RANGES]]
    return f"frame.number in {{{', '.join(parts)}}}"


def _ranges(packets: Iterable[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for number in sorted(set(packets)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges
