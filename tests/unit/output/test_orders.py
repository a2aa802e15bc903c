"""The order ledger as text, CSV and JSON Lines."""

from __future__ import annotations

import csv
import io
import json

from decoder.findings.order_rows import ORDER_KEYS, Change, Fill, Order, Placed, State
from decoder.formatting.table import plain_text
from decoder.output.orders import csv_rows, json_lines, order_table, story

START_NS = 1_700_000_000_123_000_000  # 2023-11-14 22:13:20.123 UTC
MS = 1_000_000


def order(order_id: str = "7", account: str = "1") -> Order:
    found = Order(account, "REAL", "HK", START_NS, START_NS + 5_000 * MS, order_id=order_id, symbol="HK.00700")
    found.side, found.qty, found.price = "BUY", 100.0, 400.2
    found.placed = Placed(START_NS, 1, 0, (5, 6), response=2, latency_ns=12 * MS, ret_type="RET_OK", accepted=True)
    found.first_push_ns = START_NS + 8 * MS
    for after, number, status, filled in ((8, 5, "SUBMITTED", 0.0), (2_500, 11, "FILLED_ALL", 100.0)):
        found.states.append(State(START_NS + after * MS, number, status, filled, 400.2, 100.0, 400.2, "push", 3))
    found.fills.append(Fill(START_NS + 2_400 * MS, "F1", 100.0, 400.2, None, 4, repeated=2))
    found.changes.append(
        Change(START_NS + 5, "CANCEL", None, None, 5, 0, response=6, ret_type="RET_ERROR", effect=False)
    )
    found.avg_price, found.messages = 400.2, [1, 2, 3, 4, 5, 6]
    return found


def test_the_table_has_a_row_for_each_order() -> None:
    heading, note, names, row = plain_text([order_table([order()], utc=True)]).splitlines()
    assert heading == "Orders: 1 (1 filled) of account 1 REAL"
    assert note.startswith("took: ")
    assert "account" not in names
    assert row.split("  ")[1] == "22:13:20.123Z"
    for part in ("BUY 100@400.2 HK.00700", "filled", "12 ms / 8 ms / 2.5 s", "SUBMITTED > FILLED_ALL"):
        assert part in row


def test_an_order_of_which_only_a_refused_change_is_known() -> None:
    found = Order("1", "REAL", "HK", START_NS, START_NS, order_id="7")
    for op, said in (("NORMAL", "no"), ("DELETE", "NN_ProtoRet_TimeOut")):
        found.changes.append(Change(START_NS, op, None, None, 1, 0, response=2, ret_type="RET_ERROR", ret_msg=said))
    row = plain_text([order_table([found], utc=True)]).splitlines()[-1]
    assert row.split()[1:4] == ["7", "-", "unknown"]
    assert row.endswith("  DELETE RET_ERROR: NN_ProtoRet_TimeOut")
    found.changes.append(Change(START_NS, "DELETE", None, None, 3, 0, response=4, ret_type="RET_OK", accepted=True))
    assert "RET_ERROR" not in plain_text([order_table([found], utc=True)])


def test_accounts_have_a_column_where_there_are_several() -> None:
    shown = plain_text([order_table([order(), order("8", "2")], utc=True)])
    assert shown.startswith("Orders: 2 (2 filled)\n")
    assert "1 REAL" in shown
    assert "2 REAL" in shown
    assert plain_text([order_table([], utc=True)]) == "Orders: none\n"


def test_the_story_tells_states_fills_and_changes() -> None:
    shown = plain_text(story(order(), ["a line", "another"], utc=True))
    for part in (
        "Order 7",
        "outcome     filled (FILLED_ALL)",
        "answer      RET_OK after 12 ms",
        "FILLED_ALL 100 filled",
        "sent again 2 times",
        "CANCEL",
        "RET_ERROR",
        "Messages (6)\n  a line\n  another\n",
    ):
        assert part in shown, part


def test_csv_and_json_hold_the_record() -> None:
    found = order()
    assert json.loads(json_lines([found])) == found.record()
    (row,) = csv.DictReader(io.StringIO(csv_rows([found])))
    assert list(row) == list(ORDER_KEYS)
    assert json.loads(row["states"]) == found.record()["states"]


def test_texts_of_the_wire_are_harmless() -> None:
    hostile = order("\x1b[2J")
    hostile.error = hostile.name = hostile.remark = "\x1b]0;x\x07\u202e" * 100
    hostile.symbol = "\x9b31m"
    for table in (order_table([hostile], utc=True), *story(hostile, [], utc=True)):
        assert all(line.isprintable() for line in plain_text([table]).splitlines())
    assert b"\x1b" not in json_lines([hostile])
