"""Captures that are added hour by hour give the dataset of all of them at once, and nothing is lost or doubled."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import given, settings, strategies

from decoder.capture.reader import RawPacket
from decoder.errors import OpenDError
from decoder.output import checkpoint
from decoder.output.store import NEXT
from tests.support import datasets
from tests.support.command import command, environment, opendump, posix
from tests.support.recorded import DEMO_KEY

Hour = dict[str, list[str]]


def hours_of(directory: Path, host: str, packets: list[RawPacket], cuts: list[int], kinds: str = "p") -> list[Hour]:
    return [{host: [path]} for path in datasets.rotated(directory / host, packets, cuts, kinds)]


def expected(directory: Path, hours: list[Hour], **options: Any) -> list[Path]:
    chosen = datasets.settings(directory, source=datasets.source(ports=datasets.PORTS, **options))
    files = datasets.all_of(hours)
    for host, own in files.items():
        datasets.single_machine(directory / host, host, own, chosen)
    return [directory / host for host in files]


def assert_complete(dataset: Path) -> None:
    """What the manifest names is there, and nothing else."""
    manifest = orjson.loads((dataset / "manifest.json").read_bytes())
    files = {path.relative_to(dataset).as_posix() for path in dataset.rglob("*.parquet")}
    states = {path.relative_to(dataset).as_posix() for path in dataset.rglob("*.state")}
    assert files == {name for each in manifest["partitions"] for name in each["files"]}
    assert states == {each["checkpoint"]["file"] for each in manifest["partitions"]}
    with duckdb.connect() as database:
        for table, rows in manifest["rows"].items():
            found = list(dataset.glob(f"{table}/*/*/*.parquet"))
            assert rows == (datasets.count(database, f"from read_parquet({list(map(str, found))})") if found else 0)
    assert not [path for path in dataset.rglob("*") if path.suffix == ".part"]
    assert not (dataset / NEXT).exists()


@pytest.mark.parametrize("kind", datasets.KINDS)
@settings(max_examples=3, deadline=None)
@given(data=strategies.data())
def test_any_cut_into_hours_and_any_number_of_partitions(kind: str, data: strategies.DataObject) -> None:
    packets = datasets.KINDS[kind]
    cuts = data.draw(strategies.lists(strategies.integers(1, len(packets) - 1), min_size=1, max_size=4))
    partitions = data.draw(strategies.lists(strategies.integers(1, 4), min_size=1, max_size=2))
    dedup = data.draw(strategies.booleans())
    with TemporaryDirectory() as name:
        root = Path(name)
        hours = hours_of(root, "alpha", packets, cuts, data.draw(strategies.sampled_from(["p", "gp"])))
        for number, hour in enumerate(hours):
            workers = partitions[number % len(partitions)]  # those of the first hour decide
            code = datasets.add(root / "set", hour, workers, ports=datasets.PORTS, dedup=dedup)
        assert code == 0  # (1 as long as there is no message)
        wanted = expected(root / "one", hours, dedup=dedup)
        assert datasets.differences(root / "set", wanted) == {}
        assert_complete(root / "set")


def test_the_dataset_is_right_after_every_hour(tmp_path: Path) -> None:
    """What is open at the end of an hour is told as a single run of that far tells it, and replaced by the next."""
    packets = datasets.KINDS["orders on several connections"]
    hours = hours_of(tmp_path, "alpha", packets, [60, 150, 151, 300])
    for number, hour in enumerate(hours, 1):
        assert datasets.add(tmp_path / "set", hour, 3, ports=datasets.PORTS) == 0
        assert datasets.differences(tmp_path / "set", expected(tmp_path / str(number), hours[:number])) == {}
        assert_complete(tmp_path / "set")
    names = [path.name for path in (tmp_path / "set" / "orders").rglob("*.parquet")]
    assert names
    assert all(name.endswith("-0005-open.parquet") for name in names)


def test_an_order_is_placed_in_one_hour_and_filled_in_the_next(tmp_path: Path) -> None:
    packets = datasets.KINDS["orders on several connections"]
    first, second = hours_of(tmp_path, "alpha", packets, [len(packets) // 2])

    def outcomes() -> dict[str, int]:
        with duckdb.connect() as database:
            query = f"select outcome, count(*) from '{tmp_path}/set/orders/*/*/*.parquet' group by all"
            return dict(database.execute(query).fetchall())

    datasets.add(tmp_path / "set", first, 2, ports=datasets.PORTS)
    before = outcomes()
    datasets.add(tmp_path / "set", second, 2, ports=datasets.PORTS)
    assert before["working"] > 1
    assert outcomes().get("filled", 0) > before.get("filled", 0)


def test_hosts_that_come_later_and_hosts_without_a_file(tmp_path: Path) -> None:
    alpha = hours_of(tmp_path, "alpha", datasets.FIRST, [200])
    beta = hours_of(tmp_path, "beta", datasets.SECOND, [200])
    hours: list[Hour] = [alpha[0], {**alpha[1], **beta[0]}, beta[1]]
    for number, hour in enumerate(hours, 1):
        assert datasets.add(tmp_path / "set", hour, 3, ports=datasets.PORTS) == 0
        assert datasets.differences(tmp_path / "set", expected(tmp_path / str(number), hours[:number])) == {}
    assert_complete(tmp_path / "set")


def test_every_packet_is_an_hour(tmp_path: Path) -> None:
    packets = datasets.reused_port(2)
    hours = hours_of(tmp_path, "alpha", packets, list(range(1, len(packets))))
    for hour in hours:
        datasets.add(tmp_path / "set", hour, 1)
    assert len(hours) == len(packets) > 20
    assert datasets.differences(tmp_path / "set", expected(tmp_path / "one", hours)) == {}
    assert_complete(tmp_path / "set")


def test_a_filter_and_chosen_tables(tmp_path: Path) -> None:
    hours = hours_of(tmp_path, "alpha", datasets.FIRST, [200])
    for hour in hours:
        datasets.add(tmp_path / "set", hour, 3, where="proto=Trd_* or connection=1")
    wanted = expected(tmp_path / "one", hours, where="proto=Trd_* or connection=1")
    assert datasets.differences(tmp_path / "set", wanted) == {}


# The command.


@pytest.fixture
def hours(tmp_path: Path) -> list[Hour]:
    alpha = hours_of(tmp_path / "in", "alpha", datasets.FIRST, [150, 300], "pg")
    beta = hours_of(tmp_path / "in", "beta", datasets.SECOND, [120, 300], "g")
    return [{**one, **other} for one, other in zip(alpha, beta, strict=True)]


def added(hour: Hour, output: Path, *more: object, workers: int = 1) -> Any:
    return datasets.export(hour, output, "--add", "--workers", workers, *more)


def test_the_command_adds_what_cron_gives_it(hours: list[Hour], tmp_path: Path) -> None:
    for hour in hours:
        done = added(hour, tmp_path / "set", workers=3)
        assert done.code == 0, done.err
    assert datasets.differences(tmp_path / "set", datasets.expected(tmp_path / "one", datasets.all_of(hours))) == {}
    assert_complete(tmp_path / "set")
    manifest = orjson.loads((tmp_path / "set" / "manifest.json").read_bytes())
    messages = sum(each["messages"] for each in manifest["partitions"] if each["job"] != "host")
    assert f"opendump: {messages} messages on " in done.err
    assert len(manifest["inputs"]) == 6


@posix
def test_checkpoints_are_their_owners_only_and_hold_no_rsa_key(hours: list[Hour], tmp_path: Path) -> None:
    added(hours[0], tmp_path / "set")
    states = list((tmp_path / "set").rglob("*.state"))
    assert len(states) == 2
    pem = [line.encode() for line in DEMO_KEY.read_text().splitlines() if "-----" not in line]
    from Crypto.PublicKey import RSA

    key = RSA.import_key(DEMO_KEY.read_bytes())
    numbers = [number.to_bytes(key.size_in_bytes(), order).strip(b"\0") for number in (key.d, key.p, key.q)
               for order in ("big", "little")]  # fmt: skip
    for path in states:
        assert path.stat().st_mode & 0o077 == 0
        content = path.read_bytes()
        assert not [secret for secret in (*pem, *numbers, DEMO_KEY.name.encode()) if secret in content]


def test_what_does_not_fit_is_refused_with_one_line_and_changes_nothing(
    hours: list[Hour], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "set"
    assert added(hours[1], output).code == 0
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    for hour, more, why in (
        (hours[1], [], "is in the dataset already"),
        (hours[0], [], "captures are added in the order of time"),
        (hours[2], ["--wide"], "was begun with other options (wide)"),
        (hours[2], ["--table", "messages", "--utc"], "was begun with other options (tables, utc)"),
        (hours[2], ["--host-of", "([a-z]+)/[^/]+$"], "was begun with other options (host_of)"),
    ):
        done = added(hour, output, *more)
        assert (done.code, len(done.err.splitlines())) == (1, 1), done.err
        assert why in done.err
        assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
    assert added(hours[2], output).code == 0


def test_a_dataset_of_another_version(hours: list[Hour], tmp_path: Path) -> None:
    output = tmp_path / "set"
    added(hours[0], output)
    manifest = orjson.loads((output / "manifest.json").read_bytes())
    (output / "manifest.json").write_bytes(orjson.dumps({**manifest, "version": "0.1.9"}))
    done = added(hours[1], output)
    assert done.code == 1
    assert "was written by version 0.1.9, this is " in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("with_hash", [False, True])
def test_a_hostile_checkpoint_is_refused_and_runs_nothing(hours: list[Hour], tmp_path: Path, with_hash: bool) -> None:
    from hashlib import sha256

    output = tmp_path / "set"
    added(hours[0], output)
    hostile = f"cos\nmkdir\n(S'{tmp_path}/made'\ntR.".encode()
    manifest = orjson.loads((output / "manifest.json").read_bytes())
    for each in manifest["partitions"]:
        (output / each["checkpoint"]["file"]).write_bytes(hostile)
        each["checkpoint"]["sha256"] = sha256(hostile).hexdigest()
    if with_hash:
        (output / "manifest.json").write_bytes(orjson.dumps(manifest))
    done = added(hours[1], output)
    assert (done.code, len(done.err.splitlines())) == (1, 1), done.err
    assert "the checkpoint is " + ("damaged" if with_hash else "missing, or not the one") in done.err
    assert not (tmp_path / "made").exists()


def test_a_dataset_that_was_not_begun_so(hours: list[Hour], tmp_path: Path) -> None:
    datasets.export(hours[0], tmp_path / "set", "--workers", 2)
    assert "was written without --add" in added(hours[1], tmp_path / "set").err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine").touch()
    assert "is not empty, and no dataset" in added(hours[1], tmp_path / "other").err


def test_an_order_in_a_filter_is_refused(hours: list[Hour], tmp_path: Path) -> None:
    done = added(hours[0], tmp_path / "set", "--where", "order=5")
    assert done.code == 2
    assert "leave order= out" in done.err


def test_an_hour_without_a_message_and_an_unreadable_file(hours: list[Hour], tmp_path: Path) -> None:
    output = tmp_path / "set"
    assert added(hours[0], output).code == 0
    quiet = tmp_path / "in" / "alpha" / "quiet.pcap"
    quiet.write_bytes(Path(hours[0]["alpha"][0]).read_bytes()[:24])
    assert added({"alpha": [str(quiet)]}, output).code == 0
    bad = tmp_path / "in" / "alpha" / "bad.pcap"
    bad.write_bytes(b"\x93nothing of the kind" * 10)
    done = added({**hours[1], "alpha": [*hours[1]["alpha"], str(bad)]}, output)
    assert done.code == 1
    assert "bad.pcap" in done.err
    assert added(hours[2], output).code == 0
    assert datasets.differences(output, datasets.expected(tmp_path / "one", datasets.all_of(hours))) == {}


# Killed on the way.


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.005)


def moments(output: Path) -> Iterator[Callable[[], bool]]:
    """Conditions that come true while an addition runs."""
    state = output / "_opendump"
    yield lambda: (output / NEXT / "plan.json").exists()
    yield lambda: list(state.glob("*.part")) != []
    yield lambda: len(list((output / NEXT).glob("*.json"))) > 1  # a partition is done
    yield lambda: (state / "commit.json").exists()


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Hour], dict[str, bytes], list[Path]]:
    """Three hours, the dataset of the first two, and what a single run makes of all."""
    folder = tmp_path_factory.mktemp("wanted")
    hours = hours_of(folder, "alpha", datasets.FIRST, [150, 300], "pg")
    for hour in hours[:2]:
        datasets.add(folder / "whole", hour, 1)
    one = datasets.expected(folder / "one", datasets.all_of(hours))
    return hours, datasets.content(folder / "whole"), one


@posix
@pytest.mark.parametrize("moment", range(4))
def test_killed_in_the_middle_resume_goes_on(
    wanted: tuple[list[Hour], dict[str, bytes], list[Path]], tmp_path: Path, moment: int
) -> None:
    (first, second, third), whole, one = wanted
    output = tmp_path / "set"
    datasets.add(output, first, 1)
    before = datasets.content(output)
    arguments = command("export", *datasets.paths(second), "-o", output, "--bodies", "all", "--rsa-key", DEMO_KEY)
    more = ["--workers", "1", "--add", "--host-of", datasets.HOST_OF]
    process = subprocess.Popen([*arguments, *more], env=environment(), stderr=subprocess.PIPE)
    condition = list(moments(output))[moment]
    wait_for(lambda: condition() or process.poll() is not None)
    process.kill()
    process.communicate(timeout=60)
    if not (output / "_opendump" / "commit.json").exists() and (output / NEXT).exists():
        kept = {name: content for name, content in datasets.content(output).items() if not name.startswith(NEXT)}
        assert kept == before  # nothing of it shows
        for hour, resume, why in ((second, False, "with --resume"), (third, True, "other captures")):
            with pytest.raises(OpenDError, match=why):
                datasets.add(output, hour, 1, resume=resume)
    for _ in range(2):  # also when all is done
        assert datasets.add(output, second, 1, resume=True) == 0
        assert datasets.content(output) == whole
        assert_complete(output)
    assert datasets.add(output, third, 1) == 0
    assert datasets.differences(output, one) == {}


def test_a_reader_by_the_manifest_sees_one_hour_or_two(hours: list[Hour], tmp_path: Path) -> None:
    """While files get their names, those that the manifest names at that moment are one dataset."""
    output = tmp_path / "set"
    seen: list[int] = []
    steps: list[str] = []
    real: Callable[[str, str], None] = os.replace

    def replace(source: str, target: str) -> None:
        real(source, target)
        steps.append(str(target))
        if (output / "manifest.json").exists() and "_opendump" not in Path(target).parts:
            manifest = orjson.loads((output / "manifest.json").read_bytes())
            names = [str(output / name) for each in manifest["partitions"] for name in each["files"]]
            names = [name for name in names if "/messages/" in name]
            with duckdb.connect() as database:
                rows = datasets.count(database, f"from read_parquet({names})")
            assert rows == manifest["rows"]["messages"]
            seen.append(rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", replace)
        for hour in hours[:2]:
            datasets.add(output, hour, 1)
    first, second = sorted(set(seen))
    assert first < second
    assert seen == sorted(seen)


def test_checkpoints_do_not_grow_with_what_is_over(tmp_path: Path) -> None:
    packets = datasets.reused_port(40)
    hours = hours_of(tmp_path, "alpha", packets, list(range(0, len(packets), len(packets) // 8)))
    sizes = []
    for hour in hours:
        datasets.add(
            tmp_path / "set",
            hour,
            1,
        )
        sizes.append(sum(path.stat().st_size for path in (tmp_path / "set").rglob("*.state")))
    grown = [second - first for first, second in pairwise(sizes[2:])]
    assert max(grown) < 40_000
    assert checkpoint._FORMAT == 1


def test_the_options_that_do_not_go_with_it() -> None:
    for more in (["--force"], ["--jobs", "2"], ["-o", "x.csv", "--table", "messages"]):
        done = opendump("export", "a.pcap", "-o", "x", "--add", *more)
        assert done.code == 2, done.err
        assert "--add" in done.err
