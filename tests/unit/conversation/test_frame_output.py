"""Frames of one direction as messages and gaps, and the answers that a framer needs."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.conversation.frame_output import FrameOutput, new_message
from decoder.conversation.hold_queue import PendingMessage
from decoder.conversation.state import SharedState
from decoder.conversation.summary import ConnectionInfo
from decoder.crypto.keyring import KeyRing
from decoder.framing.header import HEADER
from decoder.limits import Limits
from decoder.message import Flow, Gap, Message
from decoder.tcp.overlaps import Conflict, OverlapConflicts
from decoder.vocabulary import Arrival, Verdict
from tests.support.exchange import cbc, frame, init_request, init_response, keep_alive, pem, rsa, rsa_key
from tests.support.session import book

ARRIVAL = Arrival((7,), 70)


class Output(FrameOutput):
    """Exchanges its direction with nobody."""

    def exchange_directions(self) -> None:
        other = "s2c" if self.direction == "c2s" else "c2s"
        self.flow = Flow(0, other, "b:2", "a:1")  # type: ignore[arg-type]


class Bench:
    def __init__(self, direction: Any = "c2s", *, keys: bool = False, from_start: bool = True) -> None:
        ring = KeyRing([pem(rsa_key())] if keys else ())
        self.shared = SharedState(ConnectionInfo(0, "a:1", "b:2", 0, 0), ring, Limits(), ARRIVAL)
        self.shared.from_start, self.shared.direction_known = from_start, True
        self.output = Output(self.shared, Flow(0, direction, "a:1", "b:2"), OverlapConflicts())

    def frame(self, data: bytes, offset: int = 0) -> Verdict | None:
        return self.output.handle_frame(HEADER.unpack_from(data), data[44:], ARRIVAL, offset)

    def unproven(self, data: bytes, offset: int = 0) -> Any:
        opened = self.frame(data, offset)
        assert opened is not None
        self.output.handle_unproven(HEADER.unpack_from(data), data[44:], opened, ARRIVAL, offset)
        return self.shared.items[-1]

    @property
    def message(self) -> Message:
        (item,) = self.shared.items
        assert isinstance(item, Message)
        return item


SEALED = frame(1004, keep_alive(), cbc(keep_alive()), serial_no=2)


def test_a_proven_frame_comes_out_at_once() -> None:
    bench = Bench()
    assert bench.frame(frame(1004, keep_alive())) is None
    assert (bench.message.kind, bench.message.verdict, bench.message.frames) == ("request", "verified", [7])
    assert bench.shared.confirmed


def test_a_frame_that_is_not_proven_is_handed_back() -> None:
    bench = Bench()
    opened = bench.frame(frame(1004, keep_alive(), sha1=bytes(20)))
    assert opened is not None
    assert bench.shared.items == []
    assert not bench.shared.confirmed


def test_a_request_whose_key_may_still_come_is_held() -> None:
    assert isinstance(Bench().unproven(SEALED), PendingMessage)


def test_and_is_not_where_none_can_come() -> None:
    for bench in (Bench("s2c"), Bench(from_start=False)):
        item = bench.unproven(SEALED)
        assert isinstance(item, Message)
        assert item.verdict == "unverified"


def test_directions_that_were_guessed_wrongly_are_exchanged_at_the_handshake() -> None:
    bench = Bench("s2c")
    bench.shared.direction_known = False
    bench.frame(frame(1001, init_request()))
    assert (bench.message.direction, bench.message.kind) == ("c2s", "request")


def test_a_frame_with_a_damaged_length_is_not_verified() -> None:
    bench = Bench()
    data = frame(1004, keep_alive())
    bench.output.handle_cut_short(HEADER.unpack_from(data), data[44:], ARRIVAL)
    assert (bench.message.verdict, bench.message.own_notes) == ("failed", ["damaged-length"])


@pytest.mark.parametrize(
    ("reason", "expected", "notes"),
    [
        ("truncated", "truncated", None),
        ("gap", "gap", None),
        ("unfinished", "gap", ["capture-ends"]),
        ("length-counts-header", "gap", ["length-counts-header"]),
    ],
)
def test_an_incomplete_message_says_why(reason: str, expected: str, notes: list[str] | None) -> None:
    bench = Bench()
    bench.output.handle_incomplete(HEADER.unpack_from(SEALED), ARRIVAL, reason)
    assert (bench.message.reason, bench.message.own_notes, bench.message.plaintext) == (expected, notes, None)


def test_a_gap_has_the_packet_with_which_it_became_certain() -> None:
    bench = Bench()
    bench.output.handle_gap(100, "lost", Arrival((3, 9), 90))
    (gap,) = bench.shared.items
    assert isinstance(gap, Gap)
    assert (gap.bytes, gap.reason, gap.frame, gap.time_ns) == (100, "lost", 9, 90)


def test_versions_of_its_bytes_are_noted_and_forgotten() -> None:
    bench = Bench()
    bench.output.conflicts.add(Conflict(10, b"xyz", Arrival((9,), 90), (10, 13)))
    bench.frame(frame(1004, keep_alive()))
    assert bench.message.own_notes == ["conflicting-overlap"]
    assert not bench.output.conflicts


def test_the_first_header_of_a_stream_counts_if_it_can_be_a_login() -> None:
    login = HEADER.unpack_from(frame(1001, b"", rsa(init_request(), rsa_key())))
    other = HEADER.unpack_from(frame(1004, keep_alive()))
    bench = Bench()
    assert bench.output.starts(login)
    assert not bench.output.starts(other)
    bench.shared.confirmed = True
    assert bench.output.starts(other)


@pytest.mark.parametrize(
    ("direction", "proto_id", "kind"), [("c2s", 1004, "request"), ("s2c", 1004, "response"), ("s2c", 3013, "push")]
)
def test_the_kind_is_that_of_protocol_and_direction(direction: Any, proto_id: int, kind: str) -> None:
    header = HEADER.unpack_from(frame(proto_id, book()))
    verdict = Verdict(book(), "None", "verified", None)
    message = new_message(Flow(0, direction, "a", "b"), header, verdict, ARRIVAL, "77", None)
    assert (message.kind, message.conn_id, message.time_ns) == (kind, "77", 70)


def test_the_session_key_of_the_handshake_opens_what_follows() -> None:
    bench = Bench(keys=True)
    for direction, plain in (("c2s", init_request()), ("s2c", init_response())):
        bench.output.flow = Flow(0, direction, "a:1", "b:2")  # type: ignore[arg-type]
        assert bench.frame(frame(1001, plain, rsa(plain, rsa_key()))) is None
    bench.output.flow = Flow(0, "c2s", "a:1", "b:2")
    assert bench.output.keys_known == 1
    assert bench.frame(SEALED) is None
    assert not bench.output.nothing_decrypted
