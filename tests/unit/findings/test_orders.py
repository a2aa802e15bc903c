"""The order ledger, case by case: what a message adds to an order."""

from __future__ import annotations

from typing import Any

import decoder
from decoder import Message
from decoder.findings.order_rows import Order
from decoder.findings.orders import OrderLedger
from tests.support.answers import HEADER, changed, fill, hello, placed, state, told
from tests.support.exchange import Exchange, pem, rsa_key
from tests.support.session import Session, order, request, response, security


def followed(*sessions: Exchange, ledger: OrderLedger | None = None) -> list[Order]:
    ledger = ledger or OrderLedger()
    each = decoder.Decoder(keys=decoder.KeyRing([pem(rsa_key())]))
    packets = sorted((packet for session in sessions for packet in session.packets), key=lambda packet: packet[1])
    items = [item for data, time_ns in packets for item in each.feed(data, time_ns)]
    for item in [*items, *each.flush()]:
        ledger.add(item)
    return ledger.finish()


def path(order: Order) -> list[str]:
    return [state.status for state in order.states]


def the(*sessions: Exchange) -> Order:
    (only,) = followed(*sessions)
    return only


def test_a_push_before_the_response_is_the_same_order() -> None:
    session = told(hello())
    serial = session.ask(2202, order(5))
    session.push(2208, state(2)).answer(
        2202, serial, response("Trd_PlaceOrder", header=HEADER, orderID=7, orderIDEx="E")
    )
    found = the(session)
    assert found.placed is not None
    assert (found.order_id, found.order_id_ex, path(found)) == ("7", "EX7", ["SUBMITTING"])
    assert found.first_push_ms is not None
    assert found.placed.latency_ns is not None
    assert found.first_push_ms < found.placed.latency_ns / 1e6


def test_a_combined_order_has_only_the_second_id_at_first() -> None:
    legs = [{"security": security("A"), "side": 1, "qtyRatio": 1.0}, {"security": security("B"), "side": 2}]
    asked = request(
        "Trd_PlaceComboOrder",
        packetID={"connID": 9_300_000_000_000_000_777, "serialNo": 5},
        header=HEADER,
        comboLegs=legs,
        qty=1.0,
        price=2.0,
        orderType=1,
    )
    session = told(hello()).talk(2227, asked, response("Trd_PlaceComboOrder", header=HEADER, orderIDEx="EX7"))
    before = the(session)
    assert (before.order_id, before.order_id_ex, before.symbol) == (None, "EX7", "HK.A+HK.B")
    after = the(session.push(2208, state(5)))
    assert (after.order_id, after.order_id_ex) == ("7", "EX7")


def test_what_two_connections_tell_counts_once() -> None:
    first, second = placed(told(hello())), told(hello(50_113)).wait(0.3)
    for session in (first, second):
        session.push(2208, state(2)).push(2208, state(5)).push(2218, fill()).push(2208, state(11, filled=100.0))
    found = the(first, second)
    assert path(found) == ["SUBMITTING", "SUBMITTED", "FILLED_ALL"]
    assert [(each.qty, each.repeated) for each in found.fills] == [(100.0, 0)]
    assert found.connections == [0, 1]
    assert found.outcome == "filled"


def test_a_connection_that_lags_adds_what_the_other_missed() -> None:
    first, second = placed(told(hello())), told(hello(50_113)).wait(0.3)
    first.push(2208, state(2)).push(2208, state(11, filled=100.0))
    second.push(2208, state(2)).push(2208, state(5)).push(2208, state(11, filled=100.0))
    assert path(the(first, second)) == ["SUBMITTING", "SUBMITTED", "FILLED_ALL"]


def test_a_fill_told_again_is_counted_and_a_changed_one_is_not() -> None:
    session = placed(told(hello())).push(2218, fill()).push(2218, fill()).push(2218, fill(status=1)).push(2218, fill(5))
    found = the(session)
    assert [(each.fill_id, each.repeated, each.status) for each in found.fills] == [
        ("99", 1, "CANCELLED"),
        ("5", 0, "OK"),
    ]


def order_list(*states: bytes) -> bytes:
    from tests.support.exchange import vendor

    orders = [vendor("Trd_UpdateOrder").Response.FromString(each).s2c.order for each in states]
    answer = vendor("Trd_GetOrderList").Response(retType=0)
    answer.s2c.header.trdEnv, answer.s2c.header.accID, answer.s2c.header.trdMarket = 1, 1, 1
    answer.s2c.orderList.extend(orders)
    data: bytes = answer.SerializeToString()
    return data


def test_a_list_repeats_or_completes() -> None:
    asked = request("Trd_GetOrderList", header=HEADER)
    session = placed(told(hello())).push(2208, state(2)).push(2208, state(5))
    session.talk(2201, asked, order_list(state(5))).talk(2201, asked, order_list(state(2)))
    assert path(the(session)) == ["SUBMITTING", "SUBMITTED"]
    session.talk(2201, asked, order_list(state(11, filled=100.0), state(5, order_id=8)))
    first, second = followed(session)
    assert [(each.status, each.source) for each in first.states][-1] == ("FILLED_ALL", "list")
    assert (second.order_id, second.placed, second.notes) == ("8", None, ["placed-before-capture"])


def test_outcomes() -> None:
    expected = {
        (): "unknown",
        (5,): "working",
        (5, 10): "working",
        (5, 14): "partly-filled",
        (5, 15): "cancelled",
        (2, 21): "failed",
        (2, 4): "unknown",
    }
    for statuses, outcome in expected.items():
        session = placed(told(hello()))
        for status in statuses:
            session.push(2208, state(status, filled=30.0 * (status in (10, 14))))
        assert the(session).outcome == outcome, statuses
    refused = told(hello()).talk(2202, order(5), response("Trd_PlaceOrder", -1, "no"))
    assert the(refused).outcome == "refused"
    timed_out = told(hello()).talk(2202, order(5), response("Trd_PlaceOrder", -1, "NN_ProtoRet_TimeOut"))
    assert the(timed_out).outcome == "unknown"
    silent = told(hello())
    silent.ask(2202, order(5))
    assert (the(silent).outcome, the(silent).order_id) == ("unanswered", None)


def test_the_effect_of_changes() -> None:
    def after(op: int, *states: bytes, **fields: Any) -> bool | None:
        session = changed(placed(told(hello())).push(2208, state(5)), op, **fields)
        for each in states:
            session.push(2208, each)
        (change,) = the(session).changes
        return change.effect

    assert after(2, state(13)) is None
    assert after(2, state(13), state(15)) is True
    assert after(2, state(11, filled=100.0)) is False
    assert after(2, ret_type=-1) is False
    assert after(1, state(5, 200.0, 9.0), qty=200.0, price=9.0) is True
    assert after(1, state(11, filled=100.0), qty=200.0, price=9.0) is False
    assert after(3, state(22)) is True
    assert after(5, state(23)) is True


def test_a_refused_change_of_an_unknown_order_is_no_order() -> None:
    assert followed(changed(hello(), 2, ret_type=-1)) == []
    assert the(changed(hello(), 2)).notes == ["placed-before-capture"]


def test_cancel_all_concerns_every_open_order_of_the_account() -> None:
    session = placed(placed(told(hello())).push(2208, state(5)), 6, 8).push(2208, state(5, order_id=8))
    session = placed(session, 7, 9).push(2208, state(15, order_id=9))
    asked = request(
        "Trd_ModifyOrder",
        packetID={"connID": 9_300_000_000_000_000_777, "serialNo": 8},
        header=HEADER,
        orderID=0,
        modifyOrderOp=2,
        forAll=True,
    )
    session.talk(2205, asked, response("Trd_ModifyOrder", header=HEADER, orderID=0))
    session.push(2208, state(15)).push(2208, state(15, order_id=8))
    found = followed(session)
    assert [len(each.changes) for each in found] == [1, 1, 0]
    assert [each.changes[0].effect for each in found[:2]] == [True, True]


def test_the_same_packet_id_is_the_same_order() -> None:
    session = told(hello())
    session.ask(2202, order(5))
    session.wait(1)
    found = the(placed(session))
    assert found.placed is not None
    assert found.notes == ["packet-id-repeated"]
    assert found.placed.response is not None


def test_a_lost_part_is_noted() -> None:
    session = placed(told(hello())).push(2208, state(5)).lose("s2c", 100)
    for _ in range(200):
        session.keep_alive()
    assert "gap" in the(session).notes


def test_limits_are_counted() -> None:
    session = told(hello())
    for number in range(20):
        session.push(2208, state(5, order_id=100 + number))
    ledger = OrderLedger(max_orders=5)
    assert len(followed(session, ledger=ledger)) == 5
    assert ledger.dropped == 15
    session = placed(told(hello()))
    for number in range(600):
        session.push(2208, state(5, price=float(number)))
    found = the(session)
    assert len(found.states) == len(found.messages) == 256
    assert "limit" in found.notes


def test_it_grows_message_by_message() -> None:
    each, ledger = decoder.Decoder(keys=decoder.KeyRing([pem(rsa_key())])), OrderLedger()
    seen = []
    for data, time_ns in placed(told(hello())).push(2208, state(5)).push(2208, state(15)).packets:
        for item in each.feed(data, time_ns):
            if ledger.add(item) and isinstance(item, Message):
                seen.append(ledger.orders()[0].outcome)
    assert seen == ["unanswered", "unknown", "working", "cancelled"]


def test_a_failed_body_is_not_believed() -> None:
    session: Session = placed(told(hello()))
    session.push(2208, state(11, filled=100.0), sha1=bytes(20))
    assert the(session).outcome == "unknown"
