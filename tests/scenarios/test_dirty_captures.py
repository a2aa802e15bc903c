"""Recordings of the official SDK, made as dirty as captures get: what is whole comes out, and nothing else.

Every test writes a file and reads it with the public API; what must come out is what both ends logged
(captures/README.md), and of captures that lost something what a model on the packets says.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

import decoder
from decoder import Gap, Message
from tests.support import dirt, wrappings
from tests.support.dirt import FIN, Dirt, Segment, Way, in_turn, messages_of, segments_of
from tests.support.recorded import RECORDINGS, Recording
from tests.support.wrappings import Wrapping

NAMES = ["plain", "ftaes", "json", "mixed", "ipv6", "any-v1", "reconnect", "late-start"]
SOME = [recording for recording in RECORDINGS if recording.name in NAMES]
some_recordings = pytest.mark.parametrize("recording", SOME, ids=lambda recording: recording.name)
assert len(SOME) == len(NAMES)


def decoded(recording: Recording, path: Path, **options: Any) -> list[Message | Gap]:
    return list(decoder.read(path, rsa_keys=recording.rsa_keys, keylog=recording.keylog, **options))


def way(item: Message) -> Way:
    return (item.src if item.direction == "c2s" else item.dst), item.direction


def streams(items: list[Message | Gap]) -> dict[Way, list[Message]]:
    found: dict[Way, list[Message]] = defaultdict(list)
    for item in items:
        if isinstance(item, Message):
            found[way(item)].append(item)
    return found


def check_all(recording: Recording, items: list[Message | Gap], *, in_order: bool = True) -> None:
    """Everything that the ends logged came out once, verified, in stream order, with that body; and nothing else."""
    assert [item for item in items if isinstance(item, Gap)] == []
    logged: dict[Way, list[dict[str, Any]]] = defaultdict(list)
    for entry in recording.expected:
        logged[entry["client"], entry["direction"]].append(entry)
    found = streams(items)
    assert set(found) == set(logged)
    for key, messages in found.items():
        if not in_order:
            places = {(entry["serial_no"], entry["sha1"]): place for place, entry in enumerate(logged[key])}
            messages.sort(key=lambda message: places[message.serial_no, message.sha1])
        assert [(m.proto_id, m.serial_no, m.sha1) for m in messages] == [
            (entry["proto_id"], entry["serial_no"], entry["sha1"]) for entry in logged[key]
        ]
        assert {m.verdict for m in messages} == {"verified"}
        assert [m.to_dict("number") for m in messages] == [entry["body"] for entry in logged[key]]
        assert [m.encryption for m in messages] == [entry["encryption"] for entry in logged[key]]


# Order and repetition

DIRT: dict[str, Dirt] = {
    "reordered in windows of 8": dirt.reordered(8),
    "reordered in windows of 64": dirt.reordered(64),
    "backwards, 64 at a time": dirt.backwards,
    "answers before their requests": dirt.answers_first,
    "keys late": dirt.keys_late,
    "sent again": dirt.again_whole,
    "sent again in other pieces": dirt.again_in_other_pieces,
    "in pieces of 7 bytes": dirt.segmented(7),
    "in pieces of 100 bytes": dirt.segmented(100),
    "tail before head": dirt.tail_first,
    "each side's runs reordered": dirt.runs_reordered,
    "wrapped": dirt.wrapped,
    "keep-alive probes": dirt.probed(None),
    "keep-alive probes without a byte": dirt.probed(b""),
    "keep-alive probes with garbage": dirt.probed(b"\xa5"),
    "zero-window probes": dirt.window_probed,
    "urgent": dirt.urgent,
    "payload in SYN": dirt.payload_in_syn,
    "FIN with payload": dirt.fin_with_payload,
    "closed at once": dirt.closed_at_once,
    "reset": dirt.reset,
    "neither SYN nor FIN": dirt.unopened,
}  # fmt: skip


# Where packets from before the first one seen come late, so do their messages.
BEGINS_ANYWHERE = {"reordered in windows of 64", "backwards, 64 at a time"}


@pytest.mark.parametrize("name", DIRT)
@some_recordings
def test_order_and_repetition_lose_nothing(recording: Recording, name: str, tmp_path: Path) -> None:
    clean = list(segments_of(recording))
    dirty = in_turn(DIRT[name](clean, Random(name)), clean)
    if recording.name != "late-start":
        assert dirty != clean
    items = decoded(recording, dirt.write(tmp_path / "dirty.pcapng", [segment.packet() for segment in dirty]))
    if recording.name == "late-start":  # of bytes that were passed over at first, an earlier packet made a message
        items = [item for item in items if isinstance(item, Message) or item.reason != "mid-stream"]
    check_all(recording, items, in_order=name not in BEGINS_ANYWHERE and recording.name != "late-start")


@pytest.mark.parametrize("before", [True, False], ids=["bad one first", "bad one last"])
@some_recordings
def test_of_two_copies_the_one_that_verifies_counts(recording: Recording, before: bool, tmp_path: Path) -> None:
    clean = list(segments_of(recording))
    dirty = in_turn(dirt.conflicting(messages_of(recording), before=before)(clean, Random(7)), clean)
    items = decoded(recording, dirt.write(tmp_path / "dirty.pcapng", [segment.packet() for segment in dirty]))
    check_all(recording, items)
    noted = {
        (way(m), m.serial_no, m.sha1) for m in items if isinstance(m, Message) and "conflicting-overlap" in m.notes
    }
    # A bad copy that came first is in the message until the good one replaces it; one that came last may be too late.
    wrong = {(segment.way, segment.wrong) for segment in dirty if segment.wrong is not None}
    hit = {
        (message.way, message.serial_no, message.sha1)
        for message in messages_of(recording)
        for seq in message.bytes
        if (message.way, seq) in wrong
    }
    assert hit
    assert noted == hit if before else noted <= hit


# Connections

SEVERAL = [recording for recording in SOME if len({entry["client"] for entry in recording.expected}) > 1]


@pytest.mark.parametrize("end", ["FIN", "reset", "nothing", "nothing, and SYN lost"])
@pytest.mark.parametrize("recording", SEVERAL, ids=lambda recording: recording.name)
def test_connections_one_after_the_other_on_the_same_ports(recording: Recording, end: str, tmp_path: Path) -> None:
    """Each is a connection of its own, with keys of its own."""
    clean = list(segments_of(recording))
    clients = list(dict.fromkeys(segment.way[0] for segment in clean))
    dirty: list[Segment] = []
    for client in clients:
        segments = [segment for segment in clean if segment.way[0] == client]
        if end == "reset":
            segments = dirt.reset(segments, Random(0))
        elif end == "nothing":
            segments = [segment for segment in segments if segment.payload or not segment.flags & FIN]
        elif end != "FIN":
            segments = dirt.unopened(segments, Random(0))
        dirty += segments
    ports = clean[0].ports
    dirty = [
        replace(segment, ports=ports if (segment.way[1] == "c2s") == (ports[1] == dirt.GATEWAY) else ports[::-1])
        for segment in in_turn(dirty, clean)
    ]
    items = decoded(recording, dirt.write(tmp_path / "again.pcapng", [segment.packet() for segment in dirty]))
    assert all(isinstance(item, Message) for item in items)
    messages = [item for item in items if isinstance(item, Message)]
    assert [message.connection for message in messages] == sorted(message.connection for message in messages)
    for number, client in enumerate(clients):
        for direction in ("c2s", "s2c"):
            assert [
                (m.serial_no, m.sha1, m.verdict) for m in messages if (m.connection, m.direction) == (number, direction)
            ] == [
                (entry["serial_no"], entry["sha1"], "verified")
                for entry in recording.expected
                if (entry["client"], entry["direction"]) == (client, direction)
            ]


@pytest.mark.parametrize("direction", ["c2s", "s2c"])
@some_recordings
def test_half_of_a_conversation(recording: Recording, direction: str, tmp_path: Path) -> None:
    """The keys are in an answer: without the gateway's half what is encrypted with them cannot be read."""
    half = [segment for segment in segments_of(recording) if segment.way[1] == direction]
    items = decoded(recording, dirt.write(tmp_path / "half.pcapng", [segment.packet() for segment in half]))
    found = streams(items)
    sealed = direction == "c2s" and not recording.keylog
    for key in {segment.way for segment in half}:
        assert [(m.serial_no, m.sha1, m.verdict, m.reason) for m in found.pop(key)] == [
            (entry["serial_no"], entry["sha1"], "unverified", "handshake-missing")
            if sealed and entry["encryption"] not in ("None", "RSA")
            else (entry["serial_no"], entry["sha1"], "verified", None)
            for entry in recording.expected
            if (entry["client"], entry["direction"]) == key
        ]
    assert not found
    assert not [item for item in items if isinstance(item, Gap)]


# Around the segments

WRAPPINGS: dict[str, Wrapping] = {
    "VLAN": wrappings.vlan,
    "QinQ": wrappings.qinq,
    "GRE": wrappings.gre,
    "VXLAN": wrappings.vxlan,
    "IP in IP": wrappings.ip_in_ip,
    "IP in IPv6": wrappings.ip_in_ip6,
    "fragments": wrappings.in_fragments,
    "mixed fragments": wrappings.in_mixed_fragments,
    "everything": wrappings.everything,
    "two interfaces": wrappings.twice("alike", 0),
    "two interfaces, one late": wrappings.twice("alike", 40),
    "two interfaces, one tagged": wrappings.twice("VLAN", 1),
    "two interfaces, one cooked": wrappings.twice("cooked", 20),
}


@pytest.mark.parametrize("name", WRAPPINGS)
@some_recordings
def test_whatever_the_segments_are_wrapped_in(recording: Recording, name: str, tmp_path: Path) -> None:
    packets = WRAPPINGS[name](list(segments_of(recording)))
    items = decoded(recording, dirt.write(tmp_path / "wrapped.pcapng", packets))
    check_all(
        recording,
        items,
        in_order=name not in ("mixed fragments", "two interfaces, one late", "two interfaces, one cooked"),
    )
