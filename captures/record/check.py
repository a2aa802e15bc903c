"""Checks that a capture really holds the messages that its expectation lists, and nothing else.

Wireshark's tshark takes the packets apart; header, ciphers and the vendor's classes of the recorder read the rest.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import vendor
from .catalogue import RECORDINGS
from .journal import endpoint
from .sessions import DEMO_KEY, PORT, SAMPLE_KEY
from .wire import HEADER, AesCbc, Cipher, Clear, FtAesEcb, Rsa, read_header

FIELDS = ("frame.time_epoch", "ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport", "tcp.payload")
NO_DATA = "tcp.len > 0 && !tcp.analysis.retransmission"
CLOCK_NS = 1_000  # most captures count in microseconds


@dataclass
class Stream:
    """The bytes of one direction and, for each packet, where it ends and when it was captured."""

    data: bytearray = field(default_factory=bytearray)
    ends: list[tuple[int, int]] = field(default_factory=list)

    def time_at(self, offset: int) -> int:
        """Capture time of the packet that holds the byte before ``offset``."""
        return next(time for end, time in self.ends if end >= offset)


def read_streams(path: Path, port: int = PORT) -> dict[tuple[str, str], Stream]:
    """Streams by client end and direction."""
    command = ["tshark", "-r", str(path), "-Y", NO_DATA, "-T", "fields", "-o", "tcp.desegment_tcp_streams:FALSE"]
    for name in FIELDS:
        command += ["-e", name]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    streams: dict[tuple[str, str], Stream] = defaultdict(Stream)
    for line in output.splitlines():
        time, src4, src6, src_port, dst4, dst6, dst_port, payload = line.split("\t")
        if int(dst_port) == port:
            key = endpoint((src4 or src6, src_port)), "c2s"
        else:
            key = endpoint((dst4 or dst6, dst_port)), "s2c"
        stream = streams[key]
        stream.data += bytes.fromhex(payload)
        seconds, _, fraction = time.partition(".")
        stream.ends.append((len(stream.data), int(seconds) * 10**9 + int(fraction.ljust(9, "0"))))
    return streams


def ciphers(messages: list[dict[str, Any]], rsa: bytes, key_log: Path) -> dict[str, list[Cipher]]:
    """The ciphers of every client end, from its InitConnect answer or else from the key log."""
    found: dict[str, list[Cipher]] = defaultdict(lambda: [Clear(), Rsa(rsa)])
    keys = [
        (m["client"], m["body"]["s2c"]["connAESKey"].encode(), m["body"]["s2c"].get("aesCBCiv", "").encode())
        for m in messages
        if m["proto_id"] == 1001 and m["direction"] == "s2c"
    ]
    if not keys and key_log.exists():
        _, _, key, iv = key_log.read_text().split()
        keys = [(messages[0]["client"], bytes.fromhex(key), bytes.fromhex(iv))]
    for client, key, iv in keys:
        found[client].append(FtAesEcb(key))
        if iv:
            found[client].append(AesCbc(key, iv))
    return found


def check(path: Path) -> int:
    """Compare a capture with its expectation; returns the number of messages, raises AssertionError."""
    name = path.name.split(".")[0]
    lines = (path.parent / f"{name}.expected.jsonl").read_text(encoding="utf-8").splitlines()
    messages = [json.loads(line) for line in lines]
    rsa = (SAMPLE_KEY if name == "sample-key" else DEMO_KEY).read_bytes()
    known = ciphers(messages, rsa, path.parent / f"{name}.keylog")
    streams = read_streams(path)
    at: dict[tuple[str, str], int] = defaultdict(int)
    for message in messages:
        key = message["client"], message["direction"]
        stream, start = streams[key], at[key]
        body_start = start + HEADER.size
        header = read_header(bytes(stream.data[start:body_start]))
        body = bytes(stream.data[body_start : body_start + header.body_len])
        at[key] = body_start + header.body_len
        assert (header.proto_id, header.serial_no) == (message["proto_id"], message["serial_no"]), message
        assert header.sha1.hex() == message["sha1"], message
        cipher = next(c for c in known[message["client"]] if c.name == message["encryption"])
        side = "Request" if message["direction"] == "c2s" else "Response"
        parsed = vendor.parse(cipher.decrypt(body), header.fmt, vendor.new(header.proto_id, side))
        assert json.loads(json.dumps(vendor.to_dict(parsed))) == message["body"], message
        captured = stream.time_at(at[key])
        assert message["sent_ns"] - CLOCK_NS <= captured, message
        if message["received_ns"] is not None:
            assert captured <= message["received_ns"] + CLOCK_NS, message
    assert {key: len(stream.data) for key, stream in streams.items()} == dict(at), "bytes that are no message"
    return len(messages)


def websocket_messages(stream: bytes, masked: bool) -> list[bytes]:
    """The data messages of one direction, behind its HTTP head, read with the frame parser of `websockets`."""
    from websockets.extensions.permessage_deflate import PerMessageDeflate
    from websockets.frames import Frame, Opcode
    from websockets.streams import StreamReader

    head, _, frames = stream.partition(b"\r\n\r\n")
    # What the bridge agrees to is what the parser needs: window bits only say how much memory it takes.
    extensions = [PerMessageDeflate(False, False, 15, 15)] if b"permessage-deflate" in head else []
    reader = StreamReader()
    reader.feed_data(frames)
    reader.feed_eof()
    found: list[bytes] = []
    while not (yield_from(reader.at_eof())):
        frame = yield_from(Frame.parse(reader.read_exact, mask=masked, max_size=None, extensions=extensions))
        if frame.opcode is Opcode.BINARY:
            found.append(bytes(frame.data))
        elif frame.opcode is Opcode.CONT:
            found[-1] += frame.data
    return found


def yield_from(step: Generator[None, None, Any]) -> Any:
    """Runs a parser step of `websockets` for which all bytes are there."""
    try:
        while True:
            next(step)
    except StopIteration as done:
        return done.value


def check_websocket(path: Path, port: int) -> int:
    """As `check`, for a WebSocket recording."""
    lines = (path.parent / f"{path.name.split('.')[0]}.expected.jsonl").read_text(encoding="utf-8").splitlines()
    messages = [json.loads(line) for line in lines]
    streams = read_streams(path, port)
    seen = {key: websocket_messages(bytes(stream.data), key[1] == "c2s") for key, stream in streams.items()}
    for message in messages:
        data = seen[message["client"], message["direction"]].pop(0)
        start = HEADER.size if message["sha1"] else 20 if message["direction"] == "c2s" else 44
        digest = hashlib.sha1(data[start:]).hexdigest()
        assert digest == (message["sha1"] or message["wire_sha1"]), message
    assert not any(seen.values()), "messages that nobody wrote down"
    return len(messages)


if __name__ == "__main__":
    for recording in RECORDINGS:
        capture = Path(__file__).parent.parent / recording.file
        if recording.file in sys.argv[1:] or not sys.argv[1:]:
            is_websocket = recording.environment == "websocket"
            count = check_websocket(capture, recording.port) if is_websocket else check(capture)
            print(f"{recording.file}: {count} messages", flush=True)
