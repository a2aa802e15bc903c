"""A dataset of many files, hosts and partitions holds what a single machine decodes, compared by DuckDB."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import given, settings, strategies

from decoder.capture.reader import RawPacket
from decoder.engine.shards import index_file
from decoder.output.dataset import dataset_tasks, export_partition
from tests.support import datasets
from tests.support.command import Result, command, environment, opendump
from tests.support.order_model import Market
from tests.support.recorded import DEMO_KEY

PORTS = (11111, 33333, 44444)
FIRST = datasets.in_time(datasets.recorded("ftaes.pcap", "ipv6.pcap"), datasets.reused_port(3))
"""Encrypted connections with one handshake each, IPv6, and three connections between the same two ends."""
SECOND = datasets.in_time(datasets.recorded("cbc.pcap", "reconnect.pcap.gz"), datasets.reused_port(2))
"""Another host, with some of the same ends: its loopback addresses and ports."""


def export(directory: Path, files: dict[str, list[str]], partitions: int, **options: Any) -> list[str]:
    """Decodes in this process, partition by partition; returns the hosts of the partitions."""
    indexes = [index_file(host, path, frozenset(PORTS)) for host, paths in files.items() for path in paths]
    chosen = datasets.settings(directory, source=datasets.source(ports=PORTS, **options))
    tasks, of_hosts = dataset_tasks(indexes, partitions, chosen)
    for task in tasks:
        export_partition(*task)
    return [partition.host for partition, _ in tasks if partition.id not in of_hosts]


def expected(directory: Path, files: dict[str, list[str]], **options: Any) -> list[Path]:
    chosen = datasets.settings(directory, source=datasets.source(ports=PORTS, **options))
    for host, paths in files.items():
        datasets.single_machine(directory / host, host, paths, chosen)
    return [directory / host for host in files]


def rows(dataset: Path, table: str, where: str = "true") -> int:
    with duckdb.connect() as database:
        return datasets.count(database, f"from read_parquet('{dataset}/{table}/*/*/*.parquet') where {where}")


def trades() -> list[RawPacket]:
    """Orders whose pushes come on several connections, with losses, repeats and reconnects; see `Market`."""
    market = Market(Random(3), 40, 6)
    return [(time_ns, 1, data, len(data)) for data, time_ns in market.packets()]


KINDS = {
    "encryption, IPv6 and port reuse": FIRST,
    "orders on several connections": trades(),
    "WebSocket": datasets.in_time(
        datasets.recorded("websocket.pcap", "websocket-framed.pcap"), datasets.recorded("websocket-deflate.pcap")
    ),
    "a second capture point, of which the clock is 2.5 s behind": datasets.in_time(
        FIRST, datasets.moved(FIRST, -2_500_000_000)
    ),
    "the same conversations on other addresses": datasets.in_time(
        SECOND, datasets.moved(datasets.readdressed(SECOND), 300_000)
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=4, deadline=None)
@given(data=strategies.data())
def test_any_cut_into_files_and_any_number_of_partitions(kind: str, data: strategies.DataObject) -> None:
    packets = KINDS[kind]
    cuts = data.draw(strategies.lists(strategies.integers(1, len(packets) - 1), max_size=5))
    partitions = data.draw(strategies.integers(1, 4))
    formats = data.draw(strategies.sampled_from(["p", "pg", "g"]))
    with TemporaryDirectory() as name:
        root = Path(name)
        files = {"alpha": datasets.rotated(root / "alpha", packets, cuts, formats)}
        hosts = export(root / "set", files, partitions)
        assert 1 <= len(hosts) <= partitions
        assert datasets.differences(root / "set", expected(root / "one", files)) == {}


def test_an_order_that_is_placed_in_one_partition_and_pushed_in_another(tmp_path: Path) -> None:
    packets = KINDS["orders on several connections"]
    files = {"alpha": datasets.rotated(tmp_path / "alpha", packets, [len(packets) // 2])}
    assert len(export(tmp_path / "set", files, 4)) == 4
    assert datasets.differences(tmp_path / "set", expected(tmp_path / "one", files)) == {}
    assert rows(tmp_path / "set", "orders", "len(connections) > 1") > 10
    assert rows(tmp_path / "set", "findings") > 0
    assert rows(tmp_path / "set", "rates") > 0
    assert len(list((tmp_path / "set" / "messages").rglob("*.parquet"))) == 4


def test_two_capture_points_as_one_with_dedup(tmp_path: Path) -> None:
    packets = KINDS["the same conversations on other addresses"]
    files = {"alpha": datasets.rotated(tmp_path / "alpha", packets, [100])}
    assert export(tmp_path / "set", files, 3, dedup=True) == ["alpha"]  # divided, a partition would not see the copy
    wanted = expected(tmp_path / "one", files, dedup=True)
    assert datasets.differences(tmp_path / "set", wanted) == {}
    assert datasets.differences(tmp_path / "set", expected(tmp_path / "all", files)).keys() >= {"messages"}


@pytest.mark.parametrize(
    ("where", "divided"), [("connection=1", False), ("order=5000000000000000002", False), ("proto=Trd_*", True)]
)
def test_a_filter_that_looks_across_connections_keeps_a_host_together(
    tmp_path: Path, where: str, divided: bool
) -> None:
    files = {"alpha": datasets.rotated(tmp_path / "alpha", FIRST, [100])}
    assert (len(export(tmp_path / "set", files, 3, where=where)) > 1) is divided
    assert datasets.differences(tmp_path / "set", expected(tmp_path / "one", files, where=where)) == {}
    assert 0 < rows(tmp_path / "set", "messages") < 400


def test_two_hosts_with_the_same_ports_and_three_formats(tmp_path: Path) -> None:
    files = {
        "alpha": datasets.rotated(tmp_path / "alpha", FIRST, range(0, len(FIRST), 90), "pgn"),
        "beta": datasets.rotated(tmp_path / "beta", SECOND, range(0, len(SECOND), 200), "ngp"),
    }
    hosts = export(tmp_path / "set", files, 4)
    assert hosts.count("alpha") > 1
    assert hosts.count("beta") > 1
    assert datasets.differences(tmp_path / "set", expected(tmp_path / "one", files)) == {}


def test_the_comparison_sees_a_row_that_is_missing(tmp_path: Path) -> None:
    files = {"alpha": datasets.rotated(tmp_path / "alpha", FIRST, [100])}
    export(tmp_path / "set", files, 3)
    next((tmp_path / "set" / "messages").glob("*/*/*.parquet")).unlink()
    assert datasets.differences(tmp_path / "set", expected(tmp_path / "one", files)).keys() == {"messages"}


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, list[str]]:
    return {
        "alpha": datasets.rotated(tmp_path / "in" / "alpha", FIRST, [100, 300], "pg"),
        "beta": datasets.rotated(tmp_path / "in" / "beta", SECOND, [50], "g"),
    }


def run(folders: dict[str, list[str]], output: Path, *more: object) -> Result:
    paths = [path for host in folders.values() for path in host]
    return opendump("export", *paths, "-o", output, "--bodies", "all", "--rsa-key", DEMO_KEY, *more)


def test_local_workers_write_what_one_machine_writes(folders: dict[str, list[str]], tmp_path: Path) -> None:
    done = run(folders, tmp_path / "set", "--workers", 2)
    assert done.code == 0, done.err
    assert datasets.differences(tmp_path / "set", expected(tmp_path / "one", folders)) == {}
    assert (tmp_path / "set" / "manifest.json").exists()
    assert not list((tmp_path / "set").rglob("*.part"))


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*.parquet")}


def test_resume_completes_what_is_missing_with_the_same_bytes(folders: dict[str, list[str]], tmp_path: Path) -> None:
    output = tmp_path / "set"
    run(folders, output, "--workers", 2)
    before = content(output)
    (output / "manifest.json").unlink()
    marker = next(path for path in (output / "_opendump").glob("*.json") if path.stem != "plan")
    for path in output.rglob(f"part-{marker.stem}.parquet"):
        path.unlink()
    kept = {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")}
    marker.unlink()
    (output / "_opendump" / "0123.part").write_bytes(b"of a worker that was killed")
    assert run(folders, output, "--workers", 2).code == 1
    done = run(folders, output, "--workers", 2, "--resume")
    assert done.code == 0, done.err
    assert content(output) == before
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not list(output.rglob("*.part"))
    assert run(folders, output, "--workers", 1, "--resume").code == 1


def test_an_unreadable_file_is_named_and_the_others_are_done(folders: dict[str, list[str]], tmp_path: Path) -> None:
    wanted = expected(tmp_path / "one", folders)
    folders["beta"].append(str(tmp_path / "in" / "beta" / "no.pcap"))
    (tmp_path / "in" / "beta" / "no.pcap").write_bytes(os.urandom(4) + b"nothing of the kind" * 10)
    done = run(folders, tmp_path / "set", "--workers", 2)
    assert done.code == 1
    assert "no.pcap" in done.err
    assert datasets.differences(tmp_path / "set", wanted) == {}


def test_plan_prints_hosts_and_partitions(folders: dict[str, list[str]], tmp_path: Path) -> None:
    done = opendump("plan", *(path for host in folders.values() for path in host), "--workers", 4)
    assert done.code == 0, done.err
    assert (
        f"host alpha: files 3, bytes {sum(map(os.path.getsize, folders['alpha'])):,}, packets {len(FIRST)}" in done.out
    )
    assert f"packets {len(SECOND):,}" in done.out


def test_no_key_and_no_key_path_is_written(folders: dict[str, list[str]], tmp_path: Path) -> None:
    run(folders, tmp_path / "set", "--workers", 2)
    for path in (tmp_path / "set").rglob("*.json"):
        assert DEMO_KEY.name not in path.read_text()


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_cluster_of_two_of_which_one_worker_is_killed(folders: dict[str, list[str]], tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    local = run(folders, tmp_path / "local", "--workers", 2)
    assert local.code == 0, local.err
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    with distributed.LocalCluster(**options) as cluster:
        address = cluster.scheduler_address
        paths = [path for host in folders.values() for path in host]
        output = tmp_path / "set"
        more = ("--workers", "2", "--scheduler", address, "--bodies", "all", "--rsa-key", DEMO_KEY)
        arguments = command("export", *paths, "-o", output, *more)
        exporting = subprocess.Popen(arguments, stderr=subprocess.PIPE, env=environment())
        killed = None
        while exporting.poll() is None and killed is None:
            if (output / "_opendump" / "plan.json").exists():  # the partitions are handed out
                time.sleep(0.2)
                killed = next(nanny.pid for nanny in cluster.workers.values())
                os.kill(killed, signal.SIGKILL)
                assert len(list((output / "_opendump").glob("*.json"))) < 1 + len(list(folders)), "too late"
            time.sleep(0.01)
        _, said = exporting.communicate(timeout=100)
    assert killed is not None, said.decode()
    assert exporting.returncode == 0, said.decode()
    assert content(output) == content(tmp_path / "local")
    assert not list(output.rglob("*.part"))
    manifest = orjson.loads((output / "manifest.json").read_bytes())
    files = [name for partition in manifest["partitions"] for name in partition["files"]]
    assert sorted(files) == sorted(content(output))
    last = max(path.stat().st_mtime_ns for path in output.rglob("*.parquet"))
    assert (output / "manifest.json").stat().st_mtime_ns >= last
