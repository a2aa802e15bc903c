"""Orders on many connections, and a model that knows what became of each: plain bookkeeping on what was sent.

Every order follows a script.  Its messages go over several connections that subscribed to its account; packets are
lost, repeated and overtake each other; connections end and programs come back.  The model never looks at how the
ledger works: it takes from the decoder only which messages came out, under which number, and at what time.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any

from decoder import Message
from tests.support.exchange import START_NS, frame, init_request, init_response, vendor
from tests.support.session import filled, request

SUBMITTING, SUBMITTED, PART, ALL, CANCELLED_PART, CANCELLED_ALL, FAILED = 2, 5, 10, 11, 14, 15, 21
NAMES = {
    SUBMITTING: "SUBMITTING",
    SUBMITTED: "SUBMITTED",
    PART: "FILLED_PART",
    ALL: "FILLED_ALL",
    CANCELLED_PART: "CANCELLED_PART",
    CANCELLED_ALL: "CANCELLED_ALL",
    FAILED: "FAILED",
}
OUTCOMES = {
    SUBMITTING: "working",
    SUBMITTED: "working",
    PART: "working",
    ALL: "filled",
    CANCELLED_PART: "partly-filled",
    CANCELLED_ALL: "cancelled",
    FAILED: "failed",
}
FINAL = {ALL, CANCELLED_PART, CANCELLED_ALL, FAILED}
MS = 1_000_000
QTY, PRICE = 100.0, 10.0

Identity = tuple[int, str, int, int]
"""Client port, direction, protocol id, serial number."""


@dataclass
class State:
    """A state as the script has it."""

    status: int
    filled: float = 0.0
    qty: float = QTY
    price: float = PRICE


@dataclass
class Order:
    """A script, and which messages tell of what."""

    number: int
    account: int
    kind: str
    states: list[State] = field(default_factory=list)
    fills: list[float] = field(default_factory=list)
    request: Identity | None = None
    response: Identity | None = None
    accepted: bool = True
    tells: dict[int, list[Identity]] = field(default_factory=lambda: defaultdict(list))
    """By place of the state: the pushes that tell it."""
    fill_tells: dict[int, list[Identity]] = field(default_factory=lambda: defaultdict(list))
    change: tuple[Identity, Identity, str, float | None] | None = None
    """Request, response, operation, new price."""

    @property
    def order_id(self) -> int:
        return 7_000_000 + self.number


@dataclass(order=True)
class _Due:
    at_ns: int
    place: int
    connection: _Connection = field(compare=False)
    direction: str = field(compare=False)
    data: bytes = field(compare=False)


class _Connection:
    """One TCP connection of a program: numbers its messages and packets."""

    def __init__(self, port: int, account: int, begin_ns: int) -> None:
        self.port = port
        self.account = account
        self.begin_ns = begin_ns
        self.end_ns = 1 << 62
        self.serials = {"c2s": 0, "s2c": 0}
        self.next = {"c2s": 1_000, "s2c": 5_000}


class Market:
    """Makes the traffic of `count` orders on `connections` programs."""

    def __init__(self, rng: Random, count: int, connections: int, *, dirt: bool = True) -> None:
        self._rng = rng
        self._dirt = dirt
        self._due: list[_Due] = []
        self._place = 0
        self.orders: list[Order] = []
        self._live = [_Connection(40_000 + number, number // 2, START_NS) for number in range(connections)]
        self._all = list(self._live)
        for connection in self._live:
            self._login(connection, START_NS)
        accounts = connections // 2
        now = START_NS + 1_000 * MS
        for number in range(count):
            now += rng.randrange(1 * MS, 8 * MS)
            if dirt and number % 500 == 250:
                self._reconnect(rng.randrange(connections), now)
            self._order(Order(number, rng.randrange(accounts), self._kind()), now)

    def _kind(self) -> str:
        kinds = ("filled", "parts", "cancelled", "part-cancelled", "changed", "failed", "refused", "unanswered")
        return self._rng.choice((*kinds, "working", "elsewhere"))

    # Connections

    def _login(self, connection: _Connection, at_ns: int) -> None:
        self._send(connection, "c2s", 1001, init_request(packetEncAlgo=-1), at_ns)
        self._send(connection, "s2c", 1001, init_response(9_000_000 + connection.port), at_ns + MS, serial=1)
        asked = request("Trd_SubAccPush", accIDList=[connection.account])
        self._send(connection, "c2s", 2008, asked, at_ns + 2 * MS)
        self._send(connection, "s2c", 2008, _response("Trd_SubAccPush"), at_ns + 3 * MS, serial=2)

    def _reconnect(self, which: int, now: int) -> None:
        """A connection ends, its program comes back and hears the last fill once more."""
        old = self._live[which]
        old.end_ns = now
        new = _Connection(41_000 + len(self._all), old.account, now + 20 * MS)
        self._live[which] = new
        self._all.append(new)
        self._login(new, now + 20 * MS)
        for order in reversed(self.orders[-40:]):
            if order.account == new.account and order.fills:
                body = self._fill_body(order, 0)
                order.fill_tells[0].append(self._send(new, "s2c", 2218, body, now + 5_000 * MS))
                break

    def _listeners(self, account: int, at_ns: int) -> list[_Connection]:
        return [
            each
            for each in self._all
            if each.account == account and each.begin_ns + 4 * MS < at_ns < each.end_ns - 2 * MS
        ]

    # Orders

    def _order(self, order: Order, now: int) -> None:
        rng = self._rng
        self.orders.append(order)
        homes = self._listeners(order.account, now)
        home = homes[0] if homes else None
        if order.kind == "elsewhere":
            order.states = [State(SUBMITTED), State(ALL, QTY)]
        else:
            if home is None:
                self.orders.pop()
                return
            serial = home.serials["c2s"] + 1
            order.request = self._send(home, "c2s", 2202, self._request_body(order), now)
            self._script(order)
            if order.kind != "unanswered":
                order.accepted = order.kind != "refused"
                answer = self._answer_body("Trd_PlaceOrder", order, order.accepted)
                order.response = self._send(home, "s2c", 2202, answer, now + 3 * MS, serial=serial)
        at_ns = now + 2 * MS
        filled_so_far = 0.0
        for place, state in enumerate(order.states):
            if order.kind in ("changed", "cancelled", "part-cancelled") and place == len(order.states) - 1 and home:
                self._change(order, home, at_ns - 5 * MS)
            self._tell(order, place, at_ns)
            if state.filled > filled_so_far:
                order.fills.append(state.filled - filled_so_far)
                filled_so_far = state.filled
                self._tell_fill(order, len(order.fills) - 1, at_ns + 4 * MS)
            at_ns += rng.randrange(30 * MS, 60 * MS)

    def _script(self, order: Order) -> None:
        begin = [State(SUBMITTING), State(SUBMITTED)]
        rest = {
            "filled": [State(ALL, QTY)],
            "parts": [State(PART, 30.0), State(ALL, QTY)],
            "cancelled": [State(CANCELLED_ALL)],
            "part-cancelled": [State(PART, 60.0), State(CANCELLED_PART, 60.0)],
            "changed": [State(SUBMITTED, price=PRICE + 1)],
            "working": [],
        }
        if order.kind == "failed":
            order.states = [State(SUBMITTING), State(FAILED)]
        elif order.kind in rest:
            order.states = begin + rest[order.kind]

    def _change(self, order: Order, home: _Connection, at_ns: int) -> None:
        price = PRICE + 1 if order.kind == "changed" else None
        operation = 1 if order.kind == "changed" else 2
        serial = home.serials["c2s"] + 1
        fields: dict[str, Any] = {} if price is None else {"qty": QTY, "price": price}
        body = request(
            "Trd_ModifyOrder",
            packetID={"connID": 9_000_000 + home.port, "serialNo": serial},
            header=self._header(order),
            orderID=order.order_id,
            modifyOrderOp=operation,
            **fields,
        )
        asked = self._send(home, "c2s", 2205, body, at_ns)
        answer = self._answer_body("Trd_ModifyOrder", order, accepted=True)
        answered = self._send(home, "s2c", 2205, answer, at_ns + 8 * MS, serial=serial)
        order.change = asked, answered, "NORMAL" if operation == 1 else "CANCEL", price

    def _tell(self, order: Order, place: int, at_ns: int) -> None:
        body = self._order_body(order, place, at_ns)
        for delay, connection in enumerate(self._listeners(order.account, at_ns)):
            for _ in range(1 + (self._dirt and self._rng.random() < 0.02)):
                sent = self._send(connection, "s2c", 2208, body, at_ns + delay * 300_000)
                order.tells[place].append(sent)

    def _tell_fill(self, order: Order, place: int, at_ns: int) -> None:
        body = self._fill_body(order, place)
        for delay, connection in enumerate(self._listeners(order.account, at_ns)):
            for _ in range(1 + (self._dirt and self._rng.random() < 0.02)):
                sent = self._send(connection, "s2c", 2218, body, at_ns + delay * 300_000)
                order.fill_tells[place].append(sent)

    # Bodies

    @staticmethod
    def _header(order: Order) -> dict[str, Any]:
        return {"trdEnv": 1, "accID": order.account, "trdMarket": 1}

    def _request_body(self, order: Order) -> bytes:
        return request(
            "Trd_PlaceOrder",
            packetID={"connID": 9_000_000 + order.account, "serialNo": order.number + 1},
            header=self._header(order),
            trdSide=1,
            orderType=1,
            code="00700",
            secMarket=1,
            qty=QTY,
            price=PRICE,
            remark=f"r{order.number}",
        )

    def _answer_body(self, module: str, order: Order, accepted: bool) -> bytes:
        if not accepted:
            return _response(module, -1, "no buying power")
        ids: dict[str, Any] = {"orderID": order.order_id, "orderIDEx": f"EX{order.number}"}
        return _response(module, header=self._header(order), **ids)

    def _order_body(self, order: Order, place: int, at_ns: int) -> bytes:
        state = order.states[place]
        return _response(
            "Trd_UpdateOrder",
            header=self._header(order),
            order={
                "trdSide": 1,
                "orderType": 1,
                "orderStatus": state.status,
                "orderID": order.order_id,
                "orderIDEx": f"EX{order.number}",
                "code": "00700",
                "secMarket": 1,
                "name": "x",
                "qty": state.qty,
                "price": state.price,
                "createTime": "",
                "updateTime": "",
                "fillQty": state.filled,
                "fillAvgPrice": PRICE if state.filled else 0.0,
                "updateTimestamp": at_ns // MS / 1_000,
                "lastErrMsg": "rejected" if state.status == FAILED else "",
                "remark": f"r{order.number}",
            },
        )

    def _fill_body(self, order: Order, place: int) -> bytes:
        return _response(
            "Trd_UpdateOrderFill",
            header=self._header(order),
            orderFill={
                "trdSide": 1,
                "fillID": order.order_id * 10 + place,
                "fillIDEx": "",
                "orderID": order.order_id,
                "orderIDEx": f"EX{order.number}",
                "code": "00700",
                "secMarket": 1,
                "name": "x",
                "qty": order.fills[place],
                "price": PRICE,
                "createTime": "",
                "status": 0,
            },
        )

    def _send(
        self, connection: _Connection, direction: str, proto_id: int, body: bytes, at_ns: int, serial: int | None = None
    ) -> Identity:
        if serial is None:
            connection.serials[direction] += 1
            serial = connection.serials[direction] + (1_000_000 if direction == "s2c" else 0)
        data = frame(proto_id, body, serial_no=serial)
        self._place += 1
        self._due.append(_Due(at_ns, self._place, connection, direction, data))
        return connection.port, direction, proto_id, serial

    # Packets

    def packets(self) -> list[tuple[bytes, int]]:
        """All packets in the order of the capture, with their times."""
        rng, out = self._rng, []
        for connection in self._all:
            at_ns = connection.begin_ns - 3 * MS
            out.append((_packet(connection, "c2s", 0x02, b""), at_ns))
            connection.next["c2s"] += 1
            out.append((_packet(connection, "s2c", 0x12, b""), at_ns + MS))
            connection.next["s2c"] += 1
        for due in sorted(self._due):
            connection = due.connection
            data = _packet(connection, due.direction, 0x18, due.data)
            connection.next[due.direction] += len(due.data)
            chance = rng.random() if self._dirt else 1.0
            late = due.at_ns > connection.begin_ns + 100 * MS  # the handshake comes whole
            if late and chance < 0.004:
                continue  # lost
            shift = rng.randrange(5 * MS) if late and chance < 0.05 else 0
            out.append((data, due.at_ns + shift))
            if late and 0.05 <= chance < 0.07:
                out.append((data, due.at_ns + 2 * MS))  # sent again
        return sorted(out, key=lambda packet: packet[1])


def _response(module: str, ret_type: Any = 0, text: Any = "", **s2c: Any) -> bytes:
    fields: dict[str, Any] = {"retType": ret_type, "retMsg": text}
    if s2c:
        fields["s2c"] = s2c
    data: bytes = filled(vendor(module).Response(), fields).SerializePartialToString()
    return data


def _packet(connection: _Connection, direction: str, flags: int, payload: bytes) -> bytes:
    """An Ethernet, IPv4, TCP packet, written plainly."""
    other = "s2c" if direction == "c2s" else "c2s"
    ends = (b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02")
    ports = (connection.port, 11_111)
    if direction == "s2c":
        ends, ports = ends[::-1], ports[::-1]
    ack = connection.next[other] if flags & 0x10 else 0
    tcp = struct.pack("!HHIIBBHHH", *ports, connection.next[direction], ack, 0x50, flags, 65_535, 0, 0)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0, *ends)
    return b"\x02" * 12 + b"\x08\x00" + head + tcp + payload


# What must come out


def expected(order: Order, came: dict[Identity, Message]) -> list[dict[str, Any]]:
    """The rows that the messages which came out must give for an order."""
    told = [came[each] for each in _all_tells(order) if each in came]
    asked = came.get(order.request) if order.request else None
    answer = came.get(order.response) if order.response else None
    named = bool(told) or (answer is not None and order.accepted)
    change = [came[each] for each in order.change[:2] if each in came] if order.change else []
    if not named and not change and asked is None:
        return []
    whole = asked is not None and (answer is not None or not named)
    rows = []
    if asked is not None and not whole:  # nothing ties the request to the order
        rows.append(_row(order, asked, None, {}, {}, [asked]))
    states = {place: _told_first(tells, came) for place, tells in order.tells.items()}
    fills = {place: _told_first(tells, came) for place, tells in order.fill_tells.items()}
    parts = [*told, *change, *([answer] if answer else []), *([asked] if asked and whole else [])]
    if named or change or whole:
        rows.append(_row(order, asked if whole else None, answer, states, fills, parts))
    return rows


def _all_tells(order: Order) -> list[Identity]:
    every = [*order.tells.values(), *order.fill_tells.values()]
    return [each for tells in every for each in tells]


def _told_first(tells: list[Identity], came: dict[Identity, Message]) -> Message | None:
    present = [came[each] for each in tells if each in came]
    return min(present, key=lambda message: (message.time_ns, message.number), default=None)


def _row(
    order: Order,
    asked: Message | None,
    answer: Message | None,
    states: dict[int, Message | None],
    fills: dict[int, Message | None],
    parts: list[Message],
) -> dict[str, Any]:
    shown = [(order.states[place], first) for place, first in sorted(states.items()) if first is not None]
    pushes = [first.time_ns for first in (*states.values(), *fills.values()) if first is not None]
    final = shown[-1] if shown and shown[-1][0].status in FINAL else None
    outcome = OUTCOMES[shown[-1][0].status] if shown else None
    if outcome is None:
        waits = asked is not None and answer is None
        outcome = "unanswered" if waits else "unknown" if order.accepted else "refused"
    refused = answer is not None and not order.accepted
    return {
        "order_id": None if refused or (not shown and not fills and answer is None) else str(order.order_id),
        "placed": None if asked is None else (asked.number, answer and answer.number),
        "states": [(NAMES[s.status], s.filled, first.number, first.time_ns) for s, first in shown],
        "fills": [
            (order.fills[place], first.number, first.time_ns)
            for place, first in sorted(
                fills.items(), key=lambda item: (item[1].time_ns, item[1].number) if item[1] else (0, 0)
            )
            if first is not None
        ],
        "outcome": outcome,
        "filled_qty": shown[-1][0].filled if shown else None,
        "first_push_ms": (min(pushes) - asked.time_ns) / 1e6 if asked is not None and pushes else None,
        "done_ms": (final[1].time_ns - asked.time_ns) / 1e6 if asked is not None and final else None,
        "connections": sorted({message.connection for message in parts}),
        "messages": sorted(message.number for message in parts),
    }
