"""Rendering on several processors: every process decodes the whole capture and renders its share of the batches.

Decoding is a seventh of the work of JSON Lines; to hand messages over to other processes takes as much, and all of it
in the one process that the others then wait for.  So the processes exchange nothing but what they print: the main
process renders every Nth batch itself, fetches the others in order, and renders what a worker does not deliver (it was
killed, or the file grew between the two readings).  A worker waits when a few of its batches wait to be fetched, so
memory stays bounded.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as Channel

    from decoder.message import Gap, Message

    Batch = list[Message | Gap]
    Mark = tuple[int, int, int]

__all__ = ["Renderer", "processors", "render_in_order"]

_AHEAD = 4  # rendered batches of one worker that wait to be fetched
_SLOT = 1024 * 1024  # bytes of shared memory for what is rendered of a batch; a pipe takes 64 KiB at a time


class Renderer(Protocol):
    """One of the output formats."""

    def render(self, records: Iterable[Message | Gap]) -> str | bytes:
        """The part of the output that shows `records`."""


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def render_in_order(
    batches: Iterable[Batch],
    again: Callable[[], Iterable[Batch]],
    make: Callable[[], Renderer],
    jobs: int,
) -> Iterator[str | bytes]:
    """What a renderer that `make` gives makes of each batch, in order, by `jobs` processes, this one among them.

    `again` gives the same batches in a worker.  It and `make` must be picklable: platforms without fork start their
    workers afresh.
    """
    # Forking is the quicker start (10 ms against 300), and this process has no threads that it could upset.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    workers = [_Worker(context, again, make, turn, jobs) for turn in range(1, jobs)]
    renderer = make()
    waiting: deque[tuple[_Worker, Batch] | str | bytes] = deque()

    def first() -> str | bytes:
        item = waiting.popleft()
        if isinstance(item, (str, bytes)):
            return item
        worker, batch = item
        rendered = worker.fetch(_mark(batch))
        return renderer.render(batch) if rendered is None else rendered

    try:
        for index, batch in enumerate(batches):
            turn = index % jobs
            waiting.append((workers[turn - 1], batch) if turn else renderer.render(batch))
            if len(waiting) > 2 * jobs:
                yield first()
        while waiting:
            yield first()
    finally:
        for worker in workers:
            worker.stop()


def _mark(batch: Batch) -> Mark:
    """By which the two readings of a batch are compared."""
    return len(batch), batch[0].time_ns, batch[-1].time_ns


class _Worker:
    """The main process's end of a worker process."""

    def __init__(
        self, context: Any, again: Callable[[], Iterable[Batch]], make: Callable[[], Renderer], turn: int, jobs: int
    ) -> None:
        self._slots = [context.RawArray("c", _SLOT) for _ in range(_AHEAD)]
        self._fetched = 0
        self._in_step = True
        self._channel, other = context.Pipe()
        arguments = again, make, turn, jobs, self._slots, other, self._channel
        self._process = context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        other.close()

    def fetch(self, mark: Mark) -> str | bytes | None:
        """What it rendered of its next batch; None from the first time on that this is not the batch of `mark`."""
        if not self._in_step:
            return None
        try:
            found, rendered = self._channel.recv()
            if isinstance(rendered, int):
                slot = memoryview(self._slots[self._fetched % _AHEAD]).cast("B")
                rendered = bytes(slot[:rendered])
        except (EOFError, OSError):
            found = rendered = None
        self._fetched += 1
        with suppress(OSError):  # it may be through
            self._channel.send_bytes(b"fetched")
        self._in_step = found == mark
        return rendered if self._in_step else None

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._channel.close()
        self._process.terminate()
        self._process.join()


def _work(
    again: Callable[[], Iterable[Batch]],
    make: Callable[[], Renderer],
    turn: int,
    jobs: int,
    slots: list[Any],
    channel: Channel,
    other: Channel,
) -> None:
    """What a worker does; `other` is the main process's end, which must not stay open here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    other.close()
    # What there is to say of the capture the main process says; if this one fails, that renders for it.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (open as long as the process)
    views = [memoryview(slot).cast("B") for slot in slots]
    renderer, rendered = make(), count()
    with suppress(EOFError, OSError):  # nobody fetches any more
        for index, batch in enumerate(again()):
            if index % jobs != turn:
                continue
            number = next(rendered)
            if number >= _AHEAD:
                channel.recv_bytes()
            result: str | bytes | int = renderer.render(batch)
            if isinstance(result, bytes) and len(result) <= _SLOT:
                views[number % _AHEAD][: len(result)] = result
                result = len(result)
            channel.send((_mark(batch), result))
