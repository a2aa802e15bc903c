"""TCP segments written by hand, and what a decoder makes of them.

Packets are put together with struct, because property tests need many; nothing here comes from the decoder.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from decoder import Decoder, Gap, KeyRing, Limits, Message
from tests.support.wire import Wire

FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_FLAGS = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK}
START_NS = 1_700_000_000_000_000_000
STEP_NS = 1_000_000

_CLIENT, _SERVER = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))
_ETHERNET = bytes.fromhex("020000000002020000000001")


@dataclass(frozen=True)
class Segment:
    """A segment as it stands in a capture: `cut` bytes of its payload were not captured."""

    direction: str
    seq: int
    payload: bytes = b""
    flags: int = PSH | ACK
    ack: int = 0
    cut: int = 0
    ports: tuple[int, int] = (50112, 11111)
    urgent: int = 0
    tag: str = field(default="", compare=False)

    def packet(self, *, vlan: int | None = None, ipv6: bool = False) -> bytes:
        """The packet, whole, on Ethernet."""
        ends = (_CLIENT, _SERVER) if self.direction == "c2s" else (_SERVER, _CLIENT)
        ports = self.ports if self.direction == "c2s" else self.ports[::-1]
        tcp = struct.pack(
            ">HHIIBBHHH", *ports, self.seq % 2**32, self.ack % 2**32, 5 << 4, self.flags, 65535, 0, self.urgent
        )
        if ipv6:
            net = b"\x20\x01\x0d\xb8" + bytes(8)
            ip = struct.pack(">IHBB16s16s", 6 << 28, 20 + len(self.payload), 6, 64, net + ends[0], net + ends[1])
            return _ETHERNET + b"\x86\xdd" + ip + tcp + self.payload
        # Longer than an IP packet can say: left to the network card, as in a capture on the sending host.
        size = 40 + len(self.payload)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size if size < 65536 else 0, 0, 0x4000, 64, 6, 0, *ends)
        tag = b"" if vlan is None else struct.pack(">HH", 0x8100, vlan)
        return _ETHERNET + tag + b"\x08\x00" + ip + tcp + self.payload

    def snapped(self, size: int) -> Segment:
        """The segment, of whose payload only the first `size` bytes were captured."""
        return replace(self, cut=max(0, len(self.payload) - size))


@dataclass
class Decoded:
    """What came out."""

    items: list[Message | Gap]
    decoder: Decoder

    @property
    def messages(self) -> list[Message]:
        return [item for item in self.items if isinstance(item, Message)]

    @property
    def gaps(self) -> list[tuple[str, int | None, str]]:
        return [(item.direction, item.bytes, item.reason) for item in self.items if isinstance(item, Gap)]

    @property
    def verified(self) -> list[int]:
        return [message.serial_no for message in self.messages if message.verdict == "verified"]

    @property
    def told(self) -> list[str]:
        """Everything in order, in short: serial number and verdict or reason; bytes and reason of gaps."""
        return [
            f"{item.serial_no} {item.reason or item.verdict}"
            if isinstance(item, Message)
            else f"gap {item.bytes} {item.reason}"
            for item in self.items
        ]


def feed(decoder: Decoder, segments: Iterable[Segment], first: int = 1) -> list[Message | Gap]:
    """Feed segments as packets number `first` and so on, a millisecond apart."""
    items: list[Message | Gap] = []
    for number, segment in enumerate(segments, first):
        data = segment.packet()
        items += decoder.feed(data[: len(data) - segment.cut], START_NS + number * STEP_NS, 1, len(data), number)
    return items


def decode_segments(
    segments: Iterable[Segment], keys: KeyRing | None = None, limits: Limits | None = None, ports: Any = (11111,)
) -> Decoded:
    """Decode a capture of these segments."""
    decoder = Decoder(keys=keys or KeyRing(), limits=limits, ports=ports)
    items = feed(decoder, segments)
    return Decoded(items + decoder.flush(), decoder)


class Talk(Wire):
    """One TCP connection as segments, which a test may change one by one."""

    def __init__(
        self, *, isn: tuple[int, int] = (1000, 5000), syn: bool = True, ports: tuple[int, int] = (50112, 11111)
    ) -> None:
        self.segments: list[Segment] = []
        super().__init__(ports, isn, syn=syn)

    def ack(self, direction: str) -> Talk:
        """A packet without payload in `direction`."""
        return self.put(direction, "A")

    def reset(self, direction: str = "s2c") -> Talk:
        return self.put(direction, "RA")

    def _write(self, direction: str, flags: str, seq: int, ack: int, payload: bytes) -> None:
        bits = sum(_FLAGS[letter] for letter in flags)
        self.segments.append(Segment(direction, seq, payload, bits, ack, ports=self.ports))
