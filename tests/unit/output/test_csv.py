"""CSV: read back with the standard library, against records and what the two ends logged."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import decoder
from decoder import Gap, Message, SchemaError
from decoder.output.columns import COLUMNS, LEADING, Columns
from decoder.output.csv import CsvOutput, guarded
from tests.support.exchange import Exchange, decode, frame, init_request, init_response, vendor
from tests.support.recorded import DEMO_KEY, Recording

PLAIN = Recording("plain.pcap")
VERIFICATION = 1006  # its code is a secret, that of a security is not


def rows(output: CsvOutput, items: list[Message | Gap]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(output.render(items), newline="")))


def test_default_columns_are_the_scalar_keys_of_the_record_and_the_leading_fields() -> None:
    items = list(decoder.read(PLAIN.path))
    found = rows(CsvOutput(), items)
    assert len(found) == len(items) == len(PLAIN.expected)
    for row, item in zip(found, items, strict=True):
        assert isinstance(item, Message)
        record = item.record()
        scalars = {key for key, value in record.items() if not isinstance(value, list | tuple | dict)}
        assert scalars - {"body", "raw", "packet_id", "transport", "error"} | {"bytes"} == set(COLUMNS)
        assert list(row) == [*COLUMNS, *LEADING]
        for key in COLUMNS:
            value = record.get(key)
            assert row[key] == ("" if value is None else str(value)), key


def test_body_paths_give_what_was_logged() -> None:
    output = CsvOutput(Columns(["sha1", "body.c2s.code", "body.c2s.qty", "body.s2c.order.orderStatus"], enums="number"))
    found = rows(output, list(decoder.read(PLAIN.path)))
    for row, entry in zip(
        sorted(found, key=lambda row: row["sha1"]),
        sorted(PLAIN.expected, key=lambda entry: entry["sha1"]),
        strict=True,
    ):
        c2s, order = entry["body"].get("c2s", {}), entry["body"].get("s2c", {}).get("order", {})
        code = "[redacted]" if entry["proto_id"] == VERIFICATION and "code" in c2s else c2s.get("code", "")
        assert row["body.c2s.code"] == code
        assert row["body.c2s.qty"] == (str(c2s["qty"]) if "qty" in c2s else "")
        assert row["body.s2c.order.orderStatus"] == str(order.get("orderStatus", ""))


def test_lists_objects_and_notes() -> None:
    columns = ["body.s2c.basicQotList.security.code", "frames", "packet_id", "body"]
    items = list(decoder.messages(PLAIN.path))
    for row, item in zip(rows(CsvOutput(Columns(columns)), list(items)), items, strict=True):
        body: Any = item.to_dict(redact=True)
        quotes = body.get("s2c", {}).get("basicQotList", [])
        assert row[columns[0]] == ";".join(quote["security"]["code"] for quote in quotes)
        assert row["frames"] == ";".join(map(str, item.frames))
        assert json.loads(row["body"]) == body
        assert row["packet_id"] == "" if item.packet_id is None else json.loads(row["packet_id"]) == item.packet_id


@pytest.mark.parametrize("show", [False, True])
def test_secrets_are_redacted_unless_asked_for(show: bool) -> None:
    items = list(decoder.read(Recording("cbc.pcap").path, rsa_keys=[DEMO_KEY]))
    columns = ["body.s2c.connAESKey", "body.c2s.pwdMD5", "body", "raw", "notes"]
    text = CsvOutput(Columns(columns, show_secrets=show)).render(items)
    secrets = [
        entry["body"].get("s2c", {}).get("connAESKey") or entry["body"].get("c2s", {}).get("pwdMD5")
        for entry in Recording("cbc.pcap").expected
    ]
    for secret in filter(None, secrets):
        assert (secret in text) is show
    assert ("[redacted]" in text) is not show


@pytest.mark.parametrize("column", ["numbr", "body.c2s.cod", "body.c2s.code.x", "packet_id.x", "body.", "frames.x", ""])
def test_unknown_columns_are_refused(column: str) -> None:
    with pytest.raises(SchemaError):
        Columns([column])


def test_suggestions() -> None:
    with pytest.raises(SchemaError, match="did you mean number"):
        Columns(["numbr"])
    with pytest.raises(SchemaError, match=r"no body\.c2s has a field cod; did you mean code"):
        Columns(["body.c2s.cod"])


@given(st.text(max_size=30))
def test_no_cell_is_a_formula_or_moves_a_terminal(text: str) -> None:
    cell = guarded(text)
    assert cell.isprintable()
    if cell and cell[0] in "=+-@＝＋－＠":
        float(cell)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-x", "@SUM(A1)", "＝1", "\t=1", "\r=1", "-1-1", "--1"])
def test_formulas_are_guarded(text: str) -> None:
    assert guarded(text)[0] in "'\\"


@pytest.mark.parametrize("text", ["-1", "-9223372036854775808", "-0.5", "00700", "a=b", "1e-5"])
def test_numbers_stay_as_they_are(text: str) -> None:
    assert guarded(text) == text


def test_strings_of_a_hostile_sender() -> None:
    response = vendor("Qot_GetSecuritySnapshot").Response(retType=-1, retMsg='=cmd|"/c calc"!A0\x1b]0;x\x07\n,"')
    exchange = Exchange().c2s(frame(1001, init_request())).s2c(frame(1001, init_response()))
    exchange.s2c(frame(3203, response.SerializeToString(), serial_no=9)).lose("s2c", 10)
    messages, gaps, _ = decode(exchange.s2c(frame(1004, b"\x08\x00", serial_no=10)))
    assert gaps
    text = CsvOutput(Columns(["body.retMsg"])).render([*messages, *gaps])
    assert "\x1b" not in text
    assert "\x07" not in text
    _, *rows = csv.reader(io.StringIO(text))
    (row,) = [row for row in rows if row and row[0]]
    assert row == ["""'=cmd|"/c calc"!A0\\x1b]0;x\\x07\\n,\""""]
