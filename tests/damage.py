"""Random conversations, random damage to their captures, and a model that knows which messages are whole.

The model is plain bookkeeping on what was sent and which bytes of it the capture holds; it knows nothing of
how the decoder works.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random

import exchange as ex
from segments import ACK, FIN, PSH, SYN, Decoded, Segment

from decoder import KeyRing, Message

WINDOW = 64  # packets by which one may be displaced
MODES = ("plain", "FTAES_ECB", "AES_CBC", "no key")


@dataclass
class Sent:
    """A message as it was sent."""

    direction: str
    proto_id: int
    serial_no: int
    frame: bytes
    start: int = 0
    """Offset in its direction's stream."""

    @property
    def end(self) -> int:
        return self.start + len(self.frame)

    @property
    def identity(self) -> tuple[str, int, int, bytes]:
        return self.direction, self.proto_id, self.serial_no, self.frame[16:36]


@cache
def rsa_pem() -> bytes:
    return ex.pem(ex.rsa_key())


@dataclass
class Conversation:
    """What both sides sent."""

    mode: str
    messages: list[Sent] = field(default_factory=list)
    streams: dict[str, bytes] = field(default_factory=lambda: {"c2s": b"", "s2c": b""})

    def send(self, direction: str, proto_id: int, serial_no: int, plain: bytes) -> None:
        sealed = None
        if proto_id == 1001:
            sealed = None if self.mode == "plain" else ex.rsa(plain, ex.rsa_key())
        elif self.mode in ("FTAES_ECB", "AES_CBC", "no key"):
            sealed = ex.MODES[self.mode if self.mode != "no key" else "AES_CBC"](plain)
        frame = ex.frame(proto_id, plain, sealed, serial_no)
        self.messages.append(Sent(direction, proto_id, serial_no, frame, len(self.streams[direction])))
        self.streams[direction] += frame

    @property
    def keys(self) -> KeyRing:
        return KeyRing() if self.mode in ("plain", "no key") else KeyRing([rsa_pem()])


def fake_header(rng: Random) -> bytes:
    """A header that is plausible, and nothing else."""
    return ex.HEADER.pack(
        b"FT", rng.choice((1004, 3004, 9999)), 0, 0, rng.randrange(2**32), rng.choice((0, 1, 50, 5000, 2**20)),
        rng.randbytes(20), bytes(8),
    )  # fmt: skip


def body(rng: Random, earlier: list[bytes], *, quotes: bool) -> bytes:
    """A body: real ones of the vendor's classes, random bytes, and bodies that look like headers and frames."""
    kind = rng.randrange(8)
    if kind == 0:
        return b""
    if kind == 1:
        return ex.keep_alive(rng.randrange(2**32))
    if kind == 2:
        return ex.refused("GetGlobalState", "拒绝" * rng.randrange(40))
    if kind == 3:
        return b"FT" * rng.randrange(200)
    if kind == 4:
        return rng.randbytes(rng.randrange(1, 3000))
    if kind == 5:
        return rng.randbytes(rng.randrange(60)) + fake_header(rng) + rng.randbytes(rng.randrange(100))
    if kind == 6 and quotes and earlier:
        quoted = b"".join(rng.choice(earlier) for _ in range(rng.randrange(1, 4)))
        return b"\x0a" + rng.randbytes(rng.randrange(30)) + quoted + b"\xff" * rng.randrange(1, 30)
    return ex.state_request(rng.randrange(2**60))


def converse(rng: Random, mode: str, count: int, *, quotes: bool = True) -> Conversation:
    """A handshake and `count` messages; every serial number is used once in a direction."""
    talk = Conversation(mode)
    talk.send("c2s", 1001, 1, ex.init_request())
    talk.send("s2c", 1001, 1, ex.init_response())
    # What is quoted was sent on another connection; only without encryption it shows.
    earlier = [ex.frame(1004, ex.keep_alive(n), serial_no=10**6 + n) for n in range(5)]
    for serial_no in range(2, count + 2):
        direction = rng.choice(("c2s", "s2c"))
        talk.send(direction, rng.choice((1002, 1004, 3004, 3005, 8888)), serial_no, body(rng, earlier, quotes=quotes))
    return talk


def packets(
    rng: Random, talk: Conversation, *, max_size: int = 1460, isn: tuple[int, int] | None = None
) -> list[Segment]:
    """The conversation as segments, in the order in which they were sent, each acknowledging what came before."""
    isns = isn or (rng.choice((rng.randrange(2**32), 2**32 - rng.randrange(3000))), rng.randrange(2**32))
    start = {"c2s": isns[0] + 1, "s2c": isns[1] + 1}
    sent = {"c2s": 0, "s2c": 0}
    out = [
        Segment("c2s", isns[0], b"", SYN),
        Segment("s2c", isns[1], b"", SYN | ACK, start["c2s"]),
        Segment("c2s", start["c2s"], b"", ACK, start["s2c"]),
    ]

    def put(direction: str, data: bytes, flags: int) -> None:
        other = "s2c" if direction == "c2s" else "c2s"
        out.append(Segment(direction, start[direction] + sent[direction], data, flags, start[other] + sent[other]))
        sent[direction] += len(data)

    due = {"c2s": b"", "s2c": b""}
    for position, message in enumerate(talk.messages):
        direction = message.direction
        due[direction] += message.frame
        following = talk.messages[position + 1] if position + 1 < len(talk.messages) else None
        if following is not None and following.direction == direction and rng.random() < 0.4:
            continue  # both go out at once
        while due[direction]:
            size = rng.randint(1, max_size)
            put(direction, due[direction][:size], PSH | ACK)
            due[direction] = due[direction][size:]
        if rng.random() < 0.5:
            put("s2c" if direction == "c2s" else "c2s", b"", ACK)
    put("c2s", b"", FIN | ACK)
    sent["c2s"] += 1
    put("s2c", b"", FIN | ACK)
    return out


# Damage


def reorder(rng: Random, segments: list[Segment], window: int = WINDOW) -> list[Segment]:
    places = [(index + rng.randrange(window), index) for index in range(len(segments))]
    return [segments[index] for _, index in sorted(places)]


def duplicate(
    rng: Random, segments: list[Segment], *, conflicts: int = 0, talk: Conversation | None = None
) -> list[Segment]:
    """Copies with the same or other boundaries, of the same bytes or (before or after the good ones) of others.

    There are up to `conflicts` of these others.  Where `talk` is given, they spare the bytes of headers on which
    neither SHA-1 nor length depends: of two copies of a serial number nobody can tell the right one.
    """
    headers: dict[str, set[int]] = {"c2s": set(), "s2c": set()}
    for message in talk.messages if talk is not None else ():
        headers[message.direction].update(range(message.start + 2, message.start + 12))
        headers[message.direction].update(range(message.start + 36, message.start + 44))
    out: list[Segment] = []
    bases: dict[str, int] = {}
    streams: dict[str, bytearray] = {"c2s": bytearray(), "s2c": bytearray()}
    recent: deque[tuple[str, int]] = deque(maxlen=20)
    for segment in segments:
        data = segment.payload
        if not data:
            out.append(segment)
            continue
        stream = streams[segment.direction]
        base = bases.setdefault(segment.direction, segment.seq)
        recent.append((segment.direction, len(stream)))
        stream += data
        again = segment
        if rng.random() < 0.3:  # a retransmission that begins earlier and ends earlier or later
            first = next(start for direction, start in recent if direction == segment.direction)
            start = rng.randint(first, len(stream) - 1)
            end = rng.randint(start + 1, len(stream))
            again = replace(segment, seq=base + start, payload=bytes(stream[start:end]))
        if conflicts and rng.random() < 0.1:
            conflicts -= 1
            position = len(stream) - len(data)
            arbitrable = [at for at in range(len(data)) if position + at not in headers[segment.direction]]
            if not arbitrable:
                out.append(segment)
                continue
            bad = replace(segment, payload=flipped(rng, data, rng.choice(arbitrable)), tag="bad")
            # The receiver drops the bad one and acknowledges what was before it, until the good one comes.
            out += [bad, replace(segment, tag="good")] if rng.random() < 0.7 else [segment, bad]
            continue
        out.append(segment)
        if rng.random() < 0.2:
            out.append(again)
    return out


def flipped(rng: Random, data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1 << rng.randrange(8)]) + data[position + 1 :]


def lose(rng: Random, segments: list[Segment], rate: float = 0.05) -> list[Segment]:
    return [segment for segment in segments if rng.random() >= rate]


def snap(segments: list[Segment], size: int) -> list[Segment]:
    return [segment.snapped(size) for segment in segments]


# The model


def whole(talk: Conversation, sent: list[Segment], captured: list[Segment]) -> list[Sent]:
    """The messages of which every byte is in the capture, in the order in which they were sent."""
    origin: dict[str, int] = {}
    for segment in sent:
        origin.setdefault(segment.direction, segment.seq + 1)  # the SYNs come first
    have = {direction: bytearray(len(stream)) for direction, stream in talk.streams.items()}
    for segment in captured:
        data = segment.payload[: len(segment.payload) - segment.cut]
        start = segment.seq - origin[segment.direction]
        if segment.tag != "bad" and data:
            have[segment.direction][start : start + len(data)] = b"\1" * len(data)
    return [m for m in talk.messages if all(have[m.direction][m.start : m.end])]


def identity(message: Message) -> tuple[str, int, int, bytes]:
    return message.direction, message.proto_id, message.serial_no, bytes.fromhex(message.sha1)


def check(talk: Conversation, expected: list[Sent], decoded: Decoded, *, in_order: bool = True) -> None:
    """Every whole message came out once, proven where a key allows; and nothing that was not sent."""
    sent = [message.identity for message in talk.messages]
    came = [identity(message) for message in decoded.messages]
    assert len(set(came)) == len(came), "a message came out twice"
    assert not set(came) - set(sent), "something came out that was not sent"
    provable = [m for m in decoded.messages if m.verdict == ("unverified" if talk.mode == "no key" else "verified")]
    missing = {message.identity for message in expected} - {identity(message) for message in provable}
    assert not missing, f"{len(missing)} whole messages did not come out: {sorted(m[:3] for m in missing)}"
    if in_order:
        for direction in ("c2s", "s2c"):
            places = [sent.index(each) for each in came if each[0] == direction]
            assert places == sorted(places), "not in stream order"
