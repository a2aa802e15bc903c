"""pcapng blocks that this package writes, and comments that it adds, as other programs read them."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import rdpcap, wrpcapng

from decoder.capture.pcapng import Block, read_options
from decoder.capture.pcapng_writer import interface_block, packet_block, section_block, with_comment
from decoder.capture.reader import CaptureReader
from tests.support.pcap import blocks_of
from tests.support.pcap import read_bytes as read
from tests.support.pcapng import NOW, block, interface, obsolete_packet, option, packet, section
from tests.support.wireshark import tshark_fields


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", b"abcd"])
@pytest.mark.parametrize("comment", ["", "x", "four", "message 17: Qot_GetBasicQot «é»"])
def test_a_comment_is_put_before_the_other_options(endian: str, data: bytes, comment: str) -> None:
    head = struct.pack(endian + "IIIII", 0, 0, 5, len(data), 60) + data + bytes(-len(data) % 4)
    there = option(2, b"\1\2\3\4", endian) + option(1, b"an older comment", endian) + option(0, b"", endian)
    for old, options in (
        (block(6, head, endian), []),
        (block(6, head + there, endian), [(2, b"\1\2\3\4"), (1, b"an older comment")]),
    ):
        new = with_comment(Block(6, endian, old), comment)
        assert new[8 : 8 + len(head)] == head
        assert struct.unpack(endian + "I", new[4:8]) == struct.unpack(endian + "I", new[-4:]) == (len(new),)
        assert list(read_options(new[8 + len(head) : -4], endian)) == [(1, comment.encode()), *options]
        assert new[-8:-4] == bytes(4)


def test_blocks_without_options_stay_as_they_are() -> None:
    for raw in (block(3, bytes(20)), block(5, bytes(20)), block(6, struct.pack("<IIIII", 0, 0, 0, 9999, 9999))):
        kind = struct.unpack("<I", raw[:4])[0]
        assert with_comment(Block(kind, "<", raw), "comment") == raw


def test_a_comment_is_cut_between_characters_to_what_an_option_holds() -> None:
    new = with_comment(Block(6, "<", packet(1)), "é" * 40_000)
    [(code, value)] = read_options(new[32:-4], "<")
    assert (code, value.decode()) == (1, "é" * 32_767)
    new = with_comment(Block(6, "<", packet(1)), "\ud800")
    assert [value for _, value in read_options(new[32:-4], "<")] == [b"?"]


def test_what_we_write_reads_back() -> None:
    data = (
        section_block()
        + interface_block(101, 96)
        + packet_block(0, NOW, b"abcde", 60)
        + packet_block(0, NOW + 1, b"", 0, "x")
    )
    reader = CaptureReader(io.BytesIO(data))
    assert list(reader.batches()) == [[(NOW, 101, b"abcde", 60), (NOW + 1, 101, b"", 0)]]
    assert reader.interfaces[0].snaplen == 96


def test_what_we_write_as_tshark_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "out.pcapng"
    file.write_bytes(
        section_block()
        + interface_block(1)
        + interface_block(101)
        + packet_block(0, NOW, bytes(60), 1500, "gateway says: RET_OK «é»")
        + packet_block(1, NOW + 1, bytes(21), 21)
    )
    assert tshark_fields(
        file, "frame.time_epoch", "frame.cap_len", "frame.len", "frame.interface_id", "frame.comment"
    ) == [
        ["1700000000.123456789", "60", "1500", "0", "gateway says: RET_OK «é»"],
        ["1700000000.123456790", "21", "21", "1", ""],
    ]


@pytest.mark.parametrize("endian", ["<", ">"])
def test_comments_as_tshark_and_scapy_read_them(endian: str, tmp_path: Path) -> None:
    ours = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", type=0x9000) / Raw(b"odd length!")
    original = (
        section(endian)
        + interface(1, endian=endian)
        + packet(NOW // 1000, bytes(ours), endian=endian)
        + obsolete_packet(NOW // 1000, bytes(ours), endian=endian)
        + packet(NOW // 1000, bytes(ours), endian=endian)
    )
    once = b"".join(with_comment(one, f"type {one.type}") for one in blocks_of(original))
    twice = b"".join(with_comment(one, "newer") for one in blocks_of(once))
    assert read(twice) == read(original)
    file = tmp_path / "commented.pcapng"
    file.write_bytes(twice)
    assert [row[0] for row in tshark_fields(file, "frame.comment")] == ["newer,type 6", "newer,type 2", "newer,type 6"]
    assert bytes(rdpcap(str(file))[0]) == bytes(ours)
    if shutil.which("capinfos"):
        assert subprocess.run(["capinfos", str(file)], capture_output=True).returncode == 0


def test_comments_that_scapy_wrote_are_kept(tmp_path: Path) -> None:
    one = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", type=0x9000) / Raw(b"body")
    one.time = 1_700_000_000
    one.comments = [b"by Scapy"]
    file = tmp_path / "scapy.pcapng"
    wrpcapng(str(file), [one])
    file.write_bytes(b"".join(with_comment(part, "ours") for part in blocks_of(file.read_bytes())))
    [back] = rdpcap(str(file))
    assert bytes(back) == bytes(one)
    assert back.comments == [b"ours", b"by Scapy"]
