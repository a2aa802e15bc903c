"""The compiled core collects the rows of ordinary bodies; they are the rows that Python reads."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from decoder import Gap, Message, schema
from decoder.core import Columns
from decoder.output.table_columns import Source, sources
from decoder.output.table_core import CoreTables
from decoder.output.table_schema import all_tables
from decoder.output.table_times import utc_ns
from tests.support.cores import ODD_BODIES, ODD_RECORDS, BothTables, body_message, needs_core
from tests.support.hostile_bodies import hostile_body, varint
from tests.support.random_messages import random_message
from tests.support.session import response, security

pytestmark = needs_core

FOUND: dict[tuple[int, str], list[Source]] = {}
for _source in sources():
    FOUND.setdefault((_source.proto_id, _source.direction), []).append(_source)
KINDS = sorted(FOUND)
DEEP = {(3101, "s2c"), (3260, "c2s")}  # rows deeper than a list of the body
TICK: dict[str, Any] = {"time": "2026-07-05 09:30:00.5", "sequence": 1, "dir": 1, "price": 1.5, "volume": 3,
                        "turnover": 4.5}  # fmt: skip


def message(proto_id: int, direction: Any, body: bytes, number: int = 1, **changes: Any) -> Message:
    made = body_message(proto_id, direction, body, **changes)
    made.number = made.ordinal = number
    return made


def ticks(*ticks: dict[str, Any], **around: Any) -> bytes:
    return response("Qot_UpdateTicker", security=security(), tickerList=[{**TICK, **tick} for tick in ticks], **around)


def made_bodies(seed: int, count: int) -> Iterator[tuple[int, Any, bytes]]:
    """Bodies of all kinds with rows, most with random values, some changed field by field."""
    random = Random(seed)
    for _ in range(count):
        proto_id, direction = random.choice(KINDS)
        cls: Any = schema.body_class(proto_id, direction)
        if random.random() < 0.5:
            yield proto_id, direction, hostile_body(cls, random)
        else:
            yield proto_id, direction, random_message(cls, random, random.choice((0.0, 0.3, 1.0))).SerializeToString()


def test_all_bodies_with_rows_have_a_source_but_those_with_deep_rows() -> None:
    tables = CoreTables.make(all_tables(), FOUND.values())
    assert tables is not None
    assert {kind for kind in KINDS if tables.source(FOUND[kind]) is None} == DEEP


def test_without_the_core_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decoder.output.table_core.Columns", None)
    assert CoreTables.make(all_tables(), FOUND.values()) is None


def test_a_table_of_wide_books_is_for_python() -> None:
    tables = CoreTables.make(all_tables(wide=True), FOUND.values())
    assert tables is not None
    assert tables.sheets("order_book") is None
    assert tables.source(FOUND[3013, "s2c"]) is None
    assert tables.sheets("rt_ticker") is not None


@pytest.mark.parametrize(("proto_id", "direction"), [kind for kind in KINDS if kind not in DEEP])
def test_ordinary_bodies_of_every_type_are_collected(proto_id: int, direction: Any) -> None:
    """Bodies with the fields that are required, and with all that no list holds: nothing is left to Python."""
    both = BothTables()
    cls: Any = schema.body_class(proto_id, direction)
    bodies = [cls.FromString(random_message(cls, Random(seed), 0.0).SerializeToString()) for seed in range(5)]
    rows = both.compare([message(proto_id, direction, body.SerializeToString()) for body in bodies])
    assert both.left == 0
    assert rows["messages"]


@pytest.mark.parametrize("seed", range(6))
def test_random_and_damaged_bodies_in_their_order(seed: int) -> None:
    both = BothTables(wide=seed == 5)
    items: list[Message | Gap] = [
        message(proto_id, direction, body, number)
        for number, (proto_id, direction, body) in enumerate(made_bodies(seed, 250), 1)
    ]
    rows = both.compare(items)
    assert 0 < both.left < 250
    assert len(rows) > 10


@pytest.mark.parametrize("name", ODD_BODIES)
def test_odd_forms_of_a_body(name: str) -> None:
    """The forms of another protocol's bodies, as the end of a ticker's s2c."""
    _, _, odd = ODD_BODIES[name]
    good = ticks({})
    BothTables().compare([message(3011, "s2c", body) for body in (odd, good + odd, good, b"\x08\x00\x22" + varint(9))])


@pytest.mark.parametrize("name", sorted(ODD_RECORDS.keys() - {"a text with a lone surrogate"}))  # no connID is one
def test_odd_attributes_of_a_message(name: str) -> None:
    both = BothTables()
    odd = {key: value for key, value in ODD_RECORDS[name].items() if key != "header"}
    both.compare([message(3011, "s2c", ticks({})), message(3011, "s2c", ticks({}), 2, **odd)])


def test_python_and_the_core_take_turns() -> None:
    """A tick with an unknown direction is for Python; its rows stand between those of the core."""
    both = BothTables()
    bodies = [
        ticks({"sequence": place}, {"sequence": 100 + place, "dir": 1 + 98 * (place % 3 == 1)}) for place in range(9)
    ]
    rows = both.compare([message(3011, "s2c", body, place + 1) for place, body in enumerate(bodies)])
    assert both.left == 3
    names = [column.name for column in all_tables()["rt_ticker"].columns]
    sequences = [row[names.index("sequence")] for row in rows["rt_ticker"]]
    assert sequences == [number for place in range(9) for number in (place, 100 + place)]
    notes = [column.name for column in all_tables()["messages"].columns].index("notes")
    assert [bool(row[notes]) for row in rows["messages"]] == [place % 3 == 1 for place in range(9)]


TEXTS = (
    "2026-07-05 09:30:00", "2026-07-05 09:30:00.5", "2026-07-05 09:30:59.123456789", "2026-07-05 09:30:00.1234567890",
    "2026-07-05 09:30:00.", "2026-07-05 09:30:00,5", "2026-07-05 09:30:00.5x", "2026-07-05 09:30:60", "",
    "2026-07-05 09:30", "2026-07-05T09:30:00", "2026-02-30 09:30:00", "9999-12-31 23:59:59", "0001-01-01 00:00:00",
    "2262-04-11 23:47:16",
    "٢026-07-05 09:30:00", "2026-07-05 09:30:0٥", "2026-07-05 09:30:00.٥", "\ud7ff026-07-05 09:30:00", "x" * 40,
    "2026-07-05 09:30:+1", "1970-01-01 08:00:00", "1969-12-31 23:59:59.9",
)  # fmt: skip


@pytest.mark.parametrize("market", [0, 1, 11, 21, 22, 31, 99])
def test_times_in_the_zone_of_a_market(market: int) -> None:
    both = BothTables()
    around = {"market": market, "code": "00700"}
    body = response(
        "Qot_UpdateTicker", security=around, tickerList=[{**TICK, "time": text, "sequence": 1} for text in TEXTS]
    )
    rows = both.compare([message(3011, "s2c", body)])["rt_ticker"]
    assert both.left == (market == 99)
    names = [column.name for column in all_tables()["rt_ticker"].columns]
    code, utc = names.index("code"), names.index("time_utc")
    assert [row[utc] for row in rows] == [utc_ns(text, row[code]) for text, row in zip(TEXTS, rows, strict=True)]


@pytest.mark.parametrize("text", TEXTS)
def test_a_time_whose_date_is_a_column_of_its_own(text: str) -> None:
    quote = {
        "security": security(), "isSuspended": False, "listTime": "", "priceSpread": 0.1, "updateTime": text,
        "highPrice": 1.0, "openPrice": 1.0, "lowPrice": 1.0, "curPrice": 1.0, "lastClosePrice": 1.0, "volume": 1,
        "turnover": 1.0, "turnoverRate": 1.0, "amplitude": 1.0,
    }  # fmt: skip
    both = BothTables()
    both.compare([message(3005, "s2c", response("Qot_UpdateBasicQot", basicQotList=[quote]))])
    assert both.left == 0


@pytest.mark.parametrize(
    "seconds", [0.0, -0.0, 0.0000005, 0.0000015, 1.7e9 + 1 / 3, -1.5, 9.2e9, -9.2e9, 9.19e9, 1e300, float("nan"), -1e-7]
)
def test_seconds_as_times(seconds: float) -> None:
    both = BothTables()
    both.compare([message(3011, "s2c", ticks({"timestamp": seconds, "recvTime": seconds}))])
    assert both.left == 0


def test_a_k_line_is_lent_the_type_that_was_asked_for() -> None:
    request: Any = schema.body_class(3103, "c2s")
    asked = request()
    asked.c2s.rehabType, asked.c2s.klType = 1, 2
    asked.c2s.security.market, asked.c2s.security.code = 1, "00700"
    asked.c2s.beginTime = asked.c2s.endTime = "2026-07-05"
    answer = response(
        "Qot_RequestHistoryKL", security=security(), klList=[{"time": "2026-07-05 00:00:00", "isBlank": False}] * 3
    )
    both = BothTables()
    items: list[Message | Gap] = [
        message(3103, "c2s", asked.SerializeToString(), 1),
        message(3103, "s2c", answer, 2, request=1, latency_ns=5),
        message(3103, "s2c", answer, 3),
    ]
    rows = both.compare(items)["cur_kline"]
    place = [column.name for column in all_tables()["cur_kline"].columns].index("k_type")
    assert [row[place] for row in rows] == ["K_DAY"] * 3 + [None] * 3
    assert both.left == 0


def test_what_is_not_kept_leaves_nothing() -> None:
    tables = CoreTables.make(all_tables(), FOUND.values())
    assert tables is not None
    source, sheets = tables.source(FOUND[3011, "s2c"]), tables.sheets("rt_ticker")
    assert source is not None
    assert sheets is not None
    assert tables.core.read(source, ticks({}, {}), False) == 2
    assert tables.core.read(source, ticks({}, {"dir": 99}), True) is None
    assert sheets.rows == 0
    assert tables.core.read(source, ticks({}, {"sequence": 7}), True) == 2
    taken = sheets.take()
    assert (taken.rows, taken.own["sequence"].plain(), taken.places.plain()) == (2, [1, 7], [0, 0])
    assert sheets.take().rows == 0


def test_what_is_said_of_a_body() -> None:
    """errCode and retMsg that are there and empty count as well, for they are cells of the table of requests."""
    tables = CoreTables.make(all_tables(), FOUND.values())
    assert tables is not None
    source = tables.source(FOUND[3011, "s2c"])
    assert source is not None
    part = ticks({})[4:]  # after retType and an empty retMsg
    said = {b"": 0, b"\x18\x00": 1, b"\x12\x00": 2, b"\x12\x00\x18\x00": 3, b"\x12\x01a": (True, "RET_OK", None, "a"),
            b"\x18\x05": (True, "RET_OK", 5, None)}  # fmt: skip
    for more, wanted in said.items():
        assert tables.core.read(source, b"\x08\x00" + more + part, True) == wanted
    failed = b"\x08" + varint(-1) + b"\x12\x02no"
    assert tables.core.read(source, failed, True) == (False, "RET_ERROR", None, "no")
    assert tables.core.read(source, b"\x08\x63" + part, True) is None


STEP: dict[str, Any] = {
    "code": "value", "field": 1, "other": 0, "column": 0, "other_column": -1, "date_column": -1, "code_column": -1,
    "around": False, "plus": 0, "names": None, "inside": None,
}  # fmt: skip


def step(**changes: Any) -> tuple[Any, ...]:
    return tuple((STEP | changes).values())


def columns() -> Any:
    """A type of an int32, a text, a double, a message and a list of it; and two sheets with a column of each store."""
    assert Columns is not None
    core = Columns({})
    plain: tuple[Any, ...] = (False, False, b"", None, None, None, None)
    inner = core.add_type(((1, "int32", *plain), (2, "string", *plain)))
    core.add_type(
        (
            *((1, "int32", *plain), (2, "string", *plain), (3, "double", *plain)),
            (4, "message", *plain[:-1], inner),
            (5, "message", True, *plain[1:-1], inner),
        )
    )
    assert [core.add_sheet("48s?e"), core.add_sheet("48s?e")] == [0, 1]
    return core


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "nonsense"}, {"field": 9}, {"field": -1}, {"field": 2000}, {"other": 9}, {"column": 1}, {"column": 5},
        {"column": -1}, {"field": 2}, {"field": 3}, {"field": 4}, {"field": 5}, {"field": 0}, {"names": {1: b"a"}},
        {"names": {1: "a"}, "column": 4}, {"names": 5}, {"code": "seconds"}, {"code": "percent", "field": 3},
        {"code": "either", "other": 2, "column": 1}, {"code": "either", "other": 3}, {"code": "code", "column": 2},
        {"code": "code", "field": 4, "column": 2}, {"code": "trade-code", "field": 2, "other": 1, "column": 2},
        {"code": "split", "field": 2, "column": 2}, {"code": "present"}, {"code": "inside", "field": 4, "column": -1},
        {"code": "inside", "field": 4, "column": -1, "inside": 0},
        {"code": "inside", "field": 4, "column": -1, "inside": 9},
        {"code": "empty"}, {"code": "pass", "field": 0, "column": -1}, {"code": "fixed", "column": 4},
        {"code": "fixed", "column": 4, "names": {1: b"a"}}, {"code": "item", "column": 2}, {"code": "parent"},
        {"code": "stamp", "column": 1, "other_column": 0, "code_column": 2},
        {"code": "stamp", "column": 1, "other_column": 2, "code_column": 9},
        {"code": "stamp", "column": 1, "other_column": 2, "code_column": 2, "around": True},
        {"code": "stamp", "column": 0, "other_column": 2, "code_column": 2},
    ],
)  # fmt: skip
def test_a_step_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    core = columns()
    with pytest.raises((TypeError, ValueError, IndexError, OverflowError)):
        core.add_reader(1, 0, -1, (step(**changes),))
    assert core.add_reader(1, 0, -1, (step(),)) == 0, "nothing was added"


@pytest.mark.parametrize("rows", [None, [step()], (None,), (("value",),), (step(),) * 256])
def test_steps_that_are_no_steps_are_refused(rows: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        columns().add_reader(1, 0, -1, rows)


@pytest.mark.parametrize("letters", ["x", "4" * 513])
def test_a_sheet_that_makes_no_sense_is_refused(letters: str) -> None:
    with pytest.raises((ValueError, MemoryError)):
        columns().add_sheet(letters)


@pytest.mark.parametrize(
    "source",
    [
        None, (), (9, 4, 0, 0, 0, {}, ()), (1, 1, 0, 0, 0, {}, ()), (1, 0, 0, 0, 0, {}, ()), (1, 5, 0, 0, 0, {}, ()),
        (1, 4, 2, 0, 0, {}, ()), (1, 4, 0, 3, 0, {}, ()), (1, 4, 0, 0, 1, {}, ()), (1, 4, 0, 0, 0, None, ()),
        (1, 4, 0, 0, 0, {}, (None,)), (1, 4, 0, 0, 0, {}, ((1, 0, 0, 0, 1),)), (1, 4, 0, 0, 0, {}, ((9, 0, 0, 0, 1),)),
        (1, 4, 0, 0, 0, {}, ((1, 9, 0, 0, 1),)), (1, 4, 0, 0, 0, {}, ((1, 0, 9, 0, 1),)),
        (1, 4, 0, 0, 0, {}, ((1, 0, 0, 0, 1),) * 17),
    ],
)  # fmt: skip
def test_a_source_that_makes_no_sense_is_refused(source: Any) -> None:
    core = columns()
    core.add_reader(0, 0, -1, ())
    with pytest.raises((TypeError, ValueError, IndexError)):
        core.add_source(source)
    assert core.add_source((1, 4, 0, 0, 0, {}, ())) == 0, "nothing was added"


def test_an_index_that_is_none_is_refused() -> None:
    core = columns()
    for call in (
        lambda: core.read(0, b"", True),
        lambda: core.rows(2),
        lambda: core.take(-1),
        lambda: core.add_reader(0, 5, -1, ()),
        lambda: core.add_reader(0, 0, 7, ()),
        lambda: core.add_reader(3, 0, -1, ()),
    ):
        with pytest.raises(IndexError):
            call()
