"""Runs a function on many tasks, on processes of this machine or on the workers of a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import Any, TypeVar

from decoder.errors import OpenDError
from decoder.formatting.escape import escape

__all__ = ["Workers"]

Result = TypeVar("Result")
Tasks = Sequence[tuple[Any, ...]]

_RETRIES = 2
"""Times that what a killed worker left is done again; a task that kills its worker each time ends the run."""
_IN_FLIGHT = 4
"""Tasks for each worker that are handed out at once: the memory for them does not grow with their number."""
_CONNECT_S = 10
"""Seconds that a scheduler has to answer."""
_NO_CERTIFICATE = (
    "needs a certificate: name it in DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and …__CLIENT__KEY, and the authority in"
    " DASK_DISTRIBUTED__COMM__TLS__CA_FILE (docs/scale-out.md)"
)


class Workers:
    """Holds the processes, or the connection to the cluster, for as long as a command needs them.

    ::

        with Workers(4) as workers:
            for result in workers.map_unordered(function, [(1, 2), (3, 4)]): ...

    :param count: processes of this machine; with one the work is done in this process
    :param scheduler: address of a Dask scheduler, as ``tcp://host:8786``; `count` is then without meaning
    :raises OpenDError: if Dask is not installed, or no scheduler answers
    """

    def __init__(self, count: int, scheduler: str | None = None) -> None:
        self._count = count
        self._scheduler = scheduler
        self._pool: ProcessPoolExecutor | None = None
        self._client: Any = None if scheduler is None else _connected(scheduler)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if self._client is not None:
            self._client.close()
        for process in multiprocessing.active_children() if error is not None else ():
            process.terminate()  # its work is wanted no more
        self._close_pool()

    def map_unordered(self, function: Callable[..., Result], tasks: Tasks) -> Iterator[Result]:
        """Yields ``function(*task)`` of each task, in the order in which they are done.

        Function, tasks and results must be picklable, and a task may be run twice.

        :raises OpenDError: if workers are killed again and again
        """
        if self._client is not None:
            return self._on_cluster(function, tasks)
        if self._count == 1:
            return (function(*task) for task in tasks)
        return self._on_this_machine(function, tasks)

    def _on_this_machine(self, function: Callable[..., Result], tasks: Tasks) -> Iterator[Result]:
        waiting: Iterator[tuple[int, tuple[Any, ...]]] = iter(enumerate(tasks))
        taken: dict[int, tuple[Any, ...]] = {}
        running: dict[Future[Result], int] = {}
        killed = 0
        while True:
            try:
                pool = self._open_pool()
                for number, task in islice(waiting, _IN_FLIGHT * self._count - len(running)):
                    taken[number] = task
                    running[pool.submit(function, *task)] = number
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    del taken[running.pop(future)]
                    yield result
            except BrokenProcessPool:
                killed += 1
                if killed > _RETRIES:
                    raise OpenDError(
                        f"worker processes were killed {killed} times, perhaps for want of memory: give fewer"
                        " --workers, or less --max-memory; export --resume keeps what is done"
                    ) from None
                self._close_pool()
                waiting, taken = chain(taken.items(), waiting), {}
                running = {}

    def _open_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._count, context, initializer=_initialize)
        return self._pool

    def _close_pool(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _on_cluster(self, function: Callable[..., Result], tasks: Tasks) -> Iterator[Result]:
        import distributed

        client, waiting = self._client, iter(tasks)
        count = _IN_FLIGHT * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))

        def submit(most: int) -> list[Any]:
            return [client.submit(function, *task, pure=False, retries=_RETRIES) for task in islice(waiting, most)]

        running = distributed.as_completed(submit(count), loop=client.loop)
        for future in running:
            try:
                result: Result = future.result()
            except distributed.KilledWorker as error:
                raise OpenDError(
                    f"workers of {escape(str(self._scheduler))} were killed: {escape(str(error), 200)}"
                ) from None
            future.release()
            for another in submit(1):
                running.add(another)
            yield result


def _initialize() -> None:
    """Prepares a worker process: Ctrl-C is left to the main process, and it ends when that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _connected(address: str) -> Any:
    try:
        import distributed
    except ImportError:
        raise OpenDError(
            "--scheduler needs Dask: pip install 'scapy-opend[cluster]', here and on the workers"
        ) from None
    if not address.rpartition(":")[2].isdigit():  # Dask would tell of it in a traceback, 20 s later
        raise OpenDError(f"{escape(address)}: a scheduler is tcp://HOST:PORT or tls://HOST:PORT")
    try:
        if address.startswith("tls://") and distributed.Security().get_connection_args("client")["ssl_context"] is None:
            raise OpenDError(f"{escape(address)}: {_NO_CERTIFICATE}")
        return distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OpenDError(f"{escape(address)}: no Dask scheduler answers ({escape(str(error), 200)})") from None
