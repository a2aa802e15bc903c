"""Reads the fields of orders in requests, pushes and lists: names of enums, symbols, texts of a bounded length."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from decoder import schema
from decoder.body.scalars import plain_text
from decoder.findings.order_rows import Order, State
from decoder.vocabulary import TRD_PLACE_ORDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from decoder.message import Message

__all__ = ["describe", "describe_placing", "enum_name", "id_text", "state_of", "symbol", "text"]

# Characters kept of one text of an order; ids and codes have about 20.
_MAX_TEXT = 256
# Legs named of a combined order.
_MAX_LEGS = 16
# Values of TrdMarket that hold securities of one market only: requests of older SDKs leave out secMarket.
_ONE_MARKET = frozenset(("HK", "US", "SG", "JP", "AU", "MY", "CA"))


def describe_placing(order: Order, proto_id: int, c2s: Any) -> None:
    """Copies into `order` how the request that places it describes it."""
    single = proto_id == TRD_PLACE_ORDER
    order.side = enum_name("TrdSide", c2s.trdSide) if single else None
    order.symbol = symbol(c2s, c2s.header) if single else _legs(c2s.comboLegs)
    order.type = enum_name("OrderType", c2s.orderType)
    order.qty = c2s.qty
    order.price = c2s.price if c2s.HasField("price") else None
    order.remark = text(c2s.remark)
    if c2s.HasField("timeInForce"):
        order.time_in_force = enum_name("TimeInForce", c2s.timeInForce)
    if single and c2s.HasField("session"):
        order.session = _session(c2s.session)


def describe(order: Order, told: Any, header: Any) -> None:
    """Copies into `order` how the gateway describes it (a `Trd_Common.Order`)."""
    order.symbol = _legs(told.comboLegs) if told.comboLegs else symbol(told, header)
    order.name = text(told.name)
    order.side = enum_name("TrdSide", told.trdSide)
    order.type = enum_name("OrderType", told.orderType)
    order.qty = told.qty
    order.price = told.price if told.HasField("price") else None
    order.remark = text(told.remark) or order.remark
    order.error = text(told.lastErrMsg) or order.error
    if told.HasField("timeInForce"):
        order.time_in_force = enum_name("TimeInForce", told.timeInForce)
    if told.HasField("session"):
        order.session = _session(told.session)
    if told.HasField("fillAvgPrice"):
        order.avg_price = told.fillAvgPrice


def state_of(told: Any, message: Message, source: Literal["push", "list"]) -> State:
    """Returns the state that a `Trd_Common.Order` in `message` shows."""
    return State(
        message.time_ns,
        told.orderStatus,
        enum_name("OrderStatus", told.orderStatus),
        told.fillQty,
        told.fillAvgPrice if told.HasField("fillAvgPrice") else None,
        told.qty,
        told.price if told.HasField("price") else None,
        source,
        message.number,
        told.updateTimestamp or None,
    )


def text(value: str | bytes) -> str | None:
    """Returns a text, cut to a bounded length; None if it is empty."""
    return id_text(value) or None


def id_text(value: str | bytes) -> str:
    """Returns an orderIDEx or fillIDEx, cut to a bounded length."""
    return plain_text(value)[:_MAX_TEXT]


def symbol(told: Any, header: Any) -> str:
    """Returns market and code, ``HK.00700``; the code alone where the market is not clear."""
    code = id_text(told.code)
    market = enum_name("TrdSecMarket", told.secMarket) if told.HasField("secMarket") and told.secMarket else None
    if market is None:
        market = enum_name("TrdMarket", header.trdMarket)
        if market not in _ONE_MARKET:
            return code
    return f"{market.removeprefix('CN_')}.{code}"


def _legs(legs: Iterable[Any]) -> str:
    markets = schema.enum_names(schema.enum_descriptor("Qot_Common.QotMarket"), "sdk")
    shown = (
        f"{markets.get(leg.security.market, leg.security.market)}.{id_text(leg.security.code)}"
        for leg in list(legs)[:_MAX_LEGS]
    )
    return "+".join(shown)


def _session(number: int) -> str:
    names = schema.enum_names(schema.enum_descriptor("Common.Session"), "sdk")
    return str(names.get(number, number))


def enum_name(enum: str, number: int) -> str:
    """Returns the SDK's name of a number of an enum of Trd_Common; the number as text where it has none."""
    return _names(enum).get(number) or str(number)


@cache
def _names(enum: str) -> dict[int, str]:
    names = schema.enum_names(schema.enum_descriptor(f"Trd_Common.{enum}"), "sdk")
    return {number: str(name) for number, name in names.items()}
