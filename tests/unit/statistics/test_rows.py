"""Figures of a connection and of a protocol."""

from __future__ import annotations

from decoder.conversation.summary import ConnectionInfo
from decoder.message import Gap
from decoder.statistics.rows import CONNECTION_KEYS, PROTOCOL_KEYS, ConnectionRow, ProtocolRow
from tests.support.messages import SECOND, START_NS, Line


def test_a_connection_by_its_first_message_whichever_end_sent_it() -> None:
    line = Line()
    for item in (line.ask(1002, b""), line.push(1003, b""), Gap(line.flows["s2c"], 0, 1, "lost")):
        row = ConnectionRow.of(item)
        assert (row.client, row.gateway) == ("192.0.2.1:50112", "192.0.2.2:11111")


def test_the_record_has_every_key_and_null_for_what_is_not_known() -> None:
    record = ConnectionRow.of(Line().ask(1002, b"")).figures(3, {}).record()
    assert list(record) == list(CONNECTION_KEYS)
    unknown = {key for key, value in record.items() if value is None}
    assert unknown == {
        *("conn_id", "client_id", "client_version", "language", "gateway_version", "keep_alive_s"),
        *("no_message", "closed_by", "deflate", "key_given"),
    }
    assert (record["connection"], record["opened"], record["duration_s"]) == (3, False, 0)


def test_its_end_gives_the_times_of_its_packets() -> None:
    row = ConnectionRow.of(Line().ask(1002, b""))
    row.info = ConnectionInfo(3, "a:1", "b:2", START_NS - SECOND, START_NS + 2 * SECOND)
    row.info.opened, row.info.closed_by, row.info.retransmissions = True, "server", {"c2s": 2, "s2c": 3}
    figures = row.figures(3, {"client_id": "x"})
    assert (figures.duration_s, figures.opened, figures.closed_by, figures.retransmissions) == (3, True, "server", 5)
    assert figures.client_id == "x"


def test_requests_without_a_response() -> None:
    row = ConnectionRow.of(Line().ask(1002, b""))
    row.requests, row.answered = 5, 3
    assert row.counts()["unanswered"] == 2
    row.answered = 7  # responses to requests that are not in the capture
    assert row.counts()["unanswered"] == 0


def pushed(*seconds: float) -> ProtocolRow:
    row = ProtocolRow()
    for at in seconds:
        row.push(START_NS + int(at * SECOND))
    return row


def test_the_rate_of_pushes_is_from_the_first_to_the_last() -> None:
    assert pushed(0, 1, 2, 3).figures(3013).push_rate == 1.0
    assert pushed(0, 0.5).figures(3013).push_rate == 2.0
    assert pushed(0).figures(3013).push_rate is None
    assert pushed(5, 5).figures(3013).push_rate is None


def test_the_peak_is_the_busiest_second_of_the_clock() -> None:
    assert pushed(0, 0.1, 0.9, 1.0, 1.1, 5).figures(3013).push_peak == 3
    assert ProtocolRow().figures(3013).push_peak is None


def test_latencies_are_in_milliseconds() -> None:
    row = ProtocolRow()
    for milliseconds in range(1, 101):
        row.latency.add(milliseconds * 1_000_000)
    figures = row.figures(1002)
    assert (figures.latency_p50_ms, figures.latency_p90_ms, figures.latency_p99_ms) == (50.0, 90.0, 99.0)
    assert figures.latency_max_ms == 100.0


def test_a_protocol_has_its_name_if_it_is_known() -> None:
    assert ProtocolRow().figures(2202).proto == "Trd_PlaceOrder"
    assert ProtocolRow().figures(9998).proto is None
    rest = ProtocolRow().figures(None).record()
    assert (rest["proto_id"], rest["proto"]) == (None, None)
    assert list(rest) == list(PROTOCOL_KEYS)
