"""Our schema against the facts of older releases, so that an old capture decodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor

from decoder.errors import SchemaError
from decoder.schema import enum_descriptor, enum_numbers, message_class
from decoder.schema.annotations import label
from tests.tools.schema_merge import Merge
from tests.tools.schema_model import SCALARS
from tests.tools.schema_snapshot import read_snapshot, write_snapshot
from tests.tools.vendor_schema import read_release

FOLDER = Path(__file__).resolve().parents[1] / "data" / "schema"
SNAPSHOTS = sorted(FOLDER.glob("*.tsv"))

RENAMED_FIELDS = {
    ("TestCmd.C2S", "params"): "paramStr",
    ("TestCmd.S2C", "result"): "resultStr",
    ("UsedQuota.S2C", "used_sub_quota"): "usedSubQuota",
    ("UsedQuota.S2C", "used_kline_quota"): "usedKLineQuota",
    **{
        (f"Qot_StockFilter.{what}", "field"): "fieldName"
        for what in ("BaseFilter", "AccumulateFilter", "FinancialFilter", "BaseData", "AccumulateData", "FinancialData")
    },
}
RELAXED = {("TestCmd.S2C", "result")}  # required up to 10.6, optional since
MOVED = {
    "Qot_GetRehab.Rehab": "Qot_Common.Rehab",
    "Qot_GetRehab.CompanyAct": "Qot_Common.CompanyAct",
    "Qot_UpdatePriceReminder.MarketStatus": "Qot_Common.PriceReminderMarketStatus",
}
MOVED_PREFIX = {
    "Qot_GetRehab.CompanyAct": ("CompanyAct_", "CompanyAct_"),
    "Qot_UpdatePriceReminder.MarketStatus": ("MarketStatus_", "PriceReminderMarketStatus_"),
}
RENUMBERED = {("Qot_Common.SecurityType", "SecurityType_Crypto", 14)}  # 10.3 and 10.4; 12 since

Row = tuple[str, str, list[str]]  # "message" or "enum", full name, cells


def rows(path: Path) -> Iterator[Row]:
    heading = ("", "")
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) == 1:
            kind, name = line.split(" ")
            heading = (kind, name)
            yield kind, name, []
        else:
            yield (*heading, cells)


def find(name: str) -> Descriptor:
    return message_class(MOVED.get(name, name)).DESCRIPTOR  # type: ignore[return-value]


def test_there_are_snapshots_of_releases_from_2018_to_2026() -> None:
    names = [path.stem for path in SNAPSHOTS]
    assert {"futu-api-3.6.3", "futu-api-9.0.5008", "futu-api-10.4.6408"} < set(names)


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: path.stem)
def test_every_message_field_and_value_of_an_older_release_is_there(path: Path) -> None:
    differences, checked = [], 0
    for kind, name, cells in rows(path):
        checked += 1
        try:
            found = enum_difference(name, cells) if kind == "enum" else field_difference(name, cells)
        except SchemaError as error:
            found = str(error)
        if found:
            differences.append(f"{name} {cells}: {found}")
    assert differences == []
    assert checked > 100


def field_difference(name: str, cells: list[str]) -> str:
    message = find(name)
    if not cells:
        return ""
    number, field_name, type_name, how = cells
    field = message.fields_by_number.get(int(number))
    if field is None:
        return "no such field"
    if field.name != RENAMED_FIELDS.get((name, field_name), field_name):
        return f"is {field.name}"
    if label(field) != how and (name, field_name) not in RELAXED:
        return f"is {label(field)}"
    declared = field.message_type or field.enum_type
    if type_name == "int32" and field.enum_type is not None:
        return ""
    if declared is None:
        return "" if SCALARS[field.type] == type_name else f"is {SCALARS[field.type]}"
    wanted = type_name.removeprefix("enum ")
    return "" if declared.full_name == MOVED.get(wanted, wanted) else f"is {declared.full_name}"


def enum_difference(name: str, cells: list[str]) -> str:
    enum = enum_descriptor(MOVED.get(name, name))
    if not cells:
        return ""
    number, value_name = int(cells[0]), cells[1]
    if (name, value_name, number) in RENUMBERED:
        return ""
    old, new = MOVED_PREFIX.get(name, ("", ""))
    value_name = new + value_name.removeprefix(old)
    found = enum_numbers(enum).get(value_name)
    return "" if found == number else f"{value_name} is {found}"


def test_a_snapshot_read_back_is_the_schema_it_was_written_from(tmp_path: Path, vendor: Any) -> None:
    schema = read_release(vendor.folder)
    path = tmp_path / "snapshot.tsv"
    path.write_text(write_snapshot(schema, "futu-api"), "utf-8")
    again = read_snapshot(path)
    assert write_snapshot(again, "futu-api") == path.read_text("utf-8")
    assert Merge(again, schema).run() == []
