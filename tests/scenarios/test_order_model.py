"""10,000 orders on 8 connections, with losses, repeats, reordering and reconnects: the ledger equals the model."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

import decoder
from decoder import Message
from decoder.findings.order_rows import Order
from decoder.findings.orders import OrderLedger
from tests.support.order_model import Identity, Market, expected


def followed(market: Market) -> tuple[list[Order], dict[Identity, Message]]:
    each, ledger = decoder.Decoder(), OrderLedger()
    came: dict[Identity, Message] = {}
    batches = [each.feed(data, time_ns) for data, time_ns in market.packets()]
    for item in (item for batch in [*batches, each.flush()] for item in batch):
        ledger.add(item)
        if isinstance(item, Message):
            port = int((item.src if item.direction == "c2s" else item.dst).rpartition(":")[2])
            came[port, item.direction, item.proto_id, item.serial_no] = item
    return ledger.finish(), came


def shown(order: Order) -> dict[str, Any]:
    """What the model speaks of."""
    placed = order.placed
    return {
        "order_id": order.order_id,
        "placed": None if placed is None else (placed.message, placed.response),
        "states": [(state.status, state.filled_qty, state.message, state.time_ns) for state in order.states],
        "fills": [(fill.qty, fill.message, fill.time_ns) for fill in order.fills],
        "outcome": order.outcome,
        "filled_qty": order.filled_qty if order.states else None,
        "first_push_ms": order.first_push_ms,
        "done_ms": order.done_ms,
        "connections": order.connections,
        "messages": sorted(order.messages),
    }


@pytest.mark.parametrize(("seed", "count"), [(0, 10_000), (1, 400), (2, 400), (3, 400)])
def test_the_ledger_equals_the_model(seed: int, count: int) -> None:
    market = Market(Random(seed), count, 8)
    orders, came = followed(market)
    wanted = {row["messages"][0]: row for order in market.orders for row in expected(order, came)}
    found = {row["messages"][0]: row for row in map(shown, orders)}
    wrong = [
        (wanted.get(key), found.get(key)) for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)
    ]
    assert not wrong, f"{len(wrong)} of {len(wanted)}: {wrong[:3]}"
    if count == 10_000:
        assert len(found) > 9_900
        assert min(Counter(order.outcome for order in orders).values()) > 100


def test_without_dirt_every_change_has_its_effect() -> None:
    market = Market(Random(9), 300, 8, dirt=False)
    orders, _ = followed(market)
    changes = [change for order in orders for change in order.changes]
    assert len(changes) == sum(order.change is not None for order in market.orders) > 50
    assert all(change.effect is True for change in changes)
    assert {change.op for change in changes} == {"NORMAL", "CANCEL"}
    assert all(not order.notes for order in orders if order.placed is not None)
