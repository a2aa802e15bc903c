"""Scapy's own TCPSession with a layer for the header: the way the Scapy manual shows, without bodies."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from scapy.fields import ByteField, LEIntField, StrFixedLenField, StrLenField
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether  # noqa: F401 (the link type of the capture)
from scapy.packet import Packet, bind_layers
from scapy.sendrecv import sniff
from scapy.sessions import TCPSession

from . import vendor

GATEWAY_PORT = 11111
HEADER_LEN = 44


class Frame(Packet):
    """The header and, undecoded, the body."""

    name = "OpenD frame"
    fields_desc: ClassVar[list[Any]] = [
        StrFixedLenField("magic", b"FT", 2),
        LEIntField("proto_id", 0),
        ByteField("format", 0),
        ByteField("version", 0),
        LEIntField("serial", 0),
        LEIntField("size", 0),
        StrFixedLenField("sha1", b"", 20),
        StrFixedLenField("reserved", b"", 8),
        StrLenField("body", b"", length_from=lambda frame: frame.size),
    ]

    @classmethod
    def tcp_reassemble(cls, data: bytes, *_: Any) -> Packet | None:
        """A frame when it is complete."""
        if len(data) < HEADER_LEN or len(data) < HEADER_LEN + int.from_bytes(data[12:16], "little"):
            return None
        return cls(data)

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """What follows belongs to the next message."""
        return b"", s


def show(packet: Packet) -> None:
    """Print the frames of a packet."""
    if Frame not in packet:
        return
    from_gateway = packet[TCP].sport == GATEWAY_PORT
    client = f"{packet[IP].dst}:{packet[TCP].dport}" if from_gateway else f"{packet[IP].src}:{packet[TCP].sport}"
    frame = packet[Frame]
    name = vendor.names().get(frame.proto_id, str(frame.proto_id))
    if frame.magic == b"FT" and len(frame.body) == frame.size:
        print(client, "s2c" if from_gateway else "c2s", name, frame.serial, "-")


bind_layers(TCP, Frame, sport=GATEWAY_PORT)
bind_layers(TCP, Frame, dport=GATEWAY_PORT)

if __name__ == "__main__":
    sniff(offline=sys.argv[1], session=TCPSession, prn=show, store=False)
