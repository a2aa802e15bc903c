"""Target `packets`: the input is a few packets, each with its link type."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from decoder import KeyRing, Limits
from decoder.conversation.summary import Results, Summary
from decoder.engine.connection_table import ConnectionTable
from decoder.engine.hot_path import read_packets
from decoder.packet.dissector import PacketReader, Segment
from decoder.packet.flow_key import endpoints, ports, reverse_key
from decoder.tcp.segment import Segment as TcpSegment

from . import recordings

MAX_LEN = 600
_HEAD = struct.Struct(">HBH")  # link type, bytes that the snap length cut off, bytes of the packet
_MAX_PACKETS = 8
_MAX_DATAGRAMS, _MAX_FRAGMENT_BYTES = 4, 4_096
_LIMITS = Limits(max_fragments=_MAX_DATAGRAMS, max_fragment_bytes=_MAX_FRAGMENT_BYTES)
_ETHERNET, _RAW_IP, _COOKED = 1, 101, 113

Packet = tuple[int, int, bytes, int]


class _Table(ConnectionTable):
    """A connection table that only notes the segments that are handed to it."""

    def __init__(self) -> None:
        results, summary = Results(), Summary()
        super().__init__(
            keys=KeyRing(),
            ports={11111},
            auto=False,
            limits=_LIMITS,
            results=results,
            summary=summary,
            on_connection=None,
        )
        self.seen: list[tuple[bytes, int, int, bytes]] = []

    def handle(self, key: bytes, segment: TcpSegment) -> bool:
        self.seen.append((key, segment.seq, segment.flags & 0x1FF, segment.payload))
        return False


def check(data: bytes) -> None:
    """Nothing comes out but segments that make sense, and the same whichever way a packet is given."""
    batch = list(_packets(data))
    reader = PacketReader(_MAX_DATAGRAMS, _MAX_FRAGMENT_BYTES)
    segments = []
    for number, (_, linktype, packet, wire_len) in enumerate(batch, 1):
        segment = reader.read(packet, linktype, wire_len, number)
        if segment is not None:
            _check_segment(segment, batch[number - 1])
            segments.append((segment[0], segment[1], segment[3], segment[4]))
        if linktype == _ETHERNET and len(packet) > 14:
            _check_other_links(packet, wire_len)
    assert 0 <= reader._fragments._bytes <= _MAX_FRAGMENT_BYTES
    assert len(reader._fragments._partials) <= _MAX_DATAGRAMS
    table = _Table()
    read_packets(table, PacketReader(_MAX_DATAGRAMS, _MAX_FRAGMENT_BYTES), batch, 0)
    assert table.seen == segments, "the hot loop reads other segments than the reader"


def _packets(data: bytes) -> Iterator[Packet]:
    position = 0
    for _ in range(_MAX_PACKETS):
        if position + _HEAD.size > len(data):
            return
        linktype, cut, size = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        packet = data[position : position + size]
        position += size
        yield 0, linktype, packet, len(packet) + cut


def _check_segment(segment: Segment, packet: Packet) -> None:
    key, seq, ack, flags, payload, missing, numbers = segment
    assert len(key) in (12, 36)
    assert reverse_key(reverse_key(key)) == key
    assert ports(reverse_key(key)) == ports(key)[::-1]
    assert endpoints(reverse_key(key)) == endpoints(key)[::-1]
    assert 0 <= seq < 2**32
    assert 0 <= ack < 2**32
    assert 0 <= flags < 2**9
    assert missing >= 0
    assert len(payload) + missing <= max(2**16, packet[3]), "a segment larger than its packet"
    if numbers is None:
        assert payload in packet[2], "bytes that are not in the packet"


def _check_other_links(packet: bytes, wire_len: int) -> None:
    """What stands behind an Ethernet header is the same behind a VLAN tag, in a cooked capture, or as raw IP."""

    def read(data: bytes, linktype: int, longer: int) -> Segment | None:
        return PacketReader().read(data, linktype, wire_len + longer, 1)

    segment = read(packet, _ETHERNET, 0)
    assert read(packet[:12] + b"\x81\x00\x00\x07" + packet[12:], _ETHERNET, 4) == segment
    assert read(packet[:14] + packet[12:], _COOKED, 2) == segment
    if packet[12:14] == b"\x08\x00" or packet[12:14] == b"\x86\xdd":
        assert read(packet[14:], _RAW_IP, -14) == segment


def _packed(linktype: int, *packets: bytes, cut: int = 0) -> bytes:
    return b"".join(_HEAD.pack(linktype, cut, len(packet)) + packet for packet in packets)


def seeds() -> Iterator[bytes]:
    """A few packets of each recording, and one of every encapsulation that is read."""
    for packets in recordings.packets().values():
        for _, linktype, data, wire_len in (
            packets[0],
            packets[3],
            min(packets[4:], key=lambda packet: len(packet[2])),
        ):
            yield _packed(linktype, data[:200], cut=max(0, min(255, wire_len - len(data[:200]))))
    yield from _encapsulated()


def _encapsulated() -> Iterator[bytes]:
    from scapy.contrib.mpls import MPLS
    from scapy.layers.inet import IP, TCP, UDP, fragment
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, fragment6
    from scapy.layers.ipsec import AH
    from scapy.layers.l2 import GRE, LLC, SNAP, CookedLinux, Dot1AD, Dot1Q, Dot3, Ether, Loopback
    from scapy.layers.ppp import PPP, PPPoE
    from scapy.layers.vxlan import VXLAN

    tcp = TCP(sport=50112, dport=11111, seq=1, ack=2, options=[("Timestamp", (1, 2))]) / b"FT-payload"
    ip = IP(src="192.0.2.1", dst="192.0.2.2")
    ip6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    for layers in (
        ip / tcp,
        Dot1Q(vlan=5) / ip / tcp,
        Dot1AD(vlan=5) / Dot1Q(vlan=6) / ip6 / tcp,
        ip6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / tcp,
        ip / AH(nh=6) / tcp,
        ip / ip / tcp,
        ip / ip6 / tcp,
        ip / GRE() / ip / tcp,
        ip / UDP(dport=4789) / VXLAN(vni=3) / ether / ip / tcp,
        MPLS(label=9, s=1, ttl=9) / ip / tcp,
        PPPoE() / PPP() / ip / tcp,
    ):
        yield _packed(1, bytes(ether / layers))
    yield _packed(1, bytes(Dot3(dst="02:00:00:00:00:02", src="02:00:00:00:00:01") / LLC() / SNAP() / ip / tcp))
    yield _packed(113, bytes(CookedLinux(proto=0x0800) / ip / tcp))
    yield _packed(276, b"\x08\x00" + bytes(18) + bytes(ip / tcp))
    yield _packed(0, bytes(Loopback() / ip / tcp))
    yield _packed(9, bytes(PPP() / ip / tcp))
    yield _packed(101, *map(bytes, fragment(ip / tcp, fragsize=16)))
    yield _packed(101, *map(bytes, reversed(fragment(ip / tcp, fragsize=16))))
    yield _packed(
        101, *(bytes(fragment(IP(src="192.0.2.1", dst="192.0.2.2", id=n) / tcp, fragsize=16)[n % 2]) for n in range(7))
    )
    yield _packed(101, *map(bytes, fragment6(ip6 / IPv6ExtHdrFragment() / TCP(dport=11111) / bytes(60), 88)))
