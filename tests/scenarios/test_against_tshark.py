"""Our messages against the streams that tshark follows: every byte of a stream belongs to a message, in order.

Where tshark is sound, that is.  It puts a remark in the place of bytes that were acknowledged before they came,
so it does not follow what is reordered across directions; and it knows nothing of verdicts: the first copy wins.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from random import Random

import pytest

import decoder
from decoder import Gap, Message
from tests.scenarios.test_dirty_captures import DIRT, decoded
from tests.support import dirt, traffic
from tests.support import exchange as ex
from tests.support.dirt import Packet, in_turn, segments_of
from tests.support.recorded import RECORDINGS, Recording
from tests.support.segments import START_NS

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

End = str
Streams = dict[tuple[End, End], bytes]


def followed(path: Path, connections: int) -> Streams:
    """What tshark follows: the bytes of each direction of each connection."""
    options = [part for number in range(connections) for part in ("-z", f"follow,tcp,raw,{number}")]
    run = subprocess.run(["tshark", "-n", "-r", str(path), "-q", *options], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    streams: dict[tuple[End, End], bytes] = {}
    for block in re.split(r"^=+$", run.stdout, flags=re.M):
        nodes = re.findall(r"^Node \d: (.*)$", block, re.M)
        if len(nodes) == 2 and nodes != [":0", ":0"]:
            lines = block.partition(f"Node 1: {nodes[1]}\n")[2].splitlines()
            for tab, ends in ((False, nodes), (True, nodes[::-1])):
                data = "".join(line.strip() for line in lines if line.startswith("\t") == tab)
                streams[_end(ends[0]), _end(ends[1])] = bytes.fromhex(data)
    return streams


def _end(node: str) -> End:
    address, _, port = node.rpartition(":")
    return f"[{address}]:{port}" if ":" in address and not address.startswith("[") else node


def keys_of(recording: Recording) -> dict[str, tuple[bytes, bytes]]:
    """Key and iv of each connection, as the gateway's journal or the key log has them."""
    keys = {}
    for entry in recording.expected:
        if entry["proto_id"] == 1001 and entry["direction"] == "s2c":
            s2c = entry["body"]["s2c"]
            keys[entry["client"]] = s2c["connAESKey"].encode(), s2c.get("aesCBCiv", "").encode()
    for path in recording.keylog:
        _, _, key, iv = path.read_text("utf-8").split()
        keys[recording.expected[0]["client"]] = bytes.fromhex(key), bytes.fromhex(iv)
    return keys


def on_the_wire(message: Message, keys: dict[str, tuple[bytes, bytes]]) -> bytes:
    """A message as it was sent, sealed again; of RSA, which is padded at random, only the header."""
    head = ex.HEADER.pack(*message.header)
    plain = message.plaintext
    assert plain is not None
    if message.encryption == "RSA":
        return head
    if message.encryption == "None":
        return head + plain
    key, iv = keys[message.src if message.direction == "c2s" else message.dst]
    return head + (ex.cbc(plain, key, iv) if message.encryption == "AES_CBC" else ex.ftaes(plain, key))


def check(items: list[Message | Gap], streams: Streams, keys: dict[str, tuple[bytes, bytes]]) -> None:
    """The messages of each direction, one after the other, are what tshark follows."""
    ours: dict[tuple[End, End], list[Message]] = defaultdict(list)
    for item in items:
        assert isinstance(item, Message), item
        assert item.verdict == "verified", item
        ours[item.src, item.dst].append(item)
    assert set(ours) == {ends for ends, data in streams.items() if data}
    for ends, messages in ours.items():
        data, at = streams[ends], 0
        for message in messages:
            wire = on_the_wire(message, keys)
            assert data[at : at + len(wire)] == wire, message
            at += 44 + message.body_len
        assert at == len(data)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_recordings_as_tshark_follows_them(recording: Recording) -> None:
    streams = followed(recording.path, len({entry["client"] for entry in recording.expected}))
    check(decoded(recording, recording.path), streams, keys_of(recording))


# In all others something is acknowledged before it comes.
SOUND = [
    "answers before their requests",
    "sent again",
    "sent again in other pieces",
    "in pieces of 7 bytes",
    "tail before head",
    "each side's runs reordered",
    "wrapped",
    "keep-alive probes",
    "keep-alive probes without a byte",
    "keep-alive probes with garbage",
    "zero-window probes",
    "urgent",
    "payload in SYN",
    "FIN with payload",
    "reset",
]


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("recording", [Recording("ipv6.pcap"), Recording("ftaes.pcap")], ids=lambda each: each.name)
def test_dirty_recordings_as_tshark_follows_them(recording: Recording, name: str, tmp_path: Path) -> None:
    clean = list(segments_of(recording))
    dirty = in_turn(DIRT[name](clean, Random(name)), clean)
    path = dirt.write(tmp_path / "dirty.pcapng", [segment.packet() for segment in dirty])
    streams = followed(path, len({entry["client"] for entry in recording.expected}))
    check(decoded(recording, path), streams, keys_of(recording))


@pytest.mark.parametrize("mode", ["plain", "FTAES_ECB", "AES_CBC"])
@pytest.mark.parametrize("seed", range(3))
def test_random_traffic_as_tshark_follows_it(seed: int, mode: str, tmp_path: Path) -> None:
    """Retransmissions with other boundaries, segments of any size, sequence numbers that wrap."""
    rng = Random(f"{seed} {mode}")
    talk = traffic.converse(rng, mode, 0, 30)
    isn = rng.getrandbits(32), 2**32 - rng.randrange(3000)
    delivery = traffic.deliver(rng, talk, rng.choice((7, 100, 1460)), (50_000, 11_111), isn)
    packets = [segment.packet() for segment in traffic.repeat(rng, delivery, 20)]
    path = tmp_path / "random.pcapng"
    dirt.write(path, [Packet(START_NS + n, 1, data, len(data)) for n, data in enumerate(packets)])
    items = list(decoder.read(path, rsa_keys=[ex.pem(ex.rsa_key())]))
    assert len(items) == len(talk.messages)
    check(items, followed(path, 1), {"192.0.2.1:50000": (ex.KEY, ex.IV)})
