"""JSON Lines of the compiled core: byte for byte what Python writes, whatever the bodies are."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

import decoder
from decoder import Gap, Limits, Message
from decoder.message import Flow
from decoder.output.json_core import compiled_json_lines
from decoder.output.jsonl import JsonLinesOutput
from decoder.vocabulary import EnumStyle
from tests.support.cores import (
    BODIES,
    KEEP_ALIVE,
    ODD_BODIES,
    ODD_RECORDS,
    STYLES,
    Both,
    body_message,
    bytes_left_behind,
    is_freed,
    needs_core,
)
from tests.support.hostile_bodies import hostile_body
from tests.support.random_messages import random_message
from tests.support.recorded import RECORDINGS, Recording

pytestmark = needs_core


def both_of(enums: EnumStyle = "sdk", shown: bool = False) -> Both:
    return Both(JsonLinesOutput, enums, show_secrets=shown)


@pytest.mark.parametrize(("enums", "shown"), [("sdk", False), ("number", True)])
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_recordings(recording: Recording, enums: EnumStyle, shown: bool) -> None:
    items = list(decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog))
    both = both_of(enums, shown)
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
    both = both_of(enums, shown)
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
    both = both_of(enums, shown)
    for proto_id, direction, cls in random.sample(BODIES, 120):
        both.compare([body_message(proto_id, direction, hostile_body(cls, random)) for _ in range(10)])
    assert 100 < both.left < 1100


@pytest.mark.parametrize("case", ODD_BODIES.values(), ids=ODD_BODIES)
def test_one_odd_body(case: Any) -> None:
    both_of().compare([body_message(*case)])


@pytest.mark.parametrize("changes", ODD_RECORDS.values(), ids=ODD_RECORDS)
def test_one_odd_record(changes: dict[str, Any]) -> None:
    both_of().compare([body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05", **changes)])


def test_limits_of_the_flow_hold() -> None:
    body = b"\x0a\x02\x08\x05" + b"\x0a\x00" * 600
    for limits in (Limits(max_depth=2), Limits(max_parsed=100 * 1024)):
        both = both_of()
        both.compare([body_message(KEEP_ALIVE, "c2s", body, limits=limits)])
        assert both.left == 1


def test_gaps_stand_among_messages() -> None:
    item = body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05")
    gap = Gap(item.flow, item.time_ns, 5, "lost")
    written = both_of().compare([item, gap, item])
    assert [b'"gap"' in line for line in written.splitlines()] == [False, True, False]


def test_another_class_of_messages_is_left_to_python() -> None:
    class Own(Message):
        __slots__ = ()

    item = body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05")
    item.__class__ = Own
    both = both_of()
    both.compare([item])
    assert both.left == 1


def test_more_flows_and_protocols_than_are_kept() -> None:
    both = both_of()
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
    # Of more than 200 records each would leave a kilobyte of buffer, or a reference to its body.
    assert bytes_left_behind(JsonLinesOutput()) < 20_000


def test_a_renderer_is_freed_with_all_that_it_keeps() -> None:
    assert is_freed(JsonLinesOutput)
