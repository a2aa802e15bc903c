"""Dissects a captured packet down to its TCP segment: link, IP and TCP headers.

What is common is read here, directly from the bytes: Ethernet with any number of VLAN tags, BSD loopback, Linux
cooked capture v1 and v2, raw IP; IPv4, IPv6, their tunnels in each other; TCP.  IP fragments are reassembled.  Other
layers between two of these (MPLS, PPPoE, GRE, ERSPAN, VXLAN, Geneve, TZSP, SNAP, other link types) are dissected by
Scapy, which is imported when the first of them is met, and a few by `encapsulations`.  Of nested packets the innermost
TCP counts.  Packets in an encapsulation that is not read are counted.
"""

from __future__ import annotations

import struct
from collections import Counter

from decoder.packet.encapsulations import (
    UNREAD_ETHERTYPES,
    UNREAD_PORTS,
    UNREAD_PROTOCOLS,
    inner_of_link,
    linktype_name,
    vxlan_gpe,
)
from decoder.packet.fragments import Fragments
from decoder.packet.scapy_layers import link_layer, peel, scapy_layer

__all__ = [
    "ETHERNET",
    "ETHERNET_IPV4_TCP",
    "IPV4_PLAIN",
    "TCP_WHOLE",
    "PacketReader",
    "Segment",
]

#: One TCP segment: key, sequence number, acknowledgement number, flags (9 bits, FIN = 1 … URG = 0x20 … NS = 0x100),
#: payload, number of payload bytes that were on the wire but not captured, and the numbers of the packets that it was
#: reassembled from (None: this packet alone).
#:
#: The key is source address, destination address, source port and destination port, as they stand in the headers:
#: 12 bytes for IPv4, 36 for IPv6.
Segment = tuple[bytes, int, int, int, bytes, int, "tuple[int, ...] | None"]

#: Ethernet, IPv4 without options and TCP in one call: EtherType, version, header length and type of service; total
#: length; fragment field, time to live and protocol; key, sequence number, acknowledgement number, data offset and
#: flags.
ETHERNET_IPV4_TCP = struct.Struct(">12xIHxxIxx12sIIH").unpack_from
#: Values of these for a plain packet: the first without its last byte, the third without time to live and the flag
#: "don't fragment".
IPV4_PLAIN, TCP_WHOLE = 0x080045, 6
_IPV4 = struct.Struct(">BxHHHxBxx8s").unpack_from
_IPV6 = struct.Struct(">4xHBx32s").unpack_from
_IPV6_FRAGMENT = struct.Struct(">BxH4s").unpack_from
_TCP = struct.Struct(">4sIIH").unpack_from
_EXTENSION = struct.Struct(">BB").unpack_from
_U16 = struct.Struct(">H").unpack_from

_VLAN_TAGS = frozenset((0x8100, 0x88A8, 0x9100, 0x9200))
_ETHERTYPE_IPV4, _ETHERTYPE_IPV6 = 0x0800, 0x86DD
_ETHERNET_IN_IP = 97
_HOP_BY_HOP, _IPV4_IN_IP, _TCP_PROTOCOL, _UDP, _IPV6_IN_IP, _ROUTING, _FRAGMENT, _GRE, _AUTHENTICATION = (
    0, 4, 6, 17, 41, 43, 44, 47, 51,
)  # fmt: skip
_EXTENSION_HEADERS = frozenset((_HOP_BY_HOP, _ROUTING, 60, 135, 139, 140))
#: Protocols that can carry a TCP segment; fragments of others are not kept.
_CARRIERS = frozenset((_TCP_PROTOCOL, _IPV4_IN_IP, _IPV6_IN_IP, _UDP, _GRE, _AUTHENTICATION, _ETHERNET_IN_IP, 137))

#: Scapy's layers (module and name) for headers that are not read here.
_LLC = ("scapy.layers.l2", "LLC")
_MPLS = ("scapy.contrib.mpls", "MPLS")
_VXLAN = ("scapy.layers.vxlan", "VXLAN")
_BY_ETHERTYPE = {
    0x8847: _MPLS,
    0x8848: _MPLS,
    0x8864: ("scapy.layers.ppp", "PPPoE"),
    0x88E7: ("scapy.layers.l2", "Dot1AH"),
}
_BY_PROTOCOL = {
    _GRE: ("scapy.layers.l2", "GRE"),
    _ETHERNET_IN_IP: ("scapy.contrib.etherip", "EtherIP"),
    137: _MPLS,
}
_BY_UDP_PORT = {
    2152: ("scapy.contrib.gtp", "GTP_U_Header"),
    4789: _VXLAN,
    6081: ("scapy.contrib.geneve", "GENEVE"),
    6635: _MPLS,
    8472: _VXLAN,
    37008: ("scapy.contrib.tzsp", "TZSP"),
}
_VXLAN_GPE = 4790

_LOOPBACK_FAMILIES = frozenset(
    struct.pack(order + "I", family)
    # AF_INET everywhere; AF_INET6 on Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
    for family in (2, 10, 23, 24, 28, 30)
    for order in "<>"
)
ETHERNET, _NULL, _LOOP, _COOKED, _COOKED_V2 = 1, 0, 108, 113, 276
_RAW_IP = frozenset((12, 14, 101, 228, 229))

_MAX_TUNNELS = 16
"""Levels of nesting that are read: each is a level of calls."""
_MAX_REPORTED = 5
"""Encapsulations that are not read, of which `PacketReader.reports` gives the number of packets; the rest is one."""


class PacketReader:
    """Dissects packets one after the other; keeps IP fragments until their datagram is complete.

    :param max_fragments: datagrams collected at once
    :param max_fragment_bytes: bytes they take

    :ivar cut_headers: packets that the snap length cut inside their headers
    :ivar undissected: packets that Scapy failed on
    :ivar unread: packets by link type or encapsulation that is not read
    """

    def __init__(self, max_fragments: int = 1_024, max_fragment_bytes: int = 16 * 1024 * 1024) -> None:
        self.cut_headers = 0
        self.undissected = 0
        self.unread = Counter[str]()
        self._without_ip = Counter[int]()  # packets that Scapy dissected, by link type
        self._with_ip = Counter[int]()
        self._fragments = Fragments(max_fragments, max_fragment_bytes)

    @property
    def evicted_datagrams(self) -> int:
        """Fragmented datagrams given up before they were complete."""
        return self._fragments.evicted

    def reports(self) -> list[str]:
        """Returns what was not read and why, a line each, for people."""
        lines = []
        if self.cut_headers:
            lines.append("some packets are cut in their headers; record with a larger snap length")
        if self.evicted_datagrams:
            lines.append("some fragmented IP datagrams were given up before all their fragments came")
        for linktype, count in self._without_ip.items():
            if not self._with_ip[linktype]:  # else some packets are of another kind, as beacons are in Wi-Fi
                name = linktype_name(linktype)
                encrypted = "; are they encrypted?" if "Wi-Fi" in name else ""
                lines.append(f"no IP was found in {_packets(count, 'of')} {name}{encrypted}")
        most = self.unread.most_common(_MAX_REPORTED)
        lines += [f"{_packets(count, 'of' if name.startswith('link') else 'in')} {name}" for name, count in most]
        rest = self.unread.total() - sum(count for _, count in most)
        if rest:
            lines.append(f"{_packets(rest, 'in')} other encapsulations")
        if self.undissected:
            lines.append(f"{_packets(self.undissected, 'in')} damaged or unknown headers")
        return [
            f"{line} {'was' if line.startswith('1 ') else 'were'} not read" if line[0].isdigit() else line
            for line in lines
        ]

    def read(self, data: bytes, linktype: int, wire_len: int, number: int) -> Segment | None:
        """Returns the TCP segment in a packet; None when there is none, or it is a fragment that waits for others.

        Never raises, whatever the bytes.

        :param data: the packet as captured
        :param linktype: as in the LINKTYPE registry of tcpdump.org
        :param wire_len: its length on the wire
        :param number: of the packet, from 1
        """
        try:
            return self._link(data, linktype, max(wire_len, len(data)), (number,))
        except struct.error:
            if wire_len > len(data):
                self.cut_headers += 1
            return None

    def _link(self, data: bytes, linktype: int, wire_end: int, frames: tuple[int, ...]) -> Segment | None:
        """Reads the link header; `wire_end` is where `data` would end had it been captured whole."""
        if linktype == ETHERNET:
            return self._ethernet(data, 12, 14, wire_end, frames, 0)
        if linktype == _COOKED:
            return self._ethernet(data, 14, 16, wire_end, frames, 0)
        if linktype == _COOKED_V2:
            return self._ethernet(data, 0, 20, wire_end, frames, 0)
        if linktype in _RAW_IP:
            return self._ip(data, 0, wire_end, frames, 0)
        if linktype in (_NULL, _LOOP):
            return self._ip(data, 4, wire_end, frames, 0) if data[:4] in _LOOPBACK_FAMILIES else None
        inner = inner_of_link(linktype, data)
        if inner is None:
            return self._scapy(None, linktype, data, wire_end, frames, 0)
        if inner_of_link(inner.linktype, data) is not None or inner.start < 4:
            return None  # wrapped twice: nobody records so, and each level would be a level of calls
        return self._link(data[inner.start :], inner.linktype, wire_end - inner.start, frames)

    def _ethernet(
        self, data: bytes, type_at: int, position: int, wire_end: int, frames: tuple[int, ...], depth: int
    ) -> Segment | None:
        """Reads an EtherType and the VLAN tags that follow it."""
        (ethertype,) = _U16(data, type_at)
        while ethertype in _VLAN_TAGS:
            (ethertype,) = _U16(data, position + 2)
            position += 4
        if ethertype in (_ETHERTYPE_IPV4, _ETHERTYPE_IPV6):
            return self._ip(data, position, wire_end, frames, depth)
        layer = _BY_ETHERTYPE.get(ethertype)
        if ethertype < 0x0600 and data.startswith(b"\xaa\xaa\x03", position):
            layer = _LLC
        if layer is None:
            self._pass_over(UNREAD_ETHERTYPES.get(ethertype))
            return None
        return self._scapy(layer, 0, data[position:], wire_end - position, frames, depth)

    def _pass_over(self, encapsulation: str | None) -> None:
        """Counts a packet that is not read, if it is in an encapsulation that can carry TCP."""
        if encapsulation is not None:
            self.unread[encapsulation] += 1

    def _ip(self, data: bytes, position: int, wire_end: int, frames: tuple[int, ...], depth: int) -> Segment | None:
        """Reads an IPv4 or IPv6 header."""
        version = data[position] >> 4 if position < len(data) else 4
        if version == 4:
            header, total, identification, fragment, protocol, addresses = _IPV4(data, position)
            start = position + (header & 0x0F) * 4
            if start < position + 20:
                return None
            # No length: the sender leaves it to its network card to cut the packet into segments.
            end = position + total if total else wire_end
            if not fragment & 0x3FFF:
                return self._transport(protocol, addresses, data, start, end, frames, depth)
            if protocol not in _CARRIERS:
                return None
            key = addresses + identification.to_bytes(2, "big") + protocol.to_bytes(1, "big")
            return self._fragment(key, protocol, fragment, addresses, data, start, end, frames, depth)
        if version == 6:
            length, protocol, addresses = _IPV6(data, position)
            start = position + 40
            # No length: likewise, or a jumbogram.
            end = start + length if length else wire_end
            return self._transport(protocol, addresses, data, start, end, frames, depth)
        return None

    def _transport(
        self, protocol: int, addresses: bytes, data: bytes, start: int, end: int, frames: tuple[int, ...], depth: int
    ) -> Segment | None:
        """Reads what IP carries: TCP, extension headers, and tunnels."""
        while protocol != _TCP_PROTOCOL:
            if protocol in _EXTENSION_HEADERS:
                protocol, length = _EXTENSION(data, start)
                start += (length + 1) * 8
            elif protocol == _AUTHENTICATION:
                protocol, length = _EXTENSION(data, start)
                start += (length + 2) * 4
            elif protocol == _FRAGMENT and len(addresses) == 32:
                protocol, fragment, identification = _IPV6_FRAGMENT(data, start)
                start += 8
                if fragment & 0xFFF9:
                    key = addresses + identification
                    # The same field as that of IPv4: offset in units of 8 bytes, more fragments.
                    fragment = fragment >> 3 | (fragment & 1) << 13
                    return self._fragment(key, protocol, fragment, addresses, data, start, end, frames, depth)
            elif protocol in (_IPV4_IN_IP, _IPV6_IN_IP):
                return self._ip(data[:end], start, end, frames, depth + 1) if depth < _MAX_TUNNELS else None
            elif protocol == _UDP:
                return self._udp(_U16(data, start + 2)[0], data[:end], start + 8, end, frames, depth)
            else:
                layer = _BY_PROTOCOL.get(protocol)
                if layer is None:
                    self._pass_over(UNREAD_PROTOCOLS.get(protocol))
                    return None
                return self._scapy(layer, 0, data[start:end], end - start, frames, depth)
        key, sequence, acknowledgement, bits = _TCP(data, start)
        payload = start + (bits >> 12 << 2)
        if not start + 20 <= payload <= end:
            return None
        missing = end - max(payload, len(data)) if end > len(data) else 0
        return (
            addresses + key,
            sequence,
            acknowledgement,
            bits & 0x1FF,
            data[payload:end],
            missing,
            frames if len(frames) > 1 else None,
        )

    def _udp(self, port: int, data: bytes, start: int, end: int, frames: tuple[int, ...], depth: int) -> Segment | None:
        """Reads the tunnel that a UDP destination port stands for; `end` is where `data` would end uncut."""
        if port == _VXLAN_GPE:
            inner = vxlan_gpe(data, start)
            if inner is None:
                self._pass_over("VXLAN-GPE with a protocol other than IP and Ethernet")
                return None
            if depth >= _MAX_TUNNELS:
                return None
            if inner.linktype == ETHERNET:
                return self._ethernet(data, inner.start + 12, inner.start + 14, end, frames, depth + 1)
            return self._ip(data, inner.start, end, frames, depth + 1)
        layer = _BY_UDP_PORT.get(port)
        if layer is None:
            self._pass_over(UNREAD_PORTS.get(port))
            return None
        return self._scapy(layer, 0, data[start:], end - start, frames, depth)

    def _fragment(
        self,
        key: bytes,
        protocol: int,
        fragment: int,
        addresses: bytes,
        data: bytes,
        start: int,
        end: int,
        frames: tuple[int, ...],
        depth: int,
    ) -> Segment | None:
        """Keeps a fragment; reads the datagram if the fragment completes it."""
        offset, more = (fragment & 0x1FFF) * 8, fragment & 0x2000 != 0
        datagram = self._fragments.add(key, protocol, offset, more, data[start:end], end - start, frames)
        if datagram is None or depth >= _MAX_TUNNELS:
            return None
        return self._transport(
            datagram.protocol, addresses, datagram.data, 0, datagram.length, datagram.frames, depth + 1
        )

    def _scapy(
        self,
        layer: tuple[str, str] | None,
        linktype: int,
        data: bytes,
        wire_end: int,
        frames: tuple[int, ...],
        depth: int,
    ) -> Segment | None:
        """Lets Scapy dissect from `layer` on (or the header of `linktype`), up to a header that is read here."""
        if depth >= _MAX_TUNNELS:
            return None
        try:
            start_layer = scapy_layer(*layer) if layer else link_layer(linktype)
            if start_layer is None:
                self.unread[linktype_name(linktype)] += 1
                return None
            found = peel(start_layer, data)
        except Exception:  # Scapy's layers raise whatever comes to them on bytes they do not expect
            self.undissected += 1
            return None
        if layer is None:
            (self._without_ip if found is None else self._with_ip)[linktype] += 1
        if found is None:
            return None
        name, rest = found
        end = len(rest) + wire_end - len(data)
        if name == "Ether":
            return self._ethernet(rest, 12, 14, end, frames, depth + 1)
        return self._ip(rest, 0, end, frames, depth + 1)


def _packets(count: int, preposition: str) -> str:
    return f"{count:,} packet{'' if count == 1 else 's'} {preposition}"
