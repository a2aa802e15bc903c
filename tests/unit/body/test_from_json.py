"""JSON bodies: what the vendor's clients write, what else is read, and what is refused."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from decoder import schema
from decoder.body.from_json import read_json
from decoder.body.to_dict import to_dict
from decoder.errors import BodyError
from tests.support.every import for_every
from tests.support.random_messages import random_message, vendor_classes

INIT = schema.message_class("InitConnect.Response")
NOTIFY = schema.message_class("Notify.Response")


@for_every(vendor_classes)
def test_what_protobufs_own_writer_writes(name: str) -> None:
    cls = schema.message_class(name)
    for density in (1.0, 0.4):
        vendor = random_message(vendor_classes()[name], Random(name), density)
        expected = json_format.MessageToDict(vendor, preserving_proto_field_name=True, use_integers_for_enums=True)
        for original_names in (False, True):
            for integers in (False, True):
                text = json_format.MessageToJson(
                    vendor, preserving_proto_field_name=original_names, use_integers_for_enums=integers
                )
                message, notes = read_json(text.encode(), cls)
                assert notes == []
                assert to_dict(message, "number", redact=False) == expected
                if "NaN" not in text:
                    assert message.SerializeToString() == vendor.SerializeToString()


def read(text: str | bytes, cls: Any = INIT) -> tuple[dict[str, Any], list[str]]:
    message, notes = read_json(text.encode() if isinstance(text, str) else text, cls)
    return to_dict(message, "number", redact=False), notes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"retType": 0}', 0),
        ('{"retType": "0"}', 0),
        ('{"retType": "RetType_Failed"}', -1),
        ('{"retType": "RET_OK"}', 0),
        ('{"retType": -1.0}', -1),
        ('{"retType": 1e2}', 100),
        ('{"retType": "-1e0"}', -1),
        ('{"retType": 77}', 77),
        ('\ufeff{"retType": 0}', 0),
        ('\n {"retType":0,"retMsg":null,"s2c":null}\r\n', 0),
    ],
)
def test_spellings_that_are_read(text: str, expected: int) -> None:
    assert read(text) == ({"retType": expected}, [])


def test_wide_integers_as_numbers_or_strings() -> None:
    for value in ("9223372036854775809", '"9223372036854775809"'):
        assert read(f'{{"s2c": {{"connID": {value}}}}}')[0] == {"s2c": {"connID": "9223372036854775809"}}


def test_what_the_schema_does_not_know_is_noted() -> None:
    plain, notes = read('{"retType": 0, "s2c": {"new": {"a": [1]}, "connID": 1}, "x\\u001b": 1}')
    assert plain == {"retType": 0, "s2c": {"connID": "1"}}
    assert notes == [r"unknown-fields: s2c.new, x\x1b"]
    plain, notes = read('{"retType": 0, "s2c": {"type": "NotifyType_New"}}', NOTIFY)
    assert plain == {"retType": 0, "s2c": {}}
    assert notes == ["unknown-enum-value: s2c.type = NotifyType_New"]


def test_notes_are_bounded() -> None:
    text = json.dumps({f"field{number:05}": 1 for number in range(10_000)} | {"y" * 10_000: 1})
    (text_of_note,) = read(text)[1]
    assert text_of_note.endswith("field00007, …")
    assert len(read(json.dumps({"y" * 10_000: 1}))[1][0]) < 100


def test_half_a_surrogate_pair_is_replaced_and_noted() -> None:
    plain, notes = read(r'{"retType": 0, "retMsg": "a\ud83db\ude00\ud83d\ude00"}')
    assert plain["retMsg"] == "a\ufffdb\ufffd\U0001f600"
    assert notes == ["bad-utf8: retMsg"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "not JSON"),
        ('{"retType": 0', "not JSON"),
        ('{"retType": 0} x', "not JSON: Extra data"),
        ("{'retType': 0}", "not JSON"),
        ('{"retMsg": "a\nb"}', "not JSON"),
        (b'{"retMsg": "\xff"}', "not UTF-8 at byte 12"),
        ('{"retType": 0}'.encode("utf-16"), "not UTF-8"),
        ("[]", "body: wants an object"),
        ("0", "body: wants an object"),
        ('{"retType": 0, "retType": 0}', "a key is given twice"),
        ('{"s2c": {"new": {"a": 1, "a": 2}}}', "a key is given twice"),
        ('{"retType": NaN}', "NaN is not JSON"),
        ('{"retType": 1e400}', "out of range"),
        ('{"retType": ' + "1" * 5_000 + "}", "a number of 5000 digits"),
        ('{"retType": 2147483648}', "retType: is outside"),
        ('{"retType": "2147483648"}', "retType: is outside"),
        ('{"retType": 0.5}', "retType: wants an integer, is another number"),
        ('{"retType": true}', "retType: wants an integer, is true or false"),
        ('{"retType": {}}', "retType: wants an integer, is an object"),
        ('{"retMsg": 5}', "retMsg: wants text"),
        ('{"s2c": []}', "s2c: wants an object"),
        ('{"s2c": {"connID": -1}}', "s2c.connID: is outside"),
        ('{"s2c": {"connID": "1_0"}}', "s2c.connID: wants an integer, is text"),
        ('{"s2c": {"connID": "١"}}', "s2c.connID: wants an integer, is text"),
        ('{"new": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_refused(text: str | bytes, error: str) -> None:
    with pytest.raises(BodyError, match=error):
        read(text)


def test_one_field_under_both_spellings_is_a_duplicate() -> None:
    cls = schema.message_class("Qot_GetSearchNews.C2S")
    assert read('{"keyword": "a", "maxCount": 1}', cls)[0]["max_count"] == 1
    with pytest.raises(BodyError, match="max_count: given twice"):
        read('{"keyword": "a", "maxCount": 1, "max_count": 1}', cls)


def test_errors_never_quote_a_value() -> None:
    for text in ('{"s2c": {"connAESKey": 123456789}}', '{"s2c": {"connID": "topsecret"}}'):
        with pytest.raises(BodyError) as caught:
            read(text)
        assert "123456789" not in str(caught.value)
        assert "topsecret" not in str(caught.value)


def test_missing_required_fields_are_left_to_the_caller() -> None:
    message, notes = read_json(b"{}", INIT)
    assert not message.IsInitialized()
    assert notes == []


def refusal(body: bytes, cls: Any) -> str:
    """Why `body` is not read, or the notes of its reading."""
    try:
        message, notes = read_json(body, cls)
    except BodyError as error:
        return str(error)
    to_dict(message)
    return " ".join(notes)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from(["retType", "retMsg", "errCode", "s2c", "type", "event", "connID", "programStatus", "x"])


@settings(max_examples=500, deadline=None)
@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5)))
def test_any_json_is_read_or_refused(value: Any) -> None:
    body = json.dumps(value).encode()
    for cls in (INIT, NOTIFY):
        assert refusal(body, cls).isprintable()


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=64) | st.text(alphabet='{}[]":,0123456789.eE+-truefalsn\\u "', max_size=64).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    assert refusal(body, INIT).isprintable()
