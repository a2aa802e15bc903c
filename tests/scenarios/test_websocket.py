"""Recordings of WebSocket ports, clean and as dirty as captures get, against what both ends logged.

What must come out of captures that lost something says a model: a cutter of WebSocket frames of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import ls
from scapy.sendrecv import sniff
from scapy.utils import rdpcap, wrpcap

import decoder
from decoder import Gap, Message, OpenD, OpenDSession
from tests.support import dirt
from tests.support import exchange as ex
from tests.support.command import PCAP_HEADER, opendump, record, write
from tests.support.dirt import Dirt, Segment, Way, in_turn, segments_of
from tests.support.recorded import CAPTURES, WEBSOCKET_RECORDINGS, Recording
from tests.support.segments import Talk
from tests.support.spellings import spellings
from tests.support.websocket import ACCEPTED, UPGRADE, reply, request, ws

every_recording = pytest.mark.parametrize("recording", WEBSOCKET_RECORDINGS, ids=lambda recording: recording.name)
PLAIN = [recording for recording in WEBSOCKET_RECORDINGS if recording.name != "websocket-deflate"]
plain_recordings = pytest.mark.parametrize("recording", PLAIN, ids=lambda recording: recording.name)
OFFICIAL_SIGN = b"ft-v1.0\0"

Logged = dict[str, Any]


def decoded(recording: Recording, path: Path, ports: Any = None) -> list[Message | Gap]:
    return list(decoder.read(path, ports=ports or recording.port))


def way(item: Message) -> Way:
    return (item.src if item.direction == "c2s" else item.dst), item.direction


def logged(recording: Recording) -> dict[Way, list[Logged]]:
    streams: dict[Way, list[Logged]] = defaultdict(list)
    for entry in recording.expected:
        streams[entry["client"], entry["direction"]].append(entry)
    return streams


def streams_of(items: list[Message | Gap]) -> dict[Way, list[Message]]:
    found: dict[Way, list[Message]] = defaultdict(list)
    for item in items:
        if isinstance(item, Message):
            found[way(item)].append(item)
    return found


def facts_of(message: Message) -> tuple[Any, ...]:
    return message.proto_id, message.serial_no, message.kind, message.to_dict("number")


def facts(entry: Logged) -> tuple[Any, ...]:
    return entry["proto_id"], entry["serial_no"], entry["kind"], entry["body"]


def check_all(recording: Recording, items: list[Message | Gap]) -> None:
    """Everything that the ends logged came out once, in stream order, field by field; and nothing else."""
    assert [item for item in items if isinstance(item, Gap)] == []
    expected, found = logged(recording), streams_of(items)
    assert set(found) == set(expected)
    for key, messages in found.items():
        assert list(map(facts_of, messages)) == list(map(facts, expected[key]))
        for message, entry in zip(messages, expected[key], strict=True):
            assert message.transport == "websocket"
            assert (message.format, message.version, message.encryption) == ("Protobuf", 0, "None")
            assert message.sha1 == entry["sha1"]
            proven = ("verified", None) if entry["sha1"] else ("unverified", "no-digest")
            assert (message.verdict, message.reason) == proven
            body = message.plaintext or b""
            assert hashlib.sha1(body).hexdigest() == (entry["sha1"] or entry["wire_sha1"])
            assert message.body_len == len(body)
            error = entry.get("error")
            assert message.error == (error and {"code": error[0], "message": error[1]})
            assert set(message.notes) <= {"request-later"}


# Clean


@every_recording
@pytest.mark.parametrize("by_content", [False, True], ids=["port given", "port auto"])
def test_every_message_comes_out_field_by_field(recording: Recording, by_content: bool) -> None:
    check_all(recording, decoded(recording, recording.path, "auto" if by_content else None))


@every_recording
@pytest.mark.parametrize("by_content", [False, True], ids=["port given", "port auto"])
def test_over_ipv6_in_a_compressed_capture(recording: Recording, by_content: bool, tmp_path: Path) -> None:
    packets = []
    for packet in rdpcap(str(recording.path)):
        segment = packet[TCP].copy()
        del segment.chksum
        packets.append(Ether() / IPv6(src="::1", dst="::1") / segment)
        packets[-1].time = packet.time
    path = tmp_path / "ipv6.pcap.gz"
    wrpcap(str(path), packets, gz=True)
    items = decoded(recording, path, "auto" if by_content else None)
    found = [facts_of(item) for item in items if isinstance(item, Message)]
    assert found == [facts_of(item) for item in decoded(recording, recording.path) if isinstance(item, Message)]
    assert len(found) == len(items) == len(recording.expected)
    assert all(item.flow.src.startswith("[::1]:") for item in items)


@every_recording
def test_messages_lie_between_sending_and_receiving(recording: Recording) -> None:
    found = streams_of(decoded(recording, recording.path))
    for key, entries in logged(recording).items():
        for message, entry in zip(found[key], entries, strict=True):
            # The clock of Node.js counts microseconds from a start that it knows to a millisecond.
            assert entry["sent_ns"] - 2_000_000 <= message.time_ns <= entry["received_ns"] + 2_000_000


@every_recording
def test_responses_know_their_requests_and_the_connection_its_id(recording: Recording) -> None:
    items = [item for item in decoded(recording, recording.path) if isinstance(item, Message)]
    requests = {item.number: item for item in items if item.kind == "request"}
    assert requests
    for item in items:
        if item.kind != "response":
            assert item.request is None
            continue
        assert item.request is not None
        request = requests[item.request]
        assert (request.proto_id, request.serial_no) == (item.proto_id, item.serial_no)
        assert request.connection == item.connection
    conn_ids = {}
    for entry in recording.expected:
        if entry["kind"] == "response" and entry["proto_id"] in (1, 1001):
            conn_ids[entry["client"]] = entry["body"]["s2c"]["connID"]
    for item in items[1:]:
        client, _ = way(item)
        if item.proto_id not in (1, 1001):
            assert item.conn_id == conn_ids[client]


# Order and repetition

DIRT: dict[str, Dirt] = {
    "reordered in windows of 8": dirt.reordered(8),
    "answers before their requests": dirt.answers_first,
    "sent again": dirt.again_whole,
    "sent again in other pieces": dirt.again_in_other_pieces,
    "in pieces of 1 byte": dirt.segmented(1),
    "in pieces of 7 bytes": dirt.segmented(7),
    "tail before head": dirt.tail_first,
    "each side's runs reordered": dirt.runs_reordered,
    "wrapped": dirt.wrapped,
    "keep-alive probes": dirt.probed(None),
    "payload in SYN": dirt.payload_in_syn,
    "FIN with payload": dirt.fin_with_payload,
    "closed at once": dirt.closed_at_once,
    "reset": dirt.reset,
}  # fmt: skip


@pytest.mark.parametrize("name", DIRT)
@every_recording
def test_order_and_repetition_lose_nothing(recording: Recording, name: str, tmp_path: Path) -> None:
    clean = list(segments_of(recording))
    dirty = in_turn(DIRT[name](clean, Random(name)), clean)
    assert dirty != clean
    check_all(recording, decoded(recording, dirt.write(tmp_path / "dirty.pcapng", [each.packet() for each in dirty])))


# Loss: the model


class Sent(NamedTuple):
    """A WebSocket message with content in the stream of one direction."""

    bytes: frozenset[int]
    """Sequence numbers of the bytes of its frames."""
    entry: Logged


@cache
def sent(recording: Recording) -> dict[Way, list[Sent]]:
    """Where each logged message stands; no frame of these recordings is compressed."""
    streams: dict[Way, bytes] = defaultdict(bytes)
    starts: dict[Way, int] = {}
    for segment in segments_of(recording):
        if segment.payload:
            starts.setdefault(segment.way, segment.seq)
            streams[segment.way] += segment.payload
    found: dict[Way, list[Sent]] = {}
    for key, stream in streams.items():
        entries = iter(logged(recording)[key])
        at = stream.index(b"\r\n\r\n") + 4
        found[key], collected = [], set()
        while at < len(stream):
            begin = at
            first, second = stream[at : at + 2]
            size, at = second & 127, at + 2
            if size > 125:
                width = 2 if size == 126 else 8
                size, at = int.from_bytes(stream[at : at + width], "big"), at + width
            at += size + (4 if second & 128 else 0)
            if first & 15 < 8:
                collected |= set(range(starts[key] + begin, starts[key] + at))
                if first & 128:
                    found[key].append(Sent(frozenset(collected), next(entries)))
                    collected = set()
        assert next(entries, None) is None
    return found


def check_lossy(recording: Recording, items: list[Message | Gap], segments: list[Segment], snap: int | None) -> None:
    """What is whole comes out, in order; nothing else comes out whole."""
    have = dirt.held(segments, snap)
    found = streams_of(items)
    lost = 0
    for key, messages in sent(recording).items():
        whole = [facts(each.entry) for each in messages if have[key].issuperset(each.bytes)]
        lost += len(messages) - len(whole)
        out = [facts_of(item) for item in found[key] if item.reason in (None, "no-digest")]
        assert out == whole, key
        known = {(each.entry["proto_id"], each.entry["serial_no"]) for each in messages}
        for item in found[key]:
            if item.reason not in (None, "no-digest"):
                assert item.reason in ("gap", "truncated")
                assert item.plaintext is None
                assert (item.proto_id, item.serial_no) in known
    assert lost
    assert any(isinstance(item, Gap) or item.reason in ("gap", "truncated") for item in items)


@pytest.mark.parametrize("seed", range(12))
@plain_recordings
def test_what_is_whole_comes_out_of_a_capture_with_losses(recording: Recording, seed: int, tmp_path: Path) -> None:
    clean, rng = list(segments_of(recording)), Random(seed)
    data = [
        place for place, each in enumerate(clean) if each.payload and not each.payload.startswith((b"GET", b"HTTP"))
    ]
    dropped = set(rng.sample(data, 1 + seed))
    dirty = [each for place, each in enumerate(clean) if place not in dropped]
    items = decoded(recording, dirt.write(tmp_path / "lossy.pcapng", [each.packet() for each in dirty]))
    check_lossy(recording, items, dirty, None)


@pytest.mark.parametrize("snap", [130, 200, 600, 1400])
@plain_recordings
def test_packets_cut_by_the_snap_length(recording: Recording, snap: int, tmp_path: Path) -> None:
    clean = list(segments_of(recording))
    packets = [each.packet() for each in clean]
    cut = [packet._replace(data=packet.data[:snap]) for packet in packets]
    items = decoded(recording, dirt.write(tmp_path / "cut.pcapng", cut))
    check_lossy(recording, items, clean, snap)
    reasons = {item.reason for item in items if isinstance(item, Message)}
    assert "truncated" in reasons


@pytest.mark.parametrize("by_content", [False, True], ids=["port given", "port auto"])
@pytest.mark.parametrize("start", [8, 20, 40, 60])
@plain_recordings
def test_a_capture_that_starts_late(recording: Recording, start: int, by_content: bool, tmp_path: Path) -> None:
    dirty = list(segments_of(recording))[start:]
    path = dirt.write(tmp_path / "late.pcapng", [each.packet() for each in dirty])
    items = decoded(recording, path, "auto" if by_content else None)
    have, found = dirt.held(dirty), streams_of(items)
    for key, messages in sent(recording).items():
        whole = [facts(each.entry) for each in messages if have[key].issuperset(each.bytes)]
        out = [facts_of(item) for item in found[key] if item.reason in (None, "no-digest")]
        # By content, the port is known from the first segment on that begins with a frame.
        assert out == (whole[len(whole) - len(out) :] if by_content else whole), key
        assert len(out) >= len(whole) - 1
    assert all(item.reason == "mid-stream" for item in items if isinstance(item, Gap))


@pytest.mark.parametrize("seed", range(8))
def test_nothing_false_comes_out_of_compressed_messages_with_losses(seed: int, tmp_path: Path) -> None:
    """A message may refer to lost ones; then it cannot be inflated, but never comes out wrong."""
    (recording,) = (each for each in WEBSOCKET_RECORDINGS if each.name == "websocket-deflate")
    clean, rng = list(segments_of(recording)), Random(seed)
    data = [place for place, each in enumerate(clean) if each.payload]
    dropped = set(rng.sample(data, 1 + seed))
    dirty = [each for place, each in enumerate(clean) if place not in dropped]
    items = decoded(recording, dirt.write(tmp_path / "lossy.pcapng", [each.packet() for each in dirty]))
    expected = {key: list(map(facts, entries)) for key, entries in logged(recording).items()}
    whole = [item for item in items if isinstance(item, Message) and item.reason == "no-digest"]
    assert whole
    for item in whole:
        assert facts_of(item) in expected[way(item)]
        expected[way(item)].remove(facts_of(item))


# Further on


@every_recording
def test_no_secret_is_printed_unasked(recording: Recording) -> None:
    key = hashlib.md5(b"the key of the WebSocket port").hexdigest()
    for arguments in (
        ["decode"],
        ["decode", "-V"],
        ["decode", "--format", "jsonl"],
        ["decode", "--format", "csv"],
        ["stats"],
    ):
        done = opendump(*arguments, str(recording.path), "--port", str(recording.port))
        assert done.code == 0
        for secret in (key, "a-token-that-nobody-uses"):
            assert secret not in done.out + done.err
    told = opendump("decode", "--format", "jsonl", "--show-secrets", str(recording.path), "--port", str(recording.port))
    assert (key in told.out) == any(entry["proto_id"] == 1 for entry in recording.expected)


def test_strict_does_not_count_messages_without_a_digest() -> None:
    assert opendump("decode", "--strict", "--port", "33333", str(CAPTURES / "websocket.pcap")).code == 0


def test_the_connection_row_says_how_it_was_carried() -> None:
    rows = {}
    for recording in WEBSOCKET_RECORDINGS:
        done = opendump("stats", "--format", "json", "--port", "auto", str(recording.path))
        rows[recording.name] = [
            (row["transport"], row["deflate"], row["key_given"], row["language"])
            for row in json.loads(done.out)["connections"]
        ]
    assert rows == {
        "websocket": [("websocket", False, True, "JavaScript")] * 2,
        "websocket-deflate": [("websocket", True, True, "JavaScript")] * 2,
        "websocket-framed": [("websocket", False, None, "Rust")],
    }


def test_two_processes_find_the_same() -> None:
    path = str(CAPTURES / "websocket.pcap")
    alone = opendump("decode", "--format", "jsonl", "--port", "33333", path).out
    assert opendump("decode", "--format", "jsonl", "--port", "33333", "--jobs", "2", path).out == alone
    assert len(alone.splitlines()) == 48


def test_the_order_of_a_javascript_client() -> None:
    done = opendump("orders", "--format", "jsonl", "--port", "33333", str(CAPTURES / "websocket.pcap"))
    (order,) = map(json.loads, done.out.splitlines())
    assert (order["symbol"], order["side"], order["qty"], order["price"]) == ("HK.00700", "BUY", 300, 400.2)
    assert order["placed"]["ret_type"] == "RET_OK"


def over_tcp(messages: list[Message], path: Path) -> Path:
    """The same messages at the same times on the API port, as a client in Python would exchange them."""
    talks: dict[int, Talk] = {}
    packets: list[bytes] = []
    for message in messages:
        talk = talks.get(message.connection)
        if talk is None:
            talk = talks[message.connection] = Talk(ports=(50000 + message.connection, 11111))
        if message.proto_id >= 1000:  # the others belong to the WebSocket port
            data = ex.frame(message.proto_id, message.plaintext or b"", serial_no=message.serial_no)
            (talk.c2s if message.direction == "c2s" else talk.s2c)(data)
        packets += [record(segment.packet(), message.time_ns) for segment in talk.segments]
        talk.segments.clear()
    return write(path, PCAP_HEADER + b"".join(packets))


OF_THE_CAPTURE = {"message", "messages", "response", "requested_by", "connection", "connections"}
OF_THE_CONNECTION = {"bytes", "not_verified", "until", "longest_silence_s"}
"""The headers differ, and the connections are not closed in what is made here."""
ON_WEBSOCKET_ONLY = {"InitWebSocket", "OpenDisConnect", "Qot_GetRT"}
"""Messages of the port itself, and one that it answered with an error in the header, which TCP does not have."""


def without_numbers(value: Any) -> Any:
    """`value` without the numbers of messages and connections."""
    if isinstance(value, dict):
        return {key: without_numbers(each) for key, each in value.items() if key not in OF_THE_CAPTURE}
    return [without_numbers(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["websocket", "websocket-deflate"])
def test_stats_and_orders_say_of_a_javascript_client_what_they_say_of_one_in_python(name: str, tmp_path: Path) -> None:
    path = CAPTURES / f"{name}.pcap"
    messages = [item for item in decoder.read(path, ports=33333) if isinstance(item, Message)]
    python = over_tcp(messages, tmp_path / "python.pcap")
    assert [item.plaintext or None for item in decoder.read(python) if isinstance(item, Message)] == [
        message.plaintext for message in messages if message.proto_id >= 1000
    ]
    for arguments in (
        ["orders", "--format", "jsonl"],
        ["stats", "--format", "json", "--table", "subscriptions"],
        ["stats", "--format", "json", "--table", "rates"],
        ["stats", "--format", "json", "--table", "lateness"],
        ["stats", "--format", "json", "--table", "protocols"],
    ):
        told = []
        for port, capture in (("33333", path), ("11111", python)):
            out = opendump(*arguments, "--port", port, capture).out
            rows = json.loads(f"[{','.join(out.splitlines())}]" if "jsonl" in arguments else out)
            told.append(
                [
                    {key: value for key, value in without_numbers(row).items() if key not in OF_THE_CONNECTION}
                    for row in rows
                    if row.get("proto") not in ON_WEBSOCKET_ONLY
                ]
            )
        of_javascript, of_python = told
        assert len(of_javascript) > 0
        assert of_javascript == of_python, arguments


# Port 33333, OpenD's default for WebSocket, on a connection made by hand


def at_33333(tmp_path: Path) -> Path:
    talk = Talk(ports=(53000, 33333)).c2s(UPGRADE).s2c(ACCEPTED)
    talk.c2s(ws(request(1, 2, b"\x0a\x12\x22\x04abcd\x32\x0aJavaScript"), masked=True))
    talk.s2c(ws(reply(1, 2, b"\x08\x00"))).fin()
    packets = (record(segment.packet(), number) for number, segment in enumerate(talk.segments))
    return write(tmp_path / "made.pcap", PCAP_HEADER + b"".join(packets))


@pytest.mark.parametrize("port", ["33333", "auto"])
def test_a_login_on_the_websocket_port(port: str, tmp_path: Path) -> None:
    done = opendump("decode", "--format", "jsonl", "--port", port, at_33333(tmp_path))
    asked, answered = map(json.loads, done.out.splitlines())
    assert (asked["proto"], asked["kind"], asked["serial_no"], asked["transport"]) == (
        "InitWebSocket", "request", 2, "websocket",
    )  # fmt: skip
    assert asked["body"] == {"c2s": {"websocketKey": "[redacted]", "programmingLanguage": "JavaScript"}}
    assert (answered["request"], answered["ret_type"], answered["reason"]) == (1, "RET_OK", "no-digest")
    assert done.code == 0
    assert "2 messages on 1 connection, none verified" in done.err


def test_without_the_port_it_is_named(tmp_path: Path) -> None:
    done = opendump("decode", at_33333(tmp_path))
    assert (done.code, done.out) == (1, "")
    assert "message headers (FT) were seen on port 33333 (2 segments): give --port 33333" in done.err


# Secrets


def field_bytes(number: int, value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return bytes((number << 3 | 2, len(data))) + data


TOKEN, KEY, PASSWORD = "token-7f3a9c-NEVER", hashlib.md5(b"key").hexdigest(), hashlib.md5(b"password").hexdigest()
WITH_TOKEN = (
    f"GET /ws?token={TOKEN} HTTP/1.1\r\nHost: 127.0.0.1:33333\r\nAuthorization: Bearer {TOKEN}\r\n"
    f"Sec-WebSocket-Protocol: {TOKEN}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
).encode()


@pytest.fixture(scope="module")
def secretive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both framings with secrets where they belong and where they do not; upgrades refused and with a hole."""
    login = field_bytes(3, "RSA PRIVATE KEY") + field_bytes(4, KEY)
    login = field_bytes(1, login)
    unlock = ex.vendor("Trd_UnlockTrade").Request(c2s={"unlock": True, "pwdMD5": PASSWORD}).SerializeToString()
    talk = Talk(ports=(50112, 33333)).c2s(WITH_TOKEN).s2c(ACCEPTED)
    for number, (cmd, body) in enumerate([(1, login), (2005, unlock), (1, login + b"\xff"), (1, login[:30])], 1):
        talk.c2s(ws(request(cmd, number, body), masked=True))
    talk.s2c(ws(reply(1, 1, b"\x08\x00")), ws(reply(1, 4, login)), ws(reply(2005, 2, unlock)))
    talk.s2c(ws(ex.frame(1001, ex.init_response()))).c2s(ws(ex.frame(2005, unlock, serial_no=9), masked=True))
    talk.s2c(ws(f'{{"token": "{TOKEN}"}}'.encode(), 1)).fin()
    refused = Talk(ports=(50113, 33333)).c2s(WITH_TOKEN).s2c(b"HTTP/1.1 403 Forbidden\r\nX: " + TOKEN.encode()).fin()
    torn = Talk(ports=(50114, 33333)).c2s(WITH_TOKEN[:40]).lose("c2s", 20).c2s(WITH_TOKEN[60:]).s2c(ACCEPTED)
    torn.c2s(ws(request(1, 1, login), masked=True)).fin()
    segments = [*talk.segments, *refused.segments, *torn.segments]
    packets = (record(segment.packet(), number) for number, segment in enumerate(segments))
    return write(tmp_path_factory.mktemp("secretive") / "in.pcap", PCAP_HEADER + b"".join(packets))


@pytest.mark.parametrize(
    "arguments",
    [
        ["decode"], ["decode", "-V"], ["decode", "--format", "jsonl"], ["decode", "--format", "csv"],
        ["decode", "--format", "csv", "-e", "body.c2s.websocketKey,body.c2s.pwdMD5,body.s2c.connAESKey"],
        ["stats"], ["stats", "--format", "json"], ["report", "-o", "out"], ["rewrite", "--all", "-o", "out"],
        ["rewrite", "--all", "--pseudonyms", "-o", "out"],
        ["export", "--format", "jsonl", "--bodies", "all", "-o", "out"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_output_has_a_secret_of_a_websocket(arguments: list[str], secretive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = opendump(*(out if each == "out" else each for each in arguments), "--port", "33333", secretive)
    assert done.code == 0
    written = [path for path in (out, *out.rglob("*")) if path.is_file()]
    told = (done.out + done.err).encode() + b"".join(path.read_bytes() for path in written)
    assert len(told) > 300
    for secret in (TOKEN, KEY, PASSWORD, ex.KEY.decode(), "RSA PRIVATE"):
        assert [form for form in spellings(secret) if len(form) > 5 and form in told] == [], secret


def test_no_comment_and_no_packet_of_scapy_has_a_secret_of_a_websocket(
    secretive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pcapng"
    assert opendump("annotate", "--port", "33333", secretive, "-o", out).code == 0
    source = secretive.read_bytes()
    for secret in (TOKEN, KEY, PASSWORD, ex.KEY.decode()):  # the packets are there as they were
        assert out.read_bytes().count(secret.encode()) == source.count(secret.encode())
    for packet in sniff(offline=str(secretive), session=OpenDSession(ports=33333)):
        if OpenD in packet:
            packet.show()
            print(packet.summary(), repr(packet), packet[OpenD].message, packet[OpenD].message.record())
            ls(packet[OpenD])
    told = capsys.readouterr().out
    assert "InitWebSocket" in told
    assert [secret for secret in (TOKEN, KEY, PASSWORD, ex.KEY.decode(), "RSA PRIVATE") if secret in told] == []
