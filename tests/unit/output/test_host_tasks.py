"""Tasks of stats, orders and keys return what the commands show."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from decoder.crypto.keylog import key_log_line
from decoder.engine.shards import Partition, index_file, plan_partitions
from decoder.findings.orders import OrderLedger
from decoder.message import Message
from decoder.output.host_tasks import OrderLines, collect_orders, host_orders, host_stats, partition_keys
from decoder.output.partition import PartitionRun
from tests.support import datasets


@pytest.fixture
def partition(tmp_path: Path) -> Partition:
    path = datasets.rotated(tmp_path / "alpha", datasets.FIRST, [])[0]
    return plan_partitions([index_file("alpha", path, frozenset([11111]))], 1)[0]


def test_figures_and_counts_agree_and_travel(partition: Partition) -> None:
    counts, figures = pickle.loads(pickle.dumps(host_stats(partition, datasets.source(), 100, False)))
    assert counts["messages"] == figures.capture.messages > 0
    assert figures.capture.files == list(partition.paths)


def test_orders_are_those_of_the_ledger(partition: Partition) -> None:
    ledger = OrderLedger()
    for records in PartitionRun(partition, datasets.source()).records():
        for item in records:
            ledger.add(item)
    _, collected = host_orders(partition, datasets.source(), OrderLines(False, True, "utf-8"))
    assert [order.record() for order in collected.orders] == [order.record() for order in ledger.finish()] != []
    told = {number for order in collected.orders for number in order.messages}
    assert told <= collected.lines.keys()
    assert all("Trd_" in collected.lines[number] or "PlaceOrder" in collected.lines[number] for number in told)


def test_a_filter_keeps_the_orders_of_which_a_message_matches(partition: Partition) -> None:
    source = datasets.source(where="order=5000000000000000002")
    batches = list(PartitionRun(partition, source).records())
    collected = collect_orders(batches, source.match(), None)
    found = {order.order_id for order in collected.orders}
    everything = {order.order_id for order in collect_orders(batches, None, None).orders}
    assert {"5000000000000000002"} <= found < everything
    assert collected.lines == {}


def test_keys_come_with_the_time_at_which_they_were_handed_out(partition: Partition) -> None:
    run = PartitionRun(partition, datasets.source())
    answers = [
        item.time_ns
        for records in run.records()
        for item in records
        if isinstance(item, Message) and item.proto_id == 1001 and item.kind == "response"
    ]
    _, keys = partition_keys(partition, datasets.source())
    assert [line for _, line in keys] == list(map(key_log_line, run.keys.harvested)) != []
    assert [time_ns for time_ns, _ in keys] == [time for time in answers if time in {each for each, _ in keys}]
