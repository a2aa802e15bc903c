"""Writes the tables of figures: connections, protocols, lateness, rates, subscriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from decoder.formatting.table import columns
from decoder.output.report.axes import Clock, duration, record_ns
from decoder.output.report.lanes import who
from decoder.output.report.markup import Markup, joined, tag
from decoder.output.report.tables import Tables

if TYPE_CHECKING:
    from decoder.output.report.collector import ReportData

__all__ = ["connections", "lateness", "protocols", "rates", "subscriptions"]


def connections(tables: Tables, rows: Sequence[dict[str, Any]], clock: Clock) -> Markup:
    """Returns the table of connections."""
    heads = columns(
        "#: | client | gateway | program | encryption | from | duration: | requests: | "
        "pushes: | errors: | unanswered: | gaps: | closed by"
    )
    cells = [
        (
            str(row["connection"]),
            row["client"],
            row["gateway"],
            " ".join(str(row[key]) for key in ("language", "client_id", "client_version") if row[key]) or "-",
            "+".join(row["encryption"]) or "-",
            clock.moment(record_ns(row["first"])),
            (duration(row["duration_s"] * 1e9), row["duration_s"]),
            *(_count(row[key]) for key in ("requests", "pushes", "errors", "unanswered", "gaps")),
            _end(row),
        )
        for row in rows
    ]
    return tables.table("connections-table", heads, cells)


def _end(row: dict[str, Any]) -> str:
    if row["no_message"] not in (None, "silent"):
        return str(row["no_message"])
    return f"{who(row['closed_by'])}{' (reset)' if row['reset'] else ''}" if row["closed_by"] else "-"


def protocols(tables: Tables, rows: Sequence[dict[str, Any]]) -> Markup:
    """Returns the table of protocols, those with most messages first."""
    titles = {"median": "half of the responses took no longer", "p99": "99 of 100 responses took no longer"}
    heads = columns(
        "id: | protocol | requests: | pushes: | errors: | unanswered: | bytes: | median: | p99: | slowest: | pushes/s:"
    )
    cells = [
        (
            "-" if row["proto_id"] is None else str(row["proto_id"]),
            row["proto"] or ("(others)" if row["proto_id"] is None else "(unknown)"),
            *(_count(row[key]) for key in ("requests", "pushes", "errors", "unanswered", "bytes")),
            *(_latency(row[f"latency_{key}_ms"]) for key in ("p50", "p99", "max")),
            "-" if row["push_rate"] is None else (f"{row['push_rate']:.3g}", row["push_rate"]),
        )
        for row in sorted(rows, key=lambda row: -(row["requests"] + row["responses"] + row["pushes"]))
    ]
    return tables.table("protocols-table", heads, cells, titles)


def lateness(tables: Tables, data: ReportData) -> Markup:
    """Returns the table of how late pushes were."""
    heads = columns("protocol | market | way | measured: | median: | p90: | p99: | latest: | negative:")
    rows = data.figures["lateness"]
    cells = [
        (
            row["proto"],
            row["market"] or "-",
            row["leg"].replace("-", " to ").replace("opend", "OpenD"),
            _count(row["count"]),
            *(_latency(row[f"{key}_ms"]) for key in ("p50", "p90", "p99", "max")),
            _count(row["negative"]),
        )
        for row in rows
    ]
    said = f"The picture shows {data.measured:,} of {data.timed:,} pushes that carry a time, the table all of them."
    offsets = [row["clock_offset_ms"] for row in rows if row["clock_offset_ms"] is not None]
    if offsets:
        said += f" OpenD's clock minus that of the capture: {duration(offsets[0] * 1e6)}."
    return joined([tables.table("lateness-table", heads, cells), tag("p", said, class_="hint")])


def rates(tables: Tables, rows: Sequence[dict[str, Any]], clock: Clock) -> Markup:
    """Returns the table of how near requests came to the gateway's limits, the nearest first."""
    heads = columns("protocol | account | requests: | most in 30 s: | limit: | from | refused:")
    cells = [
        (
            row["proto"],
            row["account"] or "-",
            _count(row["requests"]),
            _count(row["busiest_30s"]),
            _count(row["limit"]),
            "-" if row["at"] is None else clock.moment(record_ns(row["at"])),
            _count(row["refused"]),
        )
        for row in sorted(rows, key=lambda row: -row["share"])
    ]
    return tables.table("rates-table", heads, cells)


def subscriptions(tables: Tables, rows: Sequence[dict[str, Any]], clock: Clock) -> Markup:
    """Returns the table of subscriptions."""
    heads = columns(
        "connection: | symbol | type | from | until | first push after: | pushes: | longest silence: | quota slots:"
    )
    cells = [
        (
            str(row["connection"]),
            row["symbol"],
            row["sub_type"],
            "not asked for" if row["since"] is None else clock.moment(record_ns(row["since"])),
            "-" if row["until"] is None else clock.moment(record_ns(row["until"])),
            _latency(row["first_push_ms"]),
            _count(row["pushes"]),
            _latency(None if row["longest_silence_s"] is None else row["longest_silence_s"] * 1e3),
            "-" if row["quota_slots"] is None else _count(row["quota_slots"]),
        )
        for row in rows
    ]
    return tables.table("subscriptions-table", heads, cells)


def _count(value: int) -> str:
    return f"{value:,}"


def _latency(value: float | None) -> object:
    return "-" if value is None else (duration(value * 1e6), value)
