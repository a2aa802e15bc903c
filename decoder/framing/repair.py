"""Repairs a damaged message with the other version of bytes that were retransmitted differently.

The SHA-1 proves the body only.  So a version that changes the header is used only where the first version makes no
proven message: else a forged retransmission could turn one message into another.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from decoder.framing.header import BODY_LEN, HEADER, HEADER_LEN, Header, plausible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from decoder.framing.trial import Trial
    from decoder.tcp.overlaps import Conflict

__all__ = ["patched", "repair"]

_MAX_MIXED = 6
"""Versions in one message of which every combination is tried (63 of them)."""
_MAX_DISTRUSTED = 2
"""Packets left out together where there are more versions than that: the forged ones, or the damaged ones."""


def repair(trial: Trial, start: int, *, complete: bool) -> Header | None:
    """Puts those versions into the buffer of `trial` that make a message of what begins at `start`; returns its header.

    Unless `complete`, bytes of the message as its first header describes it may still come.  No combination is tried
    twice with the same number of keys, so that it may be asked with every packet.
    """
    handler, buffer, max_body = trial.handler, trial.buffer, trial.max_body
    head = buffer.read(start, start + HEADER_LEN)
    if len(head) < HEADER_LEN:
        return None
    conflicts = handler.conflicts
    first = HEADER.unpack(head)
    choices = [
        (HEADER.unpack(patched(head, start, choice)), choice)
        for choice in _choices(conflicts.overlapping(start, buffer.end))
    ]
    choices.sort(key=lambda each: each[0] != first)  # those that leave the header as it came first
    for header, choice in choices:
        end = start + HEADER_LEN + header[BODY_LEN]
        used = [conflict for conflict in choice if conflict.start < end]
        attempt = start, end, handler.keys_known, tuple(used)
        if not used or end > buffer.end or not plausible(header, max_body) or attempt in conflicts.failed:
            continue
        if not (complete or _same_message(first, header) or _decided(trial, first, start)):
            continue
        if not trial.budget.spend(header[BODY_LEN] + HEADER_LEN):
            continue
        conflicts.failed.add(attempt)
        data = buffer.read(start, end)
        other = patched(data, start, used)
        if other == data or not handler.verifies(header, other[HEADER_LEN:], by_hash=True):
            continue
        if header != first and _stands(trial, first, start):
            return None
        for conflict in used:
            if conflict.contradicts(start, end):
                buffer.replace(conflict.start, conflict.data[: end - conflict.start], conflict.arrival)
        conflicts.failed.clear()
        return header
    return None


def _same_message(first: Header, other: Header) -> bool:
    """Returns True if two headers differ in nothing that says which message it is."""
    return first[1:5] == other[1:5] and first[6] == other[6]


def _decided(trial: Trial, first: Header, start: int) -> bool:
    """Returns True if no more bytes are needed to know whether the first version makes a message."""
    return not plausible(first, trial.max_body) or start + HEADER_LEN + first[BODY_LEN] <= trial.buffer.end


def _stands(trial: Trial, first: Header, start: int) -> bool:
    """Returns True if the first version makes a proven message."""
    end = start + HEADER_LEN + first[BODY_LEN]
    if end > trial.buffer.end or not plausible(first, trial.max_body):
        return False
    return trial.handler.verifies(first, trial.buffer.read(start + HEADER_LEN, end), by_hash=True)


def patched(data: bytes, start: int, conflicts: list[Conflict]) -> bytes:
    """Returns `data`, which stands at `start`, with `conflicts` put in."""
    other = bytearray(data)
    for conflict in conflicts:
        skip = max(0, start - conflict.start)
        at = max(0, conflict.start - start)
        part = conflict.data[skip : skip + max(0, len(data) - at)]
        other[at : at + len(part)] = part
    return bytes(other)


def _choices(conflicts: list[Conflict]) -> Iterator[list[Conflict]]:
    """Yields the most likely first: all together, as of most damaged segments there is one good version; then fewer.

    Of many conflicts those of one packet go together: the packets of one sender agree with each other.
    """
    if len(conflicts) > _MAX_MIXED:
        packets = dict.fromkeys(conflict.arrival for conflict in conflicts)
        for size in range(_MAX_DISTRUSTED + 1):
            for distrusted in combinations(packets, size):
                yield [conflict for conflict in conflicts if conflict.arrival not in distrusted]
        yield from ([conflict] for conflict in conflicts)
        return
    for size in range(len(conflicts), 0, -1):
        for choice in combinations(conflicts, size):
            yield list(choice)
