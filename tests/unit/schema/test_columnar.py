"""Columnar types: many bodies parsed at once give each field as a list."""

from __future__ import annotations

from typing import Any

from decoder.schema import columnar_class
from tests.support.exchange import vendor
from tests.support.session import filled, response, security


def ticks(*prices: float) -> bytes:
    ticker = {"time": "", "sequence": 1, "dir": 1, "volume": 5, "turnover": 1.0}
    items = [{**ticker, "price": price, "sequence": n} for n, price in enumerate(prices)]
    return response("Qot_UpdateTicker", security=security(), tickerList=items)


def test_bodies_one_after_the_other_are_columns() -> None:
    bodies = [ticks(1.0, 2.0), ticks(3.0)]
    columns: Any = columnar_class("Qot_UpdateTicker.Response").FromString(b"".join(bodies))
    assert list(columns.s2c.tickerList.price) == [1.0, 2.0, 3.0]
    assert list(columns.s2c.tickerList.sequence) == [0, 1, 0]
    assert list(columns.s2c.security.code) == ["00700", "00700"]
    assert list(columns.retType) == [0, 0]


def test_a_field_that_is_not_in_every_message_has_a_shorter_column() -> None:
    with_text = filled(vendor("Qot_UpdateTicker").Response.FromString(ticks(1.0)), {"retMsg": "x"}).SerializeToString()
    without = filled(vendor("Qot_UpdateTicker").Response.FromString(ticks(2.0)), {})
    without.ClearField("retMsg")
    columns: Any = columnar_class("Qot_UpdateTicker.Response").FromString(with_text + without.SerializeToString())
    assert list(columns.retMsg) == ["x"]
    assert list(columns.retType) == [0, 0]


def test_enums_are_their_numbers_whatever_they_are() -> None:
    columns: Any = columnar_class("Notify.Response").FromString(
        response("Notify", type=1) + response("Notify", type=9_999)
    )
    assert list(columns.s2c.type) == [1, 9_999]


def test_names_and_numbers_are_those_of_the_body_type() -> None:
    for name in ("Qot_UpdateOrderBook.Response", "Trd_UpdateOrder.Response", "Qot_GetKL.Request"):
        module, _, kind = name.partition(".")
        theirs = getattr(vendor(module), kind).DESCRIPTOR
        ours = columnar_class(name).DESCRIPTOR
        assert {(f.name, f.number) for f in ours.fields} >= {(f.name, f.number) for f in theirs.fields}
