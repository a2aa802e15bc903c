"""Connections that carried no byte yet: their packets are kept small and given back as they were."""

from __future__ import annotations

from decoder.engine.half_open import HalfOpen
from decoder.tcp.segment import ACK, FIN, RST, SYN, Segment
from decoder.vocabulary import Arrival


def segment(flags: int, seq: int, number: int, ack: int = 0) -> Segment:
    return Segment(seq, ack, flags, b"", 0, Arrival((number,), number * 1_000))


HANDSHAKE = [
    (True, segment(SYN, 2**32 - 1, 1)),
    (False, segment(SYN | ACK, 77, 2, ack=0)),
    (True, segment(ACK, 0, 3, ack=78)),
]


def test_its_packets_come_back_as_they_were() -> None:
    half_open = HalfOpen(5)
    for forward, each in HANDSHAKE:
        half_open.add(forward, each)
    assert half_open.ordinal == 5
    assert list(half_open.segments()) == HANDSHAKE


def test_it_keeps_no_more_than_a_handshake_and_an_end_take() -> None:
    half_open = HalfOpen(0)
    for number in range(1, 1_000):
        half_open.add(True, segment(SYN, number, number))
    kept = list(half_open.segments())
    assert [each.seq for _, each in kept] == list(range(1, 9))


def test_a_syn_with_another_number_begins_another_connection_only_behind_an_end() -> None:
    half_open = HalfOpen(0)
    for forward, each in HANDSHAKE:
        half_open.add(forward, each)
    other = segment(SYN, 500, 9)
    assert not half_open.begins_another(other)
    half_open.add(False, segment(RST, 78, 4))
    assert half_open.begins_another(other)
    assert not half_open.begins_another(HANDSHAKE[0][1])  # sent again
    assert not half_open.begins_another(segment(ACK, 500, 9))


def test_a_fin_is_an_end_too() -> None:
    half_open = HalfOpen(0)
    half_open.add(True, segment(FIN | ACK, 1, 1))
    assert half_open.begins_another(segment(SYN, 500, 2))


def test_without_a_packet_there_is_no_end() -> None:
    assert not HalfOpen(0).begins_another(segment(SYN, 500, 2))
