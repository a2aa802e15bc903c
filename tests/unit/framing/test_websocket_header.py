"""Headers inside WebSocket messages, written by hand from `base.js` of the official JavaScript SDK."""

from __future__ import annotations

import pytest

from decoder.framing.websocket_header import REPLY_HEADER_LEN, REQUEST_HEADER_LEN, WebSocketHeader, read_header


def test_a_request_has_20_bytes_big_endian() -> None:
    data = b"ft-v1.0\0" + bytes.fromhex("000003ea0000000000000102") + b"body"
    assert read_header(data, True) == WebSocketHeader(20, 1002, 258, 0, b"")
    assert REQUEST_HEADER_LEN == 20


def test_a_reply_has_44_with_an_error_and_its_text() -> None:
    data = b"ft-v1.0\0" + bytes.fromhex("000003ea000000000000010200000002") + b"time out".ljust(20, b"\0")
    header = read_header(data + b"body", False)
    assert header == WebSocketHeader(44, 1002, 258, 2, b"time out")
    assert header is not None
    assert header.told_error == {"code": 2, "message": "time out"}
    assert REPLY_HEADER_LEN == 44


def test_a_text_that_is_cut_inside_a_character_loses_no_more_than_that() -> None:
    text = "连接断开了吗好吧".encode()[:20]
    header = read_header(b"ft-v1.0\0" + bytes(12) + b"\0\0\0\x03" + text, False)
    assert header is not None
    assert header.told_error == {"code": 3, "message": "连接断开了吗"}


def test_no_error_is_none() -> None:
    header = read_header(b"ft-v1.0\0" + bytes(36), False)
    assert header is not None
    assert header.told_error is None


@pytest.mark.parametrize(("data", "from_client"), [(b"ft-v1.0\0" + bytes(11), True), (b"ft-v1.0\0" + bytes(35), False)])
def test_a_header_that_is_not_all_there_is_none(data: bytes, from_client: bool) -> None:
    assert read_header(data, from_client) is None


def test_other_bytes_are_none() -> None:
    assert read_header(b"ft-v1.1\0" + bytes(40), True) is None
    assert read_header(b"FT" + bytes(60), False) is None
