"""The upgrade from HTTP to WebSocket frames (RFC 6455, RFC 7692)."""

from __future__ import annotations

import pytest

from decoder.framing.websocket_upgrade import Upgrade, begins_upgrade
from tests.support.websocket import ACCEPTED, DEFLATE, NO_TAKEOVER, UPGRADE, Deflater


def answered(head: bytes) -> Upgrade:
    upgrade = Upgrade()
    upgrade.read_answer(head)
    return upgrade


def test_only_101_accepts() -> None:
    assert answered(ACCEPTED).accepted
    refused = answered(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    assert (refused.answered, refused.accepted, refused.deflate) == (True, False, None)


@pytest.mark.parametrize(
    ("head", "deflate", "client", "server"),
    [
        (ACCEPTED, False, True, True),
        (DEFLATE, True, True, True),
        (NO_TAKEOVER, True, False, False),
        (DEFLATE.replace(b"deflate\r", b"deflate; server_no_context_takeover\r"), True, True, False),
        (DEFLATE.replace(b"Sec-WebSocket", b"sec-websocket"), True, True, True),
        (DEFLATE.replace(b"permessage-deflate", b";;;"), False, True, True),
        (DEFLATE.replace(b"permessage-deflate", b"x-other"), False, True, True),
    ],
    ids=["none", "deflate", "no takeover", "one end", "small letters", "damaged", "another"],
)
def test_compression_as_it_was_agreed_on(head: bytes, deflate: bool, client: bool, server: bool) -> None:
    upgrade = answered(head)
    assert (upgrade.deflate, upgrade.client_takeover, upgrade.server_takeover) == (deflate, client, server)
    assert bool(upgrade.extensions(from_client=True)) is deflate


def test_without_the_answer_compressed_frames_are_read_all_the_same() -> None:
    """What is not known to be agreed on is tried: the flag in a frame says if it is compressed."""
    from websockets.frames import Frame, Opcode

    (extension,) = Upgrade().extensions(from_client=False)
    deflate = Deflater()
    for text in (b"first", b"second, which looks back to the first"):
        frame = extension.decode(Frame(Opcode.BINARY, deflate(text), rsv1=True))
        assert bytes(frame.data) == text


def test_a_request_for_an_upgrade_is_recognised() -> None:
    assert begins_upgrade(UPGRADE)
    assert begins_upgrade(UPGRADE.lower().replace(b"get ", b"GET "))
    assert not begins_upgrade(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not begins_upgrade(b"POST " + UPGRADE)
    assert not begins_upgrade(b"GET " + bytes(20_000) + b"upgrade: websocket")
