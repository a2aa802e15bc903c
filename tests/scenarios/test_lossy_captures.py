"""Recordings of the official SDK that lost packets, parts of packets or bits: what is whole comes out, all is named.

A model on the packets (`dirt`) says which messages are whole, how many bytes are missing and how many are passed over.
"""

from __future__ import annotations

import gzip
import struct
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

import decoder
from decoder import Gap, Limits, Message
from tests.scenarios.test_dirty_captures import SOME, decoded, some_recordings
from tests.support import dirt
from tests.support import exchange as ex
from tests.support.dirt import Segment, Sent, Way, held, in_turn, messages_of, segments_of, sent_at, whole
from tests.support.recorded import Recording
from tests.support.segments import Talk, decode_segments


def identity(message: Message) -> tuple[Way, int, int, str]:
    client = message.src if message.direction == "c2s" else message.dst
    return (client, message.direction), message.proto_id, message.serial_no, str(message.sha1)


def gaps(items: list[Message | Gap]) -> dict[Way, Counter[str]]:
    """Bytes of each stream in gaps, by reason."""
    found: dict[Way, Counter[str]] = defaultdict(Counter)
    for item in items:
        if isinstance(item, Gap):
            client = item.flow.src if item.direction == "c2s" else item.flow.dst
            assert item.bytes
            found[client, item.direction][item.reason] += item.bytes
    return found


def check(
    recording: Recording,
    captured: list[Segment],
    items: list[Message | Gap],
    *,
    hole: str = "lost",
    reason: str = "gap",
    snap: int | None = None,
    in_order: bool = True,
) -> None:
    """All that is whole came out, in order; of the rest nothing but its name; and no byte is unaccounted for."""
    messages = [item for item in items if isinstance(item, Message)]
    whole_ones = [message.identity for message in whole(recording, captured, snap)]
    sent = [message.identity for message in messages_of(recording)]
    told = [identity(message) for message in messages]
    assert len(set(told)) == len(told)
    assert set(told) <= set(sent)
    verified = [identity(message) for message in messages if message.verdict == "verified"]
    assert sorted(verified, key=sent.index) == [each for each in sent if each in set(whole_ones)]
    assert {(m.verdict, m.reason) for m in messages if m.verdict != "verified"} <= {("unverified", reason)}
    for way in {segment.way for segment in captured} if in_order else ():
        of_way = [each for each in told if each[0] == way]
        assert of_way == sorted(of_way, key=sent.index)
    have = held(captured, snap)
    missing: dict[Way, Counter[str]] = defaultdict(Counter)
    for message in messages_of(recording):
        got = len(have[message.way].intersection(message.bytes))
        first = 0 if dirt.opened(captured, message.way) else min(have[message.way])  # what came before it nobody knows
        missing[message.way][hole] += len(range(max(first, message.start), message.end)) - got
        if got < len(message.bytes) and message.identity not in told:
            missing[message.way]["resync"] += got
    found = gaps(items)
    for way, counts in missing.items():
        told_bytes = found[way]
        if way not in {each[0] for each in told}:  # a stream without a header gives nothing
            assert not told_bytes
            continue
        told_bytes["resync"] += told_bytes.pop("mid-stream", 0)
        assert +told_bytes == +counts, way


# Loss

LOSSES: dict[str, Callable[[Random], Callable[[int], bool]]] = {
    "one in twenty": lambda rng: lambda place: rng.random() < 0.05,
    "one in three": lambda rng: lambda place: rng.random() < 0.33,
    "bursts of ten": lambda rng: lambda place: place % 40 >= 30,
    "every fifth": lambda rng: lambda place: place % 5 == 4,
    "the second half": lambda rng: lambda place: place > 30 and place % 100 > 50,
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("window", [0, 16])
@some_recordings
def test_only_messages_that_lost_bytes_are_lost(recording: Recording, name: str, window: int, tmp_path: Path) -> None:
    clean, rng = list(segments_of(recording)), Random(name)
    kept = dirt.without(clean, LOSSES[name](rng), messages_of(recording))
    if window:
        kept = in_turn(kept[:8] + dirt.again_whole(dirt.reordered(window)(kept[8:], rng), rng), kept)
    items = decoded(recording, dirt.write(tmp_path / "lossy.pcapng", [segment.packet() for segment in kept]))
    check(recording, kept, items, in_order=not window)


@pytest.mark.parametrize("name", ["plain", "ftaes"])
def test_a_hole_that_the_buffer_limit_finds(name: str, tmp_path: Path) -> None:
    """The gateway's half alone: nobody acknowledges, so only the limit says that a hole is one."""
    recording = next(each for each in SOME if each.name == name)
    half = [segment for segment in segments_of(recording) if segment.way[1] == "s2c"]
    lost = [place for place, segment in enumerate(half) if segment.payload][12]
    kept = [segment for place, segment in enumerate(half) if place != lost]
    path = dirt.write(tmp_path / "half.pcapng", [segment.packet() for segment in kept])
    items = decoded(recording, path, limits=Limits(max_pending=3000, reorder_packets=10_000))
    assert gaps(items)[half[lost].way]["limit"] == len(half[lost].payload)
    expected = [message.identity for message in whole(recording, kept) if message.way[1] == "s2c"]
    assert sorted(identity(m) for m in items if isinstance(m, Message) and m.verdict == "verified") == sorted(expected)
    (first, *_) = (number for number, item in enumerate(items) if isinstance(item, Gap))
    assert len(items) - first > 50, "what came after the hole did not wait for the end"


# Corruption


def damaged(recording: Recording, every: int) -> list[Sent]:
    """About one message in so many, but no handshake and none that a stream begins with.

    Between two of them a message begins a segment: what stands between two damaged ones else may be a quotation.
    """
    begin_segments = {(segment.way, segment.seq) for segment in segments_of(recording) if segment.payload}
    chosen: list[Sent] = []
    since: dict[Way, int] = defaultdict(int)
    for message in messages_of(recording):
        since[message.way] += 1
        at_border = (message.way, message.start) in begin_segments
        if since[message.way] > every and message.proto_id != 1001:
            chosen.append(message)
            since[message.way] = -1000
        elif at_border:
            since[message.way] = max(since[message.way], 0)
    return chosen


def decode_damaged(
    recording: Recording, path: Path, victims: list[Sent], change: Callable[[Sent, bytes], bytes]
) -> tuple[list[Message | Gap], list[Message]]:
    """What comes out of a recording with these messages changed, and those of the messages that were changed."""
    segments = list(segments_of(recording))
    changed = segments
    for message in victims:
        data = sent_at(segments, message.way, message.start, len(message.bytes))
        assert len(data) == len(message.bytes)
        new = change(message, data)
        assert len(new) == len(data)
        assert new != data
        changed = dirt.overwritten(changed, message.way, message.start, new)
    items = decoded(recording, dirt.write(path / "damaged.pcapng", [segment.packet() for segment in changed]))
    messages = [item for item in items if isinstance(item, Message)]
    numbers = {(message.way, message.serial_no, message.proto_id) for message in victims}
    spared = [each.identity for each in messages_of(recording) if each not in victims]
    told = [m for m in messages if (identity(m)[0], m.serial_no, m.proto_id) in numbers]
    others = [m for m in messages if m not in told]
    assert {m.verdict for m in others} == {"verified"}
    assert sorted(map(identity, others)) == sorted(spared), "all others, and nothing else"
    return items, told


@some_recordings
def test_a_flipped_bit_in_a_body_fails_that_message_alone(recording: Recording, tmp_path: Path) -> None:
    rng = Random(recording.name)

    def flip(message: Sent, data: bytes) -> bytes:
        at = rng.randrange(44, len(data))
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]

    victims = [message for message in damaged(recording, 5) if len(message.bytes) > 44]
    items, told = decode_damaged(recording, tmp_path, victims, flip)
    assert gaps(items) == {}
    assert Counter(map(identity, told)) == Counter(message.identity for message in victims)
    assert {(m.verdict, m.reason) for m in told} == {("failed", "sha1-mismatch")}


@pytest.mark.parametrize("length", [2**32 - 1, 2**31, 33 * 2**20])
@some_recordings
def test_an_absurd_length_costs_that_message_alone(recording: Recording, length: int, tmp_path: Path) -> None:
    victims = damaged(recording, 5)
    items, told = decode_damaged(
        recording, tmp_path, victims, lambda _, data: data[:12] + struct.pack("<I", length) + data[16:]
    )
    assert [(m.verdict, m.reason, m.body_len) for m in told] == [("unverified", "oversize", length)] * len(victims)
    skipped = gaps(items)
    for way in {message.way for message in victims}:
        assert skipped[way] == +Counter(resync=sum(len(m.bytes) - 44 for m in victims if m.way == way))


@pytest.mark.parametrize("more", [-1, 1, 60, 1000, 100_000, 30 * 2**20])
@some_recordings
def test_a_wrong_length_costs_that_message_alone(recording: Recording, more: int, tmp_path: Path) -> None:
    victims = [message for message in damaged(recording, 5) if len(message.bytes) + more > 44]
    _, told = decode_damaged(
        recording,
        tmp_path,
        victims,
        lambda message, data: data[:12] + struct.pack("<I", len(data) - 44 + more) + data[16:],
    )
    assert Counter(map(identity, told)) == Counter(message.identity for message in victims)
    assert {(m.verdict, m.reason) for m in told} <= {("failed", "sha1-mismatch"), ("unverified", "gap")}


@pytest.mark.parametrize("position", [0, 1])
@some_recordings
def test_a_damaged_magic_costs_that_message_alone(recording: Recording, position: int, tmp_path: Path) -> None:
    victims = damaged(recording, 5)
    items, told = decode_damaged(
        recording, tmp_path, victims, lambda _, data: data[:position] + b"\0" + data[position + 1 :]
    )
    assert told == []
    skipped = gaps(items)
    for way in {message.way for message in victims}:
        assert skipped[way] == +Counter(resync=sum(len(m.bytes) for m in victims if m.way == way))


# Cut packets and files


def key_log(recording: Recording, path: Path) -> list[Path]:
    """The keys that the gateway handed out, as its journal has them."""
    lines = []
    for entry in recording.expected:
        if entry["proto_id"] == 1001 and entry["direction"] == "s2c":
            s2c = entry["body"]["s2c"]
            iv = s2c.get("aesCBCiv", "").encode().hex()
            lines.append(f"OPEND_AES {s2c['connID']} {s2c['connAESKey'].encode().hex()} {iv}".rstrip())
    path.write_text("\n".join(lines) + "\n")
    return [path] if lines else recording.keylog


@pytest.mark.parametrize("size", [120, 200, 400])
@some_recordings
def test_what_the_snap_length_left_whole_comes_out(recording: Recording, size: int, tmp_path: Path) -> None:
    """The handshakes are cut too, so the keys come from a key log."""
    segments = list(segments_of(recording))
    packets = [segment.packet() for segment in segments]
    cut = [packet._replace(data=packet.data[:size]) for packet in packets]
    log = key_log(recording, tmp_path / "keys")
    path = dirt.write(tmp_path / "cut.pcapng", cut)
    items = list(decoder.read(path, rsa_keys=recording.rsa_keys, keylog=log))
    check(recording, segments, items, hole="snaplen", reason="truncated", snap=size)


@pytest.mark.parametrize("form", ["pcap", "pcapng", "gzip"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
@some_recordings
def test_a_cut_file_gives_all_before_the_cut(recording: Recording, part: float, form: str, tmp_path: Path) -> None:
    segments = segments_of(recording)
    packets = [segment.packet() for segment in segments]
    path = tmp_path / "cut"
    if form == "pcapng":
        count = len(dirt.write(path, packets[: int(part * len(packets))]).read_bytes())
        data = dirt.write(path, packets).read_bytes()[: count + 30]
    else:
        records = [struct.pack("<IIII", 0, n, len(p.data), p.wire_len) + p.data for n, p in enumerate(packets)]
        head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, packets[0].linktype)
        data = head + b"".join(records[: int(part * len(packets))]) + records[-1][:30]
    path.write_bytes(gzip.compress(data, mtime=0)[:-5] if form == "gzip" else data)
    items = decoded(recording, path)
    expected = [message.identity for message in whole(recording, list(segments[: int(part * len(packets))]))]
    verified = [identity(m) for m in items if isinstance(m, Message) and m.verdict == "verified"]
    assert sorted(verified) == sorted(expected)
    assert expected or part == 0.2


# Quotations


@pytest.mark.parametrize("idle", [0, 300])
@pytest.mark.parametrize("mss", [60, 100, 1448])
def test_frames_in_a_body_that_lost_its_header_are_no_messages(mss: int, idle: int) -> None:
    """An answer quotes whole messages of the protocol; the hole is found at the end, or before."""
    quoted = b"".join(ex.frame(1004, ex.keep_alive(n), serial_no=900 + n) for n in range(6))
    long = ex.frame(1002, ex.refused("GetGlobalState", "") + bytes(200) + quoted + b"\xff" * 300, serial_no=3)
    talk = Talk().s2c(ex.frame(1004, ex.keep_alive_answer(), serial_no=2)).lose("s2c", 50).s2c(long[50:], mss=mss)
    for serial_no in range(4, 9):
        talk.c2s(ex.frame(1004, ex.keep_alive(), serial_no=serial_no))
        talk.s2c(ex.frame(1004, ex.keep_alive_answer(), serial_no=serial_no))
    for _ in range(idle):
        talk.ack("c2s")
    told = decode_segments(talk.segments)
    assert sorted(told.verified) == [2, *sorted([4, 5, 6, 7, 8] * 2)]
    assert len(told.messages) == len(told.verified)
    assert told.gaps == [("s2c", 50, "lost"), ("s2c", len(long) - 50, "resync")]
