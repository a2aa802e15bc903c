"""Shows the figures of `decoder.statistics.statistics` as tables for people.

Findings come first, grouped by code: twenty lines, then how many more there are.  Protocols come by their share of the
messages: twenty, the rest as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone

from decoder.findings import SEVERITIES, Finding
from decoder.findings.rates import RateRow
from decoder.findings.subscription_ledger import SubscriptionRow
from decoder.formatting.clock import local_time
from decoder.formatting.escape import escape
from decoder.formatting.table import Table, columns
from decoder.statistics.lateness import LatenessRow
from decoder.statistics.rows import ConnectionFigures, ProtocolFigures
from decoder.statistics.statistics import CaptureFigures, Stats

__all__ = ["tables"]

_MAX_TEXT = 60  # characters of a name from the wire
_LINES = 20  # lines of findings, and protocols, unless all are asked for
_SECOND = 1_000_000_000


def tables(figures: Stats, name: str | None = None, *, utc: bool = False, show_all: bool = False) -> Iterator[Table]:
    """Yields the tables: capture, findings, connections and protocols, or the one that is named.

    :param name: a key of `decoder.statistics.statistics.TABLE_KEYS`
    :param utc: times in UTC instead of local time
    :param show_all: every finding and protocol
    """
    limit = None if show_all else _LINES
    if name is None:
        yield _capture(figures.capture, utc)
    if name in (None, "findings") and (figures.findings or name):
        yield _findings(figures.findings, limit, utc)
    if name in (None, "connections") and (figures.connections or name):
        yield _connections(figures.connections)
    if name in (None, "protocols") and (figures.protocols or name):
        yield _protocols(figures.protocols, limit)
    if name == "subscriptions":
        yield _subscriptions(figures.subscriptions, utc)
    if name == "rates":
        yield _rates(figures.rates, utc)
    if name == "lateness":
        yield _lateness(figures.lateness)


def _capture(capture: CaptureFigures, utc: bool) -> Table:
    table = Table("Capture", columns(" | "))
    table.rows = [["file", escape(name, 200)] for name in capture.files]
    time = ""
    if capture.first is not None and capture.last is not None:
        first, last = (_text_time(each, utc) for each in (capture.first, capture.last))
        time = f", {first} to {last} ({capture.duration_s or 0:.1f} s)"
    table.rows.append(["packets", f"{capture.packets:,}{time}"])
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in capture.verdicts.items())
    connections = _counted(capture.connections, "connection") + (
        f", {capture.not_listed:,} of them not listed" if capture.not_listed else ""
    )
    gaps = f"; {_counted(capture.gaps, 'gap')}" if capture.gaps else ""
    how_many = f"{capture.messages:,}" if capture.messages else "none"
    table.rows.append(["messages", f"{how_many} on {connections}{'; ' * bool(verdicts)}{verdicts}{gaps}"])
    counts = capture.findings
    table.rows.append(["findings", ", ".join(_counted(counts[severity], severity) for severity in SEVERITIES)])
    table.rows += [["warning", escape(warning, 300)] for warning in capture.warnings]
    return table


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _findings(rows: Sequence[Finding], limit: int | None, utc: bool) -> Table:
    table = Table(
        "Findings",
        columns("severity | time | message: | #: | code | what"),
    )
    groups: dict[tuple[str, str], list[Finding]] = {}
    for severity in SEVERITIES:
        for row in rows:
            if row.severity == severity:
                groups.setdefault((severity, row.code), []).append(row)
    shown = _shares([len(group) for group in groups.values()], limit)
    left_out: list[str] = []
    show = _clock([row.time_ns for row in rows], utc)
    for ((level, code), group), count in zip(groups.items(), shown, strict=True):
        table.rows += [_finding(row, show(row.time_ns)) for row in group[:count]]
        more = sum(row.count if row.connection is None and row.message is None else 1 for row in group[count:])
        if more and count:
            table.rows.append([level, "", "", "", code, f"... and {more:,} more of these"])
        elif more:
            left_out.append(f"{more:,} {code}")
    if left_out:
        table.rows.append(["", "", "", "", "", f"and {', '.join(left_out)}"])
    if left_out or any(count < len(group) for group, count in zip(groups.values(), shown, strict=True)):
        table.rows.append(["", "", "", "", "", "(--all lists every one)"])
    return table


def _shares(sizes: list[int], limit: int | None) -> list[int]:
    """Returns how many findings of each group to show: the first of each, then more of the first groups."""
    if limit is None:
        return sizes
    shares = [1 if place < limit else 0 for place in range(len(sizes))]
    for place, size in enumerate(sizes):
        shares[place] += max(0, min(size - shares[place], limit - sum(shares)))
    return shares


def _finding(row: Finding, time: str) -> list[str]:
    times = f" ({row.count:,} times)" if row.count > 1 and row.connection is not None else ""
    return [
        row.severity,
        time,
        "-" if row.message is None else str(row.message),
        "-" if row.connection is None else str(row.connection),
        row.code,
        f"{row.text}{times}",
    ]


def _connections(rows: Sequence[ConnectionFigures]) -> Table:
    heads = columns(
        "#: | client | gateway* | program* | encryption | sec: | req: | resp:* | push: | "
        "err: | unans: | bytes:* | closed"
    )
    cells = [_connection(row) for row in rows]
    gateways = {row.gateway for row in rows}
    if len(gateways) != 1:
        return Table("Connections", heads, [*cells])
    place = [column.name for column in heads].index("gateway")
    for each in cells:  # named once, not in each row
        del each[place]
    del heads[place]
    return Table(f"Connections to {gateways.pop()}", heads, [*cells])


def _connection(row: ConnectionFigures) -> list[str]:
    return [
        str(row.connection),
        row.client,
        row.gateway,
        _program(row),
        _encryption(row),
        f"{row.duration_s:.1f}",
        f"{row.requests:,}",
        f"{row.responses:,}",
        f"{row.pushes:,}",
        f"{row.errors:,}",
        f"{row.unanswered:,}",
        f"{row.bytes_c2s + row.bytes_s2c:,}",
        _end(row),
    ]


def _end(row: ConnectionFigures) -> str:
    if row.no_message not in (None, "silent"):
        return str(row.no_message)
    closed = {"client": "client", "server": "gateway"}.get(row.closed_by or "", "-")
    return f"{closed} (reset)" if row.reset else closed


def _encryption(row: ConnectionFigures) -> str:
    text = "+".join(row.encryption) or "-"
    if row.transport == "tcp":
        return text
    options = {True: ", deflate", False: "", None: ""}[row.deflate] + {True: ", key", False: ", no key", None: ""}[
        row.key_given
    ]
    return f"{text} (WebSocket{options})"


def _program(row: ConnectionFigures) -> str:
    words = [row.language, row.client_id, row.client_version]
    return escape(" ".join(str(word) for word in words if word), _MAX_TEXT) or "-"


def _protocols(rows: Sequence[ProtocolFigures], limit: int | None) -> Table:
    table = Table(
        "Protocols (latency p50 to max in ms; unans: requests without a response)",
        columns(
            "id: | protocol | share: | req: | resp:* | push: | err: | unans: | bytes:* | p50: | "
            "p90:* | p99:* | max: | push/s:*"
        ),
    )
    total = sum(map(_messages, rows))
    ordered = sorted(rows, key=lambda row: (-_messages(row), row.proto_id or 0))
    for row in ordered[:limit]:
        table.rows.append(
            [
                "-" if row.proto_id is None else str(row.proto_id),
                row.proto or ("(others)" if row.proto_id is None else "(unknown)"),
                _share(_messages(row), total),
                f"{row.requests:,}",
                f"{row.responses:,}",
                f"{row.pushes:,}",
                f"{row.errors:,}",
                f"{row.unanswered:,}",
                f"{row.bytes:,}",
                *map(_number, (row.latency_p50_ms, row.latency_p90_ms, row.latency_p99_ms, row.latency_max_ms)),
                _number(row.push_rate),
            ]
        )
    rest = ordered[limit:] if limit is not None else []
    if rest:
        counts = (
            [each.requests for each in rest],
            [each.responses for each in rest],
            [each.pushes for each in rest],
            [each.errors for each in rest],
            [each.unanswered for each in rest],
            [each.bytes for each in rest],
        )
        share = _share(sum(map(_messages, rest)), total)
        table.rows.append(["", f"({len(rest)} more)", share, *(f"{sum(each):,}" for each in counts), *["-"] * 5])
    return table


def _messages(row: ProtocolFigures) -> int:
    return row.requests + row.responses + row.pushes


def _share(part: int, total: int) -> str:
    return f"{100 * part / total:.1f} %" if total else "-"


def _subscriptions(rows: Sequence[SubscriptionRow], utc: bool) -> Table:
    table = Table(
        "Subscriptions (first: ms from the grant to the first push; silence: the longest, in s)",
        columns(
            "#: | symbol | type | since | until | first: | pushes: | last push* | silence: | "
            "asked by:* | renewed* | slots:*"
        ),
    )
    show = _clock([each for row in rows for each in (row.since_ns, row.until_ns, row.last_push_ns)], utc)
    for row in rows:
        record = row.record()
        table.rows.append(
            [
                str(row.connection),
                escape(row.symbol, _MAX_TEXT),
                row.sub_type,
                "not asked for" if row.since_ns is None else show(row.since_ns),
                show(row.until_ns),
                _number(record["first_push_ms"]),
                f"{row.pushes:,}",
                show(row.last_push_ns),
                _number(record["longest_silence_s"]),
                "-" if row.requested_by is None else str(row.requested_by),
                {True: "yes", False: "no", None: "-"}[row.renewed],
                "-" if row.quota_slots is None else str(row.quota_slots),
            ]
        )
    return table


def _rates(rows: Sequence[RateRow], utc: bool) -> Table:
    table = Table(
        "Rates (busiest: the most requests in any 30 s; gap: the shortest between two, in ms)",
        columns("protocol | account | requests:* | busiest: | limit: | share: | source* | at* | gap: | refused:"),
    )
    show = _clock([row.at_ns for row in rows], utc)
    for row in rows:
        table.rows.append(
            [
                row.proto,
                row.account or "-",
                f"{row.requests:,}",
                f"{row.busiest_30s:,}",
                "-" if row.limit is None else str(row.limit),
                "-" if row.share is None else f"{row.share:.0%}",
                row.limit_source or "-",
                show(row.at_ns),
                _number(row.min_gap_ms),
                f"{row.refused:,}",
            ]
        )
    return table


def _lateness(rows: Sequence[LatenessRow]) -> Table:
    offsets = {row.clock_offset_ms for row in rows}
    offset = offsets.pop() if len(offsets) == 1 else None
    clock = "OpenD's clock against that of the capture: not known"
    if offset is not None:
        clock = f"OpenD's clock is {abs(offset):g} ms {'ahead of' if offset > 0 else 'behind'} that of the capture"
    table = Table(
        f"Lateness in ms ({clock})",
        columns("protocol | market | leg | count: | p50: | p90:* | p99: | max: | negative:"),
    )
    for row in rows:
        where = escape(row.symbol or row.market or "(others)", _MAX_TEXT)
        figures = [_number(each) for each in (row.p50_ms, row.p90_ms, row.p99_ms, row.max_ms)]
        table.rows.append([row.proto, where, row.leg, f"{row.count:,}", *figures, f"{row.negative:,}"])
    return table


def _number(value: float | None) -> str:
    """Returns a figure with three significant digits, or all digits before the point if it has more."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _clock(moments: Iterable[int | None], utc: bool) -> Callable[[int | None], str]:
    """Returns what writes times: without their date if all `moments` are of one day."""
    one_day = len({_time(each, utc)[:10] for each in moments if each is not None}) == 1
    return lambda time_ns: "-" if time_ns is None else _time(time_ns, utc)[11 if one_day else 0 :]


def _time(time_ns: int, utc: bool) -> str:
    seconds, nanoseconds = divmod(time_ns, _SECOND)
    return f"{local_time(seconds, utc)}.{nanoseconds // 1_000_000:03}{'Z' * utc}"


def _text_time(text: str, utc: bool) -> str:
    """Returns a time of RFC 3339 as people read it."""
    seconds = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    return f"{local_time(seconds, utc)}{'Z' * utc}"
