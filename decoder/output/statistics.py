"""The figures of `decoder.statistics.statistics` as tables for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from decoder.findings import SEVERITIES
from decoder.formatting.escape import escape
from decoder.formatting.table import Column, Table

__all__ = ["tables"]

_MAX_TEXT = 60


def tables(figures: dict[str, Any]) -> Iterator[Table]:
    """Capture, connections, protocols and findings; the last three only if there are any."""
    yield _capture(figures["capture"])
    if figures["connections"]:
        yield _connections(figures["connections"])
    if figures["protocols"]:
        yield _protocols(figures["protocols"])
    if figures["findings"]:
        yield _findings(figures["findings"])


def _capture(capture: dict[str, Any]) -> Table:
    table = Table("Capture", [Column(""), Column("")])
    table.rows = [["file", escape(name, 200)] for name in capture["files"]]
    time = (
        "" if capture["first"] is None else f", {capture['first']} to {capture['last']} ({capture['duration_s']:.1f} s)"
    )
    table.rows.append(["packets", f"{capture['packets']:,}{time}"])
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in capture["verdicts"].items())
    connections = _counted(capture["connections"], "connection") + (
        f", {capture['not_listed']:,} of them not listed" if capture["not_listed"] else ""
    )
    gaps = f"; {_counted(capture['gaps'], 'gap')}" if capture["gaps"] else ""
    table.rows.append(["messages", f"{capture['messages']:,} on {connections}; {verdicts or 'none'}{gaps}"])
    counts = capture["findings"]
    table.rows.append(["findings", ", ".join(_counted(counts[severity], severity) for severity in SEVERITIES)])
    table.rows += [["warning", escape(warning, 300)] for warning in capture["warnings"]]
    return table


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _connections(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        "Connections",
        [
            Column("#", number=True),
            Column("client"),
            Column("gateway", wide=True),
            Column("program", wide=True),
            Column("encryption"),
            Column("sec", number=True),
            Column("req", number=True),
            Column("resp", number=True, wide=True),
            Column("push", number=True),
            Column("err", number=True),
            Column("unans", number=True),
            Column("bytes", number=True, wide=True),
            Column("closed"),
        ],
    )
    for row in rows:
        closed = {"client": "client", "server": "gateway"}.get(row["closed_by"], "-")
        table.rows.append(
            [
                str(row["connection"]),
                row["client"],
                row["gateway"],
                _program(row),
                "+".join(row["encryption"]) or "-",
                f"{row['duration_s']:.1f}",
                f"{row['requests']:,}",
                f"{row['responses']:,}",
                f"{row['pushes']:,}",
                f"{row['errors']:,}",
                f"{row['unanswered']:,}",
                f"{row['bytes_c2s'] + row['bytes_s2c']:,}",
                f"{closed} (reset)" if row["reset"] else closed,
            ]
        )
    return table


def _program(row: dict[str, Any]) -> str:
    words = [row["language"], row["client_id"], row["client_version"]]
    return escape(" ".join(str(word) for word in words if word), _MAX_TEXT) or "-"


def _protocols(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        "Protocols (latency p50 to max in ms; unans: requests without a response)",
        [
            Column("id", number=True),
            Column("protocol"),
            Column("req", number=True),
            Column("resp", number=True, wide=True),
            Column("push", number=True),
            Column("err", number=True),
            Column("unans", number=True),
            Column("bytes", number=True, wide=True),
            Column("p50", number=True),
            Column("p90", number=True, wide=True),
            Column("p99", number=True),
            Column("max", number=True),
            Column("push/s", number=True, wide=True),
        ],
    )
    for row in rows:
        table.rows.append(
            [
                "-" if row["proto_id"] is None else str(row["proto_id"]),
                row["proto"] or ("(others)" if row["proto_id"] is None else "(unknown)"),
                f"{row['requests']:,}",
                f"{row['responses']:,}",
                f"{row['pushes']:,}",
                f"{row['errors']:,}",
                f"{row['unanswered']:,}",
                f"{row['bytes']:,}",
                *(_number(row[f"latency_{name}_ms"]) for name in ("p50", "p90", "p99", "max")),
                _number(row["push_rate"]),
            ]
        )
    return table


def _number(value: float | None) -> str:
    """A figure with three significant digits, or all digits before the point if it has more."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _findings(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        "Findings",
        [Column("severity"), Column("message", number=True), Column("#", number=True), Column("code"), Column("what")],
    )
    for severity in SEVERITIES:
        for row in rows:
            if row["severity"] == severity:
                times = f" ({row['count']:,} times)" if row["count"] > 1 and row["connection"] is not None else ""
                table.rows.append(
                    [
                        severity,
                        "-" if row["message"] is None else str(row["message"]),
                        "-" if row["connection"] is None else str(row["connection"]),
                        row["code"],
                        f"{row['text']}{times}",
                    ]
                )
    return table
