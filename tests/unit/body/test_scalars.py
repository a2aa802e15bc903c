"""Scalar values to and from the protobuf JSON mapping, against protobuf's own."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.wrappers_pb2 import BytesValue, DoubleValue, FloatValue, Int64Value
from hypothesis import given
from hypothesis import strategies as st

from decoder.body.scalars import (
    is_number,
    plain_bytes,
    plain_double,
    plain_float,
    plain_text,
    read_bytes,
    read_double,
    read_integer,
)

single = st.floats(width=32)


def mapped(message: Any) -> Any:
    return json.loads(json_format.MessageToJson(message))


@given(st.floats())
def test_doubles_as_protobuf_maps_them(value: float) -> None:
    assert repr(plain_double(value)) == repr(mapped(DoubleValue(value=value)))


@given(single)
def test_a_float_is_the_shortest_decimal_that_reads_back_to_it(value: float) -> None:
    shown = plain_float(value)
    if isinstance(shown, str):
        assert shown == mapped(FloatValue(value=value))
    else:
        assert struct.pack("<f", shown) == struct.pack("<f", value)
        assert len(f"{shown:.9g}") <= len(f"{value:.17g}")


def test_a_float_prints_as_people_wrote_it() -> None:
    for text in ("0.1", "388.2", "1e-07", "16777216.0"):
        (held,) = struct.unpack("<f", struct.pack("<f", float(text)))
        assert repr(plain_float(held)) == text


@given(st.binary(max_size=50))
def test_bytes_are_base64_and_back(value: bytes) -> None:
    assert plain_bytes(value) == mapped(BytesValue(value=value))
    shown = plain_bytes(value)
    for spelling in (shown, shown.rstrip("="), shown.replace("+", "-").replace("/", "_")):
        assert read_bytes(spelling) == base64.b64decode(shown)


@pytest.mark.parametrize("value", ["a", "????", "é", 5, None])
def test_what_is_no_base64_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="base64"):
        read_bytes(value)


def test_a_text_that_is_not_utf8_keeps_what_can_be_read() -> None:
    assert plain_text("as it is") == "as it is"
    assert plain_text(b"a" + b"\xff" + "é".encode()) == "a\ufffdé"


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_as_numbers_and_as_texts(value: int) -> None:
    low, high = -(2**63), 2**63 - 1
    assert read_integer(value, low, high) == read_integer(str(value), low, high) == value
    assert json_format.Parse(json.dumps(str(value)), Int64Value()).value == value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (True, "is true or false"),
        (None, "is nothing"),
        ([], "is a list"),
        ({}, "is an object"),
        ("x", "is text"),
        (1.5, "is another number"),
        ("1.5", "is another number"),
        (2**31, "is outside"),
        ("-1", "is outside"),
    ],
)
def test_what_is_no_integer_of_the_type_is_refused(value: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_integer(value, 0, 2**31 - 1)


def test_a_float_without_a_fraction_is_an_integer() -> None:
    assert read_integer(5.0, 0, 9) == read_integer("5.0", 0, 9) == read_integer("5e0", 0, 9) == 5


@given(st.floats(allow_nan=False))
def test_doubles_are_read_back(value: float) -> None:
    assert read_double(plain_double(value), single=False) == value
    if not isinstance(plain_double(value), str):
        assert read_double(repr(value), single=False) == value


def test_numbers_out_of_range_are_refused_and_nan_is_one() -> None:
    assert read_double("NaN", single=True) != read_double("NaN", single=True)
    for value, one in ((1e39, True), ("1e999", False), (10**400, False)):
        with pytest.raises(ValueError, match="out of range"):
            read_double(value, single=one)


@pytest.mark.parametrize("value", ["secret-text", "0x10", True, None])
def test_a_reason_never_quotes_the_value(value: Any) -> None:
    with pytest.raises(ValueError, match="wants a number") as caught:
        read_double(value, single=False)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"), [("1", True), ("-1.5e+10", True), ("1.", False), ("", False), ("٣", False)]
)
def test_a_number_as_json_writes_one(text: str, expected: bool) -> None:
    assert is_number(text) is expected
