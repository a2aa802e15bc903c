"""The pictures, read as XML by Python's own parser."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from decoder.findings.order_rows import Order
from decoder.output.report.axes import Clock, LogScale, TimeScale
from decoder.output.report.collector import FAMILIES, Outlier
from decoder.output.report.lines import Line
from decoder.output.report.pictures import SHAPES, Track, bands_picture, order_track, rate_picture
from decoder.statistics.timeline import Timeline, log_key
from tests.support.recorded import CAPTURES
from tests.support.reports import of_recording

START, SECOND = 1_700_000_000_000_000_000, 1_000_000_000
SCALE = TimeScale(START, START + 100 * SECOND, Clock(utc=True))


def bars(path: str) -> list[tuple[float, float, float, float]]:
    """The rectangles of a path: left, right, top, bottom."""
    found = re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)H([\d.]+)V([\d.]+)Z", path)
    assert "".join(f"M{a} {b}V{c}H{d}V{e}Z" for a, b, c, d, e in found) == path
    return [(float(a), float(d), float(c), float(b)) for a, b, c, d, _ in found]


def test_areas_are_as_high_as_the_rate() -> None:
    timeline = Timeline(100)
    for tenth in range(1_000):
        for _ in range(10 if tenth < 500 else 20):
            timeline.add(START + tenth * SECOND // 10, 0)
        timeline.add(START + tenth * SECOND // 10, 2)
    picture = rate_picture(timeline, SCALE)
    assert picture is not None
    root = ElementTree.fromstring(picture)
    paths = {path.get("class"): bars(path.get("d") or "") for path in root.iter("path")}
    assert set(paths) == {"family0", "family2"}
    low, high = paths["family0"], paths["family2"]
    heights = [bottom - top for _, _, top, bottom in low]
    assert heights[-5] / heights[5] == pytest.approx(2, rel=0.2)
    for one, other in zip(low, high, strict=True):
        assert one[2] == pytest.approx(other[3], abs=0.2)  # one stands on the other
    words = [text.text for text in root.iter("text")]
    assert "0" in words
    assert [item.text or "" for item in root.iter("li")] == ["", ""]
    assert [FAMILIES[0], FAMILIES[2]] == [swatch.tail for swatch in root.iter("span")]


def test_the_band_lies_around_the_median_and_dots_link_to_what_is_shown() -> None:
    timeline = Timeline(10)
    outliers = []
    for number in range(1, 1_001):
        for thousand in (1, 3, 5, 7, 9, 20, 40):
            timeline.add(START + number * 100_000_000, log_key(number * thousand * 1_000))
        if number > 990:
            line = Line(number, "x", (number,), number != 1_000)
            outliers.append(Outlier(number * 1_000_000, number, START + number * 100_000_000, line))
    picture = bands_picture(timeline, outliers, SCALE, {995}, ("half", "slow"))
    assert picture is not None
    root = ElementTree.fromstring(picture)
    paths = {path.get("class"): bars(path.get("d") or "") for path in root.iter("path")}
    for high, low, half in zip(paths["band99"], paths["band90"], paths["band50"], strict=True):
        assert high[2] < high[3] == low[2] < low[3]
        assert half[2] < low[3] < half[3]
    assert len(list(root.iter("circle"))) == 10
    assert [link.get("href") for link in root.iter("a")] == ["#m995"]
    assert sum("bad" in (circle.get("class") or "") for circle in root.iter("circle")) == 1


def test_nothing_to_draw() -> None:
    assert rate_picture(Timeline(), SCALE) is None
    assert bands_picture(Timeline(), [], SCALE, set(), ("", "")) is None


def test_marks_have_a_shape_a_text_and_a_link() -> None:
    track = Track()
    track.line(10, 10, "life")
    track.mark(50, "failed", "<failed>", 7)
    track.mark(60, "state", "working")
    root = ElementTree.fromstring(track.svg("an order"))
    shapes = set(re.findall(r'id="(s-\w+)"', SHAPES))
    used = [use.get("href") for use in root.iter("use")]
    assert used == ["#s-failed", "#s-state"]
    assert {name.removeprefix("#") for name in used if name} <= shapes
    assert [title.text for title in root.iter("title")] == ["<failed>", "working"]
    assert [link.get("href") for link in root.iter("a")] == ["#m7"]
    rect = root.find("rect")
    assert rect is not None
    assert rect.get("width") != "0.00%"  # a moment can be seen too


def test_the_track_of_an_order_shows_each_state_where_it_came() -> None:
    filled: Order = of_recording(CAPTURES / "cbc.pcap").orders[0]
    scale = LogScale(100_000, 100_000_000)
    root = ElementTree.fromstring(order_track(filled, scale, frozenset({171, 173, 180})))
    titles = [title.text for title in root.iter("title")]
    assert titles == [
        "answer after 948 µs",
        "SUBMITTING after 948 µs",
        "SUBMITTED after 7.32 ms",
        "FILLED_PART after 9.93 ms",
        "FILLED_ALL after 15.5 ms",
    ]
    places = [float((use.get("x") or "").rstrip("%")) for use in root.iter("use")]
    assert places == sorted(places)
    assert places[-1] == pytest.approx(scale.percent(15_503_000), abs=0.01)
    assert [link.get("href") for link in root.iter("a")] == ["#m173", "#m180"]
