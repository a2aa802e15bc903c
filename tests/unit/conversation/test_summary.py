"""Facts about connections, and what is said of those that carry something else."""

from __future__ import annotations

import pytest

from decoder.conversation.summary import MAX_NOTED, ConnectionInfo, Summary, protocol_of
from decoder.framing.websocket_upgrade import Upgrade


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "HTTP"),
        (b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\n\r\n", "WebSocket"),
        (b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: y\r\n\r\n", "WebSocket"),
        (bytes.fromhex("1603010200"), "TLS"),
        (bytes.fromhex("1703030020"), "TLS"),
        (b"FT\x00\x00", None),
        (b"", None),
    ],
)
def test_other_protocols_are_known_by_their_first_bytes(data: bytes, name: str | None) -> None:
    assert protocol_of(data) == name


def info(**fields: object) -> ConnectionInfo:
    found = ConnectionInfo(0, "a:1", "b:2", 0, 0)
    for name, value in fields.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"syn_seen": True, "reset": True, "closed_by": "server"}, "refused"),
        ({"syn_seen": True}, "unreachable"),
        ({"syn_seen": True, "reset": True, "closed_by": "client"}, "unreachable"),
        ({"syn_seen": True, "syn_ack_seen": True, "closed_by": "server"}, "closed-before-login"),
        ({"syn_seen": True, "syn_ack_seen": True}, "silent"),
        ({"closed_by": "client"}, "silent"),  # its beginning was not seen
    ],
)
def test_how_a_connection_without_a_byte_came_to_nothing(fields: dict[str, object], word: str) -> None:
    assert info(**fields).no_message == word
    assert info(**fields).silent


def test_one_byte_and_it_was_neither_refused_nor_unanswered() -> None:
    spoke = info(syn_seen=True, reset=True, closed_by="server", bytes={"c2s": 1, "s2c": 0})
    assert [spoke.silent, spoke.refused, spoke.unanswered] == [False] * 3


def test_a_websocket_counts_once_it_was_accepted() -> None:
    upgrade = Upgrade()
    connection = info(websocket=upgrade)
    transports = []
    for upgrade.accepted in (False, True):
        transports.append(connection.transport)
    assert transports == ["tcp", "websocket"]
    assert connection.other_protocol == "WebSocket"


def test_either_end_may_show_what_it_is() -> None:
    tls = info(first_bytes={"c2s": b"", "s2c": bytes.fromhex("1603030000")})
    assert tls.other_protocol == "TLS"
    assert "this is TLS" in tls.why_not_opend
    assert "SSLKEYLOGFILE" in tls.why_not_opend
    big_endian = b"FT" + bytes.fromhex("000003e900000000000100000005") + bytes(28)
    wrong = info(first_bytes={"c2s": big_endian, "s2c": b""})
    assert "big-endian" in wrong.why_not_opend
    assert "no message header found" in info().why_not_opend


def test_a_line_of_the_summary_is_said_once_and_lines_are_bounded() -> None:
    summary = Summary()
    for number in (1, 1, *range(1_000)):
        summary.report(f"line {number}")
    assert len(summary.reports) == len(set(summary.reports)) == MAX_NOTED
