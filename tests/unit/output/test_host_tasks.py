"""What a worker does for `stats`, `orders` and `keys`: the answers of one host, with the counts of its partition."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from decoder.engine.shards import Partition
from decoder.limits import Limits
from decoder.output.host_tasks import OrderLines, collect_orders, host_orders, host_stats, partition_keys
from decoder.output.partition import Source
from tests.support.answers import hello, state, told
from tests.support.command import in_clear, pcap, write
from tests.support.exchange import CONN_ID, IV, KEY, pem, rsa_key

SOURCE = Source((11111,), (), (), None, None, None, utc=True, dedup=False, limits=Limits())
LINES = OrderLines(show_secrets=False, utc=True, encoding="utf-8")


def source(**changes: Any) -> Source:
    return Source(**{**SOURCE.__dict__, **changes})


def partition(path: Path) -> Partition:
    return Partition("p0", "gw1", (str(path),), None, 1, 1)


@pytest.fixture
def clear(tmp_path: Path) -> Partition:
    return partition(write(tmp_path / "clear.pcap", pcap(in_clear(3))))


def test_figures_of_a_host_come_with_its_counts(clear: Partition) -> None:
    counts, stats = host_stats(clear, SOURCE, 10, False)
    assert (counts["host"], counts["messages"]) == ("gw1", stats.capture.messages)
    assert stats.connections
    assert pickle.loads(pickle.dumps(stats)).capture.messages == stats.capture.messages


def test_a_filter_bounds_the_figures(clear: Partition) -> None:
    counts, stats = host_stats(clear, source(where="proto=InitConnect"), 10, False)
    assert counts["messages"] > stats.capture.messages > 0


@pytest.fixture
def orders(tmp_path: Path) -> Partition:
    session = told(hello())
    for order_id in (7, 8):
        session.push(2208, state(5, order_id=order_id))
    return partition(write(tmp_path / "orders.pcap", pcap(session)))


def key_file(folder: Path) -> str:
    return str(write(folder / "key.pem", pem(rsa_key())))


def test_orders_of_a_host_and_the_lines_of_their_messages(orders: Partition, tmp_path: Path) -> None:
    counts, collected = host_orders(orders, source(rsa_keys=(key_file(tmp_path),)), LINES)
    assert [order.order_id for order in collected.orders] == ["7", "8"]
    assert (counts["host"], collected.dropped) == ("gw1", 0)
    of_orders = {number for order in collected.orders for number in order.messages}
    assert of_orders <= set(collected.lines)
    assert all("UpdateOrder" in collected.lines[number] for number in of_orders)


def test_orders_of_a_filter(orders: Partition, tmp_path: Path) -> None:
    where = "body.s2c.order.orderID=8"
    _, collected = host_orders(orders, source(rsa_keys=(key_file(tmp_path),), where=where), None)
    assert [order.order_id for order in collected.orders] == ["8"]
    assert collected.lines == {}


def test_nothing_has_no_orders() -> None:
    assert collect_orders([], None, None).orders == []


def test_a_session_key_with_the_time_at_which_it_was_given(orders: Partition, tmp_path: Path) -> None:
    _, keys = partition_keys(orders, source(rsa_keys=(key_file(tmp_path),)))
    ((time_ns, line),) = keys
    assert line == f"OPEND_AES {CONN_ID} {KEY.hex()} {IV.hex()}"
    assert time_ns > 0
    assert partition_keys(orders, source(rsa_keys=(key_file(tmp_path),), where="proto=GetGlobalState"))[1] == []
