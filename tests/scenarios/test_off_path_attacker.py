"""Random conversations with packets between them that an attacker or a broken middlebox sends.

The attacker knows addresses and ports, sees no traffic, and guesses numbers: anywhere, or in the window.  The model
knows what was really sent: all of it must come out, verified, in order, and nothing else may be verified.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from decoder import Decoder, Gap, Message
from decoder.conversation.summary import ConnectionInfo
from tests.support import exchange as ex
from tests.support import traffic
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

PORTS = (50_001, 11_111)
rngs = st.integers(0, 2**32 - 1).map(Random)


def place(rng: Random, after: Segment) -> int:
    """A sequence number near what `after` carried: in the window, but not exactly the next one; or anywhere."""
    end = after.seq + len(after.payload) + bool(after.flags & (SYN | FIN))
    return end + rng.choice((rng.randrange(2, 60_000), -rng.randrange(1, 60_000), rng.getrandbits(32)))


def syn(rng: Random, after: Segment) -> Segment:
    return Segment(after.direction, place(rng, after), b"", SYN, 0, ports=PORTS)


def syn_ack(rng: Random, after: Segment) -> Segment:
    return Segment(
        after.direction, place(rng, after), b"", SYN | ACK, after.ack + rng.randrange(-5000, 5000), ports=PORTS
    )


def reset(rng: Random, after: Segment) -> Segment:
    return Segment(after.direction, place(rng, after), b"", RST | rng.choice((0, ACK)), after.ack, ports=PORTS)


def exact_reset(rng: Random, after: Segment) -> Segment:
    end = after.seq + len(after.payload) + bool(after.flags & (SYN | FIN))
    return Segment(after.direction, end, b"", RST | ACK, after.ack, ports=PORTS)


def fin(rng: Random, after: Segment) -> Segment:
    return Segment(after.direction, place(rng, after), b"", FIN | ACK, after.ack, ports=PORTS)


def exact_fin(rng: Random, after: Segment) -> Segment:
    end = after.seq + len(after.payload) + bool(after.flags & (SYN | FIN))
    return Segment(after.direction, end, b"", FIN | ACK, after.ack, ports=PORTS)


def probe(rng: Random, after: Segment) -> Segment:
    """A keep-alive probe: the last byte once more, or any."""
    end = after.seq + len(after.payload) + bool(after.flags & (SYN | FIN))
    return Segment(after.direction, end - 1, rng.choice((b"", b"\0", b"T")), ACK, after.ack, ports=PORTS)


def old_data(rng: Random, after: Segment) -> Segment:
    """Other bytes in the place of those that were just sent."""
    return Segment(after.direction, after.seq, rng.randbytes(len(after.payload)), PSH | ACK, after.ack, ports=PORTS)


def data_from_afar(rng: Random, after: Segment) -> Segment:
    far = after.seq + rng.choice((-1, 1)) * rng.randrange(2**27, 2**31)
    return Segment(
        after.direction, far, rng.randbytes(rng.randrange(1, 200)), PSH | ACK, rng.getrandbits(32), ports=PORTS
    )


def exact_data(rng: Random, after: Segment) -> Segment:
    """Data at exactly the next number."""
    end = after.seq + len(after.payload) + bool(after.flags & (SYN | FIN))
    return Segment(
        after.direction, end, rng.randbytes(rng.randrange(1, 200)), PSH | ACK, after.ack, ports=PORTS, tag="bad"
    )


def ack_ahead(rng: Random, after: Segment) -> Segment:
    """An acknowledgement of bytes that were not sent yet, or of any."""
    end = after.seq + len(after.payload) + bool(after.flags & (SYN | FIN))
    ack = after.ack + rng.choice((rng.randrange(1, 5000), rng.getrandbits(32)))
    return Segment(after.direction, end, b"", ACK, ack, ports=PORTS)


Forgery = Callable[[Random, Segment], Segment]
FORGERIES: list[Forgery] = [
    syn,
    syn_ack,
    reset,
    exact_reset,
    fin,
    exact_fin,
    probe,
    old_data,
    data_from_afar,
]


def forge(
    rng: Random, segments: list[Segment], count: int, forgeries: list[Forgery] = FORGERIES, *also: Forgery
) -> list[Segment]:
    """Puts `count` forged packets, and one of `also`, between those of a connection: after the handshake of TCP and
    before its end."""
    last = max(index for index, segment in enumerate(segments) if segment.payload)
    chosen = sorted((rng.randrange(3, max(4, last)) for _ in range(count + bool(also))), reverse=True)
    forged = [rng.choice(forgeries) for _ in range(count)] + [rng.choice(also) for _ in also[:1]]
    rng.shuffle(forged)
    out = list(segments)
    for index, each in zip(chosen, forged, strict=True):
        out.insert(index + 1, each(rng, segments[index]))
    return out


def overtaken(rng: Random, segments: list[Segment], window: int) -> list[Segment]:
    """Each packet is overtaken by some of the `window` that follow it."""
    places = sorted(range(len(segments)), key=lambda place: place + rng.random() * window)
    return [segments[place] for place in places]


def check(one: traffic.Delivery, mode: str, decoded: Decoded) -> None:
    came = [traffic.identity(message) for message in decoded.messages if message.verdict == "verified"]
    sent = [message.identity for message in one.talk.messages]
    assert sorted(came) == sorted(sent)
    for direction in ("c2s", "s2c"):
        own = [each for each in came if each[0] == direction]
        assert own == [each for each in sent if each[0] == direction], "not in stream order"


@given(
    rngs, st.sampled_from(traffic.MODES[:-1]), st.integers(2, 12), st.sampled_from((60, 700, 65_000)), st.integers(1, 8)
)
def test_nothing_that_an_attacker_sends_costs_a_message(
    rng: Random, mode: str, count: int, max_size: int, forged: int
) -> None:
    talk = traffic.converse(rng, mode, 0, count, quotes=False)
    one = traffic.deliver(rng, talk, max_size, PORTS, (rng.getrandbits(32), rng.getrandbits(32)))
    decoded = decode_segments(forge(rng, one.sent, forged), traffic.keys())
    check(one, mode, decoded)


@given(
    rngs, st.sampled_from(traffic.MODES[:-1]), st.integers(2, 12), st.sampled_from((60, 700, 65_000)), st.integers(1, 8)
)
def test_nor_where_the_capture_begins_behind_the_handshake_of_tcp(
    rng: Random, mode: str, count: int, max_size: int, forged: int
) -> None:
    talk = traffic.converse(rng, mode, 0, count, quotes=False)
    one = traffic.deliver(rng, talk, max_size, PORTS, (rng.getrandbits(32), rng.getrandbits(32)))
    decoded = decode_segments(forge(rng, one.sent, forged)[3:], traffic.keys())
    check(one, mode, decoded)


def skipped(decoded: Decoded) -> dict[str, int]:
    """Captured bytes of each direction that came out in no message."""
    sizes = {"c2s": 0, "s2c": 0}
    for direction, size, reason in decoded.gaps:
        sizes[direction] += (size or 0) * (reason != "lost")
    return sizes


@given(rngs, st.sampled_from(traffic.MODES[:-1]), st.integers(2, 12), st.sampled_from((700, 65_000)), st.integers(1, 4))
def test_nor_what_one_sends_who_guesses_the_exact_number(
    rng: Random, mode: str, count: int, max_size: int, forged: int
) -> None:
    """Forged data comes first, real data after it; forged acknowledgements say that the receiver had the forged."""
    talk = traffic.converse(rng, mode, 0, count, quotes=False)
    one = traffic.deliver(rng, talk, max_size, PORTS, (rng.getrandbits(32), rng.getrandbits(32)))
    segments = forge(rng, one.sent, forged, [ack_ahead, exact_fin, reset], exact_data)
    decoded = decode_segments(segments, traffic.keys())
    check(one, mode, decoded)
    assert max(skipped(decoded).values()) < 200, "more than the forged bytes behind all that was sent"


@given(rngs, st.sampled_from(traffic.MODES[:-1]), st.integers(2, 12), st.sampled_from((700, 65_000)), st.integers(0, 4))
def test_nor_where_packets_overtake_each_other_as_well(
    rng: Random, mode: str, count: int, max_size: int, forged: int
) -> None:
    """The real data comes after the acknowledgement of it, and that after the forged data."""
    talk = traffic.converse(rng, mode, 0, count, quotes=False)
    one = traffic.deliver(rng, talk, max_size, PORTS, (rng.getrandbits(32), rng.getrandbits(32)))
    segments = forge(rng, one.sent, forged, [ack_ahead, exact_fin, reset], exact_data, old_data)
    decoded = decode_segments(segments[:3] + overtaken(rng, segments[3:], 8), traffic.keys())
    check(one, mode, decoded)
    assert max(skipped(decoded).values()) < 200, "more than the forged bytes behind all that was sent"


@given(rngs, st.integers(2, 12), st.integers(1, 6))
def test_a_forged_fin_ahead_of_the_data_leaves_no_gap(rng: Random, count: int, forged: int) -> None:
    talk = traffic.converse(rng, "plain", 0, count, quotes=False)
    one = traffic.deliver(rng, talk, 700, PORTS, (rng.getrandbits(32), rng.getrandbits(32)))
    segments = forge(rng, one.sent, forged, [fin])
    decoded = decode_segments(segments, traffic.keys())
    check(one, "plain", decoded)
    assert decoded.gaps == []


def test_nor_does_it_in_a_connection_that_stays_open() -> None:
    talk = Talk().c2s(ex.frame(1004, ex.keep_alive()))
    talk.segments.append(Segment("c2s", talk.next["c2s"] + 30_000, b"", FIN | ACK, talk.next["s2c"]))
    talk.s2c(ex.frame(1004, ex.keep_alive_answer())).c2s(ex.frame(1004, ex.keep_alive(), serial_no=2))
    assert decode_segments(talk.segments).gaps == []


def test_a_fin_that_was_acknowledged_tells_what_is_missing_before_it() -> None:
    talk = Talk().c2s(ex.frame(1004, ex.keep_alive())).lose("c2s", 60).fin()
    assert decode_segments(talk.segments).gaps == [("c2s", 60, "lost")]


def test_so_does_the_last_packet_of_a_direction() -> None:
    talk = Talk().c2s(ex.frame(1004, ex.keep_alive())).ack("s2c").lose("c2s", 60).fin()
    assert decode_segments(talk.segments[:-2]).gaps == [("c2s", 60, "lost")]


def test_a_forged_fin_before_the_first_data_begins_no_stream() -> None:
    talk = Talk(syn=False).c2s(ex.frame(1004, ex.keep_alive())).s2c(ex.frame(1004, ex.keep_alive_answer()))
    request, response = talk.segments
    forged = Segment("s2c", response.seq + 2**30, b"", FIN | ACK, response.ack)
    decoded = decode_segments([request, forged, response])
    assert decoded.told == ["1 verified", "1 verified"]
    assert decoded.messages[1].request == 1


ANY_FORGERY: list[Forgery] = [*FORGERIES, exact_data, ack_ahead]


@given(
    rngs,
    st.sampled_from(traffic.MODES),
    st.integers(2, 12),
    st.sampled_from((60, 700)),
    st.integers(0, 6),
    st.integers(0, 3),
    st.sampled_from((1, 8)),
    st.booleans(),
)
def test_whatever_is_forged_and_lost_the_account_of_each_direction_closes(
    rng: Random, mode: str, count: int, max_size: int, forged: int, losses: int, window: int, from_syn: bool
) -> None:
    talk = traffic.converse(rng, mode, 0, count, quotes=False)
    one = traffic.deliver(rng, talk, max_size, PORTS, (rng.getrandbits(32), rng.getrandbits(32)))
    segments = forge(rng, one.sent, forged, ANY_FORGERY)
    head, tail = segments[: 3 * from_syn], segments[3:]
    segments = head + overtaken(rng, traffic.lose(rng, tail, losses), window)
    infos: list[ConnectionInfo] = []
    decoder = Decoder(keys=traffic.keys(), on_connection=infos.append)
    items = feed(decoder, segments) + decoder.flush()
    for info in infos:
        for direction in ("c2s", "s2c"):
            own = [i for i in items if i.connection == info.ordinal and i.direction == direction]
            messages = [item for item in own if isinstance(item, Message)]
            if not any(each.payload and each.direction == direction for each in segments if each in one.sent):
                continue  # nothing of it was captured
            came = sum(44 + message.body_len for message in messages)
            gaps = sum(item.bytes or 0 for item in own if isinstance(item, Gap))
            if any(message.reason in ("gap", "oversize") or "damaged-length" in message.notes for message in messages):
                assert gaps <= info.bytes[direction] <= came + gaps, "their headers say more than there was"
            elif info.confirmed:
                assert came + gaps == info.bytes[direction]


@given(rngs, st.sampled_from(traffic.MODES), st.integers(2, 12), st.integers(0, 6), st.sampled_from((1, 8)))
def test_over_ipv6_all_is_as_over_ipv4(rng: Random, mode: str, count: int, forged: int, window: int) -> None:
    talk = traffic.converse(rng, mode, 0, count, quotes=False)
    one = traffic.deliver(rng, talk, 700, PORTS, (rng.getrandbits(32), rng.getrandbits(32)))
    segments = overtaken(rng, forge(rng, one.sent, forged, ANY_FORGERY), window)
    runs = []
    for ipv6 in (False, True):
        decoder = Decoder(keys=traffic.keys())
        items: list[Message | Gap] = []
        for number, segment in enumerate(segments, 1):
            items += decoder.feed(segment.packet(ipv6=ipv6), START_NS + number * STEP_NS)
        runs.append(items + decoder.flush())
    assert {item.flow.src.rpartition(":")[0] for item in runs[1] if isinstance(item, Message)} <= {
        "[2001:db8::c000:201]",
        "[2001:db8::c000:202]",
    }
    assert [shown(item) for item in runs[0]] == [shown(item) for item in runs[1]]


def test_a_forged_syn_ack_does_not_begin_a_stream_entered_in_the_middle() -> None:
    talk = Talk(syn=False)
    for serial_no in range(1, 9):
        talk.c2s(ex.frame(1004, ex.keep_alive(), serial_no=serial_no))
    stray = Segment("c2s", talk.segments[0].seq - 10_000, b"", SYN | ACK, 1)
    decoded = decode_segments([*talk.segments[:3], stray, *talk.segments[3:]])
    assert decoded.told == [f"{serial_no} verified" for serial_no in range(1, 9)]


def test_a_syn_that_its_data_overtook_begins_the_stream() -> None:
    talk = Talk().c2s(ex.frame(1004, ex.keep_alive()), ex.frame(1004, ex.keep_alive(), serial_no=2), mss=60)
    syn, syn_ack, ack, first, *rest = talk.segments
    decoded = decode_segments([syn_ack, *rest, syn, ack, first])
    assert decoded.told == ["1 verified", "2 verified"]
    assert decoded.gaps == []


def test_forged_fins_that_data_contradicts_end_nothing() -> None:
    talk = Talk().c2s(ex.frame(1004, ex.keep_alive())).s2c(ex.frame(1004, ex.keep_alive_answer()))
    client = Segment("c2s", talk.next["c2s"], b"", FIN | ACK, talk.next["s2c"])
    talk.segments.append(client)
    talk.c2s(ex.frame(1004, ex.keep_alive(), serial_no=2)).ack("s2c")
    talk.segments.append(Segment("s2c", talk.next["s2c"], b"", FIN | ACK, talk.next["c2s"]))
    talk.s2c(ex.frame(1004, ex.keep_alive_answer(), serial_no=2)).ack("c2s")
    talk.s2c(ex.frame(1004, ex.keep_alive_answer(), serial_no=3)).s2c(ex.frame(3005, b"", serial_no=4)).ack("c2s")
    talk.segments[-3:-1] = talk.segments[-2:-4:-1]  # out of order: not where the stream stands
    decoded = decode_segments(talk.segments)
    assert [each.split()[1] for each in decoded.told] == ["verified"] * 6
    assert decoded.decoder.summary.connections == 1


def test_a_keep_alive_probe_changes_no_byte_of_init_connect() -> None:
    """Its body is complete with any text in it, so only the SHA-1 may choose between two versions."""
    answer = ex.frame(1001, ex.init_response())
    talk = Talk().c2s(ex.frame(1001, ex.init_request())).s2c(answer[:100])
    talk.segments.append(Segment("s2c", talk.next["s2c"] - 1, b"T", ACK, talk.next["c2s"]))
    talk.s2c(answer[100:])
    decoded = decode_segments(talk.segments)
    assert decoded.told == ["1 verified", "1 verified"]


@given(rngs, st.sampled_from(traffic.MODES[:-1]), st.integers(2, 12), st.integers(1, 5), st.integers(100, 900))
def test_what_tcp_sends_again_is_never_lost(rng: Random, mode: str, count: int, losses: int, pause: int) -> None:
    """The capture misses segments that the receiver did not get either; they are sent again, however late.

    In between, the other direction goes on, and so do other connections.
    """
    talk = traffic.converse(rng, mode, 0, count, quotes=False)
    one = traffic.deliver(rng, talk, 500, PORTS, (rng.getrandbits(32), rng.getrandbits(32)))
    segments = one.sent
    carrying = [index for index, segment in enumerate(segments) if segment.payload]
    lost = sorted({rng.choice(carrying) for _ in range(losses)})
    first = {
        way: min([segments[i].seq for i in lost if segments[i].direction == way], default=None)
        for way in ("c2s", "s2c")
    }
    kept: list[Segment] = []
    for index, segment in enumerate(segments):
        if index in lost:
            continue
        other = first["s2c" if segment.direction == "c2s" else "c2s"]
        if other is not None and (segment.ack - other) % 2**32 < 2**31:  # the receiver acknowledges no hole
            segment = Segment(segment.direction, segment.seq, segment.payload, segment.flags, other, ports=PORTS)
        kept.append(segment)
    quiet = [Segment("c2s", 1, b"", ACK, 1, ports=(50_002, 11_111))] * pause
    again = [segments[index] for index in lost]
    decoded = decode_segments(kept + quiet + again, traffic.keys())
    check(one, mode, decoded)
    assert decoded.gaps == []


@given(
    rngs, st.lists(st.sampled_from(traffic.MODES[:-1]), min_size=2, max_size=3), st.integers(0, 8), st.integers(0, 4)
)
def test_a_connection_among_others_gives_what_it_gives_alone(
    rng: Random, modes: list[str], count: int, losses: int
) -> None:
    several = []
    for which, mode in enumerate(modes):
        talk = traffic.converse(rng, mode, 0, count, first=1 + 1000 * which, quotes=False)
        isn = (rng.getrandbits(32), rng.getrandbits(32))
        one = traffic.deliver(rng, talk, 700, (50_000 + which, 11_111), isn)
        one.captured = traffic.lose(rng, one.sent, losses)
        several.append(one)
    together = traffic.mix(rng, several, 8)
    among = decode_segments(together, traffic.keys())
    for one in several:
        alone = decode_segments(one.captured, traffic.keys())
        client = f"192.0.2.1:{one.sent[0].ports[0]}"
        own = [item for item in among.items if client in (item.flow.src, item.flow.dst)]
        assert [shown(item) for item in own] == [shown(item) for item in alone.items]


def shown(item: object) -> tuple[object, ...]:
    """What does not depend on the numbers of packets and records."""
    names = ("direction", "proto_id", "serial_no", "verdict", "reason", "kind", "notes", "bytes", "plaintext")
    return tuple(getattr(item, name, None) for name in names)
