"""Tables: every value against the records of JSON Lines, on recordings and on made messages of every type."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

import decoder
from decoder import Gap, Message, schema
from decoder.formatting.times import rfc3339
from decoder.message import Flow
from decoder.output.table_columns import sources
from decoder.output.table_ledgers import LEDGERS
from decoder.output.table_names import LEFT_OUT, ROW_TYPES
from decoder.output.table_schema import all_tables
from decoder.output.tables import connection_id
from tests.support.random_messages import random_message, vendor_classes
from tests.support.recorded import RECORDINGS, Recording
from tests.support.tables import Rows, collect, rows_of, same

KINDS = sorted({(source.proto_id, source.direction) for source in sources()})
NESTED = (3101, 3260)  # rows deeper than a list of the body, which stays in messages whole
TABLES = sorted(set(ROW_TYPES.values()))


def records_of(items: list[Message | Gap]) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(item.record())) for item in items if isinstance(item, Message)]


def expected(records: list[dict[str, Any]]) -> Rows:
    """The rows that the records should become, with the first columns."""
    rows: Rows = {name: [] for name in TABLES}
    by_number = {record["number"]: record for record in records}
    ordinals: dict[int, int] = {}
    for record in records:
        ordinal = ordinals[record["connection"]] = ordinals.get(record["connection"], 0) + 1
        request = (by_number.get(record["request"]) or {}).get("body") or {}
        for table, row in rows_of(record, request.get("c2s")):
            common = {
                "ordinal": ordinal,
                "message": record["number"],
                "proto": record["proto"],
                "source": {"response": "get"}.get(record["kind"], record["kind"]),
                "verdict": record["verdict"],
            }
            rows[table].append({**common, **row})
    return rows


def compare(found: Rows, wanted: Rows) -> int:
    """Fails on the first cell that differs; the number of rows compared."""
    for table in TABLES:
        names = [column.name for column in all_tables()[table].columns]
        assert len(found[table]) == len(wanted[table]), table
        for cells, row in zip(found[table], wanted[table], strict=True):
            for name in names:
                if name not in ("host", "connection", "capture_time", "recv_time") and name in row:
                    assert same(cells[name], row[name]), f"{table}.{name}: {cells[name]!r}, not {row[name]!r}"
            assert set(names) - row.keys() <= {"host", "connection", "capture_time", "recv_time"} | PIVOTED
    return sum(map(len, found.values()))


PIVOTED = {column.name for column in all_tables()["accinfo"].columns if " where " in column.source}


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_recordings(recording: Recording) -> None:
    items = list(decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog))
    records = records_of(items)
    found = collect(items)
    compare(found, expected(records))
    compare_messages(found["messages"], records)
    compare_requests(found["requests"], records)
    gaps = [item for item in items if isinstance(item, Gap)]
    assert [(row["capture_time"], row["bytes"], row["reason"]) for row in found["gaps"]] == [
        (gap.time_ns, gap.bytes, gap.reason) for gap in gaps
    ]


def compare_messages(rows: list[dict[str, Any]], records: list[dict[str, Any]]) -> None:
    own = {(source.proto_id, source.direction) for source in sources() if source.proto_id not in NESTED}
    ordinals: dict[int, int] = {}
    ordinal_of: dict[int, int] = {}
    assert len(rows) == len(records)
    for row, record in zip(rows, records, strict=True):
        ordinal = ordinals[record["connection"]] = ordinals.get(record["connection"], 0) + 1
        ordinal_of[record["number"]] = ordinal
        assert (row["message"], row["ordinal"]) == (record["number"], ordinal)
        for key in ("src", "dst", "direction", "kind", "proto_id", "proto", "format", "version", "serial_no"):
            assert row[key] == record[key]
        assert (None if row["error"] is None else json.loads(row["error"])) == record["error"]
        for key in ("body_len", "transport", "encryption", "verdict", "reason", "latency_ms", "ret_type", "notes"):
            assert row[key] == record[key], key
        assert list(row["frames"]) == record["frames"]
        assert row["sha1"].hex() == record["sha1"]
        assert row["conn_id"] == (None if record["conn_id"] is None else int(record["conn_id"]))
        assert row["request"] == ordinal_of.get(record["request"])
        packet_id = record["packet_id"] or {}
        assert row["packet_id_serial_no"] == packet_id.get("serialNo")
        assert row["packet_id_conn_id"] == (int(packet_id["connID"]) if packet_id else None)
        has_table = (record["proto_id"], record["direction"]) in own
        body = None if has_table and record["body"] is not None else record["body"]
        assert (None if row["body"] is None else json.loads(row["body"])) == body
        assert (None if row["raw"] is None else json.loads(row["raw"])) == record["raw"]


def compare_requests(rows: list[dict[str, Any]], records: list[dict[str, Any]]) -> None:
    answers = {record["request"]: record for record in records if record["request"] is not None}
    requests = [record for record in records if record["kind"] == "request"]
    assert sorted(row["message"] for row in rows) == [record["number"] for record in requests]
    for row in rows:
        answer = answers.get(row["message"])
        if answer is None:
            assert row["response"] is None
            assert row["ret_type"] is None
            continue
        body = answer["body"] or {}
        assert (row["latency_ms"], row["ret_type"]) == (answer["latency_ms"], answer["ret_type"])
        assert (row["ret_msg"], row["err_code"]) == (body.get("retMsg"), body.get("errCode"))
        assert (row["response_len"], row["response_verdict"]) == (answer["body_len"], answer["verdict"])


def message(proto_id: int, direction: Any, body: bytes, number: int = 1) -> Message:
    flow = Flow(0, direction, "192.0.2.1:50112", "192.0.2.2:11111")
    header = (b"FT", proto_id, 0, 0, 7, len(body), bytes(20), bytes(8))
    kind: Any = "request" if direction == "c2s" else "push" if schema.is_push(proto_id) else "response"
    made = Message(flow, header, 1, (1,), kind, body, "None", "verified", None, "1")
    made.number = made.ordinal = number
    return made


def body_name(proto_id: int, direction: str) -> str:
    protocol = schema.protocol(proto_id)
    assert protocol is not None
    return (protocol.request if direction == "c2s" else protocol.response) or ""


@pytest.mark.parametrize(("proto_id", "direction"), KINDS)
def test_made_messages_of_every_type(proto_id: int, direction: str) -> None:
    """Full and sparse ones, with the edges of every type, and with damage: nothing breaks, nothing shifts."""
    cls = vendor_classes()[body_name(proto_id, direction)]
    random = Random(proto_id)
    messages: list[Message | Gap] = []
    for number in range(1, 41):
        body = random_message(cls, random, density=(number % 4) / 3).SerializeToString()
        if number % 10 == 9:
            body += b"\x9a\x7e\x01x"  # an unknown field
        messages.append(message(proto_id, direction, body, number))
    found = collect([message(proto_id, direction, item.plaintext, item.number) for item in messages])  # type: ignore
    records = records_of(messages)
    assert compare(found, expected(records)) > 40
    compare_messages(found["messages"], records)


@pytest.mark.parametrize("density", [0.0, 1.0])
@pytest.mark.parametrize(("proto_id", "direction"), KINDS)
def test_messages_that_all_have_the_same_fields(proto_id: int, direction: str, density: float) -> None:
    """Their columns come from protobuf as they are; of messages like those above most are read one by one."""
    cls = vendor_classes()[body_name(proto_id, direction)]
    random = Random(proto_id)
    messages: list[Message | Gap] = [
        message(proto_id, direction, random_message(cls, random, density=density).SerializeToString(), number)
        for number in range(1, 21)
    ]
    records = records_of(messages)
    found = collect([message(proto_id, direction, item.plaintext, item.number) for item in messages])  # type: ignore
    compare(found, expected(records))
    compare_messages(found["messages"], records)


def test_a_field_that_comes_twice_shifts_nothing() -> None:
    """A level with two hpVolumes, the next one without: as many as there are levels, and the last of two counts."""
    cls = vendor_classes()["Qot_UpdateOrderBook.Response"]
    body = cls(retType=0)
    body.s2c.security.market, body.s2c.security.code = 1, "00700"
    for price in (1.0, 2.0, 3.0):
        body.s2c.orderBookBidList.add(price=price, volume=10, orederCount=1, hpVolume=price / 8)
    level, other = (item.SerializeToString() for item in body.s2c.orderBookBidList[:2])
    twice = level + other[-9:]
    body.s2c.orderBookBidList[1].ClearField("hpVolume")
    without = body.s2c.orderBookBidList[1].SerializeToString()
    data = body.SerializeToString()
    assert data.count(level) == data.count(without) == 1
    s2c = body.s2c.SerializeToString()
    longer = s2c.replace(bytes([len(level)]) + level, bytes([len(twice)]) + twice)
    data = data.replace(bytes([0x22, len(s2c)]) + s2c, bytes([0x22, len(longer)]) + longer)
    items: list[Message | Gap] = [message(3013, "s2c", data)]
    found = collect([message(3013, "s2c", data)])
    assert [row["volume"] for row in found["order_book"]] == [0.25, 10.0, 0.375]
    compare(found, expected(records_of(items)))


def test_connection_ids_are_stable_and_apart() -> None:
    first = connection_id(None, "192.0.2.1:5", "192.0.2.2:11111", 1_700_000_000_000_000_000)
    assert len(first) == 16
    assert int(first, 16) >= 0
    others = {
        connection_id("a", "192.0.2.1:5", "192.0.2.2:11111", 1_700_000_000_000_000_000),
        connection_id(None, "192.0.2.1:6", "192.0.2.2:11111", 1_700_000_000_000_000_000),
        connection_id(None, "192.0.2.1:5", "192.0.2.2:11111", 1_700_000_000_000_000_001),
        connection_id(None, "192.0.2.1:5", "192.0.2.2:11111", 1_700_000_000_000_000_000, 1),
    }
    assert len(others | {first}) == 5


def vendor_fields(full_name: str, path: str) -> set[str]:
    """Every scalar, list or security in a type of the vendor's, as a path."""
    found: set[str] = set()
    for field in vendor_classes()[full_name].DESCRIPTOR.fields:
        here = f"{path}.{field.name}"
        inner = field.message_type
        if inner is None or isinstance(field.default_value, list) or inner.full_name == "Qot_Common.Security":
            found.add(here)
        else:
            found |= vendor_fields(inner.full_name, here)
    return found


def paths_of(source: str) -> set[str]:
    """The fields that the source of a column names."""
    before = source.partition(" (")[0].partition(", ")[0].removesuffix(" is there")
    first, _, second = before.partition(" and ")
    other = source.partition(", else ")[2]
    folder = first.rpartition(".")[0]
    return {first} | {f"{folder}.{name}" for name in (second, other) if name}


@pytest.mark.parametrize("row_type", ROW_TYPES)
def test_every_field_of_a_row_type_is_a_column(row_type: str) -> None:
    """According to the vendor's own descriptors."""
    table = all_tables()[ROW_TYPES[row_type]]
    told = {path for column in table.cells for path in paths_of(column.source)}
    assert vendor_fields(row_type, row_type) <= told


def test_every_field_around_the_rows_is_a_column_or_left_out_with_a_reason() -> None:
    for source in sources():
        context = {column.source.rpartition(".")[2] for column in all_tables()[source.table].context}
        context |= {column.source.split(".")[-2] for column in all_tables()[source.table].context}
        cls = vendor_classes()[body_name(source.proto_id, source.direction)]
        part = cls.DESCRIPTOR.fields_by_name[source.direction].message_type
        for step in source.steps:
            for field in part.fields:
                full_name = f"{part.full_name}.{field.name}"
                is_row = field.message_type is not None and field.message_type.full_name in ROW_TYPES
                name = field.name.replace("Bid", "Ask") if source.side else field.name
                known = name in {each.replace("Bid", "Ask") for each in context} or full_name in LEFT_OUT
                assert field.name == step.name or is_row or known, full_name
            part = part.fields_by_name[step.name].message_type


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_ledgers_hold_what_stats_and_orders_say(recording: Recording) -> None:
    options: dict[str, Any] = {"rsa_keys": recording.rsa_keys, "keylog": recording.keylog}
    tables = decoder.tables(recording.path, **options)
    figures = decoder.stats(recording.path, **options)
    wanted = {name: figures.table(name) for name in LEDGERS if name != "orders"}
    wanted["orders"] = [order.record() for order in decoder.orders(recording.path, **options)]
    ids = {row["client"]: row["connection"] for row in tables["connections"].to_pylist()}
    id_of = {row["connection"]: ids[row["client"]] for row in wanted["connections"]}
    for name in LEDGERS:
        columns = all_tables()[name].columns
        found = tables[name]
        for place, column in enumerate(columns):
            if column.type == "time":
                found = found.set_column(place, column.name, found.column(place).cast("int64"))
        rows = found.to_pylist()
        assert len(rows) == len(wanted[name]), name
        for row, record in zip(rows, wanted[name], strict=True):
            kept = [key for key in record if key != "wireshark"]  # for people; table `messages` has the packets
            assert list(row) == ["host", *kept], name
            for column in columns[1:]:
                value = record[column.name]
                if column.name == "connection":
                    value = id_of.get(value)
                elif column.name == "connections":
                    value = [id_of[ordinal] for ordinal in value]
                cell = row[column.name]
                if column.type == "time" and cell is not None:
                    cell = rfc3339(cell)
                elif column.type == "json" and cell is not None:
                    cell, value = json.loads(cell), json.loads(json.dumps(value))
                elif column.type == "uint64" and cell is not None:
                    cell = str(cell)
                assert cell == value, (name, column.name)
