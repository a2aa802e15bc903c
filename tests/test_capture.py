"""Capture files written by Scapy and by Wireshark's tools, read back; and files that are none."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from decoder.capture import CaptureReader, RawPacket

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


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("kind", ["micro", "nano", "kuznetzov"])
def test_pcap_in_both_byte_orders_and_resolutions(endian: str, kind: str) -> None:
    nano = kind == "nano"
    packets = [(time_ns + 789 * nano, linktype, data, wire) for time_ns, linktype, data, wire in PACKETS]
    assert read_bytes(pcap(packets, endian, nano, kuznetzov=kind == "kuznetzov")) == packets


def test_reader_tells_what_it_read(tmp_path: Path) -> None:
    file = tmp_path / "a.pcap"
    file.write_bytes(pcap(PACKETS, linktype=276))
    reader = CaptureReader(file)
    assert reader.size is None
    assert [len(batch) for batch in reader.batches()] == [4]
    assert reader.packets == 4
    assert reader.position == reader.size == file.stat().st_size
    assert [interface.linktype for interface in reader.interfaces] == [276]
    assert reader.interfaces[0].snaplen == 262144
    assert reader.warnings == []
    assert [len(batch) for batch in reader.batches()] == [4], "it can be read again"


@pytest.mark.parametrize("chunk", [1, 7, 16, 100, 4096])
def test_packets_larger_than_a_chunk(chunk: int) -> None:
    assert read_bytes(pcap(PACKETS), chunk=chunk) == PACKETS
