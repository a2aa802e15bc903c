"""A partition is decoded apart: its flows of its files, with what `Source` says."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from decoder.capture.pcapng_writer import interface_block, packet_block, section_block
from decoder.capture.reader import CaptureReader, is_rewritten
from decoder.engine.shards import FlowSet, Partition, index_file
from decoder.errors import KeyFileError
from decoder.limits import Limits
from decoder.output.partition import PartitionRun, Source
from tests.support.command import PCAP_HEADER, pcap, record, write
from tests.support.exchange import Exchange, cbc, frame, init_request, init_response, keep_alive, pem, rsa, rsa_key

SOURCE = Source((11111,), (), (), None, None, None, utc=True, dedup=False, limits=Limits())


def partition(*paths: Path, flows: FlowSet | None = None) -> Partition:
    return Partition("p0", "gw1", tuple(map(str, paths)), flows, 1, 1)


def messages(run: PartitionRun) -> list[Any]:
    return [item for records in run.records() for item in records]


@pytest.fixture
def two(tmp_path: Path) -> Path:
    exchanges = [Exchange(client_port=port) for port in (50_001, 50_002)]
    for exchange in exchanges:
        exchange.c2s(frame(1004, keep_alive()))
    return write(tmp_path / "two.pcap", pcap(*exchanges))


def test_all_flows(two: Path) -> None:
    run = PartitionRun(partition(two), SOURCE)
    assert [message.header[1] for message in messages(run)] == [1004, 1004]
    assert run.counts() == {
        "id": "p0",
        "host": "gw1",
        "messages": 2,
        "gaps": 0,
        "connections": 2,
        "verdicts": {"verified": 2},
        "reports": [],
    }


def test_each_flow_is_in_one_of_two_partitions(two: Path) -> None:
    first, *_ = index_file("gw1", str(two), frozenset((11111,))).flows
    for all_but in (False, True):
        run = PartitionRun(partition(two, flows=FlowSet([first], all_but=all_but)), SOURCE)
        assert len(messages(run)) == 1, all_but


def test_the_worker_reads_the_keys_itself(tmp_path: Path) -> None:
    key = rsa_key(seed=3)
    exchange = Exchange()
    exchange.c2s(frame(1001, init_request(), rsa(init_request(), key)))
    exchange.s2c(frame(1001, init_response(), rsa(init_response(), key)))
    exchange.c2s(frame(1004, keep_alive(), cbc(keep_alive())))
    capture = write(tmp_path / "a.pcap", pcap(exchange))
    file = write(tmp_path / "key.pem", pem(key))
    run = PartitionRun(partition(capture), replace(SOURCE, rsa_keys=(str(file),)))
    assert [message.verdict for message in messages(run)] == ["verified"] * 3
    file.unlink()
    with pytest.raises(KeyFileError, match=r"key\.pem"):
        PartitionRun(partition(capture), replace(SOURCE, rsa_keys=(str(file),)))


def test_without_filter_and_times_nothing_is_tested() -> None:
    assert SOURCE.match() is None
    assert replace(SOURCE, where="proto=KeepAlive", start="2030-01-01").match() is not None
    assert replace(SOURCE, end="2030-01-01").match() is not None


@pytest.mark.parametrize(
    ("changes", "divides"),
    [({}, True), ({"dedup": True}, False), ({"where": "proto=KeepAlive"}, True), ({"where": "connection=1"}, False)],
)
def test_connections_stay_together_where_something_looks_across_them(changes: Any, divides: bool) -> None:
    assert replace(SOURCE, **changes).divides is divides


def test_a_capture_that_rewrite_wrote_is_known(two: Path) -> None:
    reader = CaptureReader(str(two))
    assert not is_rewritten([reader])
    assert not is_rewritten([object()])
    reader.application = "opendump rewrite 1.0"
    assert is_rewritten([reader])


@pytest.mark.parametrize(("application", "reports"), [("tcpdump", 1), ("opendump rewrite 1.0", 0)])
def test_steps_back_in_time_say_nothing_of_a_capture_that_rewrite_wrote(
    application: str, reports: int, tmp_path: Path
) -> None:
    packets = list(reversed(Exchange().c2s(frame(1004, keep_alive())).packets))
    later = [(data, time_ns + 10**9 * (place == 0)) for place, (data, time_ns) in enumerate(packets)]
    blocks = [section_block(application), interface_block(1)]
    blocks += [packet_block(0, time_ns, data, len(data)) for data, time_ns in later]
    run = PartitionRun(partition(write(tmp_path / "a.pcapng", b"".join(blocks))), SOURCE)
    messages(run)
    assert len(run.counts()["reports"]) == reports


def test_a_run_goes_on_where_another_was(tmp_path: Path) -> None:
    exchange = Exchange()
    exchange.c2s(frame(1001, init_request())).s2c(frame(1001, init_response()))
    cut = len(exchange.packets)
    exchange.c2s(frame(1004, keep_alive(), cbc(keep_alive())))
    first, second = (
        write(tmp_path / f"{len(part)}.pcap", PCAP_HEADER + b"".join(record(data, time_ns) for data, time_ns in part))
        for part in (exchange.packets[:cut], exchange.packets[cut:])
    )
    one = PartitionRun(partition(first), SOURCE)
    states: list[Any] = []
    found: list[Any] = []
    for records in one.records(lambda: states.append(copy.deepcopy(one.state()))):
        found += records
    other = PartitionRun(partition(second), SOURCE)
    other.go_on(states[0])
    found += messages(other)
    assert [message.verdict for message in found] == ["verified"] * 3
    assert {message.connection for message in found} == {0}
    assert len(other.keys.harvested) == 1
    assert other.counts()["messages"] == 3
