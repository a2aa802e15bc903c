"""One direction, segment by segment: its numbers, its end, and which segments belong to it."""

from __future__ import annotations

from decoder.conversation.half_connection import HalfConnection
from decoder.conversation.state import SharedState
from decoder.conversation.summary import ConnectionInfo
from decoder.crypto.keyring import KeyRing
from decoder.limits import Limits
from decoder.message import Flow, Message
from decoder.tcp.segment import ACK, Segment
from decoder.vocabulary import Arrival
from tests.support.exchange import frame, keep_alive


class Bench:
    """Both directions of a connection; segments are given to them by hand."""

    def __init__(self) -> None:
        info = ConnectionInfo(0, "a:1", "b:2", 0, 0)
        self.shared = SharedState(info, KeyRing(), Limits(), Arrival((0,), 0))
        self.client = HalfConnection(self.shared, Flow(0, "c2s", "a:1", "b:2"))
        self.gateway = HalfConnection(self.shared, Flow(0, "s2c", "b:2", "a:1"))
        self.client.peer, self.gateway.peer = self.gateway, self.client
        self.number = 0

    def segment(self, seq: int, payload: bytes = b"", ack: int = 0, missing: int = 0) -> Segment:
        self.number += 1
        self.shared.now = Arrival((self.number,), self.number * 10)
        self.shared.segments += 1
        return Segment(seq, ack, ACK, payload, missing, self.shared.now)

    @property
    def came(self) -> list[Message]:
        return [item for item in self.shared.items if isinstance(item, Message)]


def opened() -> Bench:
    bench = Bench()
    bench.client.handle_syn(1_000)
    bench.gateway.handle_syn(5_000)
    return bench


FRAME = frame(1004, keep_alive())


def test_a_message_comes_out_with_the_segment_that_completes_it() -> None:
    bench = opened()
    assert bench.client.handle_data(bench.segment(1_000, FRAME[:30]))
    assert not bench.came
    assert bench.client.handle_data(bench.segment(1_030, FRAME[30:]))
    (message,) = bench.came
    assert (message.kind, message.frames, message.direction) == ("request", [1, 2], "c2s")


def test_a_segment_of_which_nothing_is_new_says_so() -> None:
    bench = opened()
    bench.client.handle_data(bench.segment(1_000, FRAME))
    assert not bench.client.handle_data(bench.segment(1_000, FRAME))
    assert len(bench.came) == 1


def test_the_latest_acknowledgement_counts_whatever_overtook_it() -> None:
    bench = opened()
    for ack in (1_010, 1_050, 1_020):
        bench.gateway.acknowledge(5_000, ack)
    assert bench.gateway.ack == 1_050
    bench.gateway.acknowledge(5_000 + (1 << 31), 1_080)  # a segment from nowhere settles nothing
    assert bench.gateway.ack == 1_050


def test_the_end_is_reached_with_its_last_byte() -> None:
    bench = opened()
    bench.client.handle_end(1_000 + len(FRAME), Arrival((9,), 90), reset=False)
    assert not bench.client.reached
    bench.client.handle_data(bench.segment(1_000, FRAME))
    assert bench.client.reached


def test_an_end_from_nowhere_is_none() -> None:
    bench = opened()
    bench.client.handle_end(1_000 + (1 << 30), Arrival((9,), 90), reset=True)
    assert bench.client.ending is None


def test_an_end_is_acknowledged_by_the_number_behind_the_fin() -> None:
    bench = opened()
    bench.client.handle_data(bench.segment(1_000, FRAME))
    bench.client.handle_end(1_000 + len(FRAME), Arrival((9,), 90), reset=False)
    bench.gateway.acknowledge(5_000, 1_000 + len(FRAME))
    assert not bench.client.end_acknowledged
    bench.gateway.acknowledge(5_000, 1_000 + len(FRAME) + 1)
    assert bench.client.end_acknowledged


def test_segments_near_the_stream_fit_and_others_do_not() -> None:
    bench = opened()
    bench.client.handle_data(bench.segment(1_000, FRAME))
    near = 1_000 + len(FRAME)
    assert bench.client.fits(bench.segment(near, b"x", ack=5_000))
    assert bench.client.fits(bench.segment(near + 10_000, b"x", ack=5_000))
    assert not bench.client.fits(bench.segment(near + (1 << 30), b"x", ack=5_000))
    assert not bench.client.fits(bench.segment(near + 10_000, b"x", ack=5_000 + (1 << 30)))
    assert bench.client.fits(bench.segment(near + (1 << 30)))  # without payload it can do no harm


def test_the_very_next_byte_continues_the_stream() -> None:
    bench = opened()
    bench.client.handle_data(bench.segment(1_000, FRAME))
    assert bench.client.continued_by(bench.segment(1_000 + len(FRAME), b"x"))
    assert not bench.client.continued_by(bench.segment(1_000 + len(FRAME)))
    assert not bench.client.continued_by(bench.segment(1_001 + len(FRAME), b"x"))


def test_bytes_cut_by_the_snap_length_hold_back_the_other_direction() -> None:
    bench = opened()
    bench.client.handle_data(bench.segment(1_000, FRAME[:48], missing=len(FRAME) - 48))
    bench.client.handle_data(bench.segment(1_000 + len(FRAME), FRAME))
    assert bench.client.waits
    assert not bench.came
    bench.gateway.acknowledge(5_000, 1_000 + 2 * len(FRAME))
    bench.client.check()
    assert not bench.client.waits
    assert [message.reason for message in bench.came] == ["truncated", None]


def test_of_several_syns_the_one_that_the_data_follows_counts() -> None:
    bench = Bench()
    bench.client.handle_syn(1_000)
    bench.client.handle_syn(7_000)
    assert bench.client.untouched
    bench.client.handle_data(bench.segment(7_000, FRAME))
    (message,) = bench.came
    assert message.verdict == "verified"


def test_packets_that_overtook_the_first_one_are_no_hole() -> None:
    bench = Bench()
    bench.client.handle_data(bench.segment(1_000 + len(FRAME), FRAME))
    bench.client.handle_data(bench.segment(1_000, FRAME))
    bench.client.give_up_waiting(1_000)
    assert not bench.came
    bench.client.give_up_overtaken(1_000)
    assert [message.frames for message in bench.came] == [[2], [1]]
