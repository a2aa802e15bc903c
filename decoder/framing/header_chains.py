"""Finds chains of headers, each at the offset where the previous message ends, in bytes with unknown framing.

A real header is followed by another one as far as the bytes reach.  One that is embedded in a body, or comes about by
chance, is not: its chain breaks where other bytes stand in the place of the next header.

Every header is looked at once, whatever the lengths in them say, so the work is linear in the bytes scanned.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from decoder.framing.header import BODY_LEN, HEADER, HEADER_LEN, MAGIC, RESERVED, Header, plausible

if TYPE_CHECKING:
    from decoder.framing.budget import Budget
    from decoder.framing.buffer import Buffer

__all__ = ["Chain", "HeaderChains", "resembles"]

_unpack = HEADER.unpack_from
_MAX_CHAINS = 4096
"""Chains followed at once; over it the one that began first is given up."""
_MAX_MERGED = 4
"""Chains followed that wait for the same header."""
_MAX_MEMBERS = 8
"""Latest headers of a chain that are kept as candidates for a proof."""


class _ChainEnd:
    """The place where the next header of some chains must stand."""

    __slots__ = ("chains", "headers", "members", "next", "starts_segment")

    def __init__(self, position: int) -> None:
        self.next = position
        self.headers = 0
        self.starts_segment = False
        self.members: list[tuple[int, Header]] = []
        self.chains: list[Chain] = []


class Chain:
    """Headers that follow one another."""

    __slots__ = (
        "asked_by",
        "before",
        "chain_end",
        "embeddable",
        "end",
        "header",
        "members_from",
        "proven",
        "start",
        "tried",
    )

    def __init__(self, start: int, header: Header, chain_end: _ChainEnd) -> None:
        self.start = start
        """Stream offset of its first header."""
        self.header = header
        self.end = start + HEADER_LEN + header[BODY_LEN]
        """Offset where its first message ends."""
        self.chain_end: _ChainEnd | None = chain_end
        self.before = chain_end.headers
        self.members_from = start + 1
        # Set by `Trial`:
        self.asked_by = -1
        """Start of the last frame that was checked to end where this chain begins."""
        self.proven = False
        """True once one of its messages was verified."""
        self.embeddable: bool | None = None
        """True if its first message is verified in clear, so that it may be embedded in a body."""
        self.tried: dict[int, int] = {}
        """Headers that failed their proof: offset to the number of keys known then."""

    @property
    def headers(self) -> int:
        """Number of its headers."""
        return 0 if self.chain_end is None else self.chain_end.headers - self.before

    @property
    def starts_segment(self) -> bool:
        """True if one of its headers begins a packet: messages do, embedded headers only by chance."""
        return self.chain_end is not None and self.chain_end.starts_segment

    @property
    def next(self) -> int:
        """Offset where the next header must stand."""
        return self.end if self.chain_end is None else self.chain_end.next

    @property
    def members(self) -> list[tuple[int, Header]]:
        """Offsets and headers of its first message and of the latest ones, as far as they are kept."""
        later = (
            [] if self.chain_end is None else [each for each in self.chain_end.members if each[0] >= self.members_from]
        )
        return [(self.start, self.header), *later]


class HeaderChains:
    """Follows the chains in a `Buffer`, from `position` on."""

    __slots__ = ("_awaited", "_budget", "_max_body", "chains", "position")

    def __init__(self, position: int, max_body: int, budget: Budget) -> None:
        self.position = position
        """Every header that begins before it has been looked at."""
        self._max_body = max_body
        self._budget = budget
        self._awaited: dict[int, _ChainEnd] = {}
        self.chains: deque[Chain] = deque()
        """Those that began and were not given up, by start; some of them may be broken."""

    def scan(self, buffer: Buffer) -> list[Chain]:
        """Scans the bytes that are new; returns the chains that began or went on in them, with repetitions.

        Scans nothing if the budget does not allow it.
        """
        data, base = buffer.data, buffer.base
        moved: list[Chain] = []
        start = max(0, self.position - base)
        if not self._budget.spend_scan(max(0, len(data) - start)):
            return moved
        position = data.find(MAGIC, start)
        last = len(data) - HEADER_LEN
        while 0 <= position <= last:
            header: Header = _unpack(data, position)
            if plausible(header, self._max_body):
                moved += self._add(base + position, header, buffer.begins_packet(base + position, HEADER_LEN))
            position = data.find(MAGIC, position + 1)
        # A header may begin in the last bytes.
        self.position = max(self.position, base + (position if position >= 0 else max(0, len(data) - 1)))
        return moved

    def _add(self, position: int, header: Header, starts_segment: bool) -> list[Chain]:
        """Adds a header: it continues the chains that wait for it, or begins one."""
        end = position + HEADER_LEN + header[BODY_LEN]
        chain_end = self._awaited.pop(position, None)
        other = self._awaited.get(end)
        if chain_end is None:
            chain_end = _ChainEnd(end)
            chain = Chain(position, header, chain_end)
            chain_end.chains.append(chain)
            self.chains.append(chain)
        else:
            chain_end.members.append((position, header))
            del chain_end.members[:-_MAX_MEMBERS]
        chain_end.headers += 1
        chain_end.next = end
        chain_end.starts_segment = chain_end.starts_segment or starts_segment
        if other is None:
            self._awaited[end] = chain_end
        else:
            chain_end = _merged(chain_end, other)
        if len(self.chains) > _MAX_CHAINS:
            self.give_up_first()
        return chain_end.chains

    def give_up_first(self) -> None:
        """Follows the chain that began first no longer."""
        chain = self.chains.popleft()
        chain_end, chain.chain_end = chain.chain_end, None
        if chain_end is not None:
            chain_end.chains.remove(chain)
            if not chain_end.chains:
                del self._awaited[chain_end.next]

    def is_unbroken(self, chain: Chain, buffer: Buffer) -> bool:
        """Returns True if the next header, or a damaged one, stands where it must, as far as the bytes reach."""
        if chain.chain_end is None:
            return False
        position = chain.next - buffer.base
        start = bytes(buffer.data[position : position + HEADER_LEN])
        if len(start) < HEADER_LEN:
            return MAGIC.startswith(start[:2])
        return resembles(_unpack(start), self._max_body)


def _merged(chain_end: _ChainEnd, other: _ChainEnd) -> _ChainEnd:
    """Lets chains that meet go on as one."""
    for chain in chain_end.chains:
        chain.before += other.headers - chain_end.headers
        chain.chain_end = other
        chain.members_from = other.next
    other.chains += chain_end.chains
    if len(other.chains) > _MAX_MERGED:
        other.chains.sort(key=lambda chain: chain.start)
        for chain in other.chains[_MAX_MERGED:]:
            chain.chain_end = None
        del other.chains[_MAX_MERGED:]
    return other


def resembles(header: Header, max_body: int) -> bool:
    """Returns True if this is a header, even if a few bytes of it were damaged."""
    magic, proto_id, body_format, version, _, body_len, _, reserved = header
    signs = (
        magic[0] == MAGIC[0],
        magic[1] == MAGIC[1],
        proto_id < 0x10000,
        body_format <= 1,
        version == 0,
        body_len <= max_body,
        reserved.count(0) >= len(RESERVED) - 1,
    )
    return sum(signs) >= len(signs) - 1
