"""Recordings of the official SDK that lost packets, parts of packets or bits: what is whole comes out, all is named.

A model on the packets (`dirt`) says which messages are whole, how many bytes are missing and how many are passed over.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random

import dirt
import pytest
from dirt import Segment, Way, held, in_turn, messages_of, segments_of, whole
from recorded import Recording
from test_dirty_captures import decoded, some_recordings

from decoder import Gap, Message


def identity(message: Message) -> tuple[Way, int, int, str]:
    client = message.src if message.direction == "c2s" else message.dst
    return (client, message.direction), message.proto_id, message.serial_no, message.sha1


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
