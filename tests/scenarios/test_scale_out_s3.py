"""A dataset in an object store is the one in a directory (extra ``s3-test``: a local S3 server)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.support import datasets
from tests.support.command import opendump
from tests.support.recorded import DEMO_KEY

pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")
fsspec = pytest.importorskip("fsspec")
BUCKET = "captures"
Folders = dict[str, list[str]]


@pytest.fixture
def account() -> Iterator[dict[str, str]]:
    """The environment of a user of a new, empty server."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()  # buckets of an earlier server
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    running.stop()


@pytest.fixture
def bucket(account: dict[str, str]) -> Any:
    files = fsspec.filesystem(
        "s3",
        key=account["AWS_ACCESS_KEY_ID"],
        secret=account["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=account["AWS_ENDPOINT_URL"],
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    files.mkdir(BUCKET)
    return files


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return datasets.two_hosts(tmp_path / "in")


def export(folders: Folders, account: dict[str, str], *more: object) -> Any:
    arguments = ("-o", f"s3://{BUCKET}/day", "--bodies", "all", "--rsa-key", DEMO_KEY)
    return opendump("export", *datasets.paths(folders), *arguments, *more, **account)


def content(bucket: Any) -> dict[str, bytes]:
    prefix = f"{BUCKET}/day/"
    return {
        path.removeprefix(prefix): bucket.cat_file(path) for path in bucket.find(prefix) if path.endswith(".parquet")
    }


def test_the_objects_are_the_files_of_a_directory(
    folders: Folders, account: dict[str, str], bucket: Any, tmp_path: Path
) -> None:
    done = export(folders, account, "--workers", 2)
    assert done.code == 0, done.err
    assert "written to s3://captures/day" in done.err
    assert datasets.export(folders, tmp_path / "day", "--workers", 2).code == 0
    assert content(bucket) == datasets.content(tmp_path / "day") != {}
    times = {path: bucket.info(path)["LastModified"] for path in bucket.find(f"{BUCKET}/day")}
    assert max(times.values()) == times[f"{BUCKET}/day/manifest.json"]
    assert not [path for path in times if path.endswith(".part")]


def test_resume_completes_what_is_missing(folders: Folders, account: dict[str, str], bucket: Any) -> None:
    assert export(folders, account, "--workers", 2).code == 0
    before = content(bucket)
    markers = [path for path in bucket.find(f"{BUCKET}/day/_opendump") if not path.endswith("plan.json")]
    ident = Path(markers[0]).stem
    for path in [f"{BUCKET}/day/manifest.json", markers[0], *(p for p in bucket.find(BUCKET) if f"part-{ident}" in p)]:
        bucket.rm_file(path)
    assert content(bucket) != before
    assert "not empty" in export(folders, account, "--workers", 2).err
    assert export(folders, account, "--workers", 2, "--resume").code == 0
    assert content(bucket) == before


def test_hours_are_added(account: dict[str, str], bucket: Any, tmp_path: Path) -> None:
    first, second = datasets.rotated(tmp_path / "in" / "alpha", datasets.FIRST, [200])
    for path in (first, second):
        done = export({"alpha": [path]}, account, "--add", "--workers", 2)
        assert done.code == 0, done.err
        assert datasets.export({"alpha": [path]}, tmp_path / "day", "--add", "--workers", 2).code == 0
    assert content(bucket) == datasets.content(tmp_path / "day") != {}
    names = {path.removeprefix(f"{BUCKET}/day/") for path in bucket.find(f"{BUCKET}/day")}
    assert names == {path.relative_to(tmp_path / "day").as_posix() for path in (tmp_path / "day").rglob("*.*")}
    assert export({"alpha": [second]}, account, "--add", "--workers", 2, "--resume").code == 0
    refused = export({"alpha": [first]}, account, "--add", "--workers", 2)
    assert (refused.code, "is in the dataset already" in refused.err) == (1, True)


@pytest.mark.parametrize("wrong", [{"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, {}])
def test_a_store_that_cannot_be_used_is_one_line(
    folders: Folders, account: dict[str, str], wrong: dict[str, str]
) -> None:
    done = export(folders, {**account, "AWS_MAX_ATTEMPTS": "1", **wrong}, "--workers", 1)  # there is no such bucket
    assert done.code == 1
    (line,) = [line for line in done.err.splitlines() if "s3://" in line]
    assert line.startswith("opendump: s3://captures/day: cannot be ")
    assert account["AWS_SECRET_ACCESS_KEY"] not in done.err
