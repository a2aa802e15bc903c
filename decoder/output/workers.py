"""Runs a function on many tasks, on processes of this machine or on the workers of a Dask cluster."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from decoder.errors import OpenDError
from decoder.formatting.escape import escape

__all__ = ["map_unordered"]

Result = TypeVar("Result")

_RETRIES = 2
"""Times that what a killed worker left is done again; a task that kills its worker each time ends the run."""
_IN_FLIGHT = 4
"""Tasks for each worker that a cluster is given at once: its scheduler's memory does not grow with their number."""
_CONNECT_S = 10
"""Seconds that a scheduler has to answer."""


def map_unordered(
    function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], *, workers: int, scheduler: str | None = None
) -> Iterator[Result]:
    """Yields ``function(*task)`` of each task, in the order in which they are done.

    Function, tasks and results must be picklable, and a task may be run twice.

    :param workers: processes of this machine; without meaning when there is a `scheduler`
    :param scheduler: address of a Dask scheduler, as ``tcp://host:8786``
    :raises OpenDError: if workers are killed again and again, or there is no scheduler
    """
    return _on_cluster(function, tasks, scheduler) if scheduler else _on_this_machine(function, tasks, workers)


def _on_this_machine(
    function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[Result]:
    remaining = dict(enumerate(tasks))
    context = multiprocessing.get_context("spawn")
    for _ in range(_RETRIES + 1):
        with ProcessPoolExecutor(workers, context, initializer=_ignore_interrupts) as pool:
            try:
                futures = {pool.submit(function, *task): number for number, task in remaining.items()}
                for future in as_completed(futures):
                    result = future.result()
                    del remaining[futures[future]]
                    yield result
            except BrokenProcessPool:
                continue
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        return
    raise OpenDError(
        f"worker processes were killed {_RETRIES + 1} times, perhaps for want of memory: give fewer --workers, or"
        " less --max-memory; --resume keeps what is done"
    )


def _ignore_interrupts() -> None:
    """Leaves Ctrl-C to the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _on_cluster(function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], address: str) -> Iterator[Result]:
    try:
        import distributed
    except ImportError:
        raise OpenDError(
            "--scheduler needs Dask: pip install 'scapy-opend[cluster]', here and on the workers"
        ) from None
    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OpenDError(f"{escape(address)}: no Dask scheduler answers ({escape(str(error), 200)})") from None
    with client:
        waiting = iter(tasks)
        count = _IN_FLIGHT * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))

        def submit() -> Iterator[Any]:
            for task in waiting:
                yield client.submit(function, *task, pure=False, retries=_RETRIES)
                return

        running = distributed.as_completed([future for _ in range(count) for future in submit()], loop=client.loop)
        for future in running:
            try:
                result: Result = future.result()
            except distributed.KilledWorker as error:
                raise OpenDError(f"workers of {escape(address)} were killed: {escape(str(error), 200)}") from None
            future.release()
            for another in submit():
                running.add(another)
            yield result
