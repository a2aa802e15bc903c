"""Columns follow from the fields of a row type, and rows are found wherever a body carries such a type."""

from __future__ import annotations

from decoder import schema
from decoder.output.table_columns import context_entries, row_entries, sources
from decoder.schema.fields import fields_by_name


def test_rows_of_one_type_are_found_in_answers_and_pushes() -> None:
    """3010 and 3011 are Qot_GetTicker and Qot_UpdateTicker in the vendor's list of protocols."""
    found = {source.proto_id: source for source in sources() if source.proto_id in (3010, 3011)}
    assert {source.table for source in found.values()} == {found[3010].table}
    assert set(found) == {3010, 3011}
    assert [step.name for step in found[3011].steps] == ["tickerList"]


def test_lists_of_a_book_have_their_side() -> None:
    """3013 is Qot_UpdateOrderBook."""
    sides = {source.steps[-1].name: source.side for source in sources() if source.proto_id == 3013}
    assert sides == {"orderBookAskList": "ask", "orderBookBidList": "bid"}


def test_a_field_becomes_a_column_of_its_type_that_names_its_source() -> None:
    columns = {column.source: column for entry in row_entries("Qot_Common.Ticker") for column in entry.columns}
    assert columns["Qot_Common.Ticker.price"][:2] == ("price", "double")
    assert columns["Qot_Common.Ticker.volume"].type == "int64"
    assert columns["Qot_Common.Ticker.timestamp"].type == "time"


def test_the_context_has_the_fields_of_its_side_alone_and_not_the_rows() -> None:
    body = schema.body_class(3013, "s2c")
    assert body is not None
    part = fields_by_name(body.DESCRIPTOR)["s2c"].message_type
    step = fields_by_name(part)["orderBookBidList"]
    fields = {entry.field.name for entry in context_entries(part, step, "bid")}
    assert "svrRecvTimeBid" in fields
    assert not {"svrRecvTimeAsk", "orderBookBidList", "orderBookAskList"} & fields
