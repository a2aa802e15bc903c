"""Renderers and tables with the compiled core and without, and messages to compare them with."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from hashlib import sha1
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from decoder import schema
from decoder.conversation.summary import Summary
from decoder.core import JsonLines
from decoder.framing.header import MAGIC, RESERVED
from decoder.limits import Limits
from decoder.message import Flow, Gap, Message
from decoder.output.table_blocks import Block
from decoder.output.table_bodies import Plan
from decoder.output.table_columns import Table
from decoder.output.table_ledgers import LEDGERS
from decoder.output.table_schema import all_tables
from decoder.output.tables import Tables
from decoder.vocabulary import Direction, EnumStyle, Kind
from tests.support.hostile_bodies import hostile_body, varint

needs_core = pytest.mark.skipif(JsonLines is None, reason="the compiled core is not built, or OPENDUMP_PURE is set")

STYLES: list[tuple[EnumStyle, bool]] = [
    (enums, shown) for enums in ("sdk", "proto", "number") for shown in (False, True)
]
"""Enum styles, each without and with secrets."""
BODIES: list[tuple[int, Direction, Any]] = [
    (protocol.proto_id, direction, cls)
    for protocol in schema.protocols()
    for direction in ("c2s", "s2c")
    if (cls := schema.body_class(protocol.proto_id, direction)) is not None
]
"""Protocol id, direction and class of every body."""
Rows = dict[str, list[tuple[Any, ...]]]
"""The rows of each table."""
_read = Plan._read
KEEP_ALIVE = 1004
ENDS = ("192.0.2.1:50112", "192.0.2.2:11111")


class Both:
    """Renders with the compiled core and in Python, and counts the records that the core leaves to Python.

    :param output: class of the renderers, made with the other arguments
    """

    def __init__(self, output: Any, *arguments: Any, **options: Any) -> None:
        self.left = 0
        with without_core():
            self._python = output(*arguments, **options)
        both = self

        class Counted(output):  # type: ignore[misc]
            def _line(self, item: Any) -> Any:
                both.left += 1
                return super()._line(item)

        self._compiled = Counted(*arguments, **options)

    def compare(self, items: Sequence[Message | Gap]) -> Any:
        """Returns what both write, which is the same."""
        written = self._compiled.render(items)
        assert written == self._python.render(items)
        return written


class BothTables:
    """Collects the rows of all tables with the compiled core and in Python, and counts what the core leaves to Python.

    :param wide: whether order books become wide rows
    :param show_secrets: whether secrets are shown
    """

    def __init__(self, *, wide: bool = False, show_secrets: bool = False) -> None:
        self.left = 0
        self._rows: list[Rows] = [{}, {}]
        with without_core():
            self._python = self._collector(0, wide, show_secrets)
        self._compiled = self._collector(1, wide, show_secrets)
        both = self

        def counted(plan: Any, message: Message, plaintext: bytes) -> Any:
            both.left += plan._source is not None
            return _read(plan, message, plaintext)

        self._counted = counted

    def _collector(self, place: int, wide: bool, show_secrets: bool) -> Tables:
        rows = self._rows[place]

        def write(table: Table, block: Block) -> None:
            columns = [block.column(column.name) for column in table.columns]
            rows.setdefault(table.name, []).extend(zip(*columns, strict=True))

        tables = {name: table for name, table in all_tables(wide=wide).items() if name not in LEDGERS}
        return Tables(tables, write, show_secrets=show_secrets)

    def compare(self, items: Sequence[Message | Gap]) -> Rows:
        """Returns the rows that both collect, which are the same."""
        with patch.object(Plan, "_read", self._counted):
            for collector in (self._python, self._compiled):
                collector.add([_fresh(item) for item in items])
                collector.finish(Summary())
        written, wanted = self._rows[1], self._rows[0]
        assert repr(written) == repr(wanted)  # (not a number is not equal to itself)
        found = {name: list(rows) for name, rows in written.items()}
        written.clear()
        wanted.clear()
        return found


def _fresh(item: Message | Gap) -> Message | Gap:
    """Returns a copy that nobody has parsed."""
    return copy(item) if isinstance(item, Message) else item


@contextmanager
def without_core() -> Iterator[None]:
    """Renderers and collectors that are made here are pure Python."""
    with (
        patch("decoder.output.json_core.JsonLines", None),
        patch("decoder.output.text_core.TextLines", None),
        patch("decoder.output.table_core.Columns", None),
    ):
        yield


def body_message(
    proto_id: int, direction: Direction, body: bytes, *, limits: Limits | None = None, **changes: Any
) -> Message:
    """Returns a verified message with this body; `changes` are set as attributes."""
    flow = Flow(3, direction, *(ENDS if direction == "c2s" else ENDS[::-1]), limits or Limits())
    header = (MAGIC, proto_id, 0, 0, 7, len(body), sha1(body).digest(), RESERVED)
    kind: Kind = "request" if direction == "c2s" else "push" if schema.is_push(proto_id) else "response"
    message = Message(flow, header, 1_790_000_000_123_456_789, (4, 5), kind, body, "None", "verified", None, "12")
    message.number = 17
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def bytes_left_behind(output: Any) -> int:
    """Returns the least memory that rendering hostile bodies of every type took and did not give back."""
    random = Random(0)
    items = [body_message(proto_id, direction, hostile_body(cls, random)) for proto_id, direction, cls in BODIES]
    output.render(items)
    sizes = []
    for _ in range(3):
        tracemalloc.start()
        output.render(items)
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    return min(sizes)


def is_freed(make: Callable[[], Any]) -> bool:
    """Returns True if a renderer that has rendered is freed once nobody refers to it."""
    output = make()
    output.render([body_message(KEEP_ALIVE, "c2s", b"\x0a\x02\x08\x05")])
    seen = weakref.ref(output)
    del output
    gc.collect()
    return seen() is None


ODD_BODIES: dict[str, tuple[int, Direction, bytes]] = {
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
"""Protocol id, direction and body of messages that are odd, or only just not."""
ODD_RECORDS: dict[str, dict[str, Any]] = {
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
"""Attributes of a message that make it odd, or only just not."""
