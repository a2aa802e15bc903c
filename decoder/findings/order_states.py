"""Puts the states of an order in order: each connection repeats them, some late, and lists are older than pushes."""

from __future__ import annotations

from typing import NamedTuple

from decoder.findings.order_rows import (
    CANCELLED_ALL,
    CANCELLED_PART,
    DELETED,
    DISABLED,
    FILL_CANCELLED,
    FINAL,
    MAX_ENTRIES,
    Change,
    Order,
    State,
)

__all__ = ["Added", "add_state", "is_as_asked"]


class Added(NamedTuple):
    """Says how a state fits into those that were known."""

    new: bool
    """True if it was not known and is kept."""
    newest: bool
    """True if it is the last one, known before or new."""
    went_back_from: State | None = None
    """State after which it must not come, shown by the same connection."""


def add_state(order: Order, state: State, ordinal: int, asked_ns: int | None = None) -> Added:
    """Inserts a state that connection `ordinal` showed, unless it is known; judges the changes that wait for an effect.

    Each connection shows the states in their order, but one may lag behind another, and a list may be older than
    a push: so a state counts as a repetition if it equals one that this connection has not shown yet.

    :param asked_ns: time of the request, of a state in a list: the list is not older
    """
    states, told = order.states, order.told
    start = told.get(ordinal, -1)
    if states and start == len(states) - 1 and states[-1].same(state):
        _tell_earlier(states[-1], state)
        return Added(False, True)  # by far the most frequent case
    if asked_ns is not None:
        current = [place for place, known in enumerate(states) if known.time_ns <= asked_ns]
        start = min(start, (current[-1] if current else 0) - 1)
    known_at = next((place for place in range(max(start, 0), len(states)) if states[place].same(state)), None)
    if known_at is not None:
        last_told = told.get(ordinal, -1)
        if state.source == "push" or known_at > last_told:
            _note_told(order, ordinal, known_at)
        _tell_earlier(states[known_at], state)
        return Added(False, known_at == len(states) - 1)
    if len(states) >= MAX_ENTRIES:
        order.add_note("limit")
        return Added(False, False)
    return _insert(order, state, ordinal, start + 1)


def _insert(order: Order, state: State, ordinal: int, earliest: int) -> Added:
    states, told = order.states, order.told
    told_before, place = ordinal in told, len(states)
    while place > max(earliest, 0) and state.is_older(states[place - 1]):
        place -= 1  # the other connections showed more, but missed this one
    before = states[place - 1] if place else None
    if place < len(states):
        for other, last in told.items():
            if last >= place:
                told[other] = last + 1
    states.insert(place, state)
    _note_told(order, ordinal, place)
    for change in order.changes:
        if change.effect is None and change.time_ns <= state.time_ns:
            change.effect = _effect(change, before, state)
    back = before is not None and told_before and _went_back(before, state)
    return Added(True, place == len(states) - 1, before if back else None)


def _note_told(order: Order, ordinal: int, place: int) -> None:
    if ordinal in order.told or len(order.told) < MAX_ENTRIES:
        order.told[ordinal] = place


def _tell_earlier(known: State, state: State) -> None:
    """Copies time and message of a state that came earlier on another connection, whose messages came out later."""
    if state.time_ns < known.time_ns:
        known.time_ns, known.message, known.source = state.time_ns, state.message, state.source


def _effect(change: Change, before: State | None, state: State) -> bool | None:
    """Judges a change by the next state of its order; None while it stays open."""
    number = state.number
    if change.op == "NORMAL":
        if before is not None and is_as_asked(change, before):
            return None  # it asks for what is so already
        if is_as_asked(change, state):
            return True
    elif change.op == "CANCEL":
        if number in (CANCELLED_PART, CANCELLED_ALL, DELETED):
            return True
    elif change.op == "DISABLE":
        if number == DISABLED:
            return True
    elif change.op == "ENABLE":
        return number != DISABLED or None
    elif number == DELETED:
        return True
    return False if number in FINAL else None


def is_as_asked(change: Change, state: State) -> bool:
    """Returns True if `state` has the quantity and price that `change` asked for."""
    return (change.qty is None or change.qty == state.qty) and (change.price is None or change.price == state.price)


def _went_back(before: State, state: State) -> bool:
    if state.number == FILL_CANCELLED or before.number == DISABLED:
        return False
    return (before.number in FINAL and state.number not in FINAL) or state.filled_qty < before.filled_qty
