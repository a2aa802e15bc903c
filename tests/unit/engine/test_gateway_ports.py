"""Which segments belong to a gateway, and in which direction they go."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from decoder.conversation.summary import Summary
from decoder.engine.gateway_ports import GatewayPorts, ports_of
from decoder.tcp.segment import ACK, SYN, Segment
from decoder.vocabulary import Arrival
from tests.support.exchange import frame, keep_alive, keep_alive_answer

REQUEST, ANSWER = frame(1004, keep_alive()), frame(1004, keep_alive_answer())


def key(source: int, destination: int) -> bytes:
    return bytes((192, 0, 2, 1, 192, 0, 2, 2)) + struct.pack(">HH", source, destination)


def segment(payload: bytes = b"", flags: int = ACK, seq: int = 100) -> Segment:
    return Segment(seq, 0, flags, payload, 0, Arrival((1,), 1))


def gateways(*ports: int, auto: bool = False) -> GatewayPorts:
    return GatewayPorts(set(ports), Summary(), 10_000, auto=auto)


def test_a_port_that_was_given_tells_the_direction() -> None:
    known = gateways(11111)
    assert known.to_gateway(key(50_000, 11111), segment()) is True
    assert known.to_gateway(key(11111, 50_000), segment()) is False
    assert known.concern(key(11111, 50_000))
    assert not known.concern(key(1, 2))


def test_between_two_gateway_ports_the_answer_to_a_syn_tells_it() -> None:
    known = gateways(11111, 22222)
    assert known.to_gateway(key(22222, 11111), segment(flags=SYN)) is True
    assert known.to_gateway(key(22222, 11111), segment(flags=SYN | ACK)) is False


def test_messages_on_another_port_are_counted_where_ports_are_not_looked_for() -> None:
    known = gateways(11111)
    assert known.to_gateway(key(50_000, 4000), segment(REQUEST)) is None
    assert known._summary.header_ports == {4000: 1}
    assert known.to_gateway(key(50_000, 5000), segment(b"GET / HTTP/1.1\r\n\r\n")) is None
    assert known._summary.header_ports == {4000: 1}


@pytest.mark.parametrize(("ends", "payload", "to_gateway"), [((9, 4000), REQUEST, True), ((4000, 9), ANSWER, False)])
def test_with_auto_the_content_shows_the_port_and_the_direction(
    ends: tuple[int, int], payload: bytes, to_gateway: bool
) -> None:
    known = gateways(auto=True)
    assert known.to_gateway(key(*ends), segment(payload)) is to_gateway
    assert known.ports == {4000}


def test_with_auto_a_syn_tells_who_is_the_client_of_an_encrypted_stream() -> None:
    known = gateways(auto=True)
    syn = segment(flags=SYN, seq=99)
    assert known.to_gateway(key(9, 4000), syn) is None
    assert known.to_gateway(key(9, 4000), segment(REQUEST[:20])) is True, "the first part of a header behind a SYN"
    assert known.take_syn(key(9, 4000)) is syn
    assert known.take_syn(key(9, 4000)) is None


def test_the_syns_that_are_remembered_are_bounded() -> None:
    known = gateways(auto=True)
    for number in range(5000):
        known.to_gateway(key(number, 4000), segment(flags=SYN))
    remembered = [number for number in range(5000) if known.take_syn(key(number, 4000)) is not None]
    assert remembered == list(range(5000 - 4096, 5000))


@pytest.mark.parametrize(
    ("asked", "ports", "auto"), [(11111, {11111}, False), ("auto", set(), True), ((1, "auto"), {1}, True)]
)
def test_ports_may_be_one_several_or_auto(asked: Any, ports: set[int], auto: bool) -> None:
    assert ports_of(asked) == (ports, auto)


@pytest.mark.parametrize("asked", [0, -1, 65_536, "x", "", [11111, 99_999], ["auto", "-1"]])
def test_what_is_no_port_is_refused(asked: Any) -> None:
    with pytest.raises(ValueError, match="neither a port"):
        ports_of(asked)
