"""A parser of WebSocket frames inflates them, and can be copied to where the capture goes on."""

from __future__ import annotations

import copy
from itertools import pairwise
from random import Random

import pytest

from decoder.framing.websocket_frames import frame_head
from decoder.framing.websocket_parser import FrameParser
from decoder.framing.websocket_upgrade import Upgrade
from tests.support.websocket import Deflater, ws


def parser(*, takeover: bool = True) -> FrameParser:
    upgrade = Upgrade()
    upgrade.answered = upgrade.accepted = upgrade.deflate = True
    upgrade.server_takeover = takeover
    return FrameParser(upgrade, 1_000_000, from_client=False)


def parse(one: FrameParser, sent: bytes) -> bytes:
    from websockets.streams import StreamReader

    stream = StreamReader()
    stream.feed_data(sent)
    head = frame_head(stream.buffer, 0)
    assert head is not None
    data = bytes(one.parse(stream, head).data)
    assert not stream.buffer
    return data


def moved(one: FrameParser) -> FrameParser:
    """A parser made of another's state alone."""
    other = FrameParser.__new__(FrameParser)
    other.__setstate__(copy.deepcopy(one.__getstate__()))
    return other


def texts(count: int, size: int) -> list[bytes]:
    """Messages that repeat parts of those before them, some of them 30 KB back."""
    rng = Random(7)
    words = [rng.randbytes(200) for _ in range(20)]
    return [b"".join(rng.choices(words, k=size // 200)) for _ in range(count)]


@pytest.mark.parametrize("takeover", [True, False])
def test_moved_after_every_message(takeover: bool) -> None:
    deflate, one = Deflater(takeover=takeover), parser(takeover=takeover)
    for text in texts(40, 4_000):
        assert parse(one, ws(deflate(text), compressed=True)) == text
        one = moved(one)


@pytest.mark.parametrize("takeover", [True, False])
def test_moved_between_the_fragments_of_a_message(takeover: bool) -> None:
    deflate, one = Deflater(takeover=takeover), parser(takeover=takeover)
    for text in texts(8, 20_000):
        sent = deflate(text)
        cuts = [0, 10, len(sent) // 2, len(sent) // 2, len(sent)]
        found = b""
        for place, (start, end) in enumerate(pairwise(cuts)):
            first, last = place == 0, place == len(cuts) - 2
            found += parse(one, ws(sent[start:end], 2 if first else 0, fin=last, compressed=first))
            one = moved(one)
        assert found == text


def test_the_window_is_bounded_and_counted() -> None:
    deflate, one = Deflater(), parser()
    assert one.buffered == 0
    for text in texts(40, 4_000):
        parse(one, ws(deflate(text), compressed=True))
    assert 48 * 1024 + 32 * 1024 <= one.buffered <= 48 * 1024 + 37 * 1024
    assert len(one.__getstate__()["_window"]) == 32 * 1024
    one.reset()
    assert one.buffered == 0


def test_without_compression_nothing_is_kept() -> None:
    one = parser()
    assert parse(one, ws(b"plain")) == b"plain"
    assert one.__getstate__()["_window"] == b""
    assert parse(moved(one), ws(b"again")) == b"again"
