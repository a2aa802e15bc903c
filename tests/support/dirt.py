"""What befalls a recording: clean packets in, dirty ones out, and a model that knows which messages are still whole.

Recordings are read with Scapy, and taken apart and put together with struct: nothing here comes from the decoder.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Ether
from scapy.utils import PcapReader

from tests.support.recorded import Recording

FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
GATEWAY = 11111
HEADER = struct.Struct("<2sIBBII20s8s")
LINK_TYPES = {Ether: 1, CookedLinux: 113, CookedLinuxV2: 276}
MAC = bytes.fromhex("020000000001")

Way = tuple[str, str]
"""Client's end of the connection and direction."""


class Packet(NamedTuple):
    """A packet as it stands in a capture."""

    time_ns: int
    linktype: int
    data: bytes
    wire_len: int
    interface: int = 0


@dataclass(frozen=True)
class Segment:
    """A TCP segment and the headers around it."""

    time_ns: int
    linktype: int
    link: bytes
    addresses: bytes
    ports: tuple[int, int]
    seq: int
    ack: int
    flags: int
    payload: bytes = b""
    options: bytes = b""
    urgent: int = 0
    way: Way = ("", "")
    wrong: int | None = None
    """Sequence number of a byte of it that is not what was sent."""

    @property
    def end(self) -> int:
        return self.seq + len(self.payload)

    def part(self, start: int, end: int) -> Segment:
        """The segment with only these bytes of its payload."""
        return replace(self, seq=self.seq + start, payload=self.payload[start:end])

    @property
    def tcp(self) -> bytes:
        words = 5 + len(self.options) // 4
        head = struct.pack(
            ">HHIIBBHHH",
            *self.ports, self.seq % 2**32, self.ack % 2**32, words << 4, self.flags, 65535, 0, self.urgent,
        )  # fmt: skip
        return head + self.options + self.payload

    @property
    def ip(self) -> bytes:
        return ip(self.addresses, 6, self.tcp)

    def packet(self) -> Packet:
        """On the link it was recorded on."""
        data = self.link + self.ip
        return Packet(self.time_ns, self.linktype, data, len(data))


def ip(addresses: bytes, protocol: int, payload: bytes, *, identification: int = 0, fragment: int = 0x4000) -> bytes:
    """An IPv4 or IPv6 header, whichever the addresses are of, and its payload."""
    if len(addresses) == 8:
        total = 20 + len(payload)
        return struct.pack(">BBHHHBBH", 0x45, 0, total, identification, fragment, 64, protocol, 0) + addresses + payload
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + addresses + payload


# Clean recordings


class Sent(NamedTuple):
    """A message of a recording."""

    way: Way
    proto_id: int
    serial_no: int
    sha1: str
    start: int
    """Sequence number of its first byte."""
    end: int

    @property
    def bytes(self) -> range:
        """Sequence numbers of its bytes."""
        return range(self.start, self.end)

    @property
    def identity(self) -> tuple[Way, int, int, str]:
        return self.way, self.proto_id, self.serial_no, self.sha1


@cache
def segments_of(recording: Recording) -> tuple[Segment, ...]:
    """The segments of a recording, as Scapy reads it; their sequence numbers do not wrap."""
    found = []
    first: dict[Way, int] = {}
    for packet in PcapReader(str(recording.path)):
        tcp, link = packet[TCP], packet.original[: len(packet) - len(packet.payload)]
        six = packet.haslayer(IPv6)
        raw = packet.original[len(link) :]
        to_gateway = tcp.dport == recording.port
        client = f"[{packet[IPv6].src if to_gateway else packet[IPv6].dst}]" if six else "127.0.0.1"
        way = f"{client}:{tcp.sport if to_gateway else tcp.dport}", "c2s" if to_gateway else "s2c"
        head = (40 if six else 20) + 4 * tcp.dataofs
        start = first.setdefault(way, tcp.seq)
        found.append(
            Segment(
                int(packet.time * 10**9),
                LINK_TYPES[type(packet)],
                link,
                raw[8:40] if six else raw[12:20],
                (tcp.sport, tcp.dport),
                start + (tcp.seq - start) % 2**32,
                tcp.ack,
                int(tcp.flags),
                raw[head:],
                raw[head - 4 * tcp.dataofs + 20 : head],
                way=way,
            )
        )
    return tuple(found)


@cache
def messages_of(recording: Recording) -> tuple[Sent, ...]:
    """Its messages: nothing is lost or comes twice in a recording, so each stream is its payloads, joined."""
    streams: dict[Way, bytes] = defaultdict(bytes)
    starts: dict[Way, int] = {}
    for segment in segments_of(recording):
        if segment.payload:
            start = starts.setdefault(segment.way, segment.seq)
            assert segment.seq - start == len(streams[segment.way])
            streams[segment.way] += segment.payload
    messages = []
    for way, stream in streams.items():
        at = 0
        while at < len(stream):
            _, proto_id, _, _, serial_no, length, sha1, _ = HEADER.unpack_from(stream, at)
            end = at + 44 + length
            messages.append(Sent(way, proto_id, serial_no, sha1.hex(), starts[way] + at, starts[way] + end))
            at = end
        assert at == len(stream)
    return tuple(messages)


def held(segments: Iterable[Segment], snap: int | None = None) -> dict[Way, set[int]]:
    """The bytes of each stream that a capture holds, as sequence numbers that do not wrap."""
    bytes_held: dict[Way, set[int]] = defaultdict(set)
    for segment in segments:
        if segment.wrong is None:
            size = len(segment.payload)
            if snap is not None:
                size = max(0, min(size, snap - len(segment.packet().data) + size))
            start = segment.seq + bool(segment.flags & SYN)
            bytes_held[segment.way].update(range(start, start + size))
    return bytes_held


def whole(recording: Recording, segments: Iterable[Segment], snap: int | None = None) -> list[Sent]:
    """The messages all of whose bytes a capture holds."""
    have = held(segments, snap)
    return [message for message in messages_of(recording) if have[message.way].issuperset(message.bytes)]


# Captures


def write(path: Path, packets: Iterable[Packet]) -> Path:
    """A pcapng file, with an interface for each number and link type."""
    packets = list(packets)
    interfaces = sorted({(packet.interface, packet.linktype) for packet in packets})
    blocks = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    nanoseconds = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)
    blocks += [_block(1, struct.pack("<HHI", linktype, 0, 0) + nanoseconds) for _, linktype in interfaces]
    for packet in packets:
        number = interfaces.index((packet.interface, packet.linktype))
        size, high, low = len(packet.data), packet.time_ns >> 32, packet.time_ns & 0xFFFFFFFF
        blocks.append(_block(6, struct.pack("<IIIII", number, high, low, size, packet.wire_len) + packet.data))
    path.write_bytes(b"".join(blocks))
    return path


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def in_turn(segments: Iterable[Segment], like: Iterable[Segment]) -> list[Segment]:
    """`segments` in their order, captured between the first and the last of `like`."""
    segments = list(segments)
    times = [segment.time_ns for segment in like]
    step = (times[-1] - times[0]) // max(1, len(segments))
    return [replace(segment, time_ns=times[0] + number * step) for number, segment in enumerate(segments)]


# Order and repetition: what loses nothing

Dirt = Callable[[list[Segment], Random], list[Segment]]


def reordered(window: int) -> Dirt:
    """Each packet is overtaken by some of the `window` that follow it, of both directions and all connections."""

    def dirt(segments: list[Segment], rng: Random) -> list[Segment]:
        places = sorted(range(len(segments)), key=lambda place: place + rng.random() * window)
        return [segments[place] for place in places]

    return dirt


def backwards(segments: list[Segment], rng: Random) -> list[Segment]:
    """The tail before the head, 64 packets at a time; the first five of a connection as they were."""
    return segments[:5] + [segment for at in range(5, len(segments), 64) for segment in segments[at : at + 64][::-1]]


def answers_first(segments: list[Segment], rng: Random) -> list[Segment]:
    """Each packet of the client after the next one with data of its gateway, the handshake excepted."""
    out: list[Segment] = []
    waiting: list[Segment] = []
    seen: set[Way] = set()
    for segment in segments:
        client, direction = segment.way
        if direction == "c2s" and segment.payload and segment.way in seen:
            waiting.append(segment)
            continue
        if segment.payload:
            seen.add(segment.way)
        out.append(segment)
        if direction == "s2c" and segment.payload:
            out += [each for each in waiting if each.way[0] == client]
            waiting = [each for each in waiting if each.way[0] != client]
    return out + waiting


def keys_late(segments: list[Segment], rng: Random) -> list[Segment]:
    """The first packet with data of each gateway side, the one that carries the keys, 40 packets late."""
    places: list[tuple[float, Segment]] = []
    seen: set[Way] = set()
    for place, segment in enumerate(segments):
        late = segment.payload and segment.way[1] == "s2c" and segment.way not in seen
        if late:
            seen.add(segment.way)
        places.append((place + 40.5 if late else place, segment))
    return [segment for _, segment in sorted(places, key=lambda each: each[0])]


def again_whole(segments: list[Segment], rng: Random) -> list[Segment]:
    """One packet in three is sent again some packets later."""
    places = [(float(place), segment) for place, segment in enumerate(segments)]
    places += [(place + 0.5 + rng.randrange(30), each) for place, each in places if rng.random() < 0.3]
    return [segment for _, segment in sorted(places, key=lambda each: each[0])]


def again_in_other_pieces(segments: list[Segment], rng: Random) -> list[Segment]:
    """Before every second segment comes one that begins in what was sent before it and ends in the middle of it."""
    out: list[Segment] = []
    streams: dict[Way, tuple[int, bytes]] = {}
    for segment in segments:
        data = segment.payload
        start, before = streams.get(segment.way, (segment.seq, b""))
        if data:
            if rng.random() < 0.5:
                back, ahead = rng.randrange(min(3000, len(before)) + 1), rng.randrange(len(data) + 1)
                again = before[len(before) - back :] + data[:ahead]
                out.append(replace(segment, seq=segment.seq - back, payload=again))
            streams[segment.way] = start, before + data
        out.append(segment)
    return out


def segmented(size: int) -> Dirt:
    """Cut into segments of at most `size` bytes."""

    def dirt(segments: list[Segment], rng: Random) -> list[Segment]:
        return [
            segment.part(at, at + size) for segment in segments for at in range(0, max(1, len(segment.payload)), size)
        ]

    return dirt


def tail_first(segments: list[Segment], rng: Random) -> list[Segment]:
    """Each segment in two, the second half before the first."""
    out = []
    for segment in segments:
        middle = len(segment.payload) // 2
        out += [segment.part(middle, len(segment.payload)), segment.part(0, middle)] if middle else [segment]
    return out


def runs_reordered(segments: list[Segment], rng: Random) -> list[Segment]:
    """In small segments, those that one side sends without a word from the other in any order."""
    small, out = segmented(100)(segments, rng), []
    for _, group in groupby(small, key=lambda segment: segment.way):
        run = list(group)
        out += run if any(each.flags & (SYN | FIN | RST) for each in run) else rng.sample(run, len(run))
    return out


def wrapped(segments: list[Segment], rng: Random) -> list[Segment]:
    """Sequence numbers pass 2**32: those of the client in mid-stream, those of the gateway within a message.

    There too the tail comes before the head.
    """
    sizes: dict[Way, tuple[int, int]] = {}
    for segment in segments:
        first, _ = sizes.get(segment.way, (segment.seq, 0))
        sizes[segment.way] = first, segment.end
    shift = {}
    for way, (first, end) in sizes.items():
        shift[way] = 2**32 - (first + end) // 2 if way[1] == "c2s" else 2**32 - (first + 60)

    def other(way: Way) -> Way:
        return way[0], "s2c" if way[1] == "c2s" else "c2s"

    moved = [
        replace(
            segment,
            seq=(segment.seq + shift[segment.way]) % 2**32,
            ack=(segment.ack + shift[other(segment.way)]) % 2**32 if segment.flags & ACK else 0,
        )
        for segment in segments
    ]
    return tail_first(moved, rng)


def probed(garbage: bytes | None) -> Dirt:
    """A keep-alive probe after each segment, at the byte before the next: that byte, `garbage`, or none."""

    def dirt(segments: list[Segment], rng: Random) -> list[Segment]:
        out = []
        for segment in segments:
            out.append(segment)
            if segment.payload and not segment.flags & FIN:
                byte = segment.payload[-1:] if garbage is None else garbage
                out.append(replace(segment, seq=segment.end - 1, payload=byte, flags=ACK, wrong=segment.end - 1))
        return out

    return dirt


def window_probed(segments: list[Segment], rng: Random) -> list[Segment]:
    """The first byte of each segment is sent alone before it, three times, while the window is shut."""
    out = []
    for segment in segments:
        if len(segment.payload) > 1:
            out += [replace(segment.part(0, 1), flags=ACK)] * 3
        out.append(segment)
    return out


def urgent(segments: list[Segment], rng: Random) -> list[Segment]:
    """Urgent pointers into, behind and far beyond the data."""
    return [
        replace(segment, flags=segment.flags | URG, urgent=rng.choice((1, len(segment.payload), 65535)))
        if segment.payload
        else segment
        for segment in segments
    ]


def payload_in_syn(segments: list[Segment], rng: Random) -> list[Segment]:
    """The client's first segment begins in its SYN, and the gateway's in its own."""
    first: dict[Any, Any] = {}
    for segment in segments:
        if segment.payload:
            first.setdefault(segment.way, segment)
    out = []
    for segment in segments:
        data = first.get(segment.way)
        if segment.flags & SYN and data is not None:
            segment = replace(segment, payload=data.payload[:20])
        elif segment is data:
            segment = segment.part(20 if opened(segments, segment.way) else 0, len(segment.payload))
        out.append(segment)
    return out


def opened(segments: Iterable[Segment], way: Way) -> bool:
    return any(segment.flags & SYN and segment.way == way for segment in segments)


def _last_data(segments: list[Segment]) -> dict[Way, Segment]:
    return {segment.way: segment for segment in segments if segment.payload}


def _without_end(segments: list[Segment]) -> list[Segment]:
    return [segment for segment in segments if segment.payload or not segment.flags & (FIN | RST)]


def fin_with_payload(segments: list[Segment], rng: Random) -> list[Segment]:
    """The last segment of each direction says that it is the last."""
    last = _last_data(segments)
    return [
        replace(segment, flags=segment.flags | FIN) if segment is last.get(segment.way) else segment
        for segment in _without_end(segments)
    ]


def closed_at_once(segments: list[Segment], rng: Random) -> list[Segment]:
    """Both sides close before they hear of the other's close."""
    last = _last_data(segments)
    ends = [replace(segment, seq=segment.end, payload=b"", flags=FIN | ACK) for segment in last.values()]
    return _without_end(segments) + ends + [replace(end, seq=end.seq + 1, flags=ACK) for end in ends]


def reset(segments: list[Segment], rng: Random) -> list[Segment]:
    """A reset ends each direction, and overtakes its last segment."""
    last = _last_data(segments)
    out = []
    for segment in _without_end(segments):
        if segment is last.get(segment.way):
            out.append(replace(segment, seq=segment.end, payload=b"", flags=RST | ACK))
        out.append(segment)
    return out


def unopened(segments: list[Segment], rng: Random) -> list[Segment]:
    """Neither SYN nor FIN was captured."""
    return [segment for segment in segments if segment.payload or segment.flags == ACK]


def conflicting(messages: tuple[Sent, ...], *, before: bool) -> Dirt:
    """Two segments in five come in a second copy with a wrong byte in a body, right before it or right behind it."""
    bodies = {(message.way, seq) for message in messages for seq in range(message.start + 44, message.end)}

    def dirt(segments: list[Segment], rng: Random) -> list[Segment]:
        out = []
        for segment in segments:
            places = [at for at in range(len(segment.payload)) if (segment.way, segment.seq + at) in bodies]
            if not places or rng.random() < 0.6:
                out.append(segment)
                continue
            at = rng.choice(places)
            data = bytearray(segment.payload)
            data[at] ^= 1 << rng.randrange(8)
            bad = replace(segment, payload=bytes(data), wrong=segment.seq + at)
            out += [bad, segment] if before else [segment, bad]
        return out

    return dirt


# Loss and damage


def without(segments: list[Segment], lost: Callable[[int], bool], messages: tuple[Sent, ...]) -> list[Segment]:
    """Segments with data of which `lost` says so are lost, by their place in the capture; the handshakes stay."""
    kept = [message for message in messages if message.proto_id == 1001]
    return [
        segment
        for place, segment in enumerate(segments)
        if not (segment.payload and lost(place))
        or any(m.way == segment.way and m.start < segment.end and segment.seq < m.end for m in kept)
    ]


def overwritten(segments: list[Segment], way: Way, at: int, data: bytes) -> list[Segment]:
    """Other bytes stand at sequence number `at`."""
    out = []
    for segment in segments:
        begin, end = max(segment.seq, at), min(segment.end, at + len(data))
        if segment.way == way and begin < end:
            payload = bytearray(segment.payload)
            payload[begin - segment.seq : end - segment.seq] = data[begin - at : end - at]
            segment = replace(segment, payload=bytes(payload))
        out.append(segment)
    return out


def sent_at(segments: list[Segment], way: Way, at: int, size: int) -> bytes:
    """The bytes at sequence number `at`."""
    return b"".join(
        segment.payload[max(0, at - segment.seq) : max(0, at + size - segment.seq)]
        for segment in segments
        if segment.way == way
    )
