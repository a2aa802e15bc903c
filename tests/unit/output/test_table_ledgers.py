"""The tables of orders, connections, findings, subscriptions, rates and lateness: what their columns hold."""

from __future__ import annotations

import json
from typing import Any

from decoder.findings.order_rows import ORDER_KEYS
from decoder.output.table_ledgers import LEDGERS, ledger_row, ledger_tables
from decoder.statistics.statistics import TABLE_KEYS

TABLES = {table.name: table for table in ledger_tables()}


def row(name: str, **record: Any) -> dict[str, Any]:
    table = TABLES[name]
    full = {**{column.name: None for column in table.columns}, **record}
    cells = ledger_row(table, full, "gw1", {0: "00000000000000aa", 1: "00000000000000bb"}.get)
    return dict(zip([column.name for column in table.columns], cells, strict=True))


def test_a_column_for_each_key_after_the_host() -> None:
    assert tuple(TABLES) == LEDGERS
    for name, table in TABLES.items():
        keys = [*(ORDER_KEYS if name == "orders" else TABLE_KEYS[name])]
        assert [column.name for column in table.columns] == ["host", *(key for key in keys if key != "wireshark")], name


def test_connections_are_named_by_their_id() -> None:
    assert row("findings", connection=1)["connection"] == "00000000000000bb"
    assert row("findings", connection=7)["connection"] is None
    assert row("orders", connections=[1, 0])["connections"] == ["00000000000000bb", "00000000000000aa"]


def test_values_become_what_their_columns_hold() -> None:
    found = row("orders", order_id="77", qty="200", first_seen="2023-11-14T22:13:20.000000001Z", states=[{"a": 1}])
    assert (found["host"], found["order_id"], found["qty"]) == ("gw1", 77, 200.0)
    assert found["first_seen"] == 1_700_000_000_000_000_001
    assert json.loads(found["states"]) == [{"a": 1}]


def test_what_is_missing_stays_missing() -> None:
    assert {value for key, value in row("lateness").items() if key != "host"} == {None}
