"""Files appear under their names as a whole, in a directory and in an object store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from decoder.errors import OpenDError
from decoder.output.store import STATE, Directory, ObjectStore, Store, is_url, store_at


@pytest.fixture(params=["directory", "objects"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "directory":
        return store_at(str(tmp_path / "set"))
    pytest.importorskip("fsspec")
    return store_at(f"memory://{tmp_path.as_posix()}")


def test_addresses_and_paths(store: Store, tmp_path: Path) -> None:
    assert isinstance(store, ObjectStore if is_url(store.place) else Directory)
    assert not is_url(str(tmp_path))


def test_what_is_written_is_read(store: Store) -> None:
    assert store.begin()
    assert store.read(f"{STATE}/one.json") is None
    store.write(f"{STATE}/one.json", {"rows": 1})
    assert store.read(f"{STATE}/one.json") == {"rows": 1}
    assert not store.begin()


def test_a_temporary_file_gets_its_name(store: Store) -> None:
    store.begin()
    path, file = store.temporary(private=True)
    with file:
        file.write(b'{"a": 1}')
    assert store.read("t/part.json") is None
    if os.name != "nt":
        assert os.stat(path).st_mode & 0o077 == 0
    store.publish(path, "t/part.json")
    assert store.read("t/part.json") == {"a": 1}
    assert not os.path.exists(path)


def test_what_is_no_json_is_nothing(store: Store) -> None:
    path, file = store.temporary(private=False)
    with file:
        file.write(b'{"a":')
    store.publish(path, "cut.json")
    assert store.read("cut.json") is None


def test_what_killed_workers_left_is_removed(tmp_path: Path) -> None:
    store = Directory(str(tmp_path))
    _, file = store.temporary(private=False)
    file.close()
    store.write("kept.json", {})
    store.clean()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["kept.json"]


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OpenDError, match="file: cannot be used"):
        Directory(str(tmp_path / "file")).begin()


def test_a_store_without_its_library_says_what_to_install() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(OpenDError, match=r"^nosuch://x: "):
        store_at("nosuch://x")
