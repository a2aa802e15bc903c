"""Bodies out of bytes: what parses, what is incomplete, and fields that the schema does not have."""

from __future__ import annotations

import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from decoder import schema
from decoder.body.parse import note, parse_body, unknown_fields
from decoder.body.to_dict import to_dict
from tests.support.every import for_every
from tests.support.random_messages import instances, length_delimited, parsed, vendor_classes


def test_parse_body_tells_the_cases_apart() -> None:
    response = schema.message_class("Trd_UpdateOrder.Response")
    message, problem, _ = parse_body(response, b"\x08\x00")
    assert (message, problem) == (response(retType=0), None)
    message, problem, _ = parse_body(response, b"\xff\xff")
    assert (message, problem) == (None, "bad-body: not a protobuf message")
    message, problem, _ = parse_body(response, b"\x08\x00\x22\x00")
    assert message is not None
    assert problem == "bad-body: required fields missing: s2c.header, s2c.order"
    message, problem, _ = parse_body(response, b"")
    assert problem == "bad-body: required fields missing: retType"


def test_text_that_protobuf_cannot_parse_is_a_bad_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the pure-Python protobuf does: it refuses text that is not UTF-8 with an error of its own."""

    class Strict:
        @staticmethod
        def FromString(data: bytes) -> None:
            data.decode()

    message, problem, unknown = parse_body(Strict, b"\xff")  # type: ignore[arg-type]
    assert (message, unknown) == (None, False)
    assert problem is not None
    assert problem.startswith("bad-body: a text is not UTF-8")


def test_parse_body_wants_a_known_field_where_none_is_required() -> None:
    cls = schema.message_class("Qot_GetSearchNews.SearchNews")
    assert cls().IsInitialized()
    assert parse_body(cls, b"")[1] is None
    assert parse_body(cls, b"\xf8\x7f\x05")[1] == "bad-body: only unknown fields"
    field = next(field for field in cls.DESCRIPTOR.fields if field.type == field.TYPE_STRING and field.number < 16)
    assert parse_body(cls, length_delimited(field.number, b""))[1] is None


def test_a_large_incomplete_body_is_not_listed_field_by_field() -> None:
    cls = schema.message_class("Qot_GetKL.S2C")
    number = cls.DESCRIPTOR.fields_by_name["klList"].number
    message, problem, _ = parse_body(cls, length_delimited(number, b"") * 200_000)
    assert message is not None
    assert problem == "bad-body: required fields missing"
    assert len(parse_body(cls, length_delimited(number, b"") * 1_000)[1] or "") < 500


def varint_field(number: int, value: int = 1) -> bytes:
    tag = number << 3
    return bytes((tag & 0x7F | 0x80, tag >> 7, value))


@for_every(vendor_classes)
def test_unknown_fields_are_kept_and_noted(name: str) -> None:
    vendor = instances(name, 1)[0]
    body = vendor.SerializeToString()
    message = parsed(name, body)
    assert unknown_fields(message, body) is None
    body += varint_field(1_900)
    message = parse_body(schema.message_class(name), body)[0]
    assert message is not None
    assert unknown_fields(message, body) == "unknown-fields: 1900"
    assert message.SerializeToString() == body
    assert to_dict(message, "number", redact=False) == json_format.MessageToDict(
        vendor, preserving_proto_field_name=True, use_integers_for_enums=True
    )


def test_unknown_fields_by_place() -> None:
    security = b"\x08\x01" + length_delimited(2, b"00700")
    cls = schema.message_class("Qot_GetBasicQot.C2S")
    number = cls.DESCRIPTOR.fields_by_name["securityList"].number

    def place_of(*items: bytes) -> str | None:
        body = b"".join(length_delimited(number, item) for item in items)
        return unknown_fields(parsed("Qot_GetBasicQot.C2S", body), body)

    assert place_of(security, security) is None
    assert place_of(security, security + varint_field(77), security + varint_field(77)) == (
        "unknown-fields: securityList.77"
    )
    assert place_of(security + b"\x0d\x01\x00\x00\x00") == "unknown-fields: securityList.1"  # market as fixed32
    assert place_of(security + b"\x5b\x08\x01\x5c") == "unknown-fields: securityList.11"  # a group
    many = b"".join(varint_field(number) for number in range(100, 120))
    assert place_of(security + many) == (
        "unknown-fields: " + ", ".join(f"securityList.{number}" for number in range(100, 108)) + ", …"
    )


def test_what_protobuf_takes_in_a_type_without_fields_and_no_message_holds() -> None:
    cls = schema.message_class("UsedQuota.Request")
    empty = cls.DESCRIPTOR.fields_by_name["c2s"].message_type
    assert empty is not None
    assert not empty.fields
    body = length_delimited(1, b"\x08\x01\x00\x00")  # field 1, then field 0
    try:
        message = cls.FromString(body)
    except DecodeError:
        pytest.skip("this version of protobuf refuses it")
    assert unknown_fields(message, body) == "unknown-fields: c2s.1, c2s"


def test_odd_encodings_of_known_fields_are_no_unknown_fields() -> None:
    body = b"\x08\x80\x00\x08\x00"  # retType twice, once in two bytes
    assert unknown_fields(parsed("Trd_UpdateOrder.Response", body), body) is None
    packed = length_delimited(1, b"\x01\x02\x03")
    message = parsed("GetDelayStatistics.C2S", packed)
    assert to_dict(message, "number") == {"typeList": [1, 2, 3]}
    assert unknown_fields(message, packed) is None


def test_a_place_out_of_sight_is_still_noted() -> None:
    cls = schema.message_class("GetDelayStatistics.C2S")
    notes: list[str] = []
    to_dict(cls(typeList=[1] * 2_000 + [99]), notes=notes)
    assert notes == ["unknown-enum-value"]


def test_note() -> None:
    assert note("kind", []) == "kind"
    assert note("kind", ["a", "b", "a"]) == "kind: a, b"
    assert note("kind", map(str, range(9))) == "kind: 0, 1, 2, 3, 4, 5, 6, 7, …"
