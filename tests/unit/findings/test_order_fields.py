"""Fields of orders, read from bodies of the vendor's classes."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.findings.order_fields import describe, describe_placing, enum_name, id_text, state_of, symbol, text
from decoder.findings.order_rows import Order
from decoder.schema import body_class
from tests.support.answers import state
from tests.support.messages import Line
from tests.support.session import order, request, security


def new() -> Order:
    return Order("1", "REAL", "HK", 0, 0)


def parsed(proto_id: int, direction: str, data: bytes) -> Any:
    cls = body_class(proto_id, direction)
    assert cls is not None
    return cls.FromString(data)


def test_how_a_request_describes_its_order() -> None:
    found = new()
    describe_placing(found, 2202, parsed(2202, "c2s", order(5, code="00700", price=400.2)).c2s)
    assert (found.symbol, found.side, found.type, found.qty, found.price) == ("HK.00700", "BUY", "NORMAL", 100.0, 400.2)
    assert (found.remark, found.time_in_force, found.session) == (None, None, None)


def test_a_combined_order_has_legs_and_no_side() -> None:
    legs = [{"security": security(code), "side": 1, "qtyRatio": 1.0} for code in ("A", "B")]
    asked = request("Trd_PlaceComboOrder", comboLegs=legs, qty=1.0, orderType=1)
    found = new()
    describe_placing(found, 2227, parsed(2227, "c2s", asked).c2s)
    assert (found.symbol, found.side) == ("HK.A+HK.B", None)


def test_how_the_gateway_describes_an_order() -> None:
    body = parsed(2208, "s2c", state(11, filled=100.0)).s2c
    found = new()
    found.remark = "mine"
    describe(found, body.order, body.header)
    assert (found.symbol, found.side, found.qty, found.price) == ("HK.00700", "BUY", 100.0, 400.2)
    assert found.remark == "mine"  # what the gateway leaves out stays as it was asked for


def test_a_state_as_a_push_shows_it() -> None:
    message = Line().push(2208, state(11, filled=100.0))
    assert message.protobuf is not None
    body: Any = message.protobuf
    found = state_of(body.s2c.order, message, "push")
    assert (found.number, found.status, found.filled_qty, found.avg_price) == (11, "FILLED_ALL", 100.0, None)
    assert (found.source, found.message, found.time_ns, found.updated) == ("push", 1, message.time_ns, None)


@pytest.mark.parametrize(
    ("sec_market", "trd_market", "expected"),
    [(1, 1, "HK.00700"), (31, 4, "SH.00700"), (2, 1, "US.00700"), (None, 1, "HK.00700"), (None, 4, "00700")],
    ids=["HK", "Shanghai", "the security's own", "of the account", "an account with several markets"],
)
def test_the_market_of_a_symbol(sec_market: int | None, trd_market: int, expected: str) -> None:
    fields: dict[str, Any] = {"header": {"trdEnv": 1, "accID": 1, "trdMarket": trd_market}, "code": "00700"}
    if sec_market is not None:
        fields["secMarket"] = sec_market
    c2s = parsed(2202, "c2s", request("Trd_PlaceOrder", **fields)).c2s
    assert symbol(c2s, c2s.header) == expected


def test_texts_are_bounded_and_empty_ones_are_none() -> None:
    assert text("") is None
    assert text("x" * 10_000) == "x" * 256
    assert id_text(b"\xff") == "\ufffd"


def test_a_number_without_a_name_is_shown_as_it_is() -> None:
    assert enum_name("OrderStatus", 11) == "FILLED_ALL"
    assert enum_name("OrderStatus", 9_999) == "9999"
