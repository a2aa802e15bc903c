"""End to end: every recording of the official SDK against what both ends logged, field by field."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from typing import Any

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether  # noqa: F401  (the captures' link types)
from scapy.utils import PcapReader

import decoder
from decoder import Gap, Message
from tests.support.recorded import CAPTURES, DEMO_KEY, RECORDINGS, WEBSOCKET_RECORDINGS, Recording

GATEWAY = 11111
Stream = tuple[str, str]  # client's end, direction

every_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)


@cache
def decoded(recording: Recording) -> list[Message]:
    items = list(decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog))
    assert not [item for item in items if isinstance(item, Gap)]
    return [item for item in items if isinstance(item, Message)]


def stream(message: Message) -> Stream:
    return (message.src if message.direction == "c2s" else message.dst), message.direction


def beside(messages: list[Message], recording: Recording) -> dict[Stream, tuple[list[Message], list[dict[str, Any]]]]:
    """What was decoded and what was logged, for each direction of each connection."""
    streams: dict[Stream, tuple[list[Message], list[dict[str, Any]]]] = defaultdict(lambda: ([], []))
    for message in messages:
        streams[stream(message)][0].append(message)
    for logged in recording.expected:
        streams[logged["client"], logged["direction"]][1].append(logged)
    return streams


def pairs(messages: list[Message], recording: Recording) -> list[tuple[Message, dict[str, Any]]]:
    """Each message beside what the ends logged of it."""
    return [pair for ours, logged in beside(messages, recording).values() for pair in zip(ours, logged, strict=True)]


def test_the_captures_hold_what_their_readme_says() -> None:
    rows = re.findall(
        r"^\| `(\S+)` \|.*\| (\d+) \| (\d+) \| (\d+) \|$", (CAPTURES / "README.md").read_text("utf-8"), re.M
    )
    every = [*RECORDINGS, *WEBSOCKET_RECORDINGS]
    assert {file for file, *_ in rows} == {recording.file for recording in every}
    for file, connections, packets, messages in rows:
        recording = Recording(file)
        assert len({entry["client"] for entry in recording.expected}) == int(connections), file
        assert len(list(PcapReader(str(recording.path)))) == int(packets), file
        assert len(recording.expected) == int(messages), file


@every_recording
def test_every_message_comes_out_and_nothing_else(recording: Recording) -> None:
    for key, (ours, logged) in beside(decoded(recording), recording).items():
        assert [(m.proto_id, m.serial_no, m.sha1) for m in ours] == [
            (entry["proto_id"], entry["serial_no"], entry["sha1"]) for entry in logged
        ], key


@every_recording
def test_every_message_is_verified(recording: Recording) -> None:
    assert [(m, m.reason) for m in decoded(recording) if m.verdict != "verified" or m.reason is not None] == []


@every_recording
def test_every_body_equals_what_the_vendors_class_read(recording: Recording) -> None:
    for message, logged in pairs(decoded(recording), recording):
        assert message.to_dict("number") == logged["body"], message
        assert message.raw is None
        assert message.notes == []


@every_recording
def test_kind_format_and_what_was_really_done_to_the_body(recording: Recording) -> None:
    for message, logged in pairs(decoded(recording), recording):
        assert message.kind == logged["kind"], message
        assert message.format == logged["format"], message
        assert message.encryption == logged["encryption"], message


@every_recording
def test_the_completing_packet_lies_between_sending_and_receiving(recording: Recording) -> None:
    for message, logged in pairs(decoded(recording), recording):
        assert logged["sent_ns"] - recording.clock_ns <= message.time_ns, message
        if logged["received_ns"] is not None:
            assert message.time_ns <= logged["received_ns"] + recording.clock_ns, message


@every_recording
def test_conn_id_is_the_one_that_init_connect_gave(recording: Recording) -> None:
    conn_ids: dict[str, str] = {}
    for logged in recording.expected:
        if logged["proto_id"] == 1001 and logged["direction"] == "s2c":
            conn_ids[logged["client"]] = logged["body"]["s2c"]["connID"]
    if not conn_ids:
        (path,) = recording.keylog
        conn_ids = {recording.expected[0]["client"]: path.read_text().split()[1]}
    answered: set[str] = set()
    for message in decoded(recording):
        client, direction = stream(message)
        if (message.proto_id == 1001 and direction == "s2c") or recording.keylog:
            answered.add(client)
        assert message.conn_id == (conn_ids[client] if client in answered else None), message


@every_recording
def test_responses_know_their_requests(recording: Recording) -> None:
    requests = {
        (stream(m)[0], m.proto_id, m.serial_no): m for m in decoded(recording) if m.kind == "request"
    }  # no serial number is used twice on a connection
    assert len(requests) == sum(entry["kind"] == "request" for entry in recording.expected)
    for message in decoded(recording):
        request = requests.get((stream(message)[0], message.proto_id, message.serial_no))
        if message.kind == "response" and request is not None:
            assert message.request == request.number, message
            assert message.latency_ns == message.time_ns - request.time_ns >= 0, message
            assert message.latency_ms == message.latency_ns / 1e6
        else:
            assert message.request is None, message
            assert message.latency_ns is None, message


@every_recording
def test_ret_type_and_packet_id(recording: Recording) -> None:
    names = {0: "RET_OK", -1: "RET_ERROR", -100: "TimeOut"}
    for message, logged in pairs(decoded(recording), recording):
        expected = None if logged["direction"] == "c2s" else names[logged["body"]["retType"]]
        assert message.ret_type == expected, message
        assert message.packet_id == logged["body"].get("c2s", {}).get("packetID"), message


@every_recording
def test_frames_are_the_packets_that_carry_the_message(recording: Recording) -> None:
    """Scapy takes the packets apart: the payloads of the frames of a stream, joined, are its messages."""
    packets = list(PcapReader(str(recording.path)))
    payloads: dict[Stream, dict[int, bytes]] = defaultdict(dict)
    for number, packet in enumerate(packets, 1):
        tcp = packet[TCP]
        payload = bytes(tcp.payload)
        if payload:
            port = tcp.sport if tcp.dport == GATEWAY else tcp.dport
            payloads[str(port), "c2s" if tcp.dport == GATEWAY else "s2c"][number] = payload
    for (client, direction), (ours, _) in beside(decoded(recording), recording).items():
        carried = payloads[client.rpartition(":")[2], direction]
        ends, position = {}, 0
        for number, payload in sorted(carried.items()):
            ends[number] = (position, position + len(payload))
            position += len(payload)
        assert sum(44 + message.body_len for message in ours) == position
        start = 0
        for message in ours:
            end = start + 44 + message.body_len
            assert message.frames == [n for n, (first, last) in ends.items() if first < end and start < last], message
            when = packets[message.frames[-1] - 1].time
            assert abs(message.time_ns - int(when * 10**9)) < 1_000, message
            start = end


def test_numbers_and_connections_count_up() -> None:
    for recording in RECORDINGS:
        messages = decoded(recording)
        assert [m.number for m in messages] == list(range(1, len(messages) + 1))
        clients = {stream(m)[0] for m in messages}
        assert {m.connection for m in messages} == set(range(len(clients)))
        assert len({(m.connection, stream(m)[0]) for m in messages}) == len(clients)


def test_the_same_session_reads_the_same_under_every_link_type_and_file_format() -> None:
    """The short session was recorded five times: what differs is what the recorder's README says."""

    def told(name: str) -> list[tuple[str, str, int]]:
        recording = next(r for r in RECORDINGS if r.name == name)
        return sorted((m.direction, m.kind, m.proto_id) for m in decoded(recording) if m.proto_id != 1004)

    assert told("any") == told("any-v1") == told("nano") == told("ipv6")


def test_several_files_are_one_capture_in_time_order() -> None:
    later, earlier = CAPTURES / "reconnect.pcap.gz", CAPTURES / "plain.pcap"
    items = list(decoder.read(later, earlier, rsa_keys=[DEMO_KEY]))
    messages = [item for item in items if isinstance(item, Message)]
    assert len(messages) == 254 + 18
    times = [m.time_ns for m in messages]
    assert times == sorted(times)
    assert {m.verdict for m in messages} == {"verified"}
    assert max(m.frames[-1] for m in messages) > 322


@pytest.mark.parametrize("file", ["ftaes.pcap", "cbc.pcap", "mixed.pcap", "quirk.pcap"])
def test_without_a_key_headers_are_shown_and_the_cause_is_named(file: str) -> None:
    recording = Recording(file)
    messages = [item for item in decoder.read(recording.path) if isinstance(item, Message)]
    for message, logged in pairs(messages, recording):
        assert (message.proto_id, message.serial_no, message.kind) == (
            logged["proto_id"],
            logged["serial_no"],
            logged["kind"],
        )
        if logged["encryption"] == "None":
            assert message.verdict == "verified", message
            assert message.to_dict("number") == logged["body"]
        else:
            assert (message.verdict, message.reason) == ("unverified", "no-key"), message
            assert message.encryption == "unknown"
            assert message.plaintext is None
            assert message.body is None
            assert "--rsa-key" in (message.hint or "")


def test_with_the_wrong_key_the_cause_is_named() -> None:
    messages = [m for m in decoder.read(CAPTURES / "sample-key.pcap", rsa_keys=[DEMO_KEY]) if isinstance(m, Message)]
    assert {(m.verdict, m.reason) for m in messages} == {("unverified", "wrong-key")}
    assert {m.body for m in messages} == {None}


def test_without_the_handshake_the_cause_is_named() -> None:
    messages = [m for m in decoder.read(CAPTURES / "late-start.pcap", rsa_keys=[DEMO_KEY]) if isinstance(m, Message)]
    assert {(m.verdict, m.reason) for m in messages} == {("unverified", "handshake-missing")}
    assert {"--keylog" in (m.hint or "") for m in messages} == {True}
