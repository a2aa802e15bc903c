"""Connections and subscriptions over time."""

from __future__ import annotations

from decoder.output.report import lanes
from decoder.output.report.axes import Clock, TimeScale
from tests.support.exchange import Exchange
from tests.support.recorded import CAPTURES
from tests.support.reports import collected, of_recording
from tests.unit.output.report.test_collector import session

CLOCK = Clock(utc=True)
NONE: frozenset[int] = frozenset()


def test_lanes_of_many_connections() -> None:
    data = collected(*(session(1, client_port=20_000 + number).fin() for number in range(40)))
    scale = TimeScale(data.first_ns or 0, data.last_ns or 0, CLOCK)
    html = lanes.lanes(data, scale, NONE)
    assert html.count('class="lane"') == 30
    assert "10 more connections are in the table only" in html
    assert html.count("closed by the client</strong>") == 30


def test_a_connection_that_never_carried_a_message_has_a_lane() -> None:
    exchange = session(1)
    silent = Exchange(client_port=20_000).fin()
    data = collected(exchange, silent)
    html = lanes.lanes(data, TimeScale(data.first_ns or 0, data.last_ns or 0, CLOCK), NONE)
    assert html.count('class="lane"') == 2
    assert "192.0.2.1:20000" in html


def test_subscriptions_with_the_longest_silences_are_drawn() -> None:
    data = of_recording(CAPTURES / "cbc.pcap")
    rows = data.figures["subscriptions"]
    assert len(rows) == 11
    scale = TimeScale(data.first_ns or 0, data.last_ns or 0, CLOCK)
    html = lanes.subscription_lanes(rows, scale)
    assert html.count('class="lane"') == 11
    assert "HK.00700 ORDER_BOOK · 4 pushes" in html
    quiet = {
        **rows[0],
        "symbol": "US.QUIET",
        "first_push_ms": None,
        "last_push": None,
        "longest_silence_s": None,
        "pushes": 0,
    }
    html = lanes.subscription_lanes([*rows * 2, quiet], scale)
    assert html.count('class="lane"') == 20
    assert "US.QUIET" in html
    assert "no push at all" in html
    assert "The 20 with the longest silences are drawn" in html
