"""Keys of a record in ``--where``: every key has a test, with the values that it can have."""

from __future__ import annotations

import json
from typing import Any

import pytest

import decoder
from decoder import Gap, Message
from decoder.filter.record_terms import GAP_KEYS, MESSAGE_KEYS, key_predicate
from decoder.filter.values import NoSuchValue, Value
from decoder.message import Flow
from tests.support.recorded import DEMO_KEY, Recording

READ = [item for item in decoder.read(Recording("cbc.pcap").path, rsa_keys=[DEMO_KEY]) if isinstance(item, Message)]
MESSAGES = [*READ[:60], *(message for message in READ[60:] if message.packet_id is not None)]
SELDOM = {"error.code", "error.message", "reason", "notes", "frames"}
"""Keys that these messages do not have, or that are lists."""


def value(text: str) -> Value:
    parts = tuple(text.split("*"))
    return Value(text, parts if len(parts) > 1 else None, text == "null")


def holds(item: Message | Gap, name: str, sign: str, text: str) -> bool:
    keys = MESSAGE_KEYS if isinstance(item, Message) else GAP_KEYS
    return key_predicate(name, keys[name], sign, value(text), utc=True)(item)


def test_every_key_of_the_record_and_its_parts_can_be_asked_for() -> None:
    record = MESSAGES[0].record()
    assert {name for name in MESSAGE_KEYS if "." not in name} == set(record) | {"lag_ms"}
    gap = Gap(Flow(0, "c2s", "a", "b"), 0, 7, "lost")
    assert set(GAP_KEYS) == set(gap.record())


def test_a_key_equals_what_the_record_prints() -> None:
    wrong, asked = [], set()
    for name, key in MESSAGE_KEYS.items():
        outer, _, inner = name.partition(".")
        if key.kind not in ("whole", "number", "text") or key.listed:
            continue
        for message in MESSAGES:
            printed: Any = {**message.record(), "lag_ms": message.lag_ms}[outer]
            printed = printed[inner] if inner and printed is not None else printed
            if printed is None:
                continue
            asked.add(name)
            text = printed if isinstance(printed, str) else json.dumps(printed)
            if not holds(message, name, "=", text) or holds(message, name, "!=", text):
                wrong.append((name, text))
    assert wrong == []
    assert asked | SELDOM >= {name for name, key in MESSAGE_KEYS.items() if key.kind in ("whole", "number", "text")}


def test_null_is_what_the_record_has_as_null() -> None:
    for message in MESSAGES:
        for name in ("conn_id", "request", "reason", "packet_id", "ret_type", "error"):
            assert holds(message, name, "=", "null") is (message.record()[name] is None), name


def test_of_a_list_one_that_fits_is_enough_and_none_for_unequal() -> None:
    message = next(each for each in MESSAGES if each.frames)
    first = str(message.frames[0])
    assert holds(message, "frames", "=", first)
    assert not holds(message, "frames", "!=", first)
    assert holds(message, "frames", "!=", "1000000")


def test_a_gap_has_a_size_that_may_be_unknown() -> None:
    known, unknown = (Gap(Flow(3, "s2c", "a", "b"), 0, size, "lost") for size in (100, None))
    assert holds(known, "bytes", ">=", "100")
    assert not holds(unknown, "bytes", ">=", "0")
    assert holds(unknown, "bytes", "=", "null")
    assert holds(known, "gap", "=", "true")
    assert holds(known, "direction", "=", "s2c")


@pytest.mark.parametrize(
    ("name", "sign", "text", "problem"),
    [
        ("src", "<", "a", "has no order"),
        ("packet_id", "=", "1", "packet_id.connID or packet_id.serialNo"),
        ("body", "=", "1", "such as body.c2s.code"),
        ("raw", "=", "1", "compares with null only"),
        ("time", "=", "2026-*", "cut it short instead"),
        ("time", "=", "yesterday", "yesterday"),
        ("direction", "=", "up", "c2s, s2c"),
        ("number", "=", "1.5", "whole number"),
        ("ret_type", "=", "RET_OKAY", "RET_OK"),
    ],
)
def test_values_that_a_key_cannot_have_are_refused(name: str, sign: str, text: str, problem: str) -> None:
    with pytest.raises(NoSuchValue, match=problem):
        key_predicate(name, MESSAGE_KEYS[name], sign, value(text))
