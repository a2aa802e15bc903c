"""Frames of a clean connection, read back by Scapy, which computes checksums on its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from decoder.packet.clean_tcp import MAX_PAYLOAD, CleanConnection, CleanHalf


def sent(connection: CleanConnection, from_gateway: bool, data: bytes, absent: int = 0) -> list[Packet]:
    return [Ether(frame) for frame, _ in connection.data(from_gateway, data, absent)]


def conversation(client: str, gateway: str) -> list[Packet]:
    connection = CleanConnection(client, gateway)
    packets: list[Packet] = [Ether(frame) for frame in connection.opening()]
    packets += sent(connection, False, b"question")
    packets += sent(connection, True, b"a" * (MAX_PAYLOAD + 1))
    packets += sent(connection, False, b"odd")
    return packets + list(map(Ether, connection.closing()))


def test_handshake_data_and_end() -> None:
    packets = conversation("10.0.0.1:5", "10.0.0.2:11111")
    assert [(str(p[TCP].flags), p[TCP].seq, p[TCP].ack, len(p[TCP].payload)) for p in packets] == [
        ("S", 0, 0, 0), ("SA", 0, 1, 0), ("A", 1, 1, 0),
        ("PA", 1, 1, 8), ("PA", 1, 9, MAX_PAYLOAD), ("PA", 1 + MAX_PAYLOAD, 9, 1), ("PA", 9, MAX_PAYLOAD + 2, 3),
        ("FA", 12, MAX_PAYLOAD + 2, 0), ("FA", MAX_PAYLOAD + 2, 13, 0), ("A", 13, MAX_PAYLOAD + 3, 0),
    ]  # fmt: skip
    ends = [(p[IP].src, p[TCP].sport, p[IP].dst, p[TCP].dport) for p in packets]
    assert set(ends) == {("10.0.0.1", 5, "10.0.0.2", 11111), ("10.0.0.2", 11111, "10.0.0.1", 5)}
    assert ends[0][0] == ends[3][0] == "10.0.0.1"


def test_another_connection_of_the_same_ends() -> None:
    connection = CleanConnection("10.0.0.1:5", "10.0.0.2:11111", 0xFFFFFFFF)
    packets = [*map(Ether, connection.opening()), *sent(connection, False, b"x"), *map(Ether, connection.closing())]
    assert [(p[TCP].seq, p[TCP].ack) for p in packets] == [
        (0xFFFFFFFF, 0), (0xFFFFFFFF, 0), (0, 0), (0, 0), (1, 0), (0, 2), (2, 1),
    ]  # fmt: skip


def test_checksums_are_those_that_scapy_computes() -> None:
    for ends in (("10.0.0.1:5", "10.0.0.2:11111"), ("[fe80::1]:5", "[::1]:11111")):
        for packet in conversation(*ends):
            again = packet.copy()
            del again[TCP].chksum
            if IP in again:
                del again[IP].chksum, again[IP].len
            else:
                del again[IPv6].plen
            assert bytes(again) == bytes(packet)


@given(st.binary(max_size=40), st.integers(0, 0xFFFFFFFF))
def test_checksums_of_any_payload(data: bytes, seq: int) -> None:
    connection = CleanConnection("0.0.0.0:0", "0.0.0.0:0")
    connection.halves[0].next_seq = seq
    for packet in sent(connection, False, data):
        again = packet.copy()
        del again[TCP].chksum
        assert bytes(again) == bytes(packet)


def test_the_receiver_acknowledges_before_its_window_is_full() -> None:
    connection = CleanConnection("10.0.0.1:5", "10.0.0.2:11111")
    connection.halves[1].next_seq += 300_000_000
    bare, data = sent(connection, True, b"x")
    assert (bare[TCP].sport, str(bare[TCP].flags), bare[TCP].ack) == (5, "A", 300_000_001)
    assert data[TCP].seq == 300_000_001
    assert len(sent(connection, True, b"x")) == 1


def test_holes_before_a_message() -> None:
    half = CleanHalf(10)
    half.gap(5)
    half.gap(7)
    assert half.place(44) == 22
    assert half.place(44) == 66
    half.gap(3)
    assert half.close_hole() == 113
    assert half.close_hole() == 113


def test_holes_in_a_message() -> None:
    half = CleanHalf(0)
    half.gap(100)  # before it
    half.gap(20)  # in its body
    assert half.place(44, 30, is_incomplete=True) == 100
    assert half.next_seq == 174
    half.gap(50)  # begins in its body of 30 and goes on behind it
    assert half.place(44, 30, is_incomplete=True) == 174
    assert half.next_seq == 174 + 44 + 50
    half.gap(50)  # of another message: this one is all there, but cannot be written
    assert half.place(44, 30) == 318
    assert half.next_seq == 392


def test_numbers_wrap() -> None:
    half = CleanHalf(0xFFFFFFFF)
    assert half.place(44) == 0xFFFFFFFF
    assert half.next_seq == 43


@given(st.lists(st.integers(0, 9), max_size=300))
def test_no_byte_of_a_hole_is_forgotten(sizes: list[int]) -> None:
    half = CleanHalf(0)
    for size in sizes:
        half.gap(size)
    assert half.close_hole() == sum(sizes)
