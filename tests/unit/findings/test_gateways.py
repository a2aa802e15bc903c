"""What all connections to a gateway have in common: how many are open, how short they are, its count of pushes."""

from __future__ import annotations

from random import Random

import pytest

from decoder.conversation.summary import ConnectionInfo
from decoder.findings.finding import Findings
from decoder.findings.gateways import CONNECTION_LIMIT, Gateways, _most_at_once
from tests.support.messages import SECOND, START_NS, Line


def info(ordinal: int, start_s: float, end_s: float) -> ConnectionInfo:
    first, last = (START_NS + int(seconds * SECOND) for seconds in (start_s, end_s))
    found = ConnectionInfo(ordinal, "a:1", "b:2", first, last)
    found.closed_ns = last
    return found


def codes(findings: Findings) -> list[str]:
    return [f"{finding.severity} {finding.code}" for finding in findings.listed()]


def opened(count: int, length_s: float, every_s: float = 1.0, *, handshake: bool = True) -> Findings:
    """So many connections, one after the other."""
    findings = Findings()
    gateways = Gateways(findings)
    for number in range(count):
        line = Line(number, findings=findings)
        line.context.handshake = handshake
        gateways.closed(line.context, info(number, number * every_s, number * every_s + length_s))
    gateways.finish()
    return findings


@pytest.mark.parametrize("seed", range(20))
def test_the_most_at_once_by_its_definition(seed: int) -> None:
    random = Random(seed)
    spans = [(start, start + random.randrange(1, 40), n) for n in range(60) for start in [random.randrange(100)]]
    overlaps = [sum(first <= at < end for first, end, _ in spans) for at in range(150)]
    assert _most_at_once(spans)[0] == max(overlaps)


def test_connections_near_the_limit_of_opend() -> None:
    near = CONNECTION_LIMIT * 8 // 10
    assert codes(opened(near, 10_000)) == ["warning connections-near-limit"]
    assert codes(opened(near - 1, 10_000)) == []
    over = opened(CONNECTION_LIMIT, 10_000).listed()[0].text
    assert f"{CONNECTION_LIMIT} connections" in over
    assert "further ones are refused" in over
    assert "further ones are refused" not in opened(CONNECTION_LIMIT - 1, 10_000).listed()[0].text


def test_a_connection_for_every_query() -> None:
    assert codes(opened(20, 1)) == ["note short-connections"]
    assert codes(opened(19, 1)) == []
    assert codes(opened(20, 6)) == []
    assert codes(opened(20, 1, every_s=6)) == []
    assert codes(opened(20, 1, handshake=False)) == []


class Pushes:
    """Pushes of the same gateway on several connections."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.gateways = Gateways(self.findings)

    def connection(self, ordinal: int, after_s: float, *serial_numbers: int, handshake: bool = True) -> None:
        line = Line(ordinal, findings=self.findings).wait(after_s)
        line.context.first_ns, line.context.handshake = line.now, handshake
        serials = None
        for number in serial_numbers:
            message = line.wait(1).push(1003, b"", serial_no=number)
            if serials is None:
                serials = self.gateways.first_push(line.context, message)
                continue
            if number < serials.last:
                self.gateways.serial_fell(serials, message)
            serials.last, serials.last_ns = number, message.time_ns


def test_a_count_of_pushes_that_begins_anew_is_a_restart() -> None:
    pushes = Pushes()
    pushes.connection(0, 0, 5_000, 5_001)
    pushes.connection(1, 60, 1, 2)
    assert codes(pushes.findings) == ["warning opend-restarted"]
    assert "from 5001 to 1" in pushes.findings.listed()[0].text


def test_a_count_that_goes_on_is_none() -> None:
    pushes = Pushes()
    pushes.connection(0, 0, 5_000, 5_001)
    pushes.connection(1, 60, 5_010)
    assert codes(pushes.findings) == []


def test_neither_is_a_stand_in_that_counts_each_connection_from_one() -> None:
    pushes = Pushes()
    pushes.connection(0, 0, 1, 2, 3)
    pushes.connection(1, 60, 1, 2)
    assert codes(pushes.findings) == []


def test_nor_a_connection_of_which_the_beginning_is_not_in_the_capture() -> None:
    pushes = Pushes()
    pushes.connection(0, 0, 5_000)
    pushes.connection(1, 60, 1, handshake=False)
    assert codes(pushes.findings) == []


def test_a_fall_on_one_connection_counts_if_it_is_deep() -> None:
    pushes = Pushes()
    pushes.connection(0, 0, 5_000, 4_999, 5_001)
    assert codes(pushes.findings) == []
    pushes.connection(0, 10, 5_000, 1)
    assert codes(pushes.findings) == ["warning opend-restarted"]
