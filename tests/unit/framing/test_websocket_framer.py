"""WebSocket connections put together by hand, through the whole decoder: what RFC 6455 and RFC 7692 allow, and abuse.

The frames come from tests/support/websocket.py, which has nothing of the decoder.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from random import Random

import pytest

from decoder import Decoder, Gap, Limits, Message
from tests.support.exchange import HEADER, frame
from tests.support.segments import Talk, decode_segments, feed
from tests.support.websocket import ACCEPTED, DEFLATE, NO_TAKEOVER, UPGRADE, Deflater, reply, request, ws

BODY = b"\x0a\x02\x08\x00"
ANSWER = b"\x08\x00"


def upgraded(answer: bytes = ACCEPTED) -> Talk:
    return Talk().c2s(UPGRADE).s2c(answer)


def told(talk: Talk, **limits: int) -> list[str]:
    return decode_segments(talk.segments, limits=Limits(**limits) if limits else None).told


# What comes out


def test_request_and_reply_of_the_official_framing() -> None:
    talk = upgraded().c2s(ws(request(1002, 7, BODY), masked=True)).s2c(ws(reply(1002, 7, ANSWER, 3, b"gone\0")))
    asked, answered = decode_segments(talk.segments).messages
    assert (asked.kind, asked.proto_id, asked.serial_no, asked.body_len) == ("request", 1002, 7, 4)
    assert (asked.plaintext, asked.sha1, asked.version, asked.transport) == (BODY, None, 0, "websocket")
    assert (asked.verdict, asked.reason, asked.encryption, asked.error) == ("unverified", "no-digest", "None", None)
    assert (answered.kind, answered.request, answered.plaintext) == ("response", 1, ANSWER)
    assert answered.error == {"code": 3, "message": "gone"}
    assert asked.hint is not None


def test_a_text_that_ends_inside_a_character() -> None:
    text = "连接已断开了哦呀".encode()[:20]
    talk = upgraded().s2c(ws(reply(3001, 2, b"", 3, text)))
    (message,) = decode_segments(talk.segments).messages
    assert message.error == {"code": 3, "message": "连接已断开了"}
    assert message.plaintext is None


def test_messages_with_the_44_byte_header_are_verified() -> None:
    wrong = frame(3004, ANSWER, serial_no=3, sha1=bytes(20))
    talk = upgraded().s2c(ws(frame(3004, ANSWER, serial_no=2)), ws(wrong), ws(frame(3004, ANSWER, serial_no=4)))
    assert told(talk) == ["2 verified", "3 sha1-mismatch", "4 verified"]


def test_two_framed_messages_in_one() -> None:
    talk = upgraded().s2c(ws(frame(3004, ANSWER, serial_no=2) + frame(3004, ANSWER, serial_no=3)))
    assert told(talk) == ["2 verified", "3 verified"]


def test_the_connection_id_comes_from_init_web_socket() -> None:
    talk = upgraded().s2c(ws(reply(1, 2, b"\x08\x00\x22\x04\x08\x01\x10\x2a")), ws(reply(2, 0, b"")))
    init, gone = decode_segments(talk.segments).messages
    assert (init.proto, init.conn_id, init.kind) == ("InitWebSocket", "42", "response")
    assert (gone.proto, gone.conn_id, gone.kind, gone.notes) == ("OpenDisConnect", "42", "push", [])


def test_fragments_with_control_frames_between() -> None:
    data = request(1002, 7, BODY)
    parts = [data[:3], b"", data[3:12], data[12:]]
    talk = upgraded().c2s(ws(parts[0], fin=False, masked=True)).c2s(ws(b"hi", 9, masked=True))
    talk.c2s(ws(parts[1], 0, fin=False, masked=True) + ws(parts[2], 0, fin=False, masked=True))
    talk.s2c(ws(b"hi", 10)).c2s(ws(b"", 10, masked=True) + ws(parts[3], 0, masked=True))
    (message,) = decode_segments(talk.segments).messages
    assert (message.serial_no, message.plaintext) == (7, BODY)


@pytest.mark.parametrize("size", [0, 81, 82, 125, 126, 65_491, 65_492, 200_000])
@pytest.mark.parametrize("mss", [1400, 65_000])
def test_each_form_of_length(size: int, mss: int) -> None:
    talk = upgraded().s2c(ws(reply(3004, 2, bytes(size))), ws(reply(3004, 3, ANSWER)), mss=mss)
    first, second = decode_segments(talk.segments).messages
    assert (first.body_len, second.serial_no) == (size, 3)
    assert len(first.frames) == 1 + (44 + 10 + size) // mss or size < 65_536


@pytest.mark.parametrize(
    ("answer", "deflate"),
    [(DEFLATE, Deflater()), (NO_TAKEOVER, Deflater(takeover=False)), (DEFLATE, Deflater(window=9))],
    ids=["context takeover", "no context takeover", "small window"],
)
def test_compressed_messages(answer: bytes, deflate: Callable[[bytes], bytes]) -> None:
    bodies = [Random(number // 2).randbytes(500) for number in range(6)]
    talk = upgraded(answer)
    for number, body in enumerate(bodies):
        data = deflate(reply(3004, number, body))
        if number == 3:  # in fragments: the first has the bit
            talk.s2c(ws(data[:100], compressed=True, fin=False), ws(b"", 9), ws(data[100:], 0))
        else:
            talk.s2c(ws(data, compressed=True))
    talk.s2c(ws(reply(3004, 9, b"not compressed")))
    messages = decode_segments(talk.segments).messages
    assert [message.plaintext for message in messages] == [*bodies, b"not compressed"]


def test_frames_before_the_answer_to_the_upgrade_wait_for_it() -> None:
    deflate = Deflater()
    talk = Talk().c2s(UPGRADE).c2s(ws(deflate(request(1002, 7, BODY)), masked=True, compressed=True)).s2c(DEFLATE)
    assert told(talk) == ["7 no-digest"]


def test_text_messages_are_named_not_decoded() -> None:
    talk = upgraded().s2c(ws(b'{"type": "push"}', 1), ws(reply(3004, 2, ANSWER)))
    decoded = decode_segments(talk.segments)
    assert decoded.told == ["2 no-digest"]
    assert any("text messages" in report for report in decoded.decoder.summary.reports)


def test_a_binary_message_of_something_else_is_a_gap() -> None:
    talk = upgraded().s2c(ws(reply(3004, 2, ANSWER)), ws(b"something else"), ws(reply(3004, 3, ANSWER)))
    assert told(talk) == ["2 no-digest", "gap 16 resync", "3 no-digest"]


def test_plain_http_is_none_of_a_gateways() -> None:
    talk = Talk().c2s(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").s2c(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    decoded = decode_segments(talk.segments)
    assert decoded.told == []
    assert decoded.decoder.summary.not_opend


def test_other_web_sockets_are_left_alone_where_ports_are_found_by_content() -> None:
    ports = (50112, 8080)
    other = Talk(ports=ports).c2s(UPGRADE).s2c(ACCEPTED).s2c(ws(b"other")).fin()
    ours = Talk(ports=(50113, 4444)).c2s(UPGRADE).s2c(ACCEPTED).s2c(ws(reply(3004, 2, ANSWER))).fin()
    decoded = decode_segments([*other.segments, *ours.segments], ports="auto")
    assert decoded.told == ["2 no-digest"]
    assert decoded.decoder.summary.not_opend == []


# What is missing


def test_a_hole_inside_a_message_costs_that_message() -> None:
    data = ws(reply(3004, 3, bytes(1000)))
    talk = upgraded().s2c(ws(reply(3004, 2, ANSWER))).s2c(data[:300]).lose("s2c", 100).s2c(data[400:])
    talk.s2c(ws(reply(3004, 4, ANSWER))).fin()
    decoded = decode_segments(talk.segments)
    assert decoded.told == ["2 no-digest", "gap 100 lost", "3 gap", "4 no-digest"]
    damaged = decoded.messages[1]
    assert (damaged.body_len, damaged.plaintext, len(damaged.frames)) == (1000, None, 2)


def test_a_capture_that_ends_inside_a_message() -> None:
    talk = upgraded().s2c(ws(reply(3004, 2, ANSWER))).s2c(ws(reply(3004, 3, bytes(1000)))[:300])
    last = decode_segments(talk.segments).messages[-1]
    assert (last.serial_no, last.reason, last.notes) == (3, "gap", ["capture-ends"])


def test_after_a_hole_in_compressed_messages_only_what_can_be_inflated_comes_out() -> None:
    deflate = Deflater()
    body = Random(1).randbytes(300)
    frames = [ws(deflate(reply(3004, number, body)), compressed=True) for number in range(5)]
    alone = ws(Deflater()(reply(3004, 9, body)), compressed=True)
    talk = upgraded(DEFLATE).s2c(frames[0]).lose("s2c", len(frames[1])).s2c(frames[2], frames[3], alone).fin()
    messages = decode_segments(talk.segments).messages
    assert [(message.serial_no, message.plaintext) for message in messages] == [(0, body), (9, body)]


INFLATE = "compressed WebSocket messages after a lost one could not be inflated"


@pytest.mark.parametrize(
    ("answer", "takeover", "goes_on_with"), [(DEFLATE, True, 9), (NO_TAKEOVER, False, 2)], ids=["takeover", "none"]
)
def test_the_summary_names_messages_that_refer_to_lost_ones(answer: bytes, takeover: bool, goes_on_with: int) -> None:
    deflate = Deflater(takeover=takeover)
    body = Random(1).randbytes(300)
    frames = [ws(deflate(reply(3004, number, body)), compressed=True) for number in range(5)]
    alone = Deflater()  # as after a reset of the gateway's compressor
    again = [ws(alone(reply(3004, number, body)), compressed=True) for number in (9, 10)]
    talk = upgraded(answer).s2c(frames[0]).lose("s2c", len(frames[1])).s2c(*frames[2:]).s2c(again[0]).fin()
    decoded = decode_segments(talk.segments)
    assert decoded.messages[1].serial_no == goes_on_with
    assert any(INFLATE in report for report in decoded.decoder.summary.reports) == takeover
    reasons = [reason for _, _, reason in decoded.gaps]
    assert reasons == (["lost", "resync"] if takeover else ["lost"])
    if takeover:  # from the message on that refers to nothing lost, all are there again
        talk = upgraded(answer).s2c(frames[0]).lose("s2c", len(frames[1])).s2c(*frames[2:]).s2c(*again).fin()
        assert [message.serial_no for message in decode_segments(talk.segments).messages] == [0, 9, 10]


def test_of_lost_messages_that_are_not_compressed_nothing_is_said_about_compression() -> None:
    frames = [ws(reply(3004, number, ANSWER)) for number in range(4)]
    for talk in (upgraded(DEFLATE), upgraded(ACCEPTED), Talk(syn=False)):
        decoded = decode_segments(talk.s2c(frames[0]).lose("s2c", 60).s2c(b"?" * 9, frames[3]).fin().segments)
        assert [message.serial_no for message in decoded.messages] == [0, 3]
        assert [reason for _, _, reason in decoded.gaps] == ["lost", "resync"]
        assert decoded.decoder.summary.reports == []


@pytest.mark.parametrize("ways", ["s2c", "c2s", "both"])
def test_compressed_messages_of_which_the_beginning_is_missing_are_named(ways: str) -> None:
    asks, answers = Deflater(), Deflater()
    asks(request(3004, 1, BODY)), answers(reply(3004, 1, ANSWER))
    talk = Talk(syn=False)
    if ways != "s2c":
        talk.c2s(ws(asks(request(3004, 2, BODY)), masked=True, compressed=True))
    if ways != "c2s":
        talk.s2c(ws(answers(reply(3004, 2, ANSWER)), compressed=True))
    decoded = decode_segments(talk.segments)
    assert decoded.told == []
    (line,) = decoded.decoder.summary.not_opend
    assert "record the connection from its start" in line
    turned = Talk(syn=False).s2c(ws(asks(request(3004, 2, BODY)), masked=True, compressed=True))
    (line,) = decode_segments(turned.segments).decoder.summary.not_opend
    assert "no message header found" in line


def test_a_late_start_is_recognized_by_a_frame_at_the_start_of_a_segment() -> None:
    talk = (
        Talk(syn=False)
        .s2c(b"rest of a message")
        .s2c(ws(reply(3004, 2, ANSWER)))
        .c2s(ws(request(3004, 3, BODY), masked=True))
    )
    for ports in ((11111,), "auto"):
        decoded = decode_segments(talk.segments, ports=ports)
        assert [message.serial_no for message in decoded.messages] == [2, 3]
        assert [message.direction for message in decoded.messages] == ["s2c", "c2s"]


# Abuse


def test_a_bomb_costs_its_own_message() -> None:
    deflate = Deflater()
    bomb = ws(deflate(reply(3004, 2, bytes(50_000_000))), compressed=True)
    alone = ws(Deflater()(reply(3004, 3, ANSWER)), compressed=True)
    decoded = decode_segments(
        upgraded(DEFLATE).s2c(bomb, alone, ws(reply(3004, 4, ANSWER))).segments, limits=Limits(max_body=100_000)
    )
    assert decoded.told == [f"gap {len(bomb)} resync", "3 no-digest", "4 no-digest"]


def test_fragments_that_grow_beyond_the_limit() -> None:
    parts = b"".join(ws(bytes(1000), 0 if number else 2, fin=False) for number in range(20))
    talk = upgraded().s2c(parts + ws(b"", 0) + ws(reply(3004, 3, ANSWER)))
    items = decode_segments(talk.segments, limits=Limits(max_body=5000)).items
    assert [item.serial_no for item in items if isinstance(item, Message)] == [3]
    assert sum(item.bytes or 0 for item in items if isinstance(item, Gap)) == len(parts) + 2


@pytest.mark.parametrize("announced", [1 << 25, (1 << 39), 1 << 40, (1 << 64) - 1])
def test_a_giant_length_allocates_nothing(announced: int) -> None:
    talk = upgraded().s2c(ws(reply(3004, 2, ANSWER))).s2c(b"\x82\x7f" + announced.to_bytes(8, "big") + bytes(2000))
    decoded = decode_segments(talk.segments, limits=Limits(max_body=100_000))
    assert decoded.told[0] == "2 no-digest"
    assert sum(gap or 0 for _, gap, _ in decoded.gaps) == 2010


@pytest.mark.parametrize(
    "unit",
    [
        ws(b"", 0, fin=False) + ws(b"", 9),
        ws(b"x", fin=False) + ws(b"", 9),
        b"\xc2\x7e\x01\x00",
        b"\x82\x7e\x01\x00",
        b"\xc2",
        b"\x02\x30FT",
        b"\x82\x50ft-v1.0",
        ws(b"", 9),
    ],
    ids=["empty fragments and pings", "new starts", "compressed", "plain", "one byte", "FT", "sign", "pings"],
)
def test_work_is_in_proportion_to_the_input(unit: bytes) -> None:
    """Four times the bytes take about four times the time, not sixteen."""

    def seconds(size: int) -> float:
        data = ws(b"start", fin=False) + unit * (size // len(unit))
        talk = upgraded(DEFLATE).s2c(ws(reply(3004, 2, ANSWER))).s2c(b"\x83" + data, mss=500)
        begin = time.process_time()
        decode_segments(talk.segments)
        return time.process_time() - begin

    small = min(seconds(25_000) for _ in range(3))
    assert seconds(100_000) < 9 * small + 0.2


def test_memory_is_counted() -> None:
    unit = ws(b"", 0, fin=False) + ws(b"", 9)
    talk = upgraded().s2c(ws(b"start", fin=False) + unit * 100_000, mss=60_000)
    decoder = Decoder(limits=Limits(max_memory=1_000_000))
    packets = [segment.packet() for segment in talk.segments]
    tracemalloc.start()
    for number, packet in enumerate(packets):
        decoder.feed(packet, number)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gaps = [item for item in decoder.flush() if isinstance(item, Gap)]
    assert peak < 6_000_000
    assert gaps == []  # nothing of the protocol was found on the connection


def test_without_the_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "websockets"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "websockets", None)
    decoded = decode_segments(upgraded().s2c(ws(reply(3004, 2, ANSWER))).segments)
    assert decoded.told == []
    summary = decoded.decoder.summary
    assert summary.library_missing
    for line in (*summary.reports, *summary.not_opend):
        assert "library" in line
        assert "pip install 'scapy-opend[websocket]'" in line
    assert len(summary.reports) == len(summary.not_opend) == 1
    on_any_port = Decoder(ports="auto")
    assert feed(on_any_port, upgraded().s2c(ws(reply(3004, 2, ANSWER))).segments) + on_any_port.flush() == []
    assert on_any_port.summary.reports == summary.reports
    plain = Talk().c2s(b"GET / HTTP/1.1\r\n\r\n").s2c(b"HTTP/1.1 404 Not Found\r\n\r\n")
    assert decode_segments(plain.segments).decoder.summary.reports == []


def test_a_section_of_64_bits() -> None:
    talk = upgraded().s2c(ws(reply(3004, 2**64 - 1, ANSWER)))
    (message,) = decode_segments(talk.segments).messages
    assert message.serial_no == 2**64 - 1
    assert HEADER.size == 44
