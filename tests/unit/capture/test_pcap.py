"""pcap files: byte orders, resolutions, variants, files joined end to end, and damage."""

from __future__ import annotations

import struct

import pytest

from decoder.capture.reader import RawPacket
from tests.support.pcap import PACKETS, Packets, pcap, read_bytes, until_error


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("kind", ["micro", "nano", "kuznetzov"])
def test_pcap_in_both_byte_orders_and_resolutions(endian: str, kind: str) -> None:
    nano = kind == "nano"
    packets = [(time_ns + 789 * nano, linktype, data, wire) for time_ns, linktype, data, wire in PACKETS]
    assert read_bytes(pcap(packets, endian, nano, kuznetzov=kind == "kuznetzov")) == packets


def test_a_packet_of_no_bytes_and_an_empty_capture() -> None:
    empty: RawPacket = (1_700_000_000_000_000_000, 1, b"", 60)
    assert read_bytes(pcap([empty, PACKETS[0], empty])) == [empty, PACKETS[0], empty]
    assert read_bytes(pcap([])) == []


def test_frame_check_sequence_bits_are_no_part_of_the_link_type() -> None:
    assert read_bytes(pcap(PACKETS, linktype=0x5400_0001)) == PACKETS


@pytest.mark.parametrize("second", ["<", ">"])
@pytest.mark.parametrize("chunk", [10, 65536])
def test_captures_joined_end_to_end(second: str, chunk: int) -> None:
    later = [(time_ns + 10**9, 101, data, wire) for time_ns, _, data, wire in PACKETS]
    assert read_bytes(pcap(PACKETS) + pcap(later, second, linktype=101), chunk=chunk) == PACKETS + later


def test_an_empty_packet_is_not_taken_for_the_header_of_a_joined_file() -> None:
    """Its time may be that of the magic number (in 2055), or its fraction that of the version."""
    packets: Packets = [(0xA1B2C3D4 * 10**9 + 5000, 1, b"", 0), (5 * 10**9 + 0x40002 * 1000, 1, b"", 0), PACKETS[0]]
    assert read_bytes(pcap(packets)) == packets


def test_an_absurd_length_ends_the_capture_with_an_error() -> None:
    data = pcap(PACKETS) + struct.pack("<IIII", 1_700_000_003, 0, 0xFFFFFFF0, 0xFFFFFFF0) + bytes(1000)
    got, error = until_error(data)
    assert got == PACKETS
    assert "damaged after packet 4 at byte 5,224: a packet claims 4294967280 bytes" in error
