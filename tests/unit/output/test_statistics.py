"""Figures as tables for people."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.findings import Finding
from decoder.formatting.table import plain_text
from decoder.output.statistics import _shares, tables
from decoder.statistics.answers import stats
from decoder.statistics.rows import CONNECTION_KEYS, PROTOCOL_KEYS, ConnectionFigures, ProtocolFigures
from decoder.statistics.statistics import Stats
from tests.support.messages import SECOND, START_NS
from tests.support.recorded import DEMO_KEY, Recording

FIGURES = stats(Recording("cbc.pcap").path, rsa_keys=[DEMO_KEY])


def connection(**changes: Any) -> ConnectionFigures:
    values: dict[str, Any] = dict.fromkeys(CONNECTION_KEYS, 0)
    values |= {"client": "192.0.2.1:50112", "gateway": "192.0.2.2:11111", "client_id": "x", "language": "Python"}
    values |= {"encryption": ["RSA", "AES_CBC"], "duration_s": 1.5, "closed_by": "server", "reset": False}
    return ConnectionFigures(**(values | {"transport": "tcp", "deflate": None, "key_given": None} | changes))


def protocol(proto_id: int, requests: int, **changes: Any) -> ProtocolFigures:
    values: dict[str, Any] = dict.fromkeys(PROTOCOL_KEYS, 0)
    return ProtocolFigures(**(values | {"proto_id": proto_id, "proto": f"P{proto_id}", "requests": requests} | changes))


def shown(name: str, show_all: bool = False, **figures: Any) -> list[str]:
    values = {**{field: getattr(FIGURES, field) for field in FIGURES.__dataclass_fields__}, **figures}
    return plain_text(tables(Stats(**values), name, utc=True, show_all=show_all), indent="").splitlines()


def test_the_tables_for_people_and_each_by_its_name() -> None:
    titles = [table.title.partition(" ")[0] for table in tables(FIGURES, utc=True)]
    assert titles == ["Capture", "Findings", "Connections", "Protocols"]
    for name in ("findings", "connections", "protocols", "subscriptions", "rates", "lateness"):
        (table,) = tables(FIGURES, name, utc=True)
        assert table.title.lower().startswith(name)
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_the_gateway_of_all_connections_is_named_once() -> None:
    title, heads, row = shown("connections", connections=[connection()])
    assert title == "Connections to 192.0.2.2:11111"
    assert "gateway" not in heads
    assert "RSA+AES_CBC" in row
    title, heads, *_ = shown("connections", connections=[connection(), connection(gateway="192.0.2.3:11111")])
    assert title == "Connections"
    assert "gateway" in heads


def test_no_line_of_connections_is_longer_than_120_characters() -> None:
    wide = connection(
        client="[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:50112", client_id="y" * 100, bytes_c2s=10**12, reset=True
    )
    for rows in ([wide], [wide, connection(gateway="[2001:db8:aaaa:bbbb:cccc:dddd:eeee:1]:11111")]):
        assert max(map(len, shown("connections", connections=rows))) <= 120


def test_a_websocket_says_what_was_agreed_on() -> None:
    (_, _, row) = shown(
        "connections",
        connections=[connection(transport="websocket", deflate=True, key_given=False, encryption=["None"])],
    )
    assert "None (WebSocket, deflate, no key)" in row


def test_protocols_by_their_share_and_the_rest_as_one() -> None:
    rows = [protocol(number, number) for number in range(1, 31)]
    lines = shown("protocols", protocols=rows)
    assert lines[2].split()[:2] == ["30", "P30"]
    assert len(lines) == 2 + 20 + 1
    assert lines[-1].split()[:2] == ["(10", "more)"]
    assert str(sum(range(1, 11))) in lines[-1]
    assert len(shown("protocols", show_all=True, protocols=rows)) == 2 + 30


def finding(severity: Any, code: str, number: int) -> Finding:
    return Finding(severity, code, number, 0, START_NS + number * SECOND, f"text {number}")


def test_findings_are_grouped_errors_first_and_the_rest_is_counted() -> None:
    found = [finding("note", "gap", n) for n in range(5)] + [finding("error", "no-key", n) for n in range(50)]
    lines = shown("findings", findings=found)
    codes = [line.split()[0] for line in lines[2:]]
    assert codes.count("error") == 20  # 19 of them and how many more
    assert "... and 31 more of these" in "\n".join(lines)
    assert lines[-1].strip() == "(--all lists every one)"
    assert len(shown("findings", show_all=True, findings=found)) == 2 + 55


@pytest.mark.parametrize(
    ("sizes", "limit", "expected"),
    [([3, 2], None, [3, 2]), ([50, 5], 20, [19, 1]), ([1, 1, 1], 2, [1, 1, 0]), ([2, 9], 8, [2, 6]), ([], 5, [])],
)
def test_each_group_shows_its_first(sizes: list[int], limit: int | None, expected: list[int]) -> None:
    assert _shares(sizes, limit) == expected


def test_times_have_a_date_where_they_are_of_several_days() -> None:
    day = finding("note", "gap", 0)
    next_day = finding("note", "gap", 86_400)
    assert "22:13:20.000Z" in shown("findings", findings=[day])[2].split()
    assert "2023-11-14" in shown("findings", findings=[day, next_day])[2]
