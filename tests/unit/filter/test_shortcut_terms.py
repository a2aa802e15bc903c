"""`symbol`, `order`, `account` and `text`: against what the two ends of a recorded session logged."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

import decoder
from decoder import Message
from decoder.filter.parser import compile_filter
from decoder.filter.shortcut_terms import symbols
from tests.support.exchange import Exchange, decode, frame, vendor
from tests.support.recorded import DEMO_KEY, Recording

PLAIN = Recording("plain.pcap")
ORDER, ORDER_EX = "5000000000000000002", "FD5000000000000000002"
MARKETS = {1: "HK", 11: "US", 21: "SH", 22: "SZ"}
TRADE_MARKETS = {1: "HK", 2: "US", 31: "SH", 32: "SZ"}


@cache
def messages() -> list[Message]:
    found = decoder.read(PLAIN.path, rsa_keys=[DEMO_KEY])
    return [item for item in found if isinstance(item, Message)]


def chosen(text: str) -> list[Message]:
    match = compile_filter(text).match
    return [message for message in messages() if match(message)]


def logged(holds: Any) -> list[str]:
    return sorted(entry["sha1"] for entry in PLAIN.expected if holds(entry["body"]))


def leaves(value: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, key)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner, name)]
    return [(name, value)]


def logged_symbols(body: Any) -> set[str]:
    """Securities of an expected body, found by the shape of its objects."""
    found = set()
    if isinstance(body, dict):
        if set(body) == {"market", "code"}:
            found.add(f"{MARKETS[body['market']]}.{body['code']}")
        elif "code" in body and body.get("secMarket"):
            found.add(f"{TRADE_MARKETS[body['secMarket']]}.{body['code']}")
        for value in body.values():
            found |= logged_symbols(value)
    if isinstance(body, list):
        found = set().union(*map(logged_symbols, body))
    return found


@pytest.mark.parametrize("symbol", ["HK.00700", "US.AAPL"])
def test_a_symbol_as_it_is_printed(symbol: str) -> None:
    expected = logged(lambda body: symbol in logged_symbols(body))
    assert expected
    for spelling in (symbol, symbol.lower(), symbol[3:], f"{symbol[:3]}*{symbol[5:]}"):
        assert sorted(str(message.sha1) for message in chosen(f"symbol={spelling}")) == expected, spelling
    assert sorted(str(message.sha1) for message in chosen(f"symbol~{symbol[3:]}")) == expected
    others = logged(lambda body: (found := logged_symbols(body)) and symbol not in found)
    assert sorted(str(message.sha1) for message in chosen(f"symbol!={symbol}")) == others
    assert len(chosen("symbol=null")) == len(PLAIN.expected) - len(expected) - len(others)


def test_every_symbol_that_was_logged_is_found() -> None:
    by_sha1 = {entry["sha1"]: logged_symbols(entry["body"]) for entry in PLAIN.expected}
    for message in messages():
        assert set(symbols(message)) == by_sha1[message.sha1]


def test_a_trade_without_secmarket_has_its_accounts_market() -> None:
    push = vendor("Trd_UpdateOrder").Response()
    push.retType = 0
    header, order = push.s2c.header, push.s2c.order
    header.trdEnv, header.accID, header.trdMarket = 1, 7, 2
    order.trdSide, order.orderType, order.orderStatus, order.orderID = 1, 1, 5, 9
    order.orderIDEx, order.code, order.name, order.qty, order.createTime, order.updateTime = "X", "F", "", 1, "", ""
    (bare,), _, _ = decode(Exchange().s2c(frame(2208, push.SerializeToString(), serial_no=1)))
    order.trdMarket = 2
    (with_market,), _, _ = decode(Exchange().s2c(frame(2208, push.SerializeToString(), serial_no=1)))
    assert [list(symbols(message)) for message in (bare, with_market)] == [["F"], ["US.F"]]
    assert compile_filter("symbol=f").match(bare)
    assert compile_filter("symbol=US.F").match(with_market)


@pytest.mark.parametrize("given_id", [ORDER, ORDER_EX])
def test_an_order_by_either_id(given_id: str) -> None:
    """Whatever names one of the ids, once both have been seen together, and the responses to such requests."""
    ids = {ORDER, ORDER_EX}
    by_content = logged(lambda body: any(str(value) in ids for name, value in leaves(body) if "rder" in name))
    found = chosen(f"order={given_id}")
    assert {"Trd_ModifyOrder", "Trd_UpdateOrder", "Trd_PlaceOrder"} <= {message.proto for message in found}
    assert {message.kind for message in found if message.proto == "Trd_ModifyOrder"} == {"request", "response"}
    by_id = {m.sha1 for m in found} - {m.sha1 for m in found if m.request in {other.number for other in found}}
    assert by_id <= set(by_content)
    first_push = min(m.number for m in messages() if m.sha1 in by_content)
    assert set(by_content) - {m.sha1 for m in found} <= {m.sha1 for m in messages() if m.number <= first_push + 1}


def test_the_response_of_a_failed_modification_belongs_to_the_order() -> None:
    request, response = vendor("Trd_ModifyOrder").Request(), vendor("Trd_ModifyOrder").Response()
    c2s = request.c2s
    c2s.packetID.connID, c2s.packetID.serialNo = 1, 5
    c2s.header.trdEnv, c2s.header.accID, c2s.header.trdMarket = 1, 7, 1
    c2s.orderID, c2s.modifyOrderOp = 4711, 2
    response.retType, response.retMsg = -1, "no such order"
    exchange = Exchange().c2s(frame(2205, request.SerializeToString(), serial_no=5))
    exchange.s2c(frame(2205, response.SerializeToString(), serial_no=5))
    found, _, _ = decode(exchange)
    for text in ("order=4711", "kind=response and order=4711", "order=4711 and ret_type!=null"):
        match = compile_filter(text).match
        assert [match(message) for message in found][1] is True, text
    match = compile_filter("order=4712").match
    assert not any(map(match, found))


def test_two_orders_in_one_list_stay_two() -> None:
    """A list of orders must not make the ids of one stand for the other."""
    request = vendor("Trd_GetOrderList").Request()
    header = request.c2s.header
    header.trdEnv, header.accID, header.trdMarket = 1, 7, 1
    request.c2s.filterConditions.orderIDExList.extend(["A", "B"])
    (both,), _, _ = decode(Exchange().c2s(frame(2201, request.SerializeToString(), serial_no=1)))
    del request.c2s.filterConditions.orderIDExList[0]
    (other,), _, _ = decode(Exchange().c2s(frame(2201, request.SerializeToString(), serial_no=2)))
    match = compile_filter("order=A").match
    assert [match(both), match(other)] == [True, False]


def test_accounts() -> None:
    accounts = {value for entry in PLAIN.expected for name, value in leaves(entry["body"]) if name == "accID"}
    assert accounts
    for account in accounts:
        expected = logged(
            lambda body, account=account: any(
                name in ("accID", "accIDList") and str(value) == str(account) for name, value in leaves(body)
            )
        )
        assert sorted(str(message.sha1) for message in chosen(f"account={account}")) == expected


def test_text_finds_what_a_record_says() -> None:
    for word in ("frequent", "FILLS IN TWO", "5000000000000000001", "filled_all", "hk.00700", "trd_updateorder"):
        found = chosen(f"text~'{word}'")
        assert found, word
        for message in found:
            shown = json.dumps(message.record(), ensure_ascii=False).casefold() + " ".join(symbols(message)).casefold()
            assert word.casefold() in shown


def test_text_and_shortcuts_never_search_secrets() -> None:
    secrets = [
        value
        for entry in PLAIN.expected
        for name, value in leaves(entry["body"])
        if name in ("pwdMD5", "connAESKey") and value
    ]
    assert secrets
    for secret in secrets:
        assert not chosen(f"text~{secret}")
