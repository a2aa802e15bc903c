"""The short way gives what the long way gives, and the compiled one too: on every recording, and on damaged copies."""

from __future__ import annotations

import hashlib
import pickle
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import decoder
from decoder import core
from decoder.capture.reader import CaptureReader
from decoder.crypto.keyring import KeyRing
from decoder.engine import hot_path as pipeline
from decoder.engine.decoder import Decoder
from decoder.framing.framer import Framer
from decoder.limits import Limits
from decoder.message import Message
from decoder.tcp.segment import ACK
from decoder.vocabulary import Arrival
from tests.support import exchange as ex
from tests.support import walks
from tests.support.command import python
from tests.support.cores import needs_core
from tests.support.segments import START_NS, STEP_NS, Talk

CAPTURES = Path(__file__).parents[3] / "captures"
RECORDINGS = sorted(path for path in CAPTURES.iterdir() if ".pcap" in path.suffixes or ".pcapng" in path.suffixes)


def records(capture: Path, damage: int | None) -> list[dict[str, object]]:
    keys = KeyRing([CAPTURES / "demo_rsa_key.pem"], sorted(CAPTURES.glob("*.keylog")))
    decoder = Decoder(keys=keys, ports=(11111, 33333, 44444))
    items = []
    for batch in CaptureReader(capture).batches():
        items += decoder.feed_batch(batch if damage is None else list(damaged(batch, damage)))
    items += decoder.flush()
    assert items
    return [item.record() for item in items]


def damaged(batch: list[tuple[int, int, bytes, int]], seed: int) -> Iterator[tuple[int, int, bytes, int]]:
    """One packet in ten is lost, doubled, cut, or has a bit flipped."""
    rng = random.Random(seed)
    for time_ns, linktype, data, wire_len in batch:
        choice = rng.randrange(40)
        if choice == 0:
            continue
        if choice == 1:
            yield time_ns, linktype, data, wire_len
        if choice == 2:
            data = data[: rng.randrange(len(data) + 1)]
        if choice == 3 and data:
            position = rng.randrange(len(data))
            data = data[:position] + bytes((data[position] ^ 1 << rng.randrange(8),)) + data[position + 1 :]
        yield time_ns, linktype, data, wire_len


@pytest.mark.parametrize("damage", [None, 1, 2, 3])
@pytest.mark.parametrize("capture", RECORDINGS, ids=lambda path: path.name)
def test_the_short_ways_change_nothing(capture: Path, damage: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "Walker", None)
    taken = 0
    short_way = pipeline.emit_whole_messages

    def counted(connection: Any, half: Any, data: bytes, start: int, *rest: Any) -> int:
        nonlocal taken
        end = short_way(connection, half, data, start, *rest)
        taken += end - start
        return end

    monkeypatch.setattr(pipeline, "emit_whole_messages", counted)
    short = records(capture, damage)
    no_usual_message = ("quirk", "json-jam", "late-start", "websocket", "sample-key")
    assert damage is not None or taken > 0 or capture.name.startswith(no_usual_message)
    # Headers of packets through PacketReader, frames through Framer,
    monkeypatch.setattr(pipeline, "COMMON_LINKTYPE", -1)
    monkeypatch.setattr(pipeline, "emit_whole_messages", lambda connection, half, data, start, *_: start)
    # the start of a stream through Search.
    monkeypatch.setattr(Framer, "_starts_with", lambda self, data, offset: False)
    assert records(capture, damage) == short


def test_a_flipped_bit_in_the_headers_changes_both_ways_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "Walker", None)
    talk = Talk()
    for serial_no in (1, 2, 3):
        talk.c2s(ex.frame(1004, ex.keep_alive(), serial_no=serial_no)).s2c(
            ex.frame(1004, ex.keep_alive_answer(), serial_no=serial_no)
        )
    *before, packet, answer, last, _ = [segment.packet() for segment in talk.segments]
    ways = []
    for linktype in (pipeline.COMMON_LINKTYPE, -1):
        monkeypatch.setattr(pipeline, "COMMON_LINKTYPE", linktype)
        outcomes = []
        for bit in range(54 * 8):
            flipped = (int.from_bytes(packet, "little") ^ 1 << bit).to_bytes(len(packet), "little")
            batch = [(number, 1, data, len(data)) for number, data in enumerate([*before, flipped, answer, last], 1)]
            decoder = Decoder()
            items = decoder.feed_batch(batch) + decoder.flush()
            outcomes.append([item.record() for item in items])
        ways.append(outcomes)
    assert ways[0] == ways[1]
    assert len({str(outcome) for outcome in ways[0]}) > 3


@pytest.mark.parametrize("capture", RECORDINGS, ids=lambda path: path.name)
def test_messages_are_counted_within_their_connection(capture: Path) -> None:
    """By both ways that a message comes out: the hot loop, and all the others."""
    counts: Counter[int] = Counter()
    keys = [CAPTURES / "demo_rsa_key.pem"]
    items = decoder.read(capture, rsa_keys=keys, keylog=sorted(CAPTURES.glob("*.keylog")), ports=(11111, 33333, 44444))
    for number, message in enumerate((item for item in items if isinstance(item, decoder.Message)), 1):
        counts[message.connection] += 1
        assert (message.number, message.ordinal) == (number, counts[message.connection])
        assert pickle.loads(pickle.dumps(message)).ordinal == message.ordinal
    assert counts


# The compiled loop


def demo_keys() -> KeyRing:
    return KeyRing([CAPTURES / "demo_rsa_key.pem"], sorted(CAPTURES.glob("*.keylog")))


def packets_of(capture: Path) -> list[tuple[int, int, bytes, int]]:
    return [packet for batch in CaptureReader(capture).batches() for packet in batch]


@needs_core
@pytest.mark.parametrize("damage", [None, 1, 2, 3])
@pytest.mark.parametrize("capture", RECORDINGS, ids=lambda path: path.name)
def test_the_compiled_loop_changes_nothing(capture: Path, damage: int | None) -> None:
    packets = packets_of(capture)
    if damage is not None:
        packets = walks.disturbed(random.Random(damage), packets, 20 * damage)
    for largest in (1, 3, 1000) if damage is None else (3, 100):
        sizes = walks.batch_sizes(random.Random(largest), len(packets), largest)
        found = walks.same(packets, sizes, keys=demo_keys, ports=(11111, 33333, 44444))
        assert found.records


@needs_core
@pytest.mark.parametrize("seed", range(20))
def test_random_traffic_is_the_same_in_both(seed: int) -> None:
    """Every encryption, JSON bodies, IPv6, VLAN, the same ports again; packets lost, doubled, damaged, late."""
    rng = random.Random(seed)
    for packets in rng.sample(walks.conversations(), 4):
        packets = walks.disturbed(rng, packets, rng.choice((5, 30, 200)))
        sizes = walks.batch_sizes(rng, len(packets), rng.choice((1, 10, 300)))
        limits = Limits().with_memory(rng.choice((64, 1024)) * 1024) if rng.random() < 0.2 else None
        walks.same(packets, sizes, dedup=rng.random() < 0.2, limits=limits)


def ticker(size: int) -> bytes:
    """A body that is no message, of so many bytes."""
    return bytes(at % 251 for at in range(size))


def usual(talk: Talk) -> Talk:
    """A handshake in clear, and one message of the client."""
    talk.c2s(ex.frame(1001, ex.init_request(), serial_no=1)).s2c(ex.frame(1001, ex.init_response(), serial_no=1))
    return talk.c2s(ex.frame(1004, ex.keep_alive(), serial_no=2))


def frames_and_times(packets: list[Any], sizes: list[int]) -> list[tuple[int, list[int], int]]:
    found = walks.outcome(packets, sizes, compiled=core.Walker is not None)
    start = START_NS - STEP_NS
    return [
        (int(str(record["serial_no"])), list(record["frames"]), (ns(record["time"]) - start) // STEP_NS)  # type: ignore[call-overload]
        for record in found.records
    ]


def ns(time: Any) -> int:
    from datetime import datetime

    seconds, _, fraction = str(time).rstrip("Z").partition(".")
    return int(datetime.fromisoformat(f"{seconds}+00:00").timestamp()) * 10**9 + int(fraction)


@pytest.mark.parametrize("largest", [1, 4, 100])
def test_a_message_of_many_packets(largest: int) -> None:
    """Packets 7 to 9 bring message 9 and the beginning of 10, which the client's message comes in between of."""
    talk = usual(Talk())
    first, second = (ex.frame(3005, ticker(1000), serial_no=serial_no) for serial_no in (9, 10))
    stream = first + second
    talk.s2c(stream[:500]).s2c(stream[500:1030]).s2c(stream[1030:1500])
    talk.c2s(ex.frame(1004, ex.keep_alive(), serial_no=3)).s2c(stream[1500:])
    packets = walks.packed(talk.segments)
    before = len(packets) - 5
    assert frames_and_times(packets, walks.batch_sizes(random.Random(0), len(packets), largest))[-3:] == [
        (9, [before + 1, before + 2, before + 3], before + 3),
        (3, [before + 4], before + 4),
        (10, [before + 3, before + 5], before + 5),
    ]


@pytest.mark.parametrize("sizes", [[100], [1] * 20])
def test_segments_that_overtook_another_one(sizes: list[int]) -> None:
    """The first of three comes last: a message has the time of the last of its packets."""
    talk = usual(Talk())
    stream = b"".join(ex.frame(3005, ticker(300), serial_no=serial_no) for serial_no in range(10, 14))
    before = len(talk.segments)
    for at in range(0, len(stream), 500):
        talk.s2c(stream[at : at + 500])
    talk.ack("c2s")
    first, second, third, ack = talk.segments[before:]
    packets = walks.packed([*talk.segments[:before], second, ack, third, first])
    assert frames_and_times(packets, sizes)[-4:] == [
        (10, [before + 4], before + 4),
        (11, [before + 1, before + 4], before + 4),
        (12, [before + 1, before + 3], before + 3),
        (13, [before + 3], before + 3),
    ]


@needs_core
def test_the_compiled_loop_takes_most_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    left = 0
    in_python = pipeline.read_packets

    def counted(table: Any, packets: Any, batch: Any, number: int) -> int:
        nonlocal left
        left += len(batch)
        return in_python(table, packets, batch, number)

    monkeypatch.setattr(pipeline, "read_packets", counted)
    talk = usual(Talk())
    for serial_no in range(10, 60):
        talk.s2c(ex.frame(3005, ticker(600), serial_no=serial_no)).ack("c2s")
    long = ex.frame(3005, ticker(100_000), serial_no=60)
    at = len(talk.segments)
    for start in range(0, len(long), 1000):
        talk.s2c(long[start : start + 1000])
    talk.segments[at + 30 : at + 33] = [talk.segments[at + 31], talk.segments[at + 32], talk.segments[at + 30]]
    packets = walks.packed(talk.segments)
    found = walks.outcome(packets, [len(packets)], compiled=True)
    assert len(found.records) == 54
    assert left <= 6  # the beginning


PADDING: dict[str, Any] = {
    "FTAES_ECB": lambda size: bytes(-size % 16),
    "AES_CBC": lambda size: bytes((16 - size % 16,)) * (16 - size % 16),
    "AES_ECB": lambda size: bytes((16 - size % 16,)) * (16 - size % 16),
}


@needs_core
@pytest.mark.parametrize("mode", PADDING)
def test_bodies_that_are_decrypted_together(mode: str) -> None:
    """Of every length, with right padding, with wrong padding, and none: the same verdicts as one by one."""
    from Crypto.Cipher import AES

    def sealed(plain: bytes, padding: bytes, last: bytes) -> bytes:
        if mode == "AES_CBC":
            return AES.new(ex.KEY, AES.MODE_CBC, ex.IV).encrypt(plain + padding)
        blocks = AES.new(ex.KEY, AES.MODE_ECB).encrypt(plain + padding)
        return blocks + last if mode == "FTAES_ECB" else blocks

    talk = Talk()
    talk.c2s(ex.frame(1001, ex.init_request(), serial_no=1))
    talk.s2c(ex.frame(1001, ex.init_response(key=ex.KEY, iv=ex.IV), serial_no=1))
    for size in range(70):
        plain = ticker(size)
        padding, last = PADDING[mode](size), bytes(15) + bytes((size % 16,))
        odd = [bytes(len(padding)), b"\x10" * len(padding), b"\x01" * len(padding), padding]
        for number, wrong in enumerate(odd):
            end = last if number < 3 else bytes((1,)) * 15 + bytes((16,))
            body = sealed(plain, wrong if size % 3 == 0 else padding, end if size % 3 == 0 else last)
            header = ex.HEADER.pack(b"FT", 3005, 0, 0, 10 + size, len(body), hashlib.sha1(plain).digest(), bytes(8))
            talk.s2c(header + body)
    packets = walks.packed(talk.segments)
    found = walks.same(packets, [len(packets)])
    verdicts = Counter(str(record["verdict"]) for record in found.records)
    assert verdicts["verified"] > 180
    assert verdicts["failed"] > 20


@needs_core
@pytest.mark.parametrize("odd", [1 << 70, -(1 << 70), -5])
def test_a_time_that_no_clock_shows(odd: int) -> None:
    """More than 64 bits, or before 1970; then an usual one again."""
    talk = usual(Talk())
    for serial_no in range(10, 20):
        talk.s2c(ex.frame(3005, ticker(60), serial_no=serial_no))
    segments = talk.segments
    segments[-3], segments[-2] = segments[-2], segments[-3]  # one more way to look at the time
    packets = walks.packed(segments)
    for place in range(3, len(packets) - 4):
        changed = [*packets[:place], (odd, *packets[place][1:]), *packets[place + 1 :]]
        assert len(walks.same(changed, [len(changed)]).came) == 2


@needs_core
def test_an_error_in_a_stage_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walker can be used again afterwards."""
    talk = usual(Talk())
    talk.s2c(ex.frame(3005, ticker(600), serial_no=9)[:500])
    packets = walks.packed(talk.segments)
    talk.s2c(ex.frame(3005, ticker(600), serial_no=9)[500:]).s2c(ex.frame(3005, ticker(60), serial_no=10))

    def fails(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "pass_over", fails)
        decoder = Decoder()
        decoder.feed_batch(packets)
        with pytest.raises(ZeroDivisionError):
            decoder.feed_batch(walks.packed(talk.segments)[len(packets) :])
    decoder.feed_batch([])
    decoder.flush()


@needs_core
def test_what_a_walker_refuses() -> None:
    assert core.Walker is not None

    class Table:
        def __init__(self, **entries: Any) -> None:
            self.entries = {bytes(12): entry for entry in entries.values()}
            self.latest_ns = self.segments = 0

    def make(**changes: Any) -> Any:
        usual: dict[str, Any] = {
            "table": Table(),
            "message_class": Message,
            "arrival": Arrival,
            "sha1": None,
            "feed_rest": None,
            "pass_over": None,
            "may_overtake": None,
            "recipe": None,
            "pushes": (),
            "handshake": 1001,
        }
        assert core.Walker is not None
        return core.Walker(**usual | changes)

    walker = make()
    assert walker.walk([], 0, 0, 0) == 0
    odd: list[Any] = [None, (), (1, 2), (1, 1, None, 0), ("", 1, bytes(60), 0), (1 << 70, 1, bytes(60), 0)]
    for item in odd:
        assert walker.walk([item], 0, 0, 0) == 0, "left to Python"
    wrong: list[tuple[Any, ...]] = [((), 0, 0, 0), ([], -1, 0, 0), ([],)]
    for arguments in wrong:
        with pytest.raises((TypeError, ValueError)):
            walker.walk(*arguments)
    for changes in (
        {"message_class": int},
        {"message_class": None},
        {"pushes": (1 << 16,)},
        {"pushes": (-1,)},
        {"pushes": ("",)},
        {"table": None},
    ):
        with pytest.raises((TypeError, ValueError, AttributeError, OverflowError)):
            make(**changes)
    packet = bytearray(54)
    packet[12:15], packet[16:18], packet[23], packet[46], packet[47] = b"\x08\x00\x45", b"\0\x28", 6, 0x50, ACK
    with pytest.raises((TypeError, SystemError)):
        make(table=Table(entry="no connection")).walk([(1, 1, bytes(packet), 54)], 0, 0, 0)


WITHOUT_MEMORY = """
from ctypes import ArgumentError
from _testcapi import remove_mem_hooks, set_nomemory
from decoder.engine.decoder import Decoder
from tests.support import exchange as ex
from tests.support import walks
from tests.support.segments import Talk

# protobuf and what starts a cipher do not survive a failed allocation: both have done their part before.
failed = whole = 0
for mode in ("plain", "AES_CBC", "FTAES_ECB"):
    talk = Talk()
    talk.c2s(ex.frame(1001, ex.init_request(), serial_no=1)).s2c(ex.frame(1001, ex.init_response(), serial_no=1))
    stream = b""
    for serial_no in range(2, 30):
        plain = bytes(range(1, 200)) * (1 + serial_no % 4)
        stream += ex.frame(3005, plain, ex.MODES.get(mode, bytes)(plain), serial_no=serial_no)
    for at in range(0, len(stream), 700):
        talk.s2c(stream[at : at + 700]).ack("c2s")
    talk.segments[30], talk.segments[32] = talk.segments[32], talk.segments[30]
    packets = walks.packed(talk.segments)
    for number in range(200):
        decoder = Decoder()
        items = decoder.feed_batch(packets[:12])
        set_nomemory(3 * number, 3 * number + 1)
        try:
            items += decoder.feed_batch(packets[12:])
        except (MemoryError, ArgumentError):  # (the second is what ctypes makes of it, below pycryptodome)
            failed += 1
        else:
            remove_mem_hooks()
            whole += len(items + decoder.flush()) == 30
        finally:
            remove_mem_hooks()
print(failed > 100, failed + whole == 600)
"""


@needs_core
def test_an_allocation_that_fails_is_a_memory_error() -> None:
    """One of them in each run."""
    pytest.importorskip("_testcapi")
    done = python(WITHOUT_MEMORY)
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr


@needs_core
def test_a_table_with_many_directions() -> None:
    """More than C knows at once, each with a message that is begun."""
    talks = []
    for port in range(700):
        talk = usual(Talk(ports=(20_000 + port, 11_111)))
        long = ex.frame(3005, ticker(900), serial_no=9)
        talk.s2c(long[:300]).s2c(long[300:600]).c2s(ex.frame(1004, ex.keep_alive(), serial_no=3)).s2c(long[600:])
        talks.append(talk.segments)
    segments = [segment for step in zip(*talks, strict=True) for segment in step]
    packets = walks.packed(segments)
    found = walks.same(packets, [1000] * (len(packets) // 1000 + 1))
    assert len(found.records) == 5 * 700
