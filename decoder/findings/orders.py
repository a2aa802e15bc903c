"""Keeps a ledger of orders: one entry an order, over all connections of a capture.

Requests, responses, pushes and lists of orders and fills are put together by the order's ids.  The order of things on
the wire is not that of events: a push comes before the response to the request that caused it, a fill after FILLED_ALL,
every connection that subscribed to an account tells everything once more, a list repeats what pushes told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from decoder.body.body import ret_type_of
from decoder.bounded import BoundedDict
from decoder.findings.order_conclusions import OrderConnection, conclude
from decoder.findings.order_fields import describe, describe_placing, enum_name, id_text, state_of, symbol, text
from decoder.findings.order_index import OrderIndex
from decoder.findings.order_rows import MAX_ENTRIES, NO_ANSWER, Change, Fill, Order, Placed, State
from decoder.findings.order_states import add_state
from decoder.framing.header import PROTO_ID
from decoder.message import Gap, Message
from decoder.vocabulary import (
    LOGIN_IDS,
    TRD_GET_ORDER_LIST,
    TRD_MODIFY_ORDER,
    TRD_PLACE_COMBO_ORDER,
    TRD_PLACE_ORDER,
    TRD_SUB_ACC_PUSH,
    TRD_UPDATE_ORDER,
    TRD_UPDATE_ORDER_FILL,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

__all__ = ["OrderEvents", "OrderLedger"]

PLACING = frozenset((TRD_PLACE_ORDER, TRD_PLACE_COMBO_ORDER))
TRD_GET_FILL_LIST, TRD_GET_HISTORY_ORDERS, TRD_GET_HISTORY_FILLS = 2211, 2221, 2222
_ORDER_LISTS = frozenset((TRD_GET_ORDER_LIST, TRD_GET_HISTORY_ORDERS))
_FILL_LISTS = frozenset((TRD_GET_FILL_LIST, TRD_GET_HISTORY_FILLS))
_FOLLOWED = (
    PLACING
    | _ORDER_LISTS
    | _FILL_LISTS
    | LOGIN_IDS
    | {TRD_MODIFY_ORDER, TRD_SUB_ACC_PUSH, TRD_UPDATE_ORDER, TRD_UPDATE_ORDER_FILL}
)

# Orders kept at once, about 2 KB each; of further ones only the number is kept.
_MAX_ORDERS = 50_000
# Requests that wait for their response, and responses that came before their request.
_MAX_PENDING = 16_384
_MAX_EARLY = 1_024
# PacketIDs remembered, to know an order that was sent again.
_MAX_PACKET_IDS = 65_536
# Connections, and accounts of which a push came, that are remembered.
_MAX_CONNECTIONS = 65_536

_NORMAL = 1  # Trd_Common.ModifyOrderOp: changes quantity and price


class OrderEvents(Protocol):
    """Hears of what is odd about an order at the moment when it shows."""

    def status_went_back(self, order: Order, before: State, state: State, message: Message) -> None:
        """A connection told an earlier state after a final one, or a smaller filled quantity."""

    def fill_repeated(self, order: Order, fill: Fill, message: Message, *, reconnected: bool) -> None:
        """A fill was sent again on its connection, or (`reconnected`) on one that was opened later."""


class _Response(NamedTuple):
    """Holds what the ledger needs of a response."""

    number: int
    time_ns: int
    connection: int
    ret: int
    ret_type: str
    ret_msg: str | None
    ids: tuple[int, str]


class OrderLedger:
    """Follows orders, message by message, in bounded memory.

    ::

        ledger = OrderLedger()
        for item in items:
            ledger.add(item)
        for order in ledger.finish(): ...

    :param events: hears of oddities
    :param max_orders: orders that are kept; `dropped` counts the others
    """

    def __init__(self, events: OrderEvents | None = None, max_orders: int = _MAX_ORDERS) -> None:
        self._events = events
        self._index = OrderIndex(max_orders)
        # By the number of the request: the orders that it concerns, and what its response decides.
        self._asked: BoundedDict[int, list[tuple[Order, Placed | Change]]] = BoundedDict(_MAX_PENDING)
        self._early: BoundedDict[tuple[int, int, int], _Response] = BoundedDict(_MAX_EARLY)
        self._by_packet_id: BoundedDict[tuple[int, int], Order] = BoundedDict(_MAX_PACKET_IDS)
        self._connections: BoundedDict[int, OrderConnection] = BoundedDict(_MAX_CONNECTIONS)
        self._pushed_accounts: set[str] = set()
        self._first_ns: int | None = None

    @property
    def dropped(self) -> int:
        """Number of orders beyond the limit, which are not followed."""
        return self._index.dropped

    # Feeding

    def add(self, item: Message | Gap) -> bool:
        """Takes the next message or gap; returns True if it speaks of an order."""
        ordinal = item.flow.connection
        connection = self._connections.get(ordinal)
        if connection is None:
            connection = self._connections[ordinal] = OrderConnection(item.time_ns)
            self._first_ns = item.time_ns if self._first_ns is None else self._first_ns
        connection.last_ns = item.time_ns
        if not isinstance(item, Message):
            connection.gap(item.time_ns, item.direction)
            return False
        if item.header[PROTO_ID] not in _FOLLOWED or item.verdict == "failed" or item.copy:
            return False
        body = item.protobuf
        if body is None:
            return False
        if item.kind == "request":
            return self._request(item, body, connection)
        if item.kind == "push":
            return self._push(item, body)
        return self._response(item, body)

    def connection_ended(self, ordinal: int, last_ns: int) -> None:
        """Takes the end of a connection, or of what was seen of it, for a caller that adds only some messages."""
        connection = self._connections.get(ordinal)
        if connection is not None:
            connection.last_ns = max(connection.last_ns, last_ns)

    # Requests

    def _request(self, message: Message, body: ProtobufMessage, connection: OrderConnection) -> bool:
        c2s: Any = body.c2s  # type: ignore[attr-defined]
        proto_id = message.proto_id
        if proto_id in LOGIN_IDS:
            connection.handshake = True
        elif proto_id == TRD_SUB_ACC_PUSH:
            connection.accounts = frozenset(str(account) for account in c2s.accIDList[:MAX_ENTRIES])
        elif proto_id in PLACING:
            self._place(message, c2s)
            return True
        elif proto_id == TRD_MODIFY_ORDER:
            self._change(message, c2s)
            return True
        return False

    def _place(self, message: Message, c2s: Any) -> None:
        packet_id = c2s.packetID.connID, c2s.packetID.serialNo
        again = self._by_packet_id.get(packet_id)
        again = None if again is None else self._index.resolve(again)
        if again is not None and again.placed is not None:  # the same order, sent a second time
            again.add_note("packet-id-repeated")
            _touch(again, message)
            self._expect(message, [(again, again.placed)])
            return
        order = self._index.new(c2s.header, message.time_ns)
        if order is None:
            return
        placed = Placed(message.time_ns, message.number, message.flow.connection, packet_id)
        order.placed = placed
        describe_placing(order, message.proto_id, c2s)
        self._by_packet_id[packet_id] = order
        _touch(order, message)
        self._expect(message, [(order, placed)])

    def _change(self, message: Message, c2s: Any) -> None:
        header = c2s.header
        if c2s.forAll:
            market = enum_name("TrdMarket", c2s.trdMarket) if c2s.HasField("trdMarket") else None
            targets = self._index.newest_open(header, market)
        else:
            found = self._index.find(header, c2s.orderID, c2s.orderIDEx, message.time_ns)
            targets = [] if found is None else [found]
        asked: list[tuple[Order, Placed | Change]] = []
        normal = c2s.modifyOrderOp == _NORMAL
        for order in targets:
            change = Change(
                message.time_ns,
                enum_name("ModifyOrderOp", c2s.modifyOrderOp),
                c2s.qty if normal and c2s.HasField("qty") else None,
                c2s.price if normal and c2s.HasField("price") else None,
                message.number,
                message.flow.connection,
            )
            if len(order.changes) < MAX_ENTRIES:
                order.changes.append(change)
            else:
                order.add_note("limit")
            _touch(order, message)
            asked.append((order, change))
        self._expect(message, asked)

    def _expect(self, message: Message, asked: list[tuple[Order, Placed | Change]]) -> None:
        """Waits for the response to a request, unless it came before it."""
        if message.own_notes is not None and "request-later" in message.own_notes:
            early = self._early.pop((message.flow.connection, message.proto_id, message.serial_no), None)
            if early is not None:
                self._answered(asked, early, None)
                return
        if asked:
            self._asked[message.number] = asked

    # Responses

    def _response(self, message: Message, body: Any) -> bool:
        proto_id = message.proto_id
        if proto_id in PLACING or proto_id == TRD_MODIFY_ORDER:
            s2c = body.s2c
            ex = id_text(s2c.orderIDEx) if proto_id != TRD_MODIFY_ORDER or body.HasField("s2c") else ""
            order_id = s2c.orderID if proto_id != TRD_PLACE_COMBO_ORDER else 0
            said = text(body.retMsg)
            flow = message.flow
            response = _Response(
                message.number, message.time_ns, flow.connection, body.retType, ret_type_of(body), said, (order_id, ex)
            )
            asked = None if message.request is None else self._asked.pop(message.request, None)
            if asked is not None:
                self._answered(asked, response, message.latency_ns)
            elif message.request is None:
                self._early[flow.connection, proto_id, message.serial_no] = response
                self._without_request(message, body, response)
            return True
        if body.retType != 0 or not body.HasField("s2c"):
            return False
        if proto_id in _ORDER_LISTS:
            header = body.s2c.header
            asked_ns = None if message.latency_ns is None else message.time_ns - message.latency_ns
            for told in body.s2c.orderList:
                self._told(header, told, message, "list", asked_ns)
            return bool(body.s2c.orderList)
        if proto_id in _FILL_LISTS:
            header = body.s2c.header
            for told in body.s2c.orderFillList:
                self._fill(header, told, message, pushed=False)
            return bool(body.s2c.orderFillList)
        return False

    def _without_request(self, message: Message, body: Any, response: _Response) -> None:
        """Takes a response whose request is not in the capture, or comes later: it names an order all the same."""
        if response.ret == 0 and body.HasField("s2c"):
            order = self._index.find(body.s2c.header, *response.ids, message.time_ns)
            if order is not None:
                order.confirmed = True
                _touch(order, message)

    def _answered(
        self, asked: list[tuple[Order, Placed | Change]], response: _Response, latency_ns: int | None
    ) -> None:
        open_end = response.ret in NO_ANSWER or (response.ret != 0 and "ProtoRet_TimeOut" in (response.ret_msg or ""))
        accepted = None if open_end else response.ret == 0
        for named, entry in asked:
            order = self._index.resolve(named)
            if entry.response is None:
                entry.response = response.number
                entry.ret_type = response.ret_type
                entry.ret_msg = response.ret_msg
                entry.accepted = accepted
                if isinstance(entry, Placed):
                    entry.latency_ns = latency_ns
                    if accepted is False:
                        self._index.mark_over(order)
                else:
                    entry.response_ns = response.time_ns
                    if accepted is False and entry.effect is None:
                        entry.effect = False
                    if accepted and entry.op == "NORMAL":
                        _ask_for(order, entry)
            order.note_message(response.number, response.time_ns, response.connection)
            if accepted is not False:
                order.confirmed = True
            if accepted and isinstance(entry, Placed):
                self._index.identify(order, *response.ids)

    # Pushes and lists

    def _push(self, message: Message, body: Any) -> bool:
        if body.retType != 0 or not body.HasField("s2c"):
            return False
        s2c = body.s2c
        if len(self._pushed_accounts) < _MAX_CONNECTIONS:
            self._pushed_accounts.add(str(s2c.header.accID))
        if message.proto_id == TRD_UPDATE_ORDER:
            self._told(s2c.header, s2c.order, message, "push", None)
        else:
            self._fill(s2c.header, s2c.orderFill, message, pushed=True)
        return True

    def _told(
        self, header: Any, told: Any, message: Message, source: Literal["push", "list"], asked_ns: int | None
    ) -> None:
        """Takes an order as a push or list tells it: whole, whatever changed."""
        order = self._index.find(header, told.orderID, told.orderIDEx, message.time_ns)
        if order is None:
            return
        order.confirmed = True
        _touch(order, message)
        if source == "push":
            order.note_push(message.time_ns)
        state = state_of(told, message, source)
        added = add_state(order, state, message.flow.connection, asked_ns)
        if added.new:
            self._index.follow_state(order)
        if added.went_back_from is not None and self._events is not None:
            self._events.status_went_back(order, added.went_back_from, state, message)
        if added.newest:
            describe(order, told, header)
        # Whole seconds in places, and the clocks of two machines: two seconds of doubt.
        first_ns = self._first_ns
        if order.placed is None and first_ns is not None and told.createTimestamp * 1e9 > first_ns + 2e9:
            order.add_note("placed-elsewhere")

    def _fill(self, header: Any, told: Any, message: Message, *, pushed: bool) -> None:
        order = self._index.find(header, told.orderID, told.orderIDEx, message.time_ns)
        if order is None:
            return
        order.confirmed = True
        _touch(order, message)
        if pushed:
            order.note_push(message.time_ns)
        if order.symbol is None:
            order.symbol, order.name = symbol(told, header), text(told.name)
            order.side = enum_name("TrdSide", told.trdSide)
        fill_id = str(told.fillID) if told.fillID else id_text(told.fillIDEx)
        status = enum_name("OrderFillStatus", told.status) if told.HasField("status") else None
        ordinal = message.flow.connection
        for fill in order.fills:
            if fill.fill_id == fill_id:
                self._fill_again(order, fill, status, message, pushed=pushed)
                return
        if len(order.fills) >= MAX_ENTRIES:
            order.add_note("limit")
            return
        fill = Fill(message.time_ns, fill_id, told.qty, told.price, status, message.number)
        if pushed:
            fill.connections.append(ordinal)
        order.fills.append(fill)

    def _fill_again(self, order: Order, fill: Fill, status: str | None, message: Message, *, pushed: bool) -> None:
        changed = status is not None and status != fill.status
        if changed:
            fill.status = status
        if message.time_ns < fill.time_ns:
            fill.time_ns, fill.message = message.time_ns, message.number
        if not pushed:
            return
        ordinal = message.flow.connection
        same = ordinal in fill.connections
        if same and not changed:
            fill.repeated += 1
        if not same and len(fill.connections) < MAX_ENTRIES:
            fill.connections.append(ordinal)
        reconnected = not same and self._connections[ordinal].first_ns > fill.time_ns
        if self._events is not None and not changed and (same or reconnected):
            self._events.fill_repeated(order, fill, message, reconnected=reconnected)

    # Results

    def orders(self) -> list[Order]:
        """Returns the orders so far, in the order in which they were first spoken of, without drawing conclusions."""
        known = (order for order in self._index.orders() if order.confirmed or not _only_refused(order))
        return sorted(known, key=lambda order: (order.first_ns, order.messages[:1]))

    def finish(self) -> list[Order]:
        """Returns the orders at the end of the capture, with notes on what it does not show."""
        found = self.orders()
        conclude(found, self._connections, self._pushed_accounts)
        return found


def _touch(order: Order, message: Message) -> None:
    order.note_message(message.number, message.time_ns, message.flow.connection)


def _only_refused(order: Order) -> bool:
    """True of an id that only refused changes name: there may be no such order."""
    return order.placed is None and bool(order.changes) and all(change.accepted is False for change in order.changes)


def _ask_for(order: Order, change: Change) -> None:
    if order.states and order.states[-1].time_ns >= change.time_ns:
        return  # its effect, or that of something later, is in the states already
    order.qty = order.qty if change.qty is None else change.qty
    order.price = order.price if change.price is None else change.price
