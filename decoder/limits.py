"""Defines the limits that keep hostile or endless input from exhausting memory and time.

A limit that is hit is always reported: as a gap, as a note on a message, or as a line of the summary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Limits"]

_KIB = 1024
_MIB = 1024 * 1024
_CONNECTION = 4 * _KIB
"""Bytes budgeted for each connection where --max-memory scales `max_connections`."""


@dataclass(frozen=True)
class Limits:
    """Holds the limits of one `Decoder`; sizes are bytes, the rest are counts.

    docs/limits.md says what each bounds, and what happens when it is hit.
    """

    max_memory: int = 256 * _MIB
    """Bytes buffered by all connections together; over it the buffers of the fullest connections become gaps."""
    max_body: int = 32 * _MIB
    """Bytes of the longest body; a longer one is skipped (``oversize``).  The vendor documents no maximum; open clients
    refuse more than 10 or 100 MB."""
    max_pending: int = 4 * _MIB
    """Out-of-order bytes kept for one direction of a connection behind a hole; over it the hole becomes a gap."""
    reorder_packets: int = 128
    """Packets of a connection that may pass before a hole that the peer acknowledged counts as lost."""
    max_wait_ns: int = 10_000_000_000
    """Nanoseconds of capture clock after which a live source (`Decoder.tick`) gives up a hole or a held message: longer
    than five retransmissions of TCP that begin after 0.2 s and double."""
    max_parsed: int = 256 * _MIB
    """Bytes of memory that a parsed body may take (an estimate); one that would take more is not parsed."""
    max_depth: int = 100
    """Levels of nesting in a body, at most 100, which is what protobuf reads; a deeper body is not parsed."""
    max_text: int = 65_536
    """Characters of one text in a body that are shown to people; the rest is counted."""
    max_connections: int = 65_536
    """Connections tracked at once; over it the one that was silent longest is ended."""
    max_held: int = 1_024
    """Messages of a connection held back until its InitConnect response; over it they are emitted without its keys."""
    max_held_bytes: int = 4 * _MIB
    """Bytes of these messages, likewise."""
    max_pending_requests: int = 4_096
    """Requests of a connection that wait for their response; over it the oldest is forgotten."""
    max_resync_scan: int = 1 * _MIB
    """Bytes of a stream searched for a first header before the stream counts as not OpenD."""
    max_fragments: int = 1_024
    """IP datagrams reassembled from fragments at once; over it the oldest is given up."""
    max_fragment_bytes: int = 16 * _MIB
    """Bytes of these datagrams, likewise."""
    max_keylog_tries: int = 20_000
    """Trials of key log entries on one connection: each message that no other key opens tries each entry once."""

    max_rsa_trials: int = 4_096
    """RSA operations that may fail, over all connections, while each InitConnect message is tried with every key;
    after that each connection has 4 more, beginning with the key that was right last."""

    def __post_init__(self) -> None:
        if not 0 < self.max_depth <= 100:
            raise ValueError("max_depth is 1 to 100")

    def with_memory(self, max_memory: int) -> Limits:
        """Returns these limits scaled to `max_memory` bytes in all, no single buffer taking more than its share."""
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
