"""Judges trade: the PacketID that guards against replay, orders sent twice, orders that failed."""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, Any

from decoder import schema
from decoder.bounded import BoundedDict
from decoder.findings.context import SECOND, duration_text, name_of
from decoder.findings.order_rows import (
    DISABLED,
    FAILED,
    FILL_CANCELLED,
    FILLED_PART,
    FINAL,
    SUBMIT_FAILED,
    SUBMITTED,
    TIMED_OUT,
)
from decoder.formatting.escape import quote
from decoder.vocabulary import TRD_PLACE_COMBO_ORDER, TRD_PLACE_ORDER, TRD_UPDATE_ORDER

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.findings.context import Context
    from decoder.message import Message

__all__ = ["PLACING", "Trade"]

PLACING = frozenset((TRD_PLACE_ORDER, TRD_PLACE_COMBO_ORDER))
"""Trd_PlaceOrder and Trd_PlaceComboOrder."""

_FAILED_STATES = frozenset((SUBMIT_FAILED, TIMED_OUT, FAILED, DISABLED, FILL_CANCELLED))
_SETTLED_STATES = FINAL | {SUBMITTED, FILLED_PART}
"""States that tell what became of an order that was TIMED_OUT; others may be late pushes from before."""
_REPEAT_NS = 60 * SECOND
"""The same order within a minute may be a repetition that was not meant."""
_MAX_IDS = 65_536  # PacketIDs remembered
_MAX_CONN_IDS = 4_096  # connIDs of which the highest serialNo is remembered
_MAX_ORDERS = 1_024  # orders and failures remembered, to report each once
_MAX_TEXT = 160  # characters of lastErrMsg that a finding quotes
_NO_ANSWER = (-100, -400)  # RetType: timed out, unknown


class _Order:
    """Holds an order that was placed: when, and what became of the request."""

    __slots__ = ("answered", "number", "refused", "time_ns")

    def __init__(self, number: int, time_ns: int) -> None:
        self.number = number
        self.time_ns = time_ns
        self.answered = self.refused = False


class Trade:
    """Watches the trade of all connections: a replay may come over another one."""

    def __init__(self) -> None:
        self._ids: BoundedDict[tuple[int, int], int] = BoundedDict(_MAX_IDS)
        self._highest: BoundedDict[int, tuple[int, int]] = BoundedDict(_MAX_CONN_IDS)
        self._orders: BoundedDict[bytes, _Order] = BoundedDict(_MAX_ORDERS)
        self._placed: BoundedDict[int, _Order] = BoundedDict(_MAX_ORDERS)
        self._failed: BoundedDict[tuple[int, str, int], None] = BoundedDict(_MAX_ORDERS)
        self._timed_out: BoundedDict[tuple[int, str], tuple[int, str]] = BoundedDict(_MAX_ORDERS)
        """Orders whose result is not known yet: when they timed out, and the text that says so."""

    def request(self, context: Context, message: Message, body: ProtobufMessage) -> None:
        """Takes a trade request that carries a PacketID."""
        c2s: Any = body.c2s  # type: ignore[attr-defined]
        conn_id, serial_no = c2s.packetID.connID, c2s.packetID.serialNo
        name = name_of(message)
        if message.conn_id is not None and str(conn_id) != message.conn_id:
            context.report(
                "error",
                "packet-id-foreign",
                message,
                f"{name} carries connID {conn_id}, but the connection's is {message.conn_id}: the gateway takes it for "
                "a replay; use the connID of this connection's InitConnect",
            )
        earlier = self._ids.get((conn_id, serial_no))
        highest = self._highest.get(conn_id)
        if earlier is not None:
            context.report(
                "error",
                "packet-id-repeated",
                message,
                f"{name} carries the PacketID of message {earlier} (connID {conn_id}, serialNo {serial_no}): a replay; "
                "the gateway should ignore it. Draw a new serialNo for each attempt",
            )
        elif highest is not None and serial_no <= highest[0]:
            context.report(
                "error",
                "packet-id-not-growing",
                message,
                f"{name} carries serialNo {serial_no} after {highest[0]} (message {highest[1]}): the gateway ignores a "
                "PacketID that does not grow",
            )
        _remember(self._ids, (conn_id, serial_no), message.number)
        if highest is None or serial_no > highest[0]:
            _remember(self._highest, conn_id, (serial_no, message.number))
        if message.proto_id in PLACING and earlier is None:
            self._place(context, message, c2s)

    def _place(self, context: Context, message: Message, c2s: Any) -> None:
        """Compares an order with those placed a moment ago."""
        order = type(c2s).FromString(c2s.SerializeToString())
        order.ClearField("packetID")
        key = sha1(message.proto_id.to_bytes(4, "little") + order.SerializePartialToString()).digest()
        earlier = self._orders.get(key)
        if earlier is not None and not earlier.refused and message.time_ns - earlier.time_ns < _REPEAT_NS:
            passed = duration_text(message.time_ns - earlier.time_ns)
            context.report(
                "note" if earlier.answered else "warning",
                "order-repeated",
                message,
                f"{name_of(message)} asks for the same as message {earlier.number}, {passed} before it"
                + (
                    ", which was accepted: are two orders meant?"
                    if earlier.answered
                    else ", which had no answer yet but may have been booked: look for the first before sending another"
                ),
            )
        placed = _Order(message.number, message.time_ns)
        _remember(self._orders, key, placed)
        _remember(self._placed, message.number, placed)

    def placed(self, message: Message, body: ProtobufMessage) -> None:
        """Takes the response to an order."""
        order = None if message.request is None else self._placed.get(message.request)
        if order is not None:
            ret_type = body.retType  # type: ignore[attr-defined]
            order.answered = ret_type == 0
            order.refused = ret_type != 0 and ret_type not in _NO_ANSWER

    def orders(self, context: Context, message: Message, body: ProtobufMessage) -> None:
        """Takes a push or a list of orders; reports those that failed, once for each state."""
        s2c: Any = body.s2c  # type: ignore[attr-defined]
        for order in [s2c.order] if message.proto_id == TRD_UPDATE_ORDER else s2c.orderList:
            state = order.orderStatus
            if self._timed_out and state in _SETTLED_STATES:
                self._settle(context, message, order)
            if state not in _FAILED_STATES:
                continue
            key = (*_identity(order), state)
            if key in self._failed:
                continue
            _remember(self._failed, key, None)
            if state == TIMED_OUT:
                self._time_out(context, message, order)
            else:
                context.report("error", "order-failed", message, _order_text(order, "is"))

    def _time_out(self, context: Context, message: Message, order: Any) -> None:
        advice = "; its result is unknown, look it up before sending it again"
        key = _identity(order)
        context.report_once("warning", "order-failed", message, _order_text(order, "is") + advice, key)
        _remember(self._timed_out, key, (message.time_ns, _order_text(order, "was")))

    def _settle(self, context: Context, message: Message, order: Any) -> None:
        """Amends the report on an order that timed out: now it is known what became of it."""
        key = _identity(order)
        timed_out = self._timed_out.pop(key, None)
        if timed_out is not None:
            time_ns, text = timed_out
            later = duration_text(max(0, message.time_ns - time_ns))
            state = _name("OrderStatus", order.orderStatus)
            text += f", its result unknown until it was {state} {later} later (message {message.number})"
            context.amend("order-failed", "note", text, key)


def _identity(order: Any) -> tuple[int, str]:
    return order.orderID, str(order.orderIDEx[:_MAX_TEXT])


def _order_text(order: Any, verb: str) -> str:
    status = _name("OrderStatus", order.orderStatus)
    said = f": {quote(order.lastErrMsg, _MAX_TEXT)}" if order.lastErrMsg else ""
    identity = order.orderID or quote(order.orderIDEx, 40)
    return (
        f"order {identity} {verb} {status}{said} ({_name('TrdSide', order.trdSide)} {quote(order.code, 40)} "
        f"{order.qty:.15g}@{order.price:.15g})"
    )


def _name(enum: str, number: int) -> str | int:
    return schema.enum_names(schema.enum_descriptor(f"Trd_Common.{enum}"), "sdk").get(number, number)


def _remember(table: BoundedDict[Any, Any], key: Any, value: Any) -> None:
    """Puts into a table that keeps the entries touched last."""
    table[key] = value
    table.move_to_end(key)
