"""Requests against the accounts that Trd_GetAccList gave."""

from __future__ import annotations

from typing import Any

from decoder.findings.accounts import AccountChecks
from tests.support.messages import Line
from tests.support.session import request, response

REAL, SIMULATED, HK, US = 1, 0, 1, 2
LARGE = 2**60 + 1
"""An accID that a double rounds."""


def listed() -> bytes:
    accounts = [
        {"trdEnv": REAL, "accID": LARGE, "trdMarketAuthList": [HK], "securityFirm": 1},
        {"trdEnv": SIMULATED, "accID": 7, "trdMarketAuthList": [HK, US]},
    ]
    return response("Trd_GetAccList", accList=accounts)


def asked(line: Line, proto_id: int = 2102, module: str = "Trd_GetPositionList", **c2s: Any) -> list[str]:
    checks = AccountChecks()
    first = line.ask(2001, request("Trd_GetAccList", userID=1))
    body = line.answer(first, listed()).protobuf
    assert body is not None
    checks.account_list(line.context, body)
    message = line.ask(proto_id, request(module, **c2s))
    assert message.protobuf is not None
    checks.request(line.context, message, message.protobuf)
    return line.codes


def header(acc_id: int = 7, env: int = SIMULATED, market: int = HK) -> dict[str, Any]:
    return {"header": {"trdEnv": env, "accID": acc_id, "trdMarket": market}}


def test_a_request_as_the_list_has_it_is_right() -> None:
    assert asked(Line(), **header()) == []
    assert asked(Line(), **header(LARGE, REAL)) == []


def test_another_environment_than_the_accounts_is_an_error() -> None:
    line = Line()
    assert asked(line, **header(env=REAL)) == ["error account-mismatch 1"]
    assert "trdEnv REAL for account 7, which is SIMULATE" in line.text


def test_a_market_that_the_account_does_not_have_is_a_warning() -> None:
    line = Line()
    assert asked(line, **header(LARGE, REAL, US)) == ["warning account-mismatch 1"]
    assert "trdMarket US" in line.text


def test_an_account_that_went_through_a_double_is_recognised() -> None:
    line = Line()
    assert asked(line, **header(int(float(LARGE)), REAL)) == ["error account-mismatch 1"]
    assert f"not in Trd_GetAccList, but {LARGE}" in line.text


def test_an_account_that_is_not_listed_may_have_been_opened_since() -> None:
    assert asked(Line(), **header(8)) == []


def test_unlocking_names_a_firm_of_a_real_account() -> None:
    unlock = {"unlock": True, "pwdMD5": "0" * 32}
    assert asked(Line(), 2005, "Trd_UnlockTrade", **unlock, securityFirm=1) == []
    assert asked(Line(), 2005, "Trd_UnlockTrade", **unlock) == []
    assert asked(Line(), 2005, "Trd_UnlockTrade", **unlock, securityFirm=2) == ["error account-mismatch 1"]


def test_without_the_list_nothing_is_judged() -> None:
    line, checks = Line(), AccountChecks()
    message = line.ask(2102, request("Trd_GetPositionList", **header(env=REAL)))
    assert message.protobuf is not None
    checks.request(line.context, message, message.protobuf)
    assert line.codes == []
