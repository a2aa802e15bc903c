"""The lines of the text output."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

import decoder
from decoder import Gap, Message
from decoder.message import Flow
from decoder.output.text import TextOutput
from tests.support.exchange import (
    Exchange,
    decode,
    frame,
    init_request,
    init_response,
    keep_alive,
    keep_alive_answer,
    vendor,
)
from tests.support.recorded import RECORDINGS, Recording

ANSI = re.compile(r"\x1b\[[0-9;]*m")
PLAIN = Recording("plain.pcap")
every_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)


def items_of(recording: Recording) -> list[Message | Gap]:
    return list(decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog))


def lines(items: list[Any], **options: Any) -> list[str]:
    text = TextOutput(**{"utc": True, **options}).render(items)
    assert text.endswith("\n")
    return text.split("\n")[:-1]


def slow(items: list[Any], output: TextOutput) -> str:
    """The lines without the fast path."""
    return "".join("".join(text for _, text in output._parts(item)).rstrip() + "\n" for item in items)


def message(
    proto_id: int = 1004,
    plaintext: bytes | None = b"",
    *,
    kind: Any = "request",
    verdict: str = "verified",
    reason: str | None = None,
    time_ns: int = 1_700_000_000_123_456_789,
    notes: list[str] | None = None,
    serial: int = 7,
    fmt: int = 0,
) -> Message:
    flow = Flow(3, "c2s" if kind == "request" else "s2c", "192.0.2.1:50112", "192.0.2.2:11111")
    header = (b"FT", proto_id, fmt, 0, serial, len(plaintext or b"") or 99, bytes(20), bytes(8))
    return Message(flow, header, time_ns, (1,), kind, plaintext, "None", verdict, reason, None, notes)


@every_recording
def test_one_line_for_each_message_and_the_fast_path_is_no_short_cut(recording: Recording) -> None:
    items = items_of(recording)
    found = lines(items)
    assert len(found) == len(items) == len(recording.expected)
    assert "\n".join(found) + "\n" == slow(items, TextOutput(utc=True))
    for item, line in zip(items, found, strict=True):
        assert isinstance(item, Message)
        assert line.startswith(f"{item.number:5} " + item.time.replace("T", " ")[:26] + "Z")
        words = line[33:].split()
        arrow = "→" if item.direction == "c2s" else "←"
        assert words[:5] == [str(item.connection), arrow, item.proto, item.kind, f"#{item.serial_no}"]
        if item.kind == "response":
            assert words[5] == item.ret_type


def test_failures_show_what_the_gateway_said() -> None:
    logged = {(entry["proto_id"], entry["sha1"]): entry["body"] for entry in PLAIN.expected}
    failures = 0
    for item, line in zip(items := items_of(PLAIN), lines(items), strict=True):
        assert isinstance(item, Message)
        body = logged[item.proto_id, item.sha1]
        if item.kind == "response" and body["retType"]:
            failures += 1
            assert body["retMsg"] in line
            assert (f"errCode={body['errCode']}" in line.split()) == bool(body.get("errCode"))
            assert line[92:].split()[0] != "RET_OK"
    assert failures > 5


@every_recording
def test_no_secret_is_shown_unasked(recording: Recording) -> None:
    secrets = list(secrets_in(recording.expected))
    items = items_of(recording)
    hidden, shown = "\n".join(lines(items)), "\n".join(lines(items, show_secrets=True))
    for secret in secrets:
        assert secret not in hidden
        assert secret in shown


def secrets_in(expected: list[dict[str, Any]]) -> Iterator[str]:
    for entry in expected:
        for side in ("c2s", "s2c"):
            fields = entry["body"].get(side) or {}
            yield from (fields[key] for key in ("connAESKey", "aesCBCiv", "pwdMD5", "webKey") if fields.get(key))


def test_a_response_carries_its_latency() -> None:
    exchange = Exchange()
    exchange.c2s(frame(1001, init_request())).s2c(frame(1001, init_response()))
    exchange.c2s(frame(1004, keep_alive(), serial_no=5)).s2c(frame(1004, keep_alive_answer(), serial_no=5))
    items, _, _ = decode(exchange)
    assert lines(items)[-1].endswith(
        " 0 ← KeepAlive            response #5      RET_OK 1.00 ms time=2023-11-14 22:13:20"
    )


def test_what_could_not_be_verified_says_so() -> None:
    assert lines([message(1001, None, verdict="unverified", reason="no-key")])[0].endswith(
        "  3 → InitConnect          request  #7      [unverified: no-key] (99 bytes)"
    )
    assert lines([message(plaintext=keep_alive(), verdict="failed", reason="sha1-mismatch")])[0].endswith(
        " #7      [failed: sha1-mismatch] time=2023-11-14 22:13:20"
    )


def test_notes_and_bodies_that_do_not_parse() -> None:
    assert " [conflicting-overlap] time=" in lines([message(plaintext=keep_alive(), notes=["conflicting-overlap"])])[0]
    assert lines([message(plaintext=b"\xff\xff")])[0].endswith(" [bad-body: not a protobuf message] (2 bytes)")
    assert lines([message(9999, b"ab")])[0].endswith(
        " unknown:9999         request  #7      [unknown-protocol] (2 bytes)"
    )


def test_a_push_that_failed() -> None:
    body = vendor("Notify").Response(retType=-1, retMsg="no\nmore").SerializeToString()
    assert lines([message(1003, body, kind="push")])[0].endswith(r'push     #7      RET_ERROR "no\nmore"')


def test_gaps() -> None:
    flow = Flow(12, "s2c", "a:1", "b:2")
    assert lines([Gap(flow, 1_700_000_000_000_001_000, 1448, "lost")]) == [
        "      2023-11-14 22:13:20.000001Z 12 ← gap                  lost     1,448 bytes missing from the capture"
    ]
    assert lines([Gap(flow, 0, 1, "mid-stream")])[0].endswith(" mid-stream 1 byte before the first header")
    assert lines([Gap(flow, 0, None, "limit")])[0].endswith(" some bytes dropped: a memory limit was hit")


@pytest.mark.parametrize("time_ns", [0, 999, 999_999_999, 1_000_000_000, -5, 2**63, 2**80])
def test_odd_times(time_ns: int) -> None:
    for item in (message(time_ns=time_ns, plaintext=keep_alive()), message(time_ns=time_ns, notes=["x"])):
        assert lines([item])[0].split(" 3 →")[1].startswith(" KeepAlive ")


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be set here")
def test_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Hong_Kong")
    time.tzset()
    try:
        assert lines([message()], utc=False)[0].startswith("    0 2023-11-15 06:13:20.123456  3 → ")
        assert lines([message()], utc=True)[0].startswith("    0 2023-11-14 22:13:20.123456Z  3 → ")
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("width", [20, 79, 80, 120, 300])
def test_lines_are_cut_to_a_terminal(width: int) -> None:
    """Measured by rich, an independent ruler."""
    items = items_of(PLAIN)
    full = TextOutput(utc=True, width=10_000).render(items).split("\n")
    cut = TextOutput(utc=True, width=width).render(items).split("\n")
    assert full[0] == cut[0] == items[0].time[:10]
    assert len(cut) == len(full) == len(items) + 2  # the date, and what follows the last line break
    for whole, part in zip(full, cut, strict=True):
        assert cell_len(part) <= width
        if cell_len(whole) <= width:
            assert part == whole
        else:
            assert part.endswith("…")
            assert whole.startswith(part[:-1])
            assert cell_len(part) >= width - 1  # a wide character may not fit the last column
    assert any(cell_len(line) != len(line) for line in full), "no wide characters to measure"


def test_the_error_of_a_websocket_reply() -> None:
    for verdict, reason in (("verified", None), ("unverified", "no-digest")):
        item = message(kind="response", plaintext=keep_alive_answer(), verdict=verdict, reason=reason)
        item.error = {"code": -3, "message": "not \x1b[31m logged in"}
        (line,) = lines([item])
        assert r' [error -3: "not \x1b[31m logged in"]' in line
        assert "\x1b" not in line


def test_every_line_begins_with_the_number_of_its_message() -> None:
    """That findings and the key ``request`` refer to; longer numbers only shift their line."""
    numbered = [message(), message(notes=["odd"]), message()]
    for item, number in zip(numbered, (7, 8, 1_234_567), strict=True):
        item.number = number
    for width in (None, 200):
        shown = [line.split()[0] for line in lines(numbered, width=width) if ":" in line]
        assert shown == ["7", "8", "1234567"]


def test_the_date_stands_alone_on_a_terminal_whenever_it_changes() -> None:
    day = 86_400_000_000_000
    items = [message(time_ns=1_700_000_000_000_000_000 + offset) for offset in (0, 1, day, day + 1)]
    shown = TextOutput(utc=True, width=100).render(items).split("\n")
    assert [line for line in shown if " " not in line] == ["2023-11-14", "2023-11-15", ""]
    assert shown[1].startswith("    0 22:13:20.000000Z  3 → ")


@every_recording
def test_colours_change_nothing_but_the_colour(recording: Recording) -> None:
    items = items_of(recording)
    plain, colored = (TextOutput(utc=True, color=color).render(items) for color in (False, True))
    assert colored != plain
    assert [line.rstrip() for line in ANSI.sub("", colored).split("\n")] == plain.split("\n")


def test_what_an_encoding_lacks() -> None:
    items = items_of(PLAIN)
    for encoding in ("ascii", "cp1252", "cp437"):
        found = lines(items, encoding=encoding)
        for line in found:
            assert "→" not in line
            assert "←" not in line
            assert " µs " not in line
        assert " 0 > InitConnect " in found[0]
        assert " 0 < InitConnect " in found[1]
        assert " us " in found[1]


@given(
    text=st.text(max_size=200) | st.binary(max_size=50),
    color=st.booleans(),
    width=st.none() | st.integers(1, 200),
    encoding=st.sampled_from(["utf-8", "ascii"]),
)
def test_nothing_in_a_message_breaks_out_of_its_line(
    text: str | bytes, color: bool, width: int | None, encoding: str
) -> None:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    body = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12" + bytes([len(data) & 0x7F]) + data[:127]
    items = [
        message(1003, body, kind="push"),
        message(1004, body, kind="response"),
        message(1001, b"\x0a" + bytes([len(data) & 0x7F]) + data),
        message(3004, data, fmt=1),
    ]
    shown = TextOutput(utc=True, color=color, width=width, encoding=encoding).render(items)
    bare = ANSI.sub("", shown) if color else shown
    assert all(character.isprintable() for character in bare.replace("\n", ""))
    assert bare.count("\n") == len(items) + (width is not None)


@given(st.data())
def test_the_fast_path_against_the_simple_one_on_messages_of_every_sort(data: st.DataObject) -> None:
    drawn = []
    for _ in range(data.draw(st.integers(1, 5))):
        kind = data.draw(st.sampled_from(["request", "response", "push"]))
        verdict = data.draw(st.sampled_from(["verified", "failed", "unverified"]))
        reason = None if verdict == "verified" else "no-key"
        bodies = [keep_alive(), keep_alive_answer(), b"", b"\x08\x01", b"\x08\x00\x22\x00", b"\xff"]
        body = data.draw(st.sampled_from(bodies if verdict == "verified" else [*bodies, None]))
        item = message(
            data.draw(st.sampled_from([1003, 1004, 9999, 3801])),
            body,
            kind=kind,
            verdict=verdict,
            reason=reason,
            time_ns=data.draw(st.integers(0, 2**63)),
            notes=data.draw(st.sampled_from([None, ["x"]])),
            serial=data.draw(st.integers(0, 2**32 - 1)),
        )
        item.latency_ns = data.draw(st.none() | st.integers(0, 10**12))
        drawn.append(item)
    assert TextOutput(utc=True).render(drawn) == slow(drawn, TextOutput(utc=True))


def test_many_connections_and_protocols_do_not_grow_the_tables() -> None:
    output = TextOutput()
    for number in range(20_000):
        item = message(number)
        item.flow = Flow(number, "c2s", "a", "b")
        output.render([item])
    assert len(output._flows) <= 8_192
    assert sum(map(len, output._protocols.values())) <= 2 * 8_192
