"""Bodies that may hold secrets although nobody can read their fields."""

from __future__ import annotations

import pytest

from decoder.schema import protocols
from decoder.schema.secrecy import may_hold_secrets


@pytest.mark.parametrize(
    ("proto_id", "expected"),
    [(1001, True), (2005, True), (1006, True), (3004, False), (2202, False), (1050, True), (1099, True), (9998, False)],
    ids=["InitConnect", "UnlockTrade", "Verification", "quotes", "an order", "unknown", "the last", "unknown, far off"],
)
def test_by_protocol_whichever_the_direction(proto_id: int, expected: bool) -> None:
    assert may_hold_secrets(proto_id) is expected


def test_quotes_and_orders_hold_none() -> None:
    found = {known.name for known in protocols() if known.name.startswith("Qot_") and may_hold_secrets(known.proto_id)}
    assert found == set()
