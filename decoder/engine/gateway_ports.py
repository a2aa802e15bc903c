"""Tells which segments belong to a gateway, and which end is the gateway: by port, by SYN, or by content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.conversation.direction import told_by_content
from decoder.framing.header import HEADER_LEN, may_begin_header
from decoder.framing.recognition import begins_like_others, begins_with_message, is_of_client
from decoder.packet import flow_key
from decoder.tcp.segment import ACK, SYN, Segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from decoder.conversation.summary import Summary

__all__ = ["GatewayPorts", "ports_of"]

_MAX_PORTS = 4096
"""Ports that are counted, and SYNs that are remembered, where ports are found by content."""


class GatewayPorts:
    """Knows the ports of gateways: those that were given, and with `auto` those that the content shows."""

    def __init__(self, ports: set[int], summary: Summary, max_body: int, *, auto: bool) -> None:
        self.ports = ports
        self.auto = auto
        self._summary = summary
        self._max_body = max_body
        self._syns: dict[bytes, Segment] = {}  # SYNs on other ports

    def concern(self, key: bytes) -> bool:
        """Returns True if one of the ports in a flow key is a gateway's."""
        source, destination = flow_key.ports(key)
        return source in self.ports or destination in self.ports

    def take_syn(self, key: bytes) -> Segment | None:
        """Returns the SYN that was remembered of this direction, and forgets it."""
        return self._syns.pop(key, None)

    def to_gateway(self, key: bytes, segment: Segment) -> bool | None:
        """Returns True if a segment of a new connection goes to a gateway, False if it comes from one, else None."""
        source, destination = flow_key.ports(key)
        to_gateway, from_gateway = destination in self.ports, source in self.ports
        if to_gateway and from_gateway:
            return segment.flags & (SYN | ACK) != SYN | ACK
        if to_gateway or from_gateway:
            return to_gateway
        if not self._looks_like_gateway(key, segment):
            return None
        told = self._told_direction(key, segment.payload)
        if not self.auto:
            self._count_header(source, destination, told)
            return None
        to_gateway = destination < source if told is None else told  # corrected when the content tells
        if not begins_like_others(segment.payload):
            self.ports.add(destination if to_gateway else source)
        return to_gateway

    def _count_header(self, source: int, destination: int, to_gateway: bool | None) -> None:
        """Counts a header on ports that were not asked for, so that the summary can name them."""
        summary = self._summary
        if to_gateway is None:
            pair = min(source, destination), max(source, destination)
            if len(summary.unsure_ports) < _MAX_PORTS or pair in summary.unsure_ports:
                summary.unsure_ports[pair] += 1
            return
        port = destination if to_gateway else source
        if len(summary.header_ports) < _MAX_PORTS or port in summary.header_ports:
            summary.header_ports[port] += 1

    def _looks_like_gateway(self, key: bytes, segment: Segment) -> bool:
        """Returns True if a segment on an unknown port begins with a message, or a known stream with a part of one."""
        if begins_with_message(segment.payload, self._max_body):
            return True
        if self.auto and begins_like_others(segment.payload):
            return True
        if segment.flags & SYN:
            self._syns[key] = segment
            if len(self._syns) > _MAX_PORTS:
                del self._syns[next(iter(self._syns))]
            return False
        if not self.auto:
            return False
        syn = self._syns.get(key)
        begins = syn is not None and segment.seq == (syn.seq + 1) & 0xFFFFFFFF
        return begins and may_begin_header(segment.payload, self._max_body)

    def _told_direction(self, key: bytes, payload: bytes) -> bool | None:
        """Returns True if a segment on unknown ports goes to the gateway, as SYN or content tells; else None."""
        for end, sent_by_client in ((key, True), (flow_key.reverse_key(key), False)):
            if end in self._syns:
                return sent_by_client != bool(self._syns[end].flags & ACK)
        told_by_framing = is_of_client(payload)
        if told_by_framing is not None:
            return told_by_framing
        told = told_by_content(payload[:HEADER_LEN], payload[HEADER_LEN:])
        return None if told is None else told == "c2s"


def ports_of(ports: int | str | Iterable[int | str]) -> tuple[set[int], bool]:
    """Returns the ports that were asked for, and True if others are to be found by content.

    Raises ValueError for what is neither a port nor ``"auto"``: without that no message would ever be found.
    """
    each = [ports] if isinstance(ports, (int, str)) else list(ports)
    numbers = set()
    for port in each:
        if port == "auto":
            continue
        number = int(port) if str(port).isdecimal() else 0
        if not 0 < number < 65_536:
            raise ValueError(f"{port!r} is neither a port (1 to 65535) nor 'auto'")
        numbers.add(number)
    return numbers, "auto" in each
