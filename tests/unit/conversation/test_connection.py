"""What TCP does to a connection, from its first packet to its last: packets in, messages out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decoder import Decoder, Gap, KeyRing, Limits, Message
from decoder.conversation.summary import ConnectionInfo
from tests.support import exchange as ex
from tests.support.segments import (
    ACK,
    FIN,
    PSH,
    RST,
    START_NS,
    STEP_NS,
    SYN,
    Decoded,
    Segment,
    Talk,
    decode_segments,
    feed,
)

NOW = 1_700_000_000


def request(serial_no: int) -> bytes:
    """52 bytes."""
    return ex.frame(1004, ex.keep_alive(NOW + serial_no), serial_no=serial_no)


def answer(serial_no: int, size: int = 0) -> bytes:
    body = ex.refused("KeepAlive", "x" * size) if size else ex.keep_alive_answer(NOW + serial_no)
    return ex.frame(1004, body, serial_no=serial_no)


def sealed(serial_no: int) -> bytes:
    plain = ex.keep_alive(NOW + serial_no)
    return ex.frame(1004, plain, ex.cbc(plain), serial_no)


def sealed_answer(serial_no: int) -> bytes:
    plain = ex.keep_alive_answer(NOW + serial_no)
    return ex.frame(1004, plain, ex.cbc(plain), serial_no)


HELLO, WELCOME = ex.frame(1001, ex.init_request(), serial_no=1), ex.frame(1001, ex.init_response(), serial_no=1)


def flip(segment: Segment, position: int = 50) -> Segment:
    data = segment.payload
    return replace(segment, payload=data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])


def idle(talk: Talk, count: int) -> Talk:
    """So many packets without payload."""
    for number in range(count):
        talk.ack("s2c" if number % 2 else "c2s")
    return talk


# The first packets


def test_a_syn_that_comes_after_the_first_data() -> None:
    talk = Talk().c2s(request(1)).c2s(request(2)).s2c(answer(1))
    syn, synack, third, one, two, three = talk.segments
    for order in ([two, one, syn, synack, third, three], [one, syn, two, third, three, synack]):
        decoded = decode_segments(order)
        assert sorted(decoded.verified) == [1, 1, 2]
        assert decoded.gaps == []
        assert len({message.connection for message in decoded.messages}) == 1


def test_the_first_packets_of_a_late_start_in_any_order() -> None:
    talk = Talk(syn=False).c2s(request(1), request(2), request(3), mss=60)
    one, two, three, *_ = talk.segments
    decoded = decode_segments([two, three, one])
    assert sorted(decoded.verified) == [1, 2, 3]


def test_early_bytes_that_never_join_the_others_come_out_all_the_same() -> None:
    talk = Talk(syn=False).c2s(request(1)).lose("c2s", 100).c2s(request(2))
    decoded = decode_segments(talk.segments[::-1])
    assert decoded.told == ["1 verified", "gap 100 lost", "2 verified"]


def test_a_syn_that_is_sent_again() -> None:
    talk = Talk().c2s(request(1)).s2c(answer(1))
    syn, synack, *rest = talk.segments
    decoded = decode_segments([syn, syn, synack, syn, synack, *rest])
    assert decoded.verified == [1, 1]
    assert {message.connection for message in decoded.messages} == {0}


def test_payload_in_the_syn() -> None:
    data = request(1)
    syn = Segment("c2s", 1000, data[:20], SYN)
    synack = Segment("s2c", 5000, b"", SYN | ACK, 1021)
    rest = Segment("c2s", 1021, data[20:] + request(2), PSH | ACK, 5001)
    assert decode_segments([syn, synack, rest]).verified == [1, 2]


def test_a_lost_syn_is_known_from_its_answer() -> None:
    talk = Talk().c2s(request(1), request(2), mss=52)
    _, synack, _, one, two = talk.segments
    decoded = decode_segments([synack, two])
    assert decoded.told == ["gap 52 lost", "2 verified"]
    assert decode_segments([synack, two, one]).verified == [1, 2]


@pytest.mark.parametrize("direction", ["c2s", "s2c"])
def test_half_of_a_conversation(direction: str) -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME)
    for serial_no in range(2, 9):
        talk.c2s(request(serial_no)).s2c(answer(serial_no))
    decoded = decode_segments([segment for segment in talk.segments if segment.direction == direction])
    assert decoded.verified == list(range(1, 9))
    assert {message.request for message in decoded.messages} == {None}


@pytest.mark.parametrize("more", [0, 500])
def test_a_fake_header_begins_no_conversation(more: int) -> None:
    fake = ex.frame(3004, b"\xa5" * 128, sha1=bytes(20)) + b"\xa5" * more
    decoded = decode_segments(Talk().c2s(fake).s2c(fake).segments)
    assert decoded.items == []
    lines = decoded.decoder.summary.not_opend
    assert lines == ["192.0.2.1:50112 > 192.0.2.2:11111: it begins like a message, and nothing proves that it is one"]


def test_a_header_that_proves_nothing_counts_once_the_other_side_spoke() -> None:
    talk = Talk().s2c(sealed_answer(2)).c2s(request(3))
    decoder = Decoder()
    before = talk.segments[:-1]
    assert feed(decoder, before) == []
    told = feed(decoder, idle(talk, 17).segments[len(before) :], 10)
    assert sorted(m.serial_no for m in told if isinstance(m, Message)) == [2, 3]


def test_in_a_stream_entered_in_the_middle_nothing_waits_for_a_better_first_header() -> None:
    decoder = Decoder(limits=Limits(reorder_packets=20))
    segments = idle(Talk(syn=False).c2s(request(1)[30:]).c2s(request(2)), 25).segments
    told = feed(decoder, segments)
    assert [item.serial_no if isinstance(item, Message) else item.reason for item in told] == ["mid-stream", 2]


# The last packets


def test_fin_with_payload_and_payload_before_it() -> None:
    talk = Talk().c2s(request(1)).s2c(answer(1)).c2s(request(2)).fin()
    *before, data, fin, _, _ = talk.segments
    told = decode_segments([*before, fin, data]).told
    assert told == ["1 verified", "1 verified", "2 verified"]
    assert decode_segments([*before, replace(data, flags=FIN | PSH | ACK)]).verified == [1, 1, 2]


def test_a_simultaneous_close() -> None:
    told: list[ConnectionInfo] = []
    talk = Talk().c2s(request(1)).s2c(answer(1))
    end = talk.next
    fins = [
        Segment("c2s", end["c2s"], b"", FIN | ACK, end["s2c"]),
        Segment("s2c", end["s2c"], b"", FIN | ACK, end["c2s"]),
    ]
    decoder = Decoder(on_connection=told.append)
    items = feed(decoder, idle(talk, 0).segments + fins) + decoder.flush()
    assert len(items) == 2
    assert [(info.closed_by, info.reset) for info in told] == [("client", False)]


def test_a_reset_ends_a_connection_and_what_it_overtook_counts() -> None:
    talk = Talk().c2s(request(1)).s2c(answer(1)).reset()
    *before, data, reset = talk.segments
    decoded = decode_segments([*before, reset, data])
    assert decoded.verified == [1, 1]


def test_a_reset_from_nowhere_ends_nothing() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME)
    wild = Segment("s2c", talk.next["s2c"] + 2**30, b"", RST)
    talk.segments.append(wild)
    idle(talk, 300).c2s(sealed(2))
    assert decode_segments(talk.segments).verified == [1, 1, 2]


def test_a_fin_flag_from_nowhere_ends_nothing() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME)
    talk.segments.append(replace(talk.segments[-1], flags=FIN | ACK, seq=talk.next["s2c"], payload=b""))
    idle(talk, 300).c2s(sealed(2)).s2c(answer(2)).s2c(answer(3))
    decoded = decode_segments(talk.segments)
    assert decoded.verified == [1, 1, 2, 2, 3]
    assert decoded.gaps == []


@pytest.mark.parametrize("far", [2**30, -5000])
def test_nor_do_fin_flags_on_both_sides(far: int) -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME, answer(7, 8000))
    for direction in ("c2s", "s2c"):
        talk.segments.append(Segment(direction, talk.next[direction] + far, b"", FIN | ACK, 0))
    idle(talk, 300).c2s(sealed(2)).s2c(sealed_answer(2))
    decoded = decode_segments(talk.segments)
    assert decoded.told == ["1 verified", "1 verified", "7 verified", "2 verified", "2 verified"]


@pytest.mark.parametrize("pause", [0, 300])
def test_late_copies_after_the_end_are_no_new_connection(pause: int) -> None:
    talk = Talk().c2s(request(1)).s2c(answer(1)).fin()
    late = talk.segments[3:5]
    other = idle(Talk(ports=(50113, 11111)), pause)
    told: list[ConnectionInfo] = []
    decoder = Decoder(on_connection=told.append)
    items = feed(decoder, talk.segments + other.segments + late + talk.segments[-3:]) + decoder.flush()
    assert [message.serial_no for message in items if isinstance(message, Message)] == [1, 1]
    assert len(told) == 2


def test_what_the_receiver_acknowledged_and_the_capture_does_not_have_is_named() -> None:
    talk = Talk().c2s(request(1)).lose("c2s", 500).ack("s2c")
    assert decode_segments(talk.segments).gaps == [("c2s", 500, "lost")]


def test_an_acknowledgement_that_was_overtaken_hides_no_loss() -> None:
    talk = Talk().c2s(request(1)).ack("s2c").lose("c2s", 500).ack("s2c").ack("s2c")
    *before, stale, latest, again = talk.segments
    assert decode_segments([*before, latest, stale]).gaps == [("c2s", 500, "lost")]
    assert decode_segments([*before, latest, again, stale, stale]).gaps == [("c2s", 500, "lost")]


def test_a_damaged_acknowledgement_is_no_loss() -> None:
    talk = Talk().c2s(request(1)).ack("s2c")
    wild = replace(talk.segments[-1], ack=talk.segments[-1].ack + 2**25)
    assert decode_segments([*talk.segments, wild, talk.segments[-1]]).gaps == []


# Ports used again


def again(serial_no: int, *, isn: tuple[int, int], syn: bool = True) -> list[Segment]:
    return Talk(isn=isn, syn=syn).c2s(request(serial_no)).s2c(answer(serial_no)).segments


@pytest.mark.parametrize("isn", [(7000, 9000), (10, 20), (2**31, 2**31 + 5), (1400, 5400)])
@pytest.mark.parametrize("end", ["fin", "reset", "nothing"])
def test_a_later_connection_on_the_same_ports(end: str, isn: tuple[int, int]) -> None:
    first = Talk().c2s(request(1)).s2c(answer(1))
    if end != "nothing":
        getattr(first, end)()
    decoded = decode_segments(first.segments + again(2, isn=isn))
    assert [(m.connection, m.serial_no, m.verdict) for m in decoded.messages] == [
        (0, 1, "verified"), (0, 1, "verified"), (1, 2, "verified"), (1, 2, "verified"),
    ]  # fmt: skip
    assert decoded.gaps == []
    assert [message.request for message in decoded.messages] == [None, 1, None, 3]


def test_a_later_connection_of_which_the_syn_is_missing() -> None:
    first = Talk().c2s(request(1)).s2c(answer(1)).segments
    second = again(2, isn=(2**31, 2**31 + 5))
    for missing in (1, 2, 3):
        decoded = decode_segments(first + second[missing:])
        assert [(m.connection, m.serial_no) for m in decoded.messages] == [(0, 1), (0, 1), (1, 2), (1, 2)], missing


def test_a_later_connection_of_which_the_syn_is_missing_and_the_answer_to_the_first_syn_too() -> None:
    first = Talk().c2s(request(1)).s2c(answer(1)).segments
    decoded = decode_segments([first[0], *first[2:], *again(2, isn=(500_000, 900_000))[1:]])
    assert sorted((m.connection, m.serial_no) for m in decoded.messages) == [(0, 1), (0, 1), (1, 2), (1, 2)]


def test_a_later_connection_of_which_only_data_is_there() -> None:
    """The one before it is closed, so its data is of another, however near the sequence numbers are."""
    first = Talk().c2s(request(1)).s2c(answer(1)).fin().segments
    pause = idle(Talk(ports=(50113, 11111)), 300).segments
    decoded = decode_segments(first + pause + again(2, isn=(1300, 5300), syn=False))
    assert [(m.connection, m.serial_no) for m in decoded.messages] == [(0, 1), (0, 1), (2, 2), (2, 2)]
    assert decoded.gaps == []


@pytest.mark.parametrize("near", [40_000_000, -40_000_000])
@pytest.mark.parametrize("side", [0, 1])
def test_also_if_the_sequence_numbers_of_one_side_are_near_by_chance(side: int, near: int) -> None:
    first = Talk(isn=(2**30, 2**30)).c2s(request(1)).s2c(answer(1)).segments
    isn = (2**30 + near, 5000) if side == 0 else (5000, 2**30 + near)
    second = again(2, isn=isn)[2:]  # only the client's acknowledgement of the handshake is there
    decoded = decode_segments(first + second)
    assert [(m.connection, m.serial_no) for m in decoded.messages] == [(0, 1), (0, 1), (1, 2), (1, 2)]
    assert decoded.gaps == []


def test_a_later_connection_has_keys_of_its_own() -> None:
    first = Talk().c2s(HELLO).s2c(WELCOME).c2s(sealed(2)).fin().segments
    second = Talk(isn=(2**31, 2**31)).c2s(HELLO).s2c(ex.frame(1001, ex.init_response(key=b"F" * 16), serial_no=1))
    second.c2s(sealed(3))
    assert decode_segments(first + second.segments).told[3:] == ["1 verified", "1 verified", "3 sha1-mismatch"]


def test_one_damaged_sequence_number_is_not_a_later_connection() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME)
    wild = replace(talk.segments[3], seq=talk.segments[3].seq ^ 2**30)
    idle(talk, 200).c2s(sealed(2))
    decoded = decode_segments([*talk.segments[:5], wild, *talk.segments[5:]])
    assert decoded.verified == [1, 1, 2]
    assert len({message.connection for message in decoded.messages}) == 1


def test_closed_connections_are_forgotten() -> None:
    decoder = Decoder()
    for number in range(3000):
        talk = Talk(ports=(1024 + number, 11111)).c2s(request(1)).s2c(answer(1)).fin()
        feed(decoder, talk.segments, 1 + 10 * number)
    assert len(decoder._table.entries) < 2500
    assert decoder._table.buffered == 0


# Probes


@pytest.mark.parametrize("garbage", [b"", b"\0", b"T"])
def test_keep_alive_probes(garbage: bytes) -> None:
    talk = Talk().c2s(request(1))
    probe = Segment("c2s", talk.next["c2s"] - 1, garbage, ACK, talk.next["s2c"])
    talk.segments += [probe, probe]
    talk.c2s(request(2)).s2c(answer(1))
    decoded = decode_segments(talk.segments)
    assert decoded.told == ["1 verified", "2 verified", "1 verified"]
    assert all(message.notes == [] for message in decoded.messages)
    assert [message.frames for message in decoded.messages] == [[4], [7], [8]]
    early = talk.segments
    early[3:5] = early[4:2:-1]  # the probe came first
    decoded = decode_segments(early)
    assert decoded.told == ["1 verified", "2 verified", "1 verified"]
    assert all(message.notes == [] for message in decoded.messages)


def test_zero_window_probes() -> None:
    data = request(1) + request(2)
    talk = Talk().c2s(data[:10])
    for _ in range(3):
        talk.segments.append(Segment("c2s", talk.next["c2s"], data[10:11], ACK, talk.next["s2c"]))
    talk.c2s(data[10:])
    decoded = decode_segments(talk.segments)
    assert decoded.verified == [1, 2]
    assert decoded.messages[0].frames == [4, 5, 8]


# Twice


@pytest.mark.parametrize("delay", [0, 1, 40])
def test_the_same_capture_on_two_interfaces(delay: int) -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME)
    for serial_no in range(2, 40):
        talk.c2s(sealed(serial_no)).s2c(answer(serial_no, 300), mss=100)
    talk.fin()
    each = [segment.packet() for segment in talk.segments]
    tagged = [segment.packet(vlan=7) for segment in talk.segments]
    packets = sorted([(n, 0, p) for n, p in enumerate(each)] + [(n + delay, 1, p) for n, p in enumerate(tagged)])
    decoder = Decoder()
    items: list[Message | Gap] = []
    for number, (_, _, packet) in enumerate(packets):
        items += decoder.feed(packet, START_NS + number * STEP_NS)
    items += decoder.flush()
    once = decode_segments(talk.segments).messages
    assert [(i.serial_no, i.direction) for i in items if isinstance(i, Message)] == [
        (m.serial_no, m.direction) for m in once
    ]
    assert {i.verdict for i in items if isinstance(i, Message)} == {"verified"}


# Holes: how long they are waited for


def hole(talk: Talk) -> Talk:
    return talk.c2s(request(1)).lose("c2s", 52).c2s(request(3))


def test_a_hole_that_was_acknowledged_is_lost_after_a_number_of_packets() -> None:
    decoder = Decoder(limits=Limits(reorder_packets=20))
    talk = hole(Talk())
    assert [i for i in feed(decoder, talk.segments) if isinstance(i, Gap)] == []
    later = idle(Talk(isn=(talk.next["c2s"], talk.next["s2c"]), syn=False), 60).segments
    told = feed(decoder, later[:19], 10)
    assert told == []
    told = feed(decoder, later[19:22], 30)
    assert [type(item) for item in told] == [Gap, Message]
    assert isinstance(told[0], Gap)
    assert told[0].frame in (29, 30, 31)
    assert told[0].time_ns == START_NS + told[0].frame * STEP_NS


def test_a_hole_that_nobody_acknowledged_is_waited_for_until_the_connection_ends() -> None:
    """TCP must send again what was not acknowledged."""
    decoder = Decoder(limits=Limits(reorder_packets=20))
    talk = hole(Talk())
    feed(decoder, talk.segments)
    more = Talk(isn=(talk.next["c2s"], talk.next["s2c"]), syn=False)
    for serial_no in range(4, 204):
        more.c2s(request(serial_no))
    told = feed(decoder, more.segments[:100], 10)
    assert told == []
    assert feed(decoder, more.segments[100:], 110) == []
    told = decoder.flush()
    assert isinstance(told[0], Gap)
    assert len(told) == 202


def test_a_hole_that_nobody_acknowledged_is_filled_late() -> None:
    talk = hole(Talk())
    for serial_no in range(4, 604):
        talk.c2s(request(serial_no))
    late = Segment("c2s", talk.segments[3].seq + 52, request(2))
    decoded = decode_segments([*talk.segments, late])
    assert decoded.verified == list(range(1, 604))
    assert decoded.gaps == []


def test_a_hole_that_is_filled_in_time_is_none() -> None:
    talk = Talk().c2s(request(1)).c2s(request(2)).c2s(request(3))
    late = talk.segments.pop(4)
    idle(talk, 100).segments.append(late)
    decoded = decode_segments(talk.segments)
    assert decoded.told == ["1 verified", "2 verified", "3 verified"]


# Held back until the keys are known


def keys() -> KeyRing:
    return KeyRing([ex.pem(ex.rsa_key())])


def secret_hello() -> tuple[bytes, bytes]:
    key = ex.rsa_key()
    hello, welcome = ex.init_request(), ex.init_response()
    return ex.frame(1001, hello, ex.rsa(hello, key)), ex.frame(1001, welcome, ex.rsa(welcome, key))


def early_bird(count: int = 3) -> list[Segment]:
    """A capture in which encrypted messages stand before the handshake response that carries their key."""
    hello, welcome = secret_hello()
    talk = Talk().c2s(hello).s2c(welcome)
    answered = talk.segments.pop()
    for serial_no in range(2, 2 + count):
        talk.c2s(sealed(serial_no))
    talk.segments.append(answered)
    return talk.s2c(answer(2)).segments


def test_encrypted_messages_before_their_key() -> None:
    decoded = decode_segments(early_bird(), keys())
    assert decoded.told == [f"{n} verified" for n in (1, 2, 3, 4, 1, 2)]
    assert [message.frames for message in decoded.messages] == [[4], [5], [6], [7], [8], [9]]


def test_also_if_the_response_is_captured_in_pieces() -> None:
    hello, welcome = secret_hello()
    talk = Talk().c2s(hello).s2c(welcome, mss=50).c2s(sealed(2))
    *before, last, early = talk.segments
    assert decode_segments([*before, early, last], keys()).told == ["1 verified", "2 verified", "1 verified"]


def test_a_client_that_hashes_ciphertext_before_its_key() -> None:
    hello, welcome = secret_hello()
    talk = Talk().c2s(hello).s2c(welcome)
    answered = talk.segments.pop()
    talk.c2s(ex.hashing_ciphertext(1004, ex.cbc(ex.keep_alive(5)), 2))
    decoded = decode_segments([*talk.segments, answered], keys())
    assert decoded.told == ["1 verified", "2 sha1-of-ciphertext", "1 verified"]


def test_what_is_held_back_is_bounded() -> None:
    decoded = decode_segments(early_bird(30), keys(), Limits(max_held=10))
    assert decoded.told.count("2 handshake-missing") == 1
    assert len(decoded.messages) == 33
    assert any("InitConnect response" in line for line in decoded.decoder.summary.reports)
    decoded = decode_segments(early_bird(30), keys(), Limits(max_held_bytes=5000))
    assert decoded.told.count("2 handshake-missing") == 1


def test_a_response_that_is_lost_is_not_waited_for_once_another_comes() -> None:
    hello, welcome = secret_hello()
    talk = Talk().c2s(hello).lose("s2c", len(welcome)).c2s(sealed(2)).s2c(sealed_answer(2), sealed_answer(3))
    decoder = Decoder(keys=keys(), limits=Limits(reorder_packets=20))
    feed(decoder, talk.segments)
    told = feed(decoder, idle(talk, 50).segments[-50:], 10)
    assert [item.reason for item in told] == ["handshake-missing", "lost", "handshake-missing", "handshake-missing"]


def test_packets_that_overtook_the_handshake_where_the_capture_begins() -> None:
    hello, welcome = secret_hello()
    talk = Talk().c2s(hello).s2c(welcome).c2s(sealed(2)).s2c(answer(2)).c2s(sealed(3))
    syn, synack, third, one, two, *rest = talk.segments
    decoded = decode_segments([*rest, two, one, third, synack, syn], keys())
    assert sorted(decoded.verified) == [1, 1, 2, 2, 3]


# Requests and answers


def test_an_answer_captured_before_its_request() -> None:
    talk = Talk().c2s(request(1)).s2c(answer(1)).c2s(request(2))
    *before, one, answer_one, two = talk.segments
    decoded = decode_segments([*before, answer_one, one, two])
    assert decoded.told == ["1 verified", "1 verified", "2 verified"]
    response, later, _ = decoded.messages
    assert (response.kind, response.request, response.latency_ns, response.notes) == ("response", None, None, [])
    assert (later.kind, later.notes) == ("request", ["request-later"])
    assert decoded.messages[2].notes == []


def test_an_answer_captured_while_its_request_waits_for_a_hole() -> None:
    talk = Talk().c2s(request(1)).c2s(request(2)).s2c(answer(2))
    *before, one, two, answer_two = talk.segments
    response, _, later = decode_segments([*before, two, answer_two, one]).messages
    assert (response.kind, response.request, response.notes) == ("response", None, ["request-later"])
    assert (later.serial_no, later.notes) == (2, ["request-later"])


def test_an_answer_before_its_request_while_both_are_held_back() -> None:
    """What came first waits for a better copy."""
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(request(2)).c2s(request(3)).s2c(answer(3))
    *before, two, three, answer_three = talk.segments
    early = replace(answer_three, ack=two.seq)
    messages = decode_segments([*before, flip(two), early, three, two]).messages[2:]
    assert [(m.serial_no, m.kind, m.notes) for m in messages] == [
        (3, "response", ["request-later"]),
        (2, "request", ["conflicting-overlap"]),
        (3, "request", ["request-later"]),
    ]


def test_an_answer_captured_in_the_middle_of_its_request() -> None:
    talk = Talk().c2s(request(1), mss=46).s2c(answer(1))
    *before, head, tail, answer_one = talk.segments
    response, later = decode_segments([*before, head, answer_one, tail]).messages
    assert (response.kind, response.request, response.notes) == ("response", None, ["request-later"])
    assert later.notes == ["request-later"]


def test_an_answer_whose_request_is_not_in_the_capture_has_no_note() -> None:
    decoded = decode_segments(Talk().s2c(answer(1)).c2s(request(2)).s2c(answer(2)).segments)
    assert [message.notes for message in decoded.messages] == [[], [], []]


def test_requests_that_are_never_answered_are_forgotten_in_time() -> None:
    talk = Talk().c2s(*[request(n) for n in range(20)]).s2c(answer(0), answer(19))
    decoded = decode_segments(talk.segments, limits=Limits(max_pending_requests=5))
    assert [message.request for message in decoded.messages[-2:]] == [None, 20]
    assert any("requests" in line for line in decoded.decoder.summary.reports)


# Frames and time


def test_frames_are_first_copies_and_time_is_that_of_the_last() -> None:
    talk = Talk().s2c(answer(1, 300), mss=100)
    *before, one, two, three, four = talk.segments
    decoded: Decoded = decode_segments([*before, one, three, one, four, three, two, two])
    (message,) = decoded.messages
    assert message.frames == [4, 5, 7, 9]
    assert message.time_ns == START_NS + 9 * STEP_NS


def test_a_gap_has_the_packet_at_which_it_was_declared() -> None:
    talk = Talk().c2s(request(1)).c2s(request(2))
    talk.segments[-2] = talk.segments[-2].snapped(46)
    decoded = decode_segments(talk.segments)
    (gap,) = [item for item in decoded.items if isinstance(item, Gap)]
    assert (gap.bytes, gap.reason, gap.frame, gap.time_ns) == (6, "snaplen", 4, START_NS + 4 * STEP_NS)
