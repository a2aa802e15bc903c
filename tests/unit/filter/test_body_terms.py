"""Paths into a body in ``--where``: on bodies of the vendor's classes."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.filter.body_terms import body_predicate
from decoder.filter.values import NoSuchValue, Value
from decoder.schema import body_class
from tests.support.session import order, request, response


class Given:
    """Stands for a message: it has nothing but a body."""

    def __init__(self, proto_id: int, direction: str, data: bytes | None) -> None:
        cls = body_class(proto_id, direction)
        assert cls is not None
        self.protobuf: Any = None if data is None else cls.FromString(data)


ORDER = Given(2202, "c2s", order(5, code="00700", price=400.2))
SNAPSHOT = Given(
    3203, "c2s", request("Qot_GetSecuritySnapshot", securityList=[{"market": 1, "code": c} for c in ("00700", "00005")])
)
REFUSED = Given(3203, "s2c", response("Qot_GetSecuritySnapshot", -1, "too often"))
UNREADABLE = Given(3203, "s2c", None)


def holds(given: Given, path: str, sign: str, text: str) -> bool:
    parts = tuple(text.split("*"))
    test = body_predicate(path.split("."), sign, Value(text, parts if len(parts) > 1 else None, text == "null"))
    assert test is not None
    return test(given)


def test_a_field_by_its_value() -> None:
    assert holds(ORDER, "c2s.code", "=", "00700")
    assert holds(ORDER, "c2s.code", "=", "007*")
    assert not holds(ORDER, "c2s.code", "!=", "00700")
    assert holds(ORDER, "c2s.price", ">", "400")
    assert holds(ORDER, "c2s.header.trdEnv", "=", "REAL")
    assert not holds(ORDER, "c2s.header.trdEnv", "=", "SIMULATE")


def test_one_item_of_a_list_is_enough_and_unequal_means_none() -> None:
    path = "c2s.securityList.code"
    assert holds(SNAPSHOT, path, "=", "00005")
    assert not holds(SNAPSHOT, path, "!=", "00005")
    assert holds(SNAPSHOT, path, "!=", "00001")


def test_null_is_absent_and_so_is_every_field_of_another_message() -> None:
    assert holds(REFUSED, "s2c", "=", "null")
    assert not holds(REFUSED, "retMsg", "=", "null")
    assert holds(ORDER, "c2s.securityList", "=", "null")
    assert not holds(ORDER, "c2s.securityList", "!=", "null")
    assert holds(UNREADABLE, "retMsg", "=", "null")


def test_unequal_wants_the_field_to_be_there() -> None:
    assert not holds(SNAPSHOT, "c2s.price", "!=", "1")
    assert not holds(UNREADABLE, "retMsg", "!=", "x")


def test_a_path_that_no_message_has_is_none() -> None:
    assert body_predicate(["c2s", "noSuchField"], "=", Value("1", None, False)) is None


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("c2s.pwdMD5", "0123", "pwdMD5 is redacted"),
        ("c2s.header", "1", "is an object"),
        ("c2s.qty", "many", "expected a number"),
        ("c2s.unlock", "yes", "true or false"),
    ],
)
def test_values_that_no_field_of_the_path_takes_are_refused(path: str, text: str, problem: str) -> None:
    with pytest.raises(NoSuchValue, match=problem):
        body_predicate(path.split("."), "=", Value(text, None, False))


def test_an_order_of_enum_numbers_is_allowed() -> None:
    assert holds(ORDER, "c2s.trdSide", ">=", "1")
    assert not holds(ORDER, "c2s.trdSide", ">", "1")
