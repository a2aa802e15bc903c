"""Renders on several processors: sends batches of messages to worker processes and yields their output in order.

The main process reads, reassembles, decrypts and verifies: a fifth of the work of JSON Lines.  It sends a batch to a
worker that has room (4 µs a message, of 50 in all) and renders the batch itself if no worker has, so no process waits
for another.  If a worker is killed, the main process renders its batches.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection as Channel

    from decoder.message import Gap, Message

__all__ = ["Renderer", "processors", "render_in_order"]

_MAX_QUEUED = 16  # batches that a worker holds at once: being rendered, waiting, or rendered and not yet fetched
_REFILL_BELOW = 3  # batches; a worker is refilled up to _MAX_QUEUED in a run, because its fragment cache stays warm
_MAX_WAITING = 32  # batches per process that wait for an earlier one; bounds the memory of the main process
_SLOT_SIZE = 1024 * 1024  # bytes of shared memory for one batch, then for its output; a pipe takes 64 KiB at a time


class Renderer(Protocol):
    """Writes messages and gaps in one output format."""

    def render(self, records: Iterable[Message | Gap]) -> str | bytes:
        """Returns the part of the output that shows `records`."""


def processors() -> int:
    """Returns the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def render_in_order(
    batches: Iterable[list[Message | Gap]], make: Callable[[], Renderer], jobs: int
) -> Iterator[str | bytes]:
    """Yields the output for each batch, in order; `jobs` processes render, this one among them.

    `make` creates a renderer in each process.  It must be picklable: platforms without fork start new interpreters.
    """
    # Forking starts in 10 ms instead of 300, and it is safe here: this process has no threads.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    workers = [_Worker(context, make) for _ in range(jobs - 1)]
    renderer = make()
    waiting: deque[_Task] = deque()

    def next_output() -> str | bytes:
        task = waiting.popleft()
        if task.worker is not None:
            task.worker.wait_for(task)
        return renderer.render(task.batch) if task.rendered is None else task.rendered

    try:
        for batch in batches:
            task = _Task(batch)
            waiting.append(task)
            if not any(worker.accept(task) for worker in workers):
                task.rendered = renderer.render(batch)
            while waiting and (waiting[0].rendered is not None or len(waiting) > _MAX_WAITING * jobs):
                yield next_output()
        while waiting:
            yield next_output()
    finally:
        for worker in workers:
            worker.stop()


class _Task:
    """Holds a batch and, once it is rendered, its output."""

    __slots__ = ("batch", "rendered", "worker")

    def __init__(self, batch: list[Message | Gap]) -> None:
        self.batch = batch
        self.rendered: str | bytes | None = None
        self.worker: _Worker | None = None
        """The worker that renders it; None if the main process does."""


class _Worker:
    """Controls, from the main process, a worker process that renders its tasks one after the other."""

    def __init__(self, context: Any, make: Callable[[], Renderer]) -> None:
        slots = [context.RawArray("c", _SLOT_SIZE) for _ in range(_MAX_QUEUED)]
        self._slots = list(map(_Slot, slots))
        self._accepted = 0
        self._has_room = True
        self._tasks: deque[_Task] = deque()
        self._channel, other = context.Pipe()
        self._process = context.Process(target=_work, args=(make, slots, other, self._channel), daemon=True)
        self._process.start()
        other.close()

    def accept(self, task: _Task) -> bool:
        """Sends `task` to the worker; returns False if the worker has no room or is gone."""
        try:
            while self._tasks and self._channel.poll():
                self._fetch()
            self._has_room = len(self._tasks) < (_MAX_QUEUED if self._has_room else _REFILL_BELOW)
            if not self._has_room or self._channel.closed:
                return False
            size = self._slots[self._accepted % _MAX_QUEUED].put(task.batch)
            if not isinstance(size, int):
                return False
            self._channel.send(size)
        except (EOFError, OSError):
            self._abandon()
            return False
        self._accepted += 1
        self._tasks.append(task)
        task.worker = self
        return True

    def wait_for(self, task: _Task) -> None:
        """Waits until the worker has rendered `task`, or is gone."""
        try:
            while task in self._tasks:
                self._fetch()
        except (EOFError, OSError):
            self._abandon()

    def _fetch(self) -> None:
        slot = self._slots[(self._accepted - len(self._tasks)) % _MAX_QUEUED]
        rendered = slot.get(self._channel.recv())
        task = self._tasks.popleft()
        task.rendered, task.batch, task.worker = rendered, [], None

    def _abandon(self) -> None:
        self._channel.close()
        self._tasks.clear()

    def stop(self) -> None:
        """Ends the process, whatever it is doing."""
        self._channel.close()
        self._process.terminate()
        self._process.join()


class _Slot:
    """Passes one object at a time through shared memory; an object that does not fit goes through the pipe."""

    def __init__(self, memory: Any) -> None:
        self._view = memoryview(memory).cast("B")

    def put(self, item: object) -> int | bytes:
        """Stores `item`; returns what `get` needs: its size, or its bytes if they do not fit."""
        data = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        if len(data) > len(self._view):
            return data
        self._view[: len(data)] = data
        return len(data)

    def get(self, stored: int | bytes) -> Any:
        """Returns the object that `put` stored."""
        return pickle.loads(self._view[:stored] if isinstance(stored, int) else stored)


def _work(make: Callable[[], Renderer], memory: list[Any], channel: Channel, other: Channel) -> None:
    """Runs in a worker: renders until the channel closes; `other` is the main process's end, closed here at once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process handles Ctrl-C
    other.close()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (open until the process ends; the main process reports errors)
    renderer = make()
    slots = deque(map(_Slot, memory))
    with suppress(EOFError, OSError):  # the main process has closed the channel
        while True:
            slot = slots[0]
            channel.send(slot.put(renderer.render(slot.get(channel.recv()))))
            slots.rotate(-1)
