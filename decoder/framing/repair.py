"""Repairs a damaged message with the other version of bytes that were retransmitted differently."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from decoder.framing.header import HEADER, HEADER_LEN, Header, plausible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from decoder.framing.buffer import Buffer
    from decoder.tcp.overlaps import Copy, OverlapConflicts

__all__ = ["repair"]

_MAX_MIXED = 6  # copies in one message of which every choice is tried


def repair(
    conflicts: OverlapConflicts,
    buffer: Buffer,
    start: int,
    max_body: int,
    afford: Callable[[int], bool],
    verifies: Callable[[Header, bytes], bool],
    keys: int,
) -> Header | None:
    """Put those copies into `buffer` that make a message of what begins at `start`; gives its header.

    No choice is tried twice with the same number of `keys`, so that it may be asked with every packet.
    """
    head = buffer.read(start, start + HEADER_LEN)
    if len(head) < HEADER_LEN:
        return None
    for choice in _choices(conflicts.overlapping(start, buffer.end)):
        header: Header = HEADER.unpack(_patched(head, start, choice))
        end = start + HEADER_LEN + header[5]
        used = [copy for copy in choice if copy.start < end]
        trial = start, end, keys, tuple(used)
        if not used or end > buffer.end or not plausible(header, max_body) or trial in conflicts.failed:
            continue
        if not afford(header[5]):
            continue
        conflicts.failed.add(trial)
        data = buffer.read(start, end)
        other = _patched(data, start, used)
        if other != data and verifies(header, other[HEADER_LEN:]):
            for copy in used:
                if copy.contradicts(start, end):
                    buffer.replace(copy.start, copy.data[: end - copy.start], copy.numbers, copy.time_ns)
            conflicts.failed.clear()
            return header
    return None


def _patched(data: bytes, start: int, copies: list[Copy]) -> bytes:
    """`data`, which stands at `start`, with `copies` put in."""
    other = bytearray(data)
    for copy in copies:
        skip = max(0, start - copy.start)
        at = max(0, copy.start - start)
        piece = copy.data[skip : skip + max(0, len(data) - at)]
        other[at : at + len(piece)] = piece
    return bytes(other)


def _choices(copies: list[Copy]) -> Iterator[list[Copy]]:
    """All copies first: of most damaged segments there is one good copy.  Then fewer and fewer; of many, each alone."""
    if len(copies) > _MAX_MIXED:
        yield copies
        yield from ([copy] for copy in copies)
        return
    for size in range(len(copies), 0, -1):
        for choice in combinations(copies, size):
            yield list(choice)
