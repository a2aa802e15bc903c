"""Says in a few sentences what was recorded and what it shows: the top of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from decoder.output.report.axes import Clock, duration, record_ns
from decoder.output.report.markup import MAX_TEXT
from decoder.statistics.timeline import quantiles

if TYPE_CHECKING:
    from decoder.output.report.collector import ReportData

__all__ = ["conclusions", "recorded", "tiles"]

_ENDS = (
    "refused",
    "unreachable",
    "closed-before-login",
    "login-unanswered",
    "no-login",
    "closed-by-gateway",
)
"""Codes of findings on why a connection came to nothing or ended: they go before all others."""
_CAUSES = ("gateway-event", "gateway-status")
_CAUSE_NS = 60 * 1_000_000_000
"""The gateway says what happens to it at most so long before it closes."""
_MAX_ENDS = 2
_MAX_WORST = 3
_EXPOSURE = frozenset(
    ("sample-key", "secret-in-clear", "trade-in-clear", "key-in-clear", "clear-on-encrypted", "encryption-off")
)


def recorded(data: ReportData, clock: Clock) -> str:
    """Returns one sentence on what was recorded: how long, who, how much."""
    capture = data.figures["capture"]
    rows = data.figures["connections"]
    when = ""
    if data.first_ns is not None and data.last_ns is not None:
        start, end = clock.of_day(data.first_ns, 0), clock.of_day(data.last_ns, 0)
        day, last_day = clock.date(data.first_ns, year=True), clock.date(data.last_ns, year=True)
        until = end if day == last_day else f"{last_day} {end}"
        when = f"{duration(data.last_ns - data.first_ns)} on {day}, {start} to {until} ({clock.zone(data.first_ns)}): "
    gateways = sorted({row["gateway"] for row in rows})
    programs = sorted({" ".join(str(row[key]) for key in ("language", "client_id") if row[key]) for row in rows} - {""})
    line = f"{when}{_number(capture['messages'], 'message')} on {_number(capture['connections'], 'connection')}"
    if gateways:
        line += f" with {_some(gateways)}"
    if programs:
        line += f", by {_some(programs)}"
    verified = capture["verdicts"].get("verified", 0)
    if capture["messages"]:
        proof = "all" if verified == capture["messages"] else f"{verified:,}" if verified else "none"
        line += f"; {proof} of them verified by the SHA-1 in the header"
    return line + "."


def conclusions(data: ReportData) -> Iterator[tuple[str, str]]:
    """Yields sentences on what the capture shows, the most important one first, each with a severity."""
    found = data.figures["findings"]
    ends = [row for row in found if row["code"] in _ENDS]
    shown = list({row["code"]: row for row in reversed(ends)}.values())[::-1][:_MAX_ENDS]
    for row in shown:
        yield row["severity"], _sentence(row["text"], row["connection"])
        cause = _cause(found, row)
        if cause is not None:
            yield cause["severity"], _sentence(cause["text"], None)
    if len(ends) > len(shown):
        yield "error", f"{len(ends) - len(shown):,} more connections ended in such a way."
    if not ends:
        for row in _worst(found):
            yield row["severity"], _sentence(row["text"], row["connection"])
    outcomes = Counter(order.outcome for order in data.orders)
    if outcomes:
        bad = any(outcomes[name] for name in ("failed", "refused", "unanswered"))
        parts = ", ".join(f"{count:,} {name.replace('-', ' ')}" for name, count in outcomes.most_common())
        yield "warning" if bad else "note", f"{_number(len(data.orders), 'order')}: {parts}."
    counts = data.latency.total()
    if counts:
        worst = data.slowest[0].value_ns  # exact, where quantiles are off by up to 6 %
        half, most = (duration(min(value, worst)) for value in quantiles(counts, (0.5, 0.99)))
        words = f"Half of the responses took no longer than {half}, 99 of 100 no longer than {most}"
        yield "note", f"{words}; the slowest took {duration(worst)} (message {data.slowest[0].number})."
    capture = data.figures["capture"]
    if not capture["messages"]:
        yield "warning", "No message was found, so nothing can be said of the gateway and its programs."
    elif not any(capture["findings"][severity] for severity in ("error", "warning")):
        yield "note", "Nothing went wrong that the capture shows."


def _worst(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the first finding of each of the worst codes; what could be read by others comes after what failed."""
    bad = [row for row in found if row["severity"] != "note"]
    bad.sort(key=lambda row: (row["severity"], row["code"] in _EXPOSURE))
    return list({row["code"]: row for row in reversed(bad)}.values())[::-1][:_MAX_WORST]


def _cause(found: list[dict[str, Any]], end: dict[str, Any]) -> dict[str, Any] | None:
    """Returns what the gateway said last about itself before it closed a connection."""
    if end["code"] != "closed-by-gateway":
        return None
    closed_ns = record_ns(end["time"])
    said = [
        row
        for row in found
        if row["code"] in _CAUSES
        and row["connection"] == end["connection"]
        and 0 <= closed_ns - record_ns(row["time"]) <= _CAUSE_NS
    ]
    return said[-1] if said else None


def _sentence(words: str, connection: int | None) -> str:
    if connection is not None:
        named = words.replace("the connection", f"connection {connection}", 1)
        words = named if named != words else f"Connection {connection}: {words}"
    words = words[:1].upper() + words[1:]
    if len(words) > 2 * MAX_TEXT:
        return f"{words[: 2 * MAX_TEXT]}…"
    return words if words.endswith((".", "?", "!")) else f"{words}."


def tiles(data: ReportData) -> list[tuple[str, str, str]]:
    """Returns the counts of the first screen: number, what it counts, and a class."""
    capture = data.figures["capture"]
    counts = capture["findings"]
    connections = max(capture["connections"], len(data.lanes))  # those without a message have a lane only
    unproven = capture["messages"] - capture["verdicts"].get("verified", 0)
    return [
        (f"{counts['error']:,}", _noun(counts["error"], "error"), "error" if counts["error"] else ""),
        (f"{counts['warning']:,}", _noun(counts["warning"], "warning"), "warning" if counts["warning"] else ""),
        (f"{capture['messages']:,}", _noun(capture["messages"], "message"), ""),
        (f"{unproven:,}", "not verified", "warning" if unproven else ""),
        (f"{capture['gaps']:,}", _noun(capture["gaps"], "gap"), "warning" if capture["gaps"] else ""),
        (f"{connections:,}", _noun(connections, "connection"), ""),
        (f"{len(data.orders) + data.orders_dropped:,}", _noun(len(data.orders), "order"), ""),
    ]


def _noun(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {_noun(count, noun)}"


def _some(names: list[str], most: int = 2) -> str:
    shown = " and ".join(names[:most]) if len(names) <= most else ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"
