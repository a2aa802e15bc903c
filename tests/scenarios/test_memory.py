"""Memory stays within bounds on endless, broken and hostile input."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from decoder import Decoder, Limits
from tests.support import exchange as ex
from tests.support.segments import SYN, Segment, feed

ROUND = 150  # messages
MIB = 1024 * 1024


def message(serial_no: int) -> bytes:
    return ex.frame(1004, ex.keep_alive(serial_no), serial_no=serial_no)


def conversation(step: int) -> Iterator[Segment]:
    ask, answer = message(step), ex.frame(1004, ex.keep_alive_answer(step), serial_no=step)
    at = 1001 + step * len(ask), 5001 + step * len(answer)
    yield Segment("c2s", at[0], ask, ack=at[1])
    yield Segment("s2c", at[1], answer, ack=at[0] + len(ask))


def never_acknowledged(step: int) -> Iterator[Segment]:
    ask = message(step)
    yield Segment("c2s", 1001 + step * len(ask), ask, ack=1)


def never_answered_and_damaged(step: int) -> Iterator[Segment]:
    ask = message(step)[:-1] + b"\xff"
    yield Segment("c2s", 1001 + step * len(ask), ask, ack=1)


def holes_everywhere(step: int) -> Iterator[Segment]:
    ask = message(step)
    yield Segment("c2s", 1001 + step * (len(ask) + 7), ask, ack=1)


def syns(step: int) -> Iterator[Segment]:
    yield Segment("c2s", 1000, flags=SYN, ports=(1024 + step % 60_000, 11_111))


def connections_that_begin_a_message(step: int) -> Iterator[Segment]:
    yield Segment("c2s", 1001, message(1)[:-1], ports=(1024 + step % 60_000, 11_111))


def nothing_but_headers(step: int) -> Iterator[Segment]:
    yield Segment("c2s", 1001 + step * 100, bytes(100), cut=100)


ENDLESS = [
    conversation,
    nothing_but_headers,
    never_acknowledged,
    never_answered_and_damaged,
    holes_everywhere,
    syns,
    connections_that_begin_a_message,
]
LIMITS = Limits(max_connections=200, max_pending=50_000, max_pending_requests=100, reorder_packets=50)


@pytest.mark.parametrize("endless", ENDLESS, ids=lambda endless: endless.__name__)
def test_ten_times_the_input_takes_no_more_memory(endless: Callable[[int], Iterator[Segment]]) -> None:
    decoder, number, sizes = Decoder(limits=LIMITS), 0, []
    gc.collect()
    gc.disable()  # it may run seldom: no connection waits for it
    tracemalloc.start()
    try:
        for rounds in range(12):
            for step in range(rounds * ROUND, (rounds + 1) * ROUND):
                for segment in endless(step):
                    number += 1
                    feed(decoder, [segment], number)
            if endless is holes_everywhere:
                gc.collect()  # a search leaves cycles behind, but they are young and small
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        gc.enable()
    assert max(sizes[3:]) <= 1.3 * max(sizes[:3]) + 20_000
    assert decoder._table.buffered <= LIMITS.max_memory
    # Live connections, and those that ended and of which late copies are expected.
    assert len(decoder._table.entries) <= 2 * LIMITS.max_connections


def test_small_packets_count_for_what_they_take() -> None:
    long = ex.frame(1004, bytes(100_000))
    pieces = [Segment("c2s", 1001 + at, long[at : at + 1]) for at in range(6_000)]
    decoder = Decoder()
    feed(decoder, [Segment("c2s", 1000, flags=SYN), *pieces[:1_000]])
    counted = decoder._table.buffered
    tracemalloc.start()
    try:
        feed(decoder, pieces[1_000:], 1_002)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken < 2 * (decoder._table.buffered - counted)


def test_a_flood_of_connections_is_told() -> None:
    decoder = Decoder(limits=LIMITS)
    feed(decoder, (segment for step in range(3 * LIMITS.max_connections) for segment in syns(step)))
    assert decoder.summary.reports == ["too many connections at once; those silent longest were closed early"]


def test_less_memory_is_fewer_connections() -> None:
    sizes = [Limits().with_memory(size * MIB).max_connections for size in (1, 16, 256, 1024)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3] == Limits().max_connections


# Bodies: protobuf's memory is not Python's, so that of a whole process is looked at

BODY = """
import hashlib, resource, sys
sys.path.insert(0, {root!r})
from decoder.message import Flow, Message
from decoder.output.jsonl import JsonLinesOutput
from decoder.output.text import TextOutput
from decoder.output.tree import TreeOutput

def varint(n):
    return bytes([n & 127 | 128]) + varint(n >> 7) if n > 127 else bytes([n])

def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data

def message(body, proto_id, fmt):
    header = (b"FT", proto_id, fmt, 0, 1, len(body), hashlib.sha1(body).digest(), bytes(8))
    flow = Flow(0, "s2c", "192.0.2.2:11111", "192.0.2.1:50112")
    return Message(flow, header, 0, (1,), "response", body, "None", "verified", None, None)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

renderers = [TextOutput(), JsonLinesOutput(), TreeOutput()]
ordinary = message(b"\\x08\\x00", 3004, 0)
size = 4 << 20
body, proto_id, fmt = {body}
hostile = message(body, proto_id, fmt)
for renderer in renderers:
    renderer.render([ordinary])
before = peak()
for renderer in renderers:
    renderer.render([hostile])
print(peak() - before, len(hostile.notes))
"""
BODIES = {
    "messages of two bytes": r'b"\x08\x00" + field(4, b"\x0a\x00" * (size // 2)), 3004, 0',
    "their messages": r'b"\x08\x00" + field(4, b"\x0a\x02\x0a\x00" * (size // 4)), 3004, 0',
    "unknown fields": r'b"\x08\x00" + b"\x78\x01" * (size // 2), 3004, 0',
    "unknown groups": r'b"\x08\x00" + b"\x7b\x7c" * (size // 2), 3004, 0',
    "numbers": r'b"\x08\x00" + field(4, b"\x08\x01" * (size // 2)), 1007, 0',
    "no protobuf": r'b"\xff" * size, 3004, 0',
    "JSON objects": r"""b'{"s2c":{"basicQotList":[' + b"{}," * (size // 3) + b"{}]}}", 3004, 1""",
    "JSON lists": r"""b'{"x":[' + b"[]," * (size // 3) + b"[]]}", 3004, 1""",
    "JSON depth": r"""b'{"x":' + b"[" * size, 3004, 1""",
    "JSON keys": r"""b'{' + b'"":0,' * (size // 5) + b'"a":0}', 3004, 1""",
    "an unknown protocol": r'b"\x0a\x00" * (size // 2), 9999, 0',
}


@pytest.mark.skipif(sys.platform == "win32", reason="has no getrusage")
@pytest.mark.parametrize("name", BODIES)
def test_a_body_takes_no_more_than_its_limit(name: str) -> None:
    script = BODY.format(root=str(Path(__file__).parents[2]), body=BODIES[name])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    taken, notes = map(int, done.stdout.split())
    assert taken <= Limits().max_parsed
    assert notes
