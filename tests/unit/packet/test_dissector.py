"""Packets that Scapy builds, read back: every encapsulation gives the same segment."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.contrib.chdlc import CHDLC
    from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
    from scapy.contrib.etherip import EtherIP
    from scapy.contrib.geneve import GENEVE
    from scapy.contrib.gtp import GTP_U_Header
    from scapy.contrib.mpls import MPLS
    from scapy.contrib.tzsp import TZSP, TZSPTagEnd
    from scapy.layers.dot11 import Dot11, RadioTap
    from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, IPOption_NOP, fragment
    from scapy.layers.inet6 import (
        IPv6,
        IPv6ExtHdrDestOpt,
        IPv6ExtHdrFragment,
        IPv6ExtHdrHopByHop,
        IPv6ExtHdrRouting,
        fragment6,
    )
    from scapy.layers.ipsec import AH
    from scapy.layers.l2 import ARP, LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1AH, Dot1Q, Dot3, Ether
    from scapy.layers.pflog import PFLog
    from scapy.layers.ppp import DIR_PPP, HDLC, PPP, PPPoE
    from scapy.layers.vxlan import VXLAN
    from scapy.packet import Packet, Padding, Raw

from decoder.capture.pcapng_writer import interface_block, packet_block, section_block
from decoder.capture.reader import CaptureReader
from decoder.packet.dissector import PacketReader, Segment
from decoder.packet.flow_key import endpoints, ports, reverse_key

BODY = b"FT" + bytes(range(60))
FOUR = IP(src="10.0.0.1", dst="192.168.7.9")
SIX = IPv6(src="2001:db8::1", dst="fe80::2")
MAC = "02:00:00:00:00:01"
ETHER = Ether(src=MAC, dst=MAC)
OUTER = IP(src="172.16.0.1", dst="172.16.0.2")
OUTER6 = IPv6(src="fd00::1", dst="fd00::2")
ROUTING = IPv6ExtHdrRouting(addresses=["fd00::9"], segleft=0)
AUTHENTICATION = AH(nh=6, payloadlen=4, icv=bytes(12))
KEY4 = bytes([10, 0, 0, 1, 192, 168, 7, 9]) + (50112).to_bytes(2, "big") + (11111).to_bytes(2, "big")


def tcp(body: bytes = BODY, **fields: Any) -> Packet:
    return TCP(**{"sport": 50112, "dport": 11111, "seq": 0xFFFFFFF0, "ack": 7, "flags": "PA", **fields}) / Raw(body)


def read(packet: Packet | bytes, linktype: int = 1, reader: PacketReader | None = None) -> Segment | None:
    data = bytes(packet)
    return (reader or PacketReader()).read(data, linktype, len(data), 1)


# tshark wants a tag with the first, a frame check sequence with the second, a setting for the others.
NOT_TSHARK = ("802.1ah", "802.11", "VXLAN-GPE without protocol", "MPLS in UDP", "NFLOG, big endian")


def pktap(linktype: int, packet: Packet) -> bytes:
    """Apple's header of 156 bytes: its length, a record that holds a packet, the packet's link type, the interface."""
    return struct.pack("<III8s", 156, 1, linktype, b"en0").ljust(156, b"\0") + bytes(packet)


def nflog(order: str, packet: Packet) -> bytes:
    """Attributes of Linux's netfilter log: a packet header, a prefix of odd length with padding, the packet."""
    data = bytes(packet)
    attributes = struct.pack(order + "HHIHH", 8, 1, 0, 10, 10) + b"prefix\0\0"
    return b"\x02\0\0\x05" + attributes + struct.pack(order + "HH", 4 + len(data), 9) + data


def gpe(protocol: int, packet: Packet, flags: int = 0x0C) -> Packet:
    return ETHER / OUTER / UDP(sport=50000, dport=4790) / Raw(struct.pack(">BxxBI", flags, protocol, 0) + bytes(packet))


ENCAPSULATIONS: dict[str, tuple[int, Packet | bytes]] = {
    "ethernet": (1, ETHER / FOUR / tcp()),
    "ethernet, IPv6": (1, ETHER / SIX / tcp()),
    "802.1Q": (1, ETHER / Dot1Q(vlan=7) / FOUR / tcp()),
    "QinQ 0x88a8": (1, ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8) / SIX / tcp()),
    "QinQ 0x9100": (1, Ether(src=MAC, dst=MAC, type=0x9100) / Dot1Q(vlan=8) / FOUR / tcp()),
    "three tags": (1, ETHER / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / FOUR / tcp()),
    "BSD loopback, little endian": (0, b"\x02\0\0\0" + bytes(FOUR / tcp())),
    "BSD loopback, big endian": (0, b"\0\0\0\x02" + bytes(FOUR / tcp())),
    "macOS loopback, IPv6": (0, b"\x1e\0\0\0" + bytes(SIX / tcp())),
    "OpenBSD loopback, IPv6": (108, b"\0\0\0\x18" + bytes(SIX / tcp())),
    "Linux cooked": (113, CookedLinux(proto=0x0800) / FOUR / tcp()),
    "Linux cooked, VLAN": (113, CookedLinux(proto=0x8100) / Dot1Q(vlan=7) / FOUR / tcp()),
    "Linux cooked v2": (276, CookedLinuxV2(proto=0x86DD) / SIX / tcp()),
    "raw IP": (101, FOUR / tcp()),
    "raw IP, IPv6": (101, SIX / tcp()),
    "raw IP 12": (12, FOUR / tcp()),
    "raw IP 14": (14, FOUR / tcp()),
    "raw IPv4": (228, FOUR / tcp()),
    "raw IPv6": (229, SIX / tcp()),
    "PPP": (9, PPP() / FOUR / tcp()),
    "802.11": (127, RadioTap() / Dot11(type=2) / LLC() / SNAP() / FOUR / tcp()),
    "PPP, HDLC framing": (50, HDLC() / PPP() / FOUR / tcp()),
    "PPPoE as link type": (51, PPPoE() / PPP() / FOUR / tcp()),
    "Cisco HDLC": (104, CHDLC() / FOUR / tcp()),
    "802.11 without radio header": (105, Dot11(type=2) / LLC() / SNAP() / FOUR / tcp()),
    "OpenBSD packet filter": (117, PFLog(hdrlen=100) / FOUR / tcp()),
    "PPP with direction": (204, DIR_PPP() / PPP() / SIX / tcp()),
    "SNAP": (1, Dot3(src=MAC, dst=MAC) / LLC() / SNAP() / FOUR / tcp()),
    "MPLS": (1, ETHER / MPLS(label=20, s=0) / MPLS(label=21, s=1) / FOUR / tcp()),
    "PPPoE": (1, ETHER / PPPoE() / PPP() / SIX / tcp()),
    "802.1ah": (1, ETHER / Dot1AH(isid=5) / ETHER / FOUR / tcp()),
    "GRE": (1, ETHER / OUTER / GRE() / FOUR / tcp()),
    "GRE with key, IPv6 in IPv6": (1, ETHER / OUTER6 / GRE(key_present=1, key=5) / SIX / tcp()),
    "GRE, Ethernet": (1, ETHER / OUTER / GRE(proto=0x6558) / ETHER / Dot1Q(vlan=7) / FOUR / tcp()),
    "VXLAN": (1, ETHER / OUTER / UDP(sport=50000, dport=4789) / VXLAN(vni=4) / ETHER / FOUR / tcp()),
    "VXLAN over IPv6": (1, ETHER / OUTER6 / UDP(sport=50000, dport=4789) / VXLAN(vni=4) / ETHER / SIX / tcp()),
    "VXLAN-GPE, IPv4": (1, gpe(1, FOUR / tcp())),
    "VXLAN-GPE, IPv6": (1, gpe(2, SIX / tcp())),
    "VXLAN-GPE, Ethernet": (1, gpe(3, ETHER / Dot1Q(vlan=7) / FOUR / tcp())),
    "VXLAN-GPE without protocol": (1, gpe(0, ETHER / FOUR / tcp(), flags=0x08)),
    "ERSPAN I": (1, ETHER / OUTER / GRE(proto=0x88BE) / ERSPAN_I() / ETHER / FOUR / tcp()),
    "ERSPAN II": (1, ETHER / OUTER / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II() / ETHER / FOUR / tcp()),
    "ERSPAN III": (1, ETHER / OUTER / GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III() / ETHER / SIX / tcp()),
    "ERSPAN III, platform": (
        1,
        ETHER
        / OUTER
        / GRE(proto=0x22EB, seqnum_present=1)
        / ERSPAN_III(o=1)
        / ERSPAN_PlatformSpecific()
        / ETHER
        / FOUR
        / tcp(),
    ),
    "TZSP": (1, ETHER / OUTER / UDP(sport=50000, dport=37008) / TZSP(type=0) / TZSPTagEnd() / ETHER / FOUR / tcp()),
    "GTP-U": (1, ETHER / OUTER / UDP(dport=2152) / GTP_U_Header(teid=1) / FOUR / tcp()),
    "EtherIP": (1, ETHER / OUTER / EtherIP() / ETHER / FOUR / tcp()),
    "MPLS in UDP": (1, ETHER / OUTER / UDP(dport=6635) / MPLS(label=20, s=1) / FOUR / tcp()),
    "PKTAP, Ethernet": (258, pktap(1, ETHER / FOUR / tcp())),
    "PKTAP, raw IP": (258, pktap(12, SIX / tcp())),
    "NFLOG, little endian": (239, nflog("<", FOUR / tcp())),
    "NFLOG, big endian": (239, nflog(">", SIX / tcp())),
    "OpenBSD IPsec interface": (109, struct.pack("<I", 2) + bytes(8) + bytes(FOUR / tcp())),
    "Geneve": (1, ETHER / OUTER / UDP(sport=50000, dport=6081) / GENEVE(vni=4) / ETHER / FOUR / tcp()),
    "IP in IP": (1, ETHER / OUTER / FOUR / tcp()),
    "6in4": (1, ETHER / OUTER / SIX / tcp()),
    "4in6": (1, ETHER / OUTER6 / FOUR / tcp()),
    "IP in GRE in IP": (1, ETHER / OUTER / OUTER6 / GRE() / OUTER / FOUR / tcp()),
    "IPv4 options": (1, ETHER / IP(src=FOUR.src, dst=FOUR.dst, options=[IPOption_NOP()] * 4) / tcp()),
    "TCP options": (1, ETHER / FOUR / tcp(options=[("NOP", None), ("NOP", None), ("Timestamp", (1, 2))])),
    "IPv6 extension headers": (
        1,
        ETHER / SIX / IPv6ExtHdrHopByHop() / ROUTING / IPv6ExtHdrDestOpt() / tcp(),
    ),
    "IPv6 atomic fragment": (1, ETHER / SIX / IPv6ExtHdrFragment(id=3) / tcp()),
    "authentication header": (1, ETHER / IP(src=FOUR.src, dst=FOUR.dst, proto=51) / AUTHENTICATION / tcp()),
}  # fmt: skip


@pytest.mark.parametrize("name", ENCAPSULATIONS)
def test_every_encapsulation_gives_the_segment(name: str) -> None:
    linktype, packet = ENCAPSULATIONS[name]
    reader = PacketReader()
    segment = read(packet, linktype, reader)
    assert segment is not None
    key, sequence, acknowledgement, flags, payload, missing, frames = segment
    source = "[2001:db8::1]" if len(key) == 36 else "10.0.0.1"
    destination = "[fe80::2]" if len(key) == 36 else "192.168.7.9"
    assert endpoints(key) == (f"{source}:50112", f"{destination}:11111")
    assert (sequence, acknowledgement, flags, payload, missing, frames) == (0xFFFFFFF0, 7, 0x18, BODY, 0, None)
    assert reader.undissected == reader.cut_headers == 0


def test_key_and_its_reverse() -> None:
    segment = read(ETHER / FOUR / tcp())
    back = read(ETHER / IP(src=FOUR.dst, dst=FOUR.src) / tcp(sport=11111, dport=50112))
    assert segment is not None
    assert back is not None
    assert segment[0] == KEY4
    assert ports(KEY4) == (50112, 11111)
    assert reverse_key(segment[0]) == back[0]
    assert endpoints(back[0]) == ("192.168.7.9:11111", "10.0.0.1:50112")


def test_key_and_its_reverse_in_ipv6() -> None:
    segment = read(ETHER / SIX / tcp())
    back = read(ETHER / IPv6(src=SIX.dst, dst=SIX.src) / tcp(sport=11111, dport=50112))
    assert segment is not None
    assert back is not None
    assert reverse_key(segment[0]) == back[0]
    assert reverse_key(reverse_key(segment[0])) == segment[0]
    assert ports(back[0]) == (11111, 50112)
    assert endpoints(back[0]) == ("[fe80::2]:11111", "[2001:db8::1]:50112")


@pytest.mark.parametrize(
    "packet",
    [
        ETHER / ARP(),
        ETHER / OUTER / UDP(sport=53, dport=5353) / Raw(bytes(80)),
        ETHER / OUTER / ICMP() / Raw(bytes(80)),
        ETHER / SIX / UDP(sport=1, dport=2) / Raw(bytes(80)),
        ETHER / OUTER / ICMP(type=3, code=4) / FOUR / tcp(),
        ETHER / OUTER / UDP(sport=50000, dport=4789) / Raw(bytes(3)),
        ETHER / OUTER / GRE() / Raw(b""),
        Dot3(src=MAC, dst=MAC) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / Raw(bytes(40)),
        b"",
    ],
)  # fmt: skip
def test_what_is_not_tcp_is_none(packet: Packet | bytes) -> None:
    assert read(packet) is None


def test_all_nine_flags() -> None:
    segment = read(ETHER / FOUR / tcp(flags="FSRPAUECN", urgptr=1))
    assert segment is not None
    assert segment[3] == 0x1FF
    assert segment[4] == BODY


@pytest.fixture
def reader() -> PacketReader:
    return PacketReader()


def test_ethernet_padding_is_not_payload() -> None:
    assert read(bytes(ETHER / FOUR / tcp(b"abc")) + bytes(3))[4] == b"abc"
    assert read(bytes(ETHER / FOUR / tcp(b"")) + bytes(6))[4] == b""
    assert read(bytes(ETHER / Dot1Q() / FOUR / tcp(b"abc")) + b"FCS!")[4] == b"abc"


@pytest.mark.parametrize("network", [IP(src="10.0.0.1", dst="192.168.7.9", len=0), IPv6(plen=0)])
def test_length_zero_means_to_the_end_of_the_packet(network: Packet) -> None:
    data = bytes(ETHER / network / tcp(BODY * 1000))
    whole = PacketReader().read(data, 1, len(data), 1)
    assert whole is not None
    assert whole[4:6] == (BODY * 1000, 0)
    cut = PacketReader().read(data[:1000], 1, len(data), 1)
    assert cut is not None
    assert cut[4] == (BODY * 1000)[: len(cut[4])]
    assert len(cut[4]) + cut[5] == len(BODY) * 1000


@pytest.mark.parametrize(
    "name", ["ethernet", "ethernet, IPv6", "802.1Q", "GRE", "VXLAN", "IP in IP", "Linux cooked v2"]
)
def test_a_packet_cut_by_the_snap_length_tells_what_is_missing(name: str) -> None:
    linktype, packet = ENCAPSULATIONS[name]
    data = bytes(packet)
    headers = len(data) - len(BODY)
    for captured in range(headers, len(data)):
        segment = PacketReader().read(data[:captured], linktype, len(data), 1)
        assert segment is not None
        assert segment[4] == BODY[: captured - headers]
        assert segment[5] == len(data) - captured


def test_a_packet_cut_inside_its_headers_is_counted(reader: PacketReader) -> None:
    data = bytes(ETHER / FOUR / tcp())
    assert reader.read(data[:40], 1, len(data), 1) is None
    assert reader.cut_headers == 1


@pytest.mark.parametrize("offset", [0, 4, 15])
def test_a_senseless_data_offset_is_none(offset: int) -> None:
    assert read(ETHER / FOUR / tcp(b"abc", dataofs=offset)) is None


def fragments4(size: int = 16, body: bytes = BODY, **fields: Any) -> list[bytes]:
    return [
        bytes(ETHER / piece) for piece in fragment(IP(src="10.0.0.1", dst="192.168.7.9", **fields) / tcp(body), size)
    ]


def fragments6(body: bytes = BODY * 40) -> list[bytes]:
    packet = IPv6(src="2001:db8::1", dst="fe80::2") / IPv6ExtHdrFragment(id=9) / tcp(body)
    return [bytes(ETHER / piece) for piece in fragment6(packet, 600)]


def feed(reader: PacketReader, packets: list[bytes]) -> list[Segment]:
    found = (reader.read(data, 1, len(data), number) for number, data in enumerate(packets, 1))
    return [segment for segment in found if segment is not None]


@pytest.mark.parametrize("order", [1, -1])
def test_fragments_make_one_segment(reader: PacketReader, order: int) -> None:
    pieces = fragments4()[::order]
    assert len(pieces) == 6
    [segment] = feed(reader, pieces)
    assert segment[4:] == (BODY, 0, (1, 2, 3, 4, 5, 6))
    assert segment[0] == KEY4


@pytest.mark.parametrize("order", [1, -1])
def test_fragments_of_ipv6_make_one_segment(reader: PacketReader, order: int) -> None:
    pieces = fragments6()[::order]
    assert len(pieces) > 3
    [segment] = feed(reader, pieces)
    assert segment[4:] == (BODY * 40, 0, tuple(range(1, len(pieces) + 1)))
    assert endpoints(segment[0]) == ("[2001:db8::1]:50112", "[fe80::2]:11111")


def test_fragments_in_any_order_twice_and_overlapping(reader: PacketReader) -> None:
    pieces = fragments4()
    shuffled = [pieces[number] for number in (3, 0, 0, 5, 3, 2, 4)]
    assert feed(reader, shuffled) == []
    data = pieces[1]
    segment = reader.read(data, 1, len(data), 8)
    assert segment is not None
    assert segment[4:] == (BODY, 0, (1, 2, 4, 6, 7, 8)), "copies are of no use, so their packets are not named"


def overlapping(*parts: tuple[int, bytes, bool]) -> list[bytes]:
    return [
        bytes(ETHER / IP(src=FOUR.src, dst=FOUR.dst, id=5, frag=at // 8, flags="MF" if more else 0, proto=6) / part)
        for at, part, more in parts
    ]


def test_the_first_copy_of_overlapping_fragments_wins(reader: PacketReader) -> None:
    whole = bytes(tcp(bytes(44), chksum=0))
    assert len(whole) == 64
    pieces = overlapping(
        (24, whole[24:32], True),
        (48, whole[48:64], False),
        (16, b"\xee" * 48, False),  # around and between what is there: only its holes are taken
        (0, whole[:24], True),
    )
    [segment] = feed(reader, pieces)
    assert segment[4] == b"\xee" * 4 + bytes(8) + b"\xee" * 16 + bytes(16)
    assert segment[6] == (1, 2, 3, 4)
    assert segment[0] == KEY4[:8] + segment[0][8:]


def test_fragments_that_break_the_rules_are_ignored(reader: PacketReader) -> None:
    whole = bytes(tcp(bytes(44), chksum=0))
    pieces = overlapping(
        (0, whole[:32], True),
        (32, whole[32:44], True),  # not the last, yet no multiple of 8
        (32, b"", True),
        (65_528, bytes(64), False),  # beyond the longest datagram
        (32, whole[32:], False),
        (96, bytes(8), False),  # of the next datagram with this identification
    )
    [segment] = feed(reader, pieces)
    assert segment[4:] == (bytes(44), 0, (1, 5))


def test_fragments_of_other_datagrams_do_not_mix(reader: PacketReader) -> None:
    first, second = fragments4(body=b"1" * 60, id=1), fragments4(body=b"2" * 60, id=2)
    foreign = IP(src="10.0.0.3", dst="192.168.7.9", id=1) / tcp(b"3" * 60)
    other = [bytes(ETHER / piece) for piece in fragment(foreign, 16)]
    mixed = [piece for three in zip(first, second, other, strict=True) for piece in three]
    assert [segment[4] for segment in feed(reader, mixed)] == [b"1" * 60, b"2" * 60, b"3" * 60]


def test_an_identification_that_is_used_again_much_later_begins_anew(reader: PacketReader) -> None:
    old, new = fragments4(body=b"1" * 60), fragments4(body=b"2" * 60)
    for number, data in enumerate(old[:-1], 1):
        assert reader.read(data, 1, len(data), number) is None
    found = [reader.read(data, 1, len(data), number) for number, data in enumerate(new, 50_000)]
    assert found[:-1] == [None] * 4
    assert found[-1] is not None
    assert found[-1][4] == b"2" * 60
    assert reader.evicted_datagrams == 1


def test_a_fragment_cut_by_the_snap_length(reader: PacketReader) -> None:
    pieces = fragments4()
    wire = [len(piece) for piece in pieces]
    pieces[3] = pieces[3][:-10]
    [segment] = [s for n, data in enumerate(pieces) if (s := reader.read(data, 1, wire[n], n + 1)) is not None]
    assert segment[4] == BODY[: 4 * 16 - 20 - 10]
    assert len(segment[4]) + segment[5] == len(BODY)


@pytest.mark.parametrize("form", ["fragments in a tunnel", "a tunnel in fragments", "both"])
def test_fragments_and_tunnels(form: str, reader: PacketReader) -> None:
    inner = IP(src="10.0.0.1", dst="192.168.7.9", id=3) / tcp(BODY * 20)
    insides = [inner] if form == "a tunnel in fragments" else fragment(inner, 400)
    packets = [OUTER / GRE() / inside for inside in insides]
    if form != "fragments in a tunnel":
        for number, packet in enumerate(packets):
            packet[IP].id = number
        packets = [piece for packet in packets for piece in fragment(packet, 200)]
    assert len(packets) > 3
    [segment] = feed(reader, [bytes(ETHER / packet) for packet in packets])
    assert segment[4:] == (BODY * 20, 0, tuple(range(1, len(packets) + 1)))
    assert segment[0] == KEY4


def test_vxlan_in_fragments(reader: PacketReader) -> None:
    packet = OUTER / UDP(sport=50000, dport=4789) / VXLAN(vni=9) / ETHER / FOUR / tcp(BODY * 30)
    [segment] = feed(reader, [bytes(ETHER / piece) for piece in fragment(packet, 1000)])
    assert segment[4:] == (BODY * 30, 0, (1, 2))


def test_collected_fragments_are_bounded() -> None:
    reader = PacketReader(max_fragments=10, max_fragment_bytes=100_000)
    first = [fragments4(id=number)[0] for number in range(50)]
    assert feed(reader, first) == []
    assert reader.evicted_datagrams == 40
    rest = [piece for number in range(50) for piece in fragments4(id=number)[1:]]
    assert len(feed(reader, rest[-5 * 10 :])) == 10, "the newest are still there"

    reader = PacketReader(max_fragments=1000, max_fragment_bytes=100_000)
    large = [fragments4(1480, bytes(3000), id=number)[0] for number in range(500)]
    assert feed(reader, large) == []
    assert 400 < reader.evicted_datagrams < 450


def test_many_small_fragments_of_one_datagram_are_bounded() -> None:
    reader = PacketReader()
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28, 7, 0, 64, 6, 0, bytes(4), bytes(4))
    for number in range(2, 4000, 2):  # every other one, so that they stay apart
        piece = head[:6] + struct.pack(">H", 0x2000 | number) + head[8:] + bytes(8)
        assert reader.read(piece, 101, len(piece), number) is None
    assert reader.evicted_datagrams == 1


@pytest.mark.parametrize(
    "layer",
    [
        IP(len=0, proto=4),
        IPv6(plen=0, nh=41),
        IP(len=0, proto=47) / GRE(proto=0x0800),
        IP(len=0) / UDP(sport=50000, dport=4789) / VXLAN(flags=8) / Ether(src=MAC, dst=MAC, type=0x0800),
    ],
)
def test_tunnels_in_tunnels_end_somewhere(layer: Packet) -> None:
    network = SIX if IPv6 in layer else FOUR
    for depth, found in ((0, True), (4, True), (60_000 // len(layer), False)):
        segment = read(bytes(layer) * depth + bytes(network / tcp()), 101)
        assert (segment is not None) is found
        assert not found or segment[4:6] == (BODY, 0)


# Against other programs


def test_every_encapsulation_as_tshark_reads_it(tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    linktypes = sorted({linktype for linktype, _ in ENCAPSULATIONS.values()})
    data = [section_block(), *map(interface_block, linktypes)]
    rows = []
    for number, (name, (linktype, packet)) in enumerate(ENCAPSULATIONS.items()):
        if name in NOT_TSHARK:
            continue
        data.append(packet_block(linktypes.index(linktype), number * 10**9, bytes(packet), len(packet)))
        rows.append(as_row(read(packet, linktype)))
    file = tmp_path / "all.pcapng"
    file.write_bytes(b"".join(data))
    assert tshark_segments(file) == rows
    assert len(rows) == len(ENCAPSULATIONS) - len(NOT_TSHARK)


def tshark_segments(file: Path) -> list[tuple[str, ...]]:
    """Of the innermost TCP: ports, sequence and acknowledgement number, flags, payload."""
    fields = ["tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len", "tcp.payload"]
    options = [part for field in fields for part in ("-e", field)]
    options += ["-o", "tcp.desegment_tcp_streams:FALSE", "-E", "occurrence=l"]
    command = ["tshark", "-n", "-r", str(file), "-Y", "tcp", "-T", "fields", *options]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return [tuple(line.split("\t")) for line in run.stdout.splitlines()]


def as_row(segment: Segment | None) -> tuple[str, ...]:
    assert segment is not None
    key, sequence, acknowledgement, flags, payload, missing, _ = segment
    source, destination = ports(key)
    numbers = map(str, (source, destination, sequence, acknowledgement))
    return (*numbers, f"0x{flags:04x}", str(len(payload) + missing), payload.hex())


RECORDED = sorted((Path(__file__).parents[3] / "captures").glob("*.pcap*"))


@pytest.mark.parametrize("file", RECORDED, ids=[file.name for file in RECORDED])
def test_recorded_captures_as_tshark_reads_them(file: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    reader = PacketReader()
    packets = (packet for batch in CaptureReader(file).batches() for packet in batch)
    found = (reader.read(data, linktype, wire, number) for number, (_, linktype, data, wire) in enumerate(packets, 1))
    assert [as_row(segment) for segment in found if segment] == tshark_segments(file)


def as_scapy_dissects(layer: type[Packet], data: bytes) -> tuple[bytes, int, int, int, bytes] | None:
    """The road that takes no short cut: the whole packet through Scapy, the bytes of its TCP taken from the end."""
    packet = layer(data)
    if TCP not in packet:
        return None
    segment = packet[TCP]
    while TCP in segment.payload:
        segment = segment.payload[TCP]
    network = segment.underlayer
    family = AF_INET if isinstance(network, IP) else AF_INET6
    addresses = inet_pton(family, network.src) + inet_pton(family, network.dst)
    key = addresses + segment.sport.to_bytes(2, "big") + segment.dport.to_bytes(2, "big")
    payload = b"" if isinstance(segment.payload, Padding) else segment.payload.original
    return key, segment.seq, segment.ack, int(segment.flags), payload


PORT = st.integers(0, 0xFFFF)
WORD = st.integers(0, 0xFFFFFFFF)
LAYERS: dict[int, type[Packet]] = {1: Ether, 113: CookedLinux, 276: CookedLinuxV2, 228: IP}


@settings(max_examples=300, deadline=None)
@given(
    linktype=st.sampled_from(sorted(LAYERS)),
    tags=st.integers(0, 3),
    six=st.booleans(),
    options=st.integers(0, 10),
    tcp_options=st.integers(0, 10),
    fields=st.tuples(PORT, PORT, WORD, WORD, st.integers(0, 0x1FF)),
    body=st.binary(max_size=80),
    padding=st.binary(max_size=8),
)
def test_the_fast_road_gives_what_scapy_gives(
    linktype: int,
    tags: int,
    six: bool,
    options: int,
    tcp_options: int,
    fields: tuple[int, int, int, int, int],
    body: bytes,
    padding: bytes,
) -> None:
    """Ports are those that Scapy has no layer for or has one for: what follows TCP is never looked into."""
    sport, dport, sequence, acknowledgement, flags = fields
    six = six and linktype != 228
    network = SIX if six else IP(src=FOUR.src, dst=FOUR.dst, options=[IPOption_NOP()] * (options * 4))
    ethertype = 0x8100 if tags else 0x86DD if six else 0x0800
    link: Packet | None = {
        1: ETHER,
        113: CookedLinux(proto=ethertype),
        276: CookedLinuxV2(proto=ethertype),
    }.get(linktype)
    for tag in range(tags if link else 0):
        link = link / Dot1Q(vlan=tag)
    segment = tcp(
        body,
        sport=sport,
        dport=dport,
        seq=sequence,
        ack=acknowledgement,
        flags=flags,
        options=[("NOP", None)] * (tcp_options * 4),
    )
    data = bytes(link / network / segment if link else network / segment) + padding
    got = read(data, linktype)
    assert got is not None
    assert got[:5] == as_scapy_dissects(LAYERS[linktype], data)
    assert got[4:] == (body, 0, None)


@settings(max_examples=1500, deadline=None)
@given(st.data())
def test_no_bytes_make_it_raise(data: st.DataObject) -> None:
    """Any link type, packets with bytes changed and cut; one reader for all, as in a capture."""
    linktype, packet = data.draw(st.sampled_from(SEEDS))
    damaged = bytearray(packet)
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, min(len(damaged) - 1, 130)))
        damaged[at] = data.draw(st.sampled_from([0, 4, 6, 17, 41, 44, 47, 51, 0x45, 0x60, 0xFF]) | st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))
    linktype = data.draw(st.just(linktype) | st.sampled_from([0, 1, 9, 101, 105, 113, 127, 276, 147, 65535]))
    segment = HOSTILE.read(bytes(damaged[:cut]), linktype, data.draw(st.sampled_from([len(damaged), 0, 2**32 - 1])), 1)
    if segment is not None:
        key, sequence, acknowledgement, flags, payload, missing, _ = segment
        assert len(key) in (12, 36)
        assert max(sequence, acknowledgement) < 2**32
        assert flags < 0x200
        assert missing >= 0
        assert len(payload) <= 65_535
        endpoints(key)


HOSTILE = PacketReader(max_fragments=20, max_fragment_bytes=20_000)
SEEDS = [(linktype, bytes(packet)) for linktype, packet in ENCAPSULATIONS.values()]
SEEDS += [(1, piece) for piece in fragments4() + fragments6()]


def test_the_common_road_needs_no_scapy() -> None:
    """Its import takes a third of a second: only a packet that needs it may cost that."""
    data = bytes(ETHER / OUTER / UDP(dport=53) / Raw(b"x"))
    program = (
        "import sys; from decoder.packet.dissector import PacketReader; reader = PacketReader()\n"
        f"reader.read({bytes(ETHER / FOUR / tcp())!r}, 1, 0, 1); reader.read({data!r}, 1, 0, 2)\n"
        f"for piece in {fragments4()!r} + {fragments6()!r}: reader.read(piece, 1, 0, 3)\n"
        "print('scapy' in sys.modules)\n"
        f"reader.read({bytes(ENCAPSULATIONS['GRE'][1])!r}, 1, 0, 3)\n"
        "print('scapy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


def test_unknown_link_types_are_counted(reader: PacketReader) -> None:
    for _ in range(3):
        assert reader.read(bytes(60), 147, 60, 1) is None
    assert reader.unread == {"link type 147 (user-defined)": 3}
    assert reader.reports() == ["3 packets of link type 147 (user-defined) were not read"]
    assert reader.undissected == 0


@pytest.mark.parametrize(
    ("packet", "name"),
    [
        (ETHER / OUTER / UDP(dport=4341) / Raw(bytes(60)), "in LISP"),
        (ETHER / OUTER / UDP(dport=51820) / Raw(bytes(60)), "in WireGuard (encrypted)"),
        (ETHER / IP(proto=50) / Raw(bytes(60)), "in ESP (IPsec, encrypted)"),
        (Ether(src=MAC, dst=MAC, type=0x8926) / Raw(bytes(60)), "in VN-Tag"),
        (gpe(4, Raw(bytes(60))), "in VXLAN-GPE with a protocol other than IP and Ethernet"),
    ],
)
def test_encapsulations_that_are_not_read_are_counted_and_named(
    packet: Packet, name: str, reader: PacketReader
) -> None:
    assert read(packet, 1, reader) is None
    assert reader.reports() == [f"1 packet {name} was not read"]
    assert read(packet, 1, reader) is None
    assert reader.reports() == [f"2 packets {name} were not read"]


def test_ordinary_packets_without_tcp_are_not_counted(reader: PacketReader) -> None:
    for packet in (ETHER / ARP(), ETHER / OUTER / UDP(dport=53) / Raw(b"x"), ETHER / OUTER / ICMP()):
        assert read(packet, 1, reader) is None
    assert reader.reports() == []


def test_a_link_type_without_any_ip_is_named(reader: PacketReader) -> None:
    """Frames of a Wi-Fi with a password: Scapy dissects their headers, and what is inside nobody can read."""
    header = Dot11(type=2, FCfield="from_DS+protected", addr1=MAC, addr2=MAC, addr3=MAC)
    sealed = bytes(header / Raw(bytes(60)))
    for _ in range(3):
        assert reader.read(sealed, 105, len(sealed), 1) is None
    (line,) = reader.reports()
    assert line.startswith("no IP was found in 3 packets of link type 105")
    inside = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x800) / OUTER / tcp()
    in_clear = bytes(Dot11(type=2, FCfield="from_DS", addr1=MAC, addr2=MAC, addr3=MAC) / inside)
    assert reader.read(in_clear, 105, len(in_clear), 2) is not None
    assert reader.reports() == []


def test_only_the_most_frequent_are_named(reader: PacketReader) -> None:
    for linktype in range(300, 310):
        for _ in range(linktype - 299):
            assert reader.read(bytes(60), linktype, 60, 1) is None
    *named, rest = reader.reports()
    assert named[0] == "10 packets of link type 309 were not read"
    assert len(named) == 5
    assert rest == "15 packets in other encapsulations were not read"


def test_wrapped_over_and_over(reader: PacketReader) -> None:
    """A chain of headers that name each other must not be followed by a call for each."""
    data = bytes(ETHER / FOUR / tcp())
    for _ in range(2000):
        data = struct.pack("<III", 12, 1, 258) + data
    assert reader.read(data, 258, len(data), 1) is None
    endless = struct.pack("<III", 0, 1, 1) + bytes(60)
    assert reader.read(endless, 258, len(endless), 1) is None


@given(st.sampled_from([109, 239, 258]), st.binary(max_size=80))
def test_any_bytes_in_any_wrapping(linktype: int, data: bytes) -> None:
    PacketReader().read(data, linktype, len(data), 1)
