"""Keeps a ledger of orders: one entry an order, over all connections of a capture.

Requests, responses, pushes and lists of orders and fills are put together by the order's ids.  The order of things on
the wire is not that of events: a push comes before the response to the request that caused it, a fill after FILLED_ALL,
every connection that subscribed to an account tells everything once more, a list repeats what pushes told.
"""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from decoder import schema
from decoder.body.body import ret_type_of
from decoder.body.scalars import plain_text
from decoder.bounded import BoundedDict
from decoder.findings.order_rows import (
    CANCELLED_ALL,
    CANCELLED_PART,
    CANCELLING,
    DELETED,
    DISABLED,
    FILL_CANCELLED,
    FINAL,
    NO_ANSWER,
    Change,
    Fill,
    Order,
    Placed,
    State,
)
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
    from collections.abc import Iterable

    from google.protobuf.message import Message as ProtobufMessage

__all__ = ["OrderEvents", "OrderLedger", "enum_name"]

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
# Entries of one order in each of its lists; an honest order has a handful.
_MAX_ENTRIES = 256
# Requests that wait for their response, and responses that came before their request.
_MAX_PENDING = 16_384
_MAX_EARLY = 1_024
# PacketIDs remembered, to know an order that was sent again.
_MAX_PACKET_IDS = 65_536
# Times of gaps kept of one connection.
_MAX_GAPS = 256
_MAX_CONNECTIONS = 65_536
_MAX_TEXT = 256
# So long after an accepted change a subscribed connection would have heard of its effect (pushes take milliseconds).
_EFFECT_NS = 10 * 1_000_000_000

_NORMAL, _CANCEL, _DISABLE, _ENABLE, _DELETE = 1, 2, 3, 4, 5  # Trd_Common.ModifyOrderOp


class OrderEvents(Protocol):
    """Hears of what is odd about an order at the moment when it shows."""

    def status_went_back(self, order: Order, before: State, state: State, message: Message) -> None:
        """A connection told an earlier state after a final one, or a smaller filled quantity."""

    def fill_repeated(self, order: Order, fill: Fill, message: Message, *, reconnected: bool) -> None:
        """A fill was told again on its connection, or (`reconnected`) on one that was opened later."""


class _Response(NamedTuple):
    """Holds what the ledger needs of a response."""

    number: int
    time_ns: int
    connection: int
    ret: int
    ret_type: str
    ret_msg: str | None
    ids: tuple[int, str]


class _Connection:
    """Holds what the ledger knows of one connection."""

    __slots__ = ("accounts", "first_ns", "gaps", "handshake", "last_ns", "lost_requests")

    def __init__(self, first_ns: int) -> None:
        self.first_ns = first_ns
        self.last_ns = first_ns
        self.handshake = False
        self.accounts: frozenset[str] = frozenset()
        self.gaps: list[int] = []
        self.lost_requests = False


_Key = tuple[str, str, int | str]
"""Environment, account, and orderID (a number) or orderIDEx (a text)."""


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
        self._max_orders = max_orders
        self._orders: dict[int, Order] = {}  # by identity: two entries may turn out to be one
        self._by_key: dict[_Key, Order] = {}
        self._merged: dict[int, tuple[Order, Order]] = {}  # entries that turned out to be another one
        self._positions: dict[int, dict[int, int]] = {}  # of an order: which of its states each connection told last
        self._asked: BoundedDict[int, list[tuple[Order, Placed | Change]]] = BoundedDict(
            _MAX_PENDING
        )  # by the number of the request
        self._open_orders: dict[tuple[str, str], dict[int, Order]] = {}  # by environment and account: not over yet
        self._early: BoundedDict[tuple[int, int, int], _Response] = BoundedDict(_MAX_EARLY)
        self._by_packet_id: BoundedDict[tuple[int, int], Order] = BoundedDict(_MAX_PACKET_IDS)
        self._connections: BoundedDict[int, _Connection] = BoundedDict(_MAX_CONNECTIONS)
        self._pushed_accounts: set[str] = set()
        self._first_ns: int | None = None
        self.dropped = 0
        """Orders beyond the limit, which are not followed."""

    # Feeding

    def add(self, item: Message | Gap) -> bool:
        """Takes the next message or gap; returns True if it speaks of an order."""
        ordinal = item.flow.connection
        connection = self._connections.get(ordinal)
        if connection is None:
            connection = self._open(ordinal, item.time_ns)
        connection.last_ns = item.time_ns
        if not isinstance(item, Message):
            if len(connection.gaps) < _MAX_GAPS:
                connection.gaps.append(item.time_ns)
            connection.lost_requests = connection.lost_requests or item.direction == "c2s"
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

    def _open(self, ordinal: int, time_ns: int) -> _Connection:
        if self._first_ns is None:
            self._first_ns = time_ns
        connection = self._connections[ordinal] = _Connection(time_ns)
        return connection

    def connection_ended(self, ordinal: int, last_ns: int) -> None:
        """Takes the end of a connection, or of what was seen of it, for a caller that adds only some messages."""
        connection = self._connections.get(ordinal)
        if connection is not None:
            connection.last_ns = max(connection.last_ns, last_ns)

    # Requests

    def _request(self, message: Message, body: ProtobufMessage, connection: _Connection) -> bool:
        c2s: Any = body.c2s  # type: ignore[attr-defined]
        proto_id = message.proto_id
        if proto_id in LOGIN_IDS:
            connection.handshake = True
        elif proto_id == TRD_SUB_ACC_PUSH:
            connection.accounts = frozenset(str(account) for account in c2s.accIDList[:_MAX_ENTRIES])
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
        again = None if again is None else self._resolve(again)
        if again is not None and again.placed is not None:  # the same order, sent a second time
            again.add_note("packet-id-repeated")
            self._touch(again, message)
            self._expect(message, [(again, again.placed)])
            return
        order = self._new(c2s.header, message)
        if order is None:
            return
        placed = Placed(message.time_ns, message.number, message.flow.connection, packet_id)
        order.placed = placed
        order.side = enum_name("TrdSide", c2s.trdSide) if message.proto_id == TRD_PLACE_ORDER else None
        order.symbol = _symbol(c2s, c2s.header) if message.proto_id == TRD_PLACE_ORDER else _legs(c2s.comboLegs)
        order.type = enum_name("OrderType", c2s.orderType)
        order.qty = c2s.qty
        order.price = c2s.price if c2s.HasField("price") else None
        order.remark = _text(c2s.remark)
        if c2s.HasField("timeInForce"):
            order.time_in_force = enum_name("TimeInForce", c2s.timeInForce)
        if message.proto_id == TRD_PLACE_ORDER and c2s.HasField("session"):
            order.session = _session(c2s.session)
        self._by_packet_id[packet_id] = order
        self._touch(order, message)
        self._expect(message, [(order, placed)])

    def _change(self, message: Message, c2s: Any) -> None:
        header = c2s.header
        if c2s.forAll:
            market = enum_name("TrdMarket", c2s.trdMarket) if c2s.HasField("trdMarket") else None
            targets = self._working(header, market)
        else:
            found = self._find(header, c2s.orderID, c2s.orderIDEx, message)
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
            if len(order.changes) < _MAX_ENTRIES:
                order.changes.append(change)
            else:
                order.add_note("limit")
            self._touch(order, message)
            asked.append((order, change))
        self._expect(message, asked)

    def _working(self, header: Any, market: str | None) -> list[Order]:
        """Returns the newest open orders of an account, of which cancel-all speaks without naming them."""
        working = self._open_orders.get((enum_name("TrdEnv", header.trdEnv), str(header.accID)), {})
        newest = islice(reversed(working.values()), _MAX_ENTRIES)
        return [order for order in newest if market in (None, "NONE", order.market)]

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
            ex = plain_text(s2c.orderIDEx)[:_MAX_TEXT] if proto_id != TRD_MODIFY_ORDER or body.HasField("s2c") else ""
            order_id = s2c.orderID if proto_id != TRD_PLACE_COMBO_ORDER else 0
            said = _text(body.retMsg)
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
            order = self._find(body.s2c.header, *response.ids, message)
            if order is not None:
                order.confirmed = True
                self._touch(order, message)

    def _answered(
        self, asked: list[tuple[Order, Placed | Change]], response: _Response, latency_ns: int | None
    ) -> None:
        open_end = response.ret in NO_ANSWER or (response.ret != 0 and "ProtoRet_TimeOut" in (response.ret_msg or ""))
        accepted = None if open_end else response.ret == 0
        for named, entry in asked:
            order = self._resolve(named)
            if entry.response is None:
                entry.response = response.number
                entry.ret_type = response.ret_type
                entry.ret_msg = response.ret_msg
                entry.accepted = accepted
                if isinstance(entry, Placed):
                    entry.latency_ns = latency_ns
                    if accepted is False:
                        self._open_orders[order.env, order.account].pop(id(order), None)
                else:
                    entry.response_ns = response.time_ns
                    if accepted is False and entry.effect is None:
                        entry.effect = False
                    if accepted and entry.op == "NORMAL":
                        _ask_for(order, entry)
            self._note_message(order, response.number, response.time_ns, response.connection)
            if accepted is not False:
                order.confirmed = True
            if accepted and isinstance(entry, Placed):
                self._identify(order, *response.ids)

    # Pushes and lists

    def _push(self, message: Message, body: Any) -> bool:
        if body.retType != 0 or not body.HasField("s2c"):
            return False
        s2c = body.s2c
        self._pushed_accounts.add(str(s2c.header.accID)) if len(self._pushed_accounts) < _MAX_CONNECTIONS else None
        if message.proto_id == TRD_UPDATE_ORDER:
            self._told(s2c.header, s2c.order, message, "push", None)
        else:
            self._fill(s2c.header, s2c.orderFill, message, pushed=True)
        return True

    def _told(
        self, header: Any, told: Any, message: Message, source: Literal["push", "list"], asked_ns: int | None
    ) -> None:
        """Takes an order as a push or list tells it: whole, whatever changed."""
        order = self._find(header, told.orderID, told.orderIDEx, message)
        if order is None:
            return
        order.confirmed = True
        self._touch(order, message)
        if source == "push":
            _note_push(order, message.time_ns)
        state = State(
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
        if self._advance(order, state, message, asked_ns):
            _describe(order, told, header)
        # Whole seconds in places, and the clocks of two machines: two seconds of doubt.
        first_ns = self._first_ns
        if order.placed is None and first_ns is not None and told.createTimestamp * 1e9 > first_ns + 2e9:
            order.add_note("placed-elsewhere")

    def _advance(self, order: Order, state: State, message: Message, asked_ns: int | None) -> bool:
        """Appends `state` if it is news; returns True if it is the newest that is known.

        Each connection tells the states in their order, but one may lag behind another, and a list may be older than
        a push: so a state counts as a repetition if it equals one that this connection has still to tell.
        """
        states, ordinal = order.states, message.flow.connection
        positions = self._positions.setdefault(id(order), {})
        start = positions.get(ordinal, -1)
        if states and start == len(states) - 1 and states[-1].same(state):
            _tell_earlier(states[-1], state)
            return True  # by far the most: told again
        if asked_ns is not None:  # a list: of the time of its request at the earliest
            current = [place for place, known in enumerate(states) if known.time_ns <= asked_ns]
            start = min(start, (current[-1] if current else 0) - 1)
        for place in range(max(start, 0), len(states)):
            if states[place].same(state):
                told = positions.get(ordinal, -1)
                if (state.source == "push" or place > told) and (told >= 0 or len(positions) < _MAX_ENTRIES):
                    positions[ordinal] = place
                _tell_earlier(states[place], state)
                return place == len(states) - 1
        if len(states) >= _MAX_ENTRIES:
            order.add_note("limit")
            return False
        told_before, place = ordinal in positions, len(states)
        while place > start + 1 and place > 0 and state.is_older(states[place - 1]):
            place -= 1  # the other connections have told more, but missed this one
        before = states[place - 1] if place else None
        if place < len(states):
            for other, told in positions.items():
                if told >= place:
                    positions[other] = told + 1
        states.insert(place, state)
        if told_before or len(positions) < _MAX_ENTRIES:
            positions[ordinal] = place
        working = self._open_orders[order.env, order.account]
        if states[-1].number in FINAL:
            working.pop(id(order), None)
        else:
            working[id(order)] = order
        for change in order.changes:
            if change.effect is None and change.time_ns <= state.time_ns:
                change.effect = _effect(change, before, state)
        if before is not None and told_before and self._events is not None and _went_back(before, state):
            self._events.status_went_back(order, before, state, message)
        return place == len(states) - 1

    def _fill(self, header: Any, told: Any, message: Message, *, pushed: bool) -> None:
        order = self._find(header, told.orderID, told.orderIDEx, message)
        if order is None:
            return
        order.confirmed = True
        self._touch(order, message)
        if pushed:
            _note_push(order, message.time_ns)
        if order.symbol is None:
            order.symbol, order.name = _symbol(told, header), _text(told.name)
            order.side = enum_name("TrdSide", told.trdSide)
        fill_id = str(told.fillID) if told.fillID else plain_text(told.fillIDEx)[:_MAX_TEXT]
        status = enum_name("OrderFillStatus", told.status) if told.HasField("status") else None
        ordinal = message.flow.connection
        for fill in order.fills:
            if fill.fill_id == fill_id:
                self._fill_again(order, fill, status, message, pushed=pushed)
                return
        if len(order.fills) >= _MAX_ENTRIES:
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
        if not same and len(fill.connections) < _MAX_ENTRIES:
            fill.connections.append(ordinal)
        reconnected = not same and self._connections[ordinal].first_ns > fill.time_ns
        if self._events is not None and not changed and (same or reconnected):
            self._events.fill_repeated(order, fill, message, reconnected=reconnected)

    # Identity

    def _find(self, header: Any, order_id: int, order_id_ex: str | bytes, message: Message) -> Order | None:
        """Returns the order with one of these ids, a new one if there is none; None beyond the limit."""
        keys = _keys(enum_name("TrdEnv", header.trdEnv), str(header.accID), order_id, order_id_ex)
        for key in keys:
            order = self._by_key.get(key)
            if order is not None:
                break
        else:
            order = self._new(header, message) if keys else None
            if order is None:
                return None
        return self._identify(order, order_id, plain_text(order_id_ex)[:_MAX_TEXT])

    def _identify(self, order: Order, order_id: int, order_id_ex: str) -> Order:
        """Enters an order under its ids; returns it, or the one that it turns out to be."""
        # One name each: an order that is given ever new ones would fill the table.
        named = order_id if order.order_id in (None, str(order_id)) else 0
        named_ex = order_id_ex if order.order_id_ex in (None, order_id_ex) else ""
        keys = _keys(order.env, order.account, named, named_ex)
        for key in keys:
            known = self._resolve(self._by_key.setdefault(key, order))
            if known is not order:
                order = self._merge(known, order)
        for key in keys:  # one that was entered before a merge may still name the entry that went
            self._by_key[key] = order
        if order_id and order.order_id is None:
            order.order_id = str(order_id)
        if order_id_ex and order.order_id_ex is None:
            order.order_id_ex = order_id_ex
        return order

    def _merge(self, one: Order, other: Order) -> Order:
        """Puts two entries together that are the same order: a push told of it before the response did."""
        if other.states and not one.states:
            one, other = other, one
        del self._orders[id(other)]
        other_positions = self._positions.pop(id(other), {})
        if not one.states:
            one.states, self._positions[id(one)] = other.states, other_positions
        one.placed = one.placed or other.placed
        one.confirmed = one.confirmed or other.confirmed
        for name in ("symbol", "name", "side", "type", "time_in_force", "session", "qty", "price", "remark", "error"):
            if getattr(one, name) is None:
                setattr(one, name, getattr(other, name))
        one.order_id = one.order_id or other.order_id
        one.order_id_ex = one.order_id_ex or other.order_id_ex
        one.first_ns = min(one.first_ns, other.first_ns)
        one.last_ns = max(one.last_ns, other.last_ns)
        pushes = [each for each in (one.first_push_ns, other.first_push_ns) if each is not None]
        one.first_push_ns = min(pushes, default=None)
        one.fills += other.fills
        one.changes = sorted(one.changes + other.changes, key=lambda change: change.message)
        one.connections = sorted({*one.connections, *other.connections})
        one.messages = sorted({*one.messages, *other.messages})
        for note in other.notes:
            one.add_note(note)
        for key in _keys(other.env, other.account, int(other.order_id or 0), other.order_id_ex or ""):
            self._by_key[key] = one
        self._merged[id(other)] = other, one  # requests that wait for their response still name it
        self._open_orders[other.env, other.account].pop(id(other), None)
        return one

    def _resolve(self, order: Order) -> Order:
        """Returns the entry that an order was merged into, or itself."""
        merged = self._merged
        entry = merged.get(id(order))
        if entry is None:
            return order
        while (further := merged.get(id(entry[1]))) is not None:
            entry = further
        merged[id(order)] = order, entry[1]
        return entry[1]

    def _new(self, header: Any, message: Message) -> Order | None:
        if len(self._orders) >= self._max_orders:
            self.dropped += 1
            return None
        order = Order(
            str(header.accID),
            enum_name("TrdEnv", header.trdEnv),
            enum_name("TrdMarket", header.trdMarket),
            message.time_ns,
            message.time_ns,
        )
        self._orders[id(order)] = order
        self._open_orders.setdefault((order.env, order.account), {})[id(order)] = order
        return order

    def _touch(self, order: Order, message: Message) -> None:
        self._note_message(order, message.number, message.time_ns, message.flow.connection)

    @staticmethod
    def _note_message(order: Order, number: int, time_ns: int, connection: int) -> None:
        order.first_ns = min(order.first_ns, time_ns)
        order.last_ns = max(order.last_ns, time_ns)
        if connection not in order.connections and len(order.connections) < _MAX_ENTRIES:
            order.connections.append(connection)
        if len(order.messages) < _MAX_ENTRIES:
            if number not in order.messages:
                order.messages.append(number)
        else:
            order.add_note("limit")

    # Results

    def orders(self) -> list[Order]:
        """Returns the orders so far, in the order in which they were first spoken of, without drawing conclusions."""
        known = (order for order in self._orders.values() if order.confirmed or not _only_refused(order))
        return sorted(known, key=lambda order: (order.first_ns, order.messages[:1]))

    def finish(self) -> list[Order]:
        """Returns the orders at the end of the capture, with notes on what it does not show."""
        found = self.orders()
        subscribed = frozenset[str]().union(*(each.accounts for each in self._connections.values()))
        lost_requests = any(each.lost_requests for each in self._connections.values())
        for order in found:
            order.connections.sort()
            order.fills.sort(key=lambda fill: (fill.time_ns, fill.message))
            if order.placed is None and "placed-elsewhere" not in order.notes:
                order.add_note("gap" if lost_requests else "placed-before-capture")
            if self._lacks_pushes(order, subscribed):
                order.add_note("trade-push-not-subscribed")
            if self._has_gap(order):
                order.add_note("gap")
            for change in order.changes:
                if change.effect is None and self._without_effect(order, change):
                    change.effect = False
        return found

    def _lacks_pushes(self, order: Order, subscribed: frozenset[str]) -> bool:
        """True if the program that placed the order cannot hear of it: nobody subscribed to the account's pushes."""
        placed = order.placed
        if placed is None or not placed.accepted or order.first_push_ns is not None:
            return False
        connection = self._connections.get(placed.connection)
        known = connection is not None and connection.handshake and not connection.lost_requests
        return known and order.account not in subscribed and order.account not in self._pushed_accounts

    def _has_gap(self, order: Order) -> bool:
        over = bool(order.states) and order.states[-1].number in FINAL
        for ordinal in order.connections:
            connection = self._connections.get(ordinal)
            if connection is not None and any(
                order.first_ns <= gap and (not over or gap <= order.last_ns) for gap in connection.gaps
            ):
                return True
        return False

    def _without_effect(self, order: Order, change: Change) -> bool:
        """True if an accepted change should have shown by now, and nothing did."""
        connection = self._connections.get(change.connection)
        if not change.accepted or change.response_ns is None or connection is None or order.first_push_ns is None:
            return False
        if connection.last_ns - change.response_ns < _EFFECT_NS or connection.gaps:
            return False
        later = [state for state in order.states if state.time_ns >= change.time_ns]
        return (
            bool(order.states)
            and not any(state.number in CANCELLING for state in later)
            and (change.op != "NORMAL" or not _is_as_asked(change, order.states[-1]))
        )


def _note_push(order: Order, time_ns: int) -> None:
    if order.first_push_ns is None or time_ns < order.first_push_ns:
        order.first_push_ns = time_ns


def _tell_earlier(known: State, state: State) -> None:
    """Takes over time and message of a state that another connection had told before, but whose stream stood still."""
    if state.time_ns < known.time_ns:
        known.time_ns, known.message, known.source = state.time_ns, state.message, state.source


def _only_refused(order: Order) -> bool:
    """True of an id that only refused changes name: there may be no such order."""
    return order.placed is None and bool(order.changes) and all(change.accepted is False for change in order.changes)


def _effect(change: Change, before: State | None, state: State) -> bool | None:
    """Judges a change by the next state of its order; None while it stays open."""
    number = state.number
    if change.op == "NORMAL":
        if before is not None and _is_as_asked(change, before):
            return None  # it asks for what is so already
        if _is_as_asked(change, state):
            return True
    elif change.op == "CANCEL":
        if number in (CANCELLED_PART, CANCELLED_ALL, DELETED):
            return True
    elif change.op == "DISABLE":
        if number == DISABLED:
            return True
    elif change.op == "ENABLE":
        return number != DISABLED or None
    elif number == DELETED:
        return True
    return False if number in FINAL else None


def _is_as_asked(change: Change, state: State) -> bool:
    return (change.qty is None or change.qty == state.qty) and (change.price is None or change.price == state.price)


def _went_back(before: State, state: State) -> bool:
    if state.number == FILL_CANCELLED or before.number == DISABLED:
        return False
    return (before.number in FINAL and state.number not in FINAL) or state.filled_qty < before.filled_qty


def _ask_for(order: Order, change: Change) -> None:
    if order.states and order.states[-1].time_ns >= change.time_ns:
        return  # its effect, or that of something later, was told already
    order.qty = order.qty if change.qty is None else change.qty
    order.price = order.price if change.price is None else change.price


def _describe(order: Order, told: Any, header: Any) -> None:
    """Takes over how the gateway describes an order."""
    order.symbol = _legs(told.comboLegs) if told.comboLegs else _symbol(told, header)
    order.name = _text(told.name)
    order.side = enum_name("TrdSide", told.trdSide)
    order.type = enum_name("OrderType", told.orderType)
    order.qty = told.qty
    order.price = told.price if told.HasField("price") else None
    order.remark = _text(told.remark) or order.remark
    order.error = _text(told.lastErrMsg) or order.error
    if told.HasField("timeInForce"):
        order.time_in_force = enum_name("TimeInForce", told.timeInForce)
    if told.HasField("session"):
        order.session = _session(told.session)
    if told.HasField("fillAvgPrice"):
        order.avg_price = told.fillAvgPrice


def _keys(env: str, account: str, order_id: int, order_id_ex: str | bytes) -> list[_Key]:
    keys: list[_Key] = [(env, account, order_id)] if order_id else []
    if order_id_ex:
        keys.append((env, account, plain_text(order_id_ex)[:_MAX_TEXT]))
    return keys


def _text(value: str | bytes) -> str | None:
    return plain_text(value)[:_MAX_TEXT] or None


# Values of TrdMarket that hold securities of one market only: requests of older SDKs leave out secMarket.
_ONE_MARKET = frozenset(("HK", "US", "SG", "JP", "AU", "MY", "CA"))


def _symbol(told: Any, header: Any) -> str:
    code = plain_text(told.code)[:_MAX_TEXT]
    market = enum_name("TrdSecMarket", told.secMarket) if told.HasField("secMarket") and told.secMarket else None
    if market is None:
        market = enum_name("TrdMarket", header.trdMarket)
        if market not in _ONE_MARKET:
            return code
    return f"{market.removeprefix('CN_')}.{code}"


def _legs(legs: Iterable[Any]) -> str:
    markets = schema.enum_names(schema.enum_descriptor("Qot_Common.QotMarket"), "sdk")
    shown = (
        f"{markets.get(leg.security.market, leg.security.market)}.{plain_text(leg.security.code)[:_MAX_TEXT]}"
        for leg in list(legs)[:16]
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
