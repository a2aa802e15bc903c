"""Writes the sections of the report: verdict, findings, orders, connections, protocols, lateness, messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from decoder.findings import SEVERITIES
from decoder.output.report.axes import Clock, LogScale, TimeScale, duration, record_ns
from decoder.output.report.markup import MAX_TEXT, Markup, joined, tag, text
from decoder.output.report.pictures import Track, lanes_picture, order_track, shape_legend, track_axis
from decoder.output.report.tables import Column, table

if TYPE_CHECKING:
    from decoder.findings.order_rows import Order
    from decoder.output.report.collector import Lane, Outlier, ReportData
    from decoder.output.report.lines import Line

__all__ = ["connections", "findings", "lanes", "lateness", "linked", "messages", "orders", "outlier_text", "protocols"]

_SHOWN_FINDINGS = 20
_SHOWN_OF_CODE = 3
_MAX_FINDINGS = 500
"""Findings in the page, folded ones among them."""
_MAX_ORDERS = 60
"""Orders drawn as a line; all are in the table."""
_MAX_LANES = 30
_MESSAGE = re.compile(r"\bmessage (\d+)")
_SIGNS = {"error": "✕", "warning": "▲", "note": "○"}


def linked(words: str, known: frozenset[int], limit: int = 2 * MAX_TEXT) -> Markup:
    """Returns a text in which ``message 17`` links to that message, if the page shows it."""
    parts: list[Markup] = []
    end = 0
    for match in _MESSAGE.finditer(words[:limit]):
        if int(match[1]) in known:
            parts += [text(words[end : match.start()], limit), tag("a", match[0], href=f"#m{match[1]}")]
            end = match.end()
    rest = words[end:] if len(words) <= limit else f"{words[end:limit]}…"
    return joined([*parts, text(rest, limit + 1)])


def findings(rows: Sequence[dict[str, Any]], known: frozenset[int], clock: Clock) -> Markup:
    """Returns the findings, grouped by severity and code: the first 20, the rest folded."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: SEVERITIES.index(row["severity"])):
        groups.setdefault((row["severity"], row["code"]), []).append(row)
    shown, room = 0, _MAX_FINDINGS
    open_groups: list[Markup] = []
    folded: list[Markup] = []
    for (severity, code), group in groups.items():
        visible = _SHOWN_OF_CODE if shown < _SHOWN_FINDINGS else 0
        visible = min(visible, _SHOWN_FINDINGS - shown)
        kept = group[:room]
        room -= len(kept)
        written = _group(severity, code, group, kept, max(visible, 1), known, clock)
        (open_groups if visible else folded).append(written)
        shown += min(visible, len(group))
    if folded:
        open_groups.append(tag("details", tag("summary", f"{len(folded)} more kinds of findings"), *folded))
    left = sum(map(len, groups.values())) - _MAX_FINDINGS
    if left > 0:
        open_groups.append(tag("p", f"{left:,} further findings are left out: `opendump stats` lists them."))
    return joined(open_groups)


def _group(
    severity: str,
    code: str,
    group: Sequence[dict[str, Any]],
    kept: Sequence[dict[str, Any]],
    visible: int,
    known: frozenset[int],
    clock: Clock,
) -> Markup:
    count = sum(row["count"] for row in group)
    head = tag(
        "h3",
        tag("span", _SIGNS[severity], class_=f"sign {severity}", aria_hidden="true"),
        f" {severity}: ",
        tag("code", code),
        f" ×{count:,}" if count > 1 else "",
    )
    rows = [_finding(row, known, clock) for row in kept]
    parts = [tag("ul", *rows[:visible], class_="findings")]
    if rows[visible:]:
        folded = tag("ul", *rows[visible:], class_="findings")
        parts.append(tag("details", tag("summary", f"{len(group) - visible:,} more"), folded))
    return tag("div", head, *parts, class_=f"group row {severity}", data_severity=severity)


def _finding(row: dict[str, Any], known: frozenset[int], clock: Clock) -> Markup:
    number, connection = row["message"], row["connection"]
    words = [tag("time", clock.moment(record_ns(row["time"])))]
    if connection is not None:
        words.append(tag("span", f"connection {connection}", class_="where"))
    if number is not None:
        words.append(linked(f"message {number}", known))
    again = f" ({row['count']:,} times)" if row["count"] > 1 and connection is not None else ""
    return tag("li", joined(words, " · "), tag("br"), linked(row["text"], known), again)


def orders(found: Sequence[Order], dropped: int, known: frozenset[int], clock: Clock) -> Markup:
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
        parts.append(_order_table(found[_MAX_ORDERS:], clock))
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


def _order_table(found: Sequence[Order], clock: Clock) -> Markup:
    columns = [Column("placed"), Column("order"), Column("asked for"), Column("became"), Column("said")]
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
    return table("orders-table", columns, rows)


def lanes(data: ReportData, scale: TimeScale, known: frozenset[int]) -> Markup:
    """Returns the picture of connections: those with findings first, at most 30."""
    marks: dict[int, list[dict[str, Any]]] = {}
    for finding in data.figures["findings"]:
        if finding["severity"] != "note" and finding["connection"] is not None:
            marks.setdefault(finding["connection"], []).append(finding)
    records = {row["connection"]: row for row in data.figures["connections"]}
    worst = sorted(data.lanes, key=lambda ordinal: (ordinal not in marks, ordinal))[:_MAX_LANES]
    rows = [
        _lane(ordinal, data.lanes[ordinal], records.get(ordinal), marks.get(ordinal, ()), scale, known)
        for ordinal in sorted(worst)
    ]
    parts = [
        shape_legend(
            (
                ("login", "login (InitConnect)"),
                ("gap", "bytes missing"),
                ("error", "error"),
                ("warning", "warning"),
                ("end", "closed"),
            )
        ),
        lanes_picture(rows, scale),
    ]
    if len(data.lanes) > _MAX_LANES:
        parts.append(tag("p", f"{len(data.lanes) - _MAX_LANES:,} more connections are in the table only."))
    return joined(parts)


def _lane(
    ordinal: int,
    lane: Lane,
    record: dict[str, Any] | None,
    marks: Iterable[dict[str, Any]],
    scale: TimeScale,
    known: frozenset[int],
) -> tuple[Markup, Markup]:
    info = lane.info
    start, end = scale.percent(lane.first_ns), 100.0
    if info is not None:
        start, end = scale.percent(info.first_ns), scale.percent(info.last_ns)
    track = Track()
    track.line(start, end, "life lane-line")
    for time_ns in lane.gaps:
        track.mark(scale.percent(time_ns), "gap", "bytes missing")
    for finding in list(marks)[:100]:
        number = finding["message"]
        title = f"{finding['code']}: {finding['text']}"[:MAX_TEXT]
        place = scale.percent(record_ns(finding["time"]))
        track.mark(place, finding["severity"], title, number if number in known else None)
    for time_ns in lane.logins:
        track.mark(scale.percent(time_ns), "login", "login")
    if info is not None and info.closed_ns is not None:
        track.mark(scale.percent(info.closed_ns), "end", f"closed by the {_who(info.closed_by)}")
    return _lane_label(ordinal, lane, record), track.svg(f"connection {ordinal}")


def _lane_label(ordinal: int, lane: Lane, record: dict[str, Any] | None) -> Markup:
    info = lane.info
    words = [f"connection {ordinal}"]
    if record is not None:
        words.append(record["client"])
        program = " ".join(str(record[key]) for key in ("language", "client_id") if record[key])
        if program:
            words.append(program)
        words.append(f"{record['requests'] + record['responses'] + record['pushes']:,} messages")
    elif info is not None:
        words.append(info.client)
    end = "open at the end of the capture"
    if info is not None and info.closed_by is not None:
        end = f"closed by the {_who(info.closed_by)}{' with a reset' if info.reset else ''}"
    return joined([*words, tag("strong", end)], " · ")


def _who(side: str | None) -> str:
    return {"server": "gateway", "client": "client"}.get(side or "", "other end")


def connections(rows: Sequence[dict[str, Any]], clock: Clock) -> Markup:
    """Returns the table of connections."""
    columns = [
        Column("#", number=True),
        Column("client"),
        Column("gateway"),
        Column("program"),
        Column("encryption"),
        Column("from"),
        Column("duration", number=True),
        Column("requests", number=True),
        Column("pushes", number=True),
        Column("errors", number=True),
        Column("unanswered", number=True),
        Column("gaps", number=True),
        Column("closed by"),
    ]
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
            f"{_who(row['closed_by'])}{' (reset)' if row['reset'] else ''}" if row["closed_by"] else "-",
        )
        for row in rows
    ]
    return table("connections-table", columns, cells)


def protocols(rows: Sequence[dict[str, Any]]) -> Markup:
    """Returns the table of protocols, those with most messages first."""
    columns = [
        Column("id", number=True),
        Column("protocol"),
        Column("requests", number=True),
        Column("pushes", number=True),
        Column("errors", number=True),
        Column("unanswered", number=True),
        Column("bytes", number=True),
        Column("median", number=True, title="half of the responses took no longer"),
        Column("p99", number=True, title="99 of 100 responses took no longer"),
        Column("slowest", number=True),
        Column("pushes/s", number=True),
    ]
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
    return table("protocols-table", columns, cells)


def lateness(data: ReportData) -> Markup:
    """Returns the table of how late pushes were."""
    columns = [
        Column("protocol"),
        Column("market"),
        Column("way"),
        Column("measured", number=True),
        *(Column(name, number=True) for name in ("median", "p90", "p99", "latest", "negative")),
    ]
    cells = [
        (
            row.proto,
            row.market or "-",
            row.leg.replace("-", " to ").replace("opend", "OpenD"),
            _count(row.count),
            *(_latency(value) for value in (row.p50_ms, row.p90_ms, row.p99_ms, row.max_ms)),
            _count(row.negative),
        )
        for row in data.lateness
    ]
    said = f"{data.measured:,} of {data.timed:,} pushes with a time were measured."
    offsets = {row.clock_offset_ms for row in data.lateness} - {None}
    if len(offsets) == 1:
        said += f" OpenD's clock minus that of the capture: {duration(offsets.pop() * 1e6)}."  # type: ignore[operator]
    return joined([table("lateness-table", columns, cells), tag("p", said, class_="hint")])


def _count(value: int) -> tuple[str, int]:
    return f"{value:,}", value


def _latency(value: float | None) -> object:
    return "-" if value is None else (duration(value * 1e6), value)


def messages(lines: Iterable[tuple[Line, list[str] | None]]) -> Markup:
    """Returns the messages that the page refers to, each with its fields if they were kept."""
    return joined(_message(line, fields) for line, fields in lines)


def _message(line: Line, fields: list[str] | None) -> Markup:
    chosen = f"frame.number in {{{','.join(map(str, line.packets))}}}"
    parts: list[Markup] = [tag("code", line.text, class_="line")]
    below = tag("div", "Wireshark: ", tag("code", chosen, class_="copy"), class_="where")
    if fields is not None:
        shown = tag("pre", joined((text(each, MAX_TEXT) for each in fields), "\n"))
        parts.append(tag("details", tag("summary", "fields"), below, shown))
    else:
        parts.append(below)
    return tag("article", *parts, id=f"m{line.number}", class_="message row", tabindex="-1")


def outlier_text(outlier: Outlier, known: frozenset[int], clock: Clock) -> Markup:
    """Returns when a message came, how long it took, and its number as a link."""
    words = (
        tag("time", clock.moment(outlier.time_ns)),
        tag("strong", duration(outlier.value_ns)),
        linked(f"message {outlier.number}", known),
        tag("code", outlier.line.text),
    )
    return joined(words, " · ")
