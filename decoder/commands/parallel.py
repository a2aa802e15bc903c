"""Rendering on several processors: batches of records out to worker processes, what they print back in order.

The main process reads, reassembles, decrypts and verifies (a tenth of the work of JSON Lines); the
workers parse bodies and render them.  Batches wait in a bounded queue, so memory stays bounded however
fast the capture is read.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from decoder.message import Gap, Message

__all__ = ["Renderer", "processors", "render_in_order"]

_QUEUED = 2  # batches a worker may have waiting beside the one it works on
_WORTH_SENDING = 400  # records: with fewer, handing a batch over costs more than it gains


class Renderer(Protocol):
    """One of the output formats."""

    def render(self, records: Iterable[Message | Gap]) -> str | bytes:
        """The part of the output that shows `records`."""


_renderer: Renderer | None = None  # of a worker process


def _start(make: Callable[[], Renderer]) -> None:
    global _renderer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    _renderer = make()


def _render(records: list[Message | Gap]) -> str | bytes:
    assert _renderer is not None
    return _renderer.render(records)


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def render_in_order(
    batches: Iterable[list[Message | Gap]], make: Callable[[], Renderer], jobs: int
) -> Iterator[str | bytes]:
    """What a renderer that `make` gives makes of each batch, in order, by `jobs` processes.

    `make` must be picklable: platforms without fork start their workers afresh.
    """
    # Forking is the quicker start (10 ms against 300), and this process has no threads that it could upset.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(make,))
    waiting: deque[Future[str | bytes]] = deque()
    try:
        for batch in _grouped(batches):
            waiting.append(executor.submit(_render, batch))
            while len(waiting) > jobs * (_QUEUED + 1) or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def _grouped(batches: Iterable[list[Message | Gap]]) -> Iterator[list[Message | Gap]]:
    """The same records in larger batches."""
    group: list[Message | Gap] = []
    for batch in batches:
        group += batch
        if len(group) >= _WORTH_SENDING:
            yield group
            group = []
    if group:
        yield group
