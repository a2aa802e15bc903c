"""How long a connection waits, what ends a wait, and that every byte is accounted for."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder import Decoder, Gap, KeyRing, Limits, Message
from decoder.conversation.state import TRANSITIONS, Event, State
from decoder.conversation.summary import ConnectionInfo
from tests.support import exchange as ex
from tests.support import traffic
from tests.support.segments import (
    ACK,
    PSH,
    RST,
    START_NS,
    STEP_NS,
    SYN,
    Segment,
    Talk,
    decode_segments,
    feed,
)

SECOND = 1_000_000_000


def request(serial_no: int, size: int = 0) -> bytes:
    body = ex.refused("KeepAlive", "x" * size) if size else ex.keep_alive(serial_no)
    return ex.frame(1004, body, serial_no=serial_no)


HELLO, WELCOME = ex.frame(1001, ex.init_request(), serial_no=1), ex.frame(1001, ex.init_response(), serial_no=1)


def told(items: list[Message | Gap]) -> list[str]:
    return [f"{i.serial_no} {i.reason or i.verdict}" if isinstance(i, Message) else f"gap {i.reason}" for i in items]


# Time without packets


def test_a_hole_of_an_idle_connection_comes_out_when_time_has_passed() -> None:
    decoder = Decoder(limits=Limits(max_wait_ns=5 * SECOND))
    talk = Talk().c2s(request(1)).lose("c2s", 9).c2s(request(2))
    assert told(feed(decoder, talk.segments)) == ["1 verified"]
    last = START_NS + len(talk.segments) * STEP_NS
    assert decoder.tick(last + 4 * SECOND) == []
    assert told(decoder.tick(last + 6 * SECOND)) == ["gap lost", "2 verified"]
    assert decoder.flush() == []


def test_what_waits_for_a_key_comes_out_when_time_has_passed() -> None:
    plain = ex.keep_alive()
    talk = Talk().c2s(ex.frame(1001, ex.init_request(), ex.rsa(ex.init_request(), ex.rsa_key())))
    talk.c2s(ex.frame(1004, plain, ex.cbc(plain), 2))
    decoder = Decoder(keys=KeyRing([ex.pem(ex.rsa_key())]))
    assert told(feed(decoder, talk.segments)) == ["1 verified"]
    assert told(decoder.tick(START_NS + 3600 * SECOND)) == ["2 handshake-missing"]


def test_the_start_without_syn_is_fixed_when_time_has_passed() -> None:
    decoder = Decoder()
    assert feed(decoder, Talk(syn=False).c2s(request(1)).segments) == []
    assert told(decoder.tick(START_NS + 3600 * SECOND)) == ["1 verified"]


def test_packets_alone_end_no_wait_however_late_they_are() -> None:
    decoder = Decoder()
    talk = Talk().c2s(request(1)).c2s(request(2)).c2s(request(3))
    one, two, three = talk.segments[3:]
    for number, (segment, seconds) in enumerate([(one, 0), (three, 0), (two, 240)], 4):
        for each in talk.segments[:3] if number == 4 else ():
            decoder.feed(each.packet(), START_NS)
        items = decoder.feed(segment.packet(), START_NS + seconds * SECOND)
    assert told(items) == ["2 verified", "3 verified"]


def test_a_closed_connection_is_reported_when_time_has_passed() -> None:
    infos: list[ConnectionInfo] = []
    decoder = Decoder(on_connection=infos.append)
    feed(decoder, Talk().c2s(request(1)).fin().segments)
    decoder.tick(START_NS + SECOND)
    assert infos == []
    decoder.tick(START_NS + 3600 * SECOND)
    assert [(info.closed_by, info.messages["c2s"]) for info in infos] == [("client", 1)]


# The clock


def test_a_clock_that_steps_back_gives_no_negative_figure() -> None:
    infos: list[ConnectionInfo] = []
    decoder = Decoder(on_connection=infos.append)
    segments = Talk().c2s(request(1)).s2c(request(1)).segments
    items = []
    for number, segment in enumerate(segments):
        back = 7200 * SECOND if segment.direction == "s2c" and segment.payload else 0
        items += decoder.feed(segment.packet(), START_NS + number * STEP_NS - back)
    items += decoder.flush()
    response = items[-1]
    assert isinstance(response, Message)
    assert (response.request, response.latency_ns, response.notes[:1]) == (1, None, ["clock-stepped-back"])
    assert infos[0].first_ns <= infos[0].last_ns
    assert any("reordercap" in line for line in decoder.summary.reports)


# The snap length


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_whole_copy_of_a_cut_segment_counts(encrypted: bool) -> None:
    key = ex.rsa_key()
    hello, welcome = (
        ex.frame(1001, body, ex.rsa(body, key) if encrypted else None, 1)
        for body in (ex.init_request(), ex.init_response())
    )
    talk = Talk().c2s(hello).s2c(welcome).c2s(request(2, 300)).ack("s2c")
    *before, ask, answer, long, ack = talk.segments
    captured = [*before, ask.snapped(60), ask, answer.snapped(50), answer, long.snapped(70), long, ack]
    decoded = decode_segments(captured, KeyRing([ex.pem(key)]))
    assert decoded.told == ["1 verified", "1 verified", "2 verified"]


def test_what_was_cut_is_told_once_it_was_acknowledged() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(request(2, 300)).ack("s2c")
    *before, long, ack = talk.segments
    decoder = Decoder()
    feed(decoder, [*before, long.snapped(70)])
    assert told(feed(decoder, [ack], 10)) == ["gap snaplen", "2 truncated"]


# Ends


def test_every_event_of_the_table_is_of_a_state_that_is_not_finished() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.FINISHED}
    assert {event for _, event in TRANSITIONS} == set(Event)


@pytest.mark.parametrize("pause", [0, 300])
def test_data_that_continues_after_a_reset_counts_in_the_middle_of_a_message_too(pause: int) -> None:
    plain = ex.keep_alive(5)
    sealed = ex.frame(1004, plain, ex.cbc(plain), 2)
    infos: list[ConnectionInfo] = []
    decoder = Decoder(on_connection=infos.append)
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(sealed[:30])
    forged = Segment("c2s", talk.next["c2s"], b"", RST | ACK, talk.next["s2c"])
    other = Talk(ports=(50113, 11111))
    for _ in range(pause):
        other.ack("c2s")
    rest = Talk(isn=(talk.next["c2s"], talk.next["s2c"]), syn=False).c2s(sealed[30:]).segments
    items = feed(decoder, [*talk.segments, forged, *other.segments, *rest]) + decoder.flush()
    assert told(items) == ["1 verified", "1 verified", "2 verified"]
    assert [(info.ordinal, info.reset) for info in infos if info.confirmed] == [(0, False)]


def test_a_message_that_the_capture_or_the_connection_cuts_says_so() -> None:
    talk = Talk().c2s(HELLO).c2s(request(2)[:46])
    message = decode_segments(talk.segments).messages[-1]
    assert (message.reason, message.notes) == ("gap", ["capture-ends"])
    assert "capture ends" in (message.hint or "")
    message = decode_segments(talk.fin().segments).messages[-1]
    assert (message.reason, message.notes) == ("gap", ["connection-ends"])


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100, b"\x16\x03\x01" * 30])
def test_what_a_peer_sends_that_is_no_message_is_a_gap_with_its_first_bytes(data: bytes) -> None:
    infos: list[ConnectionInfo] = []
    decoder = Decoder(on_connection=infos.append)
    items = feed(decoder, Talk().c2s(HELLO).s2c(data).fin().segments) + decoder.flush()
    assert [(gap.direction, gap.bytes, gap.reason) for gap in items if isinstance(gap, Gap)] == [
        ("s2c", len(data), "mid-stream")
    ]
    assert infos[0].first_bytes == {"c2s": b"", "s2c": data[:64]}


# Connections without a message


def infos_of(segments: list[Segment]) -> list[ConnectionInfo]:
    infos: list[ConnectionInfo] = []
    decoder = Decoder(on_connection=infos.append)
    assert feed(decoder, segments) + decoder.flush() == []
    return infos


def test_connections_that_never_carry_a_byte_are_reported_with_what_was_seen() -> None:
    segments: list[Segment] = []
    for port in range(3):
        syn = Segment("c2s", 1000 * port, flags=SYN, ports=(50000 + port, 11111))
        segments += [syn, replace(syn, direction="s2c", seq=0, ack=syn.seq + 1, flags=RST | ACK)]
    segments.append(Segment("c2s", 7, flags=SYN, ports=(50010, 11111)))
    segments += [replace(segment, ports=(50011, 11111)) for segment in Talk().fin().segments]
    infos = infos_of(segments)
    assert [info.ordinal for info in infos] == [0, 1, 2, 3, 4]
    assert [info.refused for info in infos] == [True] * 3 + [False] * 2
    assert [info.unanswered for info in infos] == [False] * 3 + [True, False]
    assert [(info.syn_seen, info.syn_ack_seen, info.closed_by) for info in infos[3:]] == [
        (True, False, None),
        (True, True, "client"),
    ]
    assert all(info.silent for info in infos)


def test_ports_that_are_used_again_after_a_refusal_are_another_connection() -> None:
    first = [Segment("c2s", 1000, flags=SYN), Segment("s2c", 0, flags=RST | ACK, ack=1001)]
    second = Talk(isn=(7000, 9000)).c2s(request(1)).segments
    infos: list[ConnectionInfo] = []
    decoder = Decoder(on_connection=infos.append)
    items = feed(decoder, first + second) + decoder.flush()
    assert told(items) == ["1 verified"]
    assert sorted((info.ordinal, info.refused, info.confirmed) for info in infos) == [
        (0, True, False),
        (1, False, True),
    ]


def test_a_later_connection_tries_the_keys_of_the_one_before() -> None:
    """The SDK connects again on the same ports; the capture misses its handshake."""
    plain = ex.keep_alive(5)
    sealed = ex.frame(1004, plain, ex.cbc(plain), 2)
    first = Talk().c2s(HELLO).s2c(WELCOME).c2s(sealed).fin().segments
    second = Talk(isn=(2**30, 2**30), syn=False).c2s(sealed).segments
    decoded = decode_segments(first + second)
    assert [(m.connection, m.verdict) for m in decoded.messages] == [(0, "verified")] * 3 + [(1, "verified")]


# Versions of bytes that differ


@pytest.mark.parametrize("first_is_whole", [False, True])
def test_a_later_version_of_a_header_changes_no_message_that_is_proven_without_it(first_is_whole: bool) -> None:
    body = ex.state_request(7)
    real, forged = ex.frame(1002, body, serial_no=7), ex.frame(2202, body, serial_no=666)
    head = Talk().c2s(HELLO).s2c(WELCOME).segments
    at = head[-1].ack
    segments = [
        Segment("c2s", at, real if first_is_whole else real[:46]),
        Segment("c2s", at, forged[:44]),
        Segment("c2s", at + 46, real[46:]),
    ]
    message = decode_segments(head + segments).messages[-1]
    assert (message.proto_id, message.serial_no, message.verdict) == (1002, 7, "verified")
    if not first_is_whole:
        assert "conflicting-overlap" in message.notes


@pytest.mark.parametrize("position", range(2, 44))
def test_no_forged_byte_in_a_header_goes_without_a_note_or_changes_the_message(position: int) -> None:
    real = request(7)
    head = Talk().c2s(HELLO).s2c(WELCOME).segments
    at = head[-1].ack
    probe = Segment("c2s", at + position, bytes([real[position] ^ 1]), ACK)
    segments = [Segment("c2s", at, real[:-3]), probe, Segment("c2s", at + len(real) - 3, real[-3:])]
    message = decode_segments(head + segments).messages[-1]
    assert (message.header, message.verdict, message.notes) == (
        ex.HEADER.unpack(real[:44]),
        "verified",
        ["conflicting-overlap"],
    )


def test_nothing_comes_out_twice_after_stray_packets() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(request(2)).s2c(request(2))
    again = talk.segments[5]
    strays = [Segment("c2s", again.seq + 2**29 + at, b"\0" * 20, PSH | ACK, again.ack) for at in (0, 20)]
    decoded = decode_segments([*talk.segments, *strays, again, again, *talk.c2s(request(3)).segments[-1:]])
    assert [m.serial_no for m in decoded.messages] == [1, 1, 2, 2, 3]
    assert {m.connection for m in decoded.messages} == {0}


# Two damaged messages in a row


@pytest.mark.parametrize("mss", [52, 65_000])
@pytest.mark.parametrize("claimed", [30_000, 1_000_000])
def test_two_damaged_messages_in_a_row_hide_nothing(claimed: int, mss: int) -> None:
    good = [request(serial_no) for serial_no in range(3, 103)]
    first = bytearray(request(1))
    first[12:16] = claimed.to_bytes(4, "little")
    first[-1] ^= 1
    second = bytearray(request(2))
    second[-1] ^= 1
    decoded = decode_segments(
        Talk().c2s(HELLO).s2c(WELCOME).c2s(bytes(first), bytes(second), *good, mss=mss).fin().segments
    )
    assert decoded.verified == [1, 1, *range(3, 103)]


# The account


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 4), st.sampled_from((1, 8)))
def test_bytes_that_came_out_and_gaps_are_the_stream(seed: int, count: int, losses: int, window: int) -> None:
    """Also for a direction in which no message was found, of a connection that speaks the protocol."""
    rng = Random(seed)
    talk = traffic.converse(rng, rng.choice(traffic.MODES), 0, count, quotes=False)
    one = traffic.deliver(rng, talk, rng.choice((60, 700)), (50_001, 11_111), (1, 2))
    one.captured = traffic.lose(rng, one.captured[:3], 0) + traffic.lose(rng, one.captured[3:], losses)
    infos: list[ConnectionInfo] = []
    decoder = Decoder(keys=traffic.keys(), on_connection=infos.append)
    packets = traffic.mix(rng, [one], window, from_syn=True)
    items = feed(decoder, packets) + decoder.flush()
    if not any(isinstance(item, Message) for item in items):
        return
    first = one.first_copies()
    for direction in ("c2s", "s2c"):
        known = first[direction]
        heard = any(known)
        lost = sum(
            i.bytes or 0 for i in items if isinstance(i, Gap) and i.direction == direction and i.reason == "lost"
        )
        skipped = sum(
            i.bytes or 0 for i in items if isinstance(i, Gap) and i.direction == direction and i.reason != "lost"
        )
        came = {traffic.identity(m) for m in items if isinstance(m, Message) and m.direction == direction}
        used = sum(
            sum(map(bool, known[m.start : m.end]))
            for m in talk.messages
            if m.direction == direction and m.identity in came
        )
        if heard:
            assert lost + skipped + used == infos[0].bytes[direction]
