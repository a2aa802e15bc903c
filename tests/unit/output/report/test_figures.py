"""The tables of figures."""

from __future__ import annotations

from decoder.output.report import figures
from decoder.output.report.axes import Clock
from decoder.output.report.tables import Tables
from tests.support.recorded import CAPTURES
from tests.support.reports import of_recording
from tests.unit.output.report.test_markup import Reader

CLOCK = Clock(utc=True)
NONE: frozenset[int] = frozenset()


def test_tables_of_connections_protocols_and_lateness() -> None:
    data = of_recording(CAPTURES / "cbc.pcap")
    words = Reader(figures.connections(Tables(), data.figures["connections"], CLOCK)).words
    assert "127.0.0.1:39714" in words
    assert "Python PyNormal 300" in words
    words = Reader(figures.protocols(Tables(), data.figures["protocols"])).words
    assert "Qot_GetOrderBook" in words
    assert "2.5 s" in words
    words = Reader(figures.lateness(Tables(), data)).words
    assert "exchange to OpenD" in words
    assert "250 ms" in words
    assert "The picture shows 40 of 40 pushes that carry a time" in words
    words = Reader(figures.subscriptions(Tables(), data.figures["subscriptions"], CLOCK)).words
    assert "ORDER_BOOK" in words
    assert "9.32 ms" in words
    limited = [row for row in data.figures["rates"] if row["share"] is not None]
    words = Reader(figures.rates(Tables(), limited, CLOCK)).words
    assert "Trd_PlaceOrder" in words
