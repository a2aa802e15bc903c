"""What the report shows is collected while messages pass, in bounded memory."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

import pytest

import decoder
from decoder import Message
from decoder.output.pseudonyms import Pseudonyms
from decoder.output.replacer import Replacer
from decoder.output.report import collector as module
from decoder.output.report.collector import FAMILIES
from decoder.output.report.page import page
from decoder.statistics.timeline import log_value
from tests.support.exchange import (
    START_NS,
    STEP_NS,
    Exchange,
    frame,
    init_request,
    init_response,
    keep_alive,
    keep_alive_answer,
    vendor,
)
from tests.support.recorded import CAPTURES, DEMO_KEY
from tests.support.reports import collected, of_recording

CBC = CAPTURES / "cbc.pcap"


def session(count: int = 3, **options: Any) -> Exchange:
    exchange = Exchange(**options).c2s(frame(1001, init_request(packetEncAlgo=-1))).s2c(frame(1001, init_response()))
    for number in range(count):
        exchange.c2s(frame(1004, keep_alive(), serial_no=2 + number))
        exchange.now += number * STEP_NS  # each answer takes a millisecond longer than the one before
        exchange.s2c(frame(1004, keep_alive_answer(), serial_no=2 + number))
    return exchange


def ticks(count: int, *, late_ns: int = 250_000_000) -> Exchange:
    exchange = session(0)
    for number in range(count):
        push = vendor("Qot_UpdateTicker").Response(retType=0)
        push.s2c.security.market, push.s2c.security.code = 1, "00700"
        tick = push.s2c.tickerList.add(time="", sequence=number, dir=1, price=1.0, volume=1, turnover=1.0)
        tick.pushDataType = 1
        tick.timestamp = (exchange.now - late_ns) / 1e9
        exchange.s2c(frame(3011, push.SerializeToString(), serial_no=number))
    return exchange


def test_every_message_counts_once_in_its_family() -> None:
    data = of_recording(CBC)
    messages = [item for item in decoder.read(CBC, rsa_keys=[DEMO_KEY]) if isinstance(item, Message)]
    expected: Counter[str] = Counter()
    for item in messages:
        quote = "quote pushes" if item.kind == "push" else "quote requests and responses"
        expected[{1: "connection and gateway", 2: "trade", 3: quote}[item.proto_id // 1_000]] += 1
    assert {FAMILIES[family]: count for family, count in data.rate.total().items()} == expected


def test_latencies_and_the_slowest() -> None:
    data = of_recording(CBC)
    messages = [item for item in decoder.read(CBC, rsa_keys=[DEMO_KEY]) if isinstance(item, Message)]
    latencies = sorted((item.latency_ns, item.number) for item in messages if item.latency_ns is not None)
    assert [(outlier.value_ns, outlier.number) for outlier in data.slowest] == latencies[::-1][:500]
    counts = data.latency.total()
    assert sum(counts.values()) == len(latencies)
    middle = statistics.median_low(value for value, _ in latencies)
    near = min(counts, key=lambda key: abs(log_value(key) - middle))
    assert abs(log_value(near) - middle) < middle / 16


def test_only_the_slowest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_OUTLIERS", 3)
    data = collected(session(10))
    assert [outlier.value_ns for outlier in data.slowest] == [10 * STEP_NS, 9 * STEP_NS, 8 * STEP_NS]
    assert all(f"{outlier.number} 2023" in outlier.line.text for outlier in data.slowest)


def test_connections_with_login_gap_and_end() -> None:
    exchange = session(2)
    exchange.lose("s2c", 100)
    for number in range(200):
        exchange.c2s(frame(1004, keep_alive(), serial_no=50 + number))
        exchange.s2c(frame(1004, keep_alive_answer(), serial_no=50 + number))
    data = collected(exchange.fin())
    lane = data.lanes[0]
    assert lane.logins == [START_NS + 4 * STEP_NS]
    assert len(lane.gaps) == 1
    assert lane.info is not None
    assert lane.info.closed_by == "client"


def test_pushes_are_measured_all_at_first_then_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ALL_TIMED", 20)
    monkeypatch.setattr(module, "_EVERY", 4)
    data = collected(ticks(100))
    assert data.timed == 100
    assert data.measured == 20 + 20
    assert all(outlier.number % 4 == 0 for outlier in data.latest)  # dots of one density all along
    assert len(data.latest) == 20 + 5
    row = next(row for row in data.figures["lateness"] if row["leg"] == "exchange-wire")
    assert row["p50_ms"] == pytest.approx(250, abs=0.01)


def test_named_messages_are_kept_with_their_fields() -> None:
    data = of_recording(CBC)
    named = {row["message"] for row in data.figures["findings"]} - {None}
    assert named
    assert named <= set(data.book.kept)
    placed = {order.placed.message for order in data.orders if order.placed is not None}
    assert len(placed) == 7
    assert placed <= set(data.book.kept)
    line, fields = data.book.kept[171]
    assert line.text.startswith("171 2026-11-22 08:20:02.892913Z  1 → Trd_PlaceOrder")
    assert '    remark: "fills in two steps"' in fields


def test_an_unanswered_request_is_kept_though_it_is_named_late() -> None:
    exchange = session(1).c2s(frame(1004, keep_alive(), serial_no=999))
    for number in range(300):
        exchange.c2s(frame(1004, keep_alive(), serial_no=1_000 + number))
        exchange.s2c(frame(1004, keep_alive_answer(), serial_no=1_000 + number))
    data = collected(exchange.fin())
    unanswered = next(row for row in data.figures["findings"] if row["code"] == "unanswered")
    assert unanswered["message"] == 5
    assert 5 in data.book.kept


def test_where_restricts_what_is_shown() -> None:
    data = of_recording(CBC, where=lambda item: isinstance(item, Message) and item.proto_id == 2205)
    assert data.figures["capture"]["messages"] == 6
    assert sum(data.rate.total().values()) == 6
    assert {order.order_id for order in data.orders} == {
        order.order_id for order in of_recording(CBC).orders if order.changes
    }
    assert {outlier.number for outlier in data.slowest} <= set(range(255))
    assert len(data.slowest) == 3


def test_protocol_ids_without_end_do_not_grow_the_tables() -> None:
    exchange = session(0)
    for number in range(300):
        exchange.c2s(frame(10_000 + 1_000 * number, b"", serial_no=number))
    data = collected(exchange)
    assert data.rate.total()[FAMILIES.index("unknown protocols")] == 300


def test_pseudonyms_leave_nobody_and_change_nothing_else() -> None:
    data = of_recording(CBC)
    replaced = of_recording(CBC, replacer=Replacer(pseudonyms=Pseudonyms()))
    html = page(replaced, utc=True).decode()
    plain = page(data, utc=True).decode()
    for private in ("281474976710655001", "5000000000000000001", "FD5000000000000000001", "fills in two steps"):
        assert private in plain
        assert private not in html
    assert [order.outcome for order in replaced.orders] == [order.outcome for order in data.orders]
    assert [order.symbol for order in replaced.orders] == [order.symbol for order in data.orders]
    assert len({order.account for order in replaced.orders}) == 1
    found = [(row["code"], row["message"]) for row in replaced.figures["findings"]]
    assert found == [(row["code"], row["message"]) for row in data.figures["findings"]]
