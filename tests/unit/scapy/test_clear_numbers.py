"""The numbers of packets that a session yields, where nothing was encrypted and where the bodies became shorter."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Packet

from decoder.message import Flow, Gap, Message
from decoder.scapy import clear_numbers
from decoder.scapy.clear_numbers import ClearNumbers

CLIENT, GATEWAY = "10.0.0.1:5", "10.0.0.2:11111"
UP, DOWN = (CLIENT, GATEWAY), (GATEWAY, CLIENT)


def message(
    ends: tuple[str, str], body: bytes | None, body_len: int, connection: int = 0, reason: Any = None
) -> Message:
    direction: Any = "c2s" if ends == UP else "s2c"
    sha1 = hashlib.sha1(body or b"").digest()
    header = (b"FT", 7000, 0, 0, 1, body_len, sha1, bytes(8))
    verdict = "verified" if reason is None else "unverified"
    flow = Flow(connection, direction, *ends)
    return Message(flow, header, 1, (1,), "request", body, "AES_CBC", verdict, reason, None)


def seq_of(numbers: ClearNumbers, item: Message, first: int = 1000) -> int:
    tcp = TCP(seq=1, ack=2)
    numbers.number_message(item, tcp, lambda: first)
    return int(tcp.seq)


def bare(flags: str, seq: int, ack: int) -> Packet:
    return IP() / TCP(flags=flags, seq=seq, ack=ack, chksum=7)


def numbers_of(packet: Packet) -> tuple[int, int, Any]:
    return packet[TCP].seq, packet[TCP].ack, packet[TCP].chksum


def test_what_was_in_clear_keeps_its_numbers() -> None:
    numbers = ClearNumbers()
    numbers.note_syn(UP, 99)
    assert seq_of(numbers, message(UP, b"x" * 10, 10)) == 100
    assert seq_of(numbers, message(UP, b"", 0)) == 154
    ack = bare("A", 197, 1)  # a keep-alive probe
    numbers.renumber(ack, UP)
    assert numbers_of(ack) == (197, 1, 7)


def test_what_was_encrypted_is_numbered_by_its_plaintext() -> None:
    numbers = ClearNumbers()
    numbers.note_syn(UP, 0xFFFFFFFF)
    numbers.note_syn(DOWN, 499)
    assert seq_of(numbers, message(UP, b"x" * 10, 16)) == 0
    assert seq_of(numbers, message(DOWN, b"", 0)) == 500
    ack, fin, late = bare("A", 60, 544), bare("FA", 60, 544), bare("A", 61, 545)
    for packet in (ack, fin, late):
        numbers.renumber(packet, UP)
    assert [numbers_of(packet) for packet in (ack, fin, late)] == [(54, 544, None), (54, 544, None), (55, 544, None)]
    answer = bare("A", 544, 61)
    numbers.renumber(answer, DOWN)
    assert numbers_of(answer) == (544, 55, None)


def test_a_stream_without_its_beginning_starts_where_it_was_met() -> None:
    assert seq_of(ClearNumbers(), message(UP, b"x", 1), first=777) == 777


def test_a_new_connection_on_the_same_ends_starts_anew() -> None:
    numbers = ClearNumbers()
    assert seq_of(numbers, message(UP, b"x" * 10, 16), first=5) == 5
    numbers.note_syn(UP, 999)
    assert seq_of(numbers, message(UP, b"", 0, connection=1)) == 1000


def test_holes() -> None:
    numbers = ClearNumbers()
    first = message(UP, b"", 0)
    assert seq_of(numbers, first, first=0) == 0
    numbers.add_gap(Gap(first.flow, 1, 30, "lost"))
    assert seq_of(numbers, message(UP, b"", 0)) == 74
    assert seq_of(numbers, message(UP, None, 20, reason="no-key")) == 118
    numbers.add_gap(Gap(first.flow, 1, None, "lost"))
    assert seq_of(numbers, message(UP, b"", 0)) == 118 + 64 + 1


def test_other_traffic_and_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clear_numbers, "_MAX_HALVES", 2)
    numbers = ClearNumbers()
    packet = bare("A", 5, 6)
    numbers.renumber(packet, ("1.1.1.1:1", "2.2.2.2:2"))
    assert numbers_of(packet) == (5, 6, 7)
    for port in range(5):
        ends = (f"10.0.0.1:{port}", GATEWAY)
        numbers.note_syn(ends, 1)
        flow = Flow(port, "c2s", *ends)
        numbers.add_gap(Gap(flow, 1, 5, "lost"))
        assert seq_of(numbers, message(ends, b"", 0, connection=port)) == 2
    assert len(numbers._halves) == 2
