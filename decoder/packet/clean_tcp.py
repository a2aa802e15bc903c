"""Writes a TCP connection anew: sequence numbers without retransmissions, headers with right checksums.

`CleanHalf` numbers the bytes of one direction; whoever builds packets otherwise (the Scapy session) uses it alone.
`CleanConnection` builds Ethernet frames: SYN, data, FIN.  Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address

__all__ = ["MAX_PAYLOAD", "CleanConnection", "CleanHalf"]

MAX_PAYLOAD = 65_535 - 60
"""Payload bytes of one segment: what an IP length of 16 bits leaves behind an IPv4 or IPv6 header and one of TCP."""
_MAX_GAPS = 64
"""Gaps between two messages of one direction that are kept apart; before that they become one hole."""
_MAX_IN_FLIGHT = 1 << 28
"""Bytes after which the receiver acknowledges without data: a quarter of the window that `_SYN_OPTIONS` opens."""
_WINDOW = 65_535
_SYN_OPTIONS = b"\x02\x04\xff\xd7\x03\x03\x0e\x00"
"""TCP options of a SYN (RFC 9293, RFC 7323): segments of 65,495 bytes at most, a window in units of 2 ** 14 bytes."""
_FIN, _SYN, _PSH, _ACK = 1, 2, 8, 16
_MASK = 0xFFFFFFFF
_TCP_PROTOCOL, _TIME_TO_LIVE, _DONT_FRAGMENT = 6, 64, 0x4000
_MAC_CLIENT, _MAC_GATEWAY = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
_IPV4 = struct.Struct(">BBHHHBBH4s4s")
_IPV6 = struct.Struct(">IHBB16s16s")
_TCP = struct.Struct(">HHIIBBHHH")


class CleanHalf:
    """Numbers the bytes of one direction, and leaves holes of the right size.

    :param first: sequence number of the first byte
    """

    __slots__ = ("_gaps", "next_seq")

    def __init__(self, first: int = 1) -> None:
        self.next_seq = first
        """Sequence number of the next byte; also what the peer acknowledges."""
        self._gaps: list[int] = []  # sizes of gaps told since the last message

    def gap(self, size: int) -> None:
        """Leaves out `size` bytes before the next message, or in it if it is incomplete."""
        if len(self._gaps) >= _MAX_GAPS:
            self.close_hole()
        self._gaps.append(size)

    def place(self, present: int, absent: int = 0, *, is_incomplete: bool = False) -> int:
        """Returns the sequence number of a message of which `present` bytes are written and `absent` are left out.

        :param is_incomplete: the last of the gaps told are in the absent bytes, or begin there
        """
        behind = self._take_own_gaps(absent) if is_incomplete else 0
        start = self.close_hole()
        self.next_seq = (start + present + absent + behind) & _MASK
        return start

    def close_hole(self) -> int:
        """Pass over what is missing; return the next sequence number."""
        self.next_seq = (self.next_seq + sum(self._gaps)) & _MASK
        self._gaps.clear()
        return self.next_seq

    def _take_own_gaps(self, absent: int) -> int:
        """Removes the gaps in the absent bytes of a message; returns by how much the last one reaches beyond them."""
        own = 0
        while self._gaps and own + self._gaps[-1] <= absent:
            own += self._gaps.pop()
        return max(self._gaps.pop() - absent, 0) if self._gaps and not own else 0


class CleanConnection:
    """Builds the Ethernet frames of one connection, numbered from 0.

    :param client: address and port, ``127.0.0.1:50112`` or ``[::1]:50112``
    :param gateway: likewise
    :param first: sequence number of both SYNs, where the ends had a connection before
    """

    def __init__(self, client: str, gateway: str, first: int = 0) -> None:
        self._first = first & _MASK
        self.halves = CleanHalf((first + 1) & _MASK), CleanHalf((first + 1) & _MASK)
        """The client's bytes and the gateway's."""
        ends = _split(client), _split(gateway)
        self._ends = ends, ends[::-1]
        self._acknowledged = [half.next_seq for half in self.halves]  # per sender: what its peer acknowledged last

    def opening(self) -> Iterator[bytes]:
        """Builds SYN, SYN-ACK and ACK."""
        first, second = self._first, (self._first + 1) & _MASK
        yield self._frame(0, first, 0, _SYN)
        yield self._frame(1, first, second, _SYN | _ACK)
        yield self._frame(0, second, second, _ACK)

    def data(
        self, from_gateway: bool, data: bytes, absent: int = 0, *, is_incomplete: bool = False
    ) -> Iterator[tuple[bytes, bool]]:
        """Builds the segments of one message, as few as fit, and tells of each whether it has payload.

        `absent` bytes behind `data` stay a hole.
        """
        sender = int(from_gateway)
        own, peer = self.halves[sender], self.halves[1 - sender]
        if (own.next_seq - self._acknowledged[sender]) & _MASK > _MAX_IN_FLIGHT:
            yield self._frame(1 - sender, peer.next_seq, own.next_seq, _ACK), False
        seq = own.place(len(data), absent, is_incomplete=is_incomplete)
        for start in range(0, len(data), MAX_PAYLOAD):
            piece = data[start : start + MAX_PAYLOAD]
            yield self._frame(sender, (seq + start) & _MASK, peer.next_seq, _PSH | _ACK, piece), True

    def closing(self, *, by_gateway: bool = False) -> Iterator[bytes]:
        """Builds the FIN of both sides, that of the side which closes first, and the last ACK."""
        first = int(by_gateway)
        second = 1 - first
        own, other = self.halves[first].close_hole(), self.halves[second].close_hole()
        yield self._frame(first, own, other, _FIN | _ACK)
        yield self._frame(second, other, (own + 1) & _MASK, _FIN | _ACK)
        yield self._frame(first, (own + 1) & _MASK, (other + 1) & _MASK, _ACK)

    def _frame(self, sender: int, seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
        self._acknowledged[1 - sender] = ack
        (source, source_port), (destination, destination_port) = self._ends[sender]
        options = _SYN_OPTIONS if flags & _SYN else b""
        offset = (_TCP.size + len(options)) << 2
        head = _TCP.pack(source_port, destination_port, seq, ack, offset, flags, _WINDOW, 0, 0) + options
        size = len(head) + len(payload)
        pseudo = source + destination + struct.pack(">II", size, _TCP_PROTOCOL)
        head = head[:16] + struct.pack(">H", _checksum(pseudo + head + payload)) + head[18:]
        macs = (_MAC_CLIENT + _MAC_GATEWAY) if sender else (_MAC_GATEWAY + _MAC_CLIENT)
        if len(source) == 16:
            return (
                macs
                + b"\x86\xdd"
                + _IPV6.pack(0x60000000, size, _TCP_PROTOCOL, _TIME_TO_LIVE, source, destination)
                + head
                + payload
            )
        fields = (0x45, 0, 20 + size, 0, _DONT_FRAGMENT, _TIME_TO_LIVE, _TCP_PROTOCOL)
        checksum = _checksum(_IPV4.pack(*fields, 0, source, destination))
        return macs + b"\x08\x00" + _IPV4.pack(*fields, checksum, source, destination) + head + payload


def _split(end: str) -> tuple[bytes, int]:
    address, _, port = end.rpartition(":")
    return ip_address(address.strip("[]")).packed, int(port)


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) & 1:
        data += b"\0"
    # 2 ** 16 is 1 modulo 65535, so the sum of all 16-bit words, carries added, is the number itself modulo 65535.
    total = int.from_bytes(data, "big") % 0xFFFF
    return 0xFFFF - total if total or not any(data) else 0
