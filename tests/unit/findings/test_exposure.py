"""Who else can read a connection."""

from __future__ import annotations

import pytest

from decoder.conversation.summary import ConnectionInfo
from decoder.findings.exposure import Exposure
from tests.support.exchange import init_request, init_response
from tests.support.messages import Line
from tests.support.session import request, response

UNLOCK = request("Trd_UnlockTrade", unlock=True, pwdMD5="0" * 32)


def handshake(line: Line, encryption: str, *, key: bytes = b"opendump-testkey", announced: int = 2) -> Exposure:
    exposure = Exposure(line.context)
    asked = line.ask(1001, init_request(packetEncAlgo=announced), encryption=encryption)
    exposure.handshake(asked)
    exposure.handshake(line.answer(asked, init_response(key=key), encryption=encryption))
    return exposure


def test_an_encrypted_conversation_is_right() -> None:
    line = Line()
    exposure = handshake(line, "RSA")
    exposure.message(line.ask(2005, UNLOCK))
    assert line.codes == []


def test_trade_and_secrets_in_clear_over_a_network() -> None:
    line = Line()
    exposure = handshake(line, "None", announced=-1)
    exposure.message(line.ask(2005, UNLOCK, encryption="None"))
    assert line.codes == ["warning trade-in-clear 1", "error secret-in-clear 1"]
    assert "sends pwdMD5 in clear over the network" in line.found[1].text
    assert "0" * 32 not in line.found[1].text


def test_on_one_machine_it_is_a_note() -> None:
    line = Line(client="192.0.2.2:50112")
    exposure = handshake(line, "None", announced=-1)
    exposure.message(line.ask(2005, UNLOCK, encryption="None"))
    assert line.codes == ["note trade-in-clear 1", "note secret-in-clear 1"]


def test_a_secret_field_that_is_empty_gives_nothing_away() -> None:
    line = Line()
    exposure = handshake(line, "None", announced=-1)
    exposure.message(line.ask(2005, request("Trd_UnlockTrade", unlock=False), encryption="None"))
    assert line.codes == ["warning trade-in-clear 1"]


def test_a_key_that_was_handed_out_in_clear_protects_nothing() -> None:
    line = Line()
    exposure = handshake(line, "None")
    exposure.message(line.ask(1002, request("GetGlobalState", userID=1)))
    assert line.codes == ["error key-in-clear 1"]


def test_a_message_in_clear_on_an_encrypted_connection() -> None:
    line = Line()
    exposure = handshake(line, "RSA")
    for _ in range(2):
        exposure.message(line.ask(1002, request("GetGlobalState", userID=1), encryption="None"))
    assert line.codes == ["warning clear-on-encrypted 2"]


def test_a_key_file_without_encryption() -> None:
    line = Line()
    handshake(line, "RSA", announced=-1)
    assert line.codes == ["error encryption-off 1"]


@pytest.mark.parametrize(("key", "codes"), [(b"0123456789ABCDEF", ["note weak-key 1"]), (b"0123456789abcdef", [])])
def test_a_key_of_hex_digits_is_weak(key: bytes, codes: list[str]) -> None:
    line = Line()
    exposure = handshake(line, "RSA", key=key)
    for _ in range(2):
        exposure.message(line.ask(1002, request("GetGlobalState", userID=1)))
    assert line.codes == codes


def test_the_sample_key_of_the_sdk() -> None:
    line = Line()
    exposure = handshake(line, "RSA")
    info = ConnectionInfo(0, "a:1", "b:2", 0, 0)
    exposure.end(info)
    assert line.codes == []
    info.sample_key = True
    exposure.end(info)
    assert line.codes == ["error sample-key 1"]


def test_quotes_in_clear_are_no_finding() -> None:
    line = Line()
    exposure = handshake(line, "None", announced=-1)
    exposure.message(line.push(3013, response("Qot_UpdateOrderBook"), encryption="None"))
    assert line.codes == []
