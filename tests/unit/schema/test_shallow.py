"""Shallow types: submessages stay bytes, and everything else is what the whole type reads."""

from __future__ import annotations

from typing import Any

from decoder.schema import message_class, protocols
from decoder.schema.shallow import part_class, shallow_class
from tests.support.exchange import vendor
from tests.support.session import filled, response, security


def book(levels: int = 3) -> bytes:
    sides = {
        name: [{"price": 1.0 * n, "volume": n, "orederCount": n} for n in range(levels)]
        for name in ("orderBookAskList", "orderBookBidList")
    }
    return response("Qot_UpdateOrderBook", security=security(), **sides)


def test_submessages_of_s2c_are_the_bytes_that_were_sent() -> None:
    shallow: Any = shallow_class("Qot_UpdateOrderBook.Response").FromString(book())
    theirs = vendor("Qot_UpdateOrderBook").Response.FromString(book())
    assert list(shallow.s2c.orderBookAskList) == [each.SerializeToString() for each in theirs.s2c.orderBookAskList]
    assert shallow.s2c.security == theirs.s2c.security.SerializeToString()
    assert shallow.retType == 0


def test_the_bytes_are_of_the_type_that_is_told() -> None:
    shallow: Any = shallow_class("Qot_UpdateOrderBook.Response")
    s2c = shallow.DESCRIPTOR.fields_by_name["s2c"].message_type
    part = part_class(s2c.fields_by_name["orderBookAskList"])
    assert part is message_class("Qot_Common.OrderBook")
    assert part_class(shallow.DESCRIPTOR.fields_by_name["retType"]) is None


def test_what_hardly_ever_repeats_is_parsed() -> None:
    order = response("Trd_UpdateOrder", header={"trdEnv": 1, "accID": 1, "trdMarket": 1})
    shallow: Any = shallow_class("Trd_UpdateOrder.Response").FromString(order)
    assert isinstance(shallow.s2c.header, bytes)
    assert not isinstance(shallow.s2c.order, bytes)


def test_every_body_type_has_a_shallow_one_with_the_same_fields() -> None:
    wrong = []
    for known in protocols():
        for name in filter(None, (known.request, known.response)):
            whole, shallow = message_class(name).DESCRIPTOR, shallow_class(name).DESCRIPTOR
            if [(f.name, f.number) for f in whole.fields] != [(f.name, f.number) for f in shallow.fields]:
                wrong.append(name)
    assert wrong == []


def test_its_bytes_are_those_of_the_whole_message() -> None:
    data = book(10)
    assert shallow_class("Qot_UpdateOrderBook.Response").FromString(data).SerializeToString() == data
    assert filled(vendor("Qot_UpdateOrderBook").Response.FromString(data), {}).SerializeToString() == data
