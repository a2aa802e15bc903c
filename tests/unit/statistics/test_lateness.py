"""The table of lateness: which pushes count, by market and symbol, and the clock offset."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.statistics.lateness import LATENESS_KEYS, LatenessLedger
from tests.support.answers import START, ticks
from tests.support.exchange import START_NS, decode, frame, init_request, init_response
from tests.support.session import Session, response, security


def table(session: Session, **options: Any) -> list[dict[str, Any]]:
    ledger = LatenessLedger(**options)
    for message in decode(session)[0]:
        ledger.add(message)
    return [row.record() for row in ledger.rows()]


def test_quantiles_of_each_leg() -> None:
    session = Session(syn=False)
    for number in range(1, 101):
        session.now = START_NS + number * 1_000_000
        session.push(3011, ticks({"timestamp": START, "recvTime": START + 0.0005}))
    found = {row["leg"]: row for row in table(session)}
    whole = found["exchange-wire"]
    assert list(whole) == list(LATENESS_KEYS)
    assert (whole["proto"], whole["market"], whole["count"], whole["negative"]) == ("Qot_UpdateTicker", "HK", 100, 0)
    assert [whole[key] for key in ("p50_ms", "p90_ms", "p99_ms", "max_ms")] == [50, 90, 99, 100]
    assert found["opend-wire"]["max_ms"] == pytest.approx(99.5)
    assert found["exchange-opend"]["p50_ms"] == pytest.approx(0.5)


def test_negative_lags_are_counted() -> None:
    session = Session(syn=False).push(3011, ticks({"timestamp": START + 5}, {"timestamp": START - 5}))
    (row,) = table(session)
    assert (row["count"], row["negative"]) == (2, 1)


def quote(code: str, age: float) -> bytes:
    prices = ("priceSpread", "highPrice", "openPrice", "lowPrice", "curPrice", "lastClosePrice")
    fields = dict.fromkeys((*prices, "turnover", "turnoverRate", "amplitude"), 1.0)
    basic = {"security": security(code), "isSuspended": False, "listTime": "", "updateTime": "", "volume": 1, **fields}
    return response("Qot_UpdateBasicQot", basicQotList=[{**basic, "updateTimestamp": START - age}])


def test_the_first_push_of_a_security_does_not_count() -> None:
    session = Session(syn=False).push(3005, quote("00700", 600)).push(3005, quote("00700", 1))
    session.push(3005, quote("00005", 600))
    (row,) = table(session)
    assert row["count"] == 1
    assert row["max_ms"] < 1_100


def test_by_symbol() -> None:
    session = Session(syn=False)
    for code in ("00700", "00005"):
        session.push(3005, quote(code, 600)).push(3005, quote(code, 1)).push(3005, quote(code, 2))
    rows = table(session, by_symbol=True)
    assert [(row["symbol"], row["count"]) for row in rows] == [("HK.00005", 2), ("HK.00700", 2)]


def test_the_clock_offset_comes_from_the_conn_id() -> None:
    opened_ms = START_NS // 1_000_000 + 250  # OpenD's clock is 250 ms ahead
    session = Session()
    session.now = START_NS
    session.c2s(frame(1001, init_request(packetEncAlgo=-1), serial_no=1))
    session.s2c(frame(1001, init_response(opened_ms << 22 | 7), serial_no=1))
    session.push(3011, ticks({"timestamp": START - 1}))
    assert {row["clock_offset_ms"] for row in table(session)} == {249.5}
    plain = Session().hello().push(3011, ticks({"timestamp": START - 1}))  # a connID of OpenD 1: random
    assert {row["clock_offset_ms"] for row in table(plain)} == {None}
