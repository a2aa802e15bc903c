"""Capture files written by Scapy and by Wireshark's tools, read back; and files that are none."""

from __future__ import annotations

import gzip
import io
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import EDecimal, wrpcap, wrpcapng

from decoder.capture.pcapng_writer import interface_block, packet_block, section_block
from decoder.capture.reader import CaptureReader
from decoder.errors import CaptureError
from tests.support.pcap import PACKETS, Packets, pcap, read, read_bytes, until_error
from tests.support.wireshark import tool


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


# Compressed


@pytest.mark.parametrize("chunk", [1, 50, 65536])
def test_gzip_of_several_members_with_padding(chunk: int) -> None:
    data = pcap(PACKETS)
    members = (
        gzip.compress(data[:30], mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(data[30:], mtime=0) + bytes(20)
    )
    assert read_bytes(members, chunk=chunk) == PACKETS


def test_cut_gzip_gives_what_is_there() -> None:
    packets = [(time_ns, 1, os.urandom(100), 100) for time_ns in range(0, 1_000_000, 1000)]
    data = gzip.compress(pcap(packets), mtime=0)
    reader = CaptureReader(io.BytesIO(data[: len(data) // 2]))
    got = [packet for batch in reader.batches() for packet in batch]
    assert 400 < len(got) < 600
    assert got == packets[: len(got)]
    [warning] = reader.warnings
    assert f"cut short after packet {len(got)} (the compressed data ends too early)" in warning


def test_gzip_cut_behind_a_whole_packet_is_told_too() -> None:
    reader = CaptureReader(io.BytesIO(gzip.compress(pcap(PACKETS), mtime=0)[:-8]))
    assert [packet for batch in reader.batches() for packet in batch] == PACKETS
    assert "the compressed data ends too early" in reader.warnings[0]


def test_damaged_gzip_gives_what_came_before() -> None:
    packets = [(time_ns, 1, os.urandom(100), 100) for time_ns in range(0, 1_000_000, 1000)]
    data = gzip.compress(pcap(packets), mtime=0)
    got, error = until_error(data[:-8] + b"\0\0\0\0" + data[-4:])
    assert got == packets
    assert "the compressed data is damaged" in error
    got, error = until_error(data + b"rubbish")
    assert got == packets
    assert "what follows the compressed data is not gzip" in error


# Damaged


@pytest.mark.parametrize("kept", [*range(40, 160), *range(5170, 24 + 4 * 16 + 12 + 3 + 5120 + 1 + 1)])
def test_cut_anywhere(kept: int) -> None:
    reader = CaptureReader(io.BytesIO(pcap(PACKETS)[:kept]))
    got = [packet for batch in reader.batches() for packet in batch]
    assert got == PACKETS[: len(got)]
    ends = [24 + 16 * (n + 1) + sum(len(packet[2]) for packet in PACKETS[: n + 1]) for n in range(4)]
    assert len(got) == sum(end <= kept for end in ends)
    if kept in ends:
        assert reader.warnings == []
    else:
        [warning] = reader.warnings
        assert f"cut short after packet {len(got)} " in warning


# No captures


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (pcap([])[:10], "is too short for a capture (10 bytes)"),
        (b"PK\x03\x04" + bytes(100), "is a zip archive"),
        (b"BZh91AY&SY" + bytes(100), "is bzip2 data, not a pcap or pcapng capture: unpack it first"),
        (b"\xfd7zXZ\x00" + bytes(100), "is xz data"),
        (
            b"\x1c\x00\x01\xac" + bytes(100),
            "is an IXIA capture, not a pcap or pcapng capture: convert it first: editcap",
        ),
        (b"\xab\x01\x00\x1c" + bytes(100), "is an IXIA capture"),
        (b"\x04\x22\x4d\x18" + bytes(100), "lz4 -dc FILE | opendump decode -"),
        (b"snoop\0\0\0\0\0\0\2\0\0\0\4" + bytes(100), "editcap -F pcap IN OUT"),
        (b"-----BEGIN RSA PRIVATE KEY-----\n" + bytes(100), "give a key with --rsa-key"),
        (b"08:00:00.0 IP 127.0.0.1.1 > 127.0.0.1.2: Flags [P.]\n" * 30, "is text"),
        (b"short text", "is text"),
        (bytes(range(256)), "is no capture"),
        (gzip.compress(b"not a capture, but compressed", mtime=0), "is text"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (gzip.compress(b"", mtime=0)[:12], "is cut short before its first packet"),
    ],
)
def test_what_is_no_capture_is_told_by_name(content: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "a.pcap"
    file.write_bytes(content)
    with pytest.raises(CaptureError) as caught:
        read(file)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_windows_event_trace_is_told_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "trace.etl"
    file.write_bytes(bytes(2000) + b"\x01")
    with pytest.raises(CaptureError, match="etl2pcapng"):
        read(file)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot be opened: No such file"):
        read(tmp_path / "none.pcap")
    with pytest.raises(CaptureError, match="cannot be opened"):
        read(tmp_path)
    with pytest.raises(CaptureError) as caught:
        read(tmp_path / "\x1b[31m.pcap")
    assert "\x1b" not in str(caught.value)
    with pytest.raises(CaptureError, match="text mode"):
        read(io.StringIO("a text stream, which cannot hold a capture"))


# Against other programs


def as_tshark_sees(file: Path) -> list[tuple[int, int, int]]:
    rows = tool(
        "tshark",
        "-n",
        "-r",
        file,
        "-T",
        "fields",
        *["-e", "frame.time_epoch", "-e", "frame.cap_len", "-e", "frame.len"],
    )
    packets = []
    for row in rows.splitlines():
        stamp, captured, wire = row.split("\t")
        seconds, _, fraction = stamp.partition(".")
        packets.append((int(seconds) * 10**9 + int(fraction.ljust(9, "0")), int(captured), int(wire)))
    return packets


def as_we_see(source: Packets) -> list[tuple[int, int, int]]:
    return [(time_ns, len(data), wire) for time_ns, _, data, wire in source]


RECORDED = sorted(
    file for file in (Path(__file__).parents[3] / "captures").iterdir() if file.suffix in (".pcap", ".pcapng", ".gz")
)


@pytest.mark.parametrize("file", RECORDED, ids=[file.name for file in RECORDED])
def test_recorded_captures_as_tshark_reads_them(file: Path) -> None:
    packets = read(file)
    assert as_we_see(packets) == as_tshark_sees(file)
    assert packets


@pytest.mark.parametrize("form", ["pcap", "nsecpcap", "pcapng", "modpcap"])
def test_what_editcap_writes(form: str, tmp_path: Path) -> None:
    source, file = tmp_path / "in.pcap", tmp_path / "out"
    source.write_bytes(pcap(PACKETS))
    tool("editcap", "-F", form, source, file)
    assert read(file) == PACKETS


def test_what_scapy_writes(tmp_path: Path) -> None:
    packets = []
    for time_ns, _, data, _ in PACKETS:
        packet = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", type=0x9000) / Raw(data)
        packet.time = EDecimal(time_ns) / 10**9
        packets.append(packet)
    expected = [(time_ns, 14 + len(data), 14 + len(data)) for time_ns, _, data, _ in PACKETS]
    for nano in (False, True):
        wrpcap(str(tmp_path / "a.pcap"), packets, nano=nano)
        assert as_we_see(read(tmp_path / "a.pcap")) == expected
    wrpcap(str(tmp_path / "a.gz"), packets, gz=True)
    assert as_we_see(read(tmp_path / "a.gz")) == expected
    wrpcapng(str(tmp_path / "a.pcapng"), packets)
    assert as_we_see(read(tmp_path / "a.pcapng")) == expected


# Hostile


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damage_anywhere_raises_nothing_but_a_capture_error(data: st.DataObject) -> None:
    """Bytes changed, cut and put in: it ends, and what it gives is never more than the file holds."""
    damaged = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    del damaged[data.draw(st.integers(1, len(damaged))) :]
    chunk = data.draw(st.sampled_from([3, 64, 65536]))
    got: Packets = []
    with suppress(CaptureError):
        for batch in CaptureReader(io.BytesIO(bytes(damaged)), chunk=chunk).batches():
            got += batch
    if damaged[:2] != b"\x1f\x8b":
        assert sum(len(packet[2]) for packet in got) <= len(damaged)
    assert all(0 <= packet[0] < 2**63 for packet in got)


SEEDS = [
    pcap(PACKETS),
    pcap(PACKETS, ">", True),
    pcap(PACKETS) + pcap(PACKETS),
    gzip.compress(pcap(PACKETS), mtime=0),
    gzip.compress(pcap(PACKETS[:1]), mtime=0) + gzip.compress(pcap(PACKETS)[24:], mtime=0),
    section_block() + interface_block(1) + b"".join(packet_block(0, p[0], p[2], p[3], "note") for p in PACKETS),
]
