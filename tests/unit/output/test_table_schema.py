"""The columns of all tables: a snapshot, the page that describes them, and what data frames make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import decoder
from decoder.output.table_schema import all_tables
from decoder.output.table_times import rfc3339_ns, seconds_ns, utc_ns
from tests.support.command import pcap, write
from tests.support.exchange import Exchange
from tests.support.recorded import CAPTURES
from tests.support.tables import market_time
from tests.tools import table_docs

SNAPSHOT = Path(__file__).resolve().parents[2] / "data" / "tables" / "columns.tsv"
REAL = Path(__file__).resolve().parents[4] / "shared" / "real"


def test_snapshot() -> None:
    """A column that comes, goes or moves is a change for users: renew it with ``python -m tests.tools.table_docs``."""
    assert table_docs.snapshot() == SNAPSHOT.read_text("utf-8")


def test_the_page_describes_the_tables_as_they_are() -> None:
    assert table_docs.page() == table_docs.PAGE.read_text("utf-8")


def test_names_are_unique() -> None:
    for wide in (False, True):
        for table in all_tables(wide=wide).values():
            names = [column.name for column in table.columns]
            assert len(set(names)) == len(names)
            assert names[0] == "host"


def real_capture(path: Path) -> Path:
    """The frames of a real gateway, on a connection of their own."""
    exchange = Exchange()
    for file in sorted(REAL.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            entry = json.loads(line)
            (exchange.c2s if entry["direction"] == "c2s" else exchange.s2c)(bytes.fromhex(entry["frame_hex"]))
    return write(path, pcap(exchange.fin()))


@pytest.mark.skipif(not REAL.is_dir(), reason="the frames of a real gateway are not part of the project")
def test_a_real_gateway(tmp_path: Path) -> None:
    """Crypto volumes are fractions of a coin; the text of a tick and its seconds say the same moment."""
    tables = decoder.tables(real_capture(tmp_path / "real.pcap"))
    ticks: list[dict[str, Any]] = tables["rt_ticker"].to_pylist()
    crypto = [row for row in ticks if row["code"] == "CC.BTC"]
    assert 0.00016 in [row["volume"] for row in crypto]
    assert all(row["volume"] > 0 for row in crypto)
    assert {row["volume_int"] for row in crypto} == {0}
    assert {row["code"] for row in ticks} == {"CC.BTC", "US.AAPL"}
    moments = [tables["rt_ticker"].column(name).cast("int64").to_pylist() for name in ("time_utc", "exchange_time")]
    assert all(abs(told - meant) < 1_000_000 for told, meant in zip(*moments, strict=True))
    assert [row["order_status"] for row in tables["order_updates"].to_pylist()] == [
        "SUBMITTING",
        "SUBMITTED",
        "CANCELLED_ALL",
    ]
    assert set(tables["messages"].column("verdict").to_pylist()) == {"verified"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-07-05 04:42:35.809", "CC.BTC"),
        ("2026-01-05 04:42:35", "US.AAPL"),
        ("2026-11-01 01:30:00", "US.AAPL"),
        ("2021-07-05 09:30:00.5", "HK.00700"),
        ("2021-07-05 09:30:00.123456", "SH.600519"),
        ("2021-07-05 09:30:00", "SG.D05"),
        ("2021-07-05 09:30:60", "HK.00700"),
        ("2021-02-30 09:30:00", "HK.00700"),
        ("2021-07-05 09:30", "HK.00700"),
        ("2021-07-05 09:30:00.", "HK.00700"),
        ("2021-07-05 09:30:00 ", "HK.00700"),
        ("2021-07-05T09:30:00", "HK.00700"),
        ("", "HK.00700"),
        ("2021-07-05 09:30:00", "00700"),
        ("٢٠٢١-07-05 09:30:00", "HK.00700"),
        ("2021-07-05 09:30:00.١", "HK.00700"),
        ("0001-01-01 00:00:00", "HK.00700"),
    ],
)
def test_texts_in_the_time_of_a_market(text: str, code: str) -> None:
    wanted = None if not text.isascii() or text.startswith("0001") else market_time(text, code)
    assert utc_ns(text, code) == wanted or (wanted is None and text.startswith("0001"))


def test_other_times() -> None:
    assert utc_ns(None, "HK.1") is utc_ns("2021-07-05 09:30:00", None) is None
    assert seconds_ns(1783240955.809) == 1_783_240_955_809_000_000
    assert seconds_ns(float("nan")) is seconds_ns(1e300) is seconds_ns(None) is None
    assert rfc3339_ns("2023-11-14T22:13:20.123456789Z") == 1_700_000_000_123_456_789


def test_the_time_of_a_response_comes_from_its_request(tmp_path: Path) -> None:
    """A K-line that was asked for has the type that the request named."""
    rows = decoder.tables(CAPTURES / "plain.pcap", names=["cur_kline"])["cur_kline"].to_pylist()
    asked = [row for row in rows if row["proto"] == "Qot_GetKL"]
    assert asked
    assert all(row["k_type"].startswith("K_") and row["rehab_type"] is not None for row in asked)
