"""Writes the findings of the report and the messages that it refers to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from decoder.findings import SEVERITIES
from decoder.formatting.frame_filter import frame_filter
from decoder.output.report.axes import Clock, duration, record_ns
from decoder.output.report.markup import MAX_TEXT, Markup, joined, tag, text

if TYPE_CHECKING:
    from decoder.output.report.collector import Outlier
    from decoder.output.report.lines import Line

__all__ = ["findings", "linked", "messages", "outlier_text"]

_SHOWN_FINDINGS = 20
_SHOWN_OF_CODE = 3
_MAX_FINDINGS = 500
"""Findings in the page, folded ones among them."""
_MAX_FINDINGS_SIZE = 200 * 1024
"""Bytes of all findings together."""
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
    shown, left, size = 0, len(rows), 0
    open_groups: list[Markup] = []
    folded: list[Markup] = []
    for (severity, code), group in groups.items():
        kept = group[: max(0, _MAX_FINDINGS - len(rows) + left)]
        if not kept or size > _MAX_FINDINGS_SIZE:
            break
        visible = _SHOWN_OF_CODE if shown < _SHOWN_FINDINGS else 0
        visible = min(visible, _SHOWN_FINDINGS - shown)
        written = _group(severity, code, group, kept, max(visible, 1), known, clock)
        (open_groups if visible else folded).append(written)
        shown += min(visible, len(group))
        left -= len(kept)
        size += len(written)
    if folded:
        open_groups.append(tag("details", tag("summary", f"{len(folded)} more kinds of findings"), *folded))
    if left:
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


def outlier_text(outlier: Outlier, known: frozenset[int], clock: Clock) -> Markup:
    """Returns when a message came, how long it took, and its number as a link."""
    words = (
        tag("time", clock.moment(outlier.time_ns)),
        tag("strong", duration(outlier.value_ns)),
        linked(f"message {outlier.number}", known),
        tag("code", outlier.line.text),
    )
    return joined(words, " · ")


def messages(lines: Iterable[tuple[Line, list[str] | None]]) -> Markup:
    """Returns the messages that the page refers to, each with its fields if they were kept."""
    return joined(_message(line, fields) for line, fields in lines)


def _message(line: Line, fields: list[str] | None) -> Markup:
    chosen = frame_filter(line.packets)
    parts: list[Markup] = [tag("code", line.text)]
    below = tag("p", "Wireshark: ", tag("code", chosen))
    if fields is not None:
        shown = tag("pre", joined((text(each, MAX_TEXT) for each in fields), "\n"))
        parts.append(tag("details", tag("summary", "fields"), below, shown))
    else:
        parts.append(below)
    return tag("article", *parts, id=f"m{line.number}", class_="row", tabindex="-1")
