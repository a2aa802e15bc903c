"""Which framing a direction has, by the first bytes that came."""

from __future__ import annotations

import pytest

from decoder.framing.framer import Framer
from decoder.framing.websocket_framer import WebSocketFramer
from tests.unit.conversation.test_half_connection import FRAME, opened

UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"


def test_a_message_at_the_start_lies_bare_in_the_stream() -> None:
    bench = opened()
    bench.client.handle_data(bench.segment(1_000, FRAME))
    assert isinstance(bench.client.framer, Framer)
    assert bench.client.flow.transport == "tcp"
    assert bench.shared.upgrade is None


def test_an_upgrade_changes_both_directions() -> None:
    pytest.importorskip("websockets")
    bench = opened()
    bench.client.handle_data(bench.segment(1_000, UPGRADE))
    for half in (bench.client, bench.gateway):
        assert isinstance(half.framer, WebSocketFramer)
        assert half.flow.transport == "websocket"
    assert bench.shared.info.websocket is bench.shared.upgrade


def test_no_upgrade_comes_once_a_message_was_found() -> None:
    bench = opened()
    bench.client.handle_data(bench.segment(1_000, FRAME))
    bench.client.handle_data(bench.segment(1_000 + len(FRAME), UPGRADE))
    assert isinstance(bench.client.framer, Framer)
