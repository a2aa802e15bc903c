"""Bodies that may be passed on: secrets and personal fields replaced, everything else as it was."""

from __future__ import annotations

import hashlib
import json

from decoder import Message
from decoder.output.pseudonyms import Pseudonyms
from decoder.output.replacer import Replaced, Replacer
from tests.support.exchange import init_response, vendor
from tests.support.messages import Line
from tests.support.session import book, request

UNLOCK = request("Trd_UnlockTrade", unlock=True, pwdMD5="0123456789abcdef" * 2)


def replaced(message: Message, *, pseudonyms: bool = False, show_secrets: bool = False) -> Replaced | None:
    made = Pseudonyms() if pseudonyms else None
    return Replacer(show_secrets=show_secrets, pseudonyms=made).replace(message)


def test_what_holds_no_secret_is_passed_on_byte_for_byte() -> None:
    message = Line().push(3013, book())
    assert replaced(message) == Replaced(book(), message.header[6], [])


def test_a_secret_is_replaced_and_the_sha1_is_that_of_the_new_body() -> None:
    found = replaced(Line().message("response", 1001, init_response()))
    assert found is not None
    assert b"opendump-testkey" not in found.body
    assert found.places == ["s2c.connAESKey", "s2c.aesCBCiv"]
    assert found.sha1 == hashlib.sha1(found.body).digest()
    theirs = vendor("InitConnect").Response.FromString(found.body)
    assert theirs.s2c.connAESKey == "[redacted]"
    assert theirs.s2c.keepAliveInterval == 10


def test_secrets_stay_if_they_are_to_be_shown() -> None:
    found = replaced(Line().ask(2005, UNLOCK), show_secrets=True)
    assert found is not None
    assert found.body == UNLOCK


def test_a_message_that_was_not_verified_gets_no_sha1_that_would_verify() -> None:
    found = replaced(Line().ask(2005, UNLOCK, verdict="failed", reason="sha1-mismatch"))
    assert found is not None
    assert found.sha1 == bytes(20)


def test_an_account_has_the_same_stand_in_wherever_it_comes() -> None:
    replacer, line = Replacer(pseudonyms=Pseudonyms()), Line()
    header = {"trdEnv": 1, "accID": 281756455, "trdMarket": 1}
    stand_ins = set()
    for proto_id, module in ((2101, "Trd_GetFunds"), (2102, "Trd_GetPositionList"), (2101, "Trd_GetFunds")):
        found = replacer.replace(line.ask(proto_id, request(module, header=header)))
        assert found is not None
        stand_ins.add(vendor(module).Request.FromString(found.body).c2s.header.accID)
    assert len(stand_ins) == 1
    assert stand_ins.isdisjoint({0, 281756455})


def test_without_pseudonyms_an_account_stays() -> None:
    asked = request("Trd_GetFunds", header={"trdEnv": 1, "accID": 281756455, "trdMarket": 1})
    found = replaced(Line().ask(2101, asked))
    assert found is not None
    assert found.body == asked


def test_fields_that_nobody_knows_may_be_personal() -> None:
    unknown = request("Trd_GetFunds", header={"trdEnv": 1, "accID": 1, "trdMarket": 1}) + b"\xfa\x3f\x03abc"
    found = replaced(Line().ask(2101, unknown), pseudonyms=True)
    assert found is not None
    assert b"abc" not in found.body
    assert "unknown fields" in found.places


def test_what_cannot_be_read_is_passed_on_only_if_it_can_hold_no_secret() -> None:
    nonsense = b"\xff\xff\xff"
    assert replaced(Line().ask(2005, nonsense)) is None
    assert replaced(Line().push(3013, nonsense)) is not None
    assert replaced(Line().push(3013, nonsense), pseudonyms=True) is None


def test_a_json_body_stays_json() -> None:
    line = Line()
    body = json.dumps({"c2s": {"unlock": True, "pwdMD5": "secret"}}).encode()
    message = line.ask(2005, body)
    message.header = (*message.header[:2], 1, *message.header[3:])
    found = replaced(message)
    assert found is not None
    assert json.loads(found.body)["c2s"] == {"unlock": True, "pwdMD5": "[redacted]"}
