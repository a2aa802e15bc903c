"""The facts about a connection at its end."""

from __future__ import annotations

from decoder import Decoder
from decoder.conversation.summary import ConnectionInfo
from tests.support.segments import ACK, FIN, RST, START_NS, STEP_NS, Segment, Talk, feed
from tests.unit.conversation.test_connection import answer, request


def told(segments: list[Segment]) -> ConnectionInfo:
    infos: list[ConnectionInfo] = []
    decoder = Decoder(on_connection=infos.append)
    feed(decoder, segments)
    decoder.flush()
    (info,) = infos
    return info


def talk() -> Talk:
    return Talk().c2s(request(1)).s2c(answer(1))


def test_the_first_fin_closes() -> None:
    segments = talk().segments
    end = segments[-1]
    seq = end.seq + len(end.payload)
    info = told(
        [*segments, Segment("s2c", seq, b"", FIN | ACK, end.ack), Segment("c2s", end.ack, b"", FIN | ACK, seq + 1)]
    )
    assert (info.closed_by, info.reset, info.closed_frame) == ("server", False, len(segments) + 1)
    assert info.closed_ns == START_NS + (len(segments) + 1) * STEP_NS


def test_a_reset_that_data_contradicts_closes_nothing() -> None:
    segments = talk().c2s(request(2)).segments
    *before, last = segments
    reset = Segment("c2s", last.seq, b"", RST, 0)
    assert told([*before, reset]).closed_by == "client"
    info = told([*before, reset, last])
    assert (info.closed_by, info.reset) == (None, False)


def test_bytes_are_those_of_the_streams() -> None:
    info = told(talk().segments)
    assert info.confirmed
    assert not info.not_opend
    assert info.bytes["s2c"] == len(talk().segments[-1].payload)
