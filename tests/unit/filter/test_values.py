"""Values of ``--where``: what each kind of field takes, and what is said of the rest."""

from __future__ import annotations

import operator
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder import schema
from decoder.filter.values import (
    NoSuchValue,
    Value,
    bool_test,
    enum_numbers,
    null_test,
    number_test,
    text_test,
    word_test,
)

SIGNS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def value(text: str) -> Value:
    parts = tuple(text.split("*"))
    return Value(text, parts if len(parts) > 1 else None, text == "null")


@given(st.sampled_from(sorted(SIGNS)), st.integers(-(2**64), 2**64), st.integers(-(2**64), 2**64))
def test_whole_numbers_compare_exactly(sign: str, wanted: int, found: int) -> None:
    assert number_test(sign, value(str(wanted)))(found) is SIGNS[sign](found, wanted)


def test_a_number_beyond_2_to_the_53_is_not_rounded() -> None:
    assert not number_test("=", value("9007199254740993"))(9007199254740992)


@pytest.mark.parametrize("text", ["x", "1*", "0x10", "1,5", "", "nan", "1_000"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NoSuchValue, match="expected a number"):
        number_test("=", value(text))


def test_a_field_of_whole_numbers_takes_no_fraction_and_no_part_of_a_text() -> None:
    with pytest.raises(NoSuchValue, match="whole number"):
        number_test("=", value("1.5"), whole=True)
    with pytest.raises(NoSuchValue, match="use ="):
        number_test("=", Value.contained("1", None))


@given(st.text("ab*", max_size=6), st.text("abc", max_size=8))
def test_patterns_as_fnmatch_has_them(pattern: str, text: str) -> None:
    assert value(pattern).fits(text) is fnmatchcase(text, pattern)


def test_a_part_of_a_text_in_any_case() -> None:
    contained = Value.contained("Straße", None)
    assert contained.fits("HAUPTSTRASSE 7")
    assert not contained.fits("Strand")


@pytest.mark.parametrize("sign", sorted(SIGNS))
def test_texts_compare_by_their_characters(sign: str) -> None:
    for found in ("HK.00005", "HK.00700", "US.AAPL"):
        assert text_test(sign, value("HK.00700"))(found) is SIGNS[sign](found, "HK.00700")


def test_true_and_false_have_no_order() -> None:
    assert bool_test("=", value("true"))(1)
    assert bool_test("=", value("false"))(0)
    for sign, text in (("<", "true"), ("=", "yes"), ("=", "1")):
        with pytest.raises(NoSuchValue, match="true or false"):
            bool_test(sign, value(text))


def test_null_has_no_order() -> None:
    absent = operator.not_
    assert null_test("=", absent)("")
    assert null_test("!=", absent)("there")
    with pytest.raises(NoSuchValue, match="no order"):
        null_test("<", absent)


def test_a_word_that_is_none_of_the_known_ones_gets_the_closest() -> None:
    words = ("request", "response", "push")
    assert word_test("kind", value("re*"), words)("response")
    assert not word_test("kind", value("re*"), words)("push")
    with pytest.raises(NoSuchValue, match="did you mean request"):
        word_test("kind", value("reqest"), words)
    with pytest.raises(NoSuchValue, match="push, request, response"):
        word_test("kind", value("zzz"), words)


def test_enum_values_by_every_name_and_by_number() -> None:
    enum = schema.enum_descriptor("Trd_Common.OrderStatus")
    for text in ("FILLED_ALL", "OrderStatus_Filled_All", "Filled_All", "11"):
        assert enum_numbers(enum, value(text)) == {11}
    assert enum_numbers(enum, value("FILLED_*")) == {10, 11}
    assert enum_numbers(enum, value("999")) == {999}  # a number that the schema does not know may come all the same
    with pytest.raises(NoSuchValue, match="FILLED_ALL"):
        enum_numbers(enum, value("FILED_ALL"))
