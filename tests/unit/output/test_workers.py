"""Tasks are done on processes and on a cluster, also when a worker is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from decoder.errors import OpenDError
from decoder.output.workers import Workers


def run(function: Callable[..., int], tasks: list[tuple[object, ...]], scheduler: str | None = None) -> list[int]:
    with Workers(2, scheduler) as workers:
        return list(workers.map_unordered(function, tasks))


def double(number: int) -> int:
    return 2 * number


def process_of(_: int) -> int:
    return os.getpid()


def kill_once(number: int, directory: str) -> int:
    """Kills its own process the first time that task 3 is done, in the middle of it."""
    mark = Path(directory, "killed")
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def kill_always(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def fail(number: int) -> int:
    raise OpenDError(f"task {number} cannot be done")


def test_every_task_is_done_once() -> None:
    assert sorted(run(double, [(n,) for n in range(20)])) == [2 * n for n in range(20)]


def test_one_worker_is_this_process() -> None:
    with Workers(1) as workers:
        assert list(workers.map_unordered(process_of, [(1,), (2,)])) == [os.getpid()] * 2


def test_several_maps_share_the_processes() -> None:
    with Workers(2) as workers:
        first, second = (set(workers.map_unordered(process_of, [(n,) for n in range(40)])) for _ in range(2))
    assert os.getpid() not in first
    assert len(first | second) <= 2


def test_a_failure_reaches_the_caller() -> None:
    with pytest.raises(OpenDError, match="task 7 cannot be done"):
        run(fail, [(7,)])


posix = pytest.mark.skipif(os.name == "nt", reason="SIGKILL")


@posix
def test_what_a_killed_process_left_is_done_by_another(tmp_path: Path) -> None:
    done = run(kill_once, [(n, str(tmp_path)) for n in range(8)])
    assert (tmp_path / "killed").exists()
    assert sorted(done) == [2 * n for n in range(8)]


@posix
def test_a_task_that_kills_every_process_ends_the_run() -> None:
    with pytest.raises(OpenDError, match="killed 3 times"):
        run(kill_always, [(1,)])


def test_no_scheduler_is_said() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(OpenDError, match=r"tcp://127\.0\.0\.1:9: no Dask scheduler answers"):
        run(double, [(1,)], "tcp://127.0.0.1:9")


def test_an_address_without_a_port_is_no_scheduler() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(OpenDError, match="nowhere: a scheduler is tcp://HOST:PORT"):
        run(double, [(1,)], "nowhere")
