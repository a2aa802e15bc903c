"""The sections of the report."""

from __future__ import annotations

from typing import Any

from decoder.output.report import sections
from decoder.output.report.axes import Clock
from decoder.output.report.lines import Line
from tests.unit.output.report.test_markup import Reader

CLOCK = Clock(utc=True)
NONE: frozenset[int] = frozenset()


def finding(severity: str, code: str, number: int, words: str = "what") -> dict[str, Any]:
    return {
        "severity": severity,
        "code": code,
        "message": number,
        "connection": 0,
        "time": "2026-11-22T08:20:10.047000000Z",
        "text": words,
        "count": 1,
    }


def test_messages_are_linked_where_the_page_has_them() -> None:
    html = sections.linked("see message 7, message 71 and <b> message 8", frozenset({7, 8}))
    assert html == 'see <a href="#m7">message 7</a>, message 71 and &lt;b&gt; <a href="#m8">message 8</a>'


def test_long_texts_are_cut_and_stay_safe() -> None:
    html = sections.linked("<" * 1_000, NONE)
    assert html.count("&lt;") == 400
    assert html.endswith("…")


def test_findings_are_grouped_worst_first_twenty_shown() -> None:
    rows = [finding("note", "n", 1)] + [finding("error", "e", number) for number in range(10)]
    rows += [finding("warning", f"w{number}", number) for number in range(40)]
    html = sections.findings(rows, NONE, CLOCK)
    read = Reader(html)
    assert [attributes["data-severity"] for name, attributes in read.tags if name == "div"] == (
        ["error"] + ["warning"] * 40 + ["note"]
    )
    before, _, folded = html.partition("24 more kinds of findings")
    assert before.count("<h3>") == 18  # three errors, 17 warnings
    assert folded.count("<h3>") == 24
    assert "7 more" in before
    assert "08:20:10.047" in before


def test_findings_without_end_are_cut() -> None:
    html = sections.findings([finding("error", "e", number) for number in range(3_000)], NONE, CLOCK)
    assert html.count("<li>") == 500
    assert "2,500 further findings are left out" in html


def test_messages() -> None:
    html = sections.messages([(Line(7, "7 <x>", (3, 5), True), ["a: <", "b"]), (Line(8, "8", (9,), True), None)])
    assert '<article id="m7"' in html
    assert "7 &lt;x&gt;" in html
    assert "frame.number in {3, 5}" in html
    assert "<pre>a: &lt;\nb</pre>" in html
    assert html.count("<details>") == 1
