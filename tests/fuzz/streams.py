"""Target `streams`: the input says how the segments of a conversation are captured; the whole decoder reads them."""

from __future__ import annotations

import copy
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import gcd

from Crypto.PublicKey import RSA
from Crypto.PublicKey.RSA import RsaKey

from decoder import Decoder, Gap, KeyRing, Limits, Message
from decoder.crypto import ciphers as cipher
from decoder.crypto import rsa_trials
from decoder.crypto.ciphers import SessionKey
from decoder.vocabulary import Direction
from tests.support.segments import ACK, FIN, START_NS, STEP_NS, SYN, Segment

from . import printed, recordings
from .conversations import Conversation, conversations
from .held import check_memory, check_messages

MAX_LEN = 250
_MAX_SEGMENTS = 25
_PRINTED = 8
_HEAD = struct.Struct(">BB")  # which conversation (and whether from its middle on), options
_SEGMENT = struct.Struct(">BBhbBH")  # what, flags but ACK, place, acknowledgement, cut or changed byte, length
_STAY, _CHANGE, _OTHER_PORT, _FAR, _AGAIN = 0x08, 0x10, 0x20, 0x40, 0x80
_SLICE, _FRAME, _RAW, _NOTHING = range(4)
_ISN: dict[Direction, int] = {"c2s": 2**32 - 500, "s2c": 5_000}  # one of them wraps on the way
_LIMITS = (
    Limits(),
    Limits(reorder_packets=3),
    Limits(max_memory=1_500, max_body=3_000, max_pending=1_000, max_held_bytes=3_000, reorder_packets=8),
    Limits(max_body=500, max_pending=500, max_held=3, max_resync_scan=400, max_connections=1, max_pending_requests=2),
)


def _remembered(decrypt: Callable[[RsaKey, bytes], bytes | None]) -> Callable[[RsaKey, bytes], bytes | None]:
    """An RSA operation takes longer than all else together, and the same ones come again and again."""
    known: dict[tuple[object, bytes], bytes | None] = {}

    def decrypted(key: RsaKey, body: bytes) -> bytes | None:
        # The keys here have the same modulus, but not the same exponent.
        if (key.e, body) not in known:
            if len(known) > 10_000:
                known.clear()
            known[key.e, body] = decrypt(key, body)
        return known[key.e, body]

    return decrypted


rsa_trials.rsa_decrypt = _remembered(cipher.rsa_decrypt)  # type: ignore[assignment, attr-defined]
rsa_trials.rsa_decrypt_oaep = _remembered(cipher.rsa_decrypt_oaep)  # type: ignore[assignment, attr-defined]


@dataclass
class _Ends:
    """One connection: where each direction's stream stands."""

    port: int
    position: dict[Direction, int]


@dataclass
class _Capture:
    """The segments that an input describes."""

    conversation: Conversation
    segments: list[Segment] = field(default_factory=list)
    honest: bool = True
    """Whether every byte is the one that was sent at its place."""


def check(data: bytes) -> None:
    """No exception, no more memory than allowed, nothing that was not sent, and everything can be printed."""
    if len(data) < _HEAD.size:
        return
    which, options = _HEAD.unpack_from(data)
    capture = _capture(data[_HEAD.size :], conversations()[(which & 0x7F) % len(conversations())], which >> 7)
    decoder = _decoder(options)
    items: list[Message | Gap] = []
    for number, segment in enumerate(capture.segments, 1):
        packet = segment.packet()
        items += decoder.feed(packet[: len(packet) - segment.cut], START_NS + number * STEP_NS, 1, len(packet), number)
        check_memory(decoder, len(packet))
    items += decoder.flush()
    assert decoder._table.buffered == 0
    assert not decoder._table.entries
    summary = decoder.summary
    assert summary.packets == len(capture.segments)
    assert summary.messages + summary.gaps == len(items)
    assert all(line.isprintable() for line in (*summary.reports, *summary.not_opend))
    check_messages(items, len(capture.segments))
    asked = any(each.direction == "s2c" and each.flags & (SYN | ACK) == SYN for each in capture.segments)
    if capture.honest and not (asked or options & 0x80):  # then SYNs decide, not the port, which side is the gateway
        _check_sent(items, capture.conversation)
    if options & 7 < len(printed.FORMATS):
        printed.check(items[:_PRINTED], printed.FORMATS[options & 7])
    else:
        _check_other_road(items, capture, _decoder(options))


def _decoder(options: int) -> Decoder:
    connections: list[object] = []
    return Decoder(
        keys=_keys(options >> 5 & 3),
        ports="auto" if options & 0x80 else (11111,),
        limits=_LIMITS[options >> 3 & 3],
        on_connection=connections.append,
        on_retransmission=lambda _: None,
    )


def _check_other_road(items: Sequence[Message | Gap], capture: _Capture, decoder: Decoder) -> None:
    """All packets at once and behind a VLAN tag, which the decoder's short way does not read, give the same."""
    batch = []
    for number, segment in enumerate(capture.segments, 1):
        packet = segment.packet(vlan=7)
        batch.append((START_NS + number * STEP_NS, 1, packet[: len(packet) - segment.cut], len(packet)))
    again = decoder.feed_batch(batch) + decoder.flush()
    assert [item.record() for item in items] == [item.record() for item in again]


def _keys(which: int) -> KeyRing:
    ring = copy.copy(_RINGS[which])
    ring.harvested = []
    return ring


def _rings() -> list[KeyRing]:
    """The right key, none, a key log, and a wrong key."""
    right, key_log = KeyRing([recordings.DEMO_KEY]), KeyRing()
    for conversation in conversations():
        decoder = Decoder(keys=right)
        for direction, frame in conversation.frames[:4]:
            decoder.feed(Segment(direction, _ISN[direction], frame).packet(), 0)
        decoder.flush()
    key_log.log = [SessionKey(1, b"not this one now", bytes(16)), *dict.fromkeys(right.harvested)]
    return [right, KeyRing(), key_log, KeyRing([_wrong_key()])]


def _wrong_key() -> bytes:
    """The demo key with another exponent: what it opens is noise."""
    key = RSA.import_key(recordings.DEMO_KEY)
    exponent = next(e for e in (17, 257, 65539) if gcd(e, int((key.p - 1) * (key.q - 1))) == 1)
    inverse = pow(exponent, -1, int((key.p - 1) * (key.q - 1)))
    return RSA.construct((int(key.n), exponent, inverse)).export_key()


_RINGS = _rings()


def _check_sent(items: Sequence[Message | Gap], conversation: Conversation) -> None:
    """What is verified was sent, and comes out of a connection no oftener than that."""
    came = Counter(
        (item.connection, (item.direction, item.proto_id, item.serial_no, item.header[6]))
        for item in items
        if isinstance(item, Message) and item.verdict == "verified"
    )
    for (_, key), count in came.items():
        assert count <= conversation.sent.get(key, 0), f"{key[:3]} came out {count} times"


def _capture(data: bytes, conversation: Conversation, middle: int) -> _Capture:
    capture = _Capture(conversation)
    start: dict[Direction, int] = {
        direction: len(stream) // 2 * middle for direction, stream in conversation.streams.items()
    }
    ends = (_Ends(50112, dict(start)), _Ends(50113, dict(start)))
    position = 0
    while position + _SEGMENT.size <= len(data) and len(capture.segments) < _MAX_SEGMENTS:
        fields = _SEGMENT.unpack_from(data, position)
        position += _SEGMENT.size
        raw = b""
        if fields[0] >> 1 & 3 == _RAW:
            raw = data[position : position + (fields[5] & 0xFF)]
            position += len(raw)
        segment = _segment(capture, ends[bool(fields[0] & _OTHER_PORT)], fields, raw)
        capture.segments += [segment] * (2 if fields[0] & _AGAIN else 1)
    return capture


def _segment(capture: _Capture, ends: _Ends, fields: tuple[int, ...], raw: bytes) -> Segment:
    what, flags, place, ack, mark, length = fields
    direction: Direction = "s2c" if what & 1 else "c2s"
    other: Direction = "c2s" if what & 1 else "s2c"
    stream = capture.conversation.streams[direction]
    at = ends.position[direction] + place * (65_536 if what & _FAR else 1)
    kind = what >> 1 & 3
    if kind == _FRAME:
        frames = [frame for each, frame in capture.conversation.frames if each == direction]
        payload = frames[length % len(frames)]
        at = stream.index(payload)
    elif kind == _SLICE:
        # Before the start there is nothing, so the slice begins there.
        at = max(at, 0)
        payload = stream[at : at + length]
    else:
        payload = raw
    capture.honest &= not raw
    cut = 0
    if what & _CHANGE and payload:
        changed = mark % len(payload)
        payload = payload[:changed] + bytes([payload[changed] ^ 0x41]) + payload[changed + 1 :]
        capture.honest = False
    elif payload:
        cut = min(mark, len(payload))
    if not what & _STAY:
        ends.position[direction] = min(max(at, 0) + len(payload), len(stream))
    flags ^= ACK
    return Segment(
        direction,
        _ISN[direction] + at - bool(flags & SYN),
        payload,
        flags & 0x3F,
        _ISN[other] + ends.position[other] + 16 * ack,
        cut,
        (ends.port, 11111),
    )


def seeds() -> Iterator[bytes]:
    """Each conversation in seven ways; on unknown ports; and what is none."""
    for index, conversation in enumerate(conversations()):
        whole = [(int(direction == "s2c"), len(frame)) for direction, frame in conversation.frames][:9]
        for way, segments in enumerate(_ways(whole)):
            options = way % 5 | (index + way) % 4 << 3 | (index * 7 + way) % 4 << 5
            yield _HEAD.pack(index | 0x80 * (way == 2), options) + _OPENING + b"".join(segments)
    yield _HEAD.pack(0, 0x80) + b"".join(_put(_FRAME << 1 | side, length=n) for n in range(4) for side in (0, 1))
    for text in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", conversations()[0].frames[0][1][:50]):
        raw = _put(_RAW << 1, length=len(text)) + text
        yield _HEAD.pack(0, 0) + raw * 3 + _put(0, length=500)


def _ways(whole: list[tuple[int, int]]) -> Iterator[list[bytes]]:
    """In order, to the end; in small segments; with copies; with a loss; reordered; cut; damaged."""
    packets = [_put(side, length=size) for side, size in whole]
    yield [*packets, _put(_NOTHING << 1, FIN), _put(1 | _NOTHING << 1, FIN)]
    yield [_put(side, length=min(100, size - at)) for side, size in whole[:4] for at in range(0, size, 100)]
    yield [_put(side | _AGAIN, place=-5, length=size + 5) for side, size in whole]
    yield [_put(side, place=7 * (n == 5), length=size) for n, (side, size) in enumerate(whole)]
    yield packets[:3] + packets[:2:-1]
    yield [_put(side, mark=n % 3 * 9, length=size) for n, (side, size) in enumerate(whole)]
    yield [_put(side | _CHANGE * (n == 6), mark=60, length=size) for n, (side, size) in enumerate(whole)]


def _put(what: int, flags: int = 0, place: int = 0, ack: int = 0, mark: int = 0, length: int = 0) -> bytes:
    return _SEGMENT.pack(what, flags, place, ack, mark, length)


_OPENING = _put(_NOTHING << 1, SYN ^ ACK) + _put(1 | _NOTHING << 1, SYN) + _put(_NOTHING << 1)
