"""What becomes of the frames of one direction: messages, gaps, and messages that wait for their key."""

from __future__ import annotations

from hashlib import sha1

import pytest

from decoder.conversation.frame_output import FrameOutput
from decoder.conversation.hold_queue import PendingMessage
from decoder.conversation.state import Ending, SharedState
from decoder.conversation.summary import ConnectionInfo
from decoder.crypto.keyring import KeyRing
from decoder.framing.header import HEADER, HEADER_LEN, Header
from decoder.limits import Limits
from decoder.message import Flow, Gap, Message
from decoder.tcp.overlaps import Conflict, OverlapConflicts
from decoder.vocabulary import Arrival, Direction
from tests.support.exchange import cbc, frame, init_request, keep_alive

ARRIVAL = Arrival((3, 4), 40)


def output(direction: Direction = "c2s") -> FrameOutput:
    shared = SharedState(ConnectionInfo(0, "a:1", "b:2", 0, 0), KeyRing(), Limits(), Arrival((4,), 40))
    return FrameOutput(shared, Flow(0, direction, "a:1", "b:2"), OverlapConflicts())


def parts(data: bytes) -> tuple[Header, bytes]:
    return HEADER.unpack(data[:HEADER_LEN]), data[HEADER_LEN:]


def test_a_proven_frame_becomes_a_message_of_its_packets() -> None:
    one = output()
    header, body = parts(frame(1004, keep_alive(), serial_no=7))
    assert one.handle_frame(header, body, ARRIVAL, 0) is None
    (message,) = one.shared.items
    assert isinstance(message, Message)
    assert (message.serial_no, message.verdict, message.kind, message.frames) == (7, "verified", "request", [3, 4])
    assert one.shared.confirmed


def test_a_frame_that_is_not_proven_comes_out_only_when_that_is_said() -> None:
    one = output()
    header, body = parts(frame(1004, keep_alive(), sha1=bytes(20)))
    opened = one.handle_frame(header, body, ARRIVAL, 0)
    assert opened is not None
    assert one.shared.items == []
    one.handle_unproven(header, body, opened, ARRIVAL, 0)
    assert [item.verdict for item in one.shared.items if isinstance(item, Message)] == [opened.name]


def test_a_frame_waits_for_its_key_with_the_later_version_of_its_bytes() -> None:
    one = output()
    one.shared.from_start = True
    one.shared.verifier.open("c2s", *parts(frame(1001, init_request(), b"\x01" * 128)))
    header, body = parts(frame(1004, keep_alive(), cbc(keep_alive()), serial_no=2))
    one.conflicts.add(Conflict(HEADER_LEN + 2, b"\xaa\xbb", Arrival((5,), 50)))
    opened = one.handle_frame(header, body, ARRIVAL, 0)
    assert opened is not None
    one.handle_unproven(header, body, opened, ARRIVAL, 0)
    (pending,) = one.shared.items
    assert isinstance(pending, PendingMessage)
    assert pending.other == body[:2] + b"\xaa\xbb" + body[4:]
    assert pending.notes == ["conflicting-overlap"]
    assert one.conflicts == [], "they are used"


@pytest.mark.parametrize(("ending", "note"), [(None, "capture-ends"), (Ending(9, False, ARRIVAL), "connection-ends")])
def test_an_unfinished_message_says_what_ended(ending: Ending | None, note: str) -> None:
    one = output()
    one.ending = ending
    one.handle_incomplete(parts(frame(1004, keep_alive()))[0], ARRIVAL, "unfinished")
    (message,) = one.shared.items
    assert isinstance(message, Message)
    assert (message.verdict, message.reason, message.notes) == ("unverified", "gap", [note])


def test_a_frame_that_is_cut_short_is_damaged_even_if_its_body_is_right() -> None:
    one = output()
    header, body = parts(frame(1004, keep_alive()))
    one.handle_cut_short(header, body, ARRIVAL)
    (message,) = one.shared.items
    assert isinstance(message, Message)
    assert (message.verdict, message.notes) == ("failed", ["damaged-length"])


def test_a_gap_has_the_time_and_the_packet_with_which_it_became_certain() -> None:
    one = output("s2c")
    one.handle_gap(12, "lost", ARRIVAL)
    (gap,) = one.shared.items
    assert isinstance(gap, Gap)
    assert (gap.direction, gap.bytes, gap.reason, gap.time_ns, gap.frame) == ("s2c", 12, "lost", 40, 4)


@pytest.mark.parametrize(("size", "starts"), [(63, False), (64, True), (65, False), (128, True)])
def test_an_init_connect_that_may_be_rsa_begins_a_stream_entered_in_the_middle(size: int, starts: bool) -> None:
    header = HEADER.unpack(HEADER.pack(b"FT", 1001, 0, 0, 1, size, sha1(b"").digest(), bytes(8)))
    assert output().starts(header) is starts
