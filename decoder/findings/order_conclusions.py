"""Concludes on orders at the end of a capture: notes on what it does not show, changes that had no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.findings.order_rows import CANCELLING, FINAL, Change, Order
from decoder.findings.order_states import is_as_asked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

__all__ = ["OrderConnection", "conclude"]

# Times of gaps kept of one connection.
_MAX_GAPS = 256
# So long after an accepted change a subscribed connection would have heard of its effect (pushes take milliseconds).
_EFFECT_NS = 10 * 1_000_000_000


class OrderConnection:
    """Holds the facts of one connection on which the conclusions rest."""

    __slots__ = ("accounts", "first_ns", "gaps", "handshake", "last_ns", "lost_requests")

    def __init__(self, first_ns: int) -> None:
        self.first_ns = first_ns
        self.last_ns = first_ns
        self.handshake = False
        """True once its InitConnect was seen."""
        self.accounts: frozenset[str] = frozenset()
        """Accounts to whose pushes it subscribed."""
        self.gaps: list[int] = []
        """Times of its gaps, the first of them."""
        self.lost_requests = False
        """True if bytes from the client are missing."""

    def gap(self, time_ns: int, direction: str) -> None:
        """Notes a gap."""
        if len(self.gaps) < _MAX_GAPS:
            self.gaps.append(time_ns)
        self.lost_requests = self.lost_requests or direction == "c2s"


def conclude(orders: Iterable[Order], connections: Mapping[int, OrderConnection], pushed_accounts: Set[str]) -> None:
    """Adds notes on what the capture does not show, and decides whether accepted changes had an effect.

    :param pushed_accounts: accounts of which any push came
    """
    subscribed = frozenset[str]().union(*(each.accounts for each in connections.values()))
    heard = subscribed | pushed_accounts
    lost_requests = any(each.lost_requests for each in connections.values())
    orders = list(orders)
    open_requests = _OpenRequests(orders)
    for order in orders:
        order.connections.sort()
        order.fills.sort(key=lambda fill: (fill.time_ns, fill.message))
        if order.placed is None and "placed-elsewhere" not in order.notes:
            answer_missing = open_requests.take(order)
            unknown = "gap" if lost_requests else "placed-before-capture"
            order.add_note("placed-unanswered" if answer_missing else unknown)
        if _lacks_pushes(order, connections, heard):
            order.add_note("trade-push-not-subscribed")
        if _has_gap(order, connections):
            order.add_note("gap")
        for change in order.changes:
            if change.effect is None and _without_effect(order, change, connections.get(change.connection)):
                change.effect = False


class _OpenRequests:
    """Holds the requests without a clear answer: each may have placed an order whose request is not known."""

    def __init__(self, orders: Iterable[Order]) -> None:
        self._times: dict[tuple[object, ...], list[int]] = {}
        for order in orders:
            if order.placed is not None and order.placed.accepted is None and order.order_id is None:
                self._times.setdefault(_asked(order), []).append(order.placed.time_ns)

    def take(self, order: Order) -> bool:
        """Returns True if there is one before `order` that asked for the same; it counts for no other order then."""
        times = self._times.get(_asked(order), [])
        if not times or min(times) > order.first_ns:
            return False
        times.remove(min(times))
        return True


def _asked(order: Order) -> tuple[object, ...]:
    return order.account, order.env, order.market, order.symbol, order.side, order.qty, order.price


def _lacks_pushes(order: Order, connections: Mapping[int, OrderConnection], heard: Set[str]) -> bool:
    """True if the program that placed the order cannot hear of it: nobody subscribed to the account's pushes."""
    placed = order.placed
    if placed is None or not placed.accepted or order.first_push_ns is not None:
        return False
    connection = connections.get(placed.connection)
    known = connection is not None and connection.handshake and not connection.lost_requests
    return known and order.account not in heard


def _has_gap(order: Order, connections: Mapping[int, OrderConnection]) -> bool:
    over = bool(order.states) and order.states[-1].number in FINAL
    for ordinal in order.connections:
        connection = connections.get(ordinal)
        if connection is not None and any(
            order.first_ns <= gap and (not over or gap <= order.last_ns) for gap in connection.gaps
        ):
            return True
    return False


def _without_effect(order: Order, change: Change, connection: OrderConnection | None) -> bool:
    """True if an accepted change should have shown by now, and nothing did."""
    if not change.accepted or change.response_ns is None or connection is None or order.first_push_ns is None:
        return False
    if connection.last_ns - change.response_ns < _EFFECT_NS or connection.gaps:
        return False
    later = [state for state in order.states if state.time_ns >= change.time_ns]
    return (
        bool(order.states)
        and not any(state.number in CANCELLING for state in later)
        and (change.op != "NORMAL" or not is_as_asked(change, order.states[-1]))
    )
