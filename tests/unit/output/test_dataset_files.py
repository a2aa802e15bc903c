"""Rows go to the file of their table and date, and the files appear together."""

from __future__ import annotations

from pathlib import Path

import pytest

from decoder.engine.shards import index_file
from decoder.output import dataset_files
from decoder.output.dataset import dataset_tasks, export_partition, marker
from tests.support import datasets

DAY_NS = 86_400 * 10**9


def written(tmp_path: Path, days: int) -> list[Path]:
    """Exports a conversation a day; returns the files of messages."""
    talks = datasets.reused_port(days)  # a minute apart
    packets = [
        (time_ns + (time_ns - talks[0][0]) // (60 * 10**9) * DAY_NS, linktype, data, size)
        for time_ns, linktype, data, size in talks
    ]
    path = datasets.rotated(tmp_path / "in", packets, [])[0]
    (task,) = dataset_tasks([index_file("a/b", path, frozenset([11111]))], 1, datasets.settings(tmp_path / "set"))
    done = export_partition(*task)
    files = sorted((tmp_path / "set" / "messages").rglob("*.parquet"))
    assert {path.relative_to(tmp_path / "set").as_posix() for path in files} <= set(done["files"])
    assert (tmp_path / "set" / marker(task[0].id)).exists()
    assert not list((tmp_path / "set").rglob("*.part"))
    return files


def rows(path: Path) -> int:
    from pyarrow import parquet

    return int(parquet.read_metadata(path).num_rows)


def test_a_file_a_date_and_hosts_are_quoted(tmp_path: Path) -> None:
    files = written(tmp_path, 3)
    dates = [path.parent.parent.name for path in files]
    assert dates == ["date=2023-11-14", "date=2023-11-15", "date=2023-11-16"]
    assert {path.parent.name for path in files} == {"host=a%2Fb"}
    assert len({rows(path) for path in files}) == 1


def test_few_files_are_open_however_many_dates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sum(map(rows, written(tmp_path / "whole", 4)))
    monkeypatch.setattr(dataset_files, "_MAX_OPEN", 1)
    assert sum(map(rows, written(tmp_path / "few", 4))) == whole > 0


def test_a_capture_that_claims_many_dates_gets_no_more_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sum(map(rows, written(tmp_path / "whole", 4)))
    monkeypatch.setattr(dataset_files, "_MAX_DATES", 2)
    files = written(tmp_path / "few", 4)
    assert {path.parent.parent.name for path in files} == {
        "date=2023-11-14",
        "date=2023-11-15",
        "date=__HIVE_DEFAULT_PARTITION__",
    }
    assert sum(map(rows, files)) == whole
