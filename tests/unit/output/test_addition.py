"""What an addition wrote is published as a whole, also if that is interrupted anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from decoder.errors import OpenDError
from decoder.output.addition import MANIFEST, commit, complete
from decoder.output.store import NEXT, STATE, Directory

OLD = ("ticks/date=1/host=a/part-0-0001.parquet", "orders/date=1/host=a/part-0-0001-open.parquet")
NEW = (OLD[0], "ticks/date=1/host=a/part-0-0002.parquet", "orders/date=1/host=a/part-0-0002-open.parquet")


def manifest(files: tuple[str, ...], number: int) -> dict[str, Any]:
    return {"partitions": [{"files": files, "checkpoint": {"file": f"{STATE}/0a-{number}.state"}}], "number": number}


def prepared(tmp_path: Path, kind: type[Directory] = Directory) -> Directory:
    """A dataset with one addition, and the files of the second."""
    store = kind(str(tmp_path))
    for name in (*OLD, f"{STATE}/0a-1.state"):
        store.save(name, b"old", private=False)
    store.write(MANIFEST, manifest(OLD, 1))
    for name in (*NEW[1:], f"{STATE}/0a-2.state"):
        store.save(f"{NEXT}/{name}", b"new", private=True)
    store.write(f"{NEXT}/plan.json", {})
    return store


def content(tmp_path: Path) -> dict[str, bytes]:
    return {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def published(tmp_path: Path) -> dict[str, bytes]:
    store = prepared(tmp_path)
    commit(store, manifest(NEW, 2), manifest(OLD, 1))
    return content(tmp_path)


def test_the_files_that_the_manifest_names_are_there_and_no_others(tmp_path: Path) -> None:
    files = published(tmp_path)
    assert files.keys() == {*NEW, MANIFEST, f"{STATE}/0a-2.state"}
    assert orjson.loads(files[MANIFEST])["number"] == 2
    assert files[OLD[0]] == b"old"


class _Killed(Exception):
    pass


class Fragile(Directory):
    """A directory of which the user is killed after some steps."""

    left = 0

    def _step(self) -> None:
        if Fragile.left == 0:
            raise _Killed
        Fragile.left -= 1

    def move(self, name: str, to: str) -> None:
        self._step()
        super().move(name, to)

    def save(self, name: str, content: bytes, *, private: bool) -> None:
        self._step()
        super().save(name, content, private=private)

    def remove(self, name: str) -> None:
        self._step()
        super().remove(name)


@pytest.mark.parametrize("steps", range(9))
def test_killed_after_any_step_the_rest_is_done_later(tmp_path: Path, steps: int) -> None:
    Fragile.left = 100
    store = prepared(tmp_path / "set", Fragile)
    Fragile.left = steps
    with pytest.raises(_Killed):
        commit(store, manifest(NEW, 2), manifest(OLD, 1))
    files = content(tmp_path / "set")
    named = orjson.loads(files[MANIFEST])["partitions"][0]["files"]
    assert set(named) <= files.keys()  # who goes by the manifest finds all of its files at any time
    complete(Directory(str(tmp_path / "set")))
    if steps:
        assert content(tmp_path / "set") == published(tmp_path / "whole")


@pytest.mark.parametrize("name", ["../x.parquet", "/etc/passwd", "a/date=1/host=../../part-0.parquet", "_opendump/x"])
def test_no_name_leads_out_of_the_dataset(tmp_path: Path, name: str) -> None:
    store = Directory(str(tmp_path / "set"))
    (tmp_path / "x.parquet").write_bytes(b"mine")
    for plan in ({"publish": [name], "remove": []}, {"publish": [], "remove": [name]}):
        store.write(f"{STATE}/commit.json", {"manifest": {}, **plan})
        with pytest.raises(OpenDError, match="is no name of a file of a dataset"):
            complete(store)
    assert (tmp_path / "x.parquet").exists()
