"""Streams of the protocol, told from others by their first bytes."""

from __future__ import annotations

import pytest

from decoder.framing.recognition import begins_like_others, begins_with_message, is_of_client
from tests.support.exchange import frame
from tests.support.websocket import ACCEPTED, UPGRADE, reply, request, ws

BODY = b"\x0a\x02\x08\x00"


@pytest.mark.parametrize(
    ("data", "message", "like_others", "by_client"),
    [
        (frame(1004, BODY), True, False, None),
        (ws(frame(1004, BODY), masked=True), True, False, True),
        (ws(frame(1004, BODY)), True, False, False),
        (ws(request(1004, 1, BODY), masked=True), True, False, True),
        (ws(reply(1004, 1, b"\x08\x00")), True, False, False),
        (UPGRADE, False, True, True),
        (ACCEPTED, False, False, None),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", False, False, None),
        (ws(b"something of another server"), False, False, None),
        (b"", False, False, None),
    ],
)
def test_first_bytes(data: bytes, message: bool, like_others: bool, by_client: bool | None) -> None:
    assert begins_with_message(data, 1000) == message
    assert begins_like_others(data) == like_others
    assert is_of_client(data) is by_client
