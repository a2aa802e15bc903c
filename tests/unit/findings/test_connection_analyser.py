"""The analyses of one connection: which messages each of them gets."""

from __future__ import annotations

from decoder.conversation.summary import ConnectionInfo
from decoder.findings.connection_analyser import ConnectionAnalyser, SharedAnalyses
from decoder.message import Gap
from tests.support.exchange import init_request, init_response
from tests.support.messages import Line
from tests.support.session import book, order, order_update, request, response, security


class Bench:
    def __init__(self) -> None:
        self.line = Line()
        self.shared = SharedAnalyses(self.line.findings)
        self.analyser = ConnectionAnalyser(self.line.context, self.shared)

    def hello(self) -> Bench:
        return self.talk(1001, init_request(), init_response(), encryption="RSA")

    def talk(self, proto_id: int, asked: bytes, answered: bytes, *, encryption: str = "AES_CBC") -> Bench:
        question = self.line.ask(proto_id, asked, encryption=encryption, serial_no=self.line.number + 1)
        self.analyser.message(question)
        self.analyser.message(self.line.answer(question, answered, encryption=encryption))
        return self

    def push(self, proto_id: int, body: bytes) -> Bench:
        self.analyser.message(self.line.push(proto_id, body, serial_no=self.line.number + 1))
        return self

    def end(self) -> list[str]:
        info = ConnectionInfo(0, self.line.context.client, self.line.context.gateway, 0, self.line.now)
        self.analyser.end(info, self.line.now)
        return self.line.codes


def test_the_handshake_is_remembered_for_all() -> None:
    bench = Bench().hello()
    assert bench.line.context.handshake
    assert bench.line.context.login_encrypted
    assert bench.end() == []


def test_an_order_goes_to_the_ledger_to_trade_and_to_the_rates() -> None:
    accepted = response("Trd_PlaceOrder", header={"trdEnv": 1, "accID": 1, "trdMarket": 1}, orderID=7)
    bench = Bench().hello().talk(2202, order(5), accepted).push(2208, order_update(21))
    assert [each.order_id for each in bench.shared.orders.orders()] == ["7"]
    assert {row.proto for row in bench.shared.rates.rows()} == {"InitConnect", "Trd_PlaceOrder"}
    assert "error order-failed 1" in bench.line.codes


def test_a_subscription_and_its_pushes_go_to_the_ledger() -> None:
    asked = request("Qot_Sub", securityList=[security()], subTypeList=[2], isSubOrUnSub=True, isRegOrUnRegPush=True)
    bench = Bench().hello().talk(3001, asked, response("Qot_Sub"))
    for _ in range(40):  # most of them are not inspected
        bench.push(3013, book())
    assert bench.end() == []
    (row,) = bench.shared.subscriptions.rows()
    assert row.pushes == 40


def test_refusals_are_judged_in_responses_and_pushes() -> None:
    refused = response("Qot_GetSecuritySnapshot", -1, "no")
    bench = Bench().hello().talk(3203, request("Qot_GetSecuritySnapshot"), refused)
    bench.push(3013, response("Qot_UpdateOrderBook", -1, "no right"))
    assert bench.line.codes == ["error request-failed 1", "error request-failed 1"]


def test_ticks_that_were_filled_in_show_that_opend_lost_its_link() -> None:
    tick = {"time": "", "sequence": 1, "dir": 1, "price": 1.0, "volume": 1, "turnover": 1.0, "pushDataType": 2}
    bench = Bench().hello().push(3011, response("Qot_UpdateTicker", security=security(), tickerList=[tick]))
    assert "note opend-link-lost 1" in bench.line.codes


def test_a_gap_counts_against_what_can_be_said_of_requests() -> None:
    bench = Bench().hello()
    bench.analyser.gap(Gap(bench.line.flows["c2s"], bench.line.now, 100, "lost"))
    assert bench.line.context.client_gaps == 1
    assert bench.line.codes == ["warning gap 1"]


def test_a_message_that_is_not_verified_is_said() -> None:
    bench = Bench()
    bench.analyser.message(bench.line.ask(1001, None, verdict="unverified", reason="no-key"))
    assert bench.line.codes == ["error no-key 1"]


def test_what_a_copy_of_a_connection_lacks_is_no_finding() -> None:
    bench = Bench().hello()
    bench.analyser.message(bench.line.ask(1002, request("GetGlobalState", userID=1), serial_no=50))
    info = ConnectionInfo(0, "a:1", "b:2", 0, bench.line.now)
    bench.analyser.drop(info)
    assert bench.shared.tally.pending == 0
    assert bench.line.codes == []
