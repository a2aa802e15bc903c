"""Findings that answer public questions: each on made traffic, and silent on traffic that looks like it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from decoder.findings import CODES
from tests.support.answers import HEADER, PAIRS, Traffic, changed, hello, told
from tests.support.findings import analysed, found
from tests.support.session import Session, request, response


def apart(traffic: Traffic) -> Iterable[Traffic]:
    """Sessions on the same ports are different captures."""
    ports = {session.ports for session in traffic}
    return [traffic] if len(ports) == len(traffic) else [[session] for session in traffic]


@pytest.mark.parametrize("code", PAIRS)
def test_it_shows(code: str) -> None:
    for part in apart(PAIRS[code][0]()):
        found = [finding for finding in analysed(part) if finding.code == code]
        assert found, code
        for finding in found:
            assert finding.text.isprintable()
            assert 20 < len(finding.text) < 600


@pytest.mark.parametrize("code", PAIRS)
def test_its_look_alike_is_silent(code: str) -> None:
    for part in apart(PAIRS[code][1]()):
        assert [finding.text for finding in analysed(part) if finding.code == code] == []


def test_every_code_says_what_to_do() -> None:
    for code, entry in CODES.items():
        assert entry.meaning, code
        assert entry.remedy, code


def the(code: str) -> str:
    (finding,) = (finding for finding in analysed(PAIRS[code][0]()) if finding.code == code)
    return finding.text


def test_texts_name_the_facts() -> None:
    assert "FILLED_ALL 48" in the("cancel-without-effect")
    assert "stayed SUBMITTED" in the("change-without-effect")
    assert "02189" in the("batch-refused")
    assert "00700" not in the("batch-refused")
    assert "connection 0 holds 2 slots" in the("quota-held-by-other-connection")
    assert "ORDER_BOOK of HK.00005" in the("subscriptions-not-renewed")
    assert "00700" not in the("subscriptions-not-renewed")
    assert "from 5003 to 1" in the("opend-restarted")
    assert "2023-11-14T19:26:40Z" in the("session-older-than-capture")
    assert "hkQotRight is BMP now" in the("quote-right-lost")
    assert "110 connections" in the("connections-near-limit")
    silence = the("pushes-stopped")
    assert "not logged in to the quote and trade servers" in silence
    assert "are back" in silence


def test_a_refusal_for_coming_too_often_counts() -> None:
    from tests.support.answers import snapshots

    (finding,) = (f for f in analysed([snapshots(61, "请求频率太高")]) if f.code == "rate-limited")
    assert "61 such requests came in the 30 s before, its limit is 60 (published)" in finding.text
    named = snapshots(5, "获取快照频率太高，请求失败，每30秒最多4次。")
    (finding,) = (f for f in analysed([named]) if f.code == "rate-limited")
    assert "5 such requests came in the 30 s before, its limit is 4 (its text)" in finding.text


def test_an_announcement_long_before_the_end_is_not_its_cause() -> None:
    kicked = response("Notify", type=1, event={"eventType": 7, "desc": ""})
    soon = hello().push(1003, kicked).wait(1).close("s2c")
    assert "having said KickedOut" in found(soon)["closed-by-gateway"]
    late = hello().push(1003, kicked).wait(11.8).close("s2c")
    assert "without saying why" in found(late)["closed-by-gateway"]


def test_a_login_in_clear_is_not_about_rsa_keys() -> None:
    in_clear = Session().hello(packetEncAlgo=-1).close("s2c", "RA")
    text = found(in_clear)["closed-by-gateway"]
    assert "InitConnect in clear" in text
    assert "compare the RSA keys" not in text
    assert "compare the RSA keys" in found(hello().close("s2c", "RA"))["closed-by-gateway"]


def state_answer(status: int, logged_in: bool) -> bytes:
    numbers = ("marketHK", "marketUS", "marketSH", "marketSZ", "marketHKFuture", "serverVer", "serverBuildNo", "time")
    program = {"type": status, "strExtDesc": "code was sent"}
    fields: dict[str, Any] = {**dict.fromkeys(numbers, 1), "qotLogined": logged_in, "trdLogined": logged_in}
    return response("GetGlobalState", **fields, programStatus=program)


def test_the_state_that_was_asked_for_counts_like_the_one_told() -> None:
    asked = request("GetGlobalState", userID=1)
    session = hello()
    for _ in range(3):
        session.talk(1002, asked, state_answer(4, logged_in=False))
    counts = {finding.code: finding.count for finding in analysed([session])}
    assert counts == {"gateway-status": 3, "server-link-lost": 3}
    assert not found(hello().talk(1002, asked, state_answer(10, logged_in=True)))


def test_what_timed_out_is_named_for_what_it_is() -> None:
    for operation, word in ((1, "change"), (2, "cancellation"), (5, "deletion")):
        session = changed(told(hello()), operation, ret_type=-100)
        assert f"the {word} may have been made" in found(session)["gateway-timeout"]
    session = told(hello())
    packet_id = {"connID": 1, "serialNo": 1}
    asked = request("Trd_ModifyOrder", packetID=packet_id, header=HEADER, orderID=7, modifyOrderOp=5)
    session.ask(2205, asked)
    assert "the deletion may have been made" in found(session.wait(20).close())["unanswered"]


def test_one_finding_for_each_field_with_unknown_values() -> None:
    session = hello()
    for number in range(60, 90):
        session.push(1003, response("Notify", type=number))
    other = hello(50_113)
    for number in range(60, 90):
        other.push(1003, response("Notify", type=1, event={"eventType": number, "desc": ""}))
    drift = [finding for finding in analysed([session, other]) if finding.code == "unknown-enum-value"]
    assert [finding.count for finding in drift] == [30, 30]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("订阅额度不足，订阅失败，已用订阅额度：1000/1000", "quota-used-up"),
        ("HK.00002的KL_Day订阅时间过短，至少需要订阅1分钟", "unsubscribed-too-early"),
        ("请求获取实时K线接口前，请先订阅", "read-before-subscribed"),
        ("please subscribe to KL_1Min data first", "read-before-subscribed"),
        ("模拟交易不支持成交数据", "simulated-cannot"),
        ("Simulated trade does not support deal list", "simulated-cannot"),
        ("operation Cancel is not supported", "simulated-cannot"),
        ("NN_ProtoRet_TimeOut", "gateway-timeout"),
        ("NN_ProtoRet_SvrFailed", "opend-link-lost"),
        ("NN_ProtoRet_ByDisConnOrCacnel", "opend-link-lost"),
        ("网络中断", "opend-link-lost"),
        ("未知的协议ID", "version-mismatch"),
        ("Unknown protocol id", "version-mismatch"),
        ("缺少必要的参数: securityFirm", "account-mismatch"),
        ("Something wrong with the specified securities firm", "account-mismatch"),
        ("请求过于频繁", "rate-limited"),
        ("没有解锁交易，请先解锁交易", "request-failed"),
        ("行情权限不足", "request-failed"),
        ("No right to subscribe 00700", "request-failed"),
        ("something that nobody has seen", "request-failed"),
    ],
)
def test_texts_are_recognised_in_both_languages(text: str, code: str) -> None:
    session = hello().talk(3203, request("Qot_GetSecuritySnapshot"), response("Qot_GetSecuritySnapshot", -1, text))
    assert text.split(" ")[-1] in found(session)[code]
