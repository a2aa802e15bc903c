"""Target `readers`: the input is a capture file."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Iterator

from decoder.capture.pcapng import MAX_PACKET, SECTION_HEADER
from decoder.capture.pcapng_writer import interface_block, packet_block, with_comment, with_open_end
from decoder.capture.reader import CaptureReader, RawPacket
from decoder.capture.source import CHUNK
from decoder.errors import CaptureError

from . import recordings

MAX_LEN = 1_500
_COMMENT = "Größe"
_SMALL_CHUNK = 61  # no record is whole in the buffer: the slow road of each reader


def check(data: bytes) -> None:
    """Nothing but CaptureError comes out; what is read is in the file, and the same however the file comes in."""
    packets, problem = _read(data)
    again = _read(data, _SMALL_CHUNK)
    if "compressed data is damaged" in problem + again[1]:
        # zlib gives nothing of a piece in which it meets damage, so the last packet before it depends on the pieces.
        assert again[0] == packets[: len(again[0])] or packets == again[0][: len(packets)]
    else:
        assert again == (packets, problem), "other packets when the file comes in small pieces"
    for time_ns, linktype, captured, wire_len in packets:
        assert 0 <= time_ns < 2**63
        assert 0 <= linktype < 2**16
        assert len(captured) <= MAX_PACKET
        assert 0 <= wire_len < 2**32
    if not data.startswith(b"\x1f\x8b"):
        assert sum(16 + len(packet[2]) for packet in packets) <= len(data), "more packets than the file can hold"
        if data.startswith(b"\n\r\r\n"):
            _check_blocks(data)


def _read(data: bytes, chunk: int = CHUNK) -> tuple[list[RawPacket], str]:
    """The packets of a file, and what is wrong with it."""
    reader = CaptureReader(io.BytesIO(data), chunk=chunk)
    packets: list[RawPacket] = []
    problem = ""
    try:
        for batch in reader.batches():
            assert batch, "an empty batch: no progress"
            packets += batch
    except CaptureError as error:
        problem = str(error)
    assert reader.packets == len(packets)
    problem = "; ".join((problem, *reader.warnings))
    assert problem.isprintable()
    # What is no capture is named after the bytes at hand.
    return packets, "no capture" if ": is " in problem and not packets else problem


def _check_blocks(data: bytes) -> None:
    """Blocks are copied byte for byte, and comments that are added to packets change none of them."""
    blocks = []
    try:
        for block in CaptureReader(io.BytesIO(data)).blocks():
            blocks.append(block)
    except CaptureError:
        pass
    whole = b"".join(block.raw for block in blocks)
    assert data.startswith(whole)
    changed = [
        with_open_end(block) if block.type == SECTION_HEADER else with_comment(block, _COMMENT) for block in blocks
    ]
    assert _read(b"".join(changed))[0] == _read(whole)[0], "comments changed the packets"
    for block, raw in zip(blocks, changed, strict=True):
        if len(raw) > len(block.raw):
            (captured,) = struct.unpack_from(block.endian + "I", raw, 20)
            options = raw[28 + captured + -captured % 4 :]
            assert options[4:].startswith(_COMMENT.encode()), "the comment is not the first option"


def seeds() -> Iterator[bytes]:
    """The starts of the recordings; every form of header and block; compressed ones."""
    plain = [data for name, data in recordings.files().items() if not name.endswith(".gz")]
    yield recordings.files()["reconnect.pcap.gz"][:MAX_LEN]
    small = [*_pcaps(), *_pcapngs()]
    for data in (*small, *(data[:size] for data in plain for size in (300, MAX_LEN))):
        yield data
    for data in small:
        yield gzip.compress(data, mtime=0)
    yield gzip.compress(small[0], mtime=0) + gzip.compress(small[-1], mtime=0) + bytes(8)
    for magic in (b"PK\x03\x04", b"BZh91AY", b"\xfd7zXZ\x00", b"-----BEGIN RSA", b"GMBU\x00", b"some text\n"):
        yield magic + bytes(30)


def _pcaps() -> Iterator[bytes]:
    """Both byte orders of the three kinds of pcap; two joined end to end."""
    for order in "<>":
        for magic, extra in ((0xA1B2C3D4, b""), (0xA1B23C4D, b""), (0xA1B2CD34, bytes(8))):
            data = struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, 96, 1)
            for size in (60, 0, 7):
                data += struct.pack(order + "IIII", 1_700_000_000 + size, 999_999, size, size) + extra + b"F" * size
            yield data
            yield data + data[:24] + data[24:50]


def _pcapngs() -> Iterator[bytes]:
    """Both byte orders; each kind of block; each option that is read."""
    for order in "<>":

        def block(kind: int, body: bytes, order: str = order) -> bytes:
            size = 12 + len(body)
            return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)

        def option(code: int, value: bytes, order: str = order) -> bytes:
            return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

        section = block(SECTION_HEADER, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + option(1, b"comment"))
        interfaces = [
            block(1, struct.pack(order + "HHI", 1, 0, 96) + options + option(0, b""))
            for options in (
                option(9, b"\x06"),
                option(9, b"\x09") + option(14, struct.pack(order + "q", -3_600)),
                option(2, b"eth0") + option(9, b"\x8a"),
            )
        ]
        data = section + b"".join(interfaces)
        for index in range(3):
            head = struct.pack(order + "IIIII", index, 389_804, 12_345, 5, 60)
            data += block(6, head + b"abcde\0\0\0" + option(1, b"hi") + option(0, b""))
        data += block(3, struct.pack(order + "I", 4) + b"wxyz")
        data += block(2, struct.pack(order + "HHIIII", 1, 7, 389_804, 9, 4, 4) + b"wxyz")
        yield data + block(5, bytes(12)) + section + interfaces[1]
    yield section + interface_block(101) + packet_block(0, 10**18, b"abc", 1500, "x" * 30)
