"""Random traffic, treated as networks and capture tools treat it, against a model that knows which messages are whole.

Whatever order packets come in, however often and in whatever pieces: every message whose bytes are all in the capture
comes out once, verified, and none comes out that was not sent.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from random import Random
from typing import NamedTuple

import pytest

from decoder import Decoder, Message

HEADER = struct.Struct("<2sIBBII20s8s")
CLIENT, SERVER = (b"\x0a\0\0\1", 50_000), (b"\x0a\0\0\2", 11_111)
SYN, FIN, PSH, ACK = 2, 1, 8, 16
RUNS_PER_CASE = 60


class Packet(NamedTuple):
    """One packet: its direction, and which bytes of that direction's stream it holds."""

    to_server: bool
    data: bytes
    start: int | None = None
    end: int = 0


class Traffic:
    """Two streams of messages cut into packets."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.opened = rng.random() < 0.7
        self.streams = {True: b"", False: b""}
        self.messages: list[tuple[bool, int, int, int]] = []  # direction, serial, start, end
        self.first = {way: rng.choice([0, 2**32 - 200, rng.getrandbits(32)]) for way in (True, False)}
        for serial in range(1, rng.randrange(2, 25)):
            way = rng.random() < 0.5
            message = keep_alive(serial) if way else notify(serial, rng)
            start = len(self.streams[way])
            self.messages.append((way, serial, start, start + len(message)))
            self.streams[way] += message

    def packet(self, way: bool, start: int, end: int, sent: dict[bool, int], flags: int = PSH | ACK) -> Packet:
        (source, source_port), (target, target_port) = (CLIENT, SERVER) if way else (SERVER, CLIENT)
        payload = self.streams[way][start:end] if start >= 0 else b""
        seq, ack = (self.first[way] + start) % 2**32, (self.first[not way] + sent[not way]) % 2**32
        tcp = struct.pack("!HHIIBBHHH", source_port, target_port, seq, ack, 5 << 4, flags, 65_535, 0, 0)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0, source, target)
        return Packet(way, bytes(12) + b"\x08\0" + ip + tcp + payload, start if payload else None, end)

    def packets(self) -> list[Packet]:
        """In the order in which they were sent, some twice, some again in other pieces."""
        rng, sent = self.rng, {True: 0, False: 0}
        packets = []
        if self.opened:
            packets += [self.packet(True, -1, -1, sent, SYN), self.packet(False, -1, -1, sent, SYN | ACK)]
        largest = rng.choice([1, 7, 100, 1448] if sum(map(len, self.streams.values())) < 4000 else [100, 1448, 5000])
        while any(sent[way] < len(self.streams[way]) for way in sent):
            way = rng.choice([way for way in sent if sent[way] < len(self.streams[way])])
            start = sent[way]
            end = min(len(self.streams[way]), start + rng.randrange(1, largest + 1))
            sent[way] = end
            packets.append(self.packet(way, start, end, sent))
            if rng.random() < 0.1:
                packets.append(packets[-1])
            if rng.random() < 0.1:
                packets.append(self.packet(way, max(0, start - rng.randrange(50)), end, sent))
        if rng.random() < 0.5:
            packets += [self.packet(way, sent[way], sent[way], sent, FIN | ACK) for way in (True, False)]
        return packets

    def whole(self, packets: list[Packet]) -> Counter[tuple[bool, int]]:
        """The messages all of whose bytes are in `packets`."""
        held: dict[bool, set[int]] = {True: set(), False: set()}
        for packet in packets:
            if packet.start is not None:
                held[packet.to_server].update(range(packet.start, packet.end))
        return Counter(
            (way, serial) for way, serial, start, end in self.messages if held[way].issuperset(range(start, end))
        )


def framed(proto_id: int, serial: int, body: bytes) -> bytes:
    return HEADER.pack(b"FT", proto_id, 0, 0, serial, len(body), hashlib.sha1(body).digest(), bytes(8)) + body


def field(number: int, data: bytes) -> bytes:
    size, length = len(data), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def keep_alive(serial: int) -> bytes:
    return framed(1004, serial, field(1, b"\x08\x01"))


def notify(serial: int, rng: Random) -> bytes:
    text = bytes(rng.choices(b"abcFT", k=rng.choice([0, 5, 40, 300, 3000])))
    return framed(1003, serial, b"\x08\x00" + field(4, b"\x08\x01" + field(2, b"\x08\x07" + field(2, text))))


def decoded(packets: list[Packet]) -> list[Message]:
    decoder = Decoder()
    items = [item for time, packet in enumerate(packets) for item in decoder.feed(packet.data, 10**18 + time)]
    return [item for item in [*items, *decoder.flush()] if isinstance(item, Message)]


@pytest.mark.parametrize("window", [0, 3, 30])
@pytest.mark.parametrize("loss", [0.0, 0.05])
@pytest.mark.parametrize("late", [False, True], ids=["whole", "begun late"])
def test_every_whole_message_once_and_nothing_else(window: int, loss: float, late: bool) -> None:
    for seed in range(RUNS_PER_CASE):
        rng = Random(f"{seed} {window} {loss} {late}")
        traffic = Traffic(rng)
        packets = traffic.packets()
        if late:
            packets = packets[rng.randrange(len(packets) // 2 + 1) :]
        packets = [packet for packet in packets if packet.start is None or rng.random() >= loss]
        places = sorted(range(len(packets)), key=lambda place: place + rng.random() * window)
        packets = [packets[place] for place in places]
        messages = decoded(packets)
        verified = Counter((m.direction == "c2s", m.serial_no) for m in messages if m.verdict == "verified")
        assert verified == traffic.whole(packets), f"seed {seed}"
        sent = {(way, serial) for way, serial, _, _ in traffic.messages}
        assert {(m.direction == "c2s", m.serial_no) for m in messages} <= sent, f"seed {seed}"
