"""What the gateway says and the schema does not know."""

from __future__ import annotations

from decoder.findings.finding import Findings
from decoder.findings.schema_drift import SchemaDrift
from tests.support.messages import Line
from tests.support.session import book, response

UNKNOWN_FIELD = b"\xf8\x3f\x01"  # number 1023


def drift(*bodies: tuple[int, bytes], lines: int = 1) -> list[str]:
    findings, found = Findings(), SchemaDrift()
    for ordinal in range(lines):
        line = Line(ordinal, findings=findings)
        for proto_id, body in bodies:
            found.message(line.context, line.push(proto_id, body))
    return [f"{each.severity} {each.code} {each.count}" for each in findings.listed()]


def test_what_the_schema_knows_is_no_finding() -> None:
    assert drift((1003, response("Notify", type=1, event={"eventType": 7, "desc": ""})), (3013, book())) == []


def test_an_unknown_protocol() -> None:
    assert drift((9998, b"\x08\x00")) == ["note unknown-protocol 1"]


def test_unknown_fields_count_once_for_each_protocol() -> None:
    bodies = [(1003, response("Notify", type=0) + UNKNOWN_FIELD)] * 3 + [(3013, book() + UNKNOWN_FIELD)]
    assert drift(*bodies) == ["note unknown-fields 3", "note unknown-fields 1"]


def test_an_unknown_enum_value_at_any_depth_counts_once_for_each_field_over_all_connections() -> None:
    bodies = [
        (1003, response("Notify", type=99)),
        (1003, response("Notify", type=98)),
        (1003, response("Notify", type=1, event={"eventType": 99, "desc": ""})),
    ]
    assert drift(*bodies, lines=2) == ["note unknown-enum-value 4", "note unknown-enum-value 2"]


def test_an_unknown_value_in_a_list() -> None:
    """Items of lists are one field, whatever their index."""
    accounts = [{"trdEnv": 77, "accID": 1, "trdMarketAuthList": [1]}] * 3
    assert drift((2001, response("Trd_GetAccList", accList=accounts))) == ["note unknown-enum-value 1"]


def test_a_body_that_does_not_parse_is_a_bug_of_the_sender() -> None:
    assert drift((1003, b"\xff\xff\xff")) == ["warning bad-body 1"]


def test_the_text_names_the_place_and_stays_printable() -> None:
    line, found = Line(), SchemaDrift()
    found.message(line.context, line.push(1003, response("Notify", type=99)))
    assert "s2c.type=99" in line.text.replace(" ", "")
    assert line.text.isprintable()
