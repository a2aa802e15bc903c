"""Columnar types: the columns of bodies that stand one after the other, against those that a loop collects."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from decoder import schema
from decoder.schema.columnar import columnar_class
from tests.support.random_messages import random_message, vendor_classes

TYPES = ("Qot_UpdateOrderBook.Response", "Qot_GetSecuritySnapshot.Response", "Trd_GetOrderList.Response")


def columns_of(messages: list[Any]) -> dict[str, Any]:
    """Each field of `messages`, of one type: the values where it is present, or likewise of what is in it."""
    found: dict[str, Any] = {}
    for message in messages:
        for field, value in message.ListFields():
            is_list = not isinstance(field.default_value, (int, float, str, bytes)) and field.default_value is not None
            found.setdefault(field.name, []).extend(value if is_list else [value])
    return {name: columns_of(values) if hasattr(values[0], "ListFields") else values for name, values in found.items()}


def columns_in(message: Any) -> dict[str, Any]:
    """Likewise of one message of a columnar type."""
    return {
        field.name: columns_in(value) if hasattr(value, "ListFields") else list(value)
        for field, value in message.ListFields()
    }


def flat(columns: dict[str, Any], path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, values in columns.items():
        found += flat(values, f"{path}.{name}") if isinstance(values, dict) else [(f"{path}.{name}", values)]
    return found


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("density", [0.5, 1.0])
def test_columns(name: str, density: float) -> None:
    random = Random(name)
    bodies = [random_message(vendor_classes()[name], random, density=density) for _ in range(10)]
    data = b"".join(body.SerializeToString() for body in bodies)
    ours = [schema.message_class(name).FromString(body.SerializeToString()) for body in bodies]
    found, wanted = columns_in(columnar_class(name).FromString(data)), columns_of(ours)
    assert repr(sorted(flat(found))) == repr(sorted(flat(wanted)))


def test_the_type_is_made_once() -> None:
    assert columnar_class(TYPES[0]) is columnar_class(TYPES[0])
