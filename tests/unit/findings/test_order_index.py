"""Orders under their ids."""

from __future__ import annotations

from types import SimpleNamespace

from decoder.findings.order_index import OrderIndex
from decoder.findings.order_rows import Order, State

HEADER = SimpleNamespace(accID=7, trdEnv=1, trdMarket=1)
OTHER = SimpleNamespace(accID=8, trdEnv=1, trdMarket=1)


def found(index: OrderIndex, order_id: int = 0, ex: str = "", header: SimpleNamespace = HEADER) -> Order:
    order = index.find(header, order_id, ex, 10)
    assert order is not None
    return order


def state(number: int) -> State:
    return State(0, number, "", 0.0, None, 1.0, 1.0, "push", 1)


def test_an_order_is_found_under_each_of_its_ids() -> None:
    index = OrderIndex(100)
    order = found(index, 5, "EX5")
    assert found(index, 5) is found(index, 0, "EX5") is order
    assert (order.order_id, order.order_id_ex, order.account, order.env, order.market) == (
        "5",
        "EX5",
        "7",
        "REAL",
        "HK",
    )


def test_the_same_id_of_another_account_is_another_order() -> None:
    index = OrderIndex(100)
    assert found(index, 5) is not found(index, 5, header=OTHER)


def test_an_id_that_comes_later_belongs_to_the_order() -> None:
    index = OrderIndex(100)
    order = found(index, 0, "EX5")
    assert index.identify(order, 5, "") is order
    assert found(index, 5) is order


def test_two_entries_that_turn_out_to_be_one_are_merged() -> None:
    """A push told of the order by its id before the response to its request did."""
    index = OrderIndex(100)
    placed = index.new(HEADER, 20)
    pushed = found(index, 5, "EX5")
    assert placed is not None
    pushed.states.append(state(5))
    pushed.note_message(3, 10, 1)
    placed.note_message(9, 20, 0)
    placed.symbol = "HK.00700"
    one = index.identify(placed, 5, "EX5")
    assert one is pushed
    assert index.resolve(placed) is one
    assert list(index.orders()) == [one]
    assert (one.symbol, one.messages, one.connections, one.first_ns) == ("HK.00700", [3, 9], [0, 1], 10)
    assert found(index, 5) is found(index, 0, "EX5") is one


def test_an_entry_is_resolved_over_several_merges() -> None:
    index = OrderIndex(100)
    first, second, third = index.new(HEADER, 1), found(index, 1), found(index, 0, "EX")
    assert first is not None
    second.states.append(state(5))
    third.states.append(state(5))
    index.identify(first, 1, "")
    last = index.identify(second, 1, "EX")
    assert index.resolve(first) is index.resolve(second) is index.resolve(third) is last


def test_orders_are_bounded_and_the_rest_is_counted() -> None:
    index = OrderIndex(2)
    assert [index.find(HEADER, number, "", 0) is None for number in (1, 2, 3, 1)] == [False, False, True, False]
    assert index.dropped == 1
    assert index.find(HEADER, 0, "", 0) is None  # no id, no order


def test_an_order_that_is_given_ever_new_ids_keeps_its_first() -> None:
    index = OrderIndex(100)
    order = found(index, 1, "EX1")
    for number in range(2, 1_000):
        index.identify(order, number, f"EX{number}")
    assert len(index._by_key) == 2


def test_cancel_all_means_the_open_orders_of_its_account_and_market() -> None:
    index = OrderIndex(100)
    first, second, other = found(index, 1), found(index, 2), found(index, 3, header=OTHER)
    assert index.newest_open(HEADER, None) == [second, first]
    assert index.newest_open(HEADER, "HK") == [second, first]
    assert index.newest_open(HEADER, "US") == []
    first.states.append(state(11))
    index.follow_state(first)
    assert index.newest_open(HEADER, None) == [second]
    first.states.append(state(5))
    index.follow_state(first)
    assert set(map(id, index.newest_open(HEADER, None))) == {id(first), id(second)}
    assert other in index.newest_open(OTHER, None)
