"""Segments that fit no stream: what two of them show together."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.conversation.out_of_window import OutOfWindow
from decoder.tcp.segment import ACK, SYN, Segment
from decoder.vocabulary import Arrival

CLIENT: Any = object()
GATEWAY: Any = object()


def segment(seq: int, ack: int = 0, flags: int = ACK, payload: bytes = b"x") -> Segment:
    return Segment(seq, ack, flags, payload, 0, Arrival((1,), 1))


def syn(seq: int) -> Segment:
    return segment(seq, 0, SYN, b"")


def test_a_syn_and_the_answer_to_it_agree() -> None:
    kept = OutOfWindow()
    kept.keep(CLIENT, syn(100))
    answer = segment(900, 101, SYN | ACK, b"")
    assert kept.matching(GATEWAY, answer) == [(CLIENT, syn(100))]
    assert kept.announces(GATEWAY, answer)
    assert not kept.matching(GATEWAY, segment(900, 102, SYN | ACK, b""))
    assert not kept.matching(CLIENT, answer), "one end sends no answer to itself"
    assert not kept.matching(CLIENT, syn(100)), "nor is a repeated SYN one"


def test_data_that_follows_a_syn_exactly_agrees_with_it() -> None:
    kept = OutOfWindow()
    kept.keep(CLIENT, syn(2**32 - 1))
    assert kept.announces(CLIENT, segment(0))
    assert not kept.announces(CLIENT, segment(1))
    assert not kept.announces(GATEWAY, segment(0))


@pytest.mark.parametrize(("distance", "agrees"), [(1000, True), (2**20, False), (-1000, True)])
def test_two_segments_near_each_other_agree(distance: int, agrees: bool) -> None:
    kept = OutOfWindow()
    kept.keep(CLIENT, segment(10**6))
    assert bool(kept.matching(CLIENT, segment(10**6 + distance))) is agrees
    assert bool(kept.matching(GATEWAY, segment(5, 10**6 + distance))) is agrees
    assert not kept.announces(CLIENT, segment(10**6 + distance)), "no SYN was seen"


def test_a_segment_without_payload_shows_nothing() -> None:
    kept = OutOfWindow()
    kept.keep(CLIENT, segment(10**6))
    assert not kept.matching(CLIENT, segment(10**6, payload=b""))


def test_only_the_latest_eight_are_kept() -> None:
    kept = OutOfWindow()
    for number in range(20):
        kept.keep(CLIENT, syn(number))
    assert [each.seq for _, each in kept] == list(range(12, 20))
