"""Templates of the Info column, parsed."""

from __future__ import annotations

import pytest

from decoder.output.info_templates import TEMPLATES
from decoder.output.info_words import Place, condition_of, is_nested, words_of
from decoder.schema import message_class
from decoder.schema.fields import fields_by_name


def words(name: str) -> list[list[list[object]]]:
    """Groups of words; a place as its mark and the name of its field."""
    groups = words_of(message_class(name).DESCRIPTOR, 0)
    return [[[f"{p.mark}{p.field.name}" if isinstance(p, Place) else (p,) for p in word] for word in g] for g in groups]


def test_texts_and_fields_of_a_word_stand_together() -> None:
    assert words("Notify.UsedQuota") == [
        [[("usedSubQuota=",), "usedSubQuota"]],
        [[("usedKLineQuota=",), "usedKLineQuota"]],
    ]


def test_words_in_brackets_are_one_group() -> None:
    groups = words("Qot_UpdateOrderBook.S2C")
    assert groups[1] == [[("bid",)], ["^orderBookBidList"]]


def test_choices_joins_and_comparisons() -> None:
    (unlock, *_) = words_of(message_class("Trd_UnlockTrade.C2S").DESCRIPTOR, 0)
    place = unlock[0][0]
    assert isinstance(place, Place)
    assert place.choice == ("unlock", "lock")
    (_, code, *_) = words_of(message_class("Trd_PlaceOrder.C2S").DESCRIPTOR, 0)
    place = code[0][0]
    assert isinstance(place, Place)
    assert (place.sign, place.second and place.second.name) == ("+", "secMarket")
    ticker = [p for g in words_of(message_class("Qot_Common.Ticker").DESCRIPTOR, 0) for w in g for p in w]
    assert [p.above for p in ticker if isinstance(p, Place) and p.field.name == "type"] == [1]


def test_every_template_is_of_a_type_and_names_its_fields() -> None:
    empty = [name for name in TEMPLATES if not list(words_of(message_class(name).DESCRIPTOR, 0))]
    assert empty == []


def test_a_type_without_a_template_shows_its_fields_and_the_trade_header_last() -> None:
    name = "Trd_GetFunds.C2S"
    assert name not in TEMPLATES
    groups = words(name)
    assert groups[-1] == [["header"]]
    assert [[("currency=",), "currency"]] in groups


@pytest.mark.parametrize(
    ("message", "field", "expected"),
    [
        ("Trd_PlaceOrder.C2S", "qty", "always"),
        ("Trd_PlaceOrder.C2S", "price", "present"),
        ("Trd_PlaceOrder.C2S", "code", "not-zero"),
        ("Qot_Sub.C2S", "securityList", "not-zero"),
        ("Trd_PlaceOrder.C2S", "session", "not-zero"),
    ],
    ids=["required", "optional", "a text", "a list", "an enum whose 0 is NONE"],
)
def test_when_a_value_is_shown(message: str, field: str, expected: str) -> None:
    assert condition_of(fields_by_name(message_class(message).DESCRIPTOR)[field]) == expected


def test_a_security_is_one_value() -> None:
    fields = fields_by_name(message_class("Qot_UpdateOrderBook.S2C").DESCRIPTOR)
    assert not is_nested(fields["security"])
    assert is_nested(fields["orderBookBidList"])
