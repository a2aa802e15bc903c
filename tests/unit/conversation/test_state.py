"""The states of a connection: the table of transitions, as docs/architecture.md has it, and its properties."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from decoder.conversation.state import TRANSITIONS, Event, SharedState, State
from decoder.conversation.summary import ConnectionInfo
from decoder.crypto.keyring import KeyRing
from decoder.limits import Limits
from decoder.vocabulary import Arrival


def shared() -> SharedState:
    return SharedState(ConnectionInfo(0, "a:1", "b:2", 0, 0), KeyRing(), Limits(), Arrival((1,), 0))


def after(*events: Event) -> State:
    state = shared()
    for event in events:
        state.handle(event)
    return state.state


def test_a_connection_begins_open_and_ends_by_fin_or_reset() -> None:
    assert after() is State.OPEN
    assert after(Event.FINS_REACHED) is State.CLOSED
    assert after(Event.RST_REACHED) is State.RESET


def test_data_that_continues_shows_that_the_end_was_forged() -> None:
    assert after(Event.RST_REACHED, Event.DATA_CONTINUES) is State.OPEN
    assert after(Event.FINS_REACHED, Event.DATA_CONTINUES) is State.OPEN


def test_the_later_of_two_ends_counts() -> None:
    assert after(Event.FINS_REACHED, Event.RST_REACHED) is State.RESET
    assert after(Event.RST_REACHED, Event.FINS_REACHED) is State.CLOSED


@given(st.lists(st.sampled_from(Event), max_size=10))
def test_what_is_finished_stays_finished(events: list[Event]) -> None:
    assert after(Event.FINISH, *events) is State.FINISHED
    assert after(*events, Event.FINISH) is State.FINISHED


def test_every_state_is_reached_and_every_one_but_the_last_is_left() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.FINISHED}
    assert set(TRANSITIONS.values()) == set(State)
    assert all(TRANSITIONS[state, Event.FINISH] is State.FINISHED for state in set(State) - {State.FINISHED})


def test_an_event_that_is_not_listed_changes_nothing() -> None:
    for state, event in product(State, Event):
        if (state, event) not in TRANSITIONS:
            one = shared()
            one.state = state
            one.handle(event)
            assert one.state is state


def test_messages_wait_for_a_key_only_while_one_may_still_come() -> None:
    state = shared()
    assert not state.may_hold  # nothing shows that the conversation begins here
    state.from_start = True
    assert state.may_hold
    state.answered = True  # the first message of the gateway was not the InitConnect response
    assert not state.may_hold
    state.server_settled = False  # but packets may have overtaken it
    assert state.may_hold


def test_nothing_waits_after_the_end_or_once_too_much_waited() -> None:
    for change in ({"state": State.FINISHED}, {"hold_overflowed": True}):
        state = shared()
        state.from_start = True
        for name, value in change.items():
            setattr(state, name, value)
        assert not state.may_hold
