"""Annotated captures, read back with tshark, with Scapy, and block by block."""

from __future__ import annotations

import re
import shutil
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import TCP
from scapy.utils import PcapReader, RawPcapNgReader, RawPcapReader

import decoder
from decoder import Gap, Message, schema
from decoder.output.comments import Annotator
from tests.support.annotated import annotated, annotated_once, comments, keys_of
from tests.support.exchange import Exchange
from tests.support.pcapng import block
from tests.support.recorded import CAPTURES, DEMO_KEY, RECORDINGS, Recording
from tests.support.session import SECOND, Session, book, write_pcap
from tests.support.wireshark import tshark_fields

LINE = re.compile(r"OpenD (\d+): (\S+) (request|response|push)(?: to (\d+) after (.+?))?, serial (\d+)")
PART = re.compile(r"OpenD: part of message (\d+) \((\S+) (\w+)\)")

tshark_needed = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Recording], Path]:
    return partial(annotated_once, tmp_path_factory.mktemp("annotated"))


every_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)


@every_recording
def test_same_packets(recording: Recording, once: Callable[[Recording], Path]) -> None:
    out = once(recording)
    before: list[tuple[bytes, int, int]] = []
    if recording.path.suffix == ".pcapng":
        for data, meta in RawPcapNgReader(str(recording.path)):
            before.append((data, ((meta.tshigh << 32) + meta.tslow) * SECOND // meta.tsresol, meta.wirelen))
    else:
        nano = recording.clock_ns == 1
        for data, meta in RawPcapReader(str(recording.path)):
            before.append((data, meta.sec * SECOND + meta.usec * (1 if nano else 1_000), meta.wirelen))
    after = [
        (data, ((meta.tshigh << 32) + meta.tslow) * SECOND // meta.tsresol, meta.wirelen)
        for data, meta in RawPcapNgReader(str(out))
    ]
    assert after == before


@tshark_needed
@every_recording
def test_same_packets_to_tshark(recording: Recording, once: Callable[[Recording], Path]) -> None:
    out = once(recording)
    fields = ("frame.number", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.encap_type", "tcp.payload")
    assert tshark_fields(out, *fields) == tshark_fields(recording.path, *fields)
    by_tshark = {int(number): text for number, text in tshark_fields(out, "frame.number", "frame.comment") if text}
    by_scapy = {number: text.replace("\n", "\\n") for number, text in comments(out).items()}
    assert by_tshark == by_scapy


@every_recording
def test_every_logged_message_is_in_a_comment(recording: Recording, once: Callable[[Recording], Path]) -> None:
    out = once(recording)
    found = sorted(
        (name, kind, int(serial))
        for text in comments(out).values()
        for _, name, kind, _, _, serial in LINE.findall(text)
    )
    expected = []
    for entry in recording.expected:
        known = schema.protocol(entry["proto_id"])
        assert known is not None
        expected.append((known.name, entry["kind"], entry["serial_no"]))
    assert found == sorted(expected)


def streams(path: Path) -> dict[tuple[int, int], list[tuple[int, bytes]]]:
    """Packet number and payload of each direction, in the order of capture; nothing is lost or repeated there."""
    found = defaultdict(list)
    for number, packet in enumerate(PcapReader(str(path)), 1):
        payload = bytes(packet[TCP].payload) if TCP in packet else b""
        if payload:
            found[packet[TCP].sport, packet[TCP].dport].append((number, payload))
    return found


@pytest.mark.parametrize("name", ["plain.pcap", "cbc.pcap", "mixed.pcap"])
def test_parts_and_completions(name: str, once: Callable[[Recording], Path]) -> None:
    """Which packets hold which message, worked out from Scapy's dissection and the length in each header."""
    out = once(Recording(name))
    parts, completed = defaultdict(list), defaultdict(list)
    for segments in streams(CAPTURES / name).values():
        data = b"".join(payload for _, payload in segments)
        ends, total = [], 0
        for number, payload in segments:
            total += len(payload)
            ends.append((total, number))
        at = 0
        while at < len(data):
            _, proto_id, _, _, serial, length = struct.unpack_from("<2sIBBII", data, at)
            holding = [
                n for i, (end, n) in enumerate(ends) if end > at and (ends[i - 1][0] if i else 0) < at + 44 + length
            ]
            at += 44 + length
            known = schema.protocol(proto_id)
            assert known is not None
            for number in holding[:-1]:
                parts[number].append(known.name)
            completed[holding[-1]].append((known.name, serial))
    found = comments(out)
    for number, text in found.items():
        assert [name for _, name, _ in PART.findall(text)] == parts.pop(number, [])
        assert [(line[1], int(line[5])) for line in LINE.findall(text)] == completed.pop(number, [])
    assert not parts
    assert not completed


def test_lines_say_what_matters(once: Callable[[Recording], Path]) -> None:
    out = once(Recording("cbc.pcap"))
    text = "\n".join(comments(out).values())
    messages = {m.number: m for m in decoder.read(CAPTURES / "cbc.pcap", rsa_keys=[DEMO_KEY]) if isinstance(m, Message)}
    for number, _, _, asked, after, _ in LINE.findall(text):
        message = messages[int(number)]
        assert str(message.request or "") == asked
        if after:
            value, unit = after.split()
            assert float(value) * {"ms": 1, "s": 1000}[unit] == pytest.approx(message.latency_ms, rel=0.006)
    for part in (
        'RET_ERROR "The order does not exist"',
        "verified (RSA)",
        "FILLED_ALL BUY HK.00700",
        "pwdMD5=[redacted]",
        "NEED_PHONE_VERIFY_CODE",
    ):
        assert part in text


@pytest.mark.parametrize("recording", [r for r in RECORDINGS if r.name in ("cbc", "ftaes", "mixed")], ids=str)
def test_secrets_are_redacted(recording: Recording, tmp_path: Path, once: Callable[[Recording], Path]) -> None:
    secrets = {
        part[field].encode()
        for entry in recording.expected
        for part in entry["body"].values()
        if isinstance(part, dict)
        for field in ("connAESKey", "aesCBCiv", "pwdMD5", "webKey")
        if part.get(field)
    }
    assert secrets
    before = recording.path.read_bytes()
    secrets = {secret for secret in secrets if secret not in before}  # mixed: two connections are in clear
    hidden = once(recording).read_bytes()
    assert not [secret for secret in secrets if secret in hidden]
    shown = annotated(recording.path, tmp_path / "shown.pcapng", *keys_of(recording), "--show-secrets").read_bytes()
    assert [secret for secret in secrets if secret in shown]


# pcapng: all else stays


def packet(number: int, ticks: int, data: bytes, order: str = "<", options: bytes = b"") -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data + bytes(-len(data) % 4) + options, order)


# What else is said


def lines_of(items: list[Message | Gap], **options: Any) -> dict[int, str]:
    annotator = Annotator(**options)
    annotator.add(items)
    found = {comment.packet: comment.text for comment in annotator.comments()}
    annotator.close()
    return found


def decoded(session: Exchange) -> Iterator[Message | Gap]:
    each = decoder.Decoder()
    for data, time_ns in session.packets:
        yield from each.feed(data, time_ns)
    yield from each.flush()


def test_retransmissions_gaps_and_the_end(tmp_path: Path) -> None:
    session = Session().hello()
    session.push(3013, book()).repeat_last()
    data = session._frame(3013, book("0" * 3000), 9)
    session.s2c(data[:1000]).lose("s2c", 1000).s2c(data[2000:]).push(3013, book()).close("s2c", "RA")
    out = annotated(write_pcap(tmp_path / "in.pcap", session), tmp_path / "out.pcapng")
    found = comments(out)
    assert found[7] == "OpenD: retransmission, nothing new"
    assert "OpenD: part of message 4 (Qot_UpdateOrderBook push)" in found[8]
    assert "OpenD: gap, 1,000 bytes from the gateway missing from the capture (lost)" in "\n".join(found.values())
    assert "unverified (gap): packets are missing" in "\n".join(found.values())
    assert "OpenD: the gateway closes connection 0 with a reset" in found[len(session.packets)].split("\n")


def test_hostile_strings_and_many_messages() -> None:
    session = Session().hello()
    session.s2c(*(session._frame(3013, book("\x1b[2J\r\n" + "y" * 90), number) for number in range(200)))
    (text,) = [text for number, text in lines_of(list(decoded(session))).items() if number == len(session.packets)]
    lines = text.split("\n")
    assert len(lines) == 33
    assert lines[-1] == "OpenD: and 168 more"
    assert all(line.isprintable() and len(line) <= 1_000 for line in lines)
    assert len(text.encode()) < 0xFFFF


def test_comments_come_in_packet_order_however_many() -> None:
    class Item(Gap):
        """A gap at any packet."""

    flow = next(decoded(Session().hello())).flow
    packets = [(number * 7919) % 5000 + 1 for number in range(5000)]
    annotator = Annotator()
    for number in packets:
        annotator.add([Item(flow, 0, number, "lost", number)])
    found = list(annotator.comments())
    assert [comment.packet for comment in found] == sorted(packets)
    assert all(f" {comment.packet:,} bytes" in comment.text for comment in found)


def test_where_chooses_what_is_commented_on(tmp_path: Path) -> None:
    out = annotated(CAPTURES / "plain.pcap", tmp_path / "out.pcapng", "--where", "proto=Trd_PlaceOrder")
    found = comments(out).values()
    assert len(found) == 13
    assert all("Trd_PlaceOrder" in text and "closes" not in text for text in found)
    assert len(list(RawPcapNgReader(str(out)))) == 322


# The command
