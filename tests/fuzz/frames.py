"""Target `frames`: the input is one direction's stream of bytes; reassembler and framer cut it into messages."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import sha1

from decoder import Decoder, Gap, KeyRing, Limits, Message
from decoder.framing.header import HEADER_LEN, MAGIC, plausible
from decoder.vocabulary import Direction
from tests.support.exchange import HEADER
from tests.support.segments import PSH, SYN, Segment

from .conversations import conversations
from .held import check_memory, check_messages

MAX_LEN = 700
_HEAD = struct.Struct(">BBB")  # options, sizes of the first segment and of the others
_LIMITS = (Limits(), Limits(max_memory=600, max_body=300, max_pending=300, max_resync_scan=300))
_ISN = 2**32 - 100
_MAX_CUTS = 20
_ETHERNET, _RAW_IP = 1, 101
_INIT_CONNECT = 1001


def check(data: bytes) -> None:
    """However a stream is cut into segments, the messages at its start come out, and nothing that is not in it."""
    if len(data) < _HEAD.size:
        return
    options, first, step = _HEAD.unpack_from(data)
    direction: Direction = "s2c" if options & 1 else "c2s"
    limits = _LIMITS[options >> 1 & 1]
    stream = data[_HEAD.size :]
    if options & 4:
        stream = _with_right_sha1(stream)
    begins = bool(options & 8)
    expected = _whole_at_start(stream, limits.max_body) if begins else []
    small = list(range(first + 1, len(stream), step + 1))[:_MAX_CUTS]
    # The decoder reads packets on Ethernet itself and has others read.
    for cuts, linktype in (([], _ETHERNET), (small, _ETHERNET if options & 16 else _RAW_IP)):
        items = _decoded(stream, cuts, direction, limits, begins, linktype)
        verified = [item for item in items if isinstance(item, Message) and item.verdict == "verified"]
        came = [(message.header, message.plaintext) for message in verified]
        tight = limits is _LIMITS[1] and len(cuts) > 0  # what small packets take beside their bytes may be too much
        assert tight or came[: len(expected)] == expected, "a whole message did not come out"
        used = 0
        for message in verified:
            # (An InitConnect in clear gives the key to a body that is not.)
            body = message.plaintext if message.encryption == "None" else b""
            assert HEADER.pack(*message.header) + (body or b"") in stream, (
                "something came out that is not in the stream"
            )
            used += HEADER_LEN + message.body_len
        assert used <= len(stream), "bytes were used twice"


def _with_right_sha1(stream: bytes) -> bytes:
    """The same with the hashes put right, as long as header follows header: what chance would take for ever to find."""
    mended = bytearray(stream)
    position = 0
    while len(stream) - position >= HEADER_LEN and stream[position : position + 2] == MAGIC:
        end = position + HEADER_LEN + HEADER.unpack_from(stream, position)[5]
        if end > len(stream):
            break
        mended[position + 16 : position + 36] = sha1(stream[position + HEADER_LEN : end]).digest()
        position = end
    return bytes(mended)


def _whole_at_start(stream: bytes, max_body: int) -> list[tuple[object, bytes]]:
    """The messages from the start on, up to the first one that is in doubt; once keys were handed out, any may be."""
    found: list[tuple[object, bytes]] = []
    position = 0
    while len(stream) - position >= HEADER_LEN:
        header = HEADER.unpack_from(stream, position)
        end = position + HEADER_LEN + header[5]
        body = stream[position + HEADER_LEN : end]
        if not plausible(header, max_body) or end > len(stream) or sha1(body).digest() != header[6]:
            break
        found.append((header, body))
        if header[1] == _INIT_CONNECT:
            break
        position = end
    return found


def _decoded(
    stream: bytes, cuts: list[int], direction: Direction, limits: Limits, begins: bool, linktype: int
) -> list[Message | Gap]:
    decoder = Decoder(keys=KeyRing(), limits=limits)
    segments = [Segment(direction, _ISN - 1, b"", SYN)] if begins else []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        segments.append(Segment(direction, _ISN + start, stream[start:end], PSH | 0x10))
    items: list[Message | Gap] = []
    for number, segment in enumerate(segments, 1):
        packet = segment.packet()
        items += decoder.feed(packet if linktype == _ETHERNET else packet[14:], number, linktype)
        check_memory(decoder, len(packet))
    items += decoder.flush()
    check_messages(items, len(segments))
    skipped = sum(item.bytes or 0 for item in items if isinstance(item, Gap))
    assert skipped <= len(stream), "gaps where nothing is missing"
    claimed = [HEADER_LEN + item.body_len for item in items if isinstance(item, Message)]
    assert not claimed or sum(claimed) + skipped >= len(stream), "bytes came out in no message and no gap"
    return items


def seeds() -> Iterator[bytes]:
    """Runs of recorded messages, from the start and from their middle, whole and damaged."""
    for index, conversation in enumerate(conversations()[::3]):
        for direction, stream in conversation.streams.items():
            side = direction == "s2c"
            yield _HEAD.pack(side | 8, 43, 99) + stream[:400]
            yield _HEAD.pack(side | 12, 9, 250) + stream[index * 10 : 500]
            yield _HEAD.pack(side, 20, 60) + stream[len(stream) // 2 :][:300]
    frame = min((frame for _, frame in conversations()[0].frames), key=len)
    for length in (0, 1, 255, 2**16, 2**31, 2**32 - 1):
        damaged = frame[:12] + struct.pack("<I", length) + frame[16:]
        yield _HEAD.pack(8, 30, 30) + frame + damaged + frame * 3
        yield _HEAD.pack(11, 255, 255) + damaged + frame + damaged
    swallowing = HEADER.pack(MAGIC, 1004, 0, 0, 5, len(frame) + 80, bytes(20), bytes(8))
    yield _HEAD.pack(8, 0, 0) + swallowing + frame * 3
