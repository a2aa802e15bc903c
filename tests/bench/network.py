"""TCP connections that write their packets to a pcap file, with the disorder of a real capture.

A capture taken beside a busy link shows segments in another order than they were sent, and segments that were sent
again.  Both are made here; nothing is ever lost, so every message of a synthetic day can be decoded.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import BinaryIO

MSS = 1448
"""Payload of a full segment: an Ethernet frame less the headers and the time stamp option."""
SYN, FIN, PSH, ACK = 0x02, 0x01, 0x08, 0x10

_FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)  # microseconds, Ethernet
_RECORD = struct.Struct("<IIII")
_ETHERNET = bytes.fromhex("020000000002 020000000001 0800")
_IP = struct.Struct("!BBHHHBBH4s4s")
_TCP = struct.Struct("!HHIIBBHHHHBBII")
_PSEUDO = struct.Struct("!4s4sHH")
_TIME_STAMPS = (0x0101, 8, 10)  # the option's kind and length after two no-ops that align it
_WINDOW = 0xFFF0
_START_US = 1_700_011_800_000_000
_PACE_US = 2_000
"""Longest pause between two packets: on average a thousand packets a second, as on a busy gateway."""


@dataclass(frozen=True)
class Disorder:
    """How much of the traffic is out of order; shares of the segments with payload."""

    late: float = 0.01
    """Come one to three segments of their direction too late."""
    repeated: float = 0.005
    """Are sent again a few packets later; every fourth one cut differently, so that it overlaps the one before."""


@dataclass
class Counts:
    """What a capture holds."""

    packets: int = 0
    segments: int = 0
    late: int = 0
    repeated: int = 0


class Network:
    """The clock, the file, and the segments that are still to be repeated."""

    def __init__(self, file: BinaryIO, random: Random, disorder: Disorder) -> None:
        self.random = random
        self.disorder = disorder
        self.now_us = _START_US
        self.counts = Counts()
        self._file = file
        self._again: deque[tuple[int, Endpoint, int, bytes]] = deque()
        file.write(_FILE_HEADER)

    def write(self, frame: bytes) -> None:
        """Write one packet, a moment after the last."""
        self.now_us += self.random.randrange(1, _PACE_US)
        seconds, microseconds = divmod(self.now_us, 1_000_000)
        self._file.write(_RECORD.pack(seconds, microseconds, len(frame), len(frame)))
        self._file.write(frame)
        self.counts.packets += 1

    def repeat_later(self, sender: Endpoint, seq: int, payload: bytes) -> None:
        """Send a segment again within the next dozen packets."""
        self._again.append((self.counts.packets + self.random.randrange(1, 12), sender, seq, payload))

    def repeat_due(self, everything: bool = False) -> None:
        """Send what is due to be repeated."""
        while self._again and (everything or self._again[0][0] <= self.counts.packets):
            _, sender, seq, payload = self._again.popleft()
            self.counts.repeated += 1
            sender.packet(seq, payload)


class Endpoint:
    """One end of a connection: what it sends."""

    peer: Endpoint

    def __init__(self, network: Network, address: bytes, port: int) -> None:
        self.port = port
        self._network = network
        self._address = address
        self._seq = network.random.getrandbits(32)
        self._ip_id = network.random.getrandbits(16)
        self._sent = 0
        self._late: tuple[int, bytes] | None = None
        self._late_for = 0
        self._previous = (0, b"")

    @property
    def acknowledged(self) -> int:
        """Up to where the other end has everything."""
        return self._seq if self._late is None else self._late[0]

    def signal(self, flags: int) -> None:
        """Send a packet whose flags count one byte of the stream: SYN or FIN."""
        self.packet(self._seq, b"", flags)
        self._seq += 1

    def send(self, data: bytes) -> None:
        """Send bytes of the stream, in as many segments as it takes."""
        for start in range(0, len(data), MSS):
            self._segment(data[start : start + MSS])

    def _segment(self, payload: bytes) -> None:
        network, seq = self._network, self._seq
        self._seq += len(payload)
        network.counts.segments += 1
        chance = network.random.random()
        if chance < network.disorder.late and self._late is None:
            self._late = (seq, payload)
            self._late_for = network.random.randint(1, 3)
            network.counts.late += 1
            return
        self.packet(seq, payload)
        if chance >= 1 - network.disorder.repeated:
            self._repeat(seq, payload)
        self._previous = (seq, payload)
        self._late_for -= 1
        if self._late_for <= 0:
            self.catch_up()
        self._sent += 1
        if self._sent % 2 == 0:
            self.peer.packet(self.peer.acknowledged, b"", ACK)
        network.repeat_due()

    def _repeat(self, seq: int, payload: bytes) -> None:
        network = self._network
        before, data = self._previous
        if before + len(data) == seq and data and network.random.random() < 0.25:
            overlap = network.random.randint(1, len(data))
            seq, payload = seq - overlap, (data[-overlap:] + payload)[:MSS]
        network.repeat_later(self, seq, payload)

    def catch_up(self) -> None:
        """Send the segment that is late, if there is one."""
        if self._late is not None:
            (seq, payload), self._late = self._late, None
            self.packet(seq, payload)

    def packet(self, seq: int, payload: bytes, flags: int = PSH | ACK) -> None:
        """Write one packet from this end to the other."""
        source, destination = self._address, self.peer._address
        self._ip_id = (self._ip_id + 1) & 0xFFFF
        length = 32 + len(payload)
        ip = _IP.pack(0x45, 0, 20 + length, self._ip_id, 0x4000, 64, 6, 0, source, destination)
        ip = ip[:10] + _checksum(ip) + ip[12:]
        ack = self.peer.acknowledged & 0xFFFFFFFF if flags & ACK else 0
        clock = self._network.now_us // 1000 & 0xFFFFFFFF
        ports, seq = (self.port, self.peer.port), seq & 0xFFFFFFFF
        tcp = _TCP.pack(*ports, seq, ack, 0x80, flags, _WINDOW, 0, 0, *_TIME_STAMPS, clock, clock if ack else 0)
        sum_of = _PSEUDO.pack(source, destination, 6, length) + tcp + payload
        self._network.write(b"".join((_ETHERNET, ip, tcp[:16], _checksum(sum_of), tcp[18:], payload)))


def _checksum(data: bytes) -> bytes:
    """The Internet checksum: a ones' complement sum of 16-bit words is the number modulo 65535."""
    if len(data) % 2:
        data += b"\0"
    return (0xFFFF - int.from_bytes(data, "big") % 0xFFFF).to_bytes(2, "big")


class Connection:
    """A TCP connection from its SYN to its FINs."""

    def __init__(self, network: Network, client: tuple[bytes, int], server: tuple[bytes, int]) -> None:
        self.client = Endpoint(network, *client)
        self.server = Endpoint(network, *server)
        self.client.peer, self.server.peer = self.server, self.client
        self.client.signal(SYN)
        self.server.signal(SYN | ACK)
        self.client.packet(self.client.acknowledged, b"", ACK)

    def close(self) -> None:
        """Send what is late, then both FINs."""
        for end in (self.client, self.server):
            end.catch_up()
        for end in (self.client, self.server):
            end.signal(FIN | ACK)
