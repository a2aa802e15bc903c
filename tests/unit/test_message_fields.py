"""What a message holds: the same in C and in Python."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest

from decoder import core
from decoder.message import Message
from decoder.message_fields import ATTRIBUTES, Flow, MessageFields, PlainFields

FLOW = Flow(3, "c2s", "192.0.2.1:50112", "192.0.2.2:11111")
HEADER = (b"FT", 1004, 0, 0, 7, 4, bytes(20), bytes(8))
GIVEN = (FLOW, HEADER, 5, (1, 2), "request", b"body", "None", "verified", None, "12")
NAMES = ("flow", "header", "time_ns", "_frames", "kind", "plaintext", "encryption", "verdict", "reason", "conn_id")
DEFAULTS = {
    "number": 0, "ordinal": 0, "request": None, "latency_ns": None, "copy": False, "error": None, "_body": None,
    "own_notes": None,
}  # fmt: skip
CLASSES: list[Any] = [PlainFields, MessageFields] if core.MessageFields is not None else [PlainFields]


@pytest.mark.parametrize("base", CLASSES)
def test_what_is_given_and_what_is_not(base: Any) -> None:
    fields = base(*GIVEN)
    assert tuple(getattr(fields, name) for name in NAMES) == GIVEN
    assert {name: getattr(fields, name) for name in DEFAULTS} == DEFAULTS
    assert base(*GIVEN, ["a note"]).own_notes == ["a note"]
    assert base(**dict(zip([name.strip("_") for name in NAMES], GIVEN, strict=True)), notes=None).own_notes is None


@pytest.mark.parametrize("base", CLASSES)
def test_every_attribute_can_be_set(base: Any) -> None:
    fields = base(*GIVEN)
    for name in (*NAMES, *DEFAULTS):
        marker = object()
        setattr(fields, name, marker)
        assert getattr(fields, name) is marker


def test_every_attribute_is_named() -> None:
    """A checkpoint carries those that are named, and no others."""
    plain = {name for name in vars(PlainFields) if not name.startswith("__")} | vars(PlainFields(*GIVEN)).keys()  # type: ignore[arg-type]
    assert set(ATTRIBUTES) == plain
    if core.MessageFields is not None:
        assert set(ATTRIBUTES) == {name for name in vars(core.MessageFields) if not name.startswith("__")}


@pytest.mark.parametrize("base", CLASSES)
def test_what_is_missing(base: Any) -> None:
    with pytest.raises(TypeError):
        base(*GIVEN[:-1])
    fields = base.__new__(base)
    for name in ("flow", "header"):
        with pytest.raises(AttributeError):
            getattr(fields, name)
    fields = base(*GIVEN)
    for name in ("flow", "header"):
        delattr(fields, name)
        with pytest.raises(AttributeError):
            getattr(fields, name)


def test_a_message_is_made_again() -> None:
    message = Message(*GIVEN, ["a note"])  # type: ignore[arg-type]
    message.number, message.ordinal, message.copy = 17, 4, True
    for again in (pickle.loads(pickle.dumps(message)), copy.copy(message)):
        assert isinstance(again, Message)
        for name in ("header", "time_ns", "number", "ordinal", "copy", "own_notes", "plaintext"):
            assert getattr(again, name) == getattr(message, name)


@pytest.mark.parametrize("base", CLASSES)
def test_a_cycle_is_found(base: Any) -> None:
    class Kept:
        pass

    fields, kept = base(*GIVEN), Kept()
    gone = weakref.ref(kept)
    fields.error = {"fields": fields, "kept": kept}
    del fields, kept
    gc.collect()
    assert gone() is None
