"""Capture files written by Scapy and by Wireshark's tools, read back; and files that are none."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import subprocess
import tempfile
import threading
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import EDecimal, wrpcap, wrpcapng

from decoder.capture.merge import merged
from decoder.capture.pcapng_writer import interface_block, packet_block, section_block
from decoder.capture.reader import CaptureReader, RawPacket
from decoder.capture.source import ByteSource
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


def until_error(data: bytes) -> tuple[Packets, str]:
    got: Packets = []
    batches = CaptureReader(io.BytesIO(data)).batches()
    with pytest.raises(CaptureError) as caught:
        got.extend(packet for batch in batches for packet in batch)
    return got, str(caught.value)


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


def test_an_absurd_length_ends_the_capture_with_an_error() -> None:
    data = pcap(PACKETS) + struct.pack("<IIII", 1_700_000_003, 0, 0xFFFFFFF0, 0xFFFFFFF0) + bytes(1000)
    got, error = until_error(data)
    assert got == PACKETS
    assert "damaged after packet 4 at byte 5,224: a packet claims 4294967280 bytes" in error


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


# Streams


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(gzip.compress(pcap(PACKETS), mtime=0))

    monkeypatch.setattr("sys.stdin", Stdin)
    assert read("-") == PACKETS
    assert CaptureReader("-").name == "standard input"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_growing_capture_is_read_as_it_grows(compressed: bool) -> None:
    """Each packet is there as soon as it was written, though the pipe stays open."""
    reading, writing = os.pipe()
    written = threading.Semaphore(0)
    deflate = zlib.compressobj(wbits=31)

    def encode(data: bytes) -> bytes:
        return deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH) if compressed else data

    header, *records = pcap([]), *(pcap([packet])[24:] for packet in PACKETS)

    def write() -> None:
        os.write(writing, encode(header))
        for record in records:
            os.write(writing, encode(record))
            if not written.acquire(timeout=10):
                break
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    got: Packets = []
    with open(reading, "rb") as stream:
        reader = CaptureReader(stream)
        for batch in reader.batches():
            got += batch
            written.release()
    thread.join()
    assert got == PACKETS
    assert reader.size is None


def test_one_byte_at_a_time() -> None:
    class Trickle(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.data, self.at, self.calls = data, 0, 0

        def read(self, size: int = -1) -> bytes:
            self.at += 1
            return self.data[self.at - 1 : self.at]

    large: Packets = [(10**18, 1, bytes(300_000), 300_000)]
    assert read(Trickle(pcap(large))) == large  # joining the pieces again at each byte would take minutes


def test_a_length_is_not_allocated_on_trust() -> None:
    tracemalloc.start()
    try:
        reader = CaptureReader(io.BytesIO(pcap(PACKETS) + struct.pack("<IIII", 1, 1, 16_000_000, 16_000_000)))
        got = [packet for batch in reader.batches() for packet in batch]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got == PACKETS
    assert peak < 2_000_000
    assert "0 of the 16000000 bytes of the next packet are there" in reader.warnings[0]


# Several captures as one


def fail(reader: CaptureReader, error: CaptureError) -> None:
    raise AssertionError(error)


def all_merged(readers: list[CaptureReader]) -> Packets:
    return [packet for batch in merged(readers, fail) for packet in batch]


times = st.lists(st.integers(0, 40), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(times, min_size=1, max_size=5), st.integers(0, 3))
def test_merged_in_time_order(captures: list[list[int]], streams: int) -> None:
    """Against the stable sort of all packets; the first captures are streams, which cannot be opened twice."""
    with tempfile.TemporaryDirectory() as folder:
        packets: Packets = []
        readers = []
        for index, ticks in enumerate(captures):
            mine = [(tick * 1000, 1, bytes((index, at)), 2) for at, tick in enumerate(sorted(ticks))]
            packets += mine
            file = Path(folder, f"{index}.pcap")
            file.write_bytes(pcap(mine))
            readers.append(CaptureReader(io.BytesIO(pcap(mine)) if index < streams else file, chunk=64))
        assert all_merged(readers) == sorted(packets, key=lambda packet: packet[0])
        assert [reader.packets for reader in readers] == [len(ticks) for ticks in captures]


def test_a_capture_keeps_its_own_order_when_merged() -> None:
    def packets(index: int, *ticks: int) -> CaptureReader:
        return CaptureReader(io.BytesIO(pcap([(tick * 1000, 1, bytes((index, tick)), 2) for tick in ticks])))

    got = all_merged([packets(0, 5, 1, 9), packets(1, 2, 6)])
    assert [packet[2] for packet in got] == [b"\1\2", b"\0\5", b"\0\1", b"\1\6", b"\0\11"]


def test_rotated_files_in_any_order_are_open_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    most = 0

    class Counted(ByteSource):
        def __init__(self, *args: Any) -> None:
            nonlocal count, most
            super().__init__(*args)
            count += 1
            most = max(most, count)

        def close(self) -> None:
            nonlocal count
            super().close()
            count -= 1

    monkeypatch.setattr("decoder.capture.reader.ByteSource", Counted)
    expected: Packets = []
    readers = []
    for index in range(20):
        mine = [(10**18 + index * 10**9 + at * 1000, 1, b"%d" % at, 1) for at in range(50)]
        expected += mine
        (tmp_path / f"{index}.pcap").write_bytes(pcap(mine))
        readers.append(CaptureReader(tmp_path / f"{index}.pcap"))
    batches = list(merged(readers[::-1], fail))
    assert [packet for batch in batches for packet in batch] == expected
    assert len(batches) == 20
    assert (most, count) == (1, 0)


def test_one_capture_is_passed_on_in_its_batches() -> None:
    reader = CaptureReader(io.BytesIO(pcap(PACKETS)), chunk=100)
    alone = CaptureReader(io.BytesIO(pcap(PACKETS)), chunk=100)
    assert list(merged([reader], fail)) == list(alone.batches())


def test_a_bad_capture_does_not_stop_the_others(tmp_path: Path) -> None:
    absurd = struct.pack("<IIII", 0, 0, 0xFFFFFFF0, 0xFFFFFFF0) + bytes(100)
    contents = {
        "good": pcap(PACKETS),
        "text": b"text" * 100,
        "broken": pcap(PACKETS[:2]) + absurd,
        "cut": pcap(PACKETS)[:80],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    readers = [CaptureReader(tmp_path / name) for name in [*contents, "none"]]
    errors: list[tuple[str, str]] = []
    got = [
        packet
        for batch in merged(readers, lambda reader, error: errors.append((Path(reader.name).name, str(error))))
        for packet in batch
    ]
    assert got == sorted(PACKETS + PACKETS[:2] + PACKETS[:2], key=lambda packet: packet[0])
    assert sorted(name for name, _ in errors) == ["broken", "none", "text"]
    assert [len(reader.warnings) for reader in readers] == [0, 0, 0, 1, 0]


# Against other programs


def tool(name: str, *arguments: str | Path) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    run = subprocess.run([name, *map(str, arguments)], capture_output=True, text=True)
    # tshark ends with 2 when it reads a capture that is cut short.
    assert run.returncode in (0, 2), run.stderr
    return run.stdout


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


def test_merged_as_mergecap_merges(tmp_path: Path) -> None:
    files = []
    random = Random(7)
    for index in range(4):
        ticks = sorted(random.randrange(10**6) for _ in range(200))
        files.append(tmp_path / f"{index}.pcap")
        files[-1].write_bytes(pcap([(tick * 1000, 1, b"%d/%d" % (index, at), 9) for at, tick in enumerate(ticks)]))
    tool("mergecap", "-F", "pcap", "-w", tmp_path / "all.pcap", *files)
    assert all_merged([CaptureReader(file, chunk=100) for file in files]) == read(tmp_path / "all.pcap")


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
