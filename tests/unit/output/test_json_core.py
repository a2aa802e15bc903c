"""JSON Lines of the compiled core: byte for byte what Python writes, whatever the bodies are."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import decoder
from decoder import Gap, Limits, Message
from decoder.message import Flow
from decoder.output.json_core import compiled_json_lines
from decoder.output.jsonl import JsonLinesOutput
from decoder.vocabulary import EnumStyle
from tests.support.cores import BODIES, STYLES, body_message, needs_core, without_core
from tests.support.hostile_bodies import hostile_body, varint
from tests.support.random_messages import random_message
from tests.support.recorded import RECORDINGS, Recording

pytestmark = needs_core

Case = tuple[int, Any, bytes]
KEEP_ALIVE = 1004


class Both:
    """Renders with the compiled core and in Python, and counts what the core left to Python."""

    def __init__(self, enums: EnumStyle = "sdk", shown: bool = False) -> None:
        with without_core():
            self.python = JsonLinesOutput(enums, show_secrets=shown)
        self.compiled = JsonLinesOutput(enums, show_secrets=shown)
        self.left = 0
        line: Callable[[Any], bytes] = self.compiled._line

        def counted(item: Any) -> bytes:
            self.left += 1
            return line(item)

        self.compiled._compiled = compiled_json_lines(enums, counted, show_secrets=shown)

    def compare(self, items: list[Message | Gap]) -> bytes:
        """Returns the lines, which are the same."""
        written = self.compiled.render(items)
        assert written == self.python.render(items)
        return written


@pytest.mark.parametrize(("enums", "shown"), [("sdk", False), ("number", True)])
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_recordings(recording: Recording, enums: EnumStyle, shown: bool) -> None:
    items = list(decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog))
    both = Both(enums, shown)
    both.compare(items)
    both.compare(items)
    ordinary = [
        item
        for item in items
        if isinstance(item, Message) and item.verdict == "verified" and item.format == "Protobuf" and not item.notes
    ]
    assert both.left == 2 * (len(items) - len(ordinary))


@pytest.mark.parametrize(("enums", "shown"), STYLES)
def test_bodies_of_every_type(enums: EnumStyle, shown: bool) -> None:
    random = Random(f"{enums} {shown}")
    both = Both(enums, shown)
    for proto_id, direction, cls in BODIES:
        items: list[Message | Gap] = [
            body_message(proto_id, direction, random_message(cls, random, density).SerializeToString())
            for density in (0.0, 0.4, 1.0)
        ]
        both.compare(items)
    # NaN, infinities and wide numbers of enums without a name are for Python.
    assert both.left < len(BODIES)


@pytest.mark.parametrize(("enums", "shown"), [("sdk", False), ("number", True)])
@pytest.mark.parametrize("seed", range(8))
def test_hostile_bodies(seed: int, enums: EnumStyle, shown: bool) -> None:
    random = Random(seed)
    both = Both(enums, shown)
    for proto_id, direction, cls in random.sample(BODIES, 120):
        both.compare([body_message(proto_id, direction, hostile_body(cls, random)) for _ in range(10)])
    assert 100 < both.left < 1100


ODD: dict[str, Case] = {
    "empty": (KEEP_ALIVE, "c2s", b""),
    "a varint that does not end": (KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x80"),
    "a varint of eleven bytes": (KEEP_ALIVE, "c2s", b"\x0a\x0c\x08" + b"\x80" * 10 + b"\x01"),
    "a varint of 70 bits": (KEEP_ALIVE, "c2s", b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x7f"),
    "a varint with zeros": (KEEP_ALIVE, "c2s", b"\x0a\x03\x08\x85\x00"),
    "a tag with zeros": (KEEP_ALIVE, "c2s", b"\x8a\x00\x02\x08\x05"),
    "a length beyond the end": (KEEP_ALIVE, "c2s", b"\x0a\x7f\x08\x05"),
    "a length of 64 bits": (KEEP_ALIVE, "c2s", b"\x0a" + b"\xff" * 9 + b"\x01\x08\x05"),
    "an unknown field": (KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05\x78\x01"),
    "field number 0": (KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05\x00\x01"),
    "another wire type": (KEEP_ALIVE, "c2s", b"\x0a\x05\x0d\x00\x00\x00\x00"),
    "a group": (KEEP_ALIVE, "c2s", b"\x0a\x04\x0b\x08\x05\x0c"),
    "a message twice": (KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05\x0a\x02\x08\x06"),
    "a number twice": (KEEP_ALIVE, "c2s", b"\x0a\x04\x08\x05\x08\x06"),
    "no required field": (KEEP_ALIVE, "c2s", b"\x0a\x00"),
    "an unknown protocol": (65_000, "c2s", b"\x0a\x02\x08\x05"),
    "a retType without a name": (KEEP_ALIVE, "s2c", b"\x08\x63\x22\x02\x08\x05"),
    "a negative retType": (KEEP_ALIVE, "s2c", b"\x08" + varint(-100) + b"\x12\x03abc"),
    "an error text that is not UTF-8": (KEEP_ALIVE, "s2c", b"\x08\x00\x12\x02\xc3\x28\x22\x02\x08\x05"),
    "an error text that hides": (KEEP_ALIVE, "s2c", b"\x08\x00\x12\x07\x1b\xe2\x80\xae\xc2\x9b\x00\x22\x02\x08\x05"),
    "fields in reverse": (KEEP_ALIVE, "s2c", b"\x22\x02\x08\x05\x12\x01a\x08\x00"),
}


@pytest.mark.parametrize("case", ODD.values(), ids=ODD)
def test_one_odd_body(case: Case) -> None:
    Both().compare([body_message(*case)])


CHANGES: dict[str, dict[str, Any]] = {
    "a note": {"own_notes": ["request-later"]},
    "no note": {"own_notes": []},
    "an error": {"error": {"code": -1, "message": "no"}},
    "a reason": {"verdict": "unverified", "reason": "no-digest"},
    "failed": {"verdict": "failed", "reason": "sha1-mismatch", "plaintext": None},
    "no plaintext": {"plaintext": None},
    "no connection id": {"conn_id": None},
    "a latency": {"request": 3, "latency_ns": 1_234_567},
    "a negative latency": {"request": 3, "latency_ns": -1},
    "a latency of 64 bits": {"request": 3, "latency_ns": (1 << 63) - 1},
    "a latency of 80 bits": {"request": 3, "latency_ns": 1 << 80},
    "before 1970": {"time_ns": -1},
    "the year 1970": {"time_ns": 0},
    "after 9999": {"time_ns": 1 << 68},
    "the end of 64 bits": {"time_ns": (1 << 63) - 1},
    "a text with a lone surrogate": {"conn_id": "\ud800"},
    "JSON": {"header": (b"FT", KEEP_ALIVE, 1, 0, 7, 4, bytes(20), bytes(8))},
    "another format": {"header": (b"FT", KEEP_ALIVE, 9, 0, 7, 4, bytes(20), bytes(8))},
    "no digest": {"header": (b"FT", KEEP_ALIVE, 0, 0, 7, 4, b"", bytes(8))},
    "a large serial": {"header": (b"FT", KEEP_ALIVE, 0, 255, 0xFFFFFFFF, 0xFFFFFFFF, bytes(20), bytes(8))},
    "many packets": {"_frames": tuple(range(1, 300))},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_one_odd_record(changes: dict[str, Any]) -> None:
    Both().compare([body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05", **changes)])


def test_limits_of_the_flow_hold() -> None:
    body = b"\x0a\x02\x08\x05" + b"\x0a\x00" * 600
    for limits in (Limits(max_depth=2), Limits(max_parsed=100 * 1024)):
        both = Both()
        both.compare([body_message(KEEP_ALIVE, "c2s", body, limits=limits)])
        assert both.left == 1


def test_gaps_stand_among_messages() -> None:
    item = body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05")
    gap = Gap(item.flow, item.time_ns, 5, "lost")
    written = Both().compare([item, gap, item])
    assert [b'"gap"' in line for line in written.splitlines()] == [False, True, False]


def test_another_class_of_messages_is_left_to_python() -> None:
    class Own(Message):
        pass

    item = body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05")
    item.__class__ = Own
    both = Both()
    both.compare([item])
    assert both.left == 1


def test_more_flows_and_protocols_than_are_kept() -> None:
    both = Both()
    items: list[Message | Gap] = []
    for number in range(10_000):
        item = body_message(number, "c2s", b"\x0a\x02\x08\x05")
        item.flow = Flow(number, "c2s", f"192.0.2.1:{number}", "192.0.2.2:11111")
        items.append(item)
    both.compare(items)
    both.compare(items)


def test_an_exception_of_the_python_path_comes_through() -> None:
    def fail(item: Any) -> bytes:
        raise ZeroDivisionError

    renderer = compiled_json_lines("sdk", fail, show_secrets=False)
    assert renderer is not None
    ordinary = body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05")
    assert renderer.render([ordinary]).endswith(b"\n")
    with pytest.raises(ZeroDivisionError):
        renderer.render([ordinary, body_message(KEEP_ALIVE, "c2s", b"\xff")])
    text: Any = lambda item: "text"  # noqa: E731
    other = compiled_json_lines("sdk", text, show_secrets=False)
    assert other is not None
    with pytest.raises(TypeError, match="bytes"):
        other.render([body_message(KEEP_ALIVE, "c2s", b"\xff")])


def test_rendering_leaves_nothing_behind() -> None:
    random = Random(0)
    items: list[Message | Gap] = [
        body_message(proto_id, direction, hostile_body(cls, random)) for proto_id, direction, cls in BODIES
    ]
    output = JsonLinesOutput()
    output.render(items)
    sizes = []
    for _ in range(3):
        tracemalloc.start()
        output.render(items)
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    # Of more than 200 records each would leave a kilobyte of buffer, or a reference to its body.
    assert min(sizes) < 20_000


def test_a_renderer_is_freed_with_all_that_it_keeps() -> None:
    output = JsonLinesOutput()
    output.render([body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05")])
    seen = weakref.ref(output)
    del output
    gc.collect()
    assert seen() is None
