"""Stock tshark with the generated plug-in: every message named, every enum by name, every value as in JSON Lines."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import decoder
from decoder import Message
from decoder.schema.fields import fields_by_name
from tests.support.command import environment, in_clear, opendump, pcap, write
from tests.support.exchange import frame
from tests.support.recorded import CAPTURES, RECORDINGS, WEBSOCKET_RECORDINGS, Recording

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

READABLE = [recording for recording in (*RECORDINGS, *WEBSOCKET_RECORDINGS) if recording.name != "sample-key"]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that make tshark use the generated files."""
    folder = tmp_path_factory.mktemp("wireshark")
    assert opendump("wireshark", "-o", folder).code == 0
    paths = f'uat:protobuf_search_paths:"{folder}","TRUE"'
    return ["-X", f"lua_script:{folder / 'opend.lua'}", "-o", paths, "-o", "protobuf.pbf_as_hf:TRUE"]


def tshark(plugin: list[str], capture: Path, *options: str) -> str:
    command = ["tshark", "-n", *plugin, "-o", "tcp.reassemble_out_of_order:TRUE", "-r", str(capture), *options]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=True)
    assert not re.search("lua|protobuf|error", run.stderr, re.IGNORECASE), run.stderr
    return run.stdout


def trees(plugin: list[str], capture: Path) -> list[ElementTree.Element]:
    """The tree of each message; nothing in the capture may be malformed."""
    text = tshark(plugin, capture, "-T", "pdml")
    assert "alformed" not in text
    assert "Lua Error" not in text
    packets = ElementTree.fromstring(text).iter("packet")
    return [proto for packet in packets for proto in packet.findall("proto[@name='opend']")]


def field(tree: ElementTree.Element, name: str) -> str | None:
    found = tree.find(f".//field[@name='{name}']")
    return None if found is None else found.get("show")


def as_plain(message: ElementTree.Element, descriptor: Any) -> dict[str, Any]:
    """The fields below a message in tshark's tree as the record has them, enums in style proto."""
    fields = fields_by_name(descriptor)
    out: dict[str, Any] = {}
    for child in message.findall("field"):
        name = child.get("name") or ""
        if not name.startswith("pbf."):
            continue
        ours = fields[name.rpartition(".")[2]]
        if ours.kind == "message":
            value: Any = as_plain(child, ours.message_type)
        else:
            value = as_value(child, ours)
        if ours.repeated:
            out.setdefault(ours.name, []).append(value)
        else:
            out[ours.name] = value
    return out


def as_value(child: ElementTree.Element, ours: Any) -> Any:
    show, shown = child.get("show") or "", child.get("showname") or ""
    if ours.descriptor.enum_type is not None:
        named = re.fullmatch(rf"{ours.name}: (\w+) \((-?\d+)\)", shown)
        assert named is not None, shown
        return named[1]
    if ours.kind in ("int", "bits", "enum"):
        return int(show)
    if ours.kind == "bool":
        return show in ("1", "True")
    if ours.kind in ("double", "float"):
        return rounded(float(show), ours.kind)
    return show


def comparable(plain: Any, descriptor: Any) -> Any:
    """A body of ours, numbers as numbers; sets of bits and enums that Wireshark has as integers as these."""
    from decoder import schema

    out: dict[str, Any] = {}
    fields = fields_by_name(descriptor)
    for name, value in plain.items():
        ours = fields[name]

        def one(item: Any, ours: Any = ours) -> Any:
            if ours.kind == "message":
                return comparable(item, ours.message_type)
            if ours.kind in ("bits", "enum") and ours.descriptor.enum_type is None:
                numbers = schema.enum_numbers(ours.enum)
                return sum(numbers[part] if part in numbers else int(part) for part in str(item).split("|") if part)
            if ours.kind == "int":
                return int(item)
            if ours.kind == "bytes":
                return base64.b64decode(item).hex(":")
            return rounded(float(item), ours.kind) if ours.kind in ("double", "float") else item

        out[name] = [one(item) for item in value] if ours.repeated else one(value)
    return out


def json_as_plain(tree: ElementTree.Element, descriptor: Any) -> dict[str, Any]:
    """The members of an object in tshark's tree of a JSON body, enums as numbers."""
    fields = fields_by_name(descriptor)
    out: dict[str, Any] = {}
    for member in tree.findall("field[@name='json.member']"):
        ours = fields[member.get("show") or ""]
        array = member.find("field[@name='json.array']")
        values = [json_value(each, ours) for each in (member if array is None else array) if is_json_value(each)]
        out[ours.name] = values if ours.repeated else values[0]
    return out


def json_enum_names(plain: Any, descriptor: Any) -> Iterator[str]:
    """The field and the name of each enum value that a JSON body has as a number, in its order."""
    fields = fields_by_name(descriptor)
    for name, value in plain.items():
        ours = fields[name]
        for each in value if isinstance(value, list) else [value]:
            if ours.kind == "message":
                yield from json_enum_names(each, ours.message_type)
            elif ours.descriptor.enum_type is not None and isinstance(each, int):
                known = [v.name for v in ours.descriptor.enum_type.values if v.number == each]
                if known:
                    yield f"{name}: {known[0]}"


def is_json_value(tree: ElementTree.Element) -> bool:
    name = tree.get("name") or ""
    return name == "json.object" or name.startswith("json.value.")


def json_value(tree: ElementTree.Element, ours: Any) -> Any:
    if ours.kind == "message":
        return json_as_plain(tree, ours.message_type)
    if tree.get("name") in ("json.value.true", "json.value.false"):
        return tree.get("name") == "json.value.true"
    # The bytes that tshark shows it for: its text of a string loses characters that are \\u escapes (Wireshark 4.0).
    return json_number(json.loads(bytes.fromhex(tree.get("value") or "")), ours)


def json_number(value: Any, ours: Any) -> Any:
    """A value of JSON as its field has it: numbers may be text, and enums names."""
    from decoder import schema

    if ours.kind in ("int", "bits", "enum"):
        text = str(value)
        return int(text) if text.lstrip("-").isdecimal() else schema.enum_numbers(ours.enum)[text]
    if ours.kind in ("double", "float"):
        return float(value)
    return value


def json_comparable(plain: Any, descriptor: Any) -> Any:
    """A body of JSON Lines, numbers as numbers."""
    fields = fields_by_name(descriptor)

    def one(value: Any, ours: Any) -> Any:
        return json_comparable(value, ours.message_type) if ours.kind == "message" else json_number(value, ours)

    return {
        name: [one(item, fields[name]) for item in value] if fields[name].repeated else one(value, fields[name])
        for name, value in plain.items()
    }


def rounded(value: float, kind: str) -> float:
    """To the digits that tshark prints."""
    return float(f"{value:.6g}" if kind == "float" else f"{value:.12g}")


def without_empty_lists(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {name: without_empty_lists(value) for name, value in plain.items() if value != []}
    return [without_empty_lists(value) for value in plain] if isinstance(plain, list) else plain


@pytest.mark.parametrize("recording", READABLE, ids=lambda recording: recording.name)
def test_a_rewritten_recording_as_json_lines_have_it(recording: Recording, plugin: list[str], tmp_path: Path) -> None:
    """Every message named, every value equal, field by field."""
    clear = tmp_path / "clear.pcapng"
    keys = [part for path in recording.rsa_keys for part in ("--rsa-key", path)]
    logs = [part for path in recording.keylog for part in ("--keylog", path)]
    port = ("--port", str(recording.port))
    assert opendump("rewrite", recording.path, *keys, *logs, *port, "--all", "-o", clear).code == 0
    messages = [item for item in decoder.read(clear, ports=recording.port) if isinstance(item, Message)]
    assert len(messages) == len(recording.expected)
    found = trees(plugin, clear)
    assert [
        (field(t, "opend.proto"), field(t, "opend.kind"), field(t, "opend.serial_no"), field(t, "opend.body_len"))
        for t in found
    ] == [
        (m.proto, str(("request", "response", "push").index(m.kind)), str(m.serial_no), str(m.body_len))
        for m in messages
    ]
    assert not [t for t in found if t.find(".//field[@name='opend.unreadable']") is not None]
    assert not [t for t in found if t.find(".//field[@name='protobuf.message.missing_required_field']") is not None]
    named = 0
    for tree, message in zip(found, messages, strict=True):
        body = tree.find(".//proto[@name='protobuf']")
        if message.protobuf is None:
            assert body is None
            assert message.body_len == 0
            continue
        if message.format == "Json":
            found_body = tree.find(".//proto[@name='json']/field[@name='json.object']")
            assert body is None
            assert found_body is not None
            descriptor = message.protobuf.DESCRIPTOR
            assert json_as_plain(found_body, descriptor) == json_comparable(message.to_dict("number"), descriptor), (
                message
            )
            names = [each.get("show") for each in tree.findall("field[@name='opend.enum']")]
            assert names == list(json_enum_names(json.loads(message.plaintext or b""), descriptor)), message
            named += len(names)
            continue
        assert body is not None
        descriptor = message.protobuf.DESCRIPTOR
        expected = comparable(message.to_dict("proto"), descriptor)
        assert as_plain(body, descriptor) == without_empty_lists(expected), message

    assert (named > 20) == recording.name.startswith("json")


@pytest.mark.parametrize("recording", WEBSOCKET_RECORDINGS, ids=lambda recording: recording.name)
def test_a_recording_of_the_websocket_port_as_it_is(recording: Recording, plugin: list[str]) -> None:
    """Named, with the section and the error that the gateway's end logged.

    Wireshark 4.0 does not put the fragments of a message together, of which there is one in each recording, and does
    not inflate every message that refers to earlier ones.
    """
    found = [
        (field(t, "opend.proto_id"), field(t, "opend.kind"), field(t, "opend.serial_no"), field(t, "opend.error"))
        for t in trees(plugin, recording.path)
    ]
    kinds = ("request", "response", "push")
    has_errors = recording.name != "websocket-framed"
    logged = [
        (
            str(entry["proto_id"]),
            str(kinds.index(entry["kind"])),
            str(entry["serial_no"]),
            str((entry.get("error") or [0])[0]) if has_errors and entry["direction"] == "s2c" else None,
        )
        for entry in recording.expected
    ]
    assert set(found) <= set(logged)
    assert len(found) > 10 if recording.name == "websocket-deflate" else len(found) >= len(logged) - 1


PLAIN = ["json.pcap", "mixed.pcap", "ipv6.pcap", "any.pcap", "any-v1.pcap", "json-jam.pcap"]


@pytest.mark.parametrize("name", PLAIN)
def test_recordings_as_they_are(name: str, plugin: list[str]) -> None:
    """Over TCP with its segments, IPv6, cooked: what is in clear is shown, what is encrypted named as such."""
    messages = [item for item in decoder.read(CAPTURES / name) if isinstance(item, Message)]
    found = trees(plugin, CAPTURES / name)
    assert sorted((field(t, "opend.proto"), field(t, "opend.serial_no")) for t in found) == sorted(
        (m.proto, str(m.serial_no)) for m in messages
    )
    unreadable = [t for t in found if t.find(".//field[@name='opend.unreadable']") is not None]
    closed = [m for m in messages if m.encryption != "None"]
    assert sorted(field(t, "opend.serial_no") or "" for t in unreadable) == sorted(str(m.serial_no) for m in closed)


def test_requests_and_responses_are_linked(plugin: list[str]) -> None:
    name = CAPTURES / "plain.pcap"
    messages = [item for item in decoder.read(name) if isinstance(item, Message)]
    by_number = {m.number: m for m in messages}
    expected = {
        (m.frames[-1], by_number[m.request].frames[-1], f"{(m.latency_ns or 0) / 1e9:.6f}")
        for m in messages
        if m.request is not None
    }
    lines = tshark(
        plugin, name, "-2", "-Y", "opend.request_in", "-T", "fields", "-e", "frame.number", "-e", "opend.request_in",
        "-e", "opend.time",
    ).splitlines()  # fmt: skip
    found = set()
    for line in lines:
        frame, requests, times = line.split("\t")
        for request, time in zip(requests.split(","), times.split(","), strict=True):
            found.add((int(frame), int(request), f"{float(time):.6f}"))
    assert found == expected
    answered = tshark(plugin, name, "-2", "-Y", "opend.response_in", "-T", "fields", "-e", "opend.response_in")
    assert sorted(int(n) for n in re.split(r"[,\s]+", answered.strip())) == sorted(frame for frame, _, _ in expected)


def test_without_the_schema_the_headers_are_shown(plugin: list[str]) -> None:
    text = tshark(plugin[:2], CAPTURES / "plain.pcap", "-V")
    assert "OpenD Trd_PlaceOrder request" in text
    assert "Lua Error" not in text


def test_another_port(plugin: list[str], tmp_path: Path) -> None:
    data = (CAPTURES / "plain.pcap").read_bytes().replace((11111).to_bytes(2, "big"), (33333).to_bytes(2, "big"))
    capture = tmp_path / "other.pcap"
    capture.write_bytes(data)
    assert "OpenD" not in tshark(plugin, capture)
    text = tshark([*plugin, "-o", "opend.ports:22222,33330-33340"], capture)
    assert text.count("InitConnect request") == 2
    assert "InitConnect response" in text


CBC, CBC_KEY = CAPTURES / "cbc.pcap", CAPTURES / "demo_rsa_key.pem"
OF_CBC = [CBC, "--rsa-key", CBC_KEY]


def in_filter(text: str) -> list[int]:
    ranges = re.findall(r"(\d+)(?:\.\.(\d+))?", text)
    return [number for first, last in ranges for number in range(int(first), int(last or first) + 1)]


def shown_by(filter_text: str, capture: Path) -> list[int]:
    lines = tshark([], capture, "-Y", filter_text, "-T", "fields", "-e", "frame.number").split()
    return list(map(int, lines))


@pytest.mark.parametrize("output", [[], ["-V"], ["--format", "csv"], ["--format", "jsonl", "--jobs", "2"]])
def test_the_filter_of_decode_shows_the_packets_of_the_messages(output: list[str]) -> None:
    done = opendump("decode", *OF_CBC, "--where", "proto=Trd_PlaceOrder", "--pair", "--wireshark-filter", *output)
    said = re.search(r"in Wireshark: (frame\.number in \{.+\})", done.err)
    assert said is not None
    orders = [m for m in decoder.read(CBC, rsa_keys=[CBC_KEY]) if isinstance(m, Message) and m.proto_id == 2202]
    assert len(orders) > 2
    assert shown_by(said[1], CBC) == sorted({number for m in orders for number in m.frames})
    assert "Wireshark" not in opendump("decode", *OF_CBC, *output).err


@pytest.mark.skipif(shutil.which("mergecap") is None, reason="mergecap, which comes with tshark, is not installed")
def test_of_several_captures_the_filter_is_for_what_mergecap_makes_of_them(tmp_path: Path) -> None:
    parts, merged = [tmp_path / name for name in ("odd.pcap", "even.pcap")], tmp_path / "all.pcapng"
    data = CBC.read_bytes()
    packets, at = [], 24
    while at < len(data):
        size = 16 + int.from_bytes(data[at + 8 : at + 12], "little")
        packets.append(data[at : at + size])
        at += size
    for turn, part in enumerate(parts):
        part.write_bytes(data[:24] + b"".join(packets[turn::2]))
    done = opendump("decode", *parts, *OF_CBC[1:], "--where", "proto=Trd_PlaceOrder", "--wireshark-filter")
    said = re.search(r"in Wireshark, once mergecap has merged the captures: (frame\.number in \{.+\})", done.err)
    assert said is not None
    subprocess.run(["mergecap", "-w", merged, *parts], check=True)
    orders = [m for m in decoder.read(*parts, rsa_keys=[CBC_KEY]) if isinstance(m, Message) and m.proto_id == 2202]
    assert shown_by(said[1], merged) == sorted({number for m in orders for number in m.frames})
    times = tshark([], merged, "-Y", said[1], "-T", "fields", "-e", "frame.time_epoch").split()
    assert {m.time_ns for m in orders} <= {round(float(time) * 1_000_000) * 1000 for time in times}


def test_the_filters_of_findings_show_the_messages_that_they_are_about() -> None:
    done = opendump("stats", *OF_CBC, "--format", "json", "--table", "findings")
    packets = {m.number: m.frames for m in decoder.read(CBC, rsa_keys=[CBC_KEY]) if isinstance(m, Message)}
    shown: set[int] = set()
    about = [finding for finding in json.loads(done.out) if finding["message"] is not None]
    assert len(about) > 5
    for finding in about:
        assert in_filter(finding["wireshark"]) == packets[finding["message"]], finding
        if finding["severity"] != "note":
            shown.update(packets[finding["message"]])
    assert all(f["wireshark"] is None for f in json.loads(done.out) if f["message"] is None)
    said = re.search(r"in Wireshark: (frame\.number in \{.+\})", opendump("stats", *OF_CBC).err)
    assert said is not None
    assert shown_by(said[1], CBC) == sorted(shown)
    assert "in Wireshark" not in opendump("stats", *OF_CBC, "--table", "connections").err


@pytest.mark.skipif(shutil.which("sharkd") is None, reason="sharkd, which comes with tshark, is not installed")
def test_a_packet_looked_at_in_the_window(plugin: list[str], tmp_path: Path) -> None:
    """As Wireshark does it, and sharkd: all packets once without a tree, then one with it, on any connection."""
    home = {"HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    clear = tmp_path / "clear.pcapng"
    assert opendump("rewrite", *OF_CBC, "-o", clear).code == 0
    assert opendump("wireshark", "--install", **home).code == 0
    messages = [m for m in decoder.read(clear) if isinstance(m, Message)]
    asked = next(m for m in messages if m.proto_id == 2202 and m.kind == "request")
    answered = next(m for m in messages if m.request == asked.number)
    assert asked.connection == 1
    labels = [sharkd_labels(clear, m.frames[-1], home) for m in (asked, answered)]
    assert f"Response in: {answered.frames[-1]}" in labels[0]
    assert "orderType: OrderType_Normal (1)" in labels[0]
    assert f"Request in: {asked.frames[-1]}" in labels[1]
    assert f"Time from the request: {(answered.latency_ns or 0) / 1e9:.9f} seconds" in labels[1]


def sharkd_labels(capture: Path, frame: int, home: dict[str, str]) -> list[str]:
    """The lines of the tree of a packet."""
    calls = [("load", {"file": str(capture)}), ("frame", {"frame": frame, "proto": True})]
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": n, "method": name, "params": p}) for n, (name, p) in enumerate(calls, 1)
    ]
    run = subprocess.run(
        ["sharkd", "-"],
        input="\n".join([*lines, ""]).encode(),
        env=environment(**home),
        capture_output=True,
        check=False,
    )

    def labels(tree: list[dict[str, Any]]) -> Iterator[str]:
        for each in tree:
            yield each.get("l", "")
            yield from labels(each.get("n", []))

    return list(labels(json.loads(run.stdout.splitlines()[1])["result"]["tree"]))


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (r'{"c2s": {"remark": "a\"orderType\": 2,\\", "orderType": 1, "x": {"orderType": 1}}}', ["OrderType_Normal"]),
        ('{"c2s":{"orderType" : 1e0,"trdSide":-5,"header":{"trdEnv":0,"orderType":1},"orderType":1}}', 3),
        ('{"c2s": ' * 2000 + "}" * 2000, []),
        ('{"c2s": {"orderType": "OrderType_Normal"', []),
        ('{"c2s": {"orderType": [1, 1], "code": "', 2),
        ("{" + '"a":' * 3000, []),
        ('{"c2s": {"orderType": -}}', []),
    ],
)
def test_json_that_is_meant_to_confuse(body: str, names: list[str] | int, plugin: list[str], tmp_path: Path) -> None:
    exchange = in_clear(0).c2s(frame(2202, body.encode(), serial_no=9, fmt=1))
    capture = write(tmp_path / "in.pcap", pcap(exchange))
    text = tshark(plugin, capture, "-T", "fields", "-e", "opend.enum", "-Y", "opend.serial_no == 9")
    assert "Lua Error" not in tshark(plugin, capture, "-V")
    found = [each.partition(": ")[2] for each in text.strip().split(",") if each]
    assert found == names if isinstance(names, list) else len(found) == names
