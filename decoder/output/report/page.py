"""Puts the report together: one HTML page under a content policy that lets nothing be loaded."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from decoder.output.report import figures as shown
from decoder.output.report import lanes, order_lines, sections
from decoder.output.report.axes import Clock, TimeScale
from decoder.output.report.markup import Markup, joined, tag, text
from decoder.output.report.pictures import SHAPES, bands_picture, rate_picture
from decoder.output.report.tables import Tables
from decoder.output.report.verdict import conclusions, recorded, tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from decoder.output.report.collector import Outlier, ReportData
    from decoder.output.report.lines import Line

__all__ = ["page"]

_DAY = 86_400 * 1_000_000_000
_MAX_PAGE = 1_950_000
"""Bytes of the page."""
_ROOM = ((900 * 1024, 200 * 1024), (300 * 1024, 200 * 1024), (200 * 1024, 60 * 1024))
"""Bytes of the section of messages (what would not fit is not shown, nor linked to) and of the rows of each table.
The later ones are for a page that would be too large: then all other sections together have a bound of 1 MB."""
_OVERHEAD = 300
"""Bytes of markup around one message."""
_TOP_OUTLIERS = 10


def page(data: ReportData, *, utc: bool) -> bytes:
    """Returns the report as one HTML file in UTF-8.

    It has no link or source outside itself, and all of it but searching, sorting and copying works without script.
    """
    script, style = _resource("report.js"), _resource("report.css")
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )
    names = [name.replace("\\", "/").rpartition("/")[2] for name in data.figures["capture"]["files"]]
    title = f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''} – opendump report"
    head = joined(
        (
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=policy),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", name="referrer", content="no-referrer"),
            tag("title", title),
            tag("style", Markup(style)),
        )
    )
    document = b""
    for room, table_size in _ROOM:
        body = joined((SHAPES, *_body(data, names, utc, room, Tables(table_size)), tag("script", Markup(script))))
        written = f"<!DOCTYPE html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"
        document = written.encode("utf-8", "backslashreplace")
        if len(document) <= _MAX_PAGE:
            break
    return document


@cache
def _resource(name: str) -> str:
    return files("decoder.output.report").joinpath(name).read_text("utf-8")


def _body(data: ReportData, names: Sequence[str], utc: bool, room: int, tables: Tables) -> Iterator[Markup]:
    first_ns, last_ns = data.first_ns or 0, data.last_ns or 0
    clock = Clock(utc=utc, dates=last_ns - first_ns > _DAY)
    scale = TimeScale(first_ns, last_ns, clock)
    lines = _messages(data, room)
    known = frozenset(lines)
    figures = data.figures
    yield _header(data, names, clock, known)
    yield tag("main", *_sections(data, tables, scale, clock, known), _message_section(data, lines))
    zone = clock.zone(first_ns)
    yield tag(
        "footer",
        tag("p", f"Times are {zone}. Secrets are redacted. Made by opendump; the page `docs/report.md` explains it."),
        *(tag("p", f"Warning: {warning}") for warning in figures["capture"]["warnings"]),
    )


def _header(data: ReportData, names: Sequence[str], clock: Clock, known: frozenset[int]) -> Markup:
    said = [tag("li", sections.linked(words, known), class_=severity) for severity, words in conclusions(data)]
    counts = [
        tag("li", tag("strong", number), " ", tag("span", noun), class_=class_ or None)
        for number, noun, class_ in tiles(data)
    ]
    find = tag("input", type="search", id="find", placeholder="Search", aria_label="Search in all rows", hidden=True)
    return tag(
        "header",
        tag("h1", ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") or "report"),
        tag("p", text(recorded(data, clock), 600), class_="recorded"),
        tag("ul", *said, class_="verdict"),
        tag("ul", *counts, class_="tiles"),
        tag("div", find, tag("span", id="found", role="status"), class_="tools"),
    )


def _section(name: str, title: str, *content: object) -> Markup:
    return tag("section", tag("h2", title), *content, id=name, aria_label=title)


def _sections(
    data: ReportData, tables: Tables, scale: TimeScale, clock: Clock, known: frozenset[int]
) -> Iterator[Markup]:
    figures = data.figures
    rate = rate_picture(data.rate, scale)
    if rate is not None:
        yield _section("rate", "Messages per second", rate)
    if figures["findings"]:
        yield _section("findings", "Findings", sections.findings(figures["findings"], known, clock))
    words = "half of the responses took no longer", f"one of the {len(data.slowest):,} slowest"
    latency = bands_picture(data.latency, data.slowest, scale, known, words)
    if latency is not None:
        yield _section("latency", "How long responses took", latency, _outliers(data.slowest, known, clock))
    words = "half of the pushes were no later", f"one of the {len(data.latest):,} latest"
    late = bands_picture(data.late, data.latest, scale, known, words)
    if late is not None:
        yield _section("lateness", "How late pushes were", late, shown.lateness(tables, data))
    if data.lanes:
        yield _section("lanes", "Connections over time", lanes.lanes(data, scale, known))
    if data.orders:
        yield _section("orders", "Orders", order_lines.orders(tables, data.orders, data.orders_dropped, known, clock))
    if figures["connections"]:
        yield _section("connections", "Connections", shown.connections(tables, figures["connections"], clock))
    if figures["protocols"]:
        yield _section("protocols", "Protocols", shown.protocols(tables, figures["protocols"]))
    limited = [row for row in figures["rates"] if row["share"] is not None]
    if limited:
        yield _section("rates", "Requests against the gateway's limits", shown.rates(tables, limited, clock))
    if figures["subscriptions"]:
        rows = figures["subscriptions"]
        drawn, listed = lanes.subscription_lanes(rows, scale), shown.subscriptions(tables, rows, clock)
        yield _section("subscriptions", "Subscriptions", drawn, listed)


def _outliers(worst: Sequence[Outlier], known: frozenset[int], clock: Clock) -> Markup:
    """Returns the slowest as a list of links, for the keyboard and for paper."""
    rows = [tag("li", sections.outlier_text(outlier, known, clock), class_="row") for outlier in worst[:_TOP_OUTLIERS]]
    return tag("details", tag("summary", f"the {len(rows)} slowest"), tag("ol", *rows))


def _messages(data: ReportData, room: int) -> dict[int, tuple[Line, list[str] | None]]:
    """Returns the messages that the page shows, by number: named by findings and orders first, then the slowest.

    :param room: bytes that they may take
    """
    chosen: dict[int, tuple[Line, list[str] | None]] = {}
    for line, fields in data.book.kept.values():
        room -= _OVERHEAD + _size(line.text) + sum(_size(each) + 1 for each in fields)
        if room < 0:
            break
        chosen[line.number] = line, fields
    for outlier in (*data.slowest, *data.latest):
        if outlier.number in chosen:
            continue
        room -= _OVERHEAD + _size(outlier.line.text)
        if room < 0:
            break
        chosen[outlier.number] = outlier.line, None
    return dict(sorted(chosen.items()))


def _size(words: str) -> int:
    """Returns the bytes of a text once it is escaped."""
    return len(text(words).encode())


def _message_section(data: ReportData, lines: dict[int, tuple[Line, list[str] | None]]) -> Markup | None:
    if not lines:
        return None
    wanted = len(data.book.kept) + data.book.left_out
    left = wanted - sum(number in lines for number in data.book.kept)
    said = "Those that findings, orders and pictures name."
    if left > 0:
        said += f" {left:,} of them are left out to keep this page small: `opendump decode --where number=N` shows one."
    return _section("messages", "Messages", tag("p", said, class_="hint"), sections.messages(lines.values()))
