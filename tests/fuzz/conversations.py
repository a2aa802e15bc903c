"""What both ends of a connection send: recorded messages, sealed in every way that a client or gateway does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1
from random import Random

from Crypto.Cipher import PKCS1_v1_5
from Crypto.PublicKey import RSA

from decoder import Decoder, KeyRing, Message
from decoder.body.body import Body
from decoder.vocabulary import Direction
from tests.support.exchange import HEADER, cbc, ecb, ecb_zero_padded, ftaes

from . import recordings

MAX_STREAM = 5_000
"""Bytes of one direction: what is tried is how they arrive, not how many they are."""
_MAX_BODY = 1_200
_INIT_CONNECT = 1001
_SOURCES = (("twice.pcap", 0), ("json.pcap", 0), ("mixed.pcap", 2), ("reconnect.pcap.gz", 0))
Seal = Callable[[bytes, bytes, bytes], bytes]  # body, key, iv
_SEALS: dict[str, Seal | None] = {
    "clear": None,
    "FTAES_ECB": lambda body, key, _: ftaes(body, key),
    "AES_CBC": cbc,
    "AES_ECB": lambda body, key, _: ecb(body, key),
    "zero padded": lambda body, key, _: ecb_zero_padded(body, key),
    "hashes what it sends": cbc,
    "seals the request only": None,
}


@dataclass
class Conversation:
    """What both ends of one connection send."""

    name: str
    streams: dict[Direction, bytes] = field(default_factory=lambda: {"c2s": b"", "s2c": b""})
    frames: list[tuple[Direction, bytes]] = field(default_factory=list)
    """Header and body of each message, in order."""
    sent: dict[tuple[str, int, int, bytes], int] = field(default_factory=dict)
    """Direction, protocol id, serial number and SHA-1 of each, and how often."""

    def send(self, message: Message, body: bytes, hashed: bytes) -> None:
        """Add a recorded message, with `body` as it goes over the wire."""
        digest = sha1(hashed).digest()
        proto_id, body_format, serial_no = message.proto_id, message.header[2], message.serial_no
        frame = HEADER.pack(b"FT", proto_id, body_format, 0, serial_no, len(body), digest, bytes(8)) + body
        key = (message.direction, proto_id, serial_no, digest)
        self.frames.append((message.direction, frame))
        self.streams[message.direction] += frame
        self.sent[key] = self.sent.get(key, 0) + 1


@cache
def recorded() -> dict[str, list[Message]]:
    """The messages of each recording."""
    found = {}
    for name, packets in recordings.packets().items():
        decoder = Decoder(keys=KeyRing([recordings.DEMO_KEY]))
        found[name] = [item for item in decoder.feed_batch(packets) + decoder.flush() if isinstance(item, Message)]
    return found


@cache
def conversations() -> list[Conversation]:
    """Every source, sealed in every way."""
    return [_sealed(file, connection, name) for file, connection in _SOURCES for name in _SEALS]


def _sealed(file: str, connection: int, how: str) -> Conversation:
    conversation = Conversation(f"{file} {connection} {how}")
    seal = _SEALS[how]
    key, iv = b"", b""
    for message in recorded()[file]:
        plain = message.plaintext
        if message.connection != connection or plain is None or len(plain) > _MAX_BODY:
            continue
        if len(conversation.streams[message.direction]) + len(plain) > MAX_STREAM:
            continue
        wire = plain
        if message.proto_id == _INIT_CONNECT:
            if message.direction == "s2c":
                s2c = Body(_INIT_CONNECT, "s2c", message.header[2], plain).message.s2c  # type: ignore[union-attr]
                key, iv = s2c.connAESKey.encode(), s2c.aesCBCiv.encode() or bytes(16)
            if seal is not None or (how == "seals the request only" and message.direction == "c2s"):
                wire = rsa(plain)
        elif seal is not None:
            wire = seal(plain, key, iv)
        conversation.send(message, wire, wire if how == "hashes what it sends" else plain)
    return conversation


def rsa(plain: bytes) -> bytes:
    """As `exchange.rsa` with the demo key; always the same, so that an input finds the same bytes again."""
    key = RSA.import_key(recordings.DEMO_KEY)
    cipher = PKCS1_v1_5.new(key, randfunc=Random(plain).randbytes)
    return b"".join(cipher.encrypt(plain[at : at + 100]) for at in range(0, len(plain), 100))
