"""How long something is waited for."""

from __future__ import annotations

from decoder.conversation.wait import Wait


def test_packets_and_acknowledged_ones_in_a_row_are_counted() -> None:
    wait = Wait(100, 7)
    for acknowledged in (False, True, True):
        wait.count(acknowledged=acknowledged)
    assert (wait.offset, wait.since_ns, wait.packets, wait.acknowledged) == (100, 7, 3, 2)


def test_an_acknowledgement_that_is_taken_back_begins_the_count_anew() -> None:
    """A forged one may lie beyond the bytes, and the next is lower."""
    wait = Wait(0, 0)
    for acknowledged in (True, True, False, True):
        wait.count(acknowledged=acknowledged)
    assert (wait.packets, wait.acknowledged) == (4, 1)
