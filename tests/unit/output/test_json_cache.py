"""What is written from parts that were kept is what a walk through the whole body writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import decoder
from decoder import Limits, Message, schema
from decoder.message import Flow
from decoder.output import json_cache
from decoder.output.json_cache import JsonFragmentCache
from decoder.output.jsonl import JsonLinesOutput
from decoder.schema.fields import fields_of
from decoder.vocabulary import EnumStyle
from tests.support.every import for_every
from tests.support.random_messages import random_message, vendor_classes
from tests.support.recorded import RECORDINGS, Recording

ROOT = Path(__file__).parents[3]
STYLES: list[tuple[EnumStyle, bool]] = [
    (enums, shown) for enums in ("sdk", "proto", "number") for shown in (False, True)
]
PROTO_IDS = {each.name: each.proto_id for each in schema.protocols()}
BODIES = sorted(
    name
    for name in vendor_classes()
    if name.endswith((".Request", ".Response")) and name.partition(".")[0] in PROTO_IDS
)
BOOK = "Qot_UpdateOrderBook.Response"


def message(name: str, body: bytes, limits: Limits | None = None) -> Message:
    """A message of the class `name` (``Qot_GetKL.Response``) with this body."""
    proto, _, kind = name.rpartition(".")
    asks = kind == "Request"
    flow = Flow(0, "c2s" if asks else "s2c", "192.0.2.1:50112", "192.0.2.2:11111", limits or Limits())
    header = (b"FT", PROTO_IDS[proto], 0, 0, 7, len(body), bytes(20), bytes(8))
    return Message(
        flow, header, 1, (1,), "request" if asks else "response", body, "None", "verified", None, "1"
    )  # fmt: skip


def again(item: Message) -> Message:
    """The same message, not parsed yet."""
    return Message(
        item.flow, item.header, item.time_ns, tuple(item.frames), item.kind, item.plaintext, item.encryption,
        item.verdict, item.reason, item.conn_id, item.own_notes,
    )  # fmt: skip


def quick(cache: JsonFragmentCache, item: Message) -> Any:
    """The record from `known` as a JSON parser reads it; None if it leaves the message to others."""
    record = cache.record(again(item))
    return None if record is None else json.loads(orjson.dumps(record))


def whole(item: Message, enums: Any = "sdk", shown: bool = False) -> Any:
    """The record as the walk through the whole body gives it."""
    return json.loads(json.dumps(again(item).record(enums, show_secrets=shown)))


@pytest.mark.parametrize(("enums", "shown"), STYLES)
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_recordings(recording: Recording, enums: Any, shown: bool) -> None:
    """Those in Protobuf that are in order take this way, and only they."""
    items = decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog)
    messages = [item for item in items if isinstance(item, Message)]
    usual = [item.format == "Protobuf" and item.protobuf and not item.content.notes for item in messages]
    expected = [whole(item, enums, shown) if is_usual else None for item, is_usual in zip(messages, usual, strict=True)]
    cache = JsonFragmentCache(enums, show_secrets=shown)
    for _ in range(2):  # when the parts are new, and when they are known
        assert [quick(cache, item) for item in messages] == expected


@for_every(lambda: BODIES)
def test_every_protocol(name: str) -> None:
    """With values from all edges of their types; enums of unknown values deserve a note."""
    random = Random(name)
    wild = [random_message(vendor_classes()[name], random, density).SerializeToString() for density in (1.0, 0.5)]
    tame = [tamed(schema.message_class(name).FromString(body), random) for body in wild]
    for enums, shown in STYLES:
        cache = JsonFragmentCache(enums, show_secrets=shown)
        for body in [*wild, *tame] * 2:
            item = message(name, body)
            expected = whole(item, enums, shown)
            assert quick(cache, item) == (None if expected["notes"] else expected)
            assert body in wild or not expected["notes"]


def tamed(body: Any, random: Random) -> bytes:
    """`body` with values that the schema knows in the place of its enums."""
    for field in fields_of(body.DESCRIPTOR):
        value = getattr(body, field.name)
        if field.kind == "message":
            for each in value if field.repeated else [value] if body.HasField(field.name) else []:
                tamed(each, random)
        elif field.kind in ("enum", "bits") and field.repeated:
            value[:] = [random.choice(list(field.known)) for _ in value]
        elif field.kind in ("enum", "bits") and body.HasField(field.name):
            setattr(body, field.name, random.choice(list(field.known)))
    written: bytes = body.SerializeToString()
    return written


@given(st.sampled_from(BODIES), st.data())
def test_damaged_bodies(name: str, data: st.DataObject) -> None:
    body = bytearray(random_message(vendor_classes()[name], Random(data.draw(st.integers(0, 30)))).SerializeToString())
    for _ in range(data.draw(st.integers(0, 3)) if body else 0):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = body[: data.draw(st.integers(0, len(body)))]
    output = JsonLinesOutput()
    for each in (cut, body, cut):
        item = message(name, bytes(each))
        assert json.loads(output.render([again(item)])) == whole(item)


def order_book(*volumes: int) -> bytes:
    levels = [{"price": 1.5, "volume": volume, "orederCount": 1} for volume in volumes]
    book = {"security": {"market": 1, "code": "00700"}, "orderBookAskList": levels}
    written: bytes = vendor_classes()[BOOK](retType=0, s2c=book).SerializeToString()
    return written


def test_what_is_known_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = JsonFragmentCache("sdk", show_secrets=False)
    first = quick(cache, message(BOOK, order_book(300)))
    assert first["body"]["s2c"]["orderBookAskList"] == [{"price": 1.5, "volume": "300", "orederCount": 1}]
    monkeypatch.setattr(json_cache.TypeCache, "__missing__", lambda *_: pytest.fail("written a second time"))
    assert quick(cache, message(BOOK, order_book(300))) == first


@pytest.mark.parametrize(
    ("tail", "note"), [(b"\x78\x01", "unknown-fields"), (b"\xff", "bad-body")], ids=["unknown field", "damage"]
)
def test_odd_parts_are_noted_each_time(tail: bytes, note: str) -> None:
    level = b"\x09" + bytes(8) + b"\x10\x01\x18\x01" + tail
    s2c = b"\x0a\x09\x08\x01\x12\x0500700" + b"\x12" + bytes([len(level)]) + level
    item = message(BOOK, b"\x08\x00\x22" + bytes([len(s2c)]) + s2c)
    cache, output = JsonFragmentCache("sdk", show_secrets=False), JsonLinesOutput()
    for _ in range(3):
        assert quick(cache, item) is None
        assert json.loads(output.render([again(item)]))["notes"] == [note]


def test_secrets_stay_hidden() -> None:
    s2c = {"serverVer": 1, "loginUserID": 2, "connID": 3, "connAESKey": "0123456789abcdef", "keepAliveInterval": 10}
    name = "InitConnect.Response"
    item = message(name, vendor_classes()[name](retType=0, s2c=s2c).SerializeToString())
    hidden, shown = (
        orjson.dumps(JsonFragmentCache("sdk", show_secrets=show).record(again(item))) for show in (False, True)
    )
    assert b"0123456789abcdef" not in hidden
    assert b"0123456789abcdef" in shown


def test_bodies_over_a_limit_take_the_other_way() -> None:
    cache = JsonFragmentCache("sdk", show_secrets=False)
    body = order_book(300)
    for limits, usual in ((Limits(), True), (Limits(max_depth=1), False), (Limits(max_parsed=100), False)):
        assert bool(quick(cache, message(BOOK, body, limits))) is usual
        assert bool(quick(cache, message(BOOK, body))) is True


@for_every(lambda: BODIES)
def test_an_outline_reads_the_same_bytes(name: str) -> None:
    shallow, cls, random = schema.shallow_class(name), schema.message_class(name), Random(name)
    for density in (1.0, 0.5):
        data = random_message(vendor_classes()[name], random, density).SerializeToString()
        body, read = cls.FromString(data), shallow.FromString(data)
        assert read.SerializeToString() == data
        for outer, inner in read.ListFields():
            if outer.type != outer.TYPE_MESSAGE:
                continue
            for field, value in inner.ListFields():
                part = schema.part_class(field)
                if part is not None:
                    original = getattr(getattr(body, outer.name), field.name)
                    single = isinstance(value, bytes)
                    assert [part.FromString(each) for each in ([value] if single else value)] == (
                        [original] if single else list(original)
                    )


def test_what_was_not_asked_for_lately_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all types alike."""
    monkeypatch.setattr(json_cache, "_MAX_SIZE", 50_000)
    cache = JsonFragmentCache("sdk", show_secrets=False)
    kinds: dict[str, tuple[str, dict[str, Any], str]] = {
        BOOK: ("orderBookAskList", {"price": 1.5, "volume": 0, "orederCount": 1}, "orederCount"),
        "Qot_UpdateBroker.Response": ("brokerAskList", {"id": 0, "name": "x", "pos": 1}, "pos"),
    }
    sizes = []
    for number in range(1_000):
        for name, (field, part, varying) in kinds.items():
            s2c = {"security": {"market": 1, "code": "00700"}, field: [{**part, varying: number}]}
            record = quick(cache, message(name, vendor_classes()[name](retType=0, s2c=s2c).SerializeToString()))
            assert record["body"]["s2c"][field][0][varying] == number
        sizes.append(sum(len(each) + len(each._older) for each in cache._caches.values()))
    assert 50 < max(sizes) < 250
    assert min(sizes[500:]) > 50  # and not everything at once


PEAK = """
import resource, sys
sys.path.insert(0, {root!r})
from tests.unit.output.test_json_cache import BOOK, message, order_book
from decoder.output.jsonl import JsonLinesOutput

output = JsonLinesOutput()
for volume in range(0, {count}, 20):
    output.render([message(BOOK, order_book(*range(volume, volume + 20)))])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no getrusage")
def test_parts_that_never_come_again_do_not_pile_up() -> None:
    peaks = []
    for count in (200_000, 600_000):
        script = PEAK.format(root=str(ROOT), count=count)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 16 * 1024 * 1024  # without a bound it would be 70 MB
