"""``export --jobs``: the same files whatever the number of processes, and none when one of them fails."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from decoder.cli.main import cli
from decoder.cli.run import Run
from decoder.cli.table_jobs import Share, divided, in_other_processes
from decoder.errors import OpenDError
from decoder.output.table_schema import all_tables
from tests.support.command import FTAES, PLAIN, WITH_KEY, opendump

PARAMETERS: dict[str, Any] = {"ports": (), "rsa_keys": (), "keylogs": ()}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--format", "parquet"),
        ("--format", "csv", "--where", "proto_id=3011 or kind=request"),
        ("--format", "jsonl", "--wide", "--bodies", "all", "--to", "2100-01-01"),
    ],
)
def test_the_files_are_the_same(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    for jobs in ("1", "3"):
        result = opendump("export", FTAES, *WITH_KEY[1:], "-o", tmp_path / jobs, "--jobs", jobs, *arguments)
        assert (result.code, result.out) == (0, "")
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert len(names) == len(all_tables())
    assert sorted(path.name for path in (tmp_path / "3").iterdir()) == names
    for name in names:
        assert (tmp_path / "3" / name).read_bytes() == (tmp_path / "1" / name).read_bytes(), name


@pytest.mark.parametrize("jobs", [1, 2, 3, 100])
def test_each_table_is_made_once(jobs: int) -> None:
    names = list(all_tables())
    shares = divided(names, jobs)
    assert sorted(name for share in shares for name in share) == sorted(names)
    assert all(shares)
    assert len(shares) <= jobs
    # What the statistics give stands together, for it takes all of them to make one.
    assert sum("findings" in share or "rates" in share for share in shares) == 1


def test_a_capture_that_can_be_read_only_once(tmp_path: Path) -> None:
    result = opendump("export", "-", "-o", tmp_path / "out", "--format", "csv", "--jobs", "4", stdin=PLAIN.read_bytes())
    assert result.code == 0
    assert len(list((tmp_path / "out").iterdir())) == len(all_tables())


def share(tmp_path: Path, *, exists: bool) -> Share:
    path = tmp_path / "gaps.csv"
    if exists:
        path.touch()
    return Share((str(PLAIN),), {"gaps": str(path)}, "csv", False, False, PARAMETERS)


def kill_others() -> None:
    for process in multiprocessing.active_children():
        process.kill()


def test_an_error_of_another_process_is_told(tmp_path: Path) -> None:
    with pytest.raises(OpenDError, match="cannot be written"), in_other_processes([share(tmp_path, exists=False)]):
        pass


def test_a_process_that_is_killed_is_told(tmp_path: Path) -> None:
    with pytest.raises(OpenDError, match="was killed"), in_other_processes([share(tmp_path, exists=True)]):
        kill_others()


def test_an_error_here_ends_the_others(tmp_path: Path) -> None:
    with pytest.raises(KeyError), in_other_processes([share(tmp_path, exists=True)]):
        raise KeyError
    assert multiprocessing.active_children() == []


def test_ctrl_c_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it was pressed in this process alone: which would have fewer messages in its tables than the others."""
    monkeypatch.setattr(Run, "interrupted", property(lambda run: True, lambda run, value: None), raising=False)
    result = CliRunner().invoke(cli, ["export", str(PLAIN), "-o", str(tmp_path / "out"), "--jobs", "2"])
    assert (result.exit_code, result.stdout) == (130, "")
    assert "nothing was written" in result.stderr
    assert list((tmp_path / "out").iterdir()) == []
