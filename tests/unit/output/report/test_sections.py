"""The sections of the report."""

from __future__ import annotations

from typing import Any

from decoder.output.report import sections
from decoder.output.report.axes import Clock, TimeScale
from decoder.output.report.lines import Line
from tests.support.exchange import Exchange
from tests.support.recorded import CAPTURES
from tests.support.reports import collected, of_recording
from tests.unit.output.report.test_collector import session
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


def test_orders_say_what_became_of_them() -> None:
    data = of_recording(CAPTURES / "cbc.pcap")
    words = Reader(sections.orders(data.orders, 3, frozenset({171}), CLOCK)).words
    for said in (
        "08:20:02.892 BUY 300 HK.00700 at 400.2",
        "filled 300 at 400.2 in 15.5 ms",
        "cancelled in 21 ms",
        "failed in 5.45 msThe price is too far from the last price",
        "refusedInsufficient buying power",
        "unansweredno response in the capture",
        "SUBMITTING 948 µs › SUBMITTED 7.32 ms › FILLED_PART 9.93 ms › FILLED_ALL 15.5 ms",
        "3 further orders were not followed",
    ):
        assert said in words


def test_orders_beyond_40_have_no_picture() -> None:
    orders = of_recording(CAPTURES / "cbc.pcap").orders * 10
    html = sections.orders(orders, 0, NONE, CLOCK)
    assert html.count('class="track"') == 40
    assert "30 more orders, without lines" in html
    assert html.count("<tr>") == 31


def test_lanes_of_many_connections() -> None:
    data = collected(*(session(1, client_port=20_000 + number).fin() for number in range(40)))
    scale = TimeScale(data.first_ns or 0, data.last_ns or 0, CLOCK)
    html = sections.lanes(data, scale, NONE)
    assert html.count('class="lane"') == 30
    assert "10 more connections are in the table only" in html
    assert html.count("closed by the client</strong>") == 30


def test_a_connection_that_never_carried_a_message_has_a_lane() -> None:
    exchange = session(1)
    silent = Exchange(client_port=20_000).fin()
    data = collected(exchange, silent)
    html = sections.lanes(data, TimeScale(data.first_ns or 0, data.last_ns or 0, CLOCK), NONE)
    assert html.count('class="lane"') == 2
    assert "192.0.2.1:20000" in html


def test_tables_of_connections_protocols_and_lateness() -> None:
    data = of_recording(CAPTURES / "cbc.pcap")
    words = Reader(sections.connections(data.figures["connections"], CLOCK)).words
    assert "127.0.0.1:39714" in words
    assert "Python PyNormal 300" in words
    words = Reader(sections.protocols(data.figures["protocols"])).words
    assert "Qot_GetOrderBook" in words
    assert "2.5 s" in words
    words = Reader(sections.lateness(data)).words
    assert "exchange to OpenD" in words
    assert "250 ms" in words
    assert "40 of 40 pushes with a time were measured." in words


def test_messages() -> None:
    html = sections.messages([(Line(7, "7 <x>", (3, 5), True), ["a: <", "b"]), (Line(8, "8", (9,), True), None)])
    assert '<article id="m7"' in html
    assert "7 &lt;x&gt;" in html
    assert "frame.number in {3,5}" in html
    assert "<pre>a: &lt;\nb</pre>" in html
    assert html.count("<details>") == 1
