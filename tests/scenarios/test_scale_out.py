"""A dataset of many files, hosts and partitions holds what a single machine decodes, compared by DuckDB."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies

from decoder.engine.shards import index_file
from decoder.output.dataset import dataset_tasks, export_partition
from tests.support import datasets


def export(directory: Path, files: dict[str, list[str]], partitions: int, **options: Any) -> list[str]:
    """Decodes in this process, partition by partition; returns the hosts of the partitions."""
    indexes = [index_file(host, path, frozenset(datasets.PORTS)) for host, paths in files.items() for path in paths]
    chosen = datasets.settings(directory, source=datasets.source(ports=datasets.PORTS, **options))
    tasks = dataset_tasks(indexes, partitions, chosen)
    for task in tasks:
        export_partition(*task)
    return [partition.host for partition, _ in tasks]


def expected(directory: Path, files: dict[str, list[str]], **options: Any) -> list[Path]:
    chosen = datasets.settings(directory, source=datasets.source(ports=datasets.PORTS, **options))
    for host, paths in files.items():
        datasets.single_machine(directory / host, host, paths, chosen)
    return [directory / host for host in files]


def rows(dataset: Path, table: str, where: str = "true") -> int:
    with duckdb.connect() as database:
        return datasets.count(database, f"from read_parquet('{dataset}/{table}/*/*/*.parquet') where {where}")


@pytest.mark.parametrize("kind", datasets.KINDS)
@settings(max_examples=4, deadline=None)
@given(data=strategies.data())
def test_any_cut_into_files_and_any_number_of_partitions(kind: str, data: strategies.DataObject) -> None:
    packets = datasets.KINDS[kind]
    cuts = data.draw(strategies.lists(strategies.integers(1, len(packets) - 1), max_size=5))
    partitions = data.draw(strategies.integers(1, 5))
    formats = data.draw(strategies.sampled_from(["p", "pg", "g"]))
    with TemporaryDirectory() as name:
        root = Path(name)
        files = {"alpha": datasets.rotated(root / "alpha", packets, cuts, formats)}
        hosts = export(root / "set", files, partitions)
        assert 1 <= len(hosts) <= partitions
        assert datasets.differences(root / "set", expected(root / "one", files)) == {}


def test_an_order_that_is_placed_in_one_partition_and_pushed_in_another(tmp_path: Path) -> None:
    packets = datasets.KINDS["orders on several connections"]
    files = {"alpha": datasets.rotated(tmp_path / "alpha", packets, [len(packets) // 2])}
    assert len(export(tmp_path / "set", files, 4)) == 4
    assert datasets.differences(tmp_path / "set", expected(tmp_path / "one", files)) == {}
    assert rows(tmp_path / "set", "orders", "len(connections) > 1") > 10
    assert rows(tmp_path / "set", "findings") > 0
    assert rows(tmp_path / "set", "rates") > 0
    assert len(list((tmp_path / "set" / "messages").rglob("*.parquet"))) == 3


def test_two_capture_points_as_one_with_dedup(tmp_path: Path) -> None:
    packets = datasets.KINDS["the same conversations on other addresses"]
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
    files = {"alpha": datasets.rotated(tmp_path / "alpha", datasets.FIRST, [100])}
    assert (len(export(tmp_path / "set", files, 3, where=where)) > 1) is divided
    assert datasets.differences(tmp_path / "set", expected(tmp_path / "one", files, where=where)) == {}
    assert 0 < rows(tmp_path / "set", "messages") < 400


def test_two_hosts_with_the_same_ports_and_three_formats(tmp_path: Path) -> None:
    files = {
        "alpha": datasets.rotated(tmp_path / "alpha", datasets.FIRST, range(0, len(datasets.FIRST), 90), "pgn"),
        "beta": datasets.rotated(tmp_path / "beta", datasets.SECOND, range(0, len(datasets.SECOND), 200), "ngp"),
    }
    hosts = export(tmp_path / "set", files, 6)
    assert hosts.count("alpha") > 2
    assert hosts.count("beta") > 2
    assert datasets.differences(tmp_path / "set", expected(tmp_path / "one", files)) == {}


def test_the_comparison_sees_a_row_that_is_missing(tmp_path: Path) -> None:
    files = {"alpha": datasets.rotated(tmp_path / "alpha", datasets.FIRST, [100])}
    export(tmp_path / "set", files, 3)
    next((tmp_path / "set" / "messages").glob("*/*/*.parquet")).unlink()
    assert datasets.differences(tmp_path / "set", expected(tmp_path / "one", files)).keys() == {"messages"}
