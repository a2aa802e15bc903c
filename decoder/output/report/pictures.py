"""Draws the pictures of the report as SVG.

An SVG here has no view box, so that text and dots keep their size on any screen: places along an axis are percent.
Only areas stand in an inner SVG that stretches.  Pictures are bounded: 400 intervals, 500 dots, 30 connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from decoder.output.report.axes import LogScale, Tick, TimeScale, duration, nice_maximum, rate_text
from decoder.output.report.collector import FAMILIES
from decoder.output.report.markup import Markup, tag
from decoder.statistics.timeline import Timeline, quantiles

if TYPE_CHECKING:
    from decoder.findings.order_rows import Order
    from decoder.output.report.collector import Outlier

__all__ = [
    "SHAPES",
    "Track",
    "bands_picture",
    "lanes_picture",
    "order_track",
    "rate_picture",
    "shape_legend",
    "track_axis",
]

_STRETCH = 1_000  # units of the inner SVG in either direction
_QUANTILES = (0.5, 0.9, 0.99)


def rate_picture(timeline: Timeline, scale: TimeScale) -> Markup | None:
    """Returns the picture of messages per second, stacked by family; None if there are none."""
    used = [family for family in range(len(FAMILIES)) if any(family in cell for _, cell in timeline)]
    if not used:
        return None
    seconds = min(timeline.width_ns, scale.span_ns) / 1e9
    top = nice_maximum(max(sum(cell.values()) for _, cell in timeline) / seconds)
    base = [0.0] * len(timeline)
    areas: list[Markup] = []
    for family in used:
        upper, points = [], []
        for index, (start_ns, cell) in enumerate(timeline):
            upper.append(base[index] + cell.get(family, 0) / seconds)
            left = scale.percent(start_ns) * 10
            right = scale.percent(start_ns + timeline.width_ns) * 10
            points.append((left, right, _down(upper[index] / top), _down(base[index] / top)))
        areas.append(tag("path", class_=f"family{family}", d=_bars(points)))
        base = upper
    legend = _legend((f"family{family}", FAMILIES[family]) for family in used)
    ticks = [Tick(percent, rate_text(top * percent / 100)) for percent in (0, 50, 100)]
    label = f"Messages per second, at most {rate_text(top)}"
    return tag("div", legend, _plot(areas, (), ticks, scale.ticks(), label), class_="picture")


def bands_picture(
    timeline: Timeline, outliers: Sequence[Outlier], scale: TimeScale, known: Iterable[int], words: tuple[str, str]
) -> Markup | None:
    """Returns the picture of a duration over time: median, nine of ten, 99 of 100, and the worst as dots.

    :param known: numbers of the messages that a dot may link to
    :param words: what half of the messages did, and what the dots are
    """
    found = [(start_ns, quantiles(cell, _QUANTILES)) for start_ns, cell in timeline if cell]
    if not found:
        return None
    least = min(values[0] for _, values in found)
    vertical = LogScale(least * 0.8, max(outlier.value_ns for outlier in outliers) * 1.2)
    low: list[tuple[float, float, float, float]] = []
    high, median = list(low), list(low)
    for start_ns, values in found:
        left, right = scale.percent(start_ns) * 10, scale.percent(start_ns + timeline.width_ns) * 10
        half, nine, most_of = (_down(vertical.percent(value) / 100) for value in values)
        low.append((left, right, nine, half))
        high.append((left, right, most_of, nine))
        median.append((left, right, half - 4, half + 4))
    areas = [
        tag("path", class_=name, d=_bars(bars))
        for name, bars in (("band99", high), ("band90", low), ("band50", median))
    ]
    linked = frozenset(known)
    dots = [_dot(outlier, scale, vertical, linked) for outlier in reversed(outliers)]
    legend = _legend(
        (
            ("band50", words[0]),
            ("band90", "nine of ten"),
            ("band99", "99 of 100"),
            ("dot", words[1]),
        )
    )
    return tag("div", legend, _plot(areas, dots, list(vertical.ticks()), scale.ticks(), words[0]), class_="picture")


def _dot(outlier: Outlier, scale: TimeScale, vertical: LogScale, linked: frozenset[int]) -> Markup:
    circle = tag(
        "circle",
        class_=None if outlier.line.good else "bad",
        cx=f"{scale.percent(outlier.time_ns):.2f}%",
        cy=f"{100 - vertical.percent(outlier.value_ns):.1f}%",
    )
    title = tag("title", f"message {outlier.number}, {duration(outlier.value_ns)}")
    if outlier.number not in linked:
        return tag("g", circle, title)
    # The table below the picture has the same links for the keyboard.
    return tag("a", title, circle, href=f"#m{outlier.number}", tabindex="-1")


class Track:
    """Collects the marks of one horizontal line, at places in percent."""

    def __init__(self) -> None:
        self._marks: list[Markup] = []

    def line(self, start: float, end: float, class_: str) -> None:
        """Adds a bar."""
        width = max(end - start, 0.15)
        self._marks.append(
            tag("rect", class_=class_, x=f"{start:.2f}%", y="8", width=f"{width:.2f}%", height="6", rx="2")
        )

    def mark(self, place: float, shape: str, title: str, link: int | None = None) -> None:
        """Adds a mark: a shape that the page defines, a text for the mouse, the number of a message."""
        used = tag("use", href=f"#s-{shape}", x=f"{place:.2f}%", y="11", class_=f"s-{shape}")
        named = tag("title", title)
        self._marks.append(
            tag("g", named, used) if link is None else tag("a", named, used, href=f"#m{link}", tabindex="-1")
        )

    def svg(self, label: str) -> Markup:
        """Returns the line as SVG."""
        return tag("svg", *self._marks, class_="track", width="100%", height="22", role="img", aria_label=label)


def lanes_picture(rows: Iterable[tuple[Markup, Markup]], scale: TimeScale) -> Markup:
    """Returns the picture of connections: a text and a track for each, and the axis of time."""
    lanes = [tag("div", tag("div", label, class_="lane-label"), track, class_="lane") for label, track in rows]
    return tag("div", *lanes, _x_axis(scale.ticks()), class_="picture lanes")


def order_track(order: Order, scale: LogScale, known: frozenset[int]) -> Markup:
    """Returns the line of one order: from its request (or first state) to its last state."""
    start_ns = order.first_ns if order.placed is None else order.placed.time_ns
    track = Track()
    last_ns = order.states[-1].time_ns if order.states else start_ns
    placed = order.placed
    latency_ns = None if placed is None else placed.latency_ns
    end = scale.percent(max(last_ns - start_ns, latency_ns or 0, 1))
    track.line(0, 100 if order.outcome == "unanswered" else end, f"life {order.outcome}")
    if placed is not None and latency_ns is not None:
        link = placed.response if placed.response in known else None
        shape = "failed" if order.outcome == "refused" else "answer"
        track.mark(scale.percent(latency_ns), shape, f"answer after {duration(latency_ns)}", link)
    for change in order.changes:
        link = change.message if change.message in known else None
        after = change.time_ns - start_ns
        track.mark(scale.percent(after), "change", f"{change.op} asked for after {duration(after)}", link)
    for state in order.states[-12:]:
        after = state.time_ns - start_ns
        link = state.message if state.message in known else None
        track.mark(scale.percent(after), _shape_of(state.status), f"{state.status} after {duration(after)}", link)
    return track.svg(f"order {order.outcome}")


def track_axis(scale: LogScale) -> Markup:
    """Returns the axis below (or above) the tracks of orders: time since the request."""
    return _x_axis(scale.ticks())


def _shape_of(status: str) -> str:
    if status.startswith(("FAILED", "SUBMIT_FAILED", "TIMEOUT", "DISABLED")):
        return "failed"
    if status.startswith("FILLED"):
        return "filled" if status == "FILLED_ALL" else "part"
    return "gone" if status.startswith(("CANCELLED", "DELETED", "FILL_CANCELLED")) else "state"


def _plot(
    areas: Iterable[Markup], marks: Iterable[Markup], vertical: Sequence[Tick], times: Iterable[Tick], label: str
) -> Markup:
    """Returns axes with areas and marks between them."""
    side = [
        tag("text", tick.label, x="100%", y=f"{100 - tick.percent:.1f}%", dy=_baseline(tick.percent), text_anchor="end")
        for tick in vertical
    ]
    grid = [
        tag("line", x1="0", x2="100%", y1=f"{100 - tick.percent:.1f}%", y2=f"{100 - tick.percent:.1f}%", class_="grid")
        for tick in vertical
    ]
    inner = tag(
        "svg", *areas, viewBox=f"0 0 {_STRETCH} {_STRETCH}", preserveAspectRatio="none", width="100%", height="100%"
    )
    return tag(
        "div",
        tag("svg", *side, class_="side", width="100%", height="100%", aria_hidden="true"),
        tag("svg", *grid, inner, *marks, class_="area", width="100%", height="100%", role="img", aria_label=label),
        _x_axis(times),
        class_="plot",
    )


def _baseline(percent: float) -> str:
    return "0" if percent <= 0 else "0.8em" if percent >= 100 else "0.35em"


def _x_axis(ticks: Iterable[Tick]) -> Markup:
    texts: list[Markup] = []
    for index, tick in enumerate(ticks):
        anchor = "start" if tick.percent < 7 else "end" if tick.percent > 93 else "middle"
        minor = "minor" if index % 2 else None
        place = f"{tick.percent:.2f}%"
        texts.append(tag("line", x1=place, x2=place, y1="0", y2="5", class_="grid"))
        texts.append(tag("text", tick.label, x=place, y="17", text_anchor=anchor, class_=minor))
    return tag("svg", *texts, class_="axis", width="100%", height="20", aria_hidden="true")


def _legend(entries: Iterable[tuple[str, str]]) -> Markup:
    items = [tag("li", tag("span", class_=f"swatch {name}"), words) for name, words in entries]
    return tag("ul", *items, class_="legend")


def _down(fraction: float) -> float:
    """Returns the distance from the top of an inner SVG."""
    return (1 - min(fraction, 1.0)) * _STRETCH


def _bars(bars: Iterable[tuple[float, float, float, float]]) -> Markup:
    """Returns the path of rectangles (left, right, top, bottom); empty ones are left out."""
    parts = [
        f"M{left:.1f} {bottom:.1f}V{top:.1f}H{right:.1f}V{bottom:.1f}Z"
        for left, right, top, bottom in bars
        if bottom - top > 0.05
    ]
    return Markup("".join(parts))


def shape_legend(entries: Iterable[tuple[str, str]]) -> Markup:
    """Returns the explanation of shapes: (name of the shape, words)."""
    items = []
    for name, words in entries:
        shape = tag("svg", tag("use", href=f"#s-{name}", x="8", y="8", class_=f"s-{name}"), width="16", height="16")
        items.append(tag("li", shape, words))
    return tag("ul", *items, class_="legend")


SHAPES = Markup(
    '<svg width="0" height="0" class="defs" aria-hidden="true"><defs>'
    '<circle id="s-state" r="4"/><circle id="s-part" r="4.5"/>'
    '<path id="s-filled" d="M-5 0-1.5 4.5 5.5-4.5"/>'
    '<path id="s-gone" d="M-5 0H5"/>'
    '<path id="s-failed" d="M-4.5-4.5 4.5 4.5M-4.5 4.5 4.5-4.5"/>'
    '<path id="s-answer" d="M0-9V9"/>'
    '<path id="s-change" d="M0-5 5 0 0 5-5 0Z"/>'
    '<circle id="s-login" r="4.5"/>'
    '<circle id="s-granted" r="4.5"/>'
    '<circle id="s-push" r="3"/>'
    '<path id="s-gap" d="M-2-8H2V8H-2Z"/>'
    '<path id="s-error" d="M-4.5-4.5 4.5 4.5M-4.5 4.5 4.5-4.5"/>'
    '<path id="s-warning" d="M0-6 6 5H-6Z"/>'
    '<path id="s-end" d="M0-10V10"/>'
    "</defs></svg>"
)
"""The shapes of marks, told apart without colour; every page has them once."""
