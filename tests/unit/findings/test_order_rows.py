"""The rows of the order ledger."""

from __future__ import annotations

import json

import pytest

from decoder.findings.order_rows import MAX_ENTRIES, ORDER_KEYS, Change, Fill, Order, Placed, State

FILLED_ALL, CANCELLED_ALL, FAILED, SUBMITTED, FILL_CANCELLED, TIMED_OUT = 11, 15, 21, 5, 24, 4


def state(number: int, *, filled: float = 0.0, updated: float | None = None, qty: float = 100.0) -> State:
    return State(3_000_000, number, "status", filled, 1.5, qty, 2.0, "push", 4, updated)


def order(*states: State, placed: Placed | None = None) -> Order:
    found = Order("7", "REAL", "HK", 1_000_000, 9_000_000)
    found.states += states
    found.placed = placed
    return found


def test_the_record_has_every_key_and_is_json() -> None:
    full = order(state(SUBMITTED), placed=Placed(1_000_000, 1, 0, (2**63, 5), response=2, latency_ns=1_500_000))
    full.fills.append(Fill(4_000_000, "F1", 100.0, 2.0, "OK", 5))
    full.changes.append(Change(5_000_000, "CANCEL", None, None, 6, 0))
    record = full.record()
    assert list(record) == list(ORDER_KEYS)
    assert record["placed"]["packet_id"] == {"connID": str(2**63), "serialNo": 5}
    assert record["placed"]["latency_ms"] == 1.5
    assert set(record["states"][0]) == {"time", "status", "filled_qty", "avg_price", "source", "message"}
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize(
    ("number", "filled", "outcome"),
    [
        (FILLED_ALL, 100.0, "filled"),
        (CANCELLED_ALL, 0.0, "cancelled"),
        (CANCELLED_ALL, 40.0, "partly-filled"),
        (FAILED, 0.0, "failed"),
        (SUBMITTED, 0.0, "working"),
        (FILL_CANCELLED, 100.0, "failed"),
        (TIMED_OUT, 0.0, "unknown"),
    ],
)
def test_the_outcome_by_the_last_state(number: int, filled: float, outcome: str) -> None:
    assert order(state(SUBMITTED), state(number, filled=filled)).outcome == outcome


@pytest.mark.parametrize(
    ("response", "accepted", "outcome"),
    [(None, None, "unanswered"), (2, False, "refused"), (2, True, "unknown"), (2, None, "unknown")],
)
def test_the_outcome_without_a_state_by_the_response(response: int | None, accepted: bool | None, outcome: str) -> None:
    assert order(placed=Placed(0, 1, 0, (1, 1), response=response, accepted=accepted)).outcome == outcome
    assert order().outcome == "unknown"


def test_the_filled_quantity_is_that_of_the_state_else_the_sum_of_the_fills() -> None:
    found = order()
    assert found.filled_qty is None
    found.fills += [Fill(0, "1", 30.0, 1.0, None, 1), Fill(0, "2", 20.0, 1.0, None, 1)]
    assert found.filled_qty == 50.0
    found.states.append(state(SUBMITTED, filled=40.0))
    assert found.filled_qty == 40.0


def test_the_older_state_by_the_brokers_clock_else_by_what_orders_go_through() -> None:
    assert state(FILLED_ALL, updated=1.0).is_older(state(SUBMITTED, updated=2.0))
    assert state(SUBMITTED).is_older(state(FILLED_ALL))
    assert not state(FILLED_ALL).is_older(state(SUBMITTED))
    assert state(10, filled=10.0).is_older(state(10, filled=20.0))
    assert not state(SUBMITTED).is_older(state(FILLED_ALL, qty=200.0))  # a change may have sent it back


def test_messages_and_connections_are_noted_once_and_bounded() -> None:
    found = order()
    for number in (5, 5, 6):
        found.note_message(number, number * 1_000_000, 3)
    assert (found.messages, found.connections, found.first_ns, found.last_ns) == ([5, 6], [3], 1_000_000, 9_000_000)
    for number in range(1_000):
        found.note_message(number, number, number)
    assert len(found.messages) == len(found.connections) == MAX_ENTRIES
    assert found.notes == ["limit"]
