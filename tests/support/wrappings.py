"""The segments of a recording in other packets: tags, tunnels, IP fragments, two interfaces at once."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from tests.support.dirt import MAC, Packet, Segment, ip

Wrapping = Callable[[list[Segment]], list[Packet]]
OUTER, OUTER6 = bytes((198, 51, 100, 1, 198, 51, 100, 2)), bytes.fromhex("20010db8" + "00" * 11 + "01") * 2


def on_ethernet(segment: Segment, data: bytes, ethertype: int | None = None, tags: bytes = b"") -> Packet:
    if ethertype is None:
        ethertype = 0x0800 if data[0] >> 4 == 4 else 0x86DD
    data = MAC + MAC + tags + struct.pack(">H", ethertype) + data
    return Packet(segment.time_ns, 1, data, len(data))


def vlan(segments: list[Segment]) -> list[Packet]:
    return [on_ethernet(segment, segment.ip, tags=struct.pack(">HH", 0x8100, 7)) for segment in segments]


def qinq(segments: list[Segment]) -> list[Packet]:
    tags = struct.pack(">HHHH", 0x88A8, 100, 0x8100, 7)
    return [on_ethernet(segment, segment.ip, tags=tags) for segment in segments]


def gre(segments: list[Segment]) -> list[Packet]:
    return [on_ethernet(segment, _in_gre(segment)) for segment in segments]


def _in_gre(segment: Segment, outer: bytes = OUTER) -> bytes:
    return ip(outer, 47, struct.pack(">HH", 0, 0x0800 if len(segment.addresses) == 8 else 0x86DD) + segment.ip)


def vxlan(segments: list[Segment]) -> list[Packet]:
    return [on_ethernet(segment, ip(OUTER, 17, _in_vxlan(segment))) for segment in segments]


def _in_vxlan(segment: Segment) -> bytes:
    """UDP and what is in it."""
    inner = struct.pack(">II", 0x08000000, 42 << 8) + on_ethernet(segment, segment.ip).data
    return struct.pack(">HHHH", 50000, 4789, 8 + len(inner), 0) + inner


def ip_in_ip(segments: list[Segment]) -> list[Packet]:
    return [on_ethernet(s, ip(OUTER, 4 if len(s.addresses) == 8 else 41, s.ip)) for s in segments]


def ip_in_ip6(segments: list[Segment]) -> list[Packet]:
    return [on_ethernet(s, ip(OUTER6, 4 if len(s.addresses) == 8 else 41, s.ip)) for s in segments]


def _fragments(addresses: bytes, protocol: int, payload: bytes, mtu: int, identification: int) -> list[bytes]:
    """An IP datagram in fragments of `mtu` bytes."""
    four = len(addresses) == 8
    step = (mtu - (20 if four else 48)) // 8 * 8
    out = []
    for at in range(0, len(payload), step):
        part, more = payload[at : at + step], at + step < len(payload)
        if four:
            fragment = at // 8 | more << 13
            out.append(ip(addresses, protocol, part, identification=identification & 0xFFFF, fragment=fragment))
        else:
            out.append(ip(addresses, 44, struct.pack(">BxHI", protocol, at | more, identification) + part))
    return out


def in_fragments(segments: list[Segment]) -> list[Packet]:
    """IP fragments of 576 bytes."""
    return [
        on_ethernet(segment, piece)
        for number, segment in enumerate(segments)
        for piece in _fragments(segment.addresses, 6, segment.tcp, 576, number)
    ]


def in_mixed_fragments(segments: list[Segment]) -> list[Packet]:
    """Small IP fragments, in the wrong order within 16 packets, some of them twice."""
    packets = [
        on_ethernet(segment, piece)
        for number, segment in enumerate(segments)
        for piece in _fragments(segment.addresses, 6, segment.tcp, 256, number)
    ]
    rng = Random(1)
    places = [(place + rng.random() * 16, packet) for place, packet in enumerate(packets)]
    places += [(place + rng.random() * 16, packet) for place, packet in enumerate(packets) if rng.random() < 0.2]
    times = sorted(packet.time_ns for _, packet in places)
    ordered = [packet for _, packet in sorted(places, key=lambda each: each[0])]
    return [packet._replace(time_ns=time) for time, packet in zip(times, ordered, strict=True)]


def everything(segments: list[Segment]) -> list[Packet]:
    """Fragments, in GRE, in QinQ; every second one in VXLAN whose outer datagram is in fragments."""
    packets = []
    tags = struct.pack(">HHHH", 0x88A8, 100, 0x8100, 7)
    for number, segment in enumerate(segments):
        if number % 2:
            packets += [on_ethernet(segment, p) for p in _fragments(OUTER, 17, _in_vxlan(segment), 576, number)]
        else:
            kind = struct.pack(">HH", 0, 0x0800 if len(segment.addresses) == 8 else 0x86DD)
            for piece in _fragments(segment.addresses, 6, segment.tcp, 576, number):
                packets.append(on_ethernet(segment, ip(OUTER6, 47, kind + piece), tags=tags))
    return packets


def twice(form: str, delay: int) -> Wrapping:
    """Taken on two interfaces, the second of them `delay` packets behind: alike, tagged, or on a cooked link.

    Half of the packets are on both of them, the others on either.
    """

    def wrapping(segments: list[Segment]) -> list[Packet]:
        places: list[tuple[int, int, Packet]] = []
        rng = Random(form)
        for number, segment in enumerate(segments):
            second = segment.packet()
            if form == "VLAN":
                (second,) = vlan([segment])
            elif form == "cooked":
                ethertype = 0x0800 if len(segment.addresses) == 8 else 0x86DD
                data = struct.pack(">HxxIHBB8s", ethertype, 3, 1, 0, 6, MAC) + segment.ip
                second = Packet(segment.time_ns, 276, data, len(data))
            lost = rng.randrange(4)
            if lost != 0:
                places.append((number, 0, segment.packet()))
            if lost != 1:
                places.append((number + delay, 1, second._replace(interface=1)))
        places.sort(key=lambda each: each[:2])
        return [packet for _, _, packet in places]

    return wrapping
