"""A capture again with comments: every block as it was, in both byte orders, on several interfaces."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from scapy.utils import RawPcapNgReader

from tests.support.annotated import annotated, blocks, comments, run
from tests.support.pcapng import block, option
from tests.support.session import Session, book, request, response, write_pcap
from tests.support.wireshark import tshark_fields

tshark_needed = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def section(order: str, length: int, options: bytes = b"") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length) + options, order)


def interface(linktype: int, resolution: int, order: str = "<") -> bytes:
    options = option(2, b"card", order) + option(9, bytes([resolution]), order) + option(0, b"", order)
    return block(1, struct.pack(order + "HHI", linktype, 0, 262_144) + options, order)


def packet(number: int, ticks: int, data: bytes, order: str = "<", options: bytes = b"") -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data + bytes(-len(data) % 4) + options, order)


def old_packet(number: int, ticks: int, data: bytes, order: str = "<") -> bytes:
    head = struct.pack(order + "HHIIII", number, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(2, head + data + bytes(-len(data) % 4), order)


def two_interfaces(order: str) -> bytes:
    """A session on two interfaces: Ethernet in nanoseconds, raw IP in microseconds; with every other kind of block."""
    session = Session().hello()
    session.talk(1004, request("KeepAlive", time=1), response("KeepAlive", time=1)).push(3013, book()).close()
    out = section(order, 123_456, option(4, b"the application", order) + option(0, b"", order))
    out += interface(1, 9, order) + block(4, struct.pack(order + "HH", 0, 0), order)
    out += interface(101, 6, order) + block(0xBAD, struct.pack(order + "I", 32473) + b"a custom block", order)
    for place, (data, time_ns) in enumerate(session.packets):
        if place % 3 == 0:
            kept = option(1, b"a comment of old", order) + option(2, bytes(4), order) + option(0, b"", order)
            out += packet(0, time_ns, data, order, kept)
        elif place % 3 == 1:
            out += packet(1, time_ns // 1000, data[14:], order)
        else:
            out += old_packet(0, time_ns, data, order)
        if place == 4:
            out += block(5, struct.pack(order + "III", 0, 0, 0), order) + block(0xABCD, b"of a kind to come", order)
    return out + block(10, b"\x4b\x53\x4c\x54\0\0\0\0", order)


def without_first_comment(raw: bytes, order: str) -> tuple[bytes, str | None]:
    """A packet block as it was before it got its comment, and that comment."""
    (captured,) = struct.unpack_from(order + "I", raw, 20)
    start = 28 + captured + -captured % 4
    if start == len(raw) - 4:
        return raw, None
    code, length = struct.unpack_from(order + "HH", raw, start)
    assert code == 1
    text = raw[start + 4 : start + 4 + length].decode()
    if not text.startswith("OpenD"):
        return raw, None
    after = start + 4 + length + -length % 4
    rest = raw[after:-4]
    if rest == struct.pack(order + "HH", 0, 0):
        rest = b""
    (kind,) = struct.unpack_from(order + "I", raw)
    return block(kind, raw[8:start] + rest, order), text


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_keeps_every_block(order: str, tmp_path: Path) -> None:
    source, out = tmp_path / "in.pcapng", tmp_path / "out.pcapng"
    source.write_bytes(two_interfaces(order))
    annotated(source, out)
    before, after = blocks(source), blocks(out)
    assert [kind for kind, _ in before] == [kind for kind, _ in after]
    texts = []
    for (kind, old), (_, new) in zip(before, after, strict=True):
        if kind == 0x0A0D0D0A:
            # The section grew: a length that was given is given no more.
            assert new == old[:16] + struct.pack(order + "q", -1) + old[24:]
        elif kind in (2, 6):
            original, text = without_first_comment(new, order)
            assert original == old
            texts.append(text)
        else:
            assert new == old
    with_payload = ["1: InitConnect", "2: InitConnect", "3: KeepAlive", "4: KeepAlive", "5: Qot_UpdateOrderBook"]
    said = [text for text in texts if text]
    assert [
        text.partition("OpenD ")[2][: len(start)] for text, start in zip(said, with_payload, strict=False)
    ] == with_payload
    assert said[5] == "OpenD: the client closes connection 0"
    assert len(said) == 6


@tshark_needed
def test_two_interfaces_in_tshark(tmp_path: Path) -> None:
    source, out = tmp_path / "in.pcapng", tmp_path / "out.pcapng"
    source.write_bytes(two_interfaces("<"))
    annotated(source, out)
    fields = ("frame.interface_id", "frame.time_epoch", "frame.len", "frame.encap_type", "ip.src", "tcp.payload")
    assert tshark_fields(out, *fields) == tshark_fields(source, *fields)
    texts = [row[0] for row in tshark_fields(out, "frame.comment")]
    assert sum("OpenD" in text for text in texts) == 6
    assert sum("a comment of old" in text for text in texts) == sum(
        "a comment of old" in row[0] for row in tshark_fields(source, "frame.comment")
    )


def test_simple_packets_hold_no_comment(tmp_path: Path) -> None:
    session = Session().hello().push(3013, book())
    data = section("<", -1) + interface(1, 6)
    for frame_bytes, _ in session.packets:
        data += block(3, struct.pack("<I", len(frame_bytes)) + frame_bytes + bytes(-len(frame_bytes) % 4))
    source, out = tmp_path / "in.pcapng", tmp_path / "out.pcapng"
    source.write_bytes(data)
    result = run(source, "-o", out)
    assert result.exit_code == 0
    assert "3 comments left out" in result.stderr
    assert out.read_bytes() == data


def test_joined_captures_of_two_link_types(tmp_path: Path) -> None:
    session = Session().hello()
    first, second = write_pcap(tmp_path / "a.pcap", session), tmp_path / "b.pcap"
    raw = Session(client_port=50113).hello()
    raw.packets = [(data[14:], at) for data, at in raw.packets]
    data = bytearray(write_pcap(second, raw).read_bytes())
    data[20:24] = (101).to_bytes(4, "little")
    joined = tmp_path / "joined.pcap"
    joined.write_bytes(first.read_bytes() + bytes(data))
    out = annotated(joined, tmp_path / "out.pcapng")
    found = [kind for kind, _ in blocks(out)]
    assert found.count(1) == 2
    links = [meta.linktype for _, meta in RawPcapNgReader(str(out))]
    assert links == [1] * len(session.packets) + [101] * len(raw.packets)
    assert len(comments(out)) == 4
