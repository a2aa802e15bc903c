"""Names of tables and columns."""

from __future__ import annotations

import re

import pytest

from decoder.output.table_names import LEFT_OUT, NAMES, PERCENT, PIVOTS, PRESENCE, ROW_TYPES, snake_case
from decoder.schema import enum_descriptor, enum_names, message_class


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("orderIDEx", "order_id_ex"),
        ("curPrice", "cur_price"),
        ("peTTMRate", "pe_ttm_rate"),
        ("code", "code"),
        ("highest52WeeksPrice", "highest52_weeks_price"),
        ("isSubOrUnSub", "is_sub_or_un_sub"),
    ],
)
def test_a_field_without_a_name_of_its_own_is_in_snake_case(name: str, column: str) -> None:
    assert snake_case(name) == column


def test_every_named_field_is_one_of_its_type() -> None:
    unknown = [
        f"{table}.{name}"
        for names in (NAMES, PRESENCE)
        for table, fields in names.items()
        if table != "s2c"
        for name in fields
        if name not in message_class(table).DESCRIPTOR.fields_by_name
    ]
    assert unknown == []


def test_fields_that_are_named_in_full_are_there() -> None:
    missing = []
    for path in (*PERCENT, *LEFT_OUT, *PIVOTS):
        table, _, name = path.rpartition(".")
        if name not in message_class(table).DESCRIPTOR.fields_by_name:
            missing.append(path)
    assert missing == []


def test_columns_are_names_that_data_frames_take() -> None:
    odd = [
        name
        for fields in NAMES.values()
        for name in fields.values()
        if name and not re.fullmatch(r"=?[A-Za-z][A-Za-z0-9_]*", name)
    ]
    assert odd == []
    assert len(set(ROW_TYPES.values())) == len(ROW_TYPES)


def test_pivots_are_over_names_of_their_enum() -> None:
    currencies = set(enum_names(enum_descriptor("Trd_Common.Currency"), "sdk").values())
    markets = set(enum_names(enum_descriptor("Trd_Common.TrdMarket"), "sdk").values())
    assert set(PIVOTS["Trd_Common.Funds.cashInfoList"][1]) <= currencies
    assert set(PIVOTS["Trd_Common.Funds.marketInfoList"][1]) <= markets
