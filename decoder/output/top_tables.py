"""Makes the tables of ``opendump top`` from an `Activity`: gateway, connections, protocols, findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from decoder import schema
from decoder.formatting.escape import escape
from decoder.formatting.table import Column, Table
from decoder.output.info import latency_text

if TYPE_CHECKING:
    from decoder.statistics.activity import Activity

__all__ = ["age", "connections", "findings", "gateway_lines", "protocols"]

_SECOND = 1_000_000_000
_GONE_NS = 60 * _SECOND
"""A connection that ended is shown for so long."""
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
        [
            Column("#", number=True),
            Column("client"),
            Column("program", wide=True),
            Column("encryption"),
            Column("req/s", number=True),
            Column("push/s", number=True),
            Column("req", number=True, wide=True),
            Column("push", number=True, wide=True),
            Column("err", number=True, wide=True),
            Column("KeepAlive", number=True),
            Column("oldest unanswered"),
        ],
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
        [
            Column("protocol"),
            Column("1 s", number=True),
            Column("10 s", number=True),
            Column("p50", number=True),
            Column("p99", number=True),
            Column("messages", number=True),
            Column("err", number=True),
            Column("unans", number=True),
        ],
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


def findings(activity: Activity, now_ns: int) -> Table:
    """Returns the findings, the last first."""
    table = Table(
        "Findings", [Column("severity"), Column("ago", number=True), Column("#", number=True), Column("what")]
    )
    for finding in reversed(activity.statistics.findings):
        place = "-" if finding.connection is None else str(finding.connection)
        times = f" ({finding.count:,} times)" if finding.count > 1 else ""
        table.rows.append([finding.severity, age(finding.time_ns, now_ns), place, finding.text + times])
    return table


def _rate(per_second: float) -> str:
    return "-" if not per_second else f"{per_second:.1f}" if per_second < 99.95 else f"{per_second:,.0f}"
