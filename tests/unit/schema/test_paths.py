"""Paths into bodies, as users write them."""

from __future__ import annotations

import pytest

from decoder.schema import message_class
from decoder.schema.paths import did_you_mean, find_fields, places, unknown_path

REQUEST = message_class("Trd_PlaceOrder.Request").DESCRIPTOR


def test_the_fields_along_a_path() -> None:
    found = find_fields(REQUEST, ["c2s", "header", "trdEnv"])
    assert found is not None
    assert [field.full_name for field in found] == [
        "Trd_PlaceOrder.Request.c2s",
        "Trd_PlaceOrder.C2S.header",
        "Trd_Common.TrdHeader.trdEnv",
    ]


@pytest.mark.parametrize("path", [["s2c"], ["c2s", "nope"], ["c2s", "code", "deeper"]])
def test_a_path_that_a_message_does_not_have(path: list[str]) -> None:
    assert find_fields(REQUEST, path) is None


def test_a_path_stands_for_every_body_that_has_it() -> None:
    roots = {root.full_name for root, _ in places(["c2s", "header", "accID"])}
    assert {"Trd_PlaceOrder.Request", "Trd_ModifyOrder.Request", "Trd_GetFunds.Request"} <= roots
    assert all(name.endswith(".Request") for name in roots)
    assert not any(places(["c2s", "noSuchField"]))


@pytest.mark.parametrize(
    ("path", "index", "words"),
    [
        (["c2x"], 0, "no body has a field c2x; did you mean c2s"),
        (["c2s", "cod"], 1, "no body.c2s has a field cod; did you mean code"),
        (["c2s", "code", "length"], 2, "body.c2s.code is a value, there is nothing in it"),
        (["c2s", "zzzzzzzzz"], 1, "no body.c2s has a field zzzzzzzzz"),
    ],
)
def test_the_first_wrong_name_is_explained(path: list[str], index: int, words: str) -> None:
    at, text = unknown_path(path)
    assert at == index
    assert text.startswith(words)


def test_suggestions_are_the_rest_of_a_sentence() -> None:
    assert did_you_mean("OrdrID", ["orderID", "other"]) == "; did you mean orderID?"
    assert did_you_mean("zzz", ["orderID"]) == ""
