"""The budget of hashing and scanning: paid by bytes that arrive, never more than its maximum."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from decoder.framing.budget import Budget


def test_it_begins_full_and_refuses_what_it_cannot_pay() -> None:
    budget = Budget(100)
    assert not budget.spend(101)
    assert budget.spend(100)
    assert not budget.spend(1)
    assert budget.spend(0)


def test_scanning_a_byte_costs_as_much_as_hashing_sixteen() -> None:
    budget = Budget(160)
    assert budget.spend_scan(10)
    assert not budget.spend(1)


def test_each_byte_that_arrives_pays_for_24() -> None:
    budget = Budget(1_000)
    assert budget.spend(1_000)
    budget.credit(10)
    assert budget.spend(240)
    assert not budget.spend(1)
    budget.credit(1_000_000)
    assert not budget.spend(1_001)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5_000)), max_size=50))
def test_what_is_hashed_is_bounded_by_what_arrived(steps: list[tuple[bool, int]]) -> None:
    """Whatever a hostile stream makes us try: the work is linear in its bytes."""
    budget, arrived, hashed = Budget(10_000), 0, 0
    for arrives, size in steps:
        if arrives:
            budget.credit(size)
            arrived += size
        elif budget.spend(size):
            hashed += size
        assert hashed <= 10_000 + 24 * arrived
