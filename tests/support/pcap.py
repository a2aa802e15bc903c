"""Puts pcap files together by hand, and reads captures back with the decoder's reader."""

from __future__ import annotations

import io
import struct

import pytest

from decoder.capture.pcapng import Block
from decoder.capture.reader import CaptureReader, RawPacket
from decoder.errors import CaptureError

Packets = list[RawPacket]
PACKETS: Packets = [
    (1_700_000_000_000_000_000, 1, b"first packet", 12),
    (1_700_000_000_123_456_000, 1, b"cut", 1500),
    (1_700_000_001_000_001_000, 1, bytes(range(256)) * 20, 5120),
    (1_700_000_002_999_999_000, 1, b"x", 1),
]


def pcap(
    packets: Packets, endian: str = "<", nanoseconds: bool = False, linktype: int = 1, kuznetzov: bool = False
) -> bytes:
    """A pcap file, put together from its description on tcpdump.org."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2CD34 if kuznetzov else 0xA1B2C3D4
    data = [struct.pack(endian + "IHHIIII", magic, 2, 4, 0, 0, 262144, linktype)]
    for time_ns, _, payload, wire_len in packets:
        seconds, fraction = divmod(time_ns, 10**9)
        data.append(
            struct.pack(endian + "IIII", seconds, fraction if nanoseconds else fraction // 1000, len(payload), wire_len)
        )
        data += [bytes(8)] if kuznetzov else []
        data.append(payload)
    return b"".join(data)


def read(source: object, **options: int) -> Packets:
    return [packet for batch in CaptureReader(source, **options).batches() for packet in batch]  # type: ignore[arg-type]


def read_bytes(data: bytes, **options: int) -> Packets:
    return read(io.BytesIO(data), **options)


def until_error(data: bytes) -> tuple[Packets, str]:
    """The packets before the fault, and what is said of it."""
    got: Packets = []
    batches = CaptureReader(io.BytesIO(data)).batches()
    with pytest.raises(CaptureError) as caught:
        got.extend(packet for batch in batches for packet in batch)
    return got, str(caught.value)


def blocks_of(data: bytes) -> list[Block]:
    return list(CaptureReader(io.BytesIO(data)).blocks())
