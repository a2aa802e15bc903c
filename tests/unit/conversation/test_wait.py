"""How long something is waited for."""

from __future__ import annotations

from decoder.conversation.wait import Wait


def test_packets_are_counted_from_the_acknowledgement_on() -> None:
    wait = Wait(100, 5)
    for acknowledged in (False, True, True):
        wait.count(acknowledged=acknowledged)
    assert (wait.offset, wait.since_ns, wait.packets, wait.acknowledged) == (100, 5, 3, 2)


def test_an_acknowledgement_that_is_taken_back_counts_from_the_start() -> None:
    wait = Wait(100, 5)
    for acknowledged in (True, True, False, True):
        wait.count(acknowledged=acknowledged)
    assert (wait.packets, wait.acknowledged) == (4, 1)
