"""Shows the order ledger: a row an order as text, CSV or JSON Lines, or the whole story of one order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from decoder.findings.order_rows import ORDER_KEYS, Order
from decoder.formatting.clock import local_time
from decoder.formatting.escape import escape, json_safe
from decoder.formatting.table import Table, columns
from decoder.output.csv import write_rows

__all__ = ["csv_rows", "csv_rows_of_hosts", "json_lines", "order_table", "story"]

_MAX_TEXT = 60


def json_lines(orders: Iterable[Order], host: str | None = None) -> bytes:
    """Returns one JSON object a line, with the key ``host`` first if there is one."""
    first = {} if host is None else {"host": host}
    return b"".join(json_safe(orjson.dumps({**first, **order.record()})) + b"\n" for order in orders)


def csv_rows(orders: Iterable[Order]) -> str:
    """Returns a header and one row an order; objects and lists of objects are JSON."""
    return write_rows([list(ORDER_KEYS), *map(_cells, orders)])


def csv_rows_of_hosts(hosts: Iterable[tuple[str, Sequence[Order]]]) -> str:
    """Returns the same for the orders of several hosts, with a column ``host`` first."""
    rows = ([host, *_cells(order)] for host, orders in hosts for order in orders)
    return write_rows([["host", *ORDER_KEYS], *rows])


def _cells(order: Order) -> list[Any]:
    return list(map(_cell, order.record().values()))


def _cell(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return json_safe(orjson.dumps(value)).decode()
    return value


def order_table(orders: Sequence[Order], *, utc: bool, unread: int = 0) -> Table:
    """Returns the table of all orders, newest last; `unread` messages had a body that could not be read."""
    notes = []
    if orders:
        notes.append("took: from the request to the answer, to the first push, to the final status")
    if unread:
        messages = "1 message" if unread == 1 else f"{unread:,} messages"
        notes.append(f"{messages} could not be read, and may be about orders")
    none = "Orders: none in what could be read" if unread else "Orders: none"
    table = Table(
        f"Orders: {_counts(orders)}" if orders else none,
        columns(
            "time | order | account* | asked for | outcome | filled: | took* | path and what was said",
            fold={"asked for"},
        ),
        notes=notes,
    )
    one_day = len({_time(order.first_ns, utc)[:10] for order in orders}) == 1
    one_account = len({(order.account, order.env) for order in orders}) == 1
    if one_account:
        table.columns = [column for column in table.columns if column.name != "account"]
        table.title += f" of account {orders[0].account} {orders[0].env}"
    for order in orders:
        row = [
            _time(order.first_ns, utc)[11 if one_day else 0 :],
            escape(order.order_id or order.order_id_ex or "-", _MAX_TEXT),
            f"{order.account} {order.env}",
            " ".join(_order_words(order)) or "-",
            order.outcome,
            _filled(order),
            _took(order),
            _path(order),
        ]
        table.rows.append(row[:2] + row[3:] if one_account else row)
    return table


def _took(order: Order) -> str:
    placed = order.placed
    if placed is None:
        return "-"
    answer = None if placed.latency_ns is None else placed.latency_ns / 1e6
    times = (answer, order.first_push_ms, order.done_ms)
    if times == (None, None, None):
        return "-"
    if any(each is None or abs(each) >= 1_000 for each in times):
        return " / ".join(map(_duration, times))
    return " / ".join(f"{each:.3g}" for each in times) + " ms"


def story(order: Order, lines: Sequence[str], *, utc: bool) -> Iterable[Table]:
    """Returns all that is known of one order: its facts, and the lines of its messages."""
    placed = order.placed
    facts = Table(f"Order {escape(order.order_id or order.order_id_ex or '-', _MAX_TEXT)}", columns(" |"))
    rows: list[tuple[str, str | None]] = [
        ("ids", " ".join(escape(each, _MAX_TEXT) for each in (order.order_id, order.order_id_ex) if each)),
        ("account", f"{order.account} {order.env} {order.market}"),
        ("asked for", _asked(order)),
        ("remark", order.remark and escape(order.remark, _MAX_TEXT)),
        ("outcome", f"{order.outcome} ({order.status or 'no status seen'})"),
        ("filled", _filled(order)),
        ("error", order.error and escape(order.error, 160)),
        ("answer", _answer(order)),
        ("first push", None if order.first_push_ms is None else f"{_duration(order.first_push_ms)} after the request"),
        ("done", None if order.done_ms is None else f"{_duration(order.done_ms)} after the request"),
        ("notes", ", ".join(order.notes)),
    ]
    facts.rows = [[name, value] for name, value in rows if value]
    yield facts
    start_ns = order.first_ns if placed is None else placed.time_ns
    if order.states:
        states = Table("States", columns("time | after: | status | shown by"))
        for state in order.states:
            filled = f" {state.filled_qty:.15g} filled" if state.filled_qty else ""
            told = f"{state.source}, message {state.message}"
            after = _duration((state.time_ns - start_ns) / 1e6)
            states.rows.append([_time(state.time_ns, utc), after, f"{state.status}{filled}", told])
        yield states
    if order.fills:
        fills = Table("Fills", columns("time | fill | qty: | price: | message: |"))
        for fill in order.fills:
            again = f"sent again {fill.repeated} times" if fill.repeated else ""
            figures = [_figure(fill.qty), _figure(fill.price), str(fill.message)]
            fills.rows.append([_time(fill.time_ns, utc), escape(fill.fill_id, _MAX_TEXT), *figures, again])
        yield fills
    if order.changes:
        changes = Table("Changes", columns("time | what | answer | effect"))
        for change in order.changes:
            asked = [f"{name}={_figure(value)}" for name, value in (("qty", change.qty), ("price", change.price))]
            what = " ".join([change.op, *(each for each in asked if not each.endswith("-"))])
            said = " ".join(escape(each, 120) for each in (change.ret_type, change.ret_msg) if each) or "none"
            effect = {True: "yes", False: "none", None: "not known"}[change.effect]
            changes.rows.append([_time(change.time_ns, utc), what, said, effect])
        yield changes
    messages = Table(f"Messages ({len(order.messages)})", columns(""))
    messages.rows = [[line] for line in lines]
    yield messages


def _counts(orders: Sequence[Order]) -> str:
    counts: dict[str, int] = {}
    for order in orders:
        counts[order.outcome] = counts.get(order.outcome, 0) + 1
    return f"{len(orders):,} ({', '.join(f'{count:,} {outcome}' for outcome, count in counts.items())})"


def _order_words(order: Order) -> list[str]:
    """Returns side, quantity with price, and symbol, as far as they are known."""
    price = "" if order.price is None else f"@{order.price:.15g}"
    figures = f"{_figure(order.qty)}{price}"
    words = (order.side, "" if figures == "-" else figures, order.symbol and escape(order.symbol, _MAX_TEXT))
    return [word for word in words if word]


def _asked(order: Order) -> str:
    more = (order.name and escape(order.name, _MAX_TEXT), order.type, order.time_in_force, order.session)
    return " ".join([*_order_words(order), *(word for word in more if word)])


def _answer(order: Order) -> str:
    placed = order.placed
    if placed is None:
        return "the request is not in the capture"
    if placed.response is None:
        return "none"
    said = f": {escape(placed.ret_msg, 160)}" if placed.ret_msg else ""
    return f"{placed.ret_type} after {_duration(placed.latency_ns and placed.latency_ns / 1e6)}{said}"


def _path(order: Order) -> str:
    path = " > ".join(state.status for state in order.states[:12])
    if len(order.states) > 12:
        path += f" > … ({len(order.states) - 12} more)"
    placed = order.placed
    said = order.error or (placed.ret_msg if placed is not None and not placed.accepted else None)
    notes = f"[{', '.join(order.notes)}]" if order.notes else ""
    shown = ": ".join(each for each in (path, escape(said, 120) if said else "", _refused_change(order)) if each)
    return " ".join(each for each in (shown, notes) if each) or "-"


def _refused_change(order: Order) -> str:
    """Returns the last change if the gateway refused it, or did not know what became of it."""
    change = order.changes[-1] if order.changes else None
    if change is None or change.accepted or change.ret_type is None:
        return ""
    return f"{change.op} {change.ret_type}" + (f": {escape(change.ret_msg, 120)}" if change.ret_msg else "")


def _filled(order: Order) -> str:
    if not order.filled_qty:
        return "-"
    return _figure(order.filled_qty) + ("" if order.avg_price is None else f"@{order.avg_price:.15g}")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.15g}"


def _duration(value_ms: float | None) -> str:
    if value_ms is None:
        return "-"
    if abs(value_ms) < 1_000:
        return f"{value_ms:.3g} ms"
    return f"{value_ms / 1_000:.4g} s"


def _time(time_ns: int, utc: bool) -> str:
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{local_time(seconds, utc)}.{nanoseconds // 1_000_000:03}{'Z' * utc}"
