"""The commands that divide their work give what one process gives, also when something fails on the way."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from decoder.engine.shards import index_file
from decoder.output.dataset import dataset_tasks, export_partition
from tests.support import datasets
from tests.support.command import Result, command, environment, opendump
from tests.support.recorded import CAPTURES, DEMO_KEY

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and limits")
Folders = dict[str, list[str]]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return datasets.two_hosts(tmp_path / "in")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a cluster of two workers."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0, silence_logs=logging.ERROR
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(params=["processes", "cluster"])
def divided(request: pytest.FixtureRequest) -> list[str]:
    """The options with which a command divides its work."""
    if request.param == "processes":
        return ["--workers", "3"]
    return ["--workers", "3", "--scheduler", request.getfixturevalue("scheduler")]


def test_a_dataset_is_what_single_machines_write(folders: Folders, divided: list[str], tmp_path: Path) -> None:
    done = datasets.export(folders, tmp_path / "set", *divided)
    assert done.code == 0, done.err
    assert datasets.differences(tmp_path / "set", datasets.expected(tmp_path / "one", folders)) == {}
    assert (tmp_path / "set" / "manifest.json").exists()
    assert not list((tmp_path / "set").rglob("*.part"))


def decoded(*arguments: object) -> Result:
    return opendump(*arguments, "--rsa-key", DEMO_KEY)


def objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects that stand one after the other in a text."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        each, at = decoder.raw_decode(text, at)
        found.append(each)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def without_host(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "host"}


def test_stats_of_each_host(folders: Folders, divided: list[str]) -> None:
    done = decoded("stats", *datasets.paths(folders), "--format", "json", *divided)
    assert done.code == 0, done.err
    found = objects(done.out)
    assert [each["host"] for each in found] == list(folders)
    for each, (_, paths) in zip(found, folders.items(), strict=True):
        assert without_host(each) == json.loads(decoded("stats", *paths, "--format", "json").out)


@pytest.mark.parametrize("table", ["connections", "lateness"])
def test_a_table_of_stats_as_csv(folders: Folders, table: str) -> None:
    of_both = decoded("stats", *datasets.paths(folders), "--format", "csv", "--table", table, "--workers", 2).lines
    wanted: list[str] = []
    for host, paths in folders.items():
        head, *rows = decoded("stats", *paths, "--format", "csv", "--table", table).lines
        wanted += [*([] if wanted else [f"host,{head}"]), *(f"{host},{row}" for row in rows)]
    assert of_both == wanted


@pytest.mark.parametrize("where", [[], ["--where", "order=5000000000000000002"]])
def test_orders_of_each_host(folders: Folders, divided: list[str], where: list[str]) -> None:
    done = decoded("orders", *datasets.paths(folders), "--format", "jsonl", *where, *divided)
    assert done.code == 0, done.err
    found = list(map(json.loads, done.lines))
    wanted = [
        {"host": host, **json.loads(line)}
        for host, paths in folders.items()
        for line in decoded("orders", *paths, "--format", "jsonl", *where).lines
    ]
    assert found == wanted != []


@pytest.mark.parametrize("arguments", [["orders"], ["orders", "--order", "5000000000000000001"], ["stats"]])
def test_the_text_of_one_host_is_that_of_one_process(folders: Folders, arguments: list[str]) -> None:
    name, *more = arguments
    assert decoded(name, *folders["alpha"], *more, "--workers", 2).out == decoded(name, *folders["alpha"], *more).out


def test_the_text_of_several_hosts_names_them(folders: Folders) -> None:
    out = decoded("orders", *datasets.paths(folders), "--workers", 2).out
    assert [line.partition(":")[0] for line in out.splitlines() if "Orders:" in line] == ["alpha", "beta"]


def test_keys_of_all_hosts(folders: Folders, divided: list[str], tmp_path: Path) -> None:
    logs = {}
    for name, paths, more in (
        ("all", datasets.paths(folders), divided),
        ("one", folders["alpha"], divided),
        ("alpha", folders["alpha"], []),
        ("beta", folders["beta"], []),
    ):
        done = decoded("keys", *paths, "-o", tmp_path / name, *more)
        assert done.code == 0, done.err
        logs[name] = (tmp_path / name).read_text().splitlines()
    assert len(logs["alpha"]) > 2
    assert logs["one"] == logs["alpha"]
    assert set(logs["all"]) == {*logs["alpha"], *logs["beta"]}
    assert (tmp_path / "all").stat().st_mode & 0o077 == 0 or os.name == "nt"


def test_keys_of_the_connections_for_which_a_filter_holds(folders: Folders, tmp_path: Path) -> None:
    for name, more in (("divided", ["--workers", "3"]), ("whole", [])):
        decoded("keys", *folders["alpha"], "-o", tmp_path / name, "--where", "proto=Trd_PlaceOrder", *more)
    assert (tmp_path / "divided").read_text() == (tmp_path / "whole").read_text() != ""


def test_an_interface_is_not_divided() -> None:
    done = opendump("stats", "-i", "lo", "--workers", 2)
    assert done.code == 2
    assert "give captures instead of -i" in done.err


def test_plan_prints_hosts_and_partitions(folders: Folders, divided: list[str]) -> None:
    done = opendump("plan", *datasets.paths(folders), *divided)
    assert done.code == 0, done.err
    size = sum(map(os.path.getsize, folders["alpha"]))
    assert f"host alpha: 3 files, {size:,} bytes, {len(datasets.FIRST)} packets, 5 flows" in done.out
    assert f"{len(datasets.SECOND):,} packets" in done.out
    shares = [float(share) for share in re.findall("([0-9.]+) % of the work", done.out)]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    skew = float(re.findall("heaviest ([0-9.]+) times the mean", done.out)[0])
    assert skew == pytest.approx(max(shares) / (sum(shares) / len(shares)), abs=0.02)
    assert f"{len(shares)} partitions, " in done.out
    assert "tables of the whole host, which more workers do not make shorter" in done.out
    assert done.out == opendump("plan", *datasets.paths(folders), "--workers", 3).out


def test_a_key_log_carries_keys_into_the_dataset_of_the_next_hour(tmp_path: Path) -> None:
    packets = datasets.recorded("ftaes.pcap")
    first, second = datasets.rotated(tmp_path / "alpha", packets, [len(packets) // 3])
    assert decoded("keys", first, "-o", tmp_path / "keys").code == 0
    without, with_keys = (
        decoded("export", second, "-o", tmp_path / name, "--workers", 2, "--table", "messages", *more)
        for name, more in (("hour=10", []), ("hour=11", ["--keylog", tmp_path / "keys"]))
    )
    assert "unverified (handshake-missing)" in without.err
    assert "unverified (handshake-missing)" not in with_keys.err
    assert with_keys.code == 0


# What fails on the way.


def test_resume_completes_what_is_missing_with_the_same_bytes(folders: Folders, tmp_path: Path) -> None:
    output = tmp_path / "set"
    datasets.export(folders, output, "--workers", 2)
    before = datasets.content(output)
    (output / "manifest.json").unlink()
    marker = next(path for path in (output / "_opendump").glob("*.json") if path.stem != "plan")
    for path in output.rglob(f"part-{marker.stem}.parquet"):
        path.unlink()
    kept = {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")}
    marker.unlink()
    (output / "_opendump" / "0123.part").write_bytes(b"of a worker that was killed")
    assert datasets.export(folders, output, "--workers", 2).code == 1
    done = datasets.export(folders, output, "--workers", 2, "--resume")
    assert done.code == 0, done.err
    assert datasets.content(output) == before
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not list(output.rglob("*.part"))
    assert datasets.export(folders, output, "--workers", 1, "--resume").code == 1


def test_a_task_that_is_done_twice_leaves_the_same_files(folders: Folders, tmp_path: Path) -> None:
    indexes = [index_file(host, path, frozenset([11111])) for host, paths in folders.items() for path in paths]
    tasks = dataset_tasks(indexes, 3, datasets.settings(tmp_path / "set"))
    first = [export_partition(*task) for task in tasks]
    content = datasets.content(tmp_path / "set")
    assert [export_partition(*task) for task in tasks] == first
    assert datasets.content(tmp_path / "set") == content != {}


@pytest.mark.parametrize("count", [1000])
def test_one_unreadable_file_among_many_is_named_and_the_others_are_done(tmp_path: Path, count: int) -> None:
    step = max(1, len(datasets.FIRST) // 50)
    few = {"alpha": datasets.rotated(tmp_path / "in" / "alpha", datasets.FIRST, range(0, len(datasets.FIRST), step))}
    wanted = datasets.expected(tmp_path / "one", few)
    for number in range(count - len(few["alpha"])):
        path = tmp_path / "in" / "alpha" / f"empty{number:03}.pcap"
        path.write_bytes(Path(few["alpha"][0]).read_bytes()[:24])
        few["alpha"].append(str(path))
    few["alpha"].insert(500, str(tmp_path / "in" / "alpha" / "no.pcap"))
    Path(few["alpha"][500]).write_bytes(b"\x93nothing of the kind" * 10)
    done = datasets.export(few, tmp_path / "set", "--workers", 2)
    assert done.code == 1
    assert [line for line in done.err.splitlines() if "no.pcap" in line] != []
    assert len(done.err.splitlines()) == 2, done.err
    assert datasets.differences(tmp_path / "set", wanted) == {}
    manifest = orjson.loads((tmp_path / "set" / "manifest.json").read_bytes())
    assert [entry["path"] for entry in manifest["inputs"] if entry["error"]] == [few["alpha"][500]]
    assert len(manifest["inputs"]) == count + 1


@posix
def test_a_full_disk_is_said_and_resume_goes_on(folders: Folders, tmp_path: Path) -> None:
    import resource  # of POSIX

    arguments = command(
        "export", *datasets.paths(folders), "-o", tmp_path / "set", "--bodies", "all", "--rsa-key", DEMO_KEY
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, resource.RLIM_INFINITY))

    done = subprocess.run(
        [*arguments, "--workers", "2"],
        env=environment(),
        capture_output=True,
        preexec_fn=limit,
        timeout=120,
        check=False,
    )
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert re.search(r"set: cannot be written: File too large", said)
    assert not (tmp_path / "set" / "manifest.json").exists()
    datasets.assert_whole(tmp_path / "set")
    again = datasets.export(folders, tmp_path / "set", "--workers", 2, "--resume")
    assert again.code == 0, again.err
    assert datasets.differences(tmp_path / "set", datasets.expected(tmp_path / "one", folders)) == {}
    assert not list((tmp_path / "set").rglob("*.part"))


@posix
def test_the_command_itself_is_killed_and_resume_goes_on(folders: Folders, tmp_path: Path) -> None:
    whole = datasets.export(folders, tmp_path / "whole", "--workers", 2)
    assert whole.code == 0, whole.err
    output = tmp_path / "set"
    arguments = command("export", *datasets.paths(folders), "-o", output, "--bodies", "all", "--rsa-key", DEMO_KEY)
    process = subprocess.Popen([*arguments, "--workers", "2"], env=environment(), stderr=subprocess.PIPE)
    wait_for(lambda: list((output / "_opendump").glob("*.part")) != [])
    children = datasets.children(process.pid)
    process.kill()
    process.communicate(timeout=60)
    assert not (output / "manifest.json").exists()
    assert children
    wait_for(lambda: not any(map(datasets.is_alive, children)))  # nobody goes on for a client that is no more
    datasets.assert_whole(output)
    done = datasets.export(folders, output, "--workers", 2, "--resume")
    assert done.code == 0, done.err
    assert datasets.content(output) == datasets.content(tmp_path / "whole")
    assert not list(output.rglob("*.part"))


def wait_for(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.01)


@posix
def test_a_cluster_of_which_one_worker_is_killed(folders: Folders, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    local = datasets.export(folders, tmp_path / "local", "--workers", 2)
    assert local.code == 0, local.err
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    output = tmp_path / "set"
    with distributed.LocalCluster(**options, silence_logs=logging.ERROR) as cluster:
        more = ("--workers", "2", "--scheduler", cluster.scheduler_address, "--bodies", "all", "--rsa-key", DEMO_KEY)
        arguments = command("export", *datasets.paths(folders), "-o", output, *more)
        exporting = subprocess.Popen(arguments, stderr=subprocess.PIPE, env=environment())
        wait_for(lambda: list((output / "_opendump").glob("*.part")) != [] or exporting.poll() is not None)
        assert exporting.poll() is None, exporting.communicate()[1].decode()
        os.kill(next(nanny.pid for nanny in cluster.workers.values()), signal.SIGKILL)
        assert not (output / "manifest.json").exists()
        _, said = exporting.communicate(timeout=100)
    assert exporting.returncode == 0, said.decode()
    assert datasets.content(output) == datasets.content(tmp_path / "local")
    assert not list(output.rglob("*.part"))
    manifest = orjson.loads((output / "manifest.json").read_bytes())
    files = [name for partition in manifest["partitions"] for name in partition["files"]]
    assert sorted(files) == sorted(datasets.content(output))
    last = max(path.stat().st_mtime_ns for path in output.rglob("*.parquet"))
    assert (output / "manifest.json").stat().st_mtime_ns >= last


# Secrets.


def test_no_key_and_no_key_path_is_written(folders: Folders, tmp_path: Path) -> None:
    datasets.export(folders, tmp_path / "set", "--workers", 2)
    for path in (tmp_path / "set").rglob("*.json"):
        assert DEMO_KEY.name not in path.read_text()


def test_no_task_and_no_log_holds_a_byte_of_a_key(folders: Folders, tmp_path: Path, scheduler: str) -> None:
    """A task has the path of the key; what is in the file is on the worker only."""
    indexes = [index_file(host, path, frozenset([11111])) for host, paths in folders.items() for path in paths]
    tasks = dataset_tasks(indexes, 3, datasets.settings(tmp_path / "set"))
    results = [export_partition(*task) for task in tasks]
    done = datasets.export(folders, tmp_path / "logged", "--scheduler", scheduler, "--workers", 3)
    distributed = pytest.importorskip("distributed")
    with distributed.Client(scheduler, set_as_default=False) as client:
        logs = repr((client.get_scheduler_logs(), client.get_worker_logs(), client.get_events()))
    pem = [line for line in DEMO_KEY.read_text().splitlines() if "-----" not in line]
    assert len(pem) > 5
    for text in (pickle.dumps(tasks), pickle.dumps(results), done.err.encode(), logs.encode()):
        assert not [line for line in pem if line.encode() in text]
        assert b"PRIVATE KEY" not in text
    assert str(DEMO_KEY).encode() in pickle.dumps(tasks)  # so that a key in a task would have been seen


def test_a_file_that_is_no_capture_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "a.pcap").write_bytes(b"")
    done = opendump("keys", tmp_path / "host" / "a.pcap", "-o", tmp_path / "log", "--workers", 2)
    assert done.code == 1
    assert "a.pcap: is empty" in done.err
    assert not (tmp_path / "log").exists()


def test_one_process_and_several_agree_on_a_recording_without_a_directory_of_its_own(tmp_path: Path) -> None:
    one, several = (
        decoded("stats", CAPTURES / "mixed.pcap", "--format", "json", *more)
        for more in ([], ["--host-of", "([a-z]+)[.]pcap$"])
    )
    assert without_host(json.loads(several.out)) == json.loads(one.out)
    assert json.loads(several.out)["host"] == "mixed"
