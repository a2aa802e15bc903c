"""The recipes of docs/analysis.md, run as they stand there, against plain Python on the JSON Lines of the capture."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

import decoder
from decoder import Message
from tests.support.command import PLAIN, opendump

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "analysis.md").read_text("utf-8")
SQL = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
PYTHON = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "day/" in block]
Record = dict[str, Any]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return [item.record() for item in decoder.read(PLAIN) if isinstance(item, Message)]


@pytest.fixture
def _day(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("analysis")
    assert opendump("export", PLAIN, "-o", folder / "day").code == 0
    monkeypatch.chdir(folder)


def parts(records: list[Record], *ids: int) -> Iterator[tuple[Record, Record]]:
    """The records of these protocols with their s2c."""
    for record in records:
        if record["proto_id"] in ids and record["body"] and "s2c" in record["body"]:
            yield record, record["body"]["s2c"]


def code(s2c: Record) -> str:
    return f"{s2c['security']['market']}.{s2c['security']['code']}"


def ticks(records: list[Record]) -> Iterator[tuple[Record, str, Record]]:
    for record, s2c in parts(records, 3010, 3011):
        for tick in s2c.get("tickerList", []):
            yield record, code(s2c), tick


def near(found: Any, wanted: Any) -> None:
    assert len(found) == len(wanted)
    for row, other in zip(found, wanted, strict=True):
        for cell, value in zip(row, other, strict=True):
            assert cell == value or math.isclose(cell, value, rel_tol=1e-12), (row, other)


@pytest.mark.usefixtures("_day")
def test_volume_weighted_price(records: list[Record]) -> None:
    once = {(name, tick["sequence"]): tick for _, name, tick in ticks(records)}
    sums: dict[tuple[str, datetime], list[float]] = {}
    for (name, _), tick in once.items():
        moment = datetime(1970, 1, 1) + timedelta(seconds=tick["timestamp"])
        each = sums.setdefault((name, moment.replace(second=0, microsecond=0)), [0.0, 0.0])
        volume = tick.get("hpVolume", float(tick["volume"]))
        each[0] += tick["price"] * volume
        each[1] += volume
    wanted = sorted((*key, total / volume, volume) for key, (total, volume) in sums.items())
    found = duckdb.execute(SQL[0]).fetchall()
    assert len(found) >= 2
    near(found, wanted)


@pytest.mark.usefixtures("_day")
def test_orders_with_their_fills(records: list[Record]) -> None:
    orders: dict[int, Record] = {}
    for _, s2c in parts(records, 2201, 2208, 2221):
        for order in s2c.get("orderList", []) + ([s2c["order"]] if "order" in s2c else []):
            orders[int(order["orderID"])] = order
    fills: dict[tuple[int, str], Record] = {}
    for _, s2c in parts(records, 2211, 2218, 2222):
        for fill in s2c.get("orderFillList", []) + ([s2c["orderFill"]] if "orderFill" in s2c else []):
            fills[int(fill["orderID"]), fill["fillID"]] = fill
    wanted = []
    for number, order in sorted(orders.items()):
        mine = [fill for (owner, _), fill in fills.items() if owner == number]
        qty = sum(fill["qty"] for fill in mine)
        price = sum(fill["qty"] * fill["price"] for fill in mine) / qty if mine else None
        name = f"{order['secMarket']}.{order['code']}"
        cells = (order["trdSide"], order["orderStatus"], order["qty"], order.get("fillQty"))
        wanted.append((number, name, *cells, len(mine), price))
    found = duckdb.execute(SQL[1]).fetchall()
    assert any(row[6] for row in found)
    near(found, wanted)


@pytest.mark.usefixtures("_day")
def test_lateness(records: list[Record]) -> None:
    late: dict[str, list[float]] = {}
    for record, name, tick in ticks(records):
        if record["kind"] == "push" and tick["pushDataType"] == "REALTIME":
            second, _, fraction = record["time"].removesuffix("Z").partition(".")
            moment = int((datetime.fromisoformat(second) - datetime(1970, 1, 1)).total_seconds()) * 10**9
            received = round(tick["recvTime"] * 1e6) * 1000
            late.setdefault(name, []).append((moment + int(fraction) - received) / 1e6)
    found = duckdb.execute(SQL[2]).fetchall()
    assert [(row[0], row[1]) for row in found] == sorted((name, len(values)) for name, values in late.items())
    for name, count, quantiles in found:
        values = sorted(late[name])
        for share, value in zip((0.5, 0.9, 0.99), quantiles, strict=True):
            assert math.isclose(value, values[math.ceil(share * count) - 1], rel_tol=1e-9)


@pytest.mark.usefixtures("_day")
def test_requests(records: list[Record]) -> None:
    answers = {record["request"]: record for record in records if record["request"] is not None}
    rows: dict[str, list[Any]] = {}
    for record in records:
        if record["kind"] == "request":
            row = rows.setdefault(record["proto"], [0, 0, None, 0])
            row[0] += 1
            answer = answers.get(record["number"])
            if answer is not None:
                row[1] += 1
                row[2] = max(row[2] or 0, answer["latency_ms"])
                row[3] += answer["ret_type"] != "RET_OK"
    near(duckdb.execute(SQL[3]).fetchall(), sorted((proto, *row) for proto, row in rows.items()))


@pytest.mark.usefixtures("_day")
def test_spread_with_pandas(records: list[Record]) -> None:
    scope: dict[str, Any] = {}
    exec(PYTHON[0], scope)
    spreads: dict[str, list[float]] = {}
    for _, s2c in parts(records, 3013):
        best = [s2c.get(f"orderBook{side}List", [{}])[0].get("price") for side in ("Ask", "Bid")]
        if None not in best:
            spreads.setdefault(code(s2c), []).append(best[0] - best[1])
    found = scope["spread"].to_dict()
    near(sorted(found.items()), sorted((name, sum(each) / len(each)) for name, each in spreads.items()))


@pytest.mark.usefixtures("_day")
def test_bars_with_polars(records: list[Record]) -> None:
    scope: dict[str, Any] = {}
    exec(PYTHON[1], scope)
    requests = {record["number"]: record["body"]["c2s"] for record in records if record["kind"] == "request"}
    bars: dict[tuple[str, ...], list[Any]] = {}
    for record, s2c in parts(records, 3006, 3007, 3103):
        asked = s2c if record["proto_id"] == 3007 else requests[record["request"]]
        for bar in s2c.get("klList", []):
            if not bar["isBlank"]:
                key = (code(s2c), asked["klType"], asked["rehabType"], bar["time"])
                told = bars.setdefault(key, [None, None, 0])
                told[:2] = bar.get("closePrice"), bar.get("hpVolume", float(bar["volume"]))
                told[2] += 1
    frame: pl.DataFrame = scope["bars"]
    found = sorted(frame.rows())
    assert len(found) > 20
    near(found, sorted((*key, *told) for key, told in bars.items()))


@pytest.mark.usefixtures("_day")
def test_every_file_opens_everywhere() -> None:
    import pandas as pd

    for path in sorted(Path("day").iterdir()):
        rows = duckdb.execute(f"select count(*) from '{path}'").fetchall()[0][0]
        assert len(pd.read_parquet(path)) == pl.read_parquet(path).height == rows


@pytest.mark.usefixtures("_day")
def test_what_the_page_shows_is_what_comes_out() -> None:
    shown = re.search(r"```sql\n.*?```text\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    rows = duckdb.execute(SQL[0]).fetchall()
    assert [re.split(r" {2,}", line) for line in shown[1].splitlines()] == [list(map(str, row)) for row in rows]
