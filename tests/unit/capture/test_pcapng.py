"""pcapng put together from its specification, or written by other programs, and read back exactly."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from decoder.capture.merge import merged
from decoder.capture.pcapng import read_options
from decoder.capture.pcapng_writer import with_comment
from decoder.capture.reader import CaptureReader, RawPacket
from decoder.errors import CaptureError
from tests.support.pcap import blocks_of, until_error
from tests.support.pcap import read_bytes as read
from tests.support.pcapng import NOW, block, interface, obsolete_packet, option, packet, section
from tests.support.wireshark import tshark_fields

# Reading


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("kind", [packet, obsolete_packet])
@pytest.mark.parametrize("chunk", [1, 40, 65536])
def test_packet_blocks_in_both_byte_orders(endian: str, kind: object, chunk: int) -> None:
    data = section(endian) + interface(276, endian=endian)
    data += b"".join(kind(10**15 + n, b"x" * n, endian=endian, wire=n + 7) for n in range(6))
    assert read(data, chunk=chunk) == [(10**18 + n * 1000, 276, b"x" * n, n + 7) for n in range(6)]


@pytest.mark.parametrize(
    ("resolution", "per_second"),
    [(code, 10**code) for code in (0, 3, 6, 9, 12)] + [(0x80 | code, 2**code) for code in (0, 10, 20, 30, 40)],
)
@pytest.mark.parametrize("offset", [None, 0, 1_600_000_000, -5])
def test_time_resolutions_and_offsets(resolution: int, per_second: int, offset: int | None) -> None:
    seconds = min(NOW // 10**9 - (offset or 0), 2**63 // per_second)
    ticks = seconds * per_second + per_second * 2 // 3
    options = [option(9, bytes([resolution]))] + ([] if offset is None else [option(14, struct.pack("<q", offset))])
    [(time_ns, *_)] = read(section() + interface(1, *options) + packet(ticks))
    exact = (Fraction(ticks, per_second) + (offset or 0)) * 10**9
    assert time_ns == exact.__floor__()


def test_microseconds_when_nothing_is_said() -> None:
    assert read(section() + interface() + packet(NOW // 1000))[0][0] == NOW // 1000 * 1000


def test_senseless_times_stay_within_63_bits() -> None:
    data = section() + interface(1, option(9, b"\0")) + packet(2**64 - 1)
    assert read(data)[0][0] == 2**63 - 1
    data = section() + interface(1, option(14, struct.pack("<q", -(2**62)))) + packet(1) + obsolete_packet(1)
    assert [p[0] for p in read(data)] == [0, 0]
    assert read(section() + interface(1, option(9, b"\xff")) + packet(2**64 - 1))[0][0] == 0
    assert read(section() + interface(1, option(9, b"\x7f")) + packet(2**64 - 1))[0][0] == 0


def test_several_interfaces_and_sections() -> None:
    data = (
        section()
        + interface(1, option(9, b"\x09"))
        + interface(101)
        + packet(NOW, b"eth")
        + packet(NOW // 1000, b"raw", 1)
        + packet(NOW, b"eth again")
        + interface(276, option(9, b"\x03"))
        + packet(NOW // 10**6, b"cooked", 2)
        + section(">")
        + interface(113, endian=">")
        + packet(NOW // 1000, b"other order", endian=">")
    )
    assert read(data) == [
        (NOW, 1, b"eth", 99),
        (NOW // 1000 * 1000, 101, b"raw", 99),
        (NOW, 1, b"eth again", 99),
        (NOW // 10**6 * 10**6, 276, b"cooked", 99),
        (NOW // 1000 * 1000, 113, b"other order", 99),
    ]


@pytest.mark.parametrize("snaplen", [0, 62])
def test_simple_packets_take_the_time_of_the_packet_before_them(snaplen: int) -> None:
    """Their captured length follows from the snap length: 62 bytes and 2 of padding here."""
    simple = block(3, struct.pack("<I", 60) + bytes(range(60)))
    cut = block(3, struct.pack("<I", 600) + bytes(range(snaplen or 88)))
    data = section() + interface(1, snaplen=snaplen) + simple + packet(NOW // 1000) + cut
    assert read(data) == [
        (0, 1, bytes(range(60)), 60),
        (NOW // 1000 * 1000, 1, b"data", 99),
        (NOW // 1000 * 1000, 1, bytes(range(snaplen or 88)), 600),
    ]


@pytest.mark.parametrize("chunk", [16, 65536])
def test_other_blocks_are_passed_over(chunk: int) -> None:
    """Name resolution, statistics, secrets, custom and unknown blocks, larger than a chunk or empty."""
    others = [block(kind, b"z" * size) for kind in (4, 5, 10, 0xBAD, 0x40000BAD) for size in (0, 8, 70_000)]
    data = section() + b"".join(others) + interface() + b"".join(packet(1000) + other for other in others)
    assert read(data, chunk=chunk) == [(10**6, 1, b"data", 99)] * 15


def test_options_after_a_packet_are_no_part_of_it() -> None:
    body = struct.pack("<IIIII", 0, 0, 1000, 3, 3) + b"abc\0" + option(1, b"a comment") + option(0, b"")
    assert read(section() + interface() + block(6, body)) == [(10**6, 1, b"abc", 3)]


def test_large_blocks_of_no_interest_are_not_held() -> None:
    class Endless(io.RawIOBase):
        """A block of 4 GB, of which 64 MB are there."""

        def __init__(self) -> None:
            self.head = section() + struct.pack("<II", 10, 4_000_000_000)
            self.left = 64 * 1024 * 1024

        def read(self, size: int = -1) -> bytes:
            if self.head:
                head, self.head = self.head, b""
                return head
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    reader = CaptureReader(Endless())  # type: ignore[arg-type]
    assert list(reader.batches()) == []
    assert "cut short after packet 0" in reader.warnings[0]


# Damage

GOOD = section() + interface() + packet(1000)
GOT = [(10**6, 1, b"data", 99)]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (struct.pack("<II", 6, 13) + bytes(100), "a block claims 13 bytes"),
        (struct.pack("<II", 6, 8) + bytes(100), "a block claims 8 bytes"),
        (struct.pack("<II", 6, 0) + bytes(100), "a block claims 0 bytes"),
        (struct.pack("<II", 6, 0xFFFFFFF0) + bytes(100), "a block claims 4294967280 bytes"),
        (struct.pack("<II", 1, 0xFFFFFFF0) + bytes(100), "a block claims 4294967280 bytes"),
        (bytes(100), "a block claims 0 bytes"),
        (packet(1000, index=1), "a packet of interface 1, which is not described before it"),
        (obsolete_packet(1000, index=7), "a packet of interface 7"),
        (section() + packet(1000), "a packet of interface 0"),
        (section() + block(3, bytes(16)), "a packet of interface 0"),
        (section()[:8] + bytes(20), "a section header without a byte order"),
        (block(6, struct.pack("<IIIII", 0, 0, 0, 500, 500) + bytes(8)), "500 bytes in a block that has room for 8"),
        (block(2, struct.pack("<HHIIII", 0, 0, 0, 0, 500, 500) + bytes(8)), "a packet of 500 bytes in a block"),
        (block(5, bytes(8))[:-4] + bytes(4), "a block begins with length 20 and ends with 0"),
        (interface()[:-4] + b"\x99\0\0\0", "a block begins with length 20 and ends with 153"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("then", [b"", packet(5)])
def test_damage_ends_the_capture_after_what_came_before(bad: bytes, says: str, then: bytes) -> None:
    got, error = until_error(GOOD + bad + then)
    assert got == GOT
    assert says in error
    assert "damaged after packet 1 at byte " in error


@pytest.mark.parametrize("chunk", [40, 64, 100, 10_000])
def test_the_second_length_of_a_packet_block_does_not_count_in_whatever_pieces_it_comes(chunk: int) -> None:
    data = GOOD + packet(2000)[:-4] + b"\x99\0\0\0" + packet(3000)
    reader = CaptureReader(io.BytesIO(data), chunk=chunk)
    got = [each for batch in reader.batches() for each in batch]
    assert [time_ns for time_ns, *_ in got[-2:]] == [2_000_000, 3_000_000]
    assert len(got) == len(GOT) + 2


def test_cut_anywhere() -> None:
    data = GOOD + block(5, bytes(40)) + packet(2000) + interface(101) + packet(3000, bytes(300), 1)
    ends = {0: 84, 1: 84 + 52 + 36, 2: len(data)}
    boundaries = {28, 48, 84, 136, 172, 192, len(data)}
    for kept in range(24, len(data) + 1):
        reader = CaptureReader(io.BytesIO(data[:kept]))
        got = [packet for batch in reader.batches() for packet in batch]
        assert len(got) == sum(end <= kept for end in ends.values())
        if kept in boundaries:
            assert reader.warnings == []
        else:
            assert f"cut short after packet {len(got)} (" in reader.warnings[0]
            assert reader.warnings[0].endswith("; everything before it is decoded")


def test_interfaces_are_bounded() -> None:
    got, error = until_error(section() + interface() * 65_537)
    assert got == []
    assert "more than 65536 interfaces" in error


# Options and comments


@pytest.mark.parametrize("endian", ["<", ">"])
def test_read_options(endian: str) -> None:
    options = [(1, b"a"), (2, b""), (1, b"abcd"), (2988, b"xyz")]
    data = b"".join(option(code, value, endian) for code, value in options)
    assert list(read_options(data, endian)) == options
    assert list(read_options(data + option(0, b"", endian) + option(1, b"behind the end", endian), endian)) == options
    assert list(read_options(data + struct.pack(endian + "HH", 1, 9) + b"short", endian)) == options
    assert list(read_options(data[:-1] + b"", endian))[:3] == options[:3]


@pytest.mark.parametrize("endian", ["<", ">"])
def test_blocks_are_given_byte_for_byte(endian: str) -> None:
    parts = [
        section(endian),
        interface(1, option(9, b"\x09", endian), endian=endian),
        packet(1, b"abc", endian=endian),
        block(0x777, b"what is this", endian),
        obsolete_packet(2, endian=endian),
        block(3, bytes(20), endian),
    ]
    got = blocks_of(b"".join(parts))
    assert [one.raw for one in got] == parts
    assert [one.type for one in got] == [0x0A0D0D0A, 1, 6, 0x777, 2, 3]
    assert {one.endian for one in got} == {endian}


def test_blocks_of_no_pcapng() -> None:
    with pytest.raises(CaptureError, match="is not a pcapng capture"):
        blocks_of(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))


# Against other programs


@pytest.mark.parametrize("snaplen", [None, 64])
def test_what_mergecap_and_editcap_write(snaplen: int | None, tmp_path: Path) -> None:
    """Several interfaces with resolutions of their own in one file, as Wireshark's tools write them."""
    for name in ("mergecap", "editcap", "tshark"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    for index, (linktype, resolution, scale) in enumerate([(1, 6, 1000), (101, 9, 1)]):
        data = section() + interface(linktype, option(9, bytes([resolution])))
        data += b"".join(packet((NOW + n * 10**6) // scale, bytes(80 + n), wire=80 + n) for n in range(index, 40, 2))
        (tmp_path / f"{index}.pcapng").write_bytes(data)
    merged_file, file = tmp_path / "merged.pcapng", tmp_path / "out.pcapng"
    subprocess.run(["mergecap", "-w", merged_file, tmp_path / "0.pcapng", tmp_path / "1.pcapng"], check=True)
    subprocess.run(["editcap", *(["-s", str(snaplen)] if snaplen else []), merged_file, file], check=True)
    rows = [
        (f"{time_ns // 10**9}.{time_ns % 10**9:09}", str(len(data)), str(wire), "1" if linktype == 1 else "7")
        for time_ns, linktype, data, wire in read(file.read_bytes())
    ]
    seen = tshark_fields(file, "frame.time_epoch", "frame.cap_len", "frame.len", "frame.encap_type")
    assert rows == [tuple(row) for row in seen]
    assert len(rows) == 40
    apart = merged([CaptureReader(tmp_path / f"{index}.pcapng") for index in range(2)], lambda *_: None)
    if not snaplen:
        assert [packet for batch in apart for packet in batch] == read(file.read_bytes())


# Hostile


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damage_anywhere_raises_nothing_but_a_capture_error(data: st.DataObject) -> None:
    parts = [
        section(),
        interface(1, option(9, b"\x09"), option(14, bytes(8)), option(0, b"")),
        packet(NOW, b"abc"),
        block(5, bytes(40)),
        obsolete_packet(NOW),
        block(3, struct.pack("<I", 6) + b"simple"),
        section(">"),
        interface(101, endian=">"),
        packet(NOW, endian=">"),
    ]
    chosen = data.draw(
        st.lists(st.sampled_from(parts), max_size=8).map(lambda some: [parts[0], *some]) | st.just(parts)
    )
    damaged = bytearray(b"".join(chosen))
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(4, len(damaged) - 1))
        damaged[at] = data.draw(st.sampled_from([0, 1, 2, 3, 6, 0xFF]) | st.integers(0, 255))
    del damaged[data.draw(st.integers(len(damaged) // 2, len(damaged))) :]
    source = bytes(damaged)
    got: list[RawPacket] = []
    try:
        for batch in CaptureReader(io.BytesIO(source), chunk=data.draw(st.sampled_from([1, 33, 65536]))).batches():
            got += batch
    except CaptureError as error:
        note(str(error))
    assert sum(len(one[2]) for one in got) <= len(source)
    assert all(0 <= one[0] < 2**63 for one in got)
    copied = b""
    try:
        for one in CaptureReader(io.BytesIO(source)).blocks():
            copied += one.raw
            with_comment(one, "comment")
    except CaptureError as error:
        note(str(error))
    assert source.startswith(copied)
