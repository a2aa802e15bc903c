"""Message types and flows as the compiled core takes them."""

from __future__ import annotations

from typing import Any

from decoder import schema
from decoder.limits import Limits
from decoder.message import Flow
from decoder.output.core_tables import FieldTexts, TypeTables, flow_table


class Core(list[Any]):
    """Stands for the core's renderer: keeps what is added."""

    def add_type(self, rows: tuple[Any, ...]) -> int:
        self.append(rows)
        return len(self) - 1


def test_a_field_is_number_kind_repeated_required_texts_and_inner_type() -> None:
    core = Core()
    tables = TypeTables(core.add_type, lambda field: FieldTexts(field.name.encode()))
    index = tables.index(schema.message_class("Qot_Common.Security").DESCRIPTOR)
    assert core[index] == (
        (1, "int32", False, True, b"market", None, None, None, None),
        (2, "string", False, True, b"code", None, None, None, None),
    )


def test_a_type_is_added_once_and_after_those_in_it() -> None:
    core = Core()
    tables = TypeTables(core.add_type, lambda field: FieldTexts())
    outer = schema.message_class("Qot_UpdateTicker.S2C").DESCRIPTOR
    index = tables.index(outer)
    assert tables.index(outer) == index
    inner = {row[-1] for row in core[index] if row[-1] is not None}
    assert inner == set(range(index))
    assert tables.index(schema.message_class("Qot_Common.Security").DESCRIPTOR) in inner


def test_a_flow_has_its_bodies_and_texts() -> None:
    asked: list[tuple[int, str]] = []

    def body(proto_id: int, direction: str, kind: Any) -> int:
        asked.append((proto_id, direction))
        return len(asked)

    flows = flow_table(body, lambda flow: (flow.src.encode(), flow.dst.encode()))
    there, back = (Flow(0, way, "a:1", "b:2", limits=Limits()) for way in ("c2s", "s2c"))
    longest, bodies, src, dst = flows[there]
    assert longest > 0
    assert (src, dst) == (b"a:1", b"b:2")
    assert (bodies[1001], bodies[1001]) == (1, 1)
    assert bodies[9_999] == -1
    assert flows[back][1][1001] == 2
    assert asked == [(1001, "c2s"), (1001, "s2c")]
