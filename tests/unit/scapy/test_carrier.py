"""Packets as they were captured, and headers around a message."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pytest
from scapy.layers.inet import GRE, IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from decoder.scapy.carrier import CapturedPacket, carrier_headers, from_packet, message_packet
from decoder.scapy.layer import OpenD
from tests.support.exchange import keep_alive
from tests.support.messages import Line

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
FOUR = IP(src="192.0.2.1", dst="192.0.2.2", ttl=7)


def captured(packet: Any, time: str = "1700000000.123456789") -> CapturedPacket:
    packet.time = Decimal(time)
    return from_packet(packet, bytes(packet))


def carried(segment: CapturedPacket | None) -> Any:
    message = Line().ask(1004, keep_alive())
    return message_packet(message, carrier_headers(message, segment))


def test_a_dissected_packet_counts_as_captured() -> None:
    found = captured(ETHER / FOUR / TCP(sport=1, dport=2) / Raw(b"x"))
    assert (found.layer, found.linktype) == (Ether, 1)
    assert found.ticks == 1_700_000_000_123_456_789
    assert bytes(found.dissected()) == bytes(ETHER / FOUR / TCP(sport=1, dport=2) / Raw(b"x"))


def test_a_float_time_is_the_decimal_that_it_was_made_from() -> None:
    packet = ETHER / FOUR / TCP()
    packet.time = 1700000000.1
    assert from_packet(packet, bytes(packet)).ticks == 1_700_000_000_100_000_000


def test_the_headers_of_the_segment_stay_and_its_payload_goes() -> None:
    packet = carried(captured(ETHER / FOUR / TCP(sport=50112, dport=11111, seq=99, flags="PA") / Raw(b"old")))
    assert (packet[Ether].src, packet[IP].ttl, packet[TCP].seq) == ("02:00:00:00:00:01", 7, 99)
    assert Raw not in packet
    assert packet[OpenD].message.proto == "KeepAlive"
    again = Ether(bytes(packet))
    assert again[IP].len == len(bytes(again[IP]))  # lengths and checksums fit the new payload
    assert bytes(again[TCP].payload) == bytes(packet[OpenD])


def test_the_innermost_tcp_of_a_tunnel_carries_the_message() -> None:
    packet = carried(
        captured(ETHER / IP(src="10.0.0.1", dst="10.0.0.2") / GRE() / FOUR / TCP(dport=11111) / Raw(b"old"))
    )
    assert GRE in packet
    assert isinstance(packet[TCP].payload, OpenD)


@pytest.mark.parametrize("end", ["192.0.2.1:50112", "[2001:db8::1]:50112"])
def test_without_a_segment_headers_are_made_from_the_addresses(end: str) -> None:
    message = Line(client=end).ask(1004, keep_alive())
    message.flow.dst = end.replace("1:50112", "2:11111").replace("1]:50112", "2]:11111")
    packet = message_packet(message, carrier_headers(message, None))
    assert (packet[TCP].sport, packet[TCP].dport) == (50112, 11111)
    network = packet[IPv6 if end.startswith("[") else IP]
    assert end.startswith((network.src, f"[{network.src}]"))


def test_its_time_is_that_of_the_message() -> None:
    message = Line().ask(1004, keep_alive())
    packet = message_packet(message, carrier_headers(message, None))
    assert int(packet.time * 10**9) == message.time_ns


def test_a_message_longer_than_an_ip_packet_has_length_0() -> None:
    message = Line().ask(3004, b"\x0a" + bytes(70_000))
    packet = message_packet(message, carrier_headers(message, captured(ETHER / FOUR / TCP() / Raw(b"x"))))
    assert packet[IP].len == 0
    assert len(bytes(packet)) > 70_000


def test_a_pickled_packet_keeps_its_message() -> None:
    packet = carried(captured(ETHER / FOUR / TCP(sport=50112, dport=11111) / Raw(b"old")))
    again = pickle.loads(pickle.dumps(packet))
    assert again[OpenD].message.record() == packet[OpenD].message.record()
    assert bytes(again) == bytes(packet)
