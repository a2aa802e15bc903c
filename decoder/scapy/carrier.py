# SPDX-License-Identifier: GPL-2.0-or-later

"""Keeps packets as they were captured, and makes the headers that carry a decoded message.

A packet comes from Scapy's capture readers as bytes and is dissected only when it is yielded.
"""

from __future__ import annotations

import copyreg
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from scapy.config import conf
from scapy.data import MTU
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import NoPayload, Packet
from scapy.utils import EDecimal, PcapNgReader, PcapReader

from decoder.scapy.layer import OpenD

if TYPE_CHECKING:
    from decoder.message import Message

__all__ = [
    "MAX_PACKET",
    "SECOND",
    "CapturedPacket",
    "carrier_headers",
    "from_packet",
    "message_packet",
    "read_pcap",
    "read_pcapng",
]

SECOND = 1_000_000_000
"""Nanoseconds of a second."""
MAX_PACKET = 4 * MTU
"""Bytes asked for per packet: a segment of a loopback interface is longer than Scapy's MTU with its link header."""
_RAW_IP = 101
"""LINKTYPE_RAW: packets that begin with their IP header."""
_MAX_IP_LENGTH = 65_535
"""Bytes that the length field of an IP header can say; 0 in it means "to the end of the packet"."""
_COMPUTED = frozenset(("len", "plen", "chksum"))
"""Fields that no longer fit when the payload changes; Scapy computes them when they are None."""


class CapturedPacket(NamedTuple):
    """A packet as it was captured, not dissected yet."""

    layer: type[Packet]
    """Scapy's class of the link layer."""
    data: bytes
    linktype: int
    ticks: int
    """Its time since 1970, in `per_second` parts of a second."""
    per_second: int
    wire_len: int
    about: dict[str, Any]
    """Further attributes that Scapy's reader sets on the packet."""

    def dissected(self, **options: Any) -> Packet:
        """Dissects the packet as Scapy's reader would have done."""
        try:
            packet = self.layer(self.data, **options)
        except Exception:
            if conf.debug_dissector:
                raise
            packet = conf.raw_layer(self.data)
        packet.time = EDecimal(self.ticks) / self.per_second
        packet.wirelen = self.wire_len
        for name, value in self.about.items():
            setattr(packet, name, value)
        return packet


# Reading packets.


def read_pcap(reader: PcapReader) -> CapturedPacket:
    """Reads the next packet of a pcap file.

    :raises EOFError: at the end, and where the file was cut inside a packet
    """
    data, meta = reader._read_packet(MAX_PACKET)
    if len(data) < meta.caplen <= MAX_PACKET:
        raise EOFError
    per_second = SECOND if reader.nano else 1_000_000
    ticks = meta.sec * per_second + meta.usec
    linktype = reader.linktype & 0xFFFF  # above it stands the length of the frame check sequence
    return CapturedPacket(reader.LLcls, data, linktype, ticks, per_second, meta.wirelen, {})


def read_pcapng(reader: PcapNgReader) -> CapturedPacket:
    """Reads the next packet of a pcapng file.

    :raises EOFError: at the end
    """
    data, meta = reader._read_packet(MAX_PACKET)
    layer = conf.l2types.num2layer.get(meta.linktype, conf.raw_layer)
    ticks = 0 if meta.tshigh is None else (meta.tshigh << 32) + meta.tslow
    about = {
        "comments": meta.comments,
        "direction": meta.direction,
        "process_information": meta.process_information.copy(),
    }
    if meta.ifname is not None:
        about["sniffed_on"] = meta.ifname.decode("utf-8", "backslashreplace")
    return CapturedPacket(layer, data, meta.linktype, ticks, meta.tsresol, meta.wirelen, about)


def from_packet(packet: Packet, data: bytes) -> CapturedPacket:
    """Returns a dissected or built packet, whose bytes are `data`, as if it had been captured."""
    layer = type(packet)
    linktype = conf.l2types.layer2num.get(layer)
    wire_len = packet.wirelen or len(data)
    if linktype is None:
        # Scapy knows it in other layers only: decode the IP packet in it.
        linktype = _RAW_IP
        ip = packet.getlayer(IP) or packet.getlayer(IPv6)
        if ip:
            layer, inner = type(ip), bytes(ip)
            wire_len = max(wire_len - len(data) + len(inner), 0)
            data = inner
    about = {"comments": packet.comments, "direction": packet.direction, "sniffed_on": packet.sniffed_on}
    return CapturedPacket(layer, data, linktype, _nanoseconds(packet.time), SECOND, wire_len, about)


def _nanoseconds(time: EDecimal | float) -> int:
    # A float of 2024 has steps of 238 ns; its shortest form is the decimal that it was made from.
    exact = time if isinstance(time, Decimal) else Decimal(repr(time))
    return int(exact * SECOND) if exact.is_finite() else 0


# Packets to yield.


def message_packet(message: Message, headers: tuple[Packet, TCP]) -> Packet:
    """Puts a message behind `headers`, with its own time."""
    packet, tcp = headers
    layer = OpenD.from_message(message)
    tcp.add_payload(layer)
    size = len(layer)
    below = tcp.underlayer
    while below is not None:  # tunnels have several IP headers
        size += len(below.self_build()) if below is not packet else 0
        if size + 60 > _MAX_IP_LENGTH:
            _set_no_length(below)
        below = below.underlayer
    packet.time = EDecimal(message.time_ns) / SECOND
    packet.wirelen = None
    _keep_message_in_pickles(type(packet))
    return packet


def _set_no_length(layer: Packet) -> None:
    # As a network card that cuts packets up itself (TSO) gets them: length 0, which stands for the whole packet.
    if isinstance(layer, IP):
        layer.len = 0
    elif isinstance(layer, IPv6):
        layer.plen = 0


def carrier_headers(message: Message, segment: CapturedPacket | None) -> tuple[Packet, TCP]:
    """Returns the headers of `segment` without payload, and the TCP layer; synthesized as far as they are not known."""
    packet = None if segment is None else segment.dissected(stop_dissection_after=TCP)
    tcp = None if packet is None else _without_payload(packet)
    if packet is None or tcp is None:
        packet, tcp = _synthesized_headers(message, packet)
    return packet, tcp


def _without_payload(packet: Packet) -> TCP | None:
    """Removes what follows the innermost TCP layer, which is returned, and what depends on it."""
    tcp = None
    layer = packet
    while not isinstance(layer, NoPayload):
        if isinstance(layer, TCP):
            tcp = layer
        fields = layer.fields
        for name in fields.keys() & _COMPUTED:
            fields[name] = None
            layer.raw_packet_cache = None
        layer = layer.payload
    if tcp is not None:
        tcp.remove_payload()
    return tcp


def _synthesized_headers(message: Message, packet: Packet | None) -> tuple[Packet, TCP]:
    """Makes IP and TCP headers from the addresses of the message, on the link layer of `packet`."""
    (src, sport), (dst, dport) = (end.rsplit(":", 1) for end in (message.src, message.dst))
    tcp = TCP(sport=int(sport), dport=int(dport), flags="PA")
    ip = IPv6(src=src[1:-1], dst=dst[1:-1]) if src.startswith("[") else IP(src=src, dst=dst)
    ip.add_payload(tcp)
    found = packet and (packet.getlayer(IP) or packet.getlayer(IPv6))
    link = found and found.underlayer
    if not packet or not link:
        return ip, tcp
    link.remove_payload()
    link.add_payload(ip)
    return packet, tcp


# Pickles: Scapy writes the bytes of a packet, from which a decoded message cannot be restored.


def _keep_message_in_pickles(link_layer: type[Packet]) -> None:
    if link_layer is not OpenD and link_layer not in copyreg.dispatch_table:
        copyreg.pickle(link_layer, _reduced)


def _reduced(packet: Packet) -> tuple[Any, ...]:
    plain = packet.__reduce__()
    layer = packet.getlayer(OpenD)
    if layer is None or not layer.is_from_session or not isinstance(layer.underlayer, TCP):
        return plain
    return _unpickled, (plain, layer)


def _unpickled(plain: tuple[Any, ...], layer: OpenD) -> Packet:
    rebuild, arguments, state = plain
    packet: Packet = rebuild(*arguments)
    packet.__setstate__(state)
    tcp = packet
    while tcp.payload and not (isinstance(tcp, TCP) and not tcp.payload.haslayer(TCP)):
        tcp = tcp.payload
    tcp.remove_payload()
    tcp.add_payload(layer)
    return packet
