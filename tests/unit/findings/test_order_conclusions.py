"""What the end of a capture allows to conclude on orders."""

from __future__ import annotations

import pytest

from decoder.findings.order_conclusions import OrderConnection, conclude
from decoder.findings.order_rows import Change, Order, Placed, State

SECOND = 1_000_000_000
SUBMITTED, CANCELLING, FILLED_ALL = 5, 12, 11


def state(number: int, time_s: float = 0) -> State:
    return State(int(time_s * SECOND), number, "", 0.0, None, 100.0, 1.0, "push", 1)


def order(*, placed: bool = True, pushed: bool = True, states: tuple[State, ...] = ()) -> Order:
    found = Order("7", "REAL", "HK", 0, 100 * SECOND)
    if placed:
        found.placed = Placed(0, 1, 0, (1, 1), accepted=True)
    if pushed:
        found.first_push_ns = SECOND
    found.states += states
    found.connections = [0]
    return found


def connection(*, last_s: float = 1_000, subscribed: bool = True) -> OrderConnection:
    found = OrderConnection(0)
    found.last_ns, found.handshake = int(last_s * SECOND), True
    found.accounts = frozenset(("7",)) if subscribed else frozenset()
    return found


def notes(found: Order, at: OrderConnection, pushed_accounts: frozenset[str] = frozenset()) -> list[str]:
    conclude([found], {0: at}, pushed_accounts)
    return found.notes


def test_an_order_that_was_seen_whole_has_no_note() -> None:
    assert notes(order(states=(state(FILLED_ALL),)), connection()) == []


def test_an_order_whose_request_is_not_there_was_placed_before_or_is_lost() -> None:
    assert notes(order(placed=False), connection()) == ["placed-before-capture"]
    lossy = connection()
    lossy.gap(1, "c2s")
    assert notes(order(placed=False), lossy) == ["gap"]
    elsewhere = order(placed=False)
    elsewhere.add_note("placed-elsewhere")
    assert notes(elsewhere, connection()) == ["placed-elsewhere"]


def asks(found: Order, price: float = 400.2) -> Order:
    found.symbol, found.side, found.qty, found.price = "HK.00700", "BUY", 100.0, price
    return found


def unanswered(at_s: int = 0) -> Order:
    found = asks(order(pushed=False))
    assert found.placed is not None
    found.placed.accepted, found.placed.time_ns = None, at_s * SECOND
    return found


def test_an_order_like_a_request_without_an_answer_was_probably_placed_by_it() -> None:
    """One order for each such request; not one that was heard of before, nor one that differs."""
    several = [asks(order(placed=False)) for _ in range(2)]
    for number, each in enumerate(several):
        each.order_id, each.first_ns = str(number), (number + 1) * SECOND
    conclude([unanswered(), *several], {0: connection()}, frozenset())
    assert [each.notes for each in several] == [["placed-unanswered"], ["placed-before-capture"]]
    for request, other in (
        (unanswered(at_s=1_000), asks(order(placed=False))),
        (unanswered(), asks(order(placed=False), price=400.4)),
        (asks(order()), asks(order(placed=False))),
    ):
        conclude([request, other], {0: connection()}, frozenset())
        assert other.notes == ["placed-before-capture"]


def test_nobody_who_placed_it_can_hear_of_it() -> None:
    assert notes(order(pushed=False), connection(subscribed=False)) == ["trade-push-not-subscribed"]
    assert notes(order(pushed=False), connection()) == []
    assert notes(order(), connection(subscribed=False)) == []
    assert notes(order(pushed=False), connection(subscribed=False), frozenset(("7",))) == []
    unknown = connection(subscribed=False)
    unknown.handshake = False
    assert notes(order(pushed=False), unknown) == []


@pytest.mark.parametrize(("gap_s", "over", "expected"), [(50, True, ["gap"]), (200, True, []), (200, False, ["gap"])])
def test_a_gap_counts_while_an_order_is_open(gap_s: int, over: bool, expected: list[str]) -> None:
    at = connection()
    at.gap(gap_s * SECOND, "s2c")
    assert notes(order(states=(state(FILLED_ALL if over else SUBMITTED),)), at) == expected


def effect(found: Order, at: OrderConnection, *, op: str = "CANCEL", accepted: bool | None = True) -> bool | None:
    found.changes.append(Change(SECOND, op, None, None, 2, 0, response=3, response_ns=2 * SECOND, accepted=accepted))
    conclude([found], {0: at}, frozenset())
    return found.changes[0].effect


def test_an_accepted_change_of_which_nothing_came() -> None:
    assert effect(order(states=(state(SUBMITTED),)), connection(last_s=13)) is False


@pytest.mark.parametrize("why", ["too soon", "a gap", "no push ever", "refused", "on its way"])
def test_what_leaves_it_open(why: str) -> None:
    at = connection(last_s=11 if why == "too soon" else 1_000)
    if why == "a gap":
        at.gap(5, "s2c")
    states = (state(SUBMITTED), state(CANCELLING, 3)) if why == "on its way" else (state(SUBMITTED),)
    found = order(pushed=why != "no push ever", states=states)
    assert effect(found, at, accepted=None if why == "refused" else True) is None


def test_a_change_to_what_is_so_already_has_its_effect_in_the_state() -> None:
    assert effect(order(states=(state(SUBMITTED),)), connection(), op="NORMAL") is None


def test_times_of_gaps_are_bounded() -> None:
    at = OrderConnection(0)
    for number in range(10_000):
        at.gap(number, "s2c")
    assert len(at.gaps) == 256
    assert not at.lost_requests
