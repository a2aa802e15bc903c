"""A partition is decoded and written; with an addition it goes on from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from decoder.engine.shards import index_file
from decoder.errors import OpenDError
from decoder.output.addition import commit
from decoder.output.dataset import Addition, dataset_tasks, export_partition, marker, settings_record
from decoder.output.store import NEXT, store_at
from tests.support import datasets


def test_what_is_recorded_has_no_path_of_a_key(tmp_path: Path) -> None:
    record = settings_record(datasets.settings(tmp_path))
    assert record["ports"] == (11111,)
    assert not {"rsa_keys", "keylogs", "directory", "source"} & record.keys()


def added(directory: Path, path: str, number: int, before: dict[str, Any] | None) -> dict[str, Any]:
    """Adds one capture of the host gw1."""
    indexes = [index_file("gw1", path, frozenset([11111]))]
    (task,) = dataset_tasks(indexes, 1, datasets.settings(directory), {"gw1": 1})
    return export_partition(*task, Addition(number, before))


def test_an_addition_waits_until_it_is_published(tmp_path: Path) -> None:
    (path,) = datasets.rotated(tmp_path / "in", datasets.reused_port(1), [])
    done = added(tmp_path / "set", path, 1, None)
    store = store_at(str(tmp_path / "set"))
    assert not list((tmp_path / "set").glob("messages/*/*/*"))
    assert store.read(marker(done["id"], NEXT)) == done
    assert set(done["open_files"]) < set(done["files"])
    assert done["open_rows"]["connections"] == done["rows"]["connections"] == 1  # it may go on
    assert "messages" not in done["open_rows"]
    commit(store, {"partitions": [done]}, None)
    files = {path.relative_to(tmp_path / "set").as_posix() for path in (tmp_path / "set").rglob("*.parquet")}
    assert files == set(done["files"])
    assert (tmp_path / "set" / done["checkpoint"]["file"]).stat().st_size > 1000


def test_rows_that_are_open_are_those_of_the_next_addition(tmp_path: Path) -> None:
    packets = datasets.reused_port(1)
    first, second = datasets.rotated(tmp_path / "in", packets, [9])
    one = added(tmp_path / "set", first, 1, None)
    commit(store_at(str(tmp_path / "set")), {"partitions": [one]}, None)
    both = added(tmp_path / "set", second, 2, one)
    assert both["rows"]["connections"] == 1
    assert both["messages"] > one["messages"] > 0
    assert set(one["files"]) - set(both["files"]) == set(one["open_files"])


@pytest.mark.parametrize("fault", ["missing", "changed", "other"])
def test_a_checkpoint_that_is_not_the_one_is_an_error(tmp_path: Path, fault: str) -> None:
    (path,) = datasets.rotated(tmp_path / "in", datasets.reused_port(1), [])
    done = added(tmp_path / "set", path, 1, None)
    commit(store_at(str(tmp_path / "set")), {"partitions": [done]}, None)
    file = tmp_path / "set" / done["checkpoint"]["file"]
    if fault == "missing":
        file.unlink()
    elif fault == "changed":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        done["checkpoint"]["sha256"] = "00" * 32
    with pytest.raises(OpenDError, match=r"[0-9a-f]+-0001\.state: the checkpoint is missing, or not the one"):
        added(tmp_path / "set", path, 2, done)
