"""Writes the orders of the report: what was asked, the way to the last state, what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from decoder.formatting.table import columns
from decoder.output.report.axes import Clock, LogScale, duration
from decoder.output.report.markup import Markup, joined, tag
from decoder.output.report.pictures import order_track, shape_legend, track_axis
from decoder.output.report.tables import Tables

if TYPE_CHECKING:
    from decoder.findings.order_rows import Order

__all__ = ["orders"]

_MAX_ORDERS = 40
"""Orders drawn as a line; all others are in a table."""


def orders(tables: Tables, found: Sequence[Order], dropped: int, known: frozenset[int], clock: Clock) -> Markup:
    """Returns the orders: what was asked, the way to the last state, what became of it."""
    longest = max((_life(order) for order in found), default=1)
    scale = LogScale(100_000, max(longest, 1_000_000))
    rows = [_order(order, scale, known, clock) for order in found[:_MAX_ORDERS]]
    parts = [
        shape_legend(
            (
                ("answer", "answer to the request"),
                ("state", "working"),
                ("part", "partly filled"),
                ("filled", "filled"),
                ("gone", "cancelled"),
                ("failed", "failed"),
                ("change", "change or cancel asked for"),
            )
        ),
        tag("p", "The line of an order is the time since its request, on a logarithmic axis.", class_="hint"),
        tag("div", *rows, tag("div", track_axis(scale), class_="order-axis"), class_="orders"),
    ]
    if len(found) > _MAX_ORDERS:
        parts.append(tag("p", f"{len(found) - _MAX_ORDERS:,} more orders, without lines:"))
        parts.append(_order_table(tables, found[_MAX_ORDERS:], clock))
    if dropped:
        parts.append(tag("p", f"{dropped:,} further orders were not followed: cut the capture by time."))
    return joined(parts)


def _life(order: Order) -> int:
    start_ns = order.first_ns if order.placed is None else order.placed.time_ns
    ends = [state.time_ns for state in order.states] + [change.time_ns for change in order.changes]
    return max(ends, default=start_ns) - start_ns


def _asked(order: Order) -> str:
    """Returns ``BUY 300 HK.00700 at 400.2``."""
    at = f" at {order.price:.15g}" if order.price and order.type != "MARKET" else ""
    words = [order.side or "?", "?" if order.qty is None else f"{order.qty:.15g}", order.symbol or "?"]
    kind = "" if order.type in (None, "NORMAL") else f" {order.type}"
    return f"{' '.join(words)}{at}{kind}"


def _became(order: Order) -> str:
    """Returns the outcome in words: ``filled 300 at 400.2 in 15.5 ms``."""
    words = order.outcome.replace("-", " ")
    if order.filled_qty:
        words += f" {order.filled_qty:.15g}" + (f" at {order.avg_price:.15g}" if order.avg_price else "")
    if order.done_ms is not None:
        words += f" in {duration(order.done_ms * 1e6)}"
    return words


def _said(order: Order) -> str | None:
    placed = order.placed
    if order.error:
        return order.error
    if placed is not None and placed.ret_msg and placed.accepted is not True:
        return placed.ret_msg
    if order.outcome == "unanswered":
        return "no response in the capture: it may have been placed all the same"
    return None


def _order(order: Order, scale: LogScale, known: frozenset[int], clock: Clock) -> Markup:
    placed = order.placed
    start_ns = order.first_ns if placed is None else placed.time_ns
    when: object = clock.moment(start_ns)
    if placed is not None and placed.message in known:
        when = tag("a", when, href=f"#m{placed.message}")
    steps = [f"{state.status} {duration(state.time_ns - start_ns)}" for state in order.states[-8:]]
    if not steps and placed is not None and placed.latency_ns is not None:
        steps.append(f"{placed.ret_type} {duration(placed.latency_ns)}")
    if placed is None:
        steps.insert(0, "placed before the capture or elsewhere")
    identity = order.order_id or order.order_id_ex
    ask = tag(
        "div",
        tag("time", when),
        " ",
        tag("strong", _asked(order)),
        tag(
            "div",
            joined([f"order {identity}" if identity else "no order id", f"account {order.account} {order.env}"], " · "),
            class_="where",
        ),
    )
    said = _said(order)
    end = tag(
        "div",
        tag("strong", _became(order), class_=f"outcome {order.outcome}"),
        None if said is None else tag("div", said),
    )
    path = tag("div", order_track(order, scale, known), tag("div", " › ".join(steps), class_="steps"))
    return tag("div", ask, path, end, class_="order row", id=f"order-{identity}" if identity else None)


def _order_table(tables: Tables, found: Sequence[Order], clock: Clock) -> Markup:
    heads = columns("placed | order | asked for | became | said")
    rows = [
        (
            clock.moment(order.first_ns if order.placed is None else order.placed.time_ns),
            order.order_id or order.order_id_ex or "",
            _asked(order),
            _became(order),
            _said(order) or "",
        )
        for order in found
    ]
    return tables.table("orders-table", heads, rows)
