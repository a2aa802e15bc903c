"""Which end of a connection is the gateway: by port, by SYN, or by what it sends."""

from __future__ import annotations

import pytest

from decoder.conversation.summary import Summary
from decoder.engine.gateway_ports import GatewayPorts, ports_of
from decoder.packet import flow_key
from decoder.tcp.segment import ACK, SYN, Segment
from decoder.vocabulary import Arrival
from tests.support.exchange import frame, init_request, keep_alive

CLIENT = bytes((192, 0, 2, 1))
GATEWAY = bytes((192, 0, 2, 2))


def key(source: int, destination: int) -> bytes:
    """Addresses, then ports, of an IPv4 flow."""
    return CLIENT + GATEWAY + source.to_bytes(2, "big") + destination.to_bytes(2, "big")


def segment(payload: bytes = b"", flags: int = ACK, seq: int = 1_000) -> Segment:
    return Segment(seq, 0, flags, payload, 0, Arrival((1,), 0))


def known(*ports: int, auto: bool = False) -> GatewayPorts:
    return GatewayPorts(set(ports), Summary(), 1 << 20, auto=auto)


LOGIN = frame(1001, init_request())


@pytest.mark.parametrize(
    ("asked", "ports", "auto"),
    [
        (11111, {11111}, False),
        ((11111, 33333), {11111, 33333}, False),
        ("auto", set(), True),
        (("auto", 7), {7}, True),
    ],
)
def test_ports_that_were_asked_for(asked: object, ports: set[int], auto: bool) -> None:
    assert ports_of(asked) == (ports, auto)


def test_the_end_with_a_known_port_is_the_gateway() -> None:
    ports = known(11111)
    assert ports.concern(key(50_000, 11111))
    assert not ports.concern(key(50_000, 443))
    assert ports.to_gateway(key(50_000, 11111), segment()) is True
    assert ports.to_gateway(key(11111, 50_000), segment()) is False


def test_where_both_ports_are_known_the_syn_ack_is_from_the_gateway() -> None:
    ports = known(11111, 33333)
    assert ports.to_gateway(key(33333, 11111), segment(flags=SYN)) is True
    assert ports.to_gateway(key(33333, 11111), segment(flags=SYN | ACK)) is False


def test_a_message_on_another_port_is_counted_but_not_followed() -> None:
    summary = Summary()
    ports = GatewayPorts({11111}, summary, 1 << 20, auto=False)
    assert ports.to_gateway(key(50_000, 22222), segment(LOGIN)) is None
    assert ports.to_gateway(key(50_000, 443), segment(b"\x16\x03\x01 something else")) is None
    assert (dict(summary.header_ports), dict(summary.unsure_ports), ports.ports) == ({22222: 1}, {}, {11111})


def test_auto_follows_it_and_remembers_the_port() -> None:
    ports = known(auto=True)
    assert ports.to_gateway(key(50_000, 22222), segment(b"\x16\x03\x01 something else")) is None
    assert ports.to_gateway(key(50_000, 22222), segment(LOGIN)) is True
    assert ports.ports == {22222}


def test_auto_believes_the_syn_more_than_the_content() -> None:
    ports = known(auto=True)
    syn = segment(flags=SYN, seq=999)
    assert ports.to_gateway(key(22222, 50_000), syn) is None
    assert ports.to_gateway(key(22222, 50_000), segment(frame(1004, keep_alive()))) is True
    assert ports.ports == {50_000}
    assert ports.take_syn(key(22222, 50_000)) is syn
    assert ports.take_syn(key(22222, 50_000)) is None


def test_the_key_of_this_file_is_that_of_the_decoder() -> None:
    assert flow_key.ports(key(50_000, 11111)) == (50_000, 11111)
    assert flow_key.reverse_key(flow_key.reverse_key(key(1, 2))) == key(1, 2)
