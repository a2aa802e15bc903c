"""Every limit: what it bounds, that it is told when it is hit, and that all else is decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, fragment
from scapy.layers.l2 import Ether

from decoder import Decoder, KeyRing, Limits, Message
from decoder.message_fields import DEFAULT_LIMITS
from decoder.output.tree import TreeOutput
from tests.support import exchange as ex
from tests.support.segments import Decoded, Segment, Talk, decode_segments
from tests.support.session import request


def ask(serial_no: int, size: int = 0) -> bytes:
    return ex.frame(1004, ex.keep_alive(serial_no) + (field(99, bytes(size)) if size else b""), serial_no=serial_no)


def sealed(serial_no: int) -> bytes:
    return ex.frame(1004, ex.keep_alive(), ex.cbc(ex.keep_alive()), serial_no)


REPLY = ex.frame(1004, ex.keep_alive_answer(), serial_no=3)


def answer(body: bytes, proto_id: int = 1004, fmt: int = 0) -> list[Segment]:
    """A request, a response with `body`, another request."""
    return Talk().c2s(ask(1)).s2c(ex.frame(proto_id, body, fmt=fmt)).c2s(ask(2)).segments


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def holes() -> list[Segment]:
    """Many segments of which none follows on another, then the one that was missing."""
    talk = Talk().c2s(ask(1)).c2s(ask(2, 30_000), mss=100)
    first = talk.segments[3:4]
    return [*talk.segments[:3], *first, *talk.segments[5:], *talk.c2s(ask(3)).segments[-1:]]


def early(count: int) -> list[Segment]:
    """Encrypted messages, and after them the handshake response that carries their key."""
    hello, welcome = (ex.frame(1001, b, ex.rsa(b, ex.rsa_key())) for b in (ex.init_request(), ex.init_response()))
    talk = Talk().c2s(hello).s2c(welcome)
    response = talk.segments.pop()
    for serial_no in range(2, 2 + count):
        talk.c2s(sealed(serial_no))
    return [*talk.segments, response, *talk.c2s(sealed(99)).segments[-1:]]


def unanswered(connections: int) -> list[Segment]:
    talks = [Talk(ports=(50_000 + number, 11_111)).c2s(ask(1)).segments for number in range(connections)]
    return [segment for talk in talks for segment in talk]


def keys() -> KeyRing:
    return KeyRing([ex.pem(ex.rsa_key())])


HIDDEN = b"\x08\x00" + field(4, field(1, b"") * 20_000)  # Qot_GetBasicQot: 20,000 quotes of two bytes
NESTED = b'{"retType": 0, "x": ' + b'[{"y": ' * 10 + b"0" + b"}]" * 10 + b"}"
GROUPS = b"\x08\x00" + b"\x7b" * 120 + b"\x7c" * 120  # in an unknown field of a KeepAlive response

CASES: dict[str, tuple[Callable[[], list[Segment]], Limits, list[str], str]] = {
    # What is captured, the limit, what comes out, and where it is told (a line of the summary, or "").
    "max_memory": (
        lambda: Talk().c2s(ask(1)).c2s(ask(2, 90_000)[:-1]).s2c(REPLY).lose("c2s", 1).c2s(ask(4)).segments,
        Limits(max_memory=80_000),
        ["1 verified", "gap 90052 limit", "3 verified", "gap 1 lost", "2 gap", "4 verified"],
        "a memory limit cut what was buffered; raise --max-memory to decode more",
    ),
    "max_body": (
        lambda: Talk().c2s(ask(1)).c2s(ask(2, 5000), mss=1000).c2s(ask(3)).segments,
        Limits(max_body=4000),
        ["1 verified", "2 oversize", f"gap {len(ask(2, 5000)) - 44} resync", "3 verified"],
        "",
    ),
    "max_pending": (
        holes,
        Limits(max_pending=20_000),
        ["1 verified", "gap 100 limit", f"gap {len(ask(2, 30_000)) - 100} resync", "3 verified"],
        "a memory limit cut what was buffered; raise --max-memory to decode more",
    ),
    "reorder_packets": (
        lambda: Talk().c2s(ask(1)).lose("c2s", 9).c2s(ask(2)).ack("s2c").ack("s2c").ack("s2c").ack("s2c").segments,
        Limits(reorder_packets=2),
        ["1 verified", "gap 9 lost", "2 verified"],
        "",
    ),
    "max_parsed": (
        lambda: answer(HIDDEN, 3004),
        Limits(max_parsed=8 * 2**20),
        ["1 verified", "1 verified too-large", "2 verified"],
        "",
    ),
    "max_depth": (
        lambda: answer(NESTED, fmt=1),
        Limits(max_depth=10),
        ["1 verified", "1 verified too-deep", "2 verified"],
        "",
    ),
    "max_connections": (
        lambda: unanswered(30),
        Limits(max_connections=10),
        ["1 verified"] * 30,
        "too many connections at once; those silent longest were closed early",
    ),
    "max_held": (
        lambda: early(20),
        Limits(max_held=10),
        ["1 verified", *(f"{n} handshake-missing" for n in range(2, 22)), "1 verified", "99 verified"],
        "too many messages waited for an InitConnect response; not all of them could be opened",
    ),
    "max_held_bytes": (
        lambda: early(20),
        Limits(max_held_bytes=10_000),
        ["1 verified", *(f"{n} handshake-missing" for n in range(2, 22)), "1 verified", "99 verified"],
        "too many messages waited for an InitConnect response; not all of them could be opened",
    ),
    "max_pending_requests": (
        lambda: Talk().c2s(*map(ask, range(1, 9))).segments,
        Limits(max_pending_requests=5),
        [f"{n} verified" for n in range(1, 9)],
        "too many requests without an answer at once; the oldest were forgotten",
    ),
    "max_resync_scan": (
        lambda: Talk().c2s(bytes(2000), mss=100).c2s(ask(1)).c2s(ask(2)).segments,
        Limits(max_resync_scan=1000),
        ["gap 2000 mid-stream", "1 verified", "2 verified"],
        "",
    ),
}
ELSEWHERE = {
    "max_text",
    "max_fragments",
    "max_fragment_bytes",
    "max_keylog_tries",
    "max_rsa_trials",
    "max_wait_ns",
}


def told(decoded: Decoded) -> list[str]:
    notes = {id(item): item.notes for item in decoded.messages}
    return [" ".join([line, *notes.get(id(item), [])]) for line, item in zip(decoded.told, decoded.items, strict=True)]


@pytest.mark.parametrize("name", CASES)
def test_a_limit_is_told_and_the_rest_decoded(name: str) -> None:
    make, limits, expected, line = CASES[name]
    decoded = decode_segments(make(), keys(), limits)
    assert told(decoded) == expected
    assert decoded.decoder.summary.reports == ([line] if line else [])


@pytest.mark.parametrize("name", CASES)
def test_by_default_it_is_not_hit(name: str) -> None:
    make, _, _, _ = CASES[name]
    decoded = decode_segments(make(), keys())
    assert not any(" limit" in line or "too-" in line or "oversize" in line for line in told(decoded))
    assert decoded.decoder.summary.reports == []


def test_every_limit_has_a_case() -> None:
    assert set(CASES) | ELSEWHERE == {each.name for each in fields(Limits)}


def test_a_protobuf_body_that_protobuf_refuses_for_its_depth_says_so() -> None:
    decoded = decode_segments(answer(GROUPS))
    assert told(decoded) == ["1 verified", "1 verified too-deep", "2 verified"]
    assert decoded.messages[1].content.remarks == ["too-deep: nested more than 100 levels deep"]
    assert told(decode_segments(answer(GROUPS[:2] + GROUPS[22:-20])))[1] == "1 verified unknown-fields"


@pytest.mark.parametrize("depth", [3, 4])
def test_depth_counts_the_levels_below_the_outermost(depth: int) -> None:
    subscribed = request("Qot_GetBasicQot", securityList=[{"market": 1, "code": "00700"}])
    segments = Talk().c2s(ex.frame(3004, subscribed)).segments
    assert told(decode_segments(segments, limits=Limits(max_depth=depth - 2)))[0].endswith(
        "too-deep" if depth == 3 else "verified"
    )


@pytest.mark.parametrize("depth", [0, 101])
def test_a_depth_that_protobuf_cannot_read_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="max_depth"):
        Limits(max_depth=depth)


def test_the_body_that_is_too_large_is_shown_as_it_stands_on_the_wire() -> None:
    message = decode_segments(answer(HIDDEN, 3004), limits=Limits(max_parsed=2**20)).messages[1]
    assert message.content.remarks == ["too-large: parsed, it would take more than 1 MiB"]
    record = message.record()
    assert (record["body"], record["verdict"], record["notes"]) == (None, "verified", ["too-large"])
    assert record["raw"][0] == {"field": 1, "type": "varint", "value": 0}


def test_a_long_text_is_cut_where_people_read_it_and_nowhere_else() -> None:
    decoded = decode_segments(answer(ex.refused("KeepAlive", "x" * 5000)), limits=Limits(max_text=100))
    message = decoded.messages[1]
    (line,) = [line for line in TreeOutput().render([message]).splitlines() if "retMsg" in line]
    assert line.strip() == f'retMsg: "{"x" * 100}… (4900 more)"'
    assert message.record()["body"]["retMsg"] == "x" * 5000
    assert "x" * 5000 in TreeOutput().render(decode_segments(answer(ex.refused("KeepAlive", "x" * 5000))).messages)


@pytest.mark.parametrize("limits", [Limits(max_fragments=2), Limits(max_fragment_bytes=1500)])
def test_fragments(limits: Limits) -> None:
    decoder, messages = Decoder(limits=limits), []
    packets = []
    for number in range(4):
        whole = IP(src="192.0.2.1", dst="192.0.2.2", id=number) / TCP(sport=50000, dport=11111, flags="PA")
        whole[TCP].seq = 1 + number * len(ask(0))
        packets += [bytes(Ether(dst="02:00:00:00:00:02") / piece) for piece in fragment(whole / ask(number), 24)]
    wholes = [packets[at : at + len(packets) // 4] for at in range(0, len(packets), len(packets) // 4)]
    for time, data in enumerate([*wholes[0][:-1], *wholes[1][:-1], *wholes[2][:-1], *wholes[3]]):
        messages += decoder.feed(data, time)
    messages += decoder.flush()
    assert [item.serial_no for item in messages if isinstance(item, Message)] == [3]
    assert "some fragmented IP datagrams were given up before all their fragments came" in decoder.summary.reports


def test_trials_of_a_key_log(tmp_path: Path) -> None:
    log = tmp_path / "keys"
    log.write_text("".join(f"OPEND_AES {number} {number:032x}\n" for number in range(30)))
    for tries, reports in ((40, 1), (1000, 0)):
        segments = Talk(syn=False).c2s(*map(sealed, range(4))).segments
        decoded = decode_segments(segments, KeyRing(keylogs=[log]), Limits(max_keylog_tries=tries))
        assert [message.reason for message in decoded.messages] == ["handshake-missing"] * 4
        assert [line for line in decoded.decoder.summary.reports if "key log" in line] == [
            "too many keys of a key log were tried on a connection; not all of them were"
        ] * reports


def test_limits_go_to_other_processes_with_the_messages() -> None:
    import pickle

    message = decode_segments(answer(HIDDEN, 3004), limits=Limits(max_parsed=2**20)).messages[1]
    assert pickle.loads(pickle.dumps(message)).flow.limits == Limits(max_parsed=2**20) != DEFAULT_LIMITS
