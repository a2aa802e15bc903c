"""Why a gateway refused, told from its texts."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.findings.quote_rights import QuoteRights
from decoder.findings.rates import RateLedger
from decoder.findings.refusals import TRADE_WRITES, Refusals, may_have_happened
from decoder.findings.subscription_ledger import SubscriptionLedger
from tests.support.messages import Line
from tests.support.session import order, request, response, security


class Bench:
    def __init__(self) -> None:
        self.line = Line()
        self.rates = RateLedger()
        self.refusals = Refusals(self.line.context, self.rates, SubscriptionLedger(self.line.findings), QuoteRights())

    def fails(self, text: str, ret_type: int = -1, proto_id: int = 3203, asked: bytes | None = None) -> Bench:
        body = request("Qot_GetSecuritySnapshot", securityList=[security()]) if asked is None else asked
        question = self.line.ask(proto_id, body)
        assert question.protobuf is not None
        self.rates.request(question, question.protobuf)
        self.refusals.request(question, question.protobuf)
        answer = self.line.answer(question, response("Qot_GetSecuritySnapshot", ret_type, text))
        assert answer.protobuf is not None
        self.refusals.failure(answer, answer.protobuf)
        return self


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("获取快照频率太高，请求失败，每30秒最多60次。", "warning rate-limited"),
        ("Request too frequent", "warning rate-limited"),
        ("HK.00002的KL_Day订阅时间过短，至少需要订阅1分钟", "warning unsubscribed-too-early"),
        ("subscription quota is used up", "warning quota-used-up"),
        ("订阅额度不足", "warning quota-used-up"),
        ("please subscribe to KL_1Min data first", "warning read-before-subscribed"),
        ("Simulated trade does not support deal list", "warning simulated-cannot"),
        ("NN_ProtoRet_TimeOut", "warning gateway-timeout"),
        ("NN_ProtoRet_SvrFailed", "warning opend-link-lost"),
        ("网络中断", "warning opend-link-lost"),
        ("未知的协议ID", "error version-mismatch"),
        ("缺少必要的参数: securityFirm", "error account-mismatch"),
        ("没有解锁交易，请先解锁交易", "error request-failed"),
        ("something that nobody has seen", "error request-failed"),
        ("", "error request-failed"),
    ],
)
def test_texts_in_both_languages(text: str, code: str) -> None:
    line = Bench().fails(text).line
    assert line.codes == [f"{code} 1"]
    assert (text or "without a retMsg") in line.text


def test_a_time_out_counts_whatever_its_text() -> None:
    assert Bench().fails("x", -100).line.codes == ["warning gateway-timeout 1"]


def test_one_bad_code_fails_a_whole_list() -> None:
    many = request("Qot_GetSecuritySnapshot", securityList=[security("00700"), security("99999")])
    named = Bench().fails("未知股票 99999", asked=many).line
    assert named.codes == ["error batch-refused 1"]
    assert "the text names 99999; leave it out" in named.text
    assert "00700" not in named.text
    assert "in halves to find it" in Bench().fails("unknown stock", asked=many).line.text
    assert Bench().fails("unknown stock").line.codes == ["error request-failed 1"]


def test_an_order_that_timed_out_may_have_been_placed() -> None:
    assert "may have been placed all the same" in Bench().fails("x", -100, 2202, order(5)).line.text


def test_how_often_it_was_asked_is_named_with_the_limit_of_the_text() -> None:
    bench = Bench()
    for _ in range(3):
        bench.line.wait(1).ask(3203, None)
    text = bench.fails("获取快照频率太高，请求失败，每30秒最多4次。").line.text
    assert "1 such requests came in the 30 s before, its limit is 4 (its text)" in text


def test_an_error_of_the_websocket_port() -> None:
    bench = Bench()
    asked = bench.line.ask(1002, b"")
    for error, words in (
        ({"code": 2, "message": "time out"}, '"time out"; OpenD had no answer in time'),
        ({"code": 77, "message": ""}, "without a text; look into OpenD's log"),
    ):
        bench.refusals.error(bench.line.answer(asked, None), error)
        assert f"error {error['code']} of the WebSocket port: {words}" in bench.line.found[-1].text


def test_hostile_text_is_harmless() -> None:
    line = Bench().fails("\x1b]0;x\x07\u202e" + "y" * 100_000).line
    assert line.text.isprintable()
    assert len(line.text) < 500


@pytest.mark.parametrize(
    ("operation", "word"),
    [(1, "change"), (2, "cancellation"), (3, "disabling"), (4, "enabling"), (5, "deletion"), (None, "change")],
)
def test_what_may_have_been_made_of_a_change(operation: int | None, word: str) -> None:
    assert f"the {word} may have been made" in may_have_happened(2205, operation)


def test_requests_that_place_or_change_orders(vendor: Any) -> None:
    """Each of them carries a PacketID, which guards against replay."""
    carries = {
        name.partition(".")[0]
        for name, message in vendor.messages.items()
        if name.endswith(".C2S") and "packetID" in message.fields_by_name and name.startswith("Trd_")
    }
    from decoder.schema import protocol_named

    known = {protocol_named(name) for name in carries}
    assert {found.proto_id for found in known if found is not None} <= TRADE_WRITES
