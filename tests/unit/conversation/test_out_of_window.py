"""Segments that fit no place: which of them show together that a later connection has begun."""

from __future__ import annotations

from typing import Any

from decoder.conversation.out_of_window import OutOfWindow
from decoder.tcp.segment import ACK, SYN, Segment
from decoder.vocabulary import Arrival

CLIENT: Any = object()
GATEWAY: Any = object()


def segment(seq: int, ack: int = 0, flags: int = ACK, payload: bytes = b"data") -> Segment:
    return Segment(seq, ack, flags, b"" if flags & SYN else payload, 0, Arrival((1,), 0))


def kept(*pairs: tuple[Any, Segment]) -> OutOfWindow:
    found = OutOfWindow()
    for half, each in pairs:
        found.keep(half, each)
    return found


def test_only_the_latest_are_kept() -> None:
    found = kept(*((CLIENT, segment(number)) for number in range(20)))
    assert [each.seq for _, each in found] == list(range(12, 20))


def test_a_syn_and_its_answer_are_one_handshake() -> None:
    syn, answer = segment(9_000, flags=SYN), segment(70_000, 9_001, SYN | ACK)
    assert kept((CLIENT, syn)).matching(GATEWAY, answer)
    assert kept((GATEWAY, answer)).matching(CLIENT, syn)
    assert not kept((CLIENT, syn)).matching(GATEWAY, segment(70_000, 9_002, SYN | ACK))
    assert not kept((CLIENT, syn)).matching(CLIENT, answer)


def test_data_that_follows_a_syn_exactly_continues_it() -> None:
    syn, answer = segment(2**32 - 1, flags=SYN), segment(70_000, 5, SYN | ACK)
    assert kept((CLIENT, syn)).announces(CLIENT, segment(0))
    assert not kept((CLIENT, syn)).announces(CLIENT, segment(1))
    assert kept((GATEWAY, answer)).announces(CLIENT, segment(5, 70_001))
    assert not kept((GATEWAY, answer)).announces(CLIENT, segment(6, 70_001))


def test_two_segments_near_each_other_confirm_each_other() -> None:
    first = segment(1_000_000)
    assert kept((CLIENT, first)).matching(CLIENT, segment(1_000_000 + 1_000))
    assert not kept((CLIENT, first)).matching(CLIENT, segment(1_000_000 + (1 << 21)))
    assert kept((CLIENT, first)).matching(GATEWAY, segment(77, ack=1_000_004))
    assert not kept((CLIENT, first)).matching(GATEWAY, segment(1_000_004, ack=1 << 30))
    assert not kept((CLIENT, first)).announces(CLIENT, segment(1_000_004))


def test_a_segment_without_payload_confirms_nothing() -> None:
    assert not kept((CLIENT, segment(1_000))).matching(CLIENT, segment(1_000, payload=b""))
