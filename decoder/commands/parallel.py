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
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from decoder.message import Gap, Message

__all__ = ["Renderer", "processors", "render_in_order"]

_QUEUED = 2  # batches a worker may have waiting beside the one it works on
_WORTH_SENDING = 150  # records: with fewer, handing a batch over costs more than it gains
_SLOT = 1024 * 1024  # bytes of shared memory for what is rendered of a batch; a pipe takes 64 KiB at a time
_SWITCH = 0.0005  # seconds after which a thread that moves batches gets its turn


class Renderer(Protocol):
    """One of the output formats."""

    def render(self, records: Iterable[Message | Gap]) -> str | bytes:
        """The part of the output that shows `records`."""


_renderer: Renderer | None = None  # of a worker process
_slots: Sequence[memoryview] = ()


def _start(make: Callable[[], Renderer], slots: Sequence[Any]) -> None:
    global _renderer, _slots
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    _renderer = make()
    _slots = [memoryview(slot).cast("B") for slot in slots]


def _render(records: list[Message | Gap], slot: int) -> str | bytes | int:
    """Render into the shared memory of `slot`, and give the size; what is text or does not fit is given itself."""
    assert _renderer is not None
    rendered = _renderer.render(records)
    if isinstance(rendered, str) or len(rendered) > _SLOT:
        return rendered
    _slots[slot][: len(rendered)] = rendered
    return len(rendered)


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
    slots = [context.RawArray("c", _SLOT) for _ in range(jobs * (_QUEUED + 1) + 1)]
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(make, slots))
    waiting: deque[tuple[int, Future[str | bytes | int]]] = deque()

    def first() -> str | bytes:
        slot, future = waiting.popleft()
        result = future.result()
        free.append(slot)
        return bytes(memoryview(slots[slot]).cast("B")[:result]) if isinstance(result, int) else result

    free = list(range(len(slots)))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    try:
        for batch in _grouped(batches):
            slot = free.pop()
            waiting.append((slot, executor.submit(_render, batch, slot)))
            while not free or (waiting and waiting[0][1].done()):
                yield first()
        while waiting:
            yield first()
    finally:
        sys.setswitchinterval(interval)
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
