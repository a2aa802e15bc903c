"""The 44-byte header, against the struct format of the official SDK and headers written by hand."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from decoder.framing.header import (
    BODY_LEN,
    DIGEST,
    FORMAT,
    HEADER,
    HEADER_LEN,
    PROTO_ID,
    SERIAL_NO,
    Header,
    begins_with_header,
    may_begin_header,
    plausible,
)

MAX_BODY = 1_000


def written(**fields: Any) -> bytes:
    """A header by its description: every field at its offset, little-endian."""
    values: dict[str, Any] = {
        "magic": b"FT",
        "proto_id": 1004,
        "format": 0,
        "version": 0,
        "serial_no": 7,
        "body_len": 5,
        **fields,
    }
    data = bytearray(44)
    data[0:2] = values["magic"]
    struct.pack_into("<I", data, 2, values["proto_id"])
    data[6], data[7] = values["format"], values["version"]
    struct.pack_into("<I", data, 8, values["serial_no"])
    struct.pack_into("<I", data, 12, values["body_len"])
    data[16:36] = values.get("sha1", bytes(range(20)))
    data[36:44] = values.get("reserved", bytes(8))
    return bytes(data)


def read(**fields: Any) -> Header:
    return HEADER.unpack(written(**fields))


def test_every_field_stands_at_its_offset() -> None:
    header = read(proto_id=3004, format=1, version=2, serial_no=0xFFFFFFFF, body_len=123_456)
    assert HEADER_LEN == 44
    assert header == (b"FT", 3004, 1, 2, 0xFFFFFFFF, 123_456, bytes(range(20)), bytes(8))
    fields = header[PROTO_ID], header[FORMAT], header[SERIAL_NO], header[BODY_LEN], header[DIGEST]
    assert fields == (3004, 1, 0xFFFFFFFF, 123_456, bytes(range(20)))


def test_the_format_is_that_of_the_sdk() -> None:
    constants = pytest.importorskip("futu.common.constant")
    assert struct.calcsize(constants.MESSAGE_HEAD_FMT) == HEADER_LEN
    head = written(proto_id=2202, serial_no=9, body_len=77)
    first, second, *fields = struct.unpack(constants.MESSAGE_HEAD_FMT, head)
    assert (first + second, *fields) == HEADER.unpack(head)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"format": 1}, True),
        ({"proto_id": 1000}, True),
        ({"proto_id": 9999}, True),
        ({"body_len": MAX_BODY}, True),
        ({"magic": b"FX"}, False),
        ({"proto_id": 999}, False),
        ({"proto_id": 10_000}, False),
        ({"format": 2}, False),
        ({"version": 1}, False),
        ({"body_len": MAX_BODY + 1}, False),
        ({"reserved": bytes(7) + b"\x01"}, False),
    ],
    ids=str,
)
def test_a_header_is_plausible_as_clients_write_it(fields: dict[str, object], expected: bool) -> None:
    assert plausible(read(**fields), MAX_BODY) is expected
    assert begins_with_header(written(**fields) + b"body", MAX_BODY) is expected
    assert may_begin_header(written(**fields) + b"body", MAX_BODY) is expected


def test_any_beginning_of_a_header_may_become_one() -> None:
    head = written(proto_id=3456, serial_no=0xFFFFFFFF, body_len=MAX_BODY)
    for size in range(1, 44):
        assert may_begin_header(head[:size], MAX_BODY), size
        assert not begins_with_header(head[:size], MAX_BODY)
    assert not may_begin_header(b"", MAX_BODY)


def test_a_wrong_byte_ends_that() -> None:
    head = written()
    for place in (0, 1, 4, 6, 7, 15, 40):
        damaged = head[:place] + b"\xf0" + head[place + 1 :]
        assert not may_begin_header(damaged[: place + 1], MAX_BODY), place
