"""Bodies: what is withheld where the schema cannot parse them."""

from __future__ import annotations

import json

import pytest

from decoder import Decoder, Message, schema
from decoder.body.body import Body
from decoder.schema.secrecy import may_hold_secrets
from decoder.vocabulary import Direction
from tests.support.exchange import IV, KEY, Exchange, frame, init_response, vendor

CLEAR = b"\x0a\x03abc"


def raw(proto_id: int, direction: Direction, plaintext: bytes, *, show_secrets: bool = False, fmt: int = 0) -> str:
    body = Body(proto_id, direction, fmt, plaintext)
    assert body.message is None
    return json.dumps(body.raw(show_secrets=show_secrets))


def test_a_session_key_is_withheld_whatever_direction_was_guessed() -> None:
    for direction in ("c2s", "s2c"):
        for plaintext in (init_response()[:-1], init_response() + b"\xff"):
            assert raw(1001, direction, plaintext) == "null"
    assert raw(1001, "c2s", init_response()) == "null"
    assert KEY.decode() in raw(1001, "c2s", init_response(), show_secrets=True)


def test_a_password_is_withheld_whatever_direction_was_guessed() -> None:
    request = vendor("Trd_UnlockTrade").Request()
    request.c2s.unlock = True
    request.c2s.pwdMD5 = "5f4dcc3b5aa765d61d8327deb882cf99"
    assert raw(2005, "s2c", request.SerializeToString()) == "null"
    assert raw(2005, "s2c", b'{"c2s": {"pwdMD5": "5f4d', fmt=1) == "null"
    assert "5f4d" in raw(2005, "s2c", request.SerializeToString(), show_secrets=True)


@pytest.mark.parametrize(("proto_id", "withheld"), [(0, True), (1, True), (1099, True), (1100, False), (65_535, False)])
def test_unknown_ids_near_init_connect_are_withheld(proto_id: int, withheld: bool) -> None:
    assert schema.protocol(proto_id) is None or proto_id == 1  # InitWebSocket, which has the key of the port
    assert (raw(proto_id, "c2s", CLEAR) == "null") is withheld


def test_other_protocols_show_what_does_not_parse() -> None:
    assert not may_hold_secrets(3004)
    assert "abc" in raw(3004, "s2c", CLEAR)


@pytest.mark.parametrize("ports", [(11111,), (50112,), "auto"])
def test_no_record_shows_the_key_when_the_direction_is_wrong(ports: object) -> None:
    """A capture that begins after the SYN, a gateway port above that of the client, a port given wrongly."""
    for client_port, port in ((50112, 11111), (11111, 50112)):
        exchange = Exchange(syn=False, client_port=client_port, port=port).s2c(frame(1001, init_response()))
        decoder = Decoder(ports=ports)  # type: ignore[arg-type]
        items = [item for data, time_ns in exchange.packets for item in decoder.feed(data, time_ns)]
        items += decoder.flush()
        for item in items:
            assert isinstance(item, Message)
            for secret in (KEY, IV):
                assert secret.decode() not in json.dumps(item.record())
