"""Where messages begin in bytes of which that is not known: runs of headers, each where the one before says.

A real header is followed by another one as far as the bytes reach.  One that is quoted in a body, or comes
about by chance, is not: its run breaks where other bytes stand in the place of the next header.

Every header is looked at once, whatever the lengths in them say, so the work is linear in the bytes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from decoder.framing.header import HEADER, HEADER_LEN, MAGIC, RESERVED, Header, plausible

if TYPE_CHECKING:
    from decoder.framing.buffer import Buffer

__all__ = ["HeaderChains", "Run"]

_unpack = HEADER.unpack_from
_MAX_RUNS = 4096  # runs followed at once; over it the one that began first is given up
_MAX_MERGED = 4  # runs followed that wait for the same header


class _Tail:
    """Where the next header of some runs must stand."""

    __slots__ = ("anchored", "headers", "next", "runs")

    def __init__(self, position: int) -> None:
        self.next = position
        self.headers = 0
        self.anchored = False
        self.runs: list[Run] = []


class Run:
    """Headers that follow each other."""

    __slots__ = ("asked", "before", "end", "header", "proven", "quotable", "start", "tail", "tried_with")

    def __init__(self, start: int, header: Header, tail: _Tail) -> None:
        self.start = start
        """Stream offset of its first header."""
        self.header = header
        self.end = start + HEADER_LEN + header[5]
        """Where its first message ends."""
        self.tail: _Tail | None = tail
        self.before = tail.headers
        # What `Evidence` knows of it:
        self.asked = False
        self.proven = False
        self.quotable: bool | None = None
        self.tried_with = -1  # how many keys were known then

    @property
    def headers(self) -> int:
        """How many headers it has."""
        return 0 if self.tail is None else self.tail.headers - self.before

    @property
    def anchored(self) -> bool:
        """Whether one of them begins a packet: so do messages, and quotations only by chance."""
        return self.tail is not None and self.tail.anchored

    @property
    def next(self) -> int:
        """Where the next one must stand."""
        return self.end if self.tail is None else self.tail.next


class HeaderChains:
    """Follows the runs in a `Buffer`, from `position` on."""

    __slots__ = ("_awaited", "_max_body", "position", "runs")

    def __init__(self, position: int, max_body: int) -> None:
        self.position = position
        """Every header that begins before it has been looked at."""
        self._max_body = max_body
        self._awaited: dict[int, _Tail] = {}
        self.runs: deque[Run] = deque()
        """What began and was not given up, by start; some of them may be broken."""

    def scan(self, buffer: Buffer) -> list[Run]:
        """Look at the bytes that are new; gives the runs that began or went on in them, with repetitions."""
        data, base = buffer.data, buffer.base
        moved: list[Run] = []
        position = data.find(MAGIC, max(0, self.position - base))
        last = len(data) - HEADER_LEN
        while 0 <= position <= last:
            header: Header = _unpack(data, position)
            if plausible(header, self._max_body):
                moved += self._take(base + position, header, buffer.begins_packet(base + position, HEADER_LEN))
            position = data.find(MAGIC, position + 1)
        # A header may begin in the last bytes.
        self.position = max(self.position, base + (position if position >= 0 else max(0, len(data) - 1)))
        return moved

    def _take(self, position: int, header: Header, anchored: bool) -> list[Run]:
        """Take a header: it continues the runs that wait for it, or begins one."""
        end = position + HEADER_LEN + header[5]
        tail = self._awaited.pop(position, None)
        other = self._awaited.get(end)
        if tail is None:
            tail = _Tail(end)
            run = Run(position, header, tail)
            tail.runs.append(run)
            self.runs.append(run)
        tail.headers += 1
        tail.next = end
        tail.anchored = tail.anchored or anchored
        if other is None:
            self._awaited[end] = tail
        else:  # runs that meet go on as one
            for run in tail.runs:
                run.before += other.headers - tail.headers
                run.tail = other
            other.runs += tail.runs
            if len(other.runs) > _MAX_MERGED:
                other.runs.sort(key=lambda run: run.start)
                for run in other.runs[_MAX_MERGED:]:
                    run.tail = None
                del other.runs[_MAX_MERGED:]
            tail = other
        if len(self.runs) > _MAX_RUNS:
            self.give_up_first()
        return tail.runs

    def give_up_first(self) -> None:
        """Follow the run that began first no longer."""
        run = self.runs.popleft()
        tail, run.tail = run.tail, None
        if tail is not None:
            tail.runs.remove(run)
            if not tail.runs:
                del self._awaited[tail.next]

    def alive(self, run: Run, buffer: Buffer) -> bool:
        """Whether the next header stands where it must, or one that was damaged, as far as the bytes reach."""
        if run.tail is None:
            return False
        position = run.next - buffer.base
        start = bytes(buffer.data[position : position + HEADER_LEN])
        if len(start) < HEADER_LEN:
            return MAGIC.startswith(start[:2])
        return resembles(_unpack(start), self._max_body)


def resembles(header: Header, max_body: int) -> bool:
    """Whether this is a header, even if a few bytes of it were damaged."""
    return (
        sum(
            (
                header[0][0] == MAGIC[0],
                header[0][1] == MAGIC[1],
                header[1] < 0x10000,
                header[2] <= 1,
                header[3] == 0,
                header[5] <= max_body,
                header[7].count(0) >= len(RESERVED) - 1,
            )
        )
        >= 6
    )
