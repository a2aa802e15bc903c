"""Finds orders by their ids, in bounded memory, and merges two entries that turn out to be one order."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from decoder.findings.order_fields import enum_name, id_text
from decoder.findings.order_rows import FINAL, MAX_ENTRIES, Order

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["OrderIndex"]

_Key = tuple[str, str, int | str]
"""Environment, account, and orderID (a number) or orderIDEx (a text)."""


class OrderIndex:
    """Holds the orders of a capture under every id that they are known by.

    :param max_orders: orders that are kept; `dropped` counts the others
    """

    def __init__(self, max_orders: int) -> None:
        self._max_orders = max_orders
        self._orders: dict[Order, None] = {}  # (two entries may turn out to be one)
        self._by_key: dict[_Key, Order] = {}
        self._merged: dict[Order, Order] = {}  # entries that turned out to be another one
        self._open_orders: dict[tuple[str, str], dict[Order, None]] = {}  # by environment and account: not over yet
        self.dropped = 0

    def orders(self) -> Iterable[Order]:
        """Returns all entries."""
        return self._orders

    def new(self, header: Any, time_ns: int) -> Order | None:
        """Makes an entry without an id for the account in `header`; returns None beyond the limit."""
        if len(self._orders) >= self._max_orders:
            self.dropped += 1
            return None
        env, market = enum_name("TrdEnv", header.trdEnv), enum_name("TrdMarket", header.trdMarket)
        order = Order(str(header.accID), env, market, time_ns, time_ns)
        self._orders[order] = None
        self.mark_open(order)
        return order

    def find(self, header: Any, order_id: int, order_id_ex: str | bytes, time_ns: int) -> Order | None:
        """Returns the order with one of these ids, a new one if there is none; None beyond the limit."""
        keys = _keys(enum_name("TrdEnv", header.trdEnv), str(header.accID), order_id, order_id_ex)
        for key in keys:
            order = self._by_key.get(key)
            if order is not None:
                break
        else:
            order = self.new(header, time_ns) if keys else None
            if order is None:
                return None
        return self.identify(order, order_id, id_text(order_id_ex))

    def identify(self, order: Order, order_id: int, order_id_ex: str) -> Order:
        """Enters an order under its ids; returns it, or the one that it turns out to be."""
        # One name each: an order that is given ever new ones would fill the table.
        named = order_id if order.order_id in (None, str(order_id)) else 0
        named_ex = order_id_ex if order.order_id_ex in (None, order_id_ex) else ""
        keys = _keys(order.env, order.account, named, named_ex)
        for key in keys:
            known = self.resolve(self._by_key.setdefault(key, order))
            if known is not order:
                order = self._merge(known, order)
        for key in keys:  # one that was entered before a merge may still name the entry that went
            self._by_key[key] = order
        if order_id and order.order_id is None:
            order.order_id = str(order_id)
        if order_id_ex and order.order_id_ex is None:
            order.order_id_ex = order_id_ex
        return order

    def resolve(self, order: Order) -> Order:
        """Returns the entry that an order was merged into, or itself."""
        merged = self._merged
        entry = merged.get(order)
        if entry is None:
            return order
        while (further := merged.get(entry)) is not None:
            entry = further
        merged[order] = entry
        return entry

    def _merge(self, one: Order, other: Order) -> Order:
        """Makes one entry of two that are the same order: a push named it before the response did."""
        if other.states and not one.states:
            one, other = other, one
        del self._orders[other]
        one.absorb(other)
        for key in _keys(other.env, other.account, int(other.order_id or 0), other.order_id_ex or ""):
            self._by_key[key] = one
        self._merged[other] = one  # requests that wait for their response still name it
        self.mark_over(other)
        return one

    # Open orders, of which cancel-all speaks

    def mark_open(self, order: Order) -> None:
        """Counts an order among the open ones of its account."""
        self._open_orders.setdefault((order.env, order.account), {})[order] = None

    def mark_over(self, order: Order) -> None:
        """Counts an order no more among the open ones of its account."""
        self._open_orders[order.env, order.account].pop(order, None)

    def follow_state(self, order: Order) -> None:
        """Counts an order among the open ones, or not, by its last state."""
        if order.states[-1].number in FINAL:
            self.mark_over(order)
        else:
            self.mark_open(order)

    def newest_open(self, header: Any, market: str | None) -> list[Order]:
        """Returns the newest open orders of an account, which cancel-all means without naming them."""
        working = self._open_orders.get((enum_name("TrdEnv", header.trdEnv), str(header.accID)), {})
        newest = islice(reversed(working), MAX_ENTRIES)
        return [order for order in newest if market in (None, "NONE", order.market)]


def _keys(env: str, account: str, order_id: int, order_id_ex: str | bytes) -> list[_Key]:
    keys: list[_Key] = [(env, account, order_id)] if order_id else []
    if order_id_ex:
        keys.append((env, account, id_text(order_id_ex)))
    return keys
