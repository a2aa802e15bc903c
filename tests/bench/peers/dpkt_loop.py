"""dpkt, a dictionary of streams, the vendor's classes and MessageToJson: one file, one afternoon.

It trusts the capture: Ethernet, IPv4, nothing missing, nothing encrypted, no SHA-1 checked.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator

import dpkt
from google.protobuf.json_format import MessageToJson

from . import vendor

GATEWAY_PORT = 11111
HEADER = struct.Struct("<2sIBBII20s8s")


class Stream:
    """The bytes of one direction that are not decoded yet."""

    def __init__(self, next_seq: int) -> None:
        self.next_seq = next_seq
        self.data = b""
        self.early: dict[int, bytes] = {}

    def add(self, seq: int, payload: bytes) -> None:
        """Append a segment, or keep it until its turn comes."""
        ahead = (seq - self.next_seq + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        if ahead > 0:
            if len(payload) > len(self.early.get(seq, b"")):
                self.early[seq] = payload
            return
        new = payload[-ahead:]
        self.data += new
        self.next_seq = (self.next_seq + len(new)) & 0xFFFFFFFF
        for start in sorted(self.early):
            if (start - self.next_seq + 0x80000000 & 0xFFFFFFFF) <= 0x80000000:
                self.add(start, self.early.pop(start))
                break

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        """Protocol id, serial number and body of each message that is complete."""
        while len(self.data) >= HEADER.size:
            _, proto_id, _, _, serial, size, _, _ = HEADER.unpack_from(self.data)
            end = HEADER.size + size
            if len(self.data) < end:
                return
            body, self.data = self.data[HEADER.size : end], self.data[end:]
            yield proto_id, serial, body


def messages(path: str) -> Iterator[tuple[dpkt.ip.IP, int, int, bytes]]:
    """Every message of a capture, with the IP packet that completed it."""
    streams: dict[tuple[bytes, int, bytes, int], Stream] = {}
    with open(path, "rb") as file:
        for _, data in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(data).data
            if not isinstance(ip, dpkt.ip.IP) or not isinstance(ip.data, dpkt.tcp.TCP):
                continue
            tcp = ip.data
            if GATEWAY_PORT not in (tcp.sport, tcp.dport):
                continue
            key = (ip.src, tcp.sport, ip.dst, tcp.dport)
            if tcp.flags & dpkt.tcp.TH_SYN:
                streams[key] = Stream((tcp.seq + 1) & 0xFFFFFFFF)
            elif tcp.data:
                stream = streams.setdefault(key, Stream(tcp.seq))
                stream.add(tcp.seq, tcp.data)
                for frame in stream.frames():
                    yield ip, *frame


def main() -> None:
    """Print the messages of the capture named on the command line."""
    vendor.without_the_sdk()
    out = sys.stdout
    for ip, proto_id, serial, body in messages(sys.argv[1]):
        from_gateway = ip.data.sport == GATEWAY_PORT
        message = vendor.body_class(proto_id, from_gateway)()
        message.ParseFromString(body)
        address, port = (ip.dst, ip.data.dport) if from_gateway else (ip.src, ip.data.sport)
        direction, ret_type = ("s2c", str(message.retType)) if from_gateway else ("c2s", "-")
        client = f"{socket.inet_ntoa(address)}:{port}"
        text = MessageToJson(message, indent=None, preserving_proto_field_name=True)
        out.write(f"{client} {direction} {vendor.names()[proto_id]} {serial} {ret_type} {text}\n")


if __name__ == "__main__":
    main()
