"""WebSocket messages out of one direction: fragments, compression, holes, streams that begin later."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.framing.websocket_reader import Found, Skipped, WebSocketMessage, WebSocketReader
from decoder.framing.websocket_upgrade import Upgrade
from decoder.vocabulary import Arrival
from tests.support.websocket import ACCEPTED, DEFLATE, UPGRADE, Deflater, reply, request, ws

MESSAGES = [reply(1002, number, Random(number).randbytes(number * 50)) for number in range(1, 6)]


class Play:
    """A reader of the gateway's direction, fed packet by packet."""

    def __init__(self, head: bytes = ACCEPTED, *, at_start: bool = True, max_message: int = 100_000) -> None:
        self.upgrade = Upgrade()
        self.reader = WebSocketReader(False, self.upgrade, max_message, at_start=at_start)
        self.number = 0
        self.found: Found = []
        if at_start:
            self.feed(head)

    def feed(self, *packets: bytes) -> Play:
        for data in packets:
            self.number += 1
            self.found += self.reader.feed(data, Arrival((self.number,), self.number * 10))
        return self

    def hole(self, size: int) -> Play:
        self.number += 1
        self.found += self.reader.hole(size, "lost", Arrival((self.number,), self.number * 10))
        return self

    def finish(self) -> list[bytes]:
        self.found += self.reader.finish(Arrival((self.number,), self.number * 10))
        return self.whole

    @property
    def messages(self) -> list[WebSocketMessage]:
        return [each for each in self.found if isinstance(each, WebSocketMessage)]

    @property
    def whole(self) -> list[bytes]:
        return [each.data for each in self.messages if each.reason is None]

    @property
    def skipped(self) -> int:
        return sum(each.size for each in self.found if isinstance(each, Skipped))


def test_messages_come_out_with_the_packets_that_brought_them() -> None:
    data = b"".join(map(ws, MESSAGES))
    play = Play().feed(data[:100], data[100:])
    assert play.finish() == MESSAGES
    assert play.messages[0].packets == (2,)
    assert play.messages[1].packets == (2, 3)
    assert [each.time_ns for each in play.messages[1:]] == [30] * 4


@given(st.integers(1, 400))
def test_any_segmentation_gives_the_same_messages(mss: int) -> None:
    data = b"".join(map(ws, MESSAGES))
    play = Play().feed(*(data[at : at + mss] for at in range(0, len(data), mss)))
    assert play.finish() == MESSAGES


def test_fragments_are_one_message_with_control_frames_between_them() -> None:
    first, *rest = (MESSAGES[3][at : at + 60] for at in range(0, len(MESSAGES[3]), 60))
    frames = [ws(first, fin=False), *(ws(part, 0, fin=False) for part in rest[:-1]), ws(rest[-1], 0)]
    ping = ws(b"are you there", 9)
    assert Play().feed(ping.join(frames)).finish() == [MESSAGES[3]]


@pytest.mark.parametrize("takeover", [True, False])
def test_compressed_messages(takeover: bool) -> None:
    deflate = Deflater(takeover=takeover)
    play = Play(DEFLATE).feed(*(ws(deflate(message), compressed=True) for message in MESSAGES))
    assert play.finish() == MESSAGES


def test_masked_messages_of_a_client_after_its_upgrade() -> None:
    upgrade = Upgrade()
    reader = WebSocketReader(True, upgrade, 100_000, at_start=True)
    assert reader.feed(UPGRADE, Arrival((1,), 10)) == []
    upgrade.read_answer(ACCEPTED)
    found = reader.resume(Arrival((2,), 20)) + reader.feed(
        ws(request(1002, 1, b"body"), masked=True), Arrival((3,), 30)
    )
    (message,) = found
    assert isinstance(message, WebSocketMessage)
    assert message.data == request(1002, 1, b"body")


def test_after_a_hole_the_next_message_is_found() -> None:
    frames = list(map(ws, MESSAGES))
    play = Play().feed(frames[0], frames[1][:40]).hole(len(frames[1]) - 30).feed(frames[2][10:], *frames[3:])
    assert play.finish() == [MESSAGES[0], *MESSAGES[3:]]
    cut = [each for each in play.messages if each.reason is not None]
    assert [each.reason for each in cut] == ["gap"]
    assert MESSAGES[1].startswith(cut[0].data)


def test_a_stream_that_begins_later_is_entered_at_the_first_message() -> None:
    frames = list(map(ws, MESSAGES))
    play = Play(at_start=False).feed(frames[0][30:], *frames[1:])
    assert play.finish() == MESSAGES[1:]
    assert play.skipped == len(frames[0]) - 30


def test_what_is_too_long_is_not_held() -> None:
    large = ws(reply(1002, 9, bytes(200_000)))
    play = Play(max_message=50_000)
    held = 0
    for at in range(0, len(large), 1_000):
        play.feed(large[at : at + 1_000])
        held = max(held, play.reader.buffered)
    assert held < 120_000
    play.feed(ws(MESSAGES[0]))
    assert play.finish() == [MESSAGES[0]]


def test_the_end_inside_a_message() -> None:
    play = Play().feed(ws(MESSAGES[4])[:100])
    assert play.finish() == []
    assert [each.reason for each in play.messages] == ["unfinished"]


def test_text_messages_are_told_apart() -> None:
    play = Play().feed(ws(b'{"type": "other"}', 1), ws(MESSAGES[0]))
    play.finish()
    assert [each.is_text for each in play.messages] == [True, False]


@given(st.lists(st.one_of(st.binary(max_size=80), st.integers(1, 50)), max_size=12), st.booleans())
def test_any_bytes_and_holes_are_read_in_bounded_memory(steps: list[bytes | int], at_start: bool) -> None:
    play = Play(at_start=at_start)
    for step in steps:
        if isinstance(step, bytes):
            play.feed(step)
        else:
            play.hole(step)
    play.finish()
    assert play.reader.buffered < 200_000
