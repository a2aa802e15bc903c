"""Writes what lasts over time as lines: connections and subscriptions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from decoder.output.report.axes import TimeScale, duration, record_ns
from decoder.output.report.markup import Markup, joined, tag
from decoder.output.report.pictures import Track, lanes_picture, shape_legend

if TYPE_CHECKING:
    from decoder.output.report.collector import Lane, ReportData

__all__ = ["lanes", "subscription_lanes", "who"]

_MAX_LANES = 30
_MAX_MARKS = 40
"""Findings marked on one connection."""
_MAX_SUBSCRIPTIONS = 20
"""Subscriptions drawn over time."""


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
    for finding in list(marks)[:_MAX_MARKS]:
        number = finding["message"]
        place = scale.percent(record_ns(finding["time"]))
        track.mark(place, finding["severity"], finding["code"], number if number in known else None)
    for time_ns in lane.logins:
        track.mark(scale.percent(time_ns), "login", "login")
    if info is not None and info.closed_ns is not None:
        track.mark(scale.percent(info.closed_ns), "end", f"closed by the {who(info.closed_by)}")
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
        end = f"closed by the {who(info.closed_by)}{' with a reset' if info.reset else ''}"
    return joined([*words, tag("strong", end)], " · ")


def who(side: str | None) -> str:
    return {"server": "gateway", "client": "client"}.get(side or "", "other end")


def subscription_lanes(rows: Sequence[dict[str, Any]], scale: TimeScale) -> Markup:
    """Returns the picture of subscriptions: at most 20, those with the longest silences."""
    silent = sorted(rows, key=lambda row: -(row["longest_silence_s"] or _lasted_s(row, scale)))[:_MAX_SUBSCRIPTIONS]
    legend = shape_legend((("granted", "granted"), ("push", "first and last push"), ("end", "ended")))
    parts = [legend, lanes_picture([_subscription(row, scale) for row in silent], scale)]
    if len(rows) > len(silent):
        parts.append(tag("p", f"The {len(silent)} with the longest silences are drawn; the table has all."))
    return joined(parts)


def _lasted_s(row: dict[str, Any], scale: TimeScale) -> float:
    """Returns the seconds that a subscription lasted: the silence of one without any push."""
    since = scale.first_ns if row["since"] is None else record_ns(row["since"])
    until = scale.first_ns + scale.span_ns if row["until"] is None else record_ns(row["until"])
    return (until - since) / 1e9


def _subscription(row: dict[str, Any], scale: TimeScale) -> tuple[Markup, Markup]:
    since, until, last = (None if row[key] is None else record_ns(row[key]) for key in ("since", "until", "last_push"))
    track = Track()
    start = 0.0 if since is None else scale.percent(since)
    end = 100.0 if until is None else scale.percent(until)
    track.line(start, end, "life")
    if since is not None:
        track.mark(start, "granted", "granted")
    first = since + int(row["first_push_ms"] * 1e6) if since is not None and row["first_push_ms"] is not None else None
    if last is not None:
        begin = start if first is None else scale.percent(first)
        track.line(begin, scale.percent(last), "life lane-line")
        track.mark(begin, "push", "first push")
        track.mark(scale.percent(last), "push", "last push")
    if until is not None:
        track.mark(end, "end", "ended")
    silence = row["longest_silence_s"]
    quiet = "no push at all" if silence is None else f"longest silence {duration(silence * 1e9)}"
    words = (f"connection {row['connection']}", f"{row['symbol']} {row['sub_type']}", f"{row['pushes']:,} pushes")
    return joined([*words, tag("strong", quiet)], " · "), track.svg(f"{row['symbol']} {row['sub_type']}")
