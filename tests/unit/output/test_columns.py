"""Columns and rows: lists element by element, gaps, leading fields; against what the two ends logged."""

from __future__ import annotations

import csv
import io
import json
from functools import cache
from typing import Any

import pytest

import decoder
from decoder import Gap, Message, SchemaError
from decoder.output.columns import LEADING, Columns
from decoder.output.csv import CsvOutput
from tests.support.command import PLAIN as CAPTURE
from tests.support.command import opendump
from tests.support.exchange import Exchange, decode, frame, keep_alive, vendor
from tests.support.recorded import Recording

PLAIN = Recording("plain.pcap")


@cache
def items() -> list[Message | Gap]:
    return list(decoder.read(PLAIN.path))


def rows(*columns: str, explode: bool = False) -> list[list[Any]]:
    return list(Columns(columns, "number", explode=explode).rows(items()))


def by_sha1(expected: Any) -> list[list[Any]]:
    """Rows of what was logged, in the order of the messages."""
    bodies = {entry["sha1"]: entry["body"] for entry in PLAIN.expected}
    return [row for item in items() for row in expected(item.sha1, bodies[item.sha1])]  # type: ignore[union-attr]


def test_fields_of_one_list_stand_side_by_side() -> None:
    def expected(sha1: str, body: Any) -> list[list[Any]]:
        quotes = body.get("s2c", {}).get("basicQotList", [])
        return [[sha1, q["security"]["code"], q["curPrice"]] for q in quotes] or [[sha1, None, None]]

    path = "body.s2c.basicQotList"
    assert rows("sha1", f"{path}.security.code", f"{path}.curPrice") == by_sha1(expected)
    assert any(len(e["body"].get("s2c", {}).get("basicQotList", [])) > 1 for e in PLAIN.expected)


def test_one_path_through_a_list_is_one_row_unless_exploded() -> None:
    path = "body.s2c.basicQotList.security.code"

    def joined(sha1: str, body: Any) -> list[list[Any]]:
        codes = [quote["security"]["code"] for quote in body.get("s2c", {}).get("basicQotList", [])]
        return [[sha1, codes[0] if len(codes) == 1 else codes or None]]

    def exploded(sha1: str, body: Any) -> list[list[Any]]:
        codes = [quote["security"]["code"] for quote in body.get("s2c", {}).get("basicQotList", [])]
        return [[sha1, code] for code in codes or [None]]

    assert rows("sha1", path) == by_sha1(joined)
    assert rows("sha1", path, explode=True) == by_sha1(exploded)


def test_lists_of_numbers_can_be_exploded() -> None:
    def expected(sha1: str, body: Any) -> list[list[Any]]:
        return [[sha1, each] for each in body.get("c2s", {}).get("subTypeList", []) or [None]]

    assert rows("sha1", "body.c2s.subTypeList", explode=True) == by_sha1(expected)


def test_lists_in_lists() -> None:
    """An outer element repeats beside each inner one, and stays where it has none."""
    response = vendor("Trd_GetOrderFee").Response(retType=0)
    header = response.s2c.header
    header.trdEnv, header.accID, header.trdMarket = 1, 7, 1
    for order, fees in (("A", ("tax", "fee")), ("B", ()), ("C", ("fee",))):
        one = response.s2c.orderFeeList.add(orderIDEx=order, feeAmount=1.5)
        for title in fees:
            one.feeList.add(title=title, value=len(title))
    found, _, _ = decode(Exchange().s2c(frame(2225, response.SerializeToString(), serial_no=1)))
    path = "body.s2c.orderFeeList"
    columns = Columns(["serial_no", f"{path}.orderIDEx", f"{path}.feeList.title"])
    assert list(columns.rows(found)) == [[1, "A", "tax"], [1, "A", "fee"], [1, "B", None], [1, "C", "fee"]]


@pytest.mark.parametrize(
    "columns",
    [
        ["body.c2s.securityList.code", "body.c2s.subTypeList"],
        ["body.s2c.orderBookBidList.price", "body.s2c.orderBookAskList.price"],
        ["body.s2c.security.code", "body.s2c.orderBookBidList.price", "body.s2c.orderBookAskList.price"],
    ],
)
def test_two_lists_with_nothing_in_common_are_refused(columns: list[str]) -> None:
    with pytest.raises(SchemaError, match="one at a time"):
        Columns(columns)


def test_lists_of_different_messages_go_together() -> None:
    """A request and a response are never in one row."""
    for row in rows("kind", "body.c2s.securityList.code", "body.s2c.basicQotList.curPrice"):
        assert row[1] is None or row[2] is None


def test_explode_without_a_list_is_refused() -> None:
    with pytest.raises(SchemaError, match="--explode"):
        Columns(["number", "body.c2s.code"], explode=True)


def test_leading_fields_are_those_of_the_body() -> None:
    for row, item in zip(rows("sha1", "orderID", "qty", "retMsg", "accID"), items(), strict=True):
        body = next(entry["body"] for entry in PLAIN.expected if entry["sha1"] == row[0])
        assert isinstance(item, Message)
        part = body.get("c2s") or body.get("s2c") or {}
        order = part.get("order") or part.get("orderFill") or part
        assert row[3] == body.get("retMsg")
        if item.proto in ("Trd_UpdateOrder", "Trd_PlaceOrder", "Trd_ModifyOrder", "Trd_UpdateOrderFill"):
            order_id, qty = order.get("orderID"), order.get("qty")
            assert row[1] == (None if order_id is None else str(order_id))
            assert row[2] == qty
            assert row[4] == (str(part["header"]["accID"]) if "header" in part else None)


def test_a_leading_field_of_several_elements_is_left_empty() -> None:
    """Else lists of different lengths would stand side by side."""
    for row, item in zip(rows("symbol", "curPrice"), items(), strict=True):
        assert isinstance(item, Message)
        quotes = ((item.body or {}).get("s2c") or {}).get("basicQotList") or []
        if len(quotes) > 1:
            assert row[1] is None
            assert len(row[0]) == len(quotes)


def test_gaps_are_rows() -> None:
    exchange = Exchange().c2s(frame(1004, keep_alive(), serial_no=1)).lose("c2s", 500)
    messages, gaps, _ = decode(exchange.c2s(frame(1004, keep_alive(), serial_no=2)).fin())
    everything: list[Message | Gap] = [messages[0], *gaps, *messages[1:]]
    text = CsvOutput().render(everything)
    found = list(csv.DictReader(io.StringIO(text)))
    assert [row["kind"] for row in found] == ["request", "gap", "request"]
    gap = found[1]
    assert (gap["bytes"], gap["reason"], gap["direction"], gap["connection"]) == ("500", "lost", "c2s", "0")
    assert gap["time"] == gaps[0].time
    assert gap["src"] == messages[0].src
    assert (gap["number"], gap["symbol"]) == ("", "")
    assert len(list(Columns(["number"]).rows(everything))) == 2


def test_every_leading_field_exists_in_the_schema() -> None:
    from decoder import schema
    from decoder.output.columns import _find

    roots = [
        schema.message_class(name).DESCRIPTOR
        for known in schema.protocols()
        for name in (known.request, known.response)
        if name
    ]
    for name in LEADING[1:]:
        assert any(_find(root, name) for root in roots), name


# The command


def test_fields_as_json_lines() -> None:
    found = opendump("decode", CAPTURE, "--format", "jsonl", "-e", "number,symbol", "-e", "body.c2s.qty,body")
    whole = opendump("decode", CAPTURE, "--format", "jsonl")
    for line, full in zip(found.lines, whole.lines, strict=True):
        entry, record = json.loads(line), json.loads(full)
        assert list(entry) == ["number", "symbol", "body.c2s.qty", "body"]
        assert entry["number"] == record["number"]
        assert entry["body"] == record["body"]
        assert entry["body.c2s.qty"] == (record["body"].get("c2s") or {}).get("qty")


def test_a_list_of_fields_in_one_option() -> None:
    one = opendump("decode", CAPTURE, "--format", "csv", "-e", "time,symbol , qty")
    several = opendump("decode", CAPTURE, "--format", "csv", "-e", "time", "-e", "symbol", "-e", "qty")
    assert one.lines[0] == "time,symbol,qty"
    assert one.out == several.out


def test_exploded_on_the_command_line() -> None:
    path = "body.s2c.basicQotList"
    both = opendump(
        "decode", CAPTURE, "--format", "csv", "-e", f"{path}.security.code,{path}.curPrice", "--where", f"{path}!=null"
    )
    assert all(line.count(",") == 1 and ";" not in line for line in both.lines)
    jsonl = opendump(
        "decode", CAPTURE, "--format", "jsonl", "-e", f"{path}.security.code", "--explode", "--where", f"{path}!=null"
    )
    assert [json.loads(line)[f"{path}.security.code"] for line in jsonl.lines] == [
        line.split(",")[0] for line in both.lines[1:]
    ]
    refused = opendump("decode", CAPTURE, "--format", "csv", "-e", "body.c2s.securityList.code,body.c2s.subTypeList")
    assert (refused.code, refused.out) == (2, "")
    for alone in (["--explode"], ["--explode", "-V"], ["--explode", "--format", "csv"]):
        assert opendump("decode", CAPTURE, *alone).code == 2
