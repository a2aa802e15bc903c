"""Random conversations, what networks and capture tools do to them, and a model that knows which messages are whole.

The model is plain bookkeeping on what was sent and which bytes of it the capture holds; it knows nothing of
how the decoder works.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random

from decoder import Gap, KeyRing, Message
from tests.support import exchange as ex
from tests.support.segments import FIN, START_NS, STEP_NS, Decoded, Segment, Talk

WINDOW = 64  # packets by which one may be displaced
MODES = ("plain", "FTAES_ECB", "AES_ECB", "AES_CBC", "no key")
PROTOCOLS = {"c2s": (1002, 1004, 3004, 8888), "s2c": (1002, 1004, 3004, 3005, 8888)}
"""3005 is a push; 8888 is not in the schema."""
INIT_CONNECT = 1001


@dataclass
class Sent:
    """A message as it was sent."""

    direction: str
    proto_id: int
    serial_no: int
    frame: bytes
    start: int
    """Offset in its direction's stream."""

    @property
    def end(self) -> int:
        return self.start + len(self.frame)

    @property
    def identity(self) -> tuple[str, int, int, str]:
        return self.direction, self.proto_id, self.serial_no, self.frame[16:36].hex()


def identity(message: Message) -> tuple[str, int, int, str]:
    return message.direction, message.proto_id, message.serial_no, str(message.sha1)


@cache
def keys() -> KeyRing:
    return KeyRing([ex.pem(ex.rsa_key())])


@dataclass
class Conversation:
    """What both sides said; `fmt` is 1 for JSON bodies."""

    mode: str
    fmt: int = 0
    messages: list[Sent] = field(default_factory=list)
    streams: dict[str, bytes] = field(default_factory=lambda: {"c2s": b"", "s2c": b""})

    @property
    def handshake_answer(self) -> Sent:
        """The message with the keys."""
        return self.messages[1]

    def send(self, direction: str, proto_id: int, serial_no: int, plain: bytes) -> None:
        sealed = None
        if self.mode != "plain":
            mode = self.mode if self.mode != "no key" else "AES_CBC"
            sealed = ex.rsa(plain, ex.rsa_key()) if proto_id == INIT_CONNECT else ex.MODES[mode](plain)
        frame = ex.frame(proto_id, plain, sealed, serial_no, 0 if proto_id == INIT_CONNECT else self.fmt)
        self.messages.append(Sent(direction, proto_id, serial_no, frame, len(self.streams[direction])))
        self.streams[direction] += frame


# What is said


def noise(rng: Random, size: int) -> bytes:
    """Random bytes, all of them from one draw."""
    return Random(rng.getrandbits(32)).randbytes(size)


def fake_header(rng: Random) -> bytes:
    """A header that is plausible, and nothing else: where it says that the next one stands there is none."""
    proto_id, size = rng.choice((1004, 3004, 9999)), rng.choice((0, 1, 50, 5000, 2**20))
    return ex.HEADER.pack(b"FT", proto_id, 0, 0, rng.getrandbits(32), size, noise(rng, 20), bytes(8))


def body(rng: Random, direction: str, fmt: int, *, quotes: bool) -> bytes:
    """A body: a real one of the vendor's classes, random bytes, one that holds what looks like headers and frames.

    A real one is that of a request or of a response, as its direction has it: where no SYN was captured it tells which
    end is the gateway.
    """
    kind = rng.choice(("real", "real", "none", "FT", "noise", "header", "quotes" if quotes else "real"))
    if kind == "none":
        return b""
    if kind == "FT":
        return b"FT" * rng.randrange(200)
    if kind == "noise":
        return noise(rng, rng.randrange(1, 3000))
    if kind == "header":
        return noise(rng, rng.randrange(60)) + fake_header(rng) + noise(rng, 60 + rng.randrange(100))
    if kind == "quotes":
        # What is quoted was sent on another connection.
        quoted = (ex.frame(1004, ex.keep_alive(n), serial_no=10**6 + n) for n in range(rng.randrange(1, 4)))
        return b"\x0a" + noise(rng, rng.randrange(30)) + b"".join(quoted) + b"\xff" * rng.randrange(1, 30)
    if direction == "c2s":
        user = rng.getrandbits(60)
        return json.dumps({"c2s": {"userID": str(user)}}).encode() if fmt else ex.state_request(user)
    text = "拒绝" * rng.randrange(40)
    return json.dumps({"retType": -1, "retMsg": text}).encode() if fmt else ex.refused("GetGlobalState", text)


def converse(rng: Random, mode: str, fmt: int, count: int, *, first: int = 1, quotes: bool = True) -> Conversation:
    """A handshake and `count` messages, of which those with a key may quote frames in clear only if `quotes`.

    Every serial number, from `first` on, is used once in a direction.
    """
    talk = Conversation(mode, fmt)
    talk.send("c2s", INIT_CONNECT, first, ex.init_request())
    talk.send("s2c", INIT_CONNECT, first, ex.init_response())
    for serial_no in range(first + 1, first + 1 + count):
        direction = rng.choice(("c2s", "s2c"))
        plain = body(rng, direction, fmt, quotes=quotes or mode != "plain")
        talk.send(direction, rng.choice(PROTOCOLS[direction]), serial_no, plain)
    return talk


# How it is sent


@dataclass
class Delivery:
    """A conversation on one TCP connection, and what a capture has of it."""

    talk: Conversation
    sent: list[Segment]
    """Whole, in order, once."""
    captured: list[Segment]
    numbers: list[int] = field(default_factory=list)
    """The packet number of each captured segment."""

    @property
    def origin(self) -> dict[str, int]:
        """The sequence number of the first byte of each direction (the SYNs are sent first)."""
        return {segment.direction: segment.seq + 1 for segment in self.sent[1::-1]}

    @property
    def begins(self) -> bool:
        """Whether the capture has the SYNs, before all else."""
        return self.captured[:2] == self.sent[:2]

    @property
    def in_order(self) -> bool:
        """Whether it has every segment in its turn, and once."""
        sent = iter(self.sent)
        return all(segment in sent for segment in self.captured)

    def first_copies(self) -> dict[str, list[int]]:
        """For each byte of each direction the number of the packet that brought it first, 0 where none did."""
        origin = self.origin
        found = {direction: [0] * len(stream) for direction, stream in self.talk.streams.items()}
        for number, segment in reversed(list(zip(self.numbers, self.captured, strict=True))):
            size = len(segment.payload) - segment.cut
            start = segment.seq - origin[segment.direction]
            if segment.tag != "bad" and size > 0:
                found[segment.direction][start : start + size] = [number] * size
        return found


def deliver(rng: Random, talk: Conversation, max_size: int, ports: tuple[int, int], isn: tuple[int, int]) -> Delivery:
    """The conversation in segments of `max_size` bytes at most, each acknowledging what came before; no more than
    some hundred of them."""
    way = Talk(isn=isn, ports=ports)
    due = {"c2s": b"", "s2c": b""}
    max_size = max(max_size, sum(map(len, talk.streams.values())) // 50)
    for message, following in zip(talk.messages, [*talk.messages[1:], None], strict=True):
        direction = message.direction
        due[direction] += message.frame
        if following is not None and following.direction == direction and rng.random() < 0.4:
            continue  # both go out at once
        while due[direction]:
            size = rng.randint(1, max_size)
            (way.c2s if direction == "c2s" else way.s2c)(due[direction][:size])
            due[direction] = due[direction][size:]
        if rng.random() < 0.5:
            way.ack("s2c" if direction == "c2s" else "c2s")
    way.fin()
    return Delivery(talk, way.segments, list(way.segments))


# What happens to it


def lose(rng: Random, segments: list[Segment], count: int) -> list[Segment]:
    lost = {rng.randrange(len(segments)) for _ in range(count)}
    return [segment for index, segment in enumerate(segments) if index not in lost]


def snap(segments: list[Segment], size: int) -> list[Segment]:
    return [segment.snapped(size) for segment in segments]


def repeat(rng: Random, delivery: Delivery, count: int) -> list[Segment]:
    """Up to `count` retransmissions, which may begin earlier and end earlier or later than what they repeat."""
    again: dict[int, list[Segment]] = {}
    origin, recent = delivery.origin, deque[int](maxlen=20)
    chosen = {rng.randrange(len(delivery.sent)) for _ in range(count)}
    for index, segment in enumerate(delivery.sent):
        if segment.payload:
            recent.append(index)
        if index not in chosen or not segment.payload:
            continue
        first = next(delivery.sent[at] for at in recent if delivery.sent[at].direction == segment.direction)
        base = origin[segment.direction]
        start = rng.randint(first.seq - base, segment.seq - base)
        end = rng.randint(segment.seq - base + 1, segment.seq - base + len(segment.payload))
        payload = delivery.talk.streams[segment.direction][start:end]
        again[index] = [segment if rng.random() < 0.5 else replace(segment, seq=base + start, payload=payload)]
    return [each for index, segment in enumerate(delivery.sent) for each in (segment, *again.get(index, ()))]


def conflict(rng: Random, delivery: Delivery, count: int) -> list[Segment]:
    """Up to `count` segments with a wrong byte, right before or after the good ones.

    They spare the bytes of headers on which neither SHA-1 nor length depends: of two copies of a serial number nobody
    can tell the right one.
    """
    spared: dict[str, set[int]] = {"c2s": set(), "s2c": set()}
    for message in delivery.talk.messages:
        spared[message.direction].update(range(message.start + 2, message.start + 12))
        spared[message.direction].update(range(message.start + 36, message.start + 44))
    origin, out = delivery.origin, []
    chosen = {rng.randrange(len(delivery.sent)) for _ in range(count)}
    for index, segment in enumerate(delivery.captured):
        base = segment.seq - origin[segment.direction]
        places = [at for at in range(len(segment.payload)) if base + at not in spared[segment.direction]]
        if index not in chosen or not places:
            out.append(segment)
            continue
        place = rng.choice(places)
        data = segment.payload
        flipped = bytes([data[place] ^ 1 << rng.randrange(8)])
        bad = replace(segment, payload=data[:place] + flipped + data[place + 1 :], tag="bad")
        # The receiver drops the bad one and acknowledges what was before it, until the good one comes.
        out += [bad, segment] if rng.random() < 0.7 else [segment, bad]
    return out


def mix(rng: Random, deliveries: list[Delivery], window: int = 1, *, from_syn: bool = False) -> list[Segment]:
    """The packets of connections that go on at the same time, none displaced by `window` packets or more.

    With `from_syn` a connection's first two packets stay where they are, before all others.
    """
    order = [which for which, delivery in enumerate(deliveries) for _ in delivery.captured]
    if len(deliveries) > 1:
        Random(rng.getrandbits(32)).shuffle(order)
    left = [iter(delivery.captured) for delivery in deliveries]
    packets = [(deliveries[which], next(left[which])) for which in order]
    if window > 1:
        fixed = 2 if from_syn else 0
        places = [at + (rng.randrange(window) if at >= fixed else 0) for at in range(len(packets))]
        packets = [packets[at] for _, at in sorted(zip(places, range(len(packets)), strict=True))]
    for delivery in deliveries:
        delivery.numbers = [number for number, (each, _) in enumerate(packets, 1) if each is delivery]
        delivery.captured = [segment for each, segment in packets if each is delivery]
    return [segment for _, segment in packets]


# What must come out


def check(deliveries: list[Delivery], decoded: Decoded, *, copies: bool = True) -> None:
    """Every whole message once, proven where a key allows; nothing that was not sent; in order, with its packets.

    Without `copies` (some bytes have several versions) which packets a message uses is open.
    """
    sent = [message.identity for delivery in deliveries for message in delivery.talk.messages]
    came = {identity(message): message for message in decoded.messages}
    assert len(came) == len(decoded.messages), "a message came out twice"
    assert not set(came) - set(sent), "something came out that was not sent"
    for delivery in deliveries:
        _check_whole(delivery, came, copies=copies)
        # What overtakes the very first packets can come out only after what came before it.
        if delivery.begins or delivery.in_order:
            for direction in ("c2s", "s2c"):
                own = [m.identity for m in delivery.talk.messages if m.direction == direction]
                places = [own.index(each) for each in came if each in own]
                assert places == sorted(places), "not in stream order"


def _check_whole(delivery: Delivery, came: dict[tuple[str, int, int, str], Message], *, copies: bool) -> None:
    first, talk = delivery.first_copies(), delivery.talk
    whole = [m for m in talk.messages if all(first[m.direction][m.start : m.end])]
    has_key = talk.mode == "plain" or (talk.mode != "no key" and talk.handshake_answer in whole)
    key_at = max(first["s2c"][: talk.handshake_answer.end])
    for sent in whole:
        numbers = sorted(set(first[sent.direction][sent.start : sent.end]))
        in_time = delivery.begins or talk.mode == "plain" or (delivery.in_order and numbers[-1] > key_at)
        if sent.identity not in came and not (has_key and in_time):
            # Without a key nothing but another header behind it can speak for a message after a hole.
            assert any(not all(numbers) for numbers in first.values())
            continue
        assert sent.identity in came, f"a whole message did not come out: {sent.identity}"
        message = came[sent.identity]
        if has_key or (talk.mode != "no key" and sent.proto_id == INIT_CONNECT):
            assert message.verdict == "verified", f"a whole message is {message.reason}"
        else:
            assert message.verdict == "unverified"
        if copies:
            assert message.frames == numbers
            assert message.time_ns == START_NS + numbers[-1] * STEP_NS


def check_gaps(delivery: Delivery, decoded: Decoded) -> None:
    """What came out of a connection and its gaps add up to what was sent, where SYN and FIN are in the capture."""
    first = delivery.first_copies()
    for direction, stream in delivery.talk.streams.items():
        came = {identity(message) for message in decoded.messages if message.direction == direction}
        sent = [message for message in delivery.talk.messages if message.direction == direction]
        ends = [segment for segment in delivery.captured if segment.direction == direction]
        if not came or not delivery.begins or not any(end.flags & FIN for end in ends):
            continue
        gaps = [item for item in decoded.items if isinstance(item, Gap) and item.direction == direction]
        lost = sum(gap.bytes or 0 for gap in gaps if gap.reason in ("lost", "snaplen"))
        assert lost == first[direction].count(0), "what is missing"
        used = sum(sum(map(bool, first[direction][m.start : m.end])) for m in sent if m.identity in came)
        passed = sum(gap.bytes or 0 for gap in gaps if gap.reason in ("resync", "mid-stream"))
        assert used + passed + lost == len(stream), "what was passed over"
