"""Target `websockets`: the input is what one direction sends after the upgrade, and where to cut it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from decoder import Decoder, Gap, KeyRing, Limits, Message
from tests.support.exchange import frame
from tests.support.segments import Segment, Talk
from tests.support.websocket import ACCEPTED, DEFLATE, NO_TAKEOVER, UPGRADE, Deflater, reply, request, ws

from .held import check_memory, check_messages

MAX_LEN = 700
_HEAD = struct.Struct(">BBB")  # options, sizes of the first segment and of the others
_LIMITS = (Limits(max_body=5_000), Limits(max_memory=600, max_body=300, max_pending=300))
_ANSWERS = (ACCEPTED, DEFLATE, NO_TAKEOVER, ACCEPTED[:-2])
_MAX_CUTS = 20


def check(data: bytes) -> None:
    """However the bytes are cut into segments, the same messages come out, and no more bytes than could be inflated."""
    if len(data) < _HEAD.size:
        return
    options, first, step = _HEAD.unpack_from(data)
    direction = "s2c" if options & 1 else "c2s"
    limits = _LIMITS[options >> 1 & 1]
    stream, late = data[_HEAD.size :], bool(options & 4)
    small = list(range(first + 1, len(stream), step + 1))[:_MAX_CUTS]
    runs = []
    for cuts in ([], small):
        items = _decoded(stream, cuts, direction, limits, _ANSWERS[options >> 3 & 3], late)
        runs.append([(item.header, item.plaintext, item.error) for item in items if isinstance(item, Message)])
        for item in items:
            if isinstance(item, Message):
                assert item.plaintext is None or len(item.plaintext) <= limits.max_body
                assert item.direction == direction
        gaps = sum(item.bytes or 0 for item in items if isinstance(item, Gap))
        assert gaps <= len(stream) + len(UPGRADE) + len(ACCEPTED), "gaps where nothing is missing"
    if not late and limits is _LIMITS[0]:
        assert runs[0] == runs[1], "what comes out depends on the segments"


def _decoded(
    stream: bytes, cuts: list[int], direction: str, limits: Limits, answer: bytes, late: bool
) -> list[Message | Gap]:
    talk = Talk(syn=not late)
    if not late:
        talk.c2s(UPGRADE).s2c(answer)
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        (talk.s2c if direction == "s2c" else talk.c2s)(stream[start:end])
    segments: list[Segment] = talk.segments
    decoder = Decoder(keys=KeyRing(), limits=limits)
    items: list[Message | Gap] = []
    for number, segment in enumerate(segments, 1):
        packet = segment.packet()
        items += decoder.feed(packet, number)
        check_memory(decoder, len(packet) + len(stream))  # an answer to the upgrade lets the other side go on
    items += decoder.flush()
    assert decoder._table.buffered == 0
    check_messages(items, len(segments))
    return items


def seeds() -> Iterator[bytes]:
    """Runs of messages: whole and in fragments, compressed and not, with control frames between; late; damaged."""
    body = b"\n\x02\x08\x00" + bytes(range(40))
    for side, make in ((0, request), (1, reply)):
        masked = side == 0
        plain = [make(3004 + number, number, body) for number in range(3)]
        framed = [frame(3004, body, serial_no=number) for number in range(3)]
        ping = ws(b"ping", 9, masked=masked)
        whole = b"".join(ws(each, masked=masked) for each in (*plain, *framed))
        parts = [ws(plain[0][:30], masked=masked, fin=False), ping, ws(plain[0][30:], 0, masked=masked)]
        for late in (0, 4):
            yield _HEAD.pack(side | late, 43, 99) + whole
            yield _HEAD.pack(side | late, 0, 30) + b"".join(parts) + ping + whole
            yield _HEAD.pack(side | late | 2, 9, 50) + b"".join(parts) + whole
            for answer, takeover in ((1, True), (2, False)):
                deflate = Deflater(takeover=takeover)
                small = b"".join(ws(deflate(each), masked=masked, compressed=True) for each in plain)
                yield _HEAD.pack(side | late | answer << 3, 20, 60) + small + whole[:200]
        bomb = ws(Deflater()(bytes(20_000)), masked=masked, compressed=True)
        yield _HEAD.pack(side | 8, 3, 100) + bomb + whole[:300]
        yield _HEAD.pack(side, 3, 100) + b"\x82" + (b"\xff" if masked else b"\x7f") + b"\0" * 4 + whole
        yield _HEAD.pack(side, 3, 100) + ws(b'{"text": 1}', 1, masked=masked) + ws(b"", 8, masked=masked) + whole
