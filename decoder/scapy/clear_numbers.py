# SPDX-License-Identifier: GPL-2.0-or-later

"""Numbers the packets that a session yields, so that they are a correct TCP conversation in clear.

A decrypted body is shorter than its ciphertext, and a message has a packet of its own even if it shared a segment:
the sequence numbers of the capture no longer fit.  Each direction of a connection is numbered anew from its SYN on;
where nothing was encrypted the numbers come out as they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scapy.layers.inet import TCP

from decoder.bounded import BoundedDict
from decoder.packet.clean_tcp import CleanHalf

if TYPE_CHECKING:
    from collections.abc import Callable

    from scapy.packet import Packet

    from decoder.message import Gap, Message

__all__ = ["ClearNumbers"]

_MAX_HALVES = 1 << 16
"""Directions whose numbers are kept; the oldest is forgotten then and starts again at its next message's number."""
_FIN, _SYN, _RST = 1, 2, 4
_MASK = 0xFFFFFFFF

_Ends = tuple[str, str]


class _Half(CleanHalf):
    """One direction of one connection."""

    __slots__ = ("connection", "differs", "finished")

    def __init__(self, first: int, connection: int) -> None:
        super().__init__(first)
        self.connection = connection
        self.differs = False
        """True once its numbers are no longer those of the capture."""
        self.finished = False


class ClearNumbers:
    """Keeps the sequence numbers of every connection of a session."""

    def __init__(self) -> None:
        self._halves = BoundedDict[_Ends, _Half](_MAX_HALVES)
        self._starts = BoundedDict[_Ends, int](_MAX_HALVES)  # the number behind the latest SYN

    def number_message(self, message: Message, tcp: TCP, first_seq: Callable[[], int]) -> None:
        """Sets the numbers in the TCP header of a message.

        :param first_seq: gives the sequence number of its first byte, for a stream whose SYN was not seen
        """
        ends = message.src, message.dst
        half = self._half(ends, message.connection, first_seq)
        body_len, body = message.body_len, message.plaintext
        if body is None:
            tcp.seq = half.place(44, body_len, is_incomplete=message.reason in ("gap", "truncated"))
        else:
            tcp.seq = half.place(44 + len(body))
            half.differs |= len(body) != body_len or message.transport != "tcp"
        peer = self._halves.get(ends[::-1])
        if peer is not None and (half.differs or peer.differs):
            tcp.ack = peer.next_seq

    def add_gap(self, gap: Gap) -> None:
        """Leaves a hole for bytes that are missing."""
        half = self._halves.get((gap.flow.src, gap.flow.dst))
        if half is not None and half.connection == gap.connection:
            half.gap(1 if gap.bytes is None else gap.bytes)

    def note_syn(self, ends: _Ends, seq: int) -> None:
        """Remembers where a direction begins."""
        self._starts[ends] = (seq + 1) & _MASK

    def renumber(self, packet: Packet, ends: _Ends) -> None:
        """Fits a packet without payload (ACK, FIN, RST) into the conversation; one of any other traffic stays."""
        own, peer = self._halves.get(ends), self._halves.get(ends[::-1])
        tcp = packet.getlayer(TCP)
        if tcp is None or tcp.flags & _SYN or not ((own and own.differs) or (peer and peer.differs)):
            return
        if own is not None:
            tcp.seq = own.close_hole() if tcp.flags & (_FIN | _RST) else own.next_seq
            if tcp.flags & _FIN and not own.finished:
                own.finished = True
                own.next_seq = (own.next_seq + 1) & _MASK
        if peer is not None:
            tcp.ack = peer.next_seq
        tcp.chksum = None

    def _half(self, ends: _Ends, connection: int, first_seq: Callable[[], int]) -> _Half:
        half = self._halves.get(ends)
        if half is None or half.connection != connection:
            start = self._starts.pop(ends, None)
            half = self._halves[ends] = _Half(first_seq() if start is None else start, connection)
        return half
