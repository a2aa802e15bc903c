"""What comes out of a decoder: messages and gaps, what is known of each connection, and a summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from decoder.message import Gap, Message

__all__ = ["MAX_NOTED", "ConnectionInfo", "Results", "Summary"]

MAX_NOTED = 64
"""Lines of one kind in a summary."""


@dataclass
class ConnectionInfo:
    """What is known of one connection as such; complete once the connection has ended."""

    ordinal: int
    client: str
    server: str
    first_ns: int
    last_ns: int
    opened: bool = False
    """Whether its SYN is in the capture."""
    closed_by: str | None = None
    """``client`` or ``server``, whoever sent the first FIN or RST; None while open."""
    reset: bool = False
    """Whether a RST ended it."""
    closed_ns: int | None = None
    closed_frame: int | None = None
    """Number of the packet with that FIN or RST."""
    foreign: bool = False
    """Whether data but never a header was seen."""
    sample_key: bool = False
    """Whether the vendor's public sample key opens its InitConnect."""
    bytes: dict[str, int] = field(default_factory=lambda: {"c2s": 0, "s2c": 0})
    """Bytes of each direction's stream, holes included."""
    retransmissions: dict[str, int] = field(default_factory=lambda: {"c2s": 0, "s2c": 0})
    """Packets of each direction all of whose payload had been captured before."""


@dataclass
class Results:
    """Where the messages and gaps of all connections come out, in the order of the records."""

    items: list[Message | Gap] = field(default_factory=list)
    """What came out and was not fetched yet."""
    messages: int = 0
    """Messages so far: the number of the last one."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Those that are not verified, by reason."""
    gaps: Counter[str] = field(default_factory=Counter)
    """Gaps, by reason."""
    on_retransmission: Callable[[int], None] | None = None
    """Who is told the number of each packet that brings nothing new."""
    limits_hit: set[str] = field(default_factory=set)
    """Limits of a connection that were hit: a line for the summary each."""


@dataclass
class Summary:
    """What was seen as a whole; counters, and lines for people."""

    packets: int = 0
    first_ns: int | None = None
    """Time of the first packet, in nanoseconds since 1970, UTC."""
    last_ns: int | None = None
    """Time of the last packet."""
    segments: int = 0
    """Segments with payload on gateway connections."""
    messages: int = 0
    gaps: int = 0
    connections: int = 0
    """Connections that spoke the protocol."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """Messages by reason, or ``verified``."""
    foreign: list[str] = field(default_factory=list)
    """Connections on a gateway port that spoke something else, as ``client > server``."""
    header_ports: Counter[int] = field(default_factory=Counter)
    """Other ports on which segments began with a plausible header."""
    reports: list[str] = field(default_factory=list)
    """Limits that were hit and other things that concern the whole capture; a line each, no line twice."""

    def report(self, line: str) -> None:
        """Add a line to `reports`."""
        if line not in self.reports and len(self.reports) < MAX_NOTED:
            self.reports.append(line)
