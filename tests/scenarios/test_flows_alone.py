"""A decoder of some flows gives what a decoder of all gives of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from decoder.capture.reader import CaptureReader
from decoder.crypto.keyring import KeyRing
from decoder.engine.decoder import Decoder
from decoder.message import Message
from decoder.packet import flow_key
from decoder.packet.dissector import PacketReader
from tests.support.recorded import CAPTURES, DEMO_KEY

RECORDINGS = sorted(path for path in CAPTURES.iterdir() if {".pcap", ".pcapng"} & set(path.suffixes))


def contents(path: Path, flows: set[bytes] | None) -> list[tuple[object, ...]]:
    """Ends, time, packets and text of each message."""
    keys = KeyRing([DEMO_KEY], sorted(CAPTURES.glob("*.keylog")))
    decoder = Decoder(keys=keys, ports=(11111, 33333, 44444), flows=flows)
    items = [item for batch in CaptureReader(path).batches() for item in decoder.feed_batch(batch)]
    return [
        (item.flow.src, item.flow.dst, item.flow.first_ns, item.time_ns, item.frames, item.plaintext)
        for item in (*items, *decoder.flush())
        if isinstance(item, Message)
    ]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_the_flows_of_a_capture_one_by_one_are_the_capture(path: Path) -> None:
    reader = PacketReader()
    keys = set()
    for batch in CaptureReader(path).batches():
        for number, (_, linktype, data, wire_len) in enumerate(batch):
            segment = reader.read(data, linktype, wire_len, number)
            if segment is not None:
                keys.add(segment[0])
    whole = contents(path, None)
    parts = []
    for key in {min(key, flow_key.reverse_key(key)) for key in keys}:
        part = contents(path, {key, flow_key.reverse_key(key)})
        ends = set(flow_key.endpoints(key))
        assert all({src, dst} == ends for src, dst, *_ in part)
        parts += part
    assert whole
    assert sorted(parts, key=repr) == sorted(whole, key=repr)
