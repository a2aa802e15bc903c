"""Plans say where the rows of a body stand; a book of one row each pairs both sides.

The protocols: 1004 KeepAlive, 3011 Qot_UpdateTicker, 3013 Qot_UpdateOrderBook, 3103 Qot_RequestHistoryKL.
"""

from __future__ import annotations

from typing import Any

import pytest

from decoder import schema
from decoder.output.table_bodies import Bodies, row_reader
from decoder.output.table_rows import Batch, ColumnReaders
from decoder.output.table_schema import all_tables


def _bodies(*, wide: bool = False) -> Bodies:
    return Bodies(all_tables(wide=wide), ColumnReaders(show_secrets=False))


def _book() -> Any:
    cls = schema.body_class(3013, "s2c")
    assert cls is not None
    part: Any = cls().s2c  # type: ignore[attr-defined]
    for price in (9.0, 8.0):
        part.orderBookBidList.add(price=price)
    part.orderBookAskList.add(price=10.0)
    return part


def test_a_body_without_rows_has_no_plan() -> None:
    assert _bodies().plan(1004, "s2c") is None


def test_a_list_of_rows_is_found_with_what_is_around_it() -> None:
    plan = _bodies().plan(3011, "s2c")
    assert plan is not None
    assert plan.owns_body
    (place,) = plan.places
    assert (place.step, place.part, place.body) == ("tickerList", "s2c", "Qot_UpdateTicker.Response")


@pytest.mark.parametrize(("side", "prices"), [("bid", [9.0, 8.0]), ("ask", [10.0])])
def test_each_side_of_a_book_is_a_place(side: str, prices: list[float]) -> None:
    plan = _bodies().plan(3013, "s2c")
    assert plan is not None
    (place,) = [place for place in plan.places if place.side == side]
    ((_, items),) = place.find(_book())
    assert [item.price for item in items] == prices


def test_a_wide_book_is_one_row_of_both_sides() -> None:
    plan = _bodies(wide=True).plan(3013, "s2c")
    assert plan is not None
    (place,) = plan.places
    ((_, ((bids, asks),)),) = place.find(_book())
    assert ([item.price for item in bids], [item.price for item in asks]) == ([9.0, 8.0], [10.0])


def test_a_response_is_lent_the_type_of_k_line_that_was_asked_for() -> None:
    tables = all_tables()
    plan = _bodies().plan(3103, "s2c")
    assert plan is not None
    lent = _bodies().lent([plan.table])
    assert "klType" in {field for _, field in lent[3103]}
    assert 3103 not in _bodies().lent(set(tables) - {plan.table})


def test_a_wide_row_counts_the_levels_and_leaves_those_that_lack_empty() -> None:
    part = _book()
    books = [(part.orderBookBidList, part.orderBookAskList)]
    read = row_reader(all_tables(wide=True)["order_book"], "Qot_Common.OrderBook", ColumnReaders(show_secrets=False))
    row = [cells[0] for cells in read(Batch(1, lambda: books), set())]
    assert row[:2] == [2, 1]
    assert [cell for cell in row[2:] if cell in (8.0, 9.0, 10.0)] == [9.0, 10.0, 8.0]
    assert row[-1] is None
