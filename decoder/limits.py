"""Every bound that keeps hostile or endless input from exhausting the machine, in one place.

A limit that is hit is always reported, as a gap, a note or a line of the summary; it is never
silent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Limits"]

_KIB = 1024
_MIB = 1024 * 1024
_CONNECTION = 4 * _KIB  # of memory for each connection, in proportion to the rest


@dataclass(frozen=True)
class Limits:
    """Bounds of one `Decoder`; sizes are bytes, the rest are counts."""

    max_memory: int = 256 * _MIB
    """Bytes buffered by all connections together; over it the fullest connection is cut."""
    max_body: int = 32 * _MIB
    """Longest body that is waited for.  The vendor documents no maximum; open clients guard at 10 and 100 MB."""
    max_pending: int = 4 * _MIB
    """Out-of-order bytes kept for one direction of a connection while a hole is open."""
    reorder_packets: int = 128
    """Packets of a connection that may pass before a hole that the peer acknowledged counts as lost."""
    max_wait_ns: int = 10_000_000_000
    """Nanoseconds of capture clock after which a live source (`Decoder.tick`) gives up a hole or a held message: longer
    than five retransmissions of TCP that begin after 0.2 s and double."""
    max_parsed: int = 256 * _MIB
    """Memory that a body may take once it is parsed (an estimate); one that would take more is not parsed."""
    max_depth: int = 100
    """Levels of nesting below the outermost of a body; protobuf reads no more than 100."""
    max_text: int = 65_536
    """Characters shown of one text in a body, where messages are printed for people."""
    max_connections: int = 65_536
    """Connections tracked at once; the one that was silent longest is closed for a new one."""
    max_held: int = 1_024
    """Messages of a connection held back while its InitConnect response is still to come."""
    max_held_bytes: int = 4 * _MIB
    """Their bytes."""
    max_pending_requests: int = 4_096
    """Requests of a connection remembered while they wait for their answer."""
    max_resync_scan: int = 1 * _MIB
    """Bytes of a stream searched for a first header before the stream counts as not OpenD."""
    max_fragments: int = 1_024
    """IP datagrams collected from fragments at once."""
    max_fragment_bytes: int = 16 * _MIB
    """Their bytes."""
    max_keylog_tries: int = 20_000
    """Trials of key log entries on one connection: each message that nothing else opens tries each entry once."""

    max_rsa_trials: int = 4_096
    """RSA operations that may fail, over all connections, while each InitConnect message is tried with every key;
    after that each connection has 4 more, beginning with the key that was right last."""

    def __post_init__(self) -> None:
        if not 0 < self.max_depth <= 100:
            raise ValueError("max_depth is 1 to 100")

    def with_memory(self, max_memory: int) -> Limits:
        """These limits with `max_memory` bytes in all, and no single buffer above a fair part of it."""
        return replace(
            self,
            max_memory=max_memory,
            max_body=min(self.max_body, max(max_memory // 2, 64 * _KIB)),
            max_parsed=min(self.max_parsed, max(max_memory, 16 * _MIB)),
            max_connections=min(self.max_connections, max(max_memory // _CONNECTION, 256)),
            max_pending=min(self.max_pending, max(max_memory // 4, 64 * _KIB)),
            max_held_bytes=min(self.max_held_bytes, max(max_memory // 4, 64 * _KIB)),
            max_fragment_bytes=min(self.max_fragment_bytes, max(max_memory // 4, 64 * _KIB)),
        )
