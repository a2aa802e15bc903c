"""Makes the tables of ``opendump top`` from an `Activity`: gateway, connections, protocols, findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from decoder import schema
from decoder.formatting.clock import latency_text
from decoder.formatting.escape import escape
from decoder.formatting.table import Table, columns

if TYPE_CHECKING:
    from decoder.statistics.activity import Activity

__all__ = ["age", "calls", "connections", "findings", "gateway_lines", "orders", "protocols", "subscriptions"]

_SECOND = 1_000_000_000
_GONE_NS = 60 * _SECOND
"""A connection that ended is shown for so long."""
_OPEN = ("working", "unanswered", "unknown")
"""Outcomes of an order that is not over, as far as is known."""
_TEXT = 40


def age(time_ns: int | None, now_ns: int) -> str:
    """Returns how long ago it was: ``0.4 s``, ``12 s``, ``3 min``, ``2 h``; ``-`` if never."""
    if time_ns is None:
        return "-"
    seconds = max(0, now_ns - time_ns) / _SECOND
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def gateway_lines(activity: Activity, now_ns: int) -> Iterator[str]:
    """Yields a line for each gateway: version, status, links to the servers, the last event."""
    for address, state in activity.gateways.items():
        parts = [f"OpenD {address}"]
        if state.version is not None:
            parts.append(f"version {state.version}")
        parts.append(escape(state.program or "status not told yet", _TEXT))
        for name, link in (("quote", state.quote_link), ("trade", state.trade_link)):
            if link is not None:
                parts.append(f"{name} server {'linked' if link else 'LOST'}")
        if state.event is not None:
            parts.append(f"{escape(state.event, _TEXT)} {age(state.event_ns, now_ns)} ago")
        parts.append(f"told {age(state.time_ns, now_ns)} ago")
        yield "  ".join(parts)


def connections(activity: Activity, now_ns: int) -> Table:
    """Returns the connections, the open ones first; those that ended a while ago are left out."""
    table = Table(
        "Connections",
        columns(
            "#: | client | program* | encryption | req/s: | push/s: | req:* | push:* | err:* | "
            "KeepAlive: | oldest unanswered"
        ),
    )
    rows = activity.statistics.connections
    shown = []
    for ordinal, live in activity.connections.items():
        if ordinal in rows and (live.ended_ns is None or now_ns - live.ended_ns < _GONE_NS):
            shown.append((live.ended_ns is not None, ordinal, live))
    for ended, ordinal, live in sorted(shown, key=lambda each: each[:2]):
        row, hello = rows[ordinal], activity.statistics.hello(ordinal)
        waiting = next(iter(live.pending.values()), None)
        if ended:
            oldest = f"closed {age(live.ended_ns, now_ns)} ago"
        else:
            oldest = "-" if waiting is None else f"{age(waiting[0], now_ns)} {escape(waiting[1], _TEXT)}"
        program = " ".join(str(hello[key]) for key in ("language", "client_id", "client_version") if hello.get(key))
        table.rows.append(
            [
                str(ordinal),
                row.client,
                escape(program, _TEXT) or "-",
                "+".join(row.encryption) or "-",
                _rate(live.requests.per_second(now_ns, 10)),
                _rate(live.pushes.per_second(now_ns, 10)),
                f"{row.requests:,}",
                f"{row.pushes:,}",
                f"{row.errors:,}",
                "-" if ended else age(live.keep_alive_ns, now_ns),
                oldest,
            ]
        )
    return table


def protocols(activity: Activity, now_ns: int) -> Table:
    """Returns the protocols, the busiest of the last 10 s first."""
    table = Table(
        "Protocols",
        columns("protocol | 1 s: | 10 s: | p50: | p99: | messages: | err: | unans:"),
    )
    rows = activity.statistics.protocols
    ranked = []
    for proto_id, live in activity.protocols.items():
        row = rows.get(proto_id)
        if row is not None:
            total = row.requests + row.responses + row.pushes
            ranked.append((-live.messages.count(now_ns, 10), -total, proto_id, live, row))
    for _, total, proto_id, live, row in sorted(ranked, key=lambda each: each[:3]):
        half, most = live.latency.quantiles(now_ns, 0.5, 0.99)
        known = schema.protocol(proto_id)
        table.rows.append(
            [
                f"unknown {proto_id}" if known is None else known.name,
                _rate(live.messages.per_second(now_ns, 1)),
                _rate(live.messages.per_second(now_ns, 10)),
                "-" if half is None else latency_text(half),
                "-" if most is None else latency_text(most),
                f"{-total:,}",
                f"{row.errors:,}",
                f"{max(0, row.requests - row.answered):,}",
            ]
        )
    return table


def orders(activity: Activity, now_ns: int) -> Table:
    """Returns the orders that are open or were a moment ago, the last one first."""
    table = Table(
        "Orders",
        columns("order* | symbol | side | qty: | price: | filled: | age: | since: | state"),
    )
    for order in reversed(activity.statistics.analysis.orders.orders()):
        over = order.outcome not in _OPEN
        if over and now_ns - order.last_ns > _GONE_NS:
            continue
        last_ns = order.states[-1].time_ns if order.states else order.last_ns
        table.rows.append(
            [
                order.order_id or "-",
                escape(order.symbol or "-", _TEXT),
                order.side or "-",
                _number(order.qty),
                _number(order.price),
                _number(order.filled_qty),
                age(order.first_ns, now_ns),
                age(last_ns, now_ns),
                order.status or order.outcome,
            ]
        )
    return table


def subscriptions(activity: Activity, now_ns: int) -> Table:
    """Returns the subscriptions that last, those with the longest silence first."""
    table = Table(
        "Subscriptions",
        columns("#: | symbol | type | pushes: | last push:"),
    )
    lasting = [row for row in activity.statistics.analysis.subscriptions.rows() if row.until_ns is None]
    lasting.sort(key=lambda row: row.last_push_ns or row.since_ns or 0)
    for row in lasting:
        table.rows.append(
            [
                str(row.connection),
                escape(row.symbol, _TEXT),
                escape(row.sub_type, _TEXT),
                f"{row.pushes:,}",
                "none yet" if row.last_push_ns is None else age(row.last_push_ns, now_ns),
            ]
        )
    return table


def calls(activity: Activity, now_ns: int) -> Table:
    """Returns the requests of the last 30 s that have a limit, nearest to it first."""
    table = Table("Calls against limits", columns("request | last 30 s: | limit: | account"))
    for row, count in activity.statistics.analysis.rates.in_window(now_ns):
        if row.limit is not None:
            table.rows.append([row.proto, f"{count:,}", f"{row.limit:,}", row.account or "-"])
    return table


def findings(activity: Activity, now_ns: int) -> Table:
    """Returns the findings, the last first."""
    table = Table("Findings", columns("severity | ago: | #: | what"))
    for finding in reversed(activity.statistics.analysis.found):
        place = "-" if finding.connection is None else str(finding.connection)
        times = f" ({finding.count:,} times)" if finding.count > 1 else ""
        table.rows.append([finding.severity, age(finding.time_ns, now_ns), place, finding.text + times])
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.10g}"


def _rate(per_second: float) -> str:
    return "-" if not per_second else f"{per_second:.1f}" if per_second < 99.95 else f"{per_second:,.0f}"
