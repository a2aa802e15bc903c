"""Everything about each message, one field a line (``-V``)."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import decoder
from decoder import Gap, Message, schema
from decoder.message import Flow
from decoder.output.tree import TreeOutput
from decoder.vocabulary import HINTS
from tests.support.exchange import keep_alive, vendor
from tests.support.random_messages import random_message, vendor_classes
from tests.support.recorded import DEMO_KEY, RECORDINGS, Recording

PLAIN = Recording("plain.pcap")
every_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)


def tree(*items: Any, **options: Any) -> list[str]:
    text = TreeOutput(**{"utc": True, **options}).render(items)
    assert text.endswith("\n\n")
    return text.split("\n")[:-2]


def message(
    proto_id: int,
    plaintext: bytes | None,
    *,
    kind: Any = "request",
    fmt: int = 0,
    verdict: str = "verified",
    **more: Any,
) -> Message:
    flow = Flow(3, "c2s" if kind == "request" else "s2c", "192.0.2.1:50112", "192.0.2.2:11111")
    header = (b"FT", proto_id, fmt, 0, 7, len(plaintext or b""), b"\xab" * 20, more.pop("reserved", bytes(8)))
    return Message(
        flow,
        header,
        1_700_000_000_123_456_789,
        (4, 6),
        kind,
        plaintext,
        "None",
        verdict,
        more.pop("reason", None),
        "12",
        **more,
    )


def body(lines: list[str]) -> list[str]:
    return [line[8:] for line in lines[lines.index("    body") + 1 :]]


def test_a_message_whole() -> None:
    item = message(1004, keep_alive(), notes=["conflicting-overlap"])
    item.number = 17
    assert tree(item) == [
        "Message 17  2023-11-14 22:13:20.123456789Z  KeepAlive (1004) request",
        "    connection  3, 192.0.2.1:50112 > 192.0.2.2:11111, connID 12",
        f"    header      serial 7, Protobuf (0), version 0, body 8 bytes, SHA-1 {'ab' * 20}",
        "    encryption  None",
        "    verdict     verified",
        "    packets     4, 6",
        "    note        conflicting-overlap",
        "    body",
        "        c2s",
        "            time: 1700000000 (2023-11-14 22:13:20Z)",
    ]


def test_an_answer_says_what_it_answers() -> None:
    item = message(1004, b"\x08\x00", kind="response", reserved=b"\x00" * 7 + b"\x01")
    item.request, item.latency_ns = 16, 545_000
    shown = tree(item)
    assert "    answers     message 16, 545 µs later" in shown
    assert shown[2].endswith(", reserved 0000000000000001")
    assert body(shown) == ["retType: RET_OK (0)"]


@pytest.mark.parametrize("reason", HINTS)
def test_what_was_not_verified_says_why_and_what_to_do(reason: str) -> None:
    verdict = "failed" if reason == "sha1-mismatch" else "unverified"
    shown = tree(message(1004, None, verdict=verdict, reason=reason))
    assert shown[4:6] == [f"    verdict     {verdict} ({reason})", f"    what to do  {HINTS[reason]}"]
    assert not [line for line in shown if line.startswith("    body")]


@pytest.mark.parametrize(
    ("style", "status", "side"),
    [
        ("sdk", "FILLED_ALL (11)", "BUY (1)"),
        ("proto", "OrderStatus_Filled_All (11)", "TrdSide_Buy (1)"),
        ("number", "11", "1"),
    ],
)
def test_enums_by_name_and_number(style: Any, status: str, side: str) -> None:
    orders = [m for m in decoder.read(PLAIN.path) if isinstance(m, Message) and m.proto == "Trd_UpdateOrder"]
    filled = [m for m in orders if (m.to_dict("number") or {})["s2c"]["order"]["orderStatus"] == 11]
    assert filled
    shown = body(tree(filled[0], enums=style))
    assert f"        orderStatus: {status}" in shown
    assert f"        trdSide: {side}" in shown


def test_every_kind_of_value() -> None:
    request = vendor("Qot_RequestHistoryKL").Request()
    c2s = request.c2s
    c2s.security.market, c2s.security.code = 1, 'a "b"\n\x1b[2J'
    c2s.rehabType, c2s.klType, c2s.beginTime, c2s.endTime, c2s.needKLFieldsFlag = 99, 2, "", "z", 1 | 2 | 1 << 40
    c2s.nextReqKey, c2s.extendedTime = b"\x00\xff", True
    flags = schema.enum_names(schema.enum_descriptor("Qot_Common.KLFields"), "sdk")
    assert body(tree(message(3103, request.SerializeToString()))) == [
        "c2s",
        "    rehabType: 99 (unknown)",
        "    klType: K_DAY (2)",
        "    security",
        "        market: HK (1)",
        r'        code: "a \"b\"\n\x1b[2J"',
        '    beginTime: ""',
        '    endTime: "z"',
        f"    needKLFieldsFlag: {flags[1]}|{flags[2]}|{1 << 40} ({3 | 1 << 40})",
        "    nextReqKey: <00ff>",
        "    extendedTime: true",
    ]


def test_lists() -> None:
    request = vendor("Trd_SubAccPush").Request()
    request.c2s.accIDList.extend(range(1, 20))
    assert body(tree(message(2008, request.SerializeToString()))) == [
        "c2s",
        "    accIDList: [1, 2, 3, 4, 5, 6, 7, 8,",
        "                9, 10, 11, 12, 13, 14, 15, 16,",
        "                17, 18, 19]",
    ]
    quotes = vendor("Qot_GetBasicQot").Request()
    for code in ("A", "B"):
        quotes.c2s.securityList.add(market=11, code=code)
    shown = body(tree(message(3004, quotes.SerializeToString())))
    assert [line for line in shown if "List" in line] == ["    securityList[0]", "    securityList[1]"]


def test_unknown_fields_show_as_on_the_wire() -> None:
    inner = keep_alive()[2:]
    extra = b"\x98\x06\x05" + b"\xa2\x06\x03abc" + b"\xa2\x06\x02\x08\x01" + b"\xf9\x07" + bytes(8)
    data = b"\x0a" + bytes([len(inner) + len(extra)]) + inner + extra + b"\x98\x06\x07"
    shown = tree(message(1004, data))
    assert [line for line in shown if line.startswith("    note")] == [
        "    note        unknown-fields: c2s.99, c2s.100, c2s.127, 99"
    ]
    assert body(shown) == [
        "c2s",
        "    time: 1700000000 (2023-11-14 22:13:20Z)",
        "    99 (unknown varint): 5",
        '    100 (unknown string): "abc"',
        "    100 (unknown message)",
        "        1 (varint): 1",
        "    127 (unknown fixed64): 0, or 0.0",
        "99 (unknown varint): 7",
    ]


def test_unknown_fields_beside_secrets_are_secrets_too() -> None:
    response = vendor("InitConnect").Response(retType=0)
    s2c = response.s2c
    s2c.serverVer, s2c.loginUserID, s2c.connID, s2c.connAESKey, s2c.keepAliveInterval = 1, 2, 3, "0123456789abcdef", 4
    inner = s2c.SerializeToString() + b"\xa2\x06\x06hidden"
    data = b"\x08\x00\x22" + bytes([len(inner)]) + inner
    hidden, shown = (tree(message(1001, data, kind="response"), show_secrets=show) for show in (False, True))
    assert "            connAESKey: [redacted]" in hidden
    assert "            unknown fields: [redacted]" in hidden
    assert "hidden" not in "".join(hidden)
    assert '            connAESKey: "0123456789abcdef"' in shown
    assert '            100 (unknown string): "hidden"' in shown


def test_bodies_that_the_schema_cannot_read() -> None:
    shown = tree(message(9999, b"\x08\x05\x12\x04\x1b[2J\x18"))
    assert shown[0].endswith("  unknown protocol (9999) request")
    assert "    note        unknown-protocol" in shown
    start = shown.index("    body, as it stands on the wire") + 1
    assert shown[start] == "        1 (varint): 5"
    assert "\x1b" not in "".join(shown)
    assert len(shown) > start + 2


def test_bodies_with_secrets_that_cannot_be_read_are_withheld() -> None:
    broken = message(2005, b"\x0a\x05\x12\x03abc\xff")
    assert tree(broken)[-1] == "        withheld, as it may hold secrets: --show-secrets shows it"
    assert "abc" in "".join(tree(broken, show_secrets=True))


def test_json_text_is_escaped() -> None:
    shown = tree(message(9999, '{"a": "\x1b[2J",\n "b": "\u202e"}'.encode(), fmt=1))
    assert shown[-2:] == [r'        {"a": "\x1b[2J",', r'         "b": "\u202e"}']


def test_the_error_of_a_websocket_reply() -> None:
    item = message(1004, b"\x08\x00", kind="response")
    item.error = {"code": -3, "message": "not logged in"}
    assert '    error       -3: "not logged in"' in tree(item)


def test_gaps() -> None:
    gap = Gap(Flow(4, "s2c", "192.0.2.2:11111", "192.0.2.1:50112"), 1_700_000_000_000_000_000, 1448, "snaplen")
    assert tree(gap) == [
        "Gap  2023-11-14 22:13:20.000000000Z  1,448 bytes cut off by the snap length",
        "    connection  4, 192.0.2.2:11111 > 192.0.2.1:50112",
    ]


@every_recording
def test_every_value_that_the_ends_logged_is_there(recording: Recording) -> None:
    """Scalars of each logged body, in their order, are the values of the tree's lines."""
    logged = {(entry["proto_id"], entry["sha1"]): entry["body"] for entry in recording.expected}
    items = list(decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog))
    for item in items:
        assert isinstance(item, Message)
        values = re.findall(r"^ *\w+: (.*)$", "\n".join(body(tree(item, enums="number", show_secrets=True))), re.M)
        expected = list(scalars(logged[item.proto_id, item.sha1]))
        assert len(values) == len(expected)
        shown = sorted(
            unquoted(re.sub(r" \(UTC[+-]\d+\)$", "", value)) for value in values if not value.startswith(("<", "["))
        )
        assert shown == sorted(text for text in expected if not text.startswith(("<", "[")))


def unquoted(value: str) -> str:
    text = re.fullmatch(r'"(.*)"', value)
    return text[1].replace('\\"', '"') if text else re.sub(r" \(.*\)$", "", value)


def scalars(data: Any) -> Any:
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "nextReqKey":
                yield "<…>"
            elif isinstance(value, dict | list):
                yield from scalars(value)
            else:
                yield text_of(value)
    elif data and not isinstance(data[0], dict):
        yield "[…]"
    else:
        for value in data:
            yield from scalars(value)


def text_of(value: Any) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    return str(value)


def test_colours() -> None:
    recording = Recording("ftaes.pcap")
    items = list(decoder.read(recording.path))[:3] + list(decoder.read(recording.path, rsa_keys=[DEMO_KEY]))[:3]
    plain, colored = (TreeOutput(utc=True, color=color).render(items) for color in (False, True))
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain != colored


@given(st.sampled_from(sorted(vendor_classes())), st.integers(0, 2**32), st.binary(max_size=20))
def test_random_bodies_with_random_ends(name: str, seed: int, rest: bytes) -> None:
    ids = {
        cls.DESCRIPTOR.full_name: (protocol.proto_id, direction)
        for protocol in schema.protocols()
        for direction in ("c2s", "s2c")
        if (cls := schema.body_class(protocol.proto_id, direction)) is not None
    }
    proto_id, direction = ids.get(name, (3004, "c2s"))
    data = random_message(vendor_classes()[name], Random(seed)).SerializeToString() + rest
    shown = tree(message(proto_id, data, kind="request" if direction == "c2s" else "response"))
    assert all(line.isprintable() for line in shown)
