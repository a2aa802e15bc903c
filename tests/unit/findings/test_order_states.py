"""The states of one order, told by several connections, late, twice, and by lists."""

from __future__ import annotations

from random import Random

import pytest

from decoder.findings.order_rows import MAX_ENTRIES, Change, Order, State
from decoder.findings.order_states import Added, add_state

SUBMITTED, CANCELLING, FILLED_PART, FILLED_ALL, CANCELLED_ALL, DISABLED, DELETED = 5, 12, 10, 11, 15, 22, 23


def state(number: int, time_ns: int = 0, *, filled: float = 0.0, qty: float = 100.0, source: str = "push") -> State:
    return State(time_ns, number, str(number), filled, None, qty, 1.0, source, time_ns)  # type: ignore[arg-type]


def new() -> Order:
    return Order("1", "REAL", "HK", 0, 0)


def path(order: Order) -> list[int]:
    return [each.number for each in order.states]


LIFE = [(2, 0.0), (SUBMITTED, 0.0), (FILLED_PART, 40.0), (FILLED_ALL, 100.0)]


def test_states_come_in_the_order_in_which_they_are_told() -> None:
    order = new()
    added = [add_state(order, state(number, at, filled=filled), 0) for at, (number, filled) in enumerate(LIFE)]
    assert path(order) == [number for number, _ in LIFE]
    assert added == [Added(True, True)] * 4


def test_a_state_that_is_told_again_is_not_new() -> None:
    order = new()
    add_state(order, state(SUBMITTED, 5), 0)
    assert add_state(order, state(SUBMITTED, 9), 0) == Added(False, True)
    assert add_state(order, state(SUBMITTED, 3), 1) == Added(False, True)
    assert [(each.time_ns, each.message) for each in order.states] == [(3, 3)]  # the earliest that told it


def test_a_connection_that_lags_behind_repeats_what_is_known() -> None:
    order = new()
    for ordinal in (0, 1):
        for at, (number, filled) in enumerate(LIFE):
            added = add_state(order, state(number, at + 10 * ordinal, filled=filled), ordinal)
            assert added.went_back_from is None
    assert path(order) == [number for number, _ in LIFE]


def test_what_the_others_missed_is_put_in_its_place() -> None:
    order = new()
    for number, filled in (LIFE[0], LIFE[3]):
        add_state(order, state(number, filled=filled), 0)
    assert add_state(order, state(*LIFE[1][:1]), 1) == Added(True, False)
    assert path(order) == [2, SUBMITTED, FILLED_ALL]


@pytest.mark.parametrize("seed", range(30))
def test_any_interleaving_of_connections_gives_the_life_of_the_order(seed: int) -> None:
    """Each connection tells every state in its order, some twice; they lag behind each other as they like."""
    random, order = Random(seed), new()
    left = {ordinal: [each for each in LIFE for _ in range(random.choice((1, 1, 2)))] for ordinal in range(3)}
    while any(left.values()):
        ordinal = random.choice([each for each, states in left.items() if states])
        number, filled = left[ordinal].pop(0)
        assert add_state(order, state(number, filled=filled), ordinal).went_back_from is None
    assert path(order) == [number for number, _ in LIFE]


def test_a_connection_that_tells_an_earlier_state_after_a_final_one_went_back() -> None:
    order = new()
    add_state(order, state(FILLED_ALL, filled=100.0), 0)
    added = add_state(order, state(SUBMITTED, 5), 0)
    assert added.went_back_from is not None
    assert added.went_back_from.number == FILLED_ALL


def test_a_smaller_filled_quantity_went_back_and_an_enabled_order_did_not() -> None:
    order = new()
    add_state(order, state(FILLED_PART, filled=40.0), 0)
    assert add_state(order, state(FILLED_PART, 1, filled=30.0), 0).went_back_from is not None
    order = new()
    add_state(order, state(DISABLED), 0)
    assert add_state(order, state(SUBMITTED, 1), 0) == Added(True, True)


def test_a_list_is_not_older_than_its_request() -> None:
    """Asked at 10, when FILLED_PART was told already: SUBMITTED in it is the state of another, slower server."""
    order = new()
    for at, (number, filled) in enumerate(LIFE):
        add_state(order, state(number, at * 5, filled=filled), 0)
    assert add_state(order, state(FILLED_PART, 16, filled=40.0, source="list"), 0, asked_ns=10) == Added(False, False)
    assert path(order) == [number for number, _ in LIFE]


@pytest.mark.parametrize(
    ("op", "number", "effect"),
    [
        ("CANCEL", CANCELLED_ALL, True),
        ("CANCEL", FILLED_ALL, False),
        ("CANCEL", CANCELLING, None),
        ("DELETE", DELETED, True),
        ("DISABLE", DISABLED, True),
        ("ENABLE", SUBMITTED, True),
        ("ENABLE", DISABLED, None),
    ],
)
def test_the_next_state_shows_what_became_of_a_change(op: str, number: int, effect: bool | None) -> None:
    order = new()
    add_state(order, state(SUBMITTED), 0)
    order.changes.append(Change(5, op, None, None, 1, 0))
    filled = 100.0 if number == FILLED_ALL else 0.0
    add_state(order, state(number if number != SUBMITTED else 6, 9, filled=filled), 0)
    assert order.changes[0].effect is effect


def test_a_changed_quantity_shows_in_the_state() -> None:
    order = new()
    add_state(order, state(SUBMITTED), 0)
    order.changes.append(Change(5, "NORMAL", 200.0, None, 1, 0))
    add_state(order, state(SUBMITTED, 9, qty=200.0), 0)
    assert order.changes[0].effect is True


def test_a_state_from_before_the_change_shows_nothing() -> None:
    order = new()
    order.changes.append(Change(50, "CANCEL", None, None, 1, 0))
    add_state(order, state(FILLED_ALL, 9, filled=100.0), 0)
    assert order.changes[0].effect is None


def test_states_and_tellers_are_bounded() -> None:
    order = new()
    for number in range(1_000):
        add_state(order, state(SUBMITTED, number, filled=float(number)), number)
    assert len(order.states) == len(order.told) == MAX_ENTRIES
    assert order.notes == ["limit"]
