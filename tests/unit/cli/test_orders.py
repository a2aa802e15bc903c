"""The command ``opendump orders``: its arguments, formats and errors."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import Result

from decoder.cli.main import cli
from decoder.findings.order_rows import ORDER_KEYS
from tests.support.answers import fill, hello, placed, state, told
from tests.support.command import runner
from tests.support.exchange import pem, rsa_key
from tests.support.session import write_pcap


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """One order that was filled."""
    (tmp_path / "key.pem").write_bytes(pem(rsa_key()))
    session = placed(told(hello())).push(2208, state(5)).push(2218, fill()).push(2208, state(11, filled=100.0))
    return write_pcap(tmp_path / "day.pcap", session)


def run(capture: Path, *arguments: str) -> Result:
    key = str(capture.with_name("key.pem"))
    return runner().invoke(cli, ["orders", str(capture), *arguments, "--rsa-key", key, "--utc"])


def test_a_row_for_each_order(capture: Path) -> None:
    result = run(capture)
    assert result.exit_code == 0
    assert result.stdout.startswith("Orders: 1 (1 filled) of account 1 REAL\n")
    assert "SUBMITTED > FILLED_ALL" in result.stdout


def test_each_format_holds_the_same(capture: Path) -> None:
    (record,) = map(json.loads, run(capture, "--format", "jsonl").stdout.splitlines())
    (row,) = csv.DictReader(io.StringIO(run(capture, "--format", "csv").stdout))
    assert list(record) == list(row) == list(ORDER_KEYS)
    assert (record["order_id"], record["outcome"]) == (row["order_id"], row["outcome"]) == ("7", "filled")
    assert json.loads(row["fills"]) == record["fills"]


@pytest.mark.parametrize("asked", [["7"], ["--order", "7"], ["EX7"]])
def test_the_story_of_one_order_with_its_messages(capture: Path, asked: list[str]) -> None:
    out = run(capture, *asked).stdout
    assert out.startswith("Order 7\n")
    assert "Trd_UpdateOrderFill" in out
    assert "Messages (5)" in out


def test_an_order_that_is_not_there_says_how_to_find_others(capture: Path) -> None:
    result = run(capture, "--order", "8")
    assert result.exit_code == 1
    assert "no order 8: `opendump orders` without it lists those" in result.stderr


def test_where_chooses_the_orders_of_which_a_message_matches(capture: Path) -> None:
    chosen = run(capture, "--format", "jsonl", "--where", "proto=Trd_UpdateOrderFill").stdout
    assert json.loads(chosen)["states"]  # the whole order, not only what that message tells
    assert run(capture, "--format", "jsonl", "--where", "proto=Trd_GetFunds").stdout == ""


def test_a_file_that_is_not_there_is_no_order_id(capture: Path) -> None:
    result = run(capture, "none.pcap")
    assert result.exit_code == 1
    assert "none.pcap" in result.stderr
