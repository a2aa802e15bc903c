"""Messages as plain data: against protobuf's own JSON mapping of the vendor's own classes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from random import Random
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from decoder import schema
from decoder.body.parse import parse_body, unknown_fields
from decoder.body.to_dict import to_dict
from tests.support.every import for_every
from tests.support.random_messages import instances, length_delimited, parsed, random_message, vendor_classes
from tests.support.runtime import needs_lenient_text
from tests.support.vendor_schema import SECRETS


def as_text(value: Any) -> str:
    """Tells 1 from 1.0, 0.0 from -0.0 and one order of keys from another, which == does not."""
    return json.dumps(value)


@for_every(vendor_classes)
def test_numbers_as_protobuf_maps_the_vendors_class(name: str) -> None:
    for vendor in instances(name):
        ours = parsed(name, vendor.SerializeToString())
        expected = json_format.MessageToDict(vendor, preserving_proto_field_name=True, use_integers_for_enums=True)
        notes: list[str] = []
        plain = to_dict(ours, "number", redact=False, notes=notes)
        assert as_text(plain) == as_text(expected)
        assert as_text(to_dict(ours, "number", redact=False, complete=True)) == as_text(expected)
        assert orjson.loads(orjson.dumps(plain)) == expected
        assert not [text for text in notes if not text.startswith("unknown-enum-value: ")]


def vendor_enum_values() -> dict[str, set[int]]:
    values: dict[str, set[int]] = {}
    for cls in vendor_classes().values():
        for enum in cls.DESCRIPTOR.file.enum_types_by_name.values():
            for value in enum.values:
                values.setdefault(value.name, set()).add(value.number)
    return values


@pytest.mark.parametrize("style", ["proto", "sdk"])
def test_names_stand_where_enums_do_and_nothing_else_changes(style: Any) -> None:
    known = vendor_enum_values()
    named = checked = 0

    def compare(plain: Any, number: Any) -> None:
        nonlocal named, checked
        if isinstance(number, dict):
            assert plain.keys() == number.keys()
            for key in number:
                compare(plain[key], number[key])
        elif isinstance(number, list):
            assert len(plain) == len(number)
            for left, right in zip(plain, number, strict=True):
                compare(left, right)
        elif as_text(plain) != as_text(number):
            assert isinstance(plain, str)
            named += 1
            if plain in known:
                checked += 1
                assert int(number) in known[plain]

    for name in vendor_classes():
        for vendor in instances(name, 2):
            message = parsed(name, vendor.SerializeToString())
            compare(to_dict(message, style, redact=False), to_dict(message, "number", redact=False))
    assert named > 1_000
    assert checked > 500 or style == "sdk"


def test_declared_enums_print_the_vendors_names() -> None:
    cls = vendor_classes()["Common.ProgramStatus"]
    for value in cls.DESCRIPTOR.fields_by_name["type"].enum_type.values:
        vendor = cls(type=value.number)
        ours = parsed("Common.ProgramStatus", vendor.SerializeToString())
        assert to_dict(ours, "proto") == json_format.MessageToDict(vendor)


def order(**fields: Any) -> Any:
    vendor = vendor_classes()["Trd_UpdateOrder.Response"](retType=0, errCode=0)
    header = vendor.s2c.header
    header.trdEnv, header.accID, header.trdMarket = 1, 2**63, 1
    values = {"trdSide": 1, "orderType": 1, "orderStatus": 11, "orderID": 7, "orderIDEx": "x", "code": "00700"}
    values |= {"name": "", "qty": 100.0, "createTime": "", "updateTime": ""} | fields
    for key, value in values.items():
        setattr(vendor.s2c.order, key, value)
    return parsed("Trd_UpdateOrder.Response", vendor.SerializeToString())


def test_sdk_names() -> None:
    plain = to_dict(order())
    assert plain["retType"] == "RET_OK"
    assert plain["errCode"] == 0
    assert plain["s2c"]["header"] == {"trdEnv": "REAL", "accID": str(2**63), "trdMarket": "HK"}
    assert plain["s2c"]["order"]["orderStatus"] == "FILLED_ALL"
    assert plain["s2c"]["order"]["trdSide"] == "BUY"


def test_unknown_enum_values_stay_numbers_and_are_noted_once() -> None:
    notes: list[str] = []
    plain = to_dict(order(orderStatus=99, trdSide=-5), notes=notes)
    assert plain["s2c"]["order"]["orderStatus"] == 99
    assert plain["s2c"]["order"]["trdSide"] == -5
    assert notes == ["unknown-enum-value: s2c.order.trdSide = -5, s2c.order.orderStatus = 99"]
    assert to_dict(order(orderStatus=99))["s2c"]["order"]["orderStatus"] == 99


def test_zero_of_an_enum_that_has_none_is_no_finding() -> None:
    assert 0 not in {value.number for value in vendor_enum("Qot_GetIndustrialChainList", "IndustrialChainType")}
    notes: list[str] = []
    cls = schema.message_class("Qot_GetIndustrialChainList.IndustrialChainInfo")
    assert to_dict(cls(chainType=0), notes=notes) == {"chainType": 0}
    assert notes == []


def test_unknown_value_of_a_vendors_closed_enum_survives() -> None:
    notes: list[str] = []
    message = parsed("Common.ProgramStatus", b"\x08\x63")
    assert to_dict(message, notes=notes) == {"type": 99}
    assert notes == ["unknown-enum-value: type = 99"]
    assert vendor_classes()["Common.ProgramStatus"].FromString(b"\x08\x63").ListFields() == []


def test_enums_declared_wider_than_an_enum_print_names_and_keep_every_value() -> None:
    vendor = vendor_classes()["Qot_StockScreen.QueryKlineShape"]()
    assert "valueSet" in vendor.DESCRIPTOR.fields_by_name
    enum = schema.field_enum(
        schema.message_class("Qot_StockScreen.QueryKlineShape").DESCRIPTOR.fields_by_name["valueSet"]
    )
    assert enum is not None
    known = enum.values[1]
    vendor.valueSet.extend([known.number, 2**40])
    message, *_ = parse_body(schema.message_class("Qot_StockScreen.QueryKlineShape"), vendor.SerializePartialToString())
    assert message is not None
    notes: list[str] = []
    assert to_dict(message, "proto", notes=notes)["valueSet"] == [known.name, str(2**40)]
    assert notes == [f"unknown-enum-value: valueSet = {2**40}"]
    assert to_dict(message, "number")["valueSet"] == [str(known.number), str(2**40)]


def test_bit_sets() -> None:
    fields = {value.name: value.number for value in vendor_enum("Qot_Common", "KLFields") if value.number}
    names = list(fields)[:2]
    flag = fields[names[0]] | fields[names[1]]

    def shown(value: int, style: Any) -> tuple[Any, list[str]]:
        cls = schema.message_class("Qot_RequestHistoryKL.C2S")
        notes: list[str] = []
        return to_dict(cls(needKLFieldsFlag=value), style, notes=notes)["needKLFieldsFlag"], notes

    assert shown(flag, "proto") == ("|".join(names), [])
    assert shown(flag, "number") == (str(flag), [])
    assert shown(0, "sdk") == ("0", [])
    note_of_rest = ["unknown-enum-value: needKLFieldsFlag = 1152921504606846976"]
    assert shown(flag | 1 << 60, "proto") == ("|".join([*names, str(1 << 60)]), note_of_rest)
    assert shown(flag | 1 << 60, "number") == (str(flag | 1 << 60), note_of_rest)


def vendor_enum(package: str, name: str) -> Any:
    cls = next(cls for full_name, cls in vendor_classes().items() if full_name.startswith(f"{package}."))
    return cls.DESCRIPTOR.file.enum_types_by_name[name].values


@needs_lenient_text
def test_broken_utf8_becomes_replacement_characters_and_a_note() -> None:
    body = b"\x08\x00" + length_delimited(2, b"a\xff\xed\xa0\x80b")
    message = parsed("Trd_UpdateOrder.Response", body)
    notes: list[str] = []
    plain = to_dict(message, notes=notes)
    assert plain == {"retType": "RET_OK", "retMsg": b"a\xff\xed\xa0\x80b".decode("utf-8", "replace")}
    assert notes == ["bad-utf8: retMsg"]
    assert json.loads(orjson.dumps(plain)) == plain


def test_special_numbers_are_strings() -> None:
    cls = schema.message_class("Trd_Common.Order")
    assert to_dict(cls(qty=math.nan, price=math.inf, fillQty=-math.inf, fillAvgPrice=-0.0)) == {
        "qty": "NaN",
        "price": "Infinity",
        "fillQty": "-Infinity",
        "fillAvgPrice": -0.0,
    }


def test_only_what_is_present_also_where_the_default_is_not_zero() -> None:
    cls = schema.message_class("Trd_UpdateOrder.Response")
    assert to_dict(cls()) == {}
    assert to_dict(cls(retType=-400), "number") == {"retType": -400}
    assert to_dict(cls(retType=0), "number") == {"retType": 0}
    message: Any = cls()
    message.s2c.SetInParent()
    assert to_dict(message) == {"s2c": {}}


def test_no_such_style() -> None:
    with pytest.raises(ValueError, match="style"):
        to_dict(order(), "colour")  # type: ignore[arg-type]


# Secrets.


def test_every_secret_of_every_message_is_redacted() -> None:
    redacted: dict[str, set[str]] = {}

    def walk(message: Message, plain: dict[str, Any]) -> None:
        for field, value in message.ListFields():
            shown = plain[field.name]
            if shown == "[redacted]":
                redacted.setdefault(message.DESCRIPTOR.full_name, set()).add(field.name)
            elif field.message_type is not None:
                repeated = isinstance(shown, list)
                for item, inner in zip(value if repeated else [value], shown if repeated else [shown], strict=True):
                    walk(item, inner)

    for name in vendor_classes().keys() | SECRETS.keys():
        message = random_message(schema.message_class(name), Random(name), density=1.0)
        walk(message, to_dict(message))
        assert "[redacted]" not in json.dumps(to_dict(message, redact=False))
    assert redacted == SECRETS


def test_a_nested_secret_leaves_no_trace() -> None:
    cls = schema.message_class("InitConnect.Response")
    message: Any = cls(retType=0)
    message.s2c.connAESKey, message.s2c.aesCBCiv, message.s2c.connID = "0123456789abcdef", "fedcba", 5
    shown = json.dumps(to_dict(message, notes=[]))
    assert "0123456789abcdef" not in shown
    assert "fedcba" not in shown
    assert to_dict(message)["s2c"] == {"connID": "5", "connAESKey": "[redacted]", "aesCBCiv": "[redacted]"}
    assert to_dict(message, redact=False)["s2c"]["connAESKey"] == "0123456789abcdef"


# Parsing, and what a body holds beyond the schema.


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(["Trd_UpdateOrder.Response", "Qot_UpdateKL.Response", "InitConnect.Request", "TestCmd.C2S"]),
    data=st.data(),
)
def test_no_bytes_make_it_raise(name: str, data: st.DataObject) -> None:
    body = bytearray(random_message(vendor_classes()[name], Random(data.draw(st.integers(0, 50)))).SerializeToString())
    for _ in range(data.draw(st.integers(0, 4))):
        position = data.draw(st.integers(0, len(body) - 1))
        body[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=4))
        if not body:
            break
    message, *_ = parse_body(schema.message_class(name), bytes(body))
    if message is not None:
        unknown_fields(message, bytes(body))
        for style in ("sdk", "proto", "number"):
            orjson.dumps(to_dict(message, style, notes=[]))


def test_importing_costs_no_protobuf() -> None:
    modules = "decoder.body.to_dict, decoder.body.from_json, decoder.body.wire"
    code = f"import sys, {modules}; print('google.protobuf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
