"""Where the files of a dataset are kept: they appear as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from decoder.errors import OpenDError
from decoder.output.store import STATE, Directory, ObjectStore, is_url, store_at
from tests.support.command import posix


def put(store: Directory | ObjectStore, name: str, content: bytes, *, private: bool = False) -> None:
    path, file = store.temporary(private=private)
    file.write(content)
    file.close()
    store.publish(path, name)


def test_a_file_appears_under_its_name_when_it_is_complete(tmp_path: Path) -> None:
    store = Directory(str(tmp_path / "set"))
    assert store.begin()
    path, file = store.temporary(private=False)
    file.write(b"half")
    assert [entry.name for entry in (tmp_path / "set").iterdir()] == [STATE]
    file.close()
    store.publish(path, "table/date=1/part.parquet")
    assert (tmp_path / "set" / "table" / "date=1" / "part.parquet").read_bytes() == b"half"
    assert not list((tmp_path / "set" / STATE).iterdir())


def test_a_directory_with_anything_in_it_is_not_empty(tmp_path: Path) -> None:
    store = Directory(str(tmp_path))
    assert store.begin()
    put(store, "x", b"")
    assert not store.begin()


def test_what_killed_workers_left_is_removed(tmp_path: Path) -> None:
    store = Directory(str(tmp_path))
    store.temporary(private=False)[1].close()
    assert not store.begin()
    store.clean()
    assert store.begin()


def test_json_is_written_whole_and_read_back(tmp_path: Path) -> None:
    store = Directory(str(tmp_path))
    assert store.read("_opendump/x.json") is None
    store.write("_opendump/x.json", {"b": 1, "a": [2]})
    assert store.read("_opendump/x.json") == {"a": [2], "b": 1}
    (tmp_path / "_opendump" / "x.json").write_bytes(b"{half")
    assert store.read("_opendump/x.json") is None


@posix
def test_a_private_file_is_its_owners_only(tmp_path: Path) -> None:
    put(Directory(str(tmp_path)), "secret", b"x", private=True)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


@posix
@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write everywhere")
def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OpenDError, match="cannot be used"):
        Directory(str(tmp_path / "set")).begin()
    tmp_path.chmod(0o700)


def test_a_file_in_the_place_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("")
    with pytest.raises(OpenDError, match="cannot be used"):
        Directory(str(tmp_path / "set")).begin()


def test_an_object_store_keeps_the_same_files() -> None:
    pytest.importorskip("fsspec")
    store = store_at("memory://opendump-test-store")
    assert isinstance(store, ObjectStore)
    assert store.begin()
    put(store, "table/part.parquet", b"whole")
    store.write("_opendump/x.json", {"a": 1})
    assert not store.begin()
    assert store.read("_opendump/x.json") == {"a": 1}
    assert store.read("_opendump/none.json") is None


def test_a_store_that_nobody_knows_is_an_error_of_ours() -> None:
    with pytest.raises(OpenDError, match="nosuch://place: "):
        store_at("nosuch://place")


@pytest.mark.parametrize(("place", "expected"), [("s3://bucket/x", True), ("/a/b", False), ("C:\\a", False)])
def test_addresses_and_paths(place: str, expected: bool) -> None:
    assert is_url(place) is expected


def test_files_are_moved_and_removed_once(tmp_path: Path) -> None:
    store = Directory(str(tmp_path))
    store.save("kept", b"", private=False)
    store.save("a/b", b"1", private=True)
    for _ in range(2):  # as when the first time was interrupted
        store.move("a/b", "c/d/e")
        assert store.load("c/d/e") == b"1"
    assert store.load("a/b") is None
    if os.name != "nt":
        assert (tmp_path / "c" / "d" / "e").stat().st_mode & 0o777 == 0o600
    store.save("c/f", b"2", private=False)
    for name in ("c/d/e", "c/d/e", "c"):
        store.remove(name)
        assert store.load(name) is None
        assert not (tmp_path / "c" / "d").exists()
    assert not (tmp_path / "c").exists()
