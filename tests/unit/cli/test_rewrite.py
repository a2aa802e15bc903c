"""The command `rewrite`: the same messages in clear, without secrets, as a clean TCP conversation."""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

import decoder
from decoder import Gap, Message
from decoder.capture.reader import CaptureReader
from tests.support import exchange as ex
from tests.support.command import PCAP_HEADER, Result, in_clear, opendump, pcap, posix, record, write
from tests.support.recorded import CAPTURES, RECORDINGS, WEBSOCKET_RECORDINGS, Recording
from tests.support.segments import Talk, decode_segments
from tests.support.spellings import spellings
from tests.support.websocket import ACCEPTED, UPGRADE, reply, request, ws

READABLE = [recording for recording in RECORDINGS if recording.name != "sample-key"]
every_recording = pytest.mark.parametrize("recording", READABLE, ids=lambda recording: recording.name)
NOT_KEPT = ("frames", "body_len", "sha1", "encryption", "body", "notes")
SECRET_FIELDS = {"connAESKey", "aesCBCiv", "pwdMD5", "code", "webKey", "webJumpUrlHead"}
PERSONAL_FIELDS = {
    "accID", "accIDList", "loginUserID", "userID", "cardNum", "uniCardNum", "orderID", "orderIDEx", "fillID",
    "fillIDEx", "nickName", "avatarUrl", "remark", "orderIDExList", "orderIdExList", "idList", "positionID",
}  # fmt: skip


def rewritten(recording: Recording, out: Path, *options: str | Path) -> Result:
    keys = [part for path in recording.rsa_keys for part in ("--rsa-key", path)]
    logs = [part for path in recording.keylog for part in ("--keylog", path)]
    result = opendump("rewrite", recording.path, *keys, *logs, "-o", out, *options)
    assert result.code == 0, result.err
    return result


def original(recording: Recording) -> list[Message | Gap]:
    return list(decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog))


def essence(item: Message | Gap, *drop: str) -> dict[str, Any]:
    return {key: value for key, value in item.record().items() if key not in (*NOT_KEPT, *drop)}


def values(plain: Any, names: set[str], secret_protos: bool = False) -> Iterator[str]:
    """Every value of a field with one of these names, as text."""
    if isinstance(plain, dict):
        for name, value in plain.items():
            if name in names and not isinstance(value, dict):
                yield from map(str, value if isinstance(value, list) else [value])
            else:
                yield from values(value, names)
    elif isinstance(plain, list):
        for value in plain:
            yield from values(value, names)


@every_recording
def test_the_same_messages_come_out_without_a_key(recording: Recording, tmp_path: Path) -> None:
    result = rewritten(recording, tmp_path / "out.pcapng")
    expected = original(recording)
    again = list(decoder.read(tmp_path / "out.pcapng"))
    assert {item.verdict for item in again if isinstance(item, Message)} == {"verified"}
    drop = ("conn_id",) if recording.keylog else ()  # a key log knows the connection, which no message names
    assert [essence(item, *drop) for item in again] == [essence(item, *drop) for item in expected]
    assert f"{len(expected)} messages written to" in result.err
    for old, new in zip(expected, again, strict=True):
        assert isinstance(old, Message)
        assert isinstance(new, Message)
        assert (new.body, new.format, new.encryption) == (old.body, old.format, "None")


@every_recording
def test_no_secret_is_in_the_file(recording: Recording, tmp_path: Path) -> None:
    rewritten(recording, tmp_path / "out.pcapng")
    data = (tmp_path / "out.pcapng").read_bytes()
    secrets = {
        value
        for entry in recording.expected
        for value in values(entry["body"], SECRET_FIELDS)
        if len(value) >= 4 and entry["proto_id"] in (1001, 1005, 1006, 2005)
    }
    assert secrets or recording.name in ("late-start",)
    for secret in secrets:
        for form in spellings(secret):
            assert form not in data, secret


def test_the_search_would_find_them(tmp_path: Path) -> None:
    rewritten(Recording("cbc.pcap"), tmp_path / "out.pcapng", "--show-secrets")
    data = (tmp_path / "out.pcapng").read_bytes()
    entries = Recording("cbc.pcap").expected
    keys = {value for entry in entries for value in values(entry["body"], {"connAESKey", "pwdMD5"})}
    assert all(key.encode() in data for key in keys)
    assert len(keys) >= 3
    assert base64.b64encode(b"x" + b"secret-key") in b"..." + base64.b64encode(b"xsecret-key")
    assert any(form in base64.b64encode(b"xysecret-key!") for form in list(spellings("secret-key"))[3:6])


@every_recording
def test_nobody_is_named_with_pseudonyms(recording: Recording, tmp_path: Path) -> None:
    rewritten(recording, tmp_path / "out.pcapng", "--pseudonyms")
    data = (tmp_path / "out.pcapng").read_bytes()
    private = [entry for entry in recording.expected if entry["proto_id"] < 3000]  # above: ids of the market
    personal = {value for entry in private for value in values(entry["body"], PERSONAL_FIELDS)}
    personal = {value for value in personal if len(value) >= 7 and not value.startswith("000000")}
    assert personal
    for value in personal:
        for form in spellings(value):
            if len(form) >= 5:
                assert form not in data, value


@every_recording
def test_stand_ins_join_as_the_originals_did(recording: Recording, tmp_path: Path) -> None:
    """Equal values stay equal, different ones different, and everything else is as it was."""
    table = tmp_path / "table.tsv"
    rewritten(recording, tmp_path / "out.pcapng", "--pseudonyms", "--map", table)
    pairs: dict[str, str] = {}
    market = False

    def compare(old: Any, new: Any, name: str = "") -> None:
        assert type(old) is type(new)
        if isinstance(old, dict):
            assert list(old) == list(new)
            for key in old:
                compare(old[key], new[key], key)
        elif isinstance(old, list):
            assert len(old) == len(new)
            for pair in zip(old, new, strict=True):
                compare(*pair, name)
        elif old != new:
            assert name in PERSONAL_FIELDS | {
                "clientID", "retMsg", "lastErrMsg", "qotSvrIpAddr", "trdSvrIpAddr", "note",
            }, name  # fmt: skip
            if name not in ("retMsg", "lastErrMsg"):
                assert len(old) == len(new)
                assert pairs.setdefault(old, new) == new
        elif name in PERSONAL_FIELDS:
            assert old in ("0", "") or len(old) < 4 or market, (name, old)

    for old, new in zip(original(recording), decoder.read(tmp_path / "out.pcapng"), strict=True):
        assert isinstance(old, Message)
        assert isinstance(new, Message)
        market = old.proto_id > 3000
        compare(old.body, new.body)
    assert len(set(pairs.values())) == len(pairs)
    lines = [line.split("\t") for line in table.read_text("utf-8").splitlines()]
    assert lines[0] == ["kind", "value", "stand-in"]
    assert {(value, stand_in) for _, value, stand_in in lines[1:]} >= set(pairs.items())
    assert os.name == "nt" or stat.S_IMODE(table.stat().st_mode) == 0o600


def test_a_selection(tmp_path: Path) -> None:
    rewritten(Recording("cbc.pcap"), tmp_path / "out.pcapng", "--where", "proto=Trd_PlaceOrder")
    again = list(decoder.read(tmp_path / "out.pcapng"))
    expected = [m for m in original(Recording("cbc.pcap")) if isinstance(m, Message) and m.proto == "Trd_PlaceOrder"]
    assert [(m.time_ns, m.body) for m in again if isinstance(m, Message)] == [(m.time_ns, m.body) for m in expected]
    assert len(again) == len(expected)


def test_what_is_not_verified_is_left_out_and_counted(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    result = opendump("rewrite", CAPTURES / "mixed.pcap", "-o", out)
    kept = [m for m in decoder.read(CAPTURES / "mixed.pcap") if isinstance(m, Message) and m.verdict == "verified"]
    again = list(decoder.read(out))
    assert [(m.time_ns, m.body) for m in again if isinstance(m, Message)] == [(m.time_ns, m.body) for m in kept]
    assert len(again) == len(kept)
    assert "left out as not verified: " in result.err
    assert "--all" in result.err


def test_all_writes_the_header_of_what_cannot_be_read(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    opendump("rewrite", CAPTURES / "mixed.pcap", "-o", out, "--all")
    before = [m for m in decoder.read(CAPTURES / "mixed.pcap") if isinstance(m, Message)]
    again = list(decoder.read(out))
    after = [m for m in again if isinstance(m, Message)]
    assert sorted((m.time_ns, m.serial_no, m.proto_id, m.body_len) for m in after if m.verdict != "verified") == sorted(
        (m.time_ns, m.serial_no, m.proto_id, m.body_len) for m in before if m.verdict != "verified"
    )
    assert {m.reason for m in after} == {None, "gap"}
    holes = sum(item.bytes or 0 for item in again if isinstance(item, Gap))
    assert holes == sum(m.body_len for m in before if m.verdict != "verified")


def conversation(*bodies: tuple[int, bytes], sha1: bytes = b"") -> ex.Exchange:
    """A login and requests in clear; `sha1` instead of the right ones."""
    exchange = in_clear(0)
    for number, (proto_id, body) in enumerate(bodies):
        frame = ex.frame(proto_id, body, serial_no=number + 10)
        exchange.c2s(frame[:16] + (sha1 or frame[16:36]) + frame[36:])
    return exchange


def unlock(password: str) -> bytes:
    request = ex.vendor("Trd_UnlockTrade").Request()
    request.c2s.unlock = True
    request.c2s.pwdMD5 = password
    data: bytes = request.SerializeToString()
    return data


def test_a_hash_of_a_secret_does_not_stay(tmp_path: Path) -> None:
    """The SHA-1 of a short code would give it away; of what is not verified none is made up."""
    capture, out = tmp_path / "in.pcap", tmp_path / "out.pcapng"
    capture.write_bytes(pcap(conversation((2005, unlock("1234")), sha1=b"S" * 20)))
    opendump("rewrite", capture, "-o", out, "--all")
    *_, message = [item for item in decoder.read(out) if isinstance(item, Message)]
    assert (message.proto, message.verdict, message.header[6]) == ("Trd_UnlockTrade", "failed", bytes(20))
    assert b"1234" not in out.read_bytes()
    assert b"S" * 20 not in out.read_bytes()


@pytest.mark.parametrize(
    ("proto_id", "body"),
    [
        (2005, b"\xff\xff hunter2"),  # does not parse
        (1050, b"\x0a\x07hunter2"),  # unknown, and below 1100 it may be a login
    ],
)
def test_what_nobody_can_judge_is_left_out(proto_id: int, body: bytes, tmp_path: Path) -> None:
    capture, out = tmp_path / "in.pcap", tmp_path / "out.pcapng"
    capture.write_bytes(pcap(conversation((1004, ex.keep_alive()), (proto_id, body))))
    result = opendump("rewrite", capture, "-o", out)
    assert b"hunter2" not in out.read_bytes()
    assert "1 message left out: the body cannot be read" in result.err
    assert opendump("rewrite", capture, "-o", out, "--show-secrets", "--force").code == 0
    assert b"hunter2" in out.read_bytes()


def test_unknown_fields_beside_secrets_go(tmp_path: Path) -> None:
    capture, out = tmp_path / "in.pcap", tmp_path / "out.pcapng"
    body = unlock("0123456789abcdef0123456789abcdef") + b"\xfa\x3f\x07hunter2"
    capture.write_bytes(pcap(conversation((2005, body))))
    opendump("rewrite", capture, "-o", out)
    assert b"hunter2" not in out.read_bytes()
    assert b"replaced=c2s.pwdMD5,unknown fields" in out.read_bytes()


def test_a_gap_stays_a_hole_of_the_right_size(tmp_path: Path) -> None:
    exchange = in_clear(5).lose("s2c", 77)
    for number in range(200):
        exchange.c2s(ex.frame(1004, ex.keep_alive(), serial_no=100 + number))
        exchange.s2c(ex.frame(1004, ex.keep_alive_answer(), serial_no=100 + number))
    capture, out = tmp_path / "in.pcap", tmp_path / "out.pcapng"
    capture.write_bytes(pcap(exchange))
    before = list(decoder.read(capture))
    opendump("rewrite", capture, "-o", out)
    again = list(decoder.read(out))
    gaps = [item.bytes for item in before if isinstance(item, Gap)]
    assert gaps == [item.bytes for item in again if isinstance(item, Gap)] == [77]
    for direction in ("c2s", "s2c"):
        old, new = ([item for item in items if item.direction == direction] for items in (before, again))
        assert [getattr(item, "serial_no", None) for item in new] == [getattr(item, "serial_no", None) for item in old]


def test_ends_that_were_used_twice(tmp_path: Path) -> None:
    first = in_clear(3).fin()
    later = [(data, at + 10**9) for data, at in in_clear(4, ex.CONN_ID + 1).fin().packets]
    capture, out = tmp_path / "in.pcap", tmp_path / "out.pcapng"
    second = ex.Exchange(syn=False)
    second.packets = [(renumbered(data), at) for data, at in later]
    capture.write_bytes(pcap(first, second))
    before = [m for m in decoder.read(capture) if isinstance(m, Message)]
    opendump("rewrite", capture, "-o", out)
    again = [m for m in decoder.read(out) if isinstance(m, Message)]
    assert {m.connection for m in before} == {0, 1}
    assert [(m.connection, m.serial_no, m.time_ns) for m in again] == [
        (m.connection, m.serial_no, m.time_ns) for m in before
    ]


def renumbered(data: bytes) -> bytes:
    """A packet far off the numbers that it had."""
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    packet = Ether(data)
    packet[TCP].seq = (packet[TCP].seq + 10**9) % 2**32
    if packet[TCP].flags.A:
        packet[TCP].ack = (packet[TCP].ack + 10**9) % 2**32
    del packet[TCP].chksum, packet[IP].chksum
    return bytes(packet)


def test_what_a_reader_sees_of_the_file(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    rewritten(Recording("cbc.pcap"), out)
    data = out.read_bytes()
    assert data[28 - 4 : 28 - 4 + 4] == b"\x04\x00" + data[26:28]  # option 4 of the section: the application
    assert data[28:36] == b"opendump"
    comments = [line for line in data.split(b"opend ") if b"verdict=" in line]
    assert len(comments) == 254
    first = comments[0].split(b"\0")[0].decode()
    assert first.startswith("1 InitConnect request #")
    assert "verdict=verified packets=" in first


@posix
def test_secrets_are_written_for_the_owner_only(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    rewritten(Recording("cbc.pcap"), out, "--show-secrets")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    again = opendump("rewrite", CAPTURES / "plain.pcap", "-o", out, "--show-secrets")
    assert (again.code, "--force" in again.err) == (1, True)


def test_a_table_wants_pseudonyms(tmp_path: Path) -> None:
    result = opendump("rewrite", CAPTURES / "plain.pcap", "-o", tmp_path / "o.pcapng", "--map", tmp_path / "t.tsv")
    assert result.code == 2
    assert not list(tmp_path.iterdir())


def test_a_capture_without_messages_says_so(tmp_path: Path) -> None:
    capture = tmp_path / "in.pcap"
    capture.write_bytes(pcap())
    result = opendump("rewrite", capture, "-o", tmp_path / "out.pcapng")
    assert result.code == 1
    assert "no packet in the capture" in result.err


@pytest.mark.parametrize(
    "options", [[], ["--where", "proto=Trd_*"], ["--show-secrets"]], ids=["all", "trade", "secrets"]
)
def test_that_it_is_in_clear_is_no_finding(options: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    rewritten(Recording("cbc.pcap"), out, *options)
    codes = {finding["code"] for finding in json.loads(opendump("stats", out, "--format", "json").out)["findings"]}
    assert codes
    assert codes & {"secret-in-clear", "trade-in-clear", "key-in-clear"} == set()
    plain = json.loads(opendump("stats", CAPTURES / "plain.pcap", "--format", "json").out)["findings"]
    assert {"secret-in-clear", "trade-in-clear"} <= {finding["code"] for finding in plain}


def test_every_answer_about_a_copy_has_the_findings_of_stats(tmp_path: Path) -> None:
    out, page, table = tmp_path / "out.pcapng", tmp_path / "out.html", tmp_path / "findings.jsonl"
    rewritten(Recording("cbc.pcap"), out)
    of_stats = json.loads(opendump("stats", out, "--format", "json").out)["findings"]
    assert opendump("export", out, "--table", "findings", "-o", table).code == 0
    codes = [finding["code"] for finding in of_stats]
    assert [json.loads(line)["code"] for line in table.read_text().splitlines()] == codes
    assert [finding.code for finding in decoder.stats(out).findings] == codes
    assert opendump("report", out, "-o", page).code == 0
    assert not any(word in page.read_text("utf-8") for word in ("secret-in-clear", "trade-in-clear", "key-in-clear"))
    of_workers = json.loads(opendump("stats", out, "--format", "json", "--workers", "1").out)["findings"]
    assert [finding["code"] for finding in of_workers] == codes


# tshark


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@every_recording
def test_tshark_follows_each_stream_without_a_remark(recording: Recording, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    rewritten(recording, out)
    options = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    wrong = "tcp.analysis.flags or tcp.checksum.status==0 or ip.checksum.status==0 or _ws.malformed"
    run = subprocess.run(["tshark", "-n", "-r", out, *options, "-Y", wrong], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    fields = ["-T", "json", "-e", "tcp.payload", "-e", "frame.time_epoch", "-e", "tcp.stream", "-e", "frame.comment"]
    run = subprocess.run(
        ["tshark", "-n", "-r", out, "-Y", "tcp.len>0", *fields], capture_output=True, text=True, check=True
    )
    packets = [packet["_source"]["layers"] for packet in json.loads(run.stdout)]
    again = [item for item in decoder.read(out) if isinstance(item, Message)]
    payload = b"".join(bytes.fromhex(packet["tcp.payload"][0]) for packet in packets)
    assert payload == b"".join(ex.HEADER.pack(*m.header) + (m.plaintext or b"") for m in again)
    assert [packet["frame.comment"][0].split()[1] for packet in packets if "frame.comment" in packet] == [
        str(m.number) for m in again
    ]


@pytest.mark.parametrize("body_format", [0, 1], ids=["protobuf", "json"])
@pytest.mark.parametrize("pseudonyms", [False, True])
def test_what_came_the_wrong_way_is_not_passed_on(pseudonyms: bool, body_format: int, tmp_path: Path) -> None:
    """A request in the gateway's direction is read as a response, in which its fields are unknown."""
    digest, account = "5f4dcc3b5aa765d61d8327deb882cf99", 271828182845904
    unlock = ex.vendor("Trd_UnlockTrade").Request(c2s={"unlock": True, "pwdMD5": digest})
    header = {"trdEnv": 1, "accID": account, "trdMarket": 1}
    orders = ex.vendor("Trd_GetOrderList").Request(c2s={"header": header})
    talk = Talk()
    for number, (proto_id, body) in enumerate(((2005, unlock), (2201, orders)), 5):
        data = json.dumps(MessageToDict(body)).encode() if body_format else body.SerializeToString()
        talk.s2c(ex.frame(proto_id, data, serial_no=number, fmt=body_format))
    out = tmp_path / "out.pcapng"
    source = write(tmp_path / "in.pcap", PCAP_HEADER + b"".join(record(s.packet(), 0) for s in talk.segments))
    assert opendump("rewrite", source, "--all", "-o", out, *["--pseudonyms"] * pseudonyms).code == 0
    kept = out.read_bytes()
    assert [form for form in spellings(digest) if form in kept] == []
    assert any(form in kept for form in spellings(str(account)) if len(form) > 4) != pseudonyms


# WebSocket


def over_websocket(talk: Talk, tmp_path: Path, *options: str) -> list[Message | Gap]:
    """What a rewritten capture holds, whose original has these segments."""
    source, out = tmp_path / "websocket.pcap", tmp_path / "out.pcapng"
    source.write_bytes(PCAP_HEADER + b"".join(record(each.packet(), time) for time, each in enumerate(talk.segments)))
    assert opendump("rewrite", source, "--all", "-o", out, *options).code == 0
    return list(decoder.read(out))


@pytest.mark.parametrize("recording", WEBSOCKET_RECORDINGS, ids=lambda recording: recording.name)
def test_a_websocket_stays_one_and_nothing_is_proven_that_was_not(recording: Recording, tmp_path: Path) -> None:
    out, port = tmp_path / "out.pcapng", ("--port", str(recording.port))
    rewritten(recording, out, *port, "--all", "--show-secrets")
    before = list(decoder.read(recording.path, ports=recording.port))
    again = list(decoder.read(out, ports=recording.port))
    assert [essence(item) for item in again] == [essence(item) for item in before]
    assert len(again) == len(recording.expected)
    for old, new in zip(before, again, strict=True):
        assert isinstance(old, Message)
        assert isinstance(new, Message)
        assert (new.body, new.sha1, new.error) == (old.body, old.sha1, old.error)
        assert new.verdict == ("unverified" if new.sha1 is None else "verified")
    copy = tmp_path / "copy.pcapng"
    rewritten(recording, copy, *port, "--all")
    data = copy.read_bytes()
    key = "".join(values([entry["body"] for entry in recording.expected], {"websocketKey", "connAESKey"}))
    assert len(key) >= 16
    assert key[:16].encode() in out.read_bytes()
    for form in (*spellings(key[:16]), *spellings("a-token-that-nobody-uses")):
        assert form not in data


def test_a_copy_is_in_stream_order_so_steps_back_in_time_are_not_told(tmp_path: Path) -> None:
    out, port = tmp_path / "out.pcapng", ("--port", "33333")
    opendump("rewrite", CAPTURES / "websocket.pcap", *port, "--all", "-o", out)
    times = [time_ns for batch in CaptureReader(str(out)).batches() for time_ns, *_ in batch]
    assert any(later < earlier - 100_000_000 for earlier, later in pairwise(times))
    assert "steps back" not in opendump("decode", out, *port).err
    data = out.read_bytes().replace(b"opendump", b"mergecap")
    assert "steps back" in opendump("decode", write(tmp_path / "other.pcapng", data), *port).err


def test_without_all_messages_that_have_no_digest_are_left_out(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    result = opendump("rewrite", CAPTURES / "websocket.pcap", "--port", "33333", "-o", out)
    assert "0 messages written" in result.err
    assert "left out as not verified: 48 no-digest (--all writes them)" in result.err


def test_holes_of_a_websocket_keep_their_size(tmp_path: Path) -> None:
    talk = Talk().c2s(UPGRADE).s2c(ACCEPTED)
    long = ws(reply(3004, 2, bytes(70_000)))
    talk.c2s(ws(request(3004, 1, b"\x0a\x00"), masked=True)).s2c(ws(reply(3004, 1, b"\x08\x00")))
    talk.s2c(long[:300]).lose("s2c", 1000).s2c(long[1300:]).s2c(ws(reply(3005, 0, b"\x08\x00")))
    talk.lose("s2c", 5000).s2c(ws(reply(3007, 0, b"\x08\x00", -1, "连接".encode()))).fin()
    before = decode_segments(talk.segments).items
    assert [item.bytes for item in before if isinstance(item, Gap)] == [1000, 5000]
    again = over_websocket(talk, tmp_path)

    def told(items: list[Message | Gap]) -> list[tuple[Any, ...]]:
        return [
            (item.proto_id, item.serial_no, item.body_len, item.reason, item.error)
            for item in items
            if isinstance(item, Message)
        ]

    assert told(again) == told(before)
    assert told(before)[2] == (3004, 2, 70_000, "gap", None)
    # Of the message with a hole only the header is written.
    assert [item.bytes for item in again if isinstance(item, Gap)] == [70_000, 5000]


def test_ids_in_an_error_text_get_stand_ins(tmp_path: Path) -> None:
    talk = Talk().c2s(UPGRADE).s2c(ACCEPTED).s2c(ws(reply(2005, 1, b"", 2, b"account 281474976710")))
    (message,) = over_websocket(talk, tmp_path, "--pseudonyms")
    assert isinstance(message, Message)
    assert message.error is not None
    text = str(message.error["message"])
    assert text.startswith("account ")
    assert len(text) == 20
    assert "281474976710" not in text
    assert b"verdict=unverified:no-digest packets=6 replaced=error" in (tmp_path / "out.pcapng").read_bytes()
    assert b"281474976710" not in (tmp_path / "out.pcapng").read_bytes()


def test_two_connections_of_the_same_ends_one_of_them_a_websocket(tmp_path: Path) -> None:
    talk = Talk().c2s(ex.frame(1004, b"\x0a\x00", serial_no=5)).fin()
    other = Talk(isn=(3_000_000_000, 2_000_000_000)).c2s(UPGRADE).s2c(ACCEPTED)
    other.c2s(ws(request(1004, 6, b"\x0a\x00"), masked=True)).fin()
    talk.segments += other.segments
    again = [item for item in over_websocket(talk, tmp_path) if isinstance(item, Message)]
    assert [(item.serial_no, item.transport, item.verdict) for item in again] == [
        (5, "tcp", "verified"),
        (6, "websocket", "unverified"),
    ]
