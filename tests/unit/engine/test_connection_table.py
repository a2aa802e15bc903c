"""Many connections: what an unanswered SYN costs, and what happens where there is no room."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest

from decoder import Decoder, Limits, Message
from decoder.conversation.summary import ConnectionInfo
from decoder.engine.connection_table import CONNECTION_COST
from decoder.engine.half_open import HALF_OPEN_COST
from tests.support import exchange as ex
from tests.support.segments import START_NS, SYN, Segment, Talk, feed


def request(serial_no: int) -> bytes:
    return ex.frame(1004, ex.keep_alive(serial_no), serial_no=serial_no)


def syns(count: int) -> list[Segment]:
    return [Segment("c2s", 1000 + port, flags=SYN, ports=(1024 + port, 11111)) for port in range(count)]


def taken(segments: list[Segment]) -> int:
    """Bytes of memory that a decoder takes for these segments."""
    packets = [segment.packet() for segment in segments]
    decoder = Decoder()
    decoder.feed(packets[0], START_NS)
    tracemalloc.start()
    try:
        for data in packets[1:]:
            decoder.feed(data, START_NS)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_an_unanswered_syn_is_cheap_and_a_connection_counts_for_what_it_takes() -> None:
    assert taken(syns(1000)) < 1000 * HALF_OPEN_COST
    begun = [replace(segment, payload=request(1)[:-1], flags=16) for segment in syns(300)]
    assert 0.5 * 300 * CONNECTION_COST < taken(begun) < 1.1 * 300 * CONNECTION_COST


def test_what_connections_take_counts_for_the_limit() -> None:
    infos: list[ConnectionInfo] = []
    decoder = Decoder(limits=Limits(max_memory=200 * CONNECTION_COST), on_connection=infos.append)
    for number, segment in enumerate(syns(500)):
        feed(decoder, [replace(segment, payload=request(1)[:-1], flags=16)], number)
    assert len(decoder._table.entries) // 2 < 300
    assert len(infos) > 200
    assert decoder.summary.reports == ["too many connections at once; those silent longest were closed early"]


def test_each_connection_of_a_scan_is_reported_once_with_an_ordinal_of_its_own() -> None:
    infos: list[ConnectionInfo] = []
    decoder = Decoder(limits=Limits(max_connections=50), on_connection=infos.append)
    feed(decoder, syns(400))
    decoder.flush()
    assert sorted(info.ordinal for info in infos) == list(range(400))
    assert all(info.unanswered for info in infos)


@pytest.mark.parametrize("mss", [1, 7, 43, 100])
@pytest.mark.parametrize("ports", ["auto", ("auto", 11111)])
def test_a_gateway_is_found_though_its_first_header_comes_in_parts(ports: object, mss: int) -> None:
    talk = Talk(ports=(50112, 9999)).c2s(ex.frame(1001, ex.init_request()), mss=mss).s2c(request(1), mss=mss)
    decoder = Decoder(ports=ports)  # type: ignore[arg-type]
    items = feed(decoder, talk.segments) + decoder.flush()
    assert [(item.serial_no, item.direction) for item in items if isinstance(item, Message)] == [(1, "c2s"), (1, "s2c")]


def test_the_link_of_opend_to_its_servers_is_no_gateway() -> None:
    """It begins with FT too, but has a big-endian header of 32 bytes (shared facts: command 0x03ea, version 39)."""
    header = b"FT" + bytes((39, 3)) + (1009).to_bytes(2, "big") + bytes(10) + (1002).to_bytes(2, "big")
    header += (40).to_bytes(4, "big") + bytes(10)
    decoder = Decoder(ports="auto")
    assert feed(decoder, Talk(ports=(50112, 443)).c2s(header + bytes(40)).segments) + decoder.flush() == []
    assert decoder.ports == frozenset()


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_direction_that_was_guessed_wrongly_is_corrected(encrypted: bool) -> None:
    """The port that was given is the client's, and the capture has no SYN."""
    from decoder import KeyRing

    key = ex.rsa_key()
    hello, welcome = (
        ex.frame(1001, body, ex.rsa(body, key) if encrypted else None)
        for body in (ex.init_request(), ex.init_response())
    )
    talk = Talk(syn=False).c2s(hello).s2c(welcome).c2s(request(2))
    infos: list[ConnectionInfo] = []
    decoder = Decoder(ports=(50112,), keys=KeyRing([ex.pem(key)]), on_connection=infos.append)
    items = feed(decoder, talk.segments) + decoder.flush()
    assert [(item.direction, item.kind, item.dst) for item in items if isinstance(item, Message)] == [
        ("c2s", "request", "192.0.2.2:11111"),
        ("s2c", "response", "192.0.2.1:50112"),
        ("c2s", "request", "192.0.2.2:11111"),
    ]
    assert (infos[0].client, infos[0].server) == ("192.0.2.1:50112", "192.0.2.2:11111")
    assert [item.verdict for item in items if isinstance(item, Message)] == ["verified"] * 3


@pytest.mark.parametrize("format", [0, 1])
@pytest.mark.parametrize("syn", [False, True])
def test_any_message_in_clear_corrects_the_direction(syn: bool, format: int) -> None:
    """The port that was given is the client's; the login is not in the capture, or it is the first to tell."""
    bodies = (ex.keep_alive(7), ex.keep_alive_answer(7))
    if format:
        bodies = (b'{"c2s": {"time": 7}}', b'{"retType": 0, "s2c": {"time": 7}}')
    for first in (0, 1):
        talk = Talk(syn=syn)
        for number, body in list(enumerate(bodies))[first:]:
            talk = (talk.c2s, talk.s2c)[number](ex.frame(1004, body, serial_no=2, fmt=format))
        decoder = Decoder(ports=(50112,))
        items = feed(decoder, talk.segments) + decoder.flush()
        told = [(item.direction, item.body) for item in items if isinstance(item, Message)]
        assert [direction for direction, _ in told] == ["c2s", "s2c"][first:]
        assert all(body is not None for _, body in told)


def test_who_sends_the_syn_and_speaks_first_is_the_client_also_without_a_key() -> None:
    key = ex.rsa_key()
    hello, welcome = (ex.frame(1001, body, ex.rsa(body, key)) for body in (ex.init_request(), ex.init_response()))
    talk = Talk().c2s(hello).s2c(welcome)
    decoder = Decoder(ports=(50112,))
    items = feed(decoder, talk.segments) + decoder.flush()
    told = [(item.direction, item.dst) for item in items if isinstance(item, Message)]
    assert told == [("c2s", "192.0.2.2:11111"), ("s2c", "192.0.2.1:50112")]


def test_an_answer_that_overtakes_the_request_turns_nothing() -> None:
    """A mirror port may reorder; the answer acknowledges what is still to come."""
    key = ex.rsa_key()
    hello, welcome = (ex.frame(1001, body, ex.rsa(body, key)) for body in (ex.init_request(), ex.init_response()))
    segments = Talk().c2s(hello).s2c(welcome).segments
    request = next(segment for segment in segments if segment.payload == hello)
    segments.remove(request)
    decoder = Decoder()
    items = feed(decoder, [*segments, request]) + decoder.flush()
    assert {(item.direction, item.dst) for item in items if isinstance(item, Message)} == {
        ("c2s", "192.0.2.2:11111"),
        ("s2c", "192.0.2.1:50112"),
    }


@pytest.mark.parametrize("dedup", [False, True])
def test_a_conversation_on_two_address_pairs_is_told_and_counted_once_if_asked(dedup: bool) -> None:
    """Client to proxy and proxy to gateway: requests pass the first leg first, all else the second."""
    legs = []
    for ports in ((50112, 11111), (50113, 11111)):
        talk = Talk(ports=ports).c2s(ex.frame(1001, ex.init_request(), serial_no=1))
        talk.s2c(ex.frame(1001, ex.init_response(), serial_no=1))
        for serial_no in range(2, 12):
            talk.c2s(request(serial_no)).s2c(ex.frame(1004, ex.keep_alive_answer(serial_no), serial_no=serial_no))
        legs.append(talk.segments)
    segments = [
        each for one, two in zip(*legs, strict=True) for each in ((one, two) if one.direction == "c2s" else (two, one))
    ]
    infos: list[ConnectionInfo] = []
    decoder = Decoder(dedup=dedup, on_connection=infos.append)
    items = [item for item in feed(decoder, segments) + decoder.flush() if isinstance(item, Message)]
    assert len(items) == (22 if dedup else 44)
    assert sum(item.copy for item in items) == (0 if dedup else 21)  # without dedup the first request came out before
    assert [info.copy_of for info in infos] in ([None, 0], [0, None], [1, None], [None, 1])
    assert any("same conversation" in line for line in decoder.summary.reports)


def test_two_conversations_with_the_same_handshake_are_not_taken_for_one() -> None:
    segments = []
    for ports, first in (((50112, 11111), 2), ((50113, 11111), 200)):
        talk = Talk(ports=ports).c2s(ex.frame(1001, ex.init_request(), serial_no=1))
        talk.s2c(ex.frame(1001, ex.init_response(), serial_no=1)).c2s(*map(request, range(first, first + 150)))
        segments += talk.segments
    decoder = Decoder()
    assert len(feed(decoder, segments) + decoder.flush()) == 304
    assert not any("same conversation" in line for line in decoder.summary.reports)
