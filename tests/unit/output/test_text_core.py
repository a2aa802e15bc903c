"""Lines of text of the compiled core: byte for byte what Python writes, whatever the bodies are."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

import decoder
from decoder import Message, schema
from decoder.output.text import TextOutput
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


def both_of(enums: EnumStyle = "sdk", shown: bool = False, **options: Any) -> Both:
    return Both(TextOutput, enums, show_secrets=shown, **options)


@pytest.mark.parametrize(("enums", "shown"), [("sdk", False), ("number", True)])
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_recordings(recording: Recording, enums: EnumStyle, shown: bool) -> None:
    items = list(decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog))
    both = both_of(enums, shown, utc=shown)
    both.compare(items)
    both.compare(items)
    ordinary = [
        item
        for item in items
        if isinstance(item, Message)
        and item.verdict == "verified"
        and item.format == "Protobuf"
        and not item.notes
        and item.ret_type in (None, "RET_OK")
    ]
    assert both.left == 2 * (len(items) - len(ordinary))


@pytest.mark.parametrize(("enums", "shown"), STYLES)
def test_bodies_of_every_type(enums: EnumStyle, shown: bool) -> None:
    random = Random(f"{enums} {shown}")
    both = both_of(enums, shown)
    for proto_id, direction, cls in BODIES:
        items = []
        for density in (0.0, 0.4, 1.0):
            message = random_message(cls, random, density)
            if "retType" in cls.DESCRIPTOR.fields_by_name:
                message.retType = 0
            items.append(body_message(proto_id, direction, message.SerializeToString()))
        both.compare(items)
    # Those whose c2s or s2c is absent are for Python.
    assert both.left < len(BODIES)


@pytest.mark.parametrize(("enums", "shown"), [("sdk", False), ("number", True)])
@pytest.mark.parametrize("seed", range(8))
def test_hostile_bodies(seed: int, enums: EnumStyle, shown: bool) -> None:
    random = Random(seed)
    both = both_of(enums, shown)
    for proto_id, direction, cls in random.sample(BODIES, 120):
        both.compare([body_message(proto_id, direction, hostile_body(cls, random)) for _ in range(10)])
    assert 100 < both.left < 1150


@pytest.mark.parametrize("case", ODD_BODIES.values(), ids=ODD_BODIES)
def test_one_odd_body(case: Any) -> None:
    both_of().compare([body_message(*case)])


# (A verified message has a plaintext; without one there is no line.)
READABLE = {name: changes for name, changes in ODD_RECORDS.items() if name != "no plaintext"}


@pytest.mark.parametrize("changes", READABLE.values(), ids=READABLE)
def test_one_odd_record(changes: dict[str, Any]) -> None:
    both_of().compare([body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05", **changes)])


LATENCIES = [
    None, 0, 1, 999, 1_000, 9_994, 9_995, 9_996, 99_949, 99_950, 999_499, 999_500, 999_501, 1_234_567, 12_345_678,
    999_499_999, 999_500_000, 12_345_678_901, 10**15, 1 << 53, (1 << 53) + 1, -5, -1_000_000,
]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_latencies(encoding: str) -> None:
    answer = b"\x08\x00\x22\x02\x08\x05"
    both = both_of(encoding=encoding)
    both.compare([body_message(KEEP_ALIVE, "s2c", answer, latency_ns=latency) for latency in LATENCIES])
    assert both.left == sum(latency is not None and not 0 <= latency <= 1 << 53 for latency in LATENCIES)


@pytest.mark.parametrize("number", [0, 1, 99_999, 100_000, 10**12, -1, 1 << 70])
def test_numbers(number: int) -> None:
    both_of().compare([body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05", number=number)])


TEXTS = [
    "", "x", "00700", "a b", "2026-11-28 09:30", "2026-11-28 09:30:00.123", "2026-11-28 9:30", "x" * 80, "x" * 81,
    'a"b', "a\\b", "\x1b[31m", "a\nb", "\u202e", "\x00", "HK.00700", "a,b", "é" * 80, "a-b_c/d@e:f+g",
]  # fmt: skip


def test_texts_are_quoted_alike() -> None:
    reminder = schema.message_class("Qot_SetPriceReminder.Request")
    proto_id = next(each.proto_id for each in schema.protocols() if each.name == "Qot_SetPriceReminder")
    items = []
    for text in TEXTS:
        message: Any = reminder()
        message.c2s.security.market = 1
        message.c2s.security.code = text
        message.c2s.op = 1
        message.c2s.note = text
        items.append(body_message(proto_id, "c2s", message.SerializeToString()))
    both = both_of()
    both.compare(items)
    assert both.left == 0


def test_a_terminal_is_not_for_the_core() -> None:
    both = both_of(color=True)
    both.compare([body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05")])


def test_rendering_leaves_nothing_behind() -> None:
    assert bytes_left_behind(TextOutput()) < 20_000


def test_a_renderer_is_freed_with_all_that_it_keeps() -> None:
    assert is_freed(TextOutput)
