"""Properties of fields, against the vendor's descriptors and hand-picked ones."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.schema import message_class
from decoder.schema.fields import Field, fields_by_name, fields_of, split_bits

C2S = message_class("Trd_PlaceOrder.C2S").DESCRIPTOR


def field(message: str, name: str) -> Field:
    return fields_by_name(message_class(message).DESCRIPTOR)[name]


def test_fields_come_in_the_order_of_their_numbers(vendor: Any) -> None:
    ours = [each.name for each in fields_of(C2S)]
    theirs = sorted(vendor.messages["Trd_PlaceOrder.C2S"].fields, key=lambda each: each.number)
    assert ours[: len(theirs)] == [each.name for each in theirs]
    assert fields_of(C2S) is fields_of(C2S)


@pytest.mark.parametrize(
    ("message", "name", "kind"),
    [
        ("Trd_PlaceOrder.C2S", "header", "message"),
        ("Trd_PlaceOrder.C2S", "orderType", "enum"),
        ("Trd_PlaceOrder.C2S", "code", "string"),
        ("Trd_PlaceOrder.C2S", "qty", "double"),
        ("Trd_UnlockTrade.C2S", "unlock", "bool"),
        ("Qot_RequestHistoryKL.C2S", "needKLFieldsFlag", "bits"),
        ("Qot_RequestHistoryKL.S2C", "nextReqKey", "bytes"),
        ("InitConnect.S2C", "connID", "int"),
    ],
)
def test_the_kind_of_a_field(message: str, name: str, kind: str) -> None:
    assert field(message, name).kind == kind


def test_secrets_and_lists_are_marked() -> None:
    assert field("InitConnect.S2C", "connAESKey").secret
    assert not field("InitConnect.S2C", "connID").secret
    assert field("Qot_Sub.C2S", "securityList").repeated
    assert not field("Qot_Sub.C2S", "isSubOrUnSub").repeated


def test_integers_have_the_bounds_of_their_type() -> None:
    """For every integer field of the schema: its bounds serialise, one more does not."""
    wrong, checked = [], set()
    for name in ("InitConnect.C2S", "InitConnect.S2C", "KeepAlive.C2S", "Trd_Common.Order", "Qot_Common.BasicQot"):
        cls = message_class(name)
        for each in fields_of(cls.DESCRIPTOR):
            if each.kind not in ("int", "enum") or each.repeated:
                continue
            checked.add((each.low, each.high))
            for value, fits in ((each.low, True), (each.high, True), (each.low - 1, False), (each.high + 1, False)):
                try:
                    setattr(cls(), each.name, value)
                except ValueError:
                    taken = False
                else:
                    taken = True
                if taken is not fits:
                    wrong.append((name, each.name, value))
    assert wrong == []
    assert (-(2**63), 2**63 - 1) in checked
    assert (0, 2**64 - 1) in checked


def test_only_64_bits_are_wide() -> None:
    assert field("InitConnect.S2C", "connID").wide
    assert not field("InitConnect.S2C", "keepAliveInterval").wide


def test_both_spellings_of_a_name_are_known() -> None:
    names = fields_by_name(message_class("UsedQuota.S2C").DESCRIPTOR)
    assert names["usedSubQuota"].descriptor.number == 1
    for name, each in names.items():
        assert name in (each.name, each.descriptor.json_name)


def test_the_type_of_a_submessage() -> None:
    assert field("Trd_PlaceOrder.C2S", "header").message_type.full_name == "Trd_Common.TrdHeader"


@pytest.mark.parametrize(
    ("value", "found"), [(0, ([], 0)), (5, (["A", "C"], 0)), (8 | 2, (["B"], 8)), (-1 & 0xFF, (["A", "B", "C"], 0xF8))]
)
def test_bits_with_a_name_and_the_rest(value: int, found: tuple[list[str], int]) -> None:
    assert split_bits(value, {1: "A", 2: "B", 4: "C"}) == found
