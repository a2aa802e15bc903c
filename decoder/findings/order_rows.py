"""Defines the rows of the order ledger: an order, how it was placed, its states, fills and changes.

Times are nanoseconds since 1970, UTC; prices and quantities are as on the wire; what the capture does not show is None.
`Order.record` gives the object of ``opendump orders --format jsonl``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from decoder.formatting.times import rfc3339

__all__ = ["FINAL", "ORDER_KEYS", "Change", "Fill", "Order", "Outcome", "Placed", "State"]

Outcome = Literal["filled", "partly-filled", "cancelled", "failed", "refused", "working", "unanswered", "unknown"]

# Numbers of Trd_Common.OrderStatus (source: the schema).
TIMED_OUT, FILLED_PART, FILLED_ALL, CANCELLED_PART, CANCELLED_ALL = 4, 10, 11, 14, 15
SUBMIT_FAILED, FAILED, DISABLED, DELETED, FILL_CANCELLED = 3, 21, 22, 23, 24
SUBMITTED = 5
CANCELLING = frozenset((12, 13))
FINAL = frozenset((SUBMIT_FAILED, FILLED_ALL, CANCELLED_PART, CANCELLED_ALL, FAILED, DISABLED, DELETED, FILL_CANCELLED))
"""States after which nothing more is expected of an order."""
_CANCELLED = frozenset((CANCELLED_PART, CANCELLED_ALL, DELETED))
# Entries of one order in each of its lists; an honest order has a handful.
MAX_ENTRIES = 256
# RetType: timed out, connection to the servers lost, unknown.  The order may have been booked all the same.
NO_ANSWER = frozenset((-100, -200, -400))

ORDER_KEYS = {
    "order_id": "orderID, decimal; null while unknown",
    "order_id_ex": "orderIDEx; null while unknown",
    "account": "accID",
    "env": "REAL or SIMULATE",
    "market": "trdMarket of the account",
    "symbol": "market and code, HK.00700; the legs of a combined order joined by +",
    "name": "name of the security",
    "side": "trdSide",
    "type": "orderType",
    "time_in_force": "timeInForce",
    "session": "trading session",
    "qty": "quantity, as asked for last",
    "price": "price, as asked for last",
    "remark": "remark that the program gave",
    "placed": "its request: time, message, connection, packet_id, response, latency_ms, ret_type, ret_msg; null if the "
    "request is not in the capture",
    "states": "list of time, status, filled_qty, avg_price, source (push, list), message: each change of status, "
    "filled quantity, quantity or price",
    "fills": "list of time, fill_id, qty, price, status, message, repeated: one a fill; repeated: how often the same "
    "connection sent it again",
    "changes": "list of time, op, qty, price, message, response, ret_type, ret_msg, effect (null: not known)",
    "status": "the last status",
    "outcome": "filled, partly-filled (over), cancelled, failed, refused, working, unanswered, unknown",
    "filled_qty": "filled quantity, last known",
    "avg_price": "average price, last known",
    "error": "lastErrMsg, last known",
    "first_push_ms": "from the request to the first push, which may come before the response",
    "done_ms": "from the request to the final status",
    "first_seen": "time of the first message about it",
    "last_seen": "time of the last message about it",
    "connections": "ordinals of the connections that spoke of it",
    "messages": "numbers of the messages that speak of it",
    "notes": "why something is null: placed-before-capture, placed-elsewhere, placed-unanswered, "
    "trade-push-not-subscribed, gap, packet-id-repeated, limit",
}
"""Keys of an order, and what they say."""


@dataclass(slots=True)
class Placed:
    """The request that placed an order, and its response."""

    time_ns: int
    message: int
    """Number of the request."""
    connection: int
    packet_id: tuple[int, int]
    """connID and serialNo."""
    response: int | None = None
    """Number of the response."""
    latency_ns: int | None = None
    ret_type: str | None = None
    """The SDK's name."""
    ret_msg: str | None = None
    accepted: bool | None = None
    """True: RET_OK; False: refused; None: no response, or one that leaves it open (a timeout)."""

    def record(self) -> dict[str, Any]:
        """Returns the object of the key ``placed``."""
        conn_id, serial_no = self.packet_id
        return {
            "time": rfc3339(self.time_ns),
            "message": self.message,
            "connection": self.connection,
            "packet_id": {"connID": str(conn_id), "serialNo": serial_no},
            "response": self.response,
            "latency_ms": milliseconds(self.latency_ns),
            "ret_type": self.ret_type,
            "ret_msg": self.ret_msg,
        }


@dataclass(slots=True)
class State:
    """Holds one state of an order, as the first message shows it."""

    time_ns: int
    number: int
    """Its number in Trd_Common.OrderStatus."""
    status: str
    filled_qty: float
    avg_price: float | None
    qty: float
    price: float | None
    source: Literal["push", "list"]
    message: int
    updated: float | None = None
    """updateTimestamp of the order, in seconds since 1970: the broker's clock, whole seconds in places."""

    def record(self) -> dict[str, Any]:
        """Returns one object of the key ``states``."""
        return {
            "time": rfc3339(self.time_ns),
            "status": self.status,
            "filled_qty": self.filled_qty,
            "avg_price": self.avg_price,
            "source": self.source,
            "message": self.message,
        }

    def is_older(self, other: State) -> bool:
        """Returns True if it must have been before `other`: by the broker's clock, else by what orders go through."""
        if self.updated and other.updated and self.updated != other.updated:
            return self.updated < other.updated
        if self.qty != other.qty or self.price != other.price:
            return False  # a change may have sent it back to the start
        if self.filled_qty != other.filled_qty:
            return self.filled_qty < other.filled_qty
        return _rank(self.number) < _rank(other.number)

    def same(self, other: State) -> bool:
        """True if nothing that counts as a change differs."""
        return (
            self.number == other.number
            and self.filled_qty == other.filled_qty
            and self.qty == other.qty
            and self.price == other.price
        )


@dataclass(slots=True)
class Fill:
    """Holds one execution of an order, as the first message shows it; `status` is the last known."""

    time_ns: int
    fill_id: str
    qty: float
    price: float
    status: str | None
    message: int
    repeated: int = 0
    """Number of times that a connection repeated it without a change."""
    connections: list[int] = field(default_factory=list)
    """Ordinals of the connections that pushed it."""

    def record(self) -> dict[str, Any]:
        """Returns one object of the key ``fills``."""
        return {
            "time": rfc3339(self.time_ns),
            "fill_id": self.fill_id,
            "qty": self.qty,
            "price": self.price,
            "status": self.status,
            "message": self.message,
            "repeated": self.repeated,
        }


@dataclass(slots=True)
class Change:
    """A request to change, cancel, delete, enable or disable an order, and its response."""

    time_ns: int
    op: str
    """The SDK's name of its ModifyOrderOp."""
    qty: float | None
    price: float | None
    message: int
    connection: int
    response: int | None = None
    response_ns: int | None = None
    ret_type: str | None = None
    ret_msg: str | None = None
    accepted: bool | None = None
    """As `Placed.accepted`."""
    effect: bool | None = None
    """True if a later state shows it, False if it was refused or the capture shows that nothing came of it."""

    def record(self) -> dict[str, Any]:
        """Returns one object of the key ``changes``."""
        return {
            "time": rfc3339(self.time_ns),
            "op": self.op,
            "qty": self.qty,
            "price": self.price,
            "message": self.message,
            "response": self.response,
            "ret_type": self.ret_type,
            "ret_msg": self.ret_msg,
            "effect": self.effect,
        }


@dataclass(slots=True, eq=False)
class Order:
    """One order over all connections of a capture.  Two entries with the same content are not the same."""

    account: str
    env: str
    market: str
    first_ns: int
    last_ns: int
    order_id: str | None = None
    order_id_ex: str | None = None
    symbol: str | None = None
    name: str | None = None
    side: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    session: str | None = None
    qty: float | None = None
    price: float | None = None
    remark: str | None = None
    placed: Placed | None = None
    states: list[State] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    avg_price: float | None = None
    error: str | None = None
    first_push_ns: int | None = None
    connections: list[int] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    confirmed: bool = False
    """True once the gateway spoke of it; False while only a request names it."""
    told: dict[int, int] = field(default_factory=dict, repr=False)
    """Index in `states` of the state that each connection told last, by the ordinal of the connection."""

    @property
    def status(self) -> str | None:
        """The last status."""
        return self.states[-1].status if self.states else None

    @property
    def filled_qty(self) -> float | None:
        """The filled quantity, last known; of an order without a state the sum of its fills."""
        if self.states:
            return self.states[-1].filled_qty
        return sum(fill.qty for fill in self.fills) if self.fills else None

    @property
    def outcome(self) -> Outcome:
        """Outcome, as far as the capture shows."""
        if self.states:
            return self._outcome_of_state(self.states[-1])
        placed = self.placed
        if placed is None or placed.accepted:
            return "unknown"
        if placed.response is None:
            return "unanswered"
        return "refused" if placed.accepted is False else "unknown"

    def note_message(self, number: int, time_ns: int, connection: int) -> None:
        """Notes a message that speaks of the order."""
        self.first_ns = min(self.first_ns, time_ns)
        self.last_ns = max(self.last_ns, time_ns)
        if connection not in self.connections and len(self.connections) < MAX_ENTRIES:
            self.connections.append(connection)
        if len(self.messages) < MAX_ENTRIES:
            if number not in self.messages:
                self.messages.append(number)
        else:
            self.add_note("limit")

    def note_push(self, time_ns: int) -> None:
        """Notes the time of a push that speaks of the order."""
        if self.first_push_ns is None or time_ns < self.first_push_ns:
            self.first_push_ns = time_ns

    def absorb(self, other: Order) -> None:
        """Takes over what another entry of the same order holds; its own values come first."""
        if not self.states:
            self.states, self.told = other.states, other.told
        self.placed = self.placed or other.placed
        self.confirmed = self.confirmed or other.confirmed
        for name in ("symbol", "name", "side", "type", "time_in_force", "session", "qty", "price", "remark", "error"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(other, name))
        self.order_id = self.order_id or other.order_id
        self.order_id_ex = self.order_id_ex or other.order_id_ex
        self.first_ns = min(self.first_ns, other.first_ns)
        self.last_ns = max(self.last_ns, other.last_ns)
        if other.first_push_ns is not None:
            self.note_push(other.first_push_ns)
        self.fills += other.fills
        self.changes = sorted(self.changes + other.changes, key=lambda change: change.message)
        self.connections = sorted({*self.connections, *other.connections})
        self.messages = sorted({*self.messages, *other.messages})
        for note in other.notes:
            self.add_note(note)

    @staticmethod
    def _outcome_of_state(state: State) -> Outcome:
        number = state.number
        if number == FILLED_ALL:
            return "filled"
        if number not in FINAL:
            return "unknown" if number in (TIMED_OUT, -1) else "working"
        if state.filled_qty > 0 and number != FILL_CANCELLED:
            return "partly-filled"
        return "cancelled" if number in _CANCELLED else "failed"

    @property
    def first_push_ms(self) -> float | None:
        """Milliseconds from the request to the first push."""
        return None if self.placed is None else _between(self.placed.time_ns, self.first_push_ns)

    @property
    def done_ms(self) -> float | None:
        """Milliseconds from the request to the final status."""
        if self.placed is None or not self.states or self.states[-1].number not in FINAL:
            return None
        return _between(self.placed.time_ns, self.states[-1].time_ns)

    def add_note(self, note: str) -> None:
        """Appends `note` unless it is there already."""
        if note not in self.notes:
            self.notes.append(note)

    def record(self) -> dict[str, Any]:
        """Returns the object with the keys of `ORDER_KEYS`."""
        return {
            "order_id": self.order_id,
            "order_id_ex": self.order_id_ex,
            "account": self.account,
            "env": self.env,
            "market": self.market,
            "symbol": self.symbol,
            "name": self.name,
            "side": self.side,
            "type": self.type,
            "time_in_force": self.time_in_force,
            "session": self.session,
            "qty": self.qty,
            "price": self.price,
            "remark": self.remark,
            "placed": None if self.placed is None else self.placed.record(),
            "states": [state.record() for state in self.states],
            "fills": [fill.record() for fill in self.fills],
            "changes": [change.record() for change in self.changes],
            "status": self.status,
            "outcome": self.outcome,
            "filled_qty": self.filled_qty,
            "avg_price": self.avg_price,
            "error": self.error,
            "first_push_ms": self.first_push_ms,
            "done_ms": self.done_ms,
            "first_seen": rfc3339(self.first_ns),
            "last_seen": rfc3339(self.last_ns),
            "connections": self.connections,
            "messages": self.messages,
            "notes": self.notes,
        }


def _rank(number: int) -> int:
    """Returns how far a state is in the life of an order."""
    if number in FINAL:
        return 3
    return 2 if number == FILLED_PART or number in CANCELLING else 1 if number == SUBMITTED else 0


def milliseconds(duration_ns: int | None) -> float | None:
    """Returns nanoseconds as milliseconds; None stays None."""
    return None if duration_ns is None else duration_ns / 1_000_000


def _between(start_ns: int, end_ns: int | None) -> float | None:
    return None if end_ns is None else milliseconds(end_ns - start_ns)
