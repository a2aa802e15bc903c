"""Plain data into messages: the inverse of `to_dict`, and what a caller is told when it cannot be."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from google.protobuf import json_format

from decoder import schema
from decoder.body.from_dict import from_dict
from decoder.body.to_dict import to_dict
from decoder.errors import BodyError
from tests.support.every import for_every
from tests.support.random_messages import random_message, vendor_classes

PLACE = schema.message_class("Trd_PlaceOrder.Request")


@for_every(vendor_classes)
def test_inverse_of_to_dict_in_every_style(name: str) -> None:
    vendor = random_message(vendor_classes()[name], Random(name))
    cls = schema.message_class(name)
    message = cls.FromString(vendor.SerializeToString())
    for style in ("sdk", "proto", "number"):
        plain = to_dict(message, style, redact=False)
        again = from_dict(plain, cls)
        assert to_dict(again, style, redact=False) == plain
        assert again.SerializeToString() == vendor.SerializeToString() or "NaN" in str(plain)


@pytest.mark.parametrize("original_names", [False, True])
def test_names_in_either_spelling(original_names: bool) -> None:
    name = "Qot_GetSearchNews.C2S"
    vendor = random_message(vendor_classes()[name], Random(1), 1.0)
    plain = json_format.MessageToDict(vendor, preserving_proto_field_name=original_names)
    assert ("max_count" in plain) is original_names
    assert from_dict(plain, schema.message_class(name)).SerializeToString() == vendor.SerializeToString()


def place(**changes: Any) -> dict[str, Any]:
    fields = {
        "packetID": {"connID": 1, "serialNo": 2},
        "header": {"trdEnv": 1, "accID": 3, "trdMarket": 1},
        "trdSide": 1,
        "orderType": 1,
        "code": "00700",
        "qty": 100,
    }
    return {"c2s": fields | changes}


@pytest.mark.parametrize("spelling", [1, "1", 1.0, "BUY", "TrdSide_Buy", "Buy"])
def test_enums_by_number_and_by_every_name(spelling: Any) -> None:
    assert to_dict(from_dict(place(trdSide=spelling), PLACE))["c2s"]["trdSide"] == "BUY"


def test_values_in_every_spelling() -> None:
    cls = schema.message_class("Trd_Common.Order")
    base = {"trdSide": 1, "orderType": 1, "orderStatus": 1, "orderID": 1, "orderIDEx": "", "code": "", "name": ""}
    base |= {"qty": 1, "createTime": "", "updateTime": ""}

    def order(**changes: Any) -> Any:
        return from_dict(base | changes, cls)

    assert order(orderID="18446744073709551615").orderID == 2**64 - 1
    assert order(orderID=5.0).orderID == order(orderID="5e0").orderID == 5
    assert order(price="1.5").price == 1.5
    assert order(price="-Infinity").price == float("-inf")
    assert order(price=float("inf")).price == float("inf")
    assert not order(price=None).HasField("price")
    data = schema.message_class("TestCmd.C2S")
    for value in (b"\xfb\xff", bytearray(b"\xfb\xff"), "+/8=", "-_8", "+/8"):
        assert from_dict({"cmd": "", "paramBytes": value}, data).paramBytes == b"\xfb\xff"  # type: ignore[attr-defined]


def test_bit_sets_by_name() -> None:
    cls = schema.message_class("GetUserInfo.C2S")
    enum = schema.bits_enum(cls.DESCRIPTOR.fields_by_name["flag"])
    assert enum is not None
    values = enum.values
    first, second = [value for value in values if value.number][:2]
    for spelling in (f"{first.name}|{second.name}", first.number | second.number, f"{first.name}|{second.number}"):
        assert from_dict({"flag": spelling}, cls).flag == first.number | second.number  # type: ignore[attr-defined]
    with pytest.raises(BodyError, match="flag: Nonsense is no value of"):
        from_dict({"flag": f"{first.name}|Nonsense"}, cls)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, "required field missing: c2s"),
        ({"c2s": {}}, "required field missing: c2s.packetID"),
        ({"c2s": 5}, "c2s: wants an object with the fields of Trd_PlaceOrder.C2S"),
        ([], "body: wants an object"),
        (place(nonsense=1), "c2s.nonsense: Trd_PlaceOrder.C2S has no such field"),
        (place(**{"bad\x1b": 1}), r"c2s.bad\\x1b: Trd_PlaceOrder.C2S has no such field"),
        (place(trdSide="SIDEWAYS"), "c2s.trdSide: SIDEWAYS is no value of Trd_Common.TrdSide"),
        (place(trdSide=2**31), "c2s.trdSide: is outside -2147483648 to 2147483647"),
        (place(trdSide=True), "c2s.trdSide: wants an integer, is true or false"),
        (place(trdSide=1.5), "c2s.trdSide: wants an integer, is another number"),
        (place(trdSide=[1]), "c2s.trdSide: wants an integer, is a list"),
        (place(packetID={"connID": -1, "serialNo": 0}), "c2s.packetID.connID: is outside 0 to 18446744073709551615"),
        (place(packetID={"connID": "0x5", "serialNo": 0}), "c2s.packetID.connID: wants an integer, is text"),
        (place(qty="many"), "c2s.qty: wants a number, is text"),
        (place(qty=False), "c2s.qty: wants a number, is true or false"),
        (place(qty=10**400), "c2s.qty: is out of range"),
        (place(qty="1e999"), "c2s.qty: is out of range"),
        (place(code=700), "c2s.code: wants text"),
        (place(code="\ud800"), "c2s.code: holds half a surrogate pair"),
        (place(fillOutsideRTH=1), "c2s.fillOutsideRTH: wants true or false"),
    ],
)
def test_errors_name_the_path(data: Any, error: str) -> None:
    with pytest.raises(BodyError, match=error):
        from_dict(data, PLACE)


def test_errors_in_lists_both_spellings_and_base64() -> None:
    with pytest.raises(BodyError, match=r"securityList\[1\]\.market: wants an integer, is another number"):
        from_dict(
            {"securityList": [{"market": 1, "code": ""}, {"market": 1.5, "code": ""}]},
            schema.message_class("Qot_GetBasicQot.C2S"),
        )
    with pytest.raises(BodyError, match="securityList: wants a list"):
        from_dict({"securityList": {"market": 1}}, schema.message_class("Qot_GetBasicQot.C2S"))
    with pytest.raises(BodyError, match="max_count: given twice"):
        from_dict({"max_count": 1, "maxCount": 1}, schema.message_class("Qot_GetSearchNews.C2S"))
    for broken in ("!!!!", "A", "é", 5):
        with pytest.raises(BodyError, match=r"paramBytes: .*base64"):
            from_dict({"cmd": "", "paramBytes": broken}, schema.message_class("TestCmd.C2S"))


def test_a_redacted_secret_is_not_built_into_a_body() -> None:
    cls = schema.message_class("Trd_UnlockTrade.C2S")
    message = from_dict({"unlock": True, "pwdMD5": "0123"}, cls)
    with pytest.raises(BodyError, match="pwdMD5: is redacted"):
        from_dict(to_dict(message), cls)
    assert from_dict(to_dict(message, redact=False), cls) == message


def test_floats_of_four_bytes() -> None:
    name, field = next(
        (name, field.name)
        for name, cls in vendor_classes().items()
        for field in cls.DESCRIPTOR.fields
        if field.type == field.TYPE_FLOAT
    )
    cls = schema.message_class(name)
    largest = cls(**{field: 3.4028234663852886e38})
    assert to_dict(largest)[field] == 3.4028235e38
    plain = to_dict(random_message(cls, Random(0), 1.0), redact=False)
    assert getattr(from_dict(plain | {field: 3.4028235e38}, cls), field) == getattr(largest, field)
    with pytest.raises(BodyError, match=f"{field}: is out of range"):
        from_dict(plain | {field: 1e39}, cls)
