"""When a connection was opened, by its connID."""

from __future__ import annotations

import pytest

from decoder.findings.session_age import conn_id_ns, report_old_session
from tests.support.messages import SECOND, START_NS, Line

HOUR = 3_600 * SECOND


def conn_id(time_ns: int) -> int:
    """As OpenD 2 draws it: 42 bits of milliseconds, 22 of chance."""
    return (time_ns // 1_000_000 << 22) + 12_345


def test_the_upper_42_bits_are_milliseconds() -> None:
    assert conn_id_ns(conn_id(START_NS), START_NS) == START_NS


@pytest.mark.parametrize(
    "drawn",
    [conn_id(1_500_000_000 * SECOND), conn_id(START_NS + 48 * HOUR), 5],
    ids=["before OpenD existed", "in two days", "small"],
)
def test_a_conn_id_of_opend_1_names_no_possible_time(drawn: int) -> None:
    assert conn_id_ns(drawn, START_NS) is None


def reported(opened_ns: int, *, handshake: bool = False) -> Line:
    line = Line()
    line.context.handshake = handshake
    message = line.wait(5).ask(2202, b"")
    for _ in range(2):
        report_old_session(line.context, message, conn_id(opened_ns))
    return line


def test_a_session_that_is_older_than_the_capture_is_reported_once() -> None:
    line = reported(START_NS - HOUR)
    assert line.codes == ["note session-older-than-capture 2"]
    assert "opened at 2023-11-14T21:13:20Z, 3600 s before" in line.text


def test_two_clocks_may_differ_by_a_minute() -> None:
    assert reported(START_NS - 59 * SECOND).codes == []
    assert reported(START_NS - 61 * SECOND).codes != []


def test_with_the_handshake_in_the_capture_there_is_nothing_to_say() -> None:
    assert reported(START_NS - HOUR, handshake=True).codes == []
