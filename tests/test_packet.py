"""Packets that Scapy builds, read back: every encapsulation gives the same segment."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.contrib.geneve import GENEVE
    from scapy.contrib.mpls import MPLS
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
    from scapy.layers.ppp import PPP, PPPoE
    from scapy.layers.vxlan import VXLAN
    from scapy.packet import Packet, Raw

from decoder.packet import PacketReader, Segment, endpoints, ports, reverse_key

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


def tcp(body: bytes = BODY, **fields: object) -> Packet:
    return TCP(**{"sport": 50112, "dport": 11111, "seq": 0xFFFFFFF0, "ack": 7, "flags": "PA", **fields}) / Raw(body)


def read(packet: Packet | bytes, linktype: int = 1, reader: PacketReader | None = None) -> Segment | None:
    data = bytes(packet)
    return (reader or PacketReader()).read(data, linktype, len(data), 1)


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
    "SNAP": (1, Dot3(src=MAC, dst=MAC) / LLC() / SNAP() / FOUR / tcp()),
    "MPLS": (1, ETHER / MPLS(label=20, s=0) / MPLS(label=21, s=1) / FOUR / tcp()),
    "PPPoE": (1, ETHER / PPPoE() / PPP() / SIX / tcp()),
    "802.1ah": (1, ETHER / Dot1AH(isid=5) / ETHER / FOUR / tcp()),
    "GRE": (1, ETHER / OUTER / GRE() / FOUR / tcp()),
    "GRE with key, IPv6 in IPv6": (1, ETHER / OUTER6 / GRE(key_present=1, key=5) / SIX / tcp()),
    "GRE, Ethernet": (1, ETHER / OUTER / GRE(proto=0x6558) / ETHER / Dot1Q(vlan=7) / FOUR / tcp()),
    "VXLAN": (1, ETHER / OUTER / UDP(dport=4789) / VXLAN(vni=4) / ETHER / FOUR / tcp()),
    "VXLAN over IPv6": (1, ETHER / OUTER6 / UDP(dport=4789) / VXLAN(vni=4) / ETHER / SIX / tcp()),
    "Geneve": (1, ETHER / OUTER / UDP(dport=6081) / GENEVE(vni=4) / ETHER / FOUR / tcp()),
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
        ETHER / OUTER / UDP(dport=4789) / Raw(bytes(3)),
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
def reader() -> Iterator[PacketReader]:
    return PacketReader()


def test_ethernet_padding_is_not_payload() -> None:
    assert read(bytes(ETHER / FOUR / tcp(b"abc")) + bytes(3))[4] == b"abc"  # type: ignore[index]
    assert read(bytes(ETHER / FOUR / tcp(b"")) + bytes(6))[4] == b""  # type: ignore[index]
    assert read(bytes(ETHER / Dot1Q() / FOUR / tcp(b"abc")) + b"FCS!")[4] == b"abc"  # type: ignore[index]


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


def fragments4(size: int = 16, body: bytes = BODY, **fields: object) -> list[bytes]:
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
