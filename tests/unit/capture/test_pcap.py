"""pcap files: byte orders, resolutions, variants, files joined end to end, and damage."""

from __future__ import annotations

import io
import struct

import pytest

from decoder import core
from decoder.capture.reader import CaptureReader, RawPacket
from decoder.errors import CaptureError
from tests.support.cores import needs_core
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


def read(data: bytes, chunk: int) -> tuple[Packets, str, list[str]]:
    """The packets, what is said of a fault, and the warnings."""
    reader, got, told = CaptureReader(io.BytesIO(data), chunk=chunk), [], ""
    try:
        for batch in reader.batches():
            got += batch
    except CaptureError as error:
        told = str(error)
    return got, told, reader.warnings


@needs_core
@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("kind", ["micro", "nano", "kuznetzov"])
@pytest.mark.parametrize("chunk", [40, 100, 65536])
def test_the_compiled_loop_reads_the_same(endian: str, kind: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the file is damaged: each byte once."""
    data = pcap(
        [*PACKETS[:3], (5 * 10**9, 1, b"", 9), PACKETS[0]], endian, kind == "nano", kuznetzov=kind == "kuznetzov"
    )
    damaged = [data, *(data[:at] + bytes((data[at] ^ 0x81,)) + data[at + 1 :] for at in range(0, len(data), 3))]
    compiled = [read(each, chunk) for each in damaged]
    monkeypatch.setattr(core, "pcap_records", None)
    assert [read(each, chunk) for each in damaged] == compiled


@needs_core
def test_what_the_compiled_loop_refuses() -> None:
    assert core.pcap_records is not None
    for start, header, scale in ((-1, 16, 1), (5, 16, 1), (0, 15, 1), (0, 16, -1), (0, 16, 1001)):
        with pytest.raises(ValueError, match="place"):
            core.pcap_records(b"1234", start, header, False, 1, scale)
    assert core.pcap_records(b"1234", 4, 16, False, 1, 1) == ([], 4)
