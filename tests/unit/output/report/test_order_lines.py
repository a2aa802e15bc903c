"""The orders of the report."""

from __future__ import annotations

from decoder.output.report import order_lines
from decoder.output.report.axes import Clock
from decoder.output.report.tables import Tables
from tests.support.recorded import CAPTURES
from tests.support.reports import of_recording
from tests.unit.output.report.test_markup import Reader

CLOCK = Clock(utc=True)
NONE: frozenset[int] = frozenset()


def test_orders_say_what_became_of_them() -> None:
    data = of_recording(CAPTURES / "cbc.pcap")
    words = Reader(order_lines.orders(Tables(), data.orders, 3, frozenset({171}), CLOCK)).words
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
    html = order_lines.orders(Tables(), orders, 0, NONE, CLOCK)
    assert html.count('class="track"') == 40
    assert "30 more orders, without lines" in html
    assert html.count("<tr>") == 31
