"""Annotated captures, read back with tshark, with Scapy, and block by block."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from scapy.layers.inet import TCP
from scapy.utils import PcapNgReader, PcapReader, RawPcapNgReader, RawPcapReader

import decoder
from decoder import Gap, Message, schema
from decoder.capture.reader import CaptureReader
from decoder.cli.main import cli
from decoder.output.comments import Annotator
from tests.support.command import runner
from tests.support.exchange import Exchange
from tests.support.recorded import CAPTURES, DEMO_KEY, RECORDINGS, Recording
from tests.support.session import SECOND, Session, book, request, response, write_pcap

LINE = re.compile(r"OpenD (\d+): (\S+) (request|response|push)(?: to (\d+) after (.+?))?, serial (\d+)")
PART = re.compile(r"OpenD: part of message (\d+) \((\S+) (\w+)\)")

tshark_needed = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def run(*arguments: str | Path, **options: Any) -> Result:
    return runner().invoke(cli, ["annotate", *map(str, arguments)], catch_exceptions=False, **options)


def annotated(capture: Path, out: Path, *arguments: str | Path) -> Path:
    result = run(capture, "-o", out, *arguments)
    assert result.exit_code == 0, result.stderr
    return out


def blocks(path: Path) -> list[tuple[int, bytes]]:
    """Type and bytes of each block, by the standard alone."""
    data, found, at, order = path.read_bytes(), [], 0, "<"
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
        kind, length = struct.unpack_from(order + "II", data, at)
        assert struct.unpack_from(order + "I", data, at + length - 4) == (length,)
        found.append((kind, data[at : at + length]))
        at += length
    return found


def comments(path: Path) -> dict[int, str]:
    """Packet number to comment, as Scapy reads them."""
    found = {}
    for number, packet in enumerate(PcapNgReader(str(path)), 1):
        texts = packet.comments or []
        if texts:
            found[number] = texts[0].decode()
    return found


def tshark(path: Path, *fields: str) -> list[list[str]]:
    options = [word for field in fields for word in ("-e", field)]
    output = subprocess.run(
        ["tshark", "-r", str(path), "-T", "fields", "-E", "separator=/t", *options],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [line.split("\t") for line in output.splitlines()]


def keys_of(recording: Recording) -> list[str]:
    options = [word for key in recording.rsa_keys for word in ("--rsa-key", str(key))]
    return options + [word for path in recording.keylog for word in ("--keylog", str(path))]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Recording], Path]:
    """The annotated copy of a recording, made once."""
    folder = tmp_path_factory.mktemp("annotated")

    def make(recording: Recording) -> Path:
        out = folder / f"{recording.name}.pcapng"
        return out if out.exists() else annotated(recording.path, out, *keys_of(recording))

    return make


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
    assert tshark(out, *fields) == tshark(recording.path, *fields)
    by_tshark = {int(number): text for number, text in tshark(out, "frame.number", "frame.comment") if text}
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


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str, length: int, options: bytes = b"") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length) + options, order)


def interface(linktype: int, resolution: int, order: str = "<") -> bytes:
    options = option(2, b"card", order) + option(9, bytes([resolution]), order) + option(0, b"", order)
    return block(1, struct.pack(order + "HHI", linktype, 0, 262_144) + options, order)


def packet(number: int, ticks: int, data: bytes, order: str = "<", options: bytes = b"") -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data + bytes(-len(data) % 4) + options, order)


def old_packet(number: int, ticks: int, data: bytes, order: str = "<") -> bytes:
    head = struct.pack(order + "HHIIII", number, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(2, head + data + bytes(-len(data) % 4), order)


def two_interfaces(order: str) -> bytes:
    """A session on two interfaces: Ethernet in nanoseconds, raw IP in microseconds; with every other kind of block."""
    session = Session().hello()
    session.talk(1004, request("KeepAlive", time=1), response("KeepAlive", time=1)).push(3013, book()).close()
    out = section(order, 123_456, option(4, b"the application", order) + option(0, b"", order))
    out += interface(1, 9, order) + block(4, struct.pack(order + "HH", 0, 0), order)
    out += interface(101, 6, order) + block(0xBAD, struct.pack(order + "I", 32473) + b"a custom block", order)
    for place, (data, time_ns) in enumerate(session.packets):
        if place % 3 == 0:
            kept = option(1, b"a comment of old", order) + option(2, bytes(4), order) + option(0, b"", order)
            out += packet(0, time_ns, data, order, kept)
        elif place % 3 == 1:
            out += packet(1, time_ns // 1000, data[14:], order)
        else:
            out += old_packet(0, time_ns, data, order)
        if place == 4:
            out += block(5, struct.pack(order + "III", 0, 0, 0), order) + block(0xABCD, b"of a kind to come", order)
    return out + block(10, b"\x4b\x53\x4c\x54\0\0\0\0", order)


def without_first_comment(raw: bytes, order: str) -> tuple[bytes, str | None]:
    """A packet block as it was before it got its comment, and that comment."""
    (captured,) = struct.unpack_from(order + "I", raw, 20)
    start = 28 + captured + -captured % 4
    if start == len(raw) - 4:
        return raw, None
    code, length = struct.unpack_from(order + "HH", raw, start)
    assert code == 1
    text = raw[start + 4 : start + 4 + length].decode()
    if not text.startswith("OpenD"):
        return raw, None
    after = start + 4 + length + -length % 4
    rest = raw[after:-4]
    if rest == struct.pack(order + "HH", 0, 0):
        rest = b""
    (kind,) = struct.unpack_from(order + "I", raw)
    return block(kind, raw[8:start] + rest, order), text


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_keeps_every_block(order: str, tmp_path: Path) -> None:
    source, out = tmp_path / "in.pcapng", tmp_path / "out.pcapng"
    source.write_bytes(two_interfaces(order))
    annotated(source, out)
    before, after = blocks(source), blocks(out)
    assert [kind for kind, _ in before] == [kind for kind, _ in after]
    texts = []
    for (kind, old), (_, new) in zip(before, after, strict=True):
        if kind == 0x0A0D0D0A:
            # The section grew: a length that was given is given no more.
            assert new == old[:16] + struct.pack(order + "q", -1) + old[24:]
        elif kind in (2, 6):
            original, text = without_first_comment(new, order)
            assert original == old
            texts.append(text)
        else:
            assert new == old
    with_payload = ["1: InitConnect", "2: InitConnect", "3: KeepAlive", "4: KeepAlive", "5: Qot_UpdateOrderBook"]
    said = [text for text in texts if text]
    assert [
        text.partition("OpenD ")[2][: len(start)] for text, start in zip(said, with_payload, strict=False)
    ] == with_payload
    assert said[5] == "OpenD: the client closes connection 0"
    assert len(said) == 6


@tshark_needed
def test_two_interfaces_in_tshark(tmp_path: Path) -> None:
    source, out = tmp_path / "in.pcapng", tmp_path / "out.pcapng"
    source.write_bytes(two_interfaces("<"))
    annotated(source, out)
    fields = ("frame.interface_id", "frame.time_epoch", "frame.len", "frame.encap_type", "ip.src", "tcp.payload")
    assert tshark(out, *fields) == tshark(source, *fields)
    texts = [row[0] for row in tshark(out, "frame.comment")]
    assert sum("OpenD" in text for text in texts) == 6
    assert sum("a comment of old" in text for text in texts) == sum(
        "a comment of old" in row[0] for row in tshark(source, "frame.comment")
    )


def test_simple_packets_hold_no_comment(tmp_path: Path) -> None:
    session = Session().hello().push(3013, book())
    data = section("<", -1) + interface(1, 6)
    for frame_bytes, _ in session.packets:
        data += block(3, struct.pack("<I", len(frame_bytes)) + frame_bytes + bytes(-len(frame_bytes) % 4))
    source, out = tmp_path / "in.pcapng", tmp_path / "out.pcapng"
    source.write_bytes(data)
    result = run(source, "-o", out)
    assert result.exit_code == 0
    assert "3 comments left out" in result.stderr
    assert out.read_bytes() == data


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


def test_standard_input_is_refused(tmp_path: Path) -> None:
    result = run("-", "-o", tmp_path / "out.pcapng", input=b"")
    assert result.exit_code == 2
    assert "reads the capture twice" in result.stderr


def test_the_capture_is_never_written_over(tmp_path: Path) -> None:
    capture = tmp_path / "plain.pcap"
    shutil.copy(CAPTURES / "plain.pcap", capture)
    before = capture.read_bytes()
    (tmp_path / "link.pcap").symlink_to(capture)
    for out in (capture, tmp_path / "link.pcap"):
        result = run(capture, "-o", out)
        assert result.exit_code == 2
        assert "is one of the inputs" in result.stderr
    assert capture.read_bytes() == before


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    out.write_bytes(b"what was there")
    empty = write_pcap(tmp_path / "empty.pcap")
    assert run(empty, "-o", out).exit_code == 1
    assert run(tmp_path / "missing.pcap", "-o", out).exit_code == 1
    assert out.read_bytes() == b"what was there"
    assert run(CAPTURES / "plain.pcap", "-o", tmp_path / "no" / "out.pcapng").exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.pcap", "out.pcapng"]
    annotated(CAPTURES / "plain.pcap", out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.pcap", "out.pcapng"]


def test_to_standard_output(tmp_path: Path) -> None:
    expected = annotated(CAPTURES / "plain.pcap", tmp_path / "out.pcapng").read_bytes()
    assert run(CAPTURES / "plain.pcap", "-o", "-").stdout_bytes == expected


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_link_is_replaced_and_a_pipe_written_to(once: Callable[[Recording], Path], tmp_path: Path) -> None:
    expected = once(Recording("plain.pcap")).read_bytes()
    target, link, pipe = tmp_path / "target.pcapng", tmp_path / "link.pcapng", tmp_path / "pipe"
    target.write_bytes(b"precious")
    link.symlink_to(target)
    annotated(CAPTURES / "plain.pcap", link)
    assert not link.is_symlink()
    assert link.read_bytes() == expected
    assert target.read_bytes() == b"precious"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    annotated(CAPTURES / "plain.pcap", pipe)
    reader.join(10)
    assert read == [expected]
    assert pipe.is_fifo()


def test_a_damaged_capture_is_annotated_up_to_the_damage(tmp_path: Path) -> None:
    damaged, out = tmp_path / "damaged.pcapng", tmp_path / "out.pcapng"
    data = bytearray((CAPTURES / "nano.pcapng").read_bytes())
    sizes = [len(raw) for _, raw in blocks(CAPTURES / "nano.pcapng")]
    at = sum(sizes[:30])
    data[at + 4 : at + 8] = (7).to_bytes(4, "little")
    damaged.write_bytes(data)
    result = run(damaged, "-o", out, "--rsa-key", DEMO_KEY)
    assert result.exit_code == 1
    assert "damaged" in result.stderr
    assert [kind for kind, _ in blocks(out)] == [kind for kind, _ in blocks(CAPTURES / "nano.pcapng")][:30]
    assert comments(out)


def test_a_cut_capture_is_annotated_as_far_as_it_goes(tmp_path: Path) -> None:
    for name in ("plain.pcap", "nano.pcapng"):
        cut = tmp_path / name
        whole = (CAPTURES / name).read_bytes()
        cut.write_bytes(whole[: len(whole) // 2])
        result = run(cut, "-o", tmp_path / "out.pcapng", "--rsa-key", DEMO_KEY)
        assert result.exit_code == 0
        assert result.stderr.count("cut short") == 1
        before = len(list(CaptureReader(cut).batches()))
        assert before
        whole_packets = sum(map(len, CaptureReader(cut).batches()))
        assert len(list(RawPcapNgReader(str(tmp_path / "out.pcapng")))) == whole_packets
        assert comments(tmp_path / "out.pcapng")


def test_joined_captures_of_two_link_types(tmp_path: Path) -> None:
    session = Session().hello()
    first, second = write_pcap(tmp_path / "a.pcap", session), tmp_path / "b.pcap"
    raw = Session(client_port=50113).hello()
    raw.packets = [(data[14:], at) for data, at in raw.packets]
    data = bytearray(write_pcap(second, raw).read_bytes())
    data[20:24] = (101).to_bytes(4, "little")
    joined = tmp_path / "joined.pcap"
    joined.write_bytes(first.read_bytes() + bytes(data))
    out = annotated(joined, tmp_path / "out.pcapng")
    found = [kind for kind, _ in blocks(out)]
    assert found.count(1) == 2
    links = [meta.linktype for _, meta in RawPcapNgReader(str(out))]
    assert links == [1] * len(session.packets) + [101] * len(raw.packets)
    assert len(comments(out)) == 4
