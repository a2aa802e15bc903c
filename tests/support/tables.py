"""The tables of messages, and what they should hold according to the records of JSON Lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from decoder import Gap, Message
from decoder.conversation.summary import Summary
from decoder.output.table_blocks import Block
from decoder.output.table_columns import Column, Source, Table, sources
from decoder.output.table_schema import all_tables
from decoder.output.tables import Tables

Rows = dict[str, list[dict[str, Any]]]
ZONES = {"HK": "Asia/Hong_Kong", "US": "America/New_York", "SH": "Asia/Shanghai", "SZ": "Asia/Shanghai"}
ZONES["CC"] = ZONES["US"]
TRADE_MARKETS = {"CN_SH": "SH", "CN_SZ": "SZ", "Unknown": None}


def collect(items: Iterable[Message | Gap], *, wide: bool = False, **options: Any) -> Rows:
    """The rows of all tables, each as a dict."""
    tables = all_tables(wide=wide)
    rows: Rows = {name: [] for name in tables}

    def write(table: Table, block: Block) -> None:
        columns = [block.column(column.name) for column in table.columns]
        names = [column.name for column in table.columns]
        rows[table.name] += [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    collector = Tables(tables, write, **options)
    collector.add(list(items))
    collector.finish(Summary())
    return rows


def rows_of(record: dict[str, Any], request: dict[str, Any] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows, with the name of the table, that a record as JSON Lines has it should become."""
    for source in sources():
        if (source.proto_id, source.direction) == (record["proto_id"], record["direction"]):
            part = (record["body"] or {}).get(source.direction)
            if part is not None:
                yield from _rows(source, part, (), [], request)


def _rows(
    source: Source, part: dict[str, Any], place: tuple[str, ...], around: list[dict[str, Any]], request: Any
) -> Iterator[tuple[str, dict[str, Any]]]:
    step = source.steps[len(place)]
    found = part.get(step.name, [])
    items = found if step.repeated else [found] if step.name in part else []
    for number, item in enumerate(items):
        if len(place) < len(source.steps) - 1:
            yield from _rows(source, item, (*place, step.name), [*around, part], request)
        else:
            yield source.table, _row(source, item, number, [*around, part], request)


def _row(source: Source, item: dict[str, Any], number: int, around: list[dict[str, Any]], request: Any) -> Any:
    table = all_tables()[source.table]
    side = source.side
    row_type = source.steps[-1].message_type.full_name
    row: dict[str, Any] = {"item": number}
    if side:
        row["side"] = side
    for column in table.context:
        name = (
            column.source.partition("2S.")[2] or column.source.partition("S2C.")[2] or column.source.rpartition(".")[2]
        )
        if side:
            name = name.replace("Bid", side.capitalize()).replace("Ask", side.capitalize())
        values = [value for each in around if (value := _value(column, name, each)) is not None]
        row[column.name] = values[0] if values else None
        if row[column.name] is None and column.name in ("k_type", "rehab_type") and request:
            row[column.name] = _value(column, name, request)
    for column in table.cells:
        value = _value(column, column.source.removeprefix(f"{row_type}."), item)
        if row.get(column.name) is None:
            row[column.name] = value
    code = row.get("code")
    for column in table.columns:
        if column.name.endswith("_utc"):
            text = row.get(column.name.removesuffix("_utc"))
            if column.name == "update_time_utc" and "data_date" in row:
                text = f"{row['data_date']} {row['data_time']}"
            row[column.name] = market_time(text, code)
    if "level" in {column.name for column in table.columns}:
        row["level"] = number + 1
    return row


def _value(column: Column, source: str, item: dict[str, Any]) -> Any:
    """The cell of a column whose source, relative to `item`, is `source`."""
    if source.endswith(" is there"):
        return _at(source.removesuffix(" is there"), item) is not None
    if ", else " in source:
        first, _, other = source.partition(", else ")
        value = _at(first, item)
        return _cell(column, _at(f"{first.rpartition('.')[0]}.{other}".lstrip("."), item) if value is None else value)
    if source == "secMarket and code":
        market = TRADE_MARKETS.get(str(item.get("secMarket")), item.get("secMarket"))
        return item["code"] if market is None else f"{market}.{item['code']}"
    if source.endswith(" (date)"):
        return item["updateTime"].partition(" ")[0]
    if source.endswith(" (time)"):
        return item["updateTime"].partition(" ")[2] if " " in item["updateTime"] else None
    value = _at(source, item)
    if isinstance(value, dict):  # a security
        return f"{value['market']}.{value['code']}"
    cell = _cell(column, value)
    return 100 * cell if cell is not None and source in ("plRatio", "averagePlRatio") else cell


def _at(path: str, item: Any) -> Any:
    for name in path.split("."):
        if not isinstance(item, dict) or name not in item:
            return None
        item = item[name]
    return item


def _cell(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.type in ("double", "time"):
        number = float(value)
        if column.type == "double":
            return number
        return None if not -9.2e9 < number < 9.2e9 else Seconds(number)
    if column.type in ("int32", "int64", "uint32", "uint64"):
        return int(value)
    if column.type == "json":
        return Json(value) if value else None
    return str(value) if column.type == "enum" else value


class Seconds(float):
    """Seconds that a cell says in nanoseconds, to the microsecond."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and other % 1000 == 0 and abs(other / 1e9 - float(self)) < 1.1e-6

    __hash__ = None  # type: ignore[assignment]


class Json:
    """A value that a cell says as JSON."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and json.loads(other) == self.value

    def __repr__(self) -> str:
        return json.dumps(self.value)

    __hash__ = None  # type: ignore[assignment]


def market_time(text: str | None, code: str | None) -> int | None:
    """A market's time in nanoseconds, worked out with the standard library."""
    zone = ZONES.get((code or "").partition(".")[0])
    if text is None or zone is None:
        return None
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"):
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=ZoneInfo(zone))
        except (ValueError, OverflowError):
            continue
        return int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000
    return None


def same(cell: Any, wanted: Any) -> bool:
    """Whether a cell holds what it should; not a number is the same as not a number."""
    if isinstance(cell, float) and isinstance(wanted, float) and math.isnan(cell) and math.isnan(wanted):
        return True
    return bool(wanted == cell) and (cell is None) == (wanted is None)
