"""Chosen columns as JSON Lines."""

from __future__ import annotations

import json

from decoder.message import Gap
from decoder.output.columns import Columns
from decoder.output.json_fields import JsonFieldsOutput
from tests.support.messages import Line
from tests.support.session import response


def rendered(columns: str, *items: object) -> list[dict[str, object]]:
    output = JsonFieldsOutput(Columns(columns.split(",")))
    return [json.loads(line) for line in output.render(items).splitlines()]  # type: ignore[arg-type]


def test_a_key_for_each_column_and_null_for_what_is_not_there() -> None:
    line = Line()
    rows = rendered("number,body.s2c.type,conn_id", line.push(1003, response("Notify", type=1)), line.push(1003, None))
    assert [list(row) for row in rows] == [["number", "body.s2c.type", "conn_id"]] * 2
    assert [row["number"] for row in rows] == [1, 2]
    assert rows[1]["body.s2c.type"] is None


def test_a_gap_has_its_own_keys() -> None:
    line = Line()
    (row,) = rendered("number,bytes,reason", Gap(line.flows["s2c"], 0, 100, "lost"))
    assert row == {"number": None, "bytes": 100, "reason": "lost"}


def test_texts_of_the_wire_are_escaped() -> None:
    output = JsonFieldsOutput(Columns(["body.retMsg"]))
    data = output.render([Line().push(1003, response("Notify", -1, "\x1b[2J\x9b\u2028"))])
    assert all(byte >= 32 or byte == 10 for byte in data)
    assert json.loads(data) == {"body.retMsg": "\x1b[2J\x9b\u2028"}
