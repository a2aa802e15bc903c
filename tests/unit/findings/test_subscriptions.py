"""Pushes against subscriptions."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.findings.push_silence import PushSilence
from decoder.findings.subscription_ledger import SubscriptionLedger
from decoder.findings.subscriptions import Subscriptions, _candle_sub_types
from tests.support.exchange import init_request
from tests.support.messages import Line
from tests.support.session import book, order_update, request, response, security


class Bench:
    """A connection that was seen from its start."""

    def __init__(self, *, notify: bool = True) -> None:
        self.line = Line()
        self.line.context.handshake = True
        self.subscriptions = Subscriptions(
            self.line.context, SubscriptionLedger(self.line.findings), PushSilence(self.line.context)
        )
        self.subscriptions.init_request(self.line.ask(1001, init_request(recvNotify=notify)))

    def talk(self, proto_id: int, module: str, ret_type: int = 0, **c2s: Any) -> Bench:
        asked = self.line.ask(proto_id, request(module, **c2s))
        self.subscriptions.request(asked)
        answer = self.line.answer(asked, response(module, ret_type))
        assert answer.protobuf is not None
        self.subscriptions.response(answer, answer.protobuf)
        return self

    def sub(self, *codes: str, on: bool = True, push: bool = True, sub_type: int = 2, ret_type: int = 0) -> Bench:
        return self.talk(
            3001,
            "Qot_Sub",
            ret_type,
            securityList=[security(code) for code in codes],
            subTypeList=[sub_type],
            isSubOrUnSub=on,
            isRegOrUnRegPush=push,
        )

    def push(self, proto_id: int, body: bytes) -> Bench:
        message = self.line.push(proto_id, body)
        assert message.protobuf is not None
        self.rows = self.subscriptions.push(message, message.protobuf)
        return self

    def end(self, after: float = 0) -> list[str]:
        self.subscriptions.end(self.line.wait(after).now)
        return self.line.codes


def test_a_push_that_was_asked_for_counts_for_its_subscription() -> None:
    bench = Bench().sub("00700").push(3013, book())
    assert [row.symbol for row in bench.rows] == ["HK.00700"]
    assert bench.end() == []


def test_a_push_that_nobody_asked_for_is_said_once_for_each_protocol() -> None:
    bench = Bench().sub("00005").push(3013, book("00700")).push(3013, book("00700")).push(3013, book("00001"))
    assert bench.end() == ["note push-not-subscribed 2"]
    assert "ORDER_BOOK of HK.00700" in bench.line.text


@pytest.mark.parametrize("missing", ["handshake", "requests"])
def test_what_was_not_seen_from_its_start_is_not_judged(missing: str) -> None:
    bench = Bench()
    if missing == "handshake":
        bench.line.context.handshake = False
    else:
        bench.line.context.client_gaps = 1
    assert bench.push(3013, book()).end() == []


def test_orders_of_an_account_that_was_not_subscribed_to() -> None:
    bench = Bench().talk(2008, "Trd_SubAccPush", accIDList=[2])
    assert bench.push(2208, order_update(5, acc_id=2)).end() == []
    assert bench.push(2208, order_update(5, acc_id=1)).end() == ["note push-not-subscribed 1"]


def test_notify_although_the_client_does_not_want_it() -> None:
    notify = response("Notify", type=0)
    assert Bench().push(1003, notify).end() == []
    assert Bench(notify=False).push(1003, notify).end() == ["note push-not-subscribed 1"]


@pytest.mark.parametrize(("seconds", "codes"), [(61, ["note subscription-silent 1"]), (59, [])])
def test_a_subscription_without_a_push(seconds: int, codes: list[str]) -> None:
    assert Bench().sub("00700").end(seconds) == codes


def test_only_what_was_granted_and_is_pushed_can_be_silent() -> None:
    assert Bench().sub("00700", ret_type=-1).end(100) == []
    assert Bench().sub("00700", push=False).end(100) == []
    assert Bench().sub("00700").push(3013, book()).end(100) == []


def test_unsubscribing_ends_the_wait() -> None:
    bench = Bench().sub("00700")
    bench.line.wait(30)
    assert bench.sub("00700", on=False).end(100) == []


def test_one_finding_names_three_of_many() -> None:
    bench = Bench().sub(*(f"{number:05}" for number in range(10)))
    assert bench.end(61) == ["note subscription-silent 1"]
    assert "ORDER_BOOK of HK.00002 and 7 more" in bench.line.text


def test_candles_are_of_a_span_and_books_of_a_kind() -> None:
    day = Bench().sub("00700", sub_type=6)
    candle = {"rehabType": 1, "security": security()}
    assert day.push(3007, response("Qot_UpdateKL", klType=2, **candle)).end() == []
    assert day.push(3007, response("Qot_UpdateKL", klType=1, **candle)).end() == ["note push-not-subscribed 1"]


def test_every_candle_has_the_subscription_of_the_same_name() -> None:
    """By the vendor's own enums."""
    from futu.common.pb import Qot_Common_pb2 as common

    expected = {
        number: dict(common.SubType.items())[f"SubType_KL_{bare}"]
        for name, number in common.KLType.items()
        if number
        for bare in [name.removeprefix("KLType_").replace("Quarter", "Qurater")]
    }
    assert _candle_sub_types() == expected


def test_subscriptions_are_bounded_and_the_limit_is_told() -> None:
    bench = Bench().sub(*(f"{number:05}" for number in range(5_000)))
    assert bench.line.codes == ["note analysis-limit 1"]
    assert bench.push(3013, book("99999")).end() == ["note analysis-limit 1"]
