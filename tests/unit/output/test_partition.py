"""A partition is decoded with what its source says."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from decoder.engine.shards import index_file, plan_partitions
from decoder.message import Message
from decoder.output.partition import PartitionRun
from tests.support import datasets


@pytest.mark.parametrize(
    ("changes", "divides"),
    [
        ({}, True),
        ({"where": "proto=Trd_*"}, True),
        ({"start": "10:00"}, True),
        ({"where": "connection=1"}, False),
        ({"where": "not (proto=Qot_* or number>3)"}, False),
        ({"where": "request=5", "start": "10:00"}, False),
        ({"where": "order=77"}, False),
        ({"dedup": True}, False),
    ],
)
def test_what_looks_across_connections_is_not_divided(changes: dict[str, object], divides: bool) -> None:
    assert datasets.source(**changes).divides is divides


def test_times_narrow_what_matches(tmp_path: Path) -> None:
    path = datasets.rotated(tmp_path / "alpha", datasets.FIRST, [])[0]
    (partition,) = plan_partitions([index_file("alpha", path, frozenset([11111]))], 1)
    source = datasets.source(start="2026-11-22 08:20", utc=True)
    match = source.match()
    assert match is not None
    run = PartitionRun(partition, source)
    messages = [item for records in run.records() for item in records if isinstance(item, Message)]
    chosen = [message for message in messages if match(message)]
    assert {message.time[:16] for message in messages} - {message.time[:16] for message in chosen}
    assert min(message.time for message in chosen) >= "2026-11-22T08:20"
    counts = run.counts()
    assert (counts["host"], counts["messages"]) == ("alpha", len(messages))


def test_the_collector_is_left_as_it_was(tmp_path: Path) -> None:
    path = datasets.rotated(tmp_path / "alpha", datasets.FIRST, [])[0]
    (partition,) = plan_partitions([index_file("alpha", path, frozenset([11111]))], 1)
    before = gc.get_threshold()
    seen = {gc.get_threshold() for _ in PartitionRun(partition, datasets.source()).records()}
    assert before not in seen
    assert gc.get_threshold() == before
