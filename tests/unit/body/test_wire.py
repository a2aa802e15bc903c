"""The wire-level view, against messages that protobuf itself wrote."""

from __future__ import annotations

import json
from random import Random
from typing import Any
from unicodedata import category

import orjson
import pytest
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import example, given, settings
from hypothesis import strategies as st

from decoder import schema
from decoder.body.wire import text_view, wire_view
from tests.support.every import for_every
from tests.support.random_messages import random_message, vendor_classes


def test_a_message_of_the_vendor() -> None:
    body = bytes.fromhex("0800 1204 e88fb3 21 2203 0a01 41".replace(" ", ""))
    assert wire_view(body) == [
        {"field": 1, "type": "varint", "value": 0},
        {"field": 2, "type": "string", "value": "菳!"},
        {"field": 4, "type": "message", "value": [{"field": 1, "type": "string", "value": "A"}]},
    ]


@pytest.mark.parametrize(
    ("body", "entry"),
    [
        ("0805", {"field": 1, "type": "varint", "value": 5}),
        (
            "08ffffffffffffffffff01",
            {"field": 1, "type": "varint", "value": "18446744073709551615", "signed": -1},
        ),
        ("0880808080808080 10", {"field": 1, "type": "varint", "value": str(2**53)}),
        ("09000000000000f83f", {"field": 1, "type": "fixed64", "value": str(0x3FF8 << 48), "double": 1.5}),
        ("09000000000000f07f", {"field": 1, "type": "fixed64", "value": str(0x7FF0 << 48), "double": "Infinity"}),
        ("0d6666663f", {"field": 1, "type": "fixed32", "value": 0x3F666666, "float": 0.9}),
        ("0a00", {"field": 1, "type": "string", "value": ""}),
        ("0a053030373030", {"field": 1, "type": "string", "value": "00700"}),
        ("0a02484b", {"field": 1, "type": "string", "value": "HK"}),
        ("0a03610a62", {"field": 1, "type": "string", "value": "a\nb"}),
        ("0a0201ff", {"field": 1, "type": "bytes", "value": "01ff"}),
        ("0a041b5b316d", {"field": 1, "type": "bytes", "value": "1b5b316d"}),
        ("0b08050c", {"field": 1, "type": "group", "value": [{"field": 1, "type": "varint", "value": 5}]}),
        ("0b13140c", {"field": 1, "type": "group", "value": [{"field": 2, "type": "group", "value": []}]}),
        ("f8ffffff0f00", {"field": 2**29 - 1, "type": "varint", "value": 0}),
    ],
)
def test_each_type(body: str, entry: dict[str, Any]) -> None:
    assert wire_view(bytes.fromhex(body)) == [entry]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("0a05ff", "field 1 wants 5 bytes, 1 are there"),
        ("09ff", "field 1 wants 8 bytes, 1 are there"),
        ("08ff", "varint is cut short"),
        ("08" + "ff" * 11, "varint is longer than 10 bytes"),
        ("0000", "field number 0 is not allowed"),
        ("0c", "field 1 has wire type 4, which cannot stand here"),
        ("0f", "field 1 has wire type 7, which cannot stand here"),
        ("0b0805", "group 1 has no end in sight"),
        ("0b14", "group 1 has no end in sight"),
        ("0a" + "ff" * 9 + "01", "field 1 wants 18446744073709551615 bytes, 0 are there"),
    ],
)
def test_what_cannot_be_read_is_shown_as_it_is(body: str, error: str) -> None:
    assert wire_view(bytes.fromhex("1005" + body)) == [
        {"field": 2, "type": "varint", "value": 5},
        {"error": error, "offset": 2, "rest": body, "rest_len": len(body) // 2},
    ]


def same(view: list[dict[str, Any]], message: Message) -> None:
    """`view` shows `message`, as protobuf's own reader of unknown fields sees it."""
    fields = UnknownFieldSet(message)
    assert len(view) == len(fields)
    for entry, field in zip(view, iter(fields), strict=True):
        assert entry["field"] == field.field_number
        data = field.data
        if entry["type"] in ("varint", "fixed64", "fixed32"):
            assert int(entry["value"]) == data
        elif entry["type"] == "string":
            assert entry["value"].encode() == data
        elif entry["type"] == "bytes":
            assert bytes.fromhex(entry["value"]) == data
        else:
            same(entry["value"], empty_message().FromString(data))


def empty_message() -> type[Message]:
    """A class without fields: to it, every field is unknown."""
    cls = schema.message_class("Qot_Sub.S2C")
    assert not cls.DESCRIPTOR.fields
    return cls


@for_every(lambda: [name for name in vendor_classes() if name.endswith((".Response", ".S2C", ".Order"))])
def test_as_protobuf_reads_unknown_fields(name: str) -> None:
    message = random_message(vendor_classes()[name], Random(name))
    body = message.SerializeToString()
    same(wire_view(body), empty_message().FromString(body))


def test_bounds() -> None:
    body = b"\x08\x01" * 5_000
    view = wire_view(body, max_fields=10)
    assert len(view) == 11
    assert view[-1]["error"] == "too many fields to show"
    assert view[-1]["rest_len"] == len(body) - 20
    assert len(view[-1]["rest"]) == 512
    view = wire_view(body, max_bytes=100)
    assert len(view) == 51
    assert view[-1] == {"error": "only the first 100 of 10000 bytes are shown"}


def test_depth_is_bounded() -> None:
    body = b"\x08\x01"
    for _ in range(40):
        body = b"\x0a" + bytes((len(body),)) + body
    view = wire_view(body, max_depth=5)
    for _ in range(4):
        assert view[0]["type"] == "message"
        view = view[0]["value"]
    assert view[0]["type"] in ("bytes", "string")
    groups = wire_view(b"\x0b" * 1_000 + b"\x0c" * 1_000, max_depth=5)
    assert json.dumps(groups).count("group") == 4


@pytest.mark.parametrize(
    "body",
    [
        b"\x0b" * 32_000 + b"\x0c" * 32_000,
        b"\x0a" * 65_536,
        b"\x0b\x0c" * 32_000,
        b"\x08\x01" * 32_000,
        b"".join(b"\x0a\x02\x08\x01" for _ in range(16_000)),
        b"\x0a\xfc\xff\x03" + b"\x0b" * 65_532,
    ],
)
def test_hostile_bodies_are_bounded(body: bytes) -> None:
    view = wire_view(body)  # in milliseconds: what is quadratic here would take minutes
    assert len(orjson.dumps(view)) < 1_000_000


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 20), st.integers(0, 5), st.integers(0, 100))
@example(b"\x0a\x00", 0, 0, 0)
def test_never_raises_and_is_json(body: bytes, max_fields: int, max_depth: int, max_bytes: int) -> None:
    view = wire_view(body, max_fields=max_fields, max_depth=max_depth, max_bytes=max_bytes)
    assert orjson.loads(orjson.dumps(view)) == view
    text = text_view(body, max_bytes=max_bytes)
    assert all(c in "\n\t" or category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text)


def test_text_view() -> None:
    assert text_view('{\n\t"retMsg": "腾讯"}'.encode()) == '{\n\t"retMsg": "腾讯"}'
    assert text_view("a\x1b[31m\r\x9b\u202e\U000e0001".encode()) == r"a\x1b[31m\x0d\x9b\u202e\U000e0001"
    assert text_view(b"a\xff") == "a\ufffd"
    assert text_view(b"abcdef", max_bytes=3) == "abc… (6 bytes)"
