"""The short way gives what the long way gives: on every recording, and on damaged copies of them."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import decoder
from decoder.capture.reader import CaptureReader
from decoder.crypto.keyring import KeyRing
from decoder.engine import hot_path as pipeline
from decoder.engine.decoder import Decoder
from decoder.framing.framer import Framer
from tests.support import exchange as ex
from tests.support.segments import Talk

CAPTURES = Path(__file__).parents[3] / "captures"
RECORDINGS = sorted(path for path in CAPTURES.iterdir() if ".pcap" in path.suffixes or ".pcapng" in path.suffixes)


def records(capture: Path, damage: int | None) -> list[dict[str, object]]:
    keys = KeyRing([CAPTURES / "demo_rsa_key.pem"], sorted(CAPTURES.glob("*.keylog")))
    decoder = Decoder(keys=keys, ports=(11111, 33333, 44444))
    items = []
    for batch in CaptureReader(capture).batches():
        items += decoder.feed_batch(batch if damage is None else list(damaged(batch, damage)))
    items += decoder.flush()
    assert items
    return [item.record() for item in items]


def damaged(batch: list[tuple[int, int, bytes, int]], seed: int) -> Iterator[tuple[int, int, bytes, int]]:
    """One packet in ten is lost, doubled, cut, or has a bit flipped."""
    rng = random.Random(seed)
    for time_ns, linktype, data, wire_len in batch:
        choice = rng.randrange(40)
        if choice == 0:
            continue
        if choice == 1:
            yield time_ns, linktype, data, wire_len
        if choice == 2:
            data = data[: rng.randrange(len(data) + 1)]
        if choice == 3 and data:
            position = rng.randrange(len(data))
            data = data[:position] + bytes((data[position] ^ 1 << rng.randrange(8),)) + data[position + 1 :]
        yield time_ns, linktype, data, wire_len


@pytest.mark.parametrize("damage", [None, 1, 2, 3])
@pytest.mark.parametrize("capture", RECORDINGS, ids=lambda path: path.name)
def test_the_short_ways_change_nothing(capture: Path, damage: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0
    short_way = pipeline.emit_whole_messages

    def counted(connection: Any, half: Any, data: bytes, start: int, *rest: Any) -> int:
        nonlocal taken
        end = short_way(connection, half, data, start, *rest)
        taken += end - start
        return end

    monkeypatch.setattr(pipeline, "emit_whole_messages", counted)
    short = records(capture, damage)
    no_usual_message = ("quirk", "json-jam", "late-start", "websocket", "sample-key")
    assert damage is not None or taken > 0 or capture.name.startswith(no_usual_message)
    # Headers of packets through PacketReader, frames through Framer,
    monkeypatch.setattr(pipeline, "COMMON_LINKTYPE", -1)
    monkeypatch.setattr(pipeline, "emit_whole_messages", lambda connection, half, data, start, *_: start)
    # the start of a stream through Search.
    monkeypatch.setattr(Framer, "_starts_with", lambda self, data, offset: False)
    assert records(capture, damage) == short


def test_a_flipped_bit_in_the_headers_changes_both_ways_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk()
    for serial_no in (1, 2, 3):
        talk.c2s(ex.frame(1004, ex.keep_alive(), serial_no=serial_no)).s2c(
            ex.frame(1004, ex.keep_alive_answer(), serial_no=serial_no)
        )
    *before, packet, answer, last, _ = [segment.packet() for segment in talk.segments]
    ways = []
    for linktype in (pipeline.COMMON_LINKTYPE, -1):
        monkeypatch.setattr(pipeline, "COMMON_LINKTYPE", linktype)
        outcomes = []
        for bit in range(54 * 8):
            flipped = (int.from_bytes(packet, "little") ^ 1 << bit).to_bytes(len(packet), "little")
            batch = [(number, 1, data, len(data)) for number, data in enumerate([*before, flipped, answer, last], 1)]
            decoder = Decoder()
            items = decoder.feed_batch(batch) + decoder.flush()
            outcomes.append([item.record() for item in items])
        ways.append(outcomes)
    assert ways[0] == ways[1]
    assert len({str(outcome) for outcome in ways[0]}) > 3


@pytest.mark.parametrize("capture", RECORDINGS, ids=lambda path: path.name)
def test_messages_are_counted_within_their_connection(capture: Path) -> None:
    """By both ways that a message comes out: the hot loop, and all the others."""
    counts: Counter[int] = Counter()
    keys = [CAPTURES / "demo_rsa_key.pem"]
    items = decoder.read(capture, rsa_keys=keys, keylog=sorted(CAPTURES.glob("*.keylog")), ports=(11111, 33333, 44444))
    for number, message in enumerate((item for item in items if isinstance(item, decoder.Message)), 1):
        counts[message.connection] += 1
        assert (message.number, message.ordinal) == (number, counts[message.connection])
        assert pickle.loads(pickle.dumps(message)).ordinal == message.ordinal
    assert counts
