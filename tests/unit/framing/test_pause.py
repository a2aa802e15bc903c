"""When a framer waits, and when it does so no longer."""

from __future__ import annotations

import pytest

from decoder.framing.pause import Pause


class Handler:
    """Knows how far the receiver has acknowledged."""

    def __init__(self, acked: int) -> None:
        self.acked = acked

    def unacknowledged(self, offset: int) -> bool:
        return self.acked < offset


def pause(acked: int = 100, begin: int = 0) -> Pause:
    return Pause(Handler(acked), begin)  # type: ignore[arg-type]


def test_another_version_is_waited_for_until_the_bytes_are_acknowledged() -> None:
    one = pause(acked=100)
    assert not one.for_version(100)
    assert one.until is None
    assert one.for_version(101)
    assert one.until == 101
    one.end()
    assert one.until is None


def test_bytes_end_a_wait_for_bytes_and_no_other() -> None:
    one = pause()
    assert one.for_data(300)
    assert one.until is not None
    one.note_data()
    assert one.until is None
    assert one.for_version(300)
    one.note_data()
    assert one.until == 300


@pytest.mark.parametrize("begin", [-50, 0, 7])
def test_what_was_given_up_is_not_waited_for_again(begin: int) -> None:
    one = pause(acked=begin - 1, begin=begin)
    assert not one.for_version(begin)
    assert one.for_version(begin + 10)
    one.give_up(begin + 20)
    assert one.until is None
    assert not one.for_version(begin + 20)
    assert not one.for_data(begin + 20)
    assert one.for_data(begin + 21)
