"""The facts of a connection, and reports on it."""

from __future__ import annotations

import pytest

from decoder.findings.context import Context, duration_text, name_of, protocol_name
from decoder.findings.finding import Findings
from decoder.message import Flow, Gap
from tests.support.messages import Line


def context(src: str, dst: str, direction: str = "c2s") -> Context:
    return Context(Findings(), Flow(3, direction, src, dst), 0)  # type: ignore[arg-type]


def test_the_client_is_the_client_whichever_direction_came_first() -> None:
    for direction, ends in (("c2s", ("192.0.2.1:5", "192.0.2.2:11111")), ("s2c", ("192.0.2.2:11111", "192.0.2.1:5"))):
        one = context(*ends, direction)
        assert (one.client, one.gateway, one.client_host) == ("192.0.2.1:5", "192.0.2.2:11111", "192.0.2.1")


@pytest.mark.parametrize(
    ("src", "dst", "local"),
    [
        ("127.0.0.1:5", "127.0.0.1:11111", True),
        ("127.0.0.5:5", "[::1]:11111", True),
        ("192.0.2.7:5", "192.0.2.7:11111", True),
        ("[2001:db8::1]:5", "[2001:db8::1]:11111", True),
        ("192.0.2.1:5", "192.0.2.2:11111", False),
        ("[2001:db8::1]:5", "[2001:db8::2]:11111", False),
    ],
)
def test_traffic_that_stays_on_one_machine_is_local(src: str, dst: str, local: bool) -> None:
    assert context(src, dst).local is local


def test_reports_with_one_key_count_as_one_on_their_connection() -> None:
    findings = Findings()
    first, second = Line(0, findings=findings), Line(1, findings=findings)
    for line in (first, first, second):
        line.context.report("note", "gap", line.push(1003, b""), "text", "key")
    assert [finding.count for finding in findings.listed()] == [2, 1]
    assert first.context.reports == 2


def test_and_on_all_connections_where_it_is_said_once() -> None:
    findings = Findings()
    for line in (Line(0, findings=findings), Line(1, findings=findings)):
        line.context.report_once("note", "unknown-enum-value", line.push(1003, b""), "text", "key")
    assert [finding.count for finding in findings.listed()] == [2]


def test_what_was_said_once_can_be_amended_from_another_connection() -> None:
    findings = Findings()
    first, second = Line(0, findings=findings), Line(1, findings=findings)
    first.context.report_once("warning", "order-failed", first.push(2208, b""), "text", "key")
    second.context.amend("order-failed", "note", "another key", "other")
    assert [finding.text for finding in findings.listed()] == ["text"]
    second.context.amend("order-failed", "note", "more is known", "key")
    assert [(finding.severity, finding.text) for finding in findings.listed()] == [("note", "more is known")]


def test_a_gap_has_no_message_number() -> None:
    line = Line(4)
    line.context.report("warning", "gap", Gap(line.flows["c2s"], 7, 100, "lost"), "text")
    (finding,) = line.found
    assert (finding.message, finding.connection, finding.time_ns) == (None, 4, 7)


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [(340_000_000, "340 ms"), (1_234_567, "1.23 ms"), (12_500_000_000, "12.5 s"), (3_600_000_000_000, "3600 s")],
)
def test_durations_as_people_say_them(duration_ns: int, text: str) -> None:
    assert duration_text(duration_ns) == text


def test_a_protocol_without_a_name_has_its_number() -> None:
    assert protocol_name(2202) == "Trd_PlaceOrder"
    assert protocol_name(9998) == "protocol 9998"
    assert name_of(Line().push(1003, b"")) == "Notify"
