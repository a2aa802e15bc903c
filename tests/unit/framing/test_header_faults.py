"""Headers that clients write almost right, and what is said about them."""

from __future__ import annotations

import ctypes
import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.framing.header_faults import header_fault, length_counts_header, length_fault, unconfirmed_header
from tests.support.exchange import frame, init_request

BODY = init_request()
RIGHT = frame(1001, BODY)


def written(layout: str, *, magic: bytes = b"FT", proto_id: int = 1001, fmt: int = 0, version: int = 0) -> bytes:
    return struct.pack(layout, magic, proto_id, fmt, version, 1, len(BODY), hashlib.sha1(BODY).digest(), bytes(8))


def padded(base: type[ctypes.Structure]) -> bytes:
    """The header as a C compiler lays it out without a pragma."""

    class CHeader(base):  # type: ignore[misc, valid-type]
        _fields_ = (
            ("flag", ctypes.c_char * 2),
            ("proto_id", ctypes.c_uint32),
            ("fmt", ctypes.c_uint8),
            ("version", ctypes.c_uint8),
            ("serial_no", ctypes.c_uint32),
            ("body_len", ctypes.c_uint32),
            ("sha1", ctypes.c_uint8 * 20),
            ("reserved", ctypes.c_uint8 * 8),
        )

    digest = (ctypes.c_uint8 * 20)(*hashlib.sha1(BODY).digest())
    return bytes(CHeader(b"FT", 1001, 0, 0, 1, len(BODY), digest))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (written("<2sIBBII20s8s", version=1), "version is 1"),
        (written("<2sIBBII20s8s", fmt=2), "body format is 2"),
        (RIGHT[:36] + b"\0\0\0\0\0\0\0\1", "reserved bytes are set"),
        (RIGHT[:36] + BODY, "reserved bytes are missing"),
        (written(">2sIBBII20s8s"), "numbers are big-endian"),
        (written(">2sIBBII20s8s", version=3), "version is 3"),
        (padded(ctypes.LittleEndianStructure), "padded to 48 bytes; pack"),
        (padded(ctypes.BigEndianStructure), "big-endian and its fields padded"),
        (written("<2sIBBII20s8s", magic=b"TF"), "begins with TF"),
        (written("<2sIBBII20s8s", magic=b"ft"), "begins with ft"),
    ],
)
def test_faults_are_named(header: bytes, said: str) -> None:
    for data in (header + BODY, (header + BODY)[:64]):
        assert said in (header_fault(data) or "")


def test_a_long_body_in_place_of_the_reserved_bytes() -> None:
    body = b"\x0a\xc8\x01" + bytes(200)
    header = struct.pack("<2sIBBII20s", b"FT", 1001, 0, 0, 1, len(body), hashlib.sha1(body).digest())
    assert "missing" in (header_fault((header + body)[:64]) or "")


@pytest.mark.parametrize(
    "data",
    [
        RIGHT,
        RIGHT[:43],
        b"",
        b"FT",
        b"FTP server ready, and so it goes on for more than 44 bytes",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:11111\r\nUpgrade: websocket\r\n\r\n",
        b"\x16\x03\x01" + bytes(61),
        # OpenD's own link to its servers: 32 bytes, big-endian, version 39 (facts of a re-implementation).
        b"FT" + bytes([39, 1]) + struct.pack(">HBIBIHI8xH", 900, 1, 12345, 0, 7, 6801, 100, 0) + bytes(30),
    ],
)
def test_nothing_is_said_about_other_bytes(data: bytes) -> None:
    assert header_fault(data) is None


@given(st.binary(max_size=64) | st.binary(max_size=62).map(lambda data: b"FT" + data))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    said = header_fault(data)
    assert said is None or said.isprintable()


def test_a_length_that_counts_the_header() -> None:
    digest = hashlib.sha1(BODY).digest()
    for length, expected in ((len(BODY) + 44, True), (len(BODY), False), (44, False), (0, False)):
        header = (b"FT", 1001, 0, 0, 1, length, digest, bytes(8))
        assert length_counts_header(header, BODY + b"more") is expected


def test_a_length_that_counts_the_header_is_told_from_the_size_of_the_stream_too() -> None:
    header = RIGHT[:12] + (len(BODY) + 44).to_bytes(4, "little") + RIGHT[16:44]
    assert "own 44 bytes" in (length_fault(header + BODY, 44 + len(BODY)) or "")
    for sent in (43 + len(BODY), 45 + len(BODY), 88 + len(BODY)):
        assert length_fault(header + BODY, sent) is None
    assert length_fault(b"GET / HTTP/1.1".ljust(64), len(BODY) + 44) is None


def test_what_is_there_of_a_message_is_said() -> None:
    for cut, said in (
        (20, "20 of 44 bytes"),
        (44, f"0 of {len(BODY)} bytes"),
        (len(RIGHT) - 1, f"{len(BODY) - 1} of "),
    ):
        assert said in (unconfirmed_header(RIGHT[:cut], cut) or "")
    assert "nothing proves" in (unconfirmed_header(RIGHT, len(RIGHT)) or "")
    for other in (b"FTP server ready, and so it goes on for more than 44 bytes", b"FTP ready", b"", b"FT" * 30):
        assert unconfirmed_header(other, len(other)) is None


@given(st.binary(max_size=64) | st.binary(max_size=62).map(lambda data: b"FT" + data), st.integers(0, 1 << 40))
def test_no_bytes_make_these_raise(data: bytes, sent: int) -> None:
    for said in (length_fault(data, sent), unconfirmed_header(data, sent)):
        assert said is None or said.isprintable()
