"""JSON Lines: the contract, on every recording and on what is hostile."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import decoder
from decoder import Gap, Message
from decoder.message import Flow
from decoder.output.jsonl import JsonLinesOutput
from tests.support.exchange import Exchange, decode, frame, init_request, init_response, keep_alive
from tests.support.recorded import RECORDINGS, Recording

KEYS = re.findall(
    r"\w+",
    """
    number frames time connection conn_id src dst direction kind proto_id proto format version serial_no body_len sha1
    encryption verdict reason packet_id request latency_ms ret_type body raw notes transport error
    """,
)
every_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)


def objects(items: list[Any], **options: Any) -> list[dict[str, Any]]:
    written = JsonLinesOutput(**options).render(items)
    assert written == b"" or written.endswith(b"\n")
    return [json.loads(line) for line in written.decode().split("\n")[:-1]]


@every_recording
def test_every_message_is_an_object_that_holds_what_the_ends_logged(recording: Recording) -> None:
    items = list(decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog))
    found = objects(items, enums="number", show_secrets=True)
    assert [record["number"] for record in found] == list(range(1, len(recording.expected) + 1))
    ours = sorted(map(key, found))
    assert ours == sorted(map(key, recording.expected))
    for record in found:
        assert list(record) == KEYS
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", record["time"])


def key(record: dict[str, Any]) -> tuple[Any, ...]:
    client = record.get("client") or record["src" if record["direction"] == "c2s" else "dst"]
    body = json.dumps(record["body"], sort_keys=True)
    return client, record["direction"], record["proto_id"], record["serial_no"], record["kind"], record["sha1"], body


def test_secrets_are_redacted_unless_asked_for() -> None:
    recording = Recording("plain.pcap")
    items = list(decoder.read(recording.path))
    secret = next(entry["body"]["s2c"]["connAESKey"] for entry in recording.expected if "s2c" in entry["body"])
    assert secret not in JsonLinesOutput().render(items).decode()
    assert secret in JsonLinesOutput(show_secrets=True).render(items).decode()
    answer = objects(items)[1]
    assert answer["proto"] == "InitConnect"
    assert answer["body"]["s2c"]["connAESKey"] == "[redacted]"


@pytest.mark.parametrize(("style", "algorithm"), [("sdk", "None"), ("proto", "PacketEncAlgo_None"), ("number", -1)])
def test_enum_styles(style: Any, algorithm: object) -> None:
    first = next(iter(decoder.read(Recording("plain.pcap").path)))
    record = objects([first], enums=style)[0]
    assert record["body"]["c2s"]["packetEncAlgo"] == algorithm


def test_gaps_are_objects_of_their_own() -> None:
    gap = Gap(Flow(4, "s2c", "a:1", "b:2"), 1_700_000_000_000_000_001, 1448, "lost")
    assert objects([gap]) == [
        {
            "gap": True,
            "connection": 4,
            "direction": "s2c",
            "time": "2023-11-14T22:13:20.000000001Z",
            "bytes": 1448,
            "reason": "lost",
        }
    ]


def test_gaps_stand_between_messages_where_they_were_found() -> None:
    exchange = Exchange().c2s(frame(1001, init_request())).s2c(frame(1001, init_response()))
    exchange.c2s(frame(1004, keep_alive(), serial_no=2)).lose("c2s", 500).c2s(
        frame(1004, keep_alive(), serial_no=3)
    ).fin()
    messages, gaps, _ = decode(exchange)
    found = objects([*messages[:3], *gaps, *messages[3:]])
    assert [record.get("serial_no", "gap") for record in found] == [1, 1, 2, "gap", 3]


def body_of(data: bytes, proto_id: int = 3004, fmt: int = 1) -> Message:
    header = (b"FT", proto_id, fmt, 0, 1, len(data), bytes(20), bytes(8))
    return Message(Flow(0, "c2s", "a:1", "b:2"), header, 1, (1,), "request", data, "None", "verified", None, None)


@given(st.text(), st.integers(-(2**70), 2**70))
def test_json_bodies_of_any_content(text: str, number: int) -> None:
    """Also what orjson refuses: unpaired surrogates, and integers beyond 64 bits."""
    hostile = {"c2s": {"securityList": [{"market": 1, "code": text}]}, text: number, "lone": "\ud800"}
    data = json.dumps(hostile).encode()
    written = JsonLinesOutput(show_secrets=True).render([body_of(data), body_of(data, 9999)])
    assert written.count(b"\n") == 2
    assert [json.loads(line)["proto_id"] for line in written.splitlines()] == [3004, 9999]
    assert not [c for c in written.decode().replace("\n", "") if unicodedata.category(c) in ("Cc", "Zl", "Zp")]


@given(st.binary(max_size=300), st.sampled_from([1001, 1003, 3004, 9999]), st.sampled_from([0, 1]))
def test_bodies_of_any_bytes(data: bytes, proto_id: int, fmt: int) -> None:
    written = JsonLinesOutput(show_secrets=True).render([body_of(data, proto_id, fmt)])
    assert written.count(b"\n") == 1
    assert list(json.loads(written)) == KEYS


def test_nothing_gives_nothing() -> None:
    assert JsonLinesOutput().render([]) == b""
