"""The decoder as a whole: its record against the contract of docs/record.md, its ports, its summary, its order."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

import decoder
from decoder import CaptureError, Decoder, Gap, Message
from decoder.conversation.summary import ConnectionInfo
from tests.scenarios.test_recordings import decoded
from tests.support.exchange import (
    CONN_ID,
    KEY,
    STEP_NS,
    Exchange,
    cbc,
    decode,
    frame,
    init_request,
    init_response,
    keep_alive,
    refused,
)
from tests.support.exchange import keep_alive_answer as answer
from tests.support.pages import DOCS, table
from tests.support.recorded import RECORDINGS, Recording

MESSAGE_KEYS = table(DOCS / "record.md", "## A message")
GAP_KEYS = table(DOCS / "record.md", "## A gap")


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


TYPES: dict[str, Callable[[Any], bool]] = {
    "integer": is_whole,
    "number": lambda value: isinstance(value, float) or is_whole(value),
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "list of integers": lambda value: isinstance(value, list) and all(map(is_whole, value)),
    "list of strings": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    "any": lambda value: True,
    "true": lambda value: value is True,
    "null": lambda value: value is None,
}


WORDS = {"`kind`", "`format`", "`encryption`", "`verdict`"}
"""Keys whose every value is named in the table."""


def check(item: Message | Gap, contract: list[list[str]]) -> dict[str, Any]:
    """Hold the record of `item` against a table of docs/record.md; gives it as JSON has it."""
    record: dict[str, Any] = json.loads(orjson.dumps(item.record()))
    assert list(record) == [key.strip("`") for key, _, _ in contract]
    for key, kind, about in contract:
        value = record[key.strip("`")]
        assert any(TYPES[each](value) for each in kind.split(" or ")), (key, value)
        if key in WORDS:
            assert value in re.findall(r"`([\w-]+)`", about), (key, value)
    return record


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_every_record_is_what_the_page_promises(recording: Recording) -> None:
    for message in decoded(recording):
        record = check(message, MESSAGE_KEYS)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", record["time"])
        assert re.fullmatch(r"[0-9a-f]{40}", record["sha1"])
        assert re.fullmatch(r"(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]):\d+", record["src"])
        assert (record["request"] is None) == (record["latency_ms"] is None)
        if record["packet_id"] is not None:
            assert list(record["packet_id"]) == ["connID", "serialNo"]


def test_attributes_are_named_as_the_keys() -> None:
    for message in decoded(Recording("cbc.pcap")):
        record = message.record()
        for key, _, _ in MESSAGE_KEYS:
            value = getattr(message, key.strip("`"))
            assert value == (list(record["frames"]) if key == "`frames`" else record[key.strip("`")]), key


def test_records_of_what_could_not_be_read() -> None:
    exchange = Exchange().c2s(frame(4567, b"\x08\x01"), frame(1004, b"\xff"), frame(1004, b"", b"x"))
    exchange.c2s(frame(1004, keep_alive(), fmt=7)).c2s(frame(1002, b'{"c2s":', fmt=1))
    exchange.s2c(frame(1001, b"\xff" * 40)).s2c(frame(4567, b"\x1b[31m", fmt=1))
    messages, _, _ = decode(exchange)
    assert len(messages) == 7
    records = [check(message, MESSAGE_KEYS) for message in messages if message.format in ("Protobuf", "Json")]
    assert len(records) == 6
    assert all(record["body"] is None for record in records)


def test_records_of_gaps() -> None:
    exchange = Exchange().c2s(frame(1004, keep_alive())).lose("c2s", 100).c2s(b"x" * 50, frame(1004, keep_alive()))
    exchange.c2s(frame(1004, keep_alive())).fin()
    messages, gaps, _ = decode(exchange)
    assert [m.verdict for m in messages] == ["verified"] * 3
    assert [(gap.bytes, gap.reason) for gap in gaps] == [(100, "lost"), (50, "resync")]
    for gap in gaps:
        record = check(gap, GAP_KEYS)
        assert f"`{record['reason']}`" in GAP_KEYS[-1][2]
        assert (record["connection"], record["direction"]) == (gap.connection, gap.direction) == (0, "c2s")
        assert record["time"] == gap.time


def test_secrets_are_not_in_a_record_unless_asked_for() -> None:
    exchange = Exchange().c2s(frame(1001, init_request())).s2c(frame(1001, init_response()))
    messages, _, _ = decode(exchange)
    hidden, shown = messages[1].record(), messages[1].record(show_secrets=True)
    assert hidden["body"]["s2c"]["connAESKey"] == hidden["body"]["s2c"]["aesCBCiv"] == "[redacted]"
    assert shown["body"]["s2c"]["connAESKey"] == KEY.decode()
    assert messages[1].body == hidden["body"]
    assert messages[1].to_dict() == shown["body"]


@pytest.mark.parametrize("style", ["sdk", "proto", "number"])
def test_ret_type_keeps_its_name_whatever_the_style(style: Any) -> None:
    (message,), _, _ = decode(Exchange().s2c(frame(1004, refused("KeepAlive", "no"))))
    record = message.record(style)
    assert record["ret_type"] == "RET_ERROR"
    assert record["body"]["retType"] == {"sdk": "RET_ERROR", "proto": "RetType_Failed", "number": -1}[style]


# Ports


def on_port(port: int, *, syn: bool = True) -> Exchange:
    exchange = Exchange(client_port=50000 + port % 1000, port=port, syn=syn)
    return exchange.c2s(frame(1004, keep_alive())).s2c(frame(1004, answer()))


def decode_on(ports: Any, *exchanges: Exchange) -> tuple[list[Message], Decoder]:
    each = Decoder(ports=ports)
    items = [i for exchange in exchanges for data, now in exchange.packets for i in each.feed(data, now)]
    items += each.flush()
    return [i for i in items if isinstance(i, Message)], each


def test_only_the_given_ports_are_decoded_and_others_with_headers_are_named() -> None:
    captures = [on_port(11111), on_port(22222), on_port(33333)]
    messages, each = decode_on((11111,), *captures)
    assert len(messages) == 2
    assert set(each.summary.header_ports) == {22222, 33333}
    messages, each = decode_on((22222, 33333), *captures)
    assert [m.dst for m in messages if m.direction == "c2s"] == ["192.0.2.2:22222", "192.0.2.2:33333"]
    assert set(each.summary.header_ports) == {11111}


@pytest.mark.parametrize("syn", [True, False])
def test_auto_finds_gateways_by_their_first_message(syn: bool) -> None:
    web = Exchange(client_port=40000, port=80).c2s(b"GET / HTTP/1.1\r\n\r\n")
    messages, each = decode_on("auto", web, on_port(4711, syn=syn), on_port(60001, syn=syn))
    assert [(m.dst, m.direction) for m in messages if m.kind == "request"] == [
        ("192.0.2.2:4711", "c2s"),
        ("192.0.2.2:60001", "c2s"),
    ]
    assert len(messages) == 4
    assert each.summary.connections == 2


# The summary


def test_the_summary_counts() -> None:
    exchange = (
        Exchange().c2s(frame(1004, keep_alive()), frame(1004, keep_alive(), b"\xff" * 9, 2)).s2c(frame(1004, answer()))
    )
    exchange.lose("s2c", 10).s2c(frame(1004, answer(), serial_no=2), frame(1004, answer(), serial_no=3)).fin()
    foreign = Exchange(client_port=50113).c2s(b"GET / HTTP/1.1\r\n\r\n" * 10).fin()
    _, _, each = decode(exchange, foreign)
    summary = each.summary
    assert summary.packets == len(exchange.packets) + len(foreign.packets)
    assert summary.segments == 4
    assert summary.messages == 5
    assert summary.gaps == 1
    assert summary.connections == 1
    assert summary.verdicts == {"verified": 4, "sha1-mismatch": 1}
    assert [line.partition(": ")[0] for line in summary.not_opend] == ["192.0.2.1:50113 > 192.0.2.2:11111"]


def test_connections_are_told_when_they_end() -> None:
    told: list[ConnectionInfo] = []
    each = Decoder(on_connection=told.append)
    exchange = Exchange().c2s(frame(1004, keep_alive())).s2c(frame(1004, answer())).fin()
    for data, now in exchange.packets:
        each.feed(data, now)
    each.flush()
    (info,) = told
    assert (info.client, info.server) == ("192.0.2.1:50112", "192.0.2.2:11111")
    assert (info.first_ns, info.last_ns) == (exchange.packets[0][1], exchange.packets[-1][1])
    assert info.opened
    assert info.closed_by == "client"
    assert not info.reset
    assert info.bytes == {"c2s": 52, "s2c": 54}


def test_numbers_of_packets_are_counted_or_given() -> None:
    exchange = Exchange().c2s(frame(1004, keep_alive())).c2s(frame(1004, keep_alive()))
    data = [packet for packet, _ in exchange.packets]
    each = Decoder()
    items = [item for packet in data[:4] for item in each.feed(packet, 0)]
    items += each.feed(data[4], 0, number=99)
    assert [m.frames for m in items if isinstance(m, Message)] == [[4], [99]]


def test_an_answer_that_completes_before_its_request() -> None:
    request = frame(1004, keep_alive())
    for begun in (48, 20, 0):  # where the header of the request is there, the response can tell; else the request does
        exchange = Exchange().c2s(frame(1002, b"")).s2c(frame(1002, b"")).c2s(request[:begun])
        exchange.s2c(frame(1004, answer())).c2s(request[begun:])
        notes = {}
        for message in decode(exchange)[0]:
            if message.proto_id == 1004:
                notes[message.kind] = message.notes
                assert (message.request, message.latency_ns) == (None, None)
        assert list(notes) == ["response", "request"]
        assert ["request-later"] in notes.values()
        assert (notes["response"] == ["request-later"]) == (begun > 44)


def test_latency_is_between_the_completing_packets() -> None:
    exchange = Exchange().c2s(frame(1004, keep_alive()), mss=20)
    exchange.s2c(frame(1004, answer()), mss=30)
    request, response = decode(exchange)[0]
    assert request.frames == [4, 5, 6]
    assert response.request == 1
    assert response.latency_ns == 2 * STEP_NS


def test_pushes_are_told_by_their_id_and_never_matched() -> None:
    exchange = Exchange().c2s(frame(3005, b"", serial_no=5)).s2c(frame(3005, b"\x08\x00", serial_no=5))
    request, push = decode(exchange)[0]
    assert (request.kind, push.kind, push.request) == ("request", "push", None)


def test_an_ipv6_connection() -> None:
    exchange = Exchange(ipv6=True).c2s(frame(1001, init_request())).s2c(frame(1001, init_response()))
    exchange.c2s(frame(1004, keep_alive(), cbc(keep_alive())))
    messages, _, _ = decode(exchange)
    assert [m.verdict for m in messages] == ["verified"] * 3
    assert (messages[0].src, messages[0].dst) == ("[2001:db8::1]:50112", "[2001:db8::2]:11111")
    assert messages[2].conn_id == str(CONN_ID)


# Files


def test_a_file_that_cannot_be_read_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    items = decoder.read(tmp_path / "none.pcap", Recording("plain.pcap").path)
    seen = list(itertools.islice(items, 254))
    assert [m.sha1 for m in seen if isinstance(m, Message)] == [m.sha1 for m in decoded(Recording("plain.pcap"))]
    with pytest.raises(CaptureError, match=r"none\.pcap"):
        next(items)


def test_a_file_that_is_no_capture(tmp_path: Path) -> None:
    path = tmp_path / "no.pcap"
    path.write_text("hello")
    with pytest.raises(CaptureError):
        list(decoder.read(path))


def test_the_first_message_counts_though_it_quotes_others_and_damage_follows() -> None:
    quoting = frame(1004, frame(1004, keep_alive(), serial_no=7) * 3, serial_no=5)
    messages, gaps, _ = decode(Exchange().c2s(quoting + bytes(30)))
    assert [(message.serial_no, message.verdict) for message in messages] == [(5, "verified")]
    assert [(gap.bytes, gap.reason) for gap in gaps] == [(30, "resync")]
