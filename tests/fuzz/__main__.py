"""Throw damaged input at the decoder: ``python -m tests.fuzz [TARGET]... [--seconds N] [--seed N]``.

Input is the recordings under captures/, damaged at random.  A target fails when anything but the errors it may raise
comes out of it; the seed that repeats the failure is printed and kept in a file.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from decoder import schema
from decoder.capture import CaptureReader, RawPacket
from decoder.convert import parse_body, to_dict, unknown_fields
from decoder.decoder import Decoder
from decoder.errors import BodyError, CaptureError
from decoder.json_body import read_json
from decoder.keys import KeyRing
from decoder.limits import Limits
from decoder.message import Message
from decoder.packet import PacketReader
from decoder.wire import text_view, wire_view

CAPTURES = Path(__file__).parents[2] / "captures"
FILES = [path.read_bytes() for path in sorted(CAPTURES.glob("*.pcap*"))]
PACKETS: list[list[RawPacket]] = [
    [packet for batch in CaptureReader(path).batches() for packet in batch] for path in sorted(CAPTURES.glob("*.pcap*"))
]
KEY = (CAPTURES / "demo_rsa_key.pem").read_bytes()
LIMITS = Limits().with_memory(1024 * 1024)
LINKTYPES = (0, 1, 12, 101, 108, 113, 127, 228, 229, 276)


def damaged(rng: random.Random, data: bytes) -> bytes:
    """`data` with a few bytes changed, cut out, doubled, or cut off."""
    buffer = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not buffer:
            break
        start = rng.randrange(len(buffer))
        end = start + rng.choice((1, 1, 2, 4, 8, 40))
        match rng.randrange(6):
            case 0:
                buffer[start] ^= 1 << rng.randrange(8)
            case 1:
                buffer[start:end] = rng.randbytes(end - start)
            case 2:
                del buffer[start:end]
            case 3:
                buffer[start:start] = buffer[start:end]
            case 4:
                del buffer[start:]
            case _:
                buffer[start:end] = rng.choice((b"\0", b"\xff", b"\x7f")) * (end - start)
    return bytes(buffer)


def readers(rng: random.Random) -> bytes:
    """Capture files: nothing but CaptureError comes out, and there is an end."""
    data = damaged(rng, rng.choice(FILES)[: rng.choice((200, 2_000, 20_000))])
    try:
        for _ in CaptureReader(io.BytesIO(data)).batches():
            pass
    except CaptureError:
        pass
    return data


def packets(rng: random.Random) -> bytes:
    """Link, IP and TCP headers, under the wrong link type too."""
    data = damaged(rng, rng.choice(rng.choice(PACKETS))[2])
    PacketReader(64, 64 * 1024).read(data, rng.choice(LINKTYPES), len(data) + rng.choice((0, 0, 100)), 1)
    return data


def streams(rng: random.Random) -> bytes:
    """A run of packets through the whole decoder: no exception, nothing left buffered, records that can be made."""
    capture = rng.choice(PACKETS)
    start = rng.randrange(len(capture))
    run = capture[start : start + rng.choice((2, 10, 40))]
    decoder = Decoder(keys=KeyRing([KEY]), limits=LIMITS)
    items = []
    sent = []
    for time_ns, linktype, data, wire_len in run:
        if rng.random() < 0.3:
            data = damaged(rng, data)
        for _ in range(rng.choice((0, 1, 1, 1, 1, 1, 2))):
            sent.append(data)
            items += decoder.feed(data, time_ns, linktype, max(wire_len, len(data)))
    items += decoder.flush()
    for item in items:
        item.record()
        if isinstance(item, Message):
            assert item.verdict in ("verified", "unverified", "failed")
    return b"".join(sent)


def bodies(rng: random.Random) -> bytes:
    """Bodies as protobuf and as JSON: nothing but BodyError comes out."""
    protocol = rng.choice(schema.protocols())
    cls = schema.body_class(protocol.proto_id, rng.choice(("c2s", "s2c")))
    packet = rng.choice(rng.choice(PACKETS))[2]
    data = damaged(rng, packet[rng.randrange(len(packet)) :])
    wire_view(data)
    text_view(data)
    if cls is not None:
        message, _, _ = parse_body(cls, data)
        if message is not None:
            to_dict(message, "sdk", True, [])
            unknown_fields(message, data)
        with contextlib.suppress(BodyError):
            read_json(damaged(rng, b'{"c2s": {"userID": "1", "list": [1, 2.5e3, {"a": null}]}, "retType": 0}'), cls)
    return data


TARGETS: dict[str, Callable[[random.Random], bytes]] = {
    target.__name__: target for target in (readers, packets, streams, bodies)
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="to repeat a run")
    options = parser.parse_args()
    for name in options.targets or TARGETS:
        if name not in TARGETS:
            parser.error(f"no target {name}; there are {', '.join(TARGETS)}")
        end = time.monotonic() + options.seconds
        runs = 0
        while time.monotonic() < end:
            seed = f"{options.seed} {name} {runs}"
            try:
                TARGETS[name](random.Random(seed))
            except Exception:
                with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
                    file.write(f"random.Random({seed!r}) for {name}\n")
                print(f"{name}: failed at {seed!r}, kept in {file.name}", file=sys.stderr)
                raise
            runs += 1
        print(f"{name}: {runs:,} inputs, seed {options.seed}, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
