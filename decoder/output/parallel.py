"""Rendering on several processors: batches of messages out to worker processes, what they print back in order.

The main process reads, reassembles, decrypts and verifies, a fifth of the work of JSON Lines.  It hands a batch to a
worker that has room (4 µs a message, of 50 that it takes in all) and renders it itself if none has, so no process
waits for another.  What a worker does not deliver because it was killed is rendered by the main process.
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

_AHEAD = 16  # batches that a worker has at once: the one it renders, those that wait, those not yet fetched
_FEW = 3  # fewer than these, and it gets new ones: many in a row, as a renderer knows again what was in those before
_BEHIND = 32  # batches for each process that may wait for the one before them, rendered or not
_SLOT = 1024 * 1024  # bytes of shared memory for a batch, then for what it became; a pipe takes 64 KiB at a time


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
    batches: Iterable[list[Message | Gap]], make: Callable[[], Renderer], jobs: int
) -> Iterator[str | bytes]:
    """What a renderer that `make` gives makes of each batch, in order, by `jobs` processes, this one among them.

    `make` must be picklable: platforms without fork start their workers afresh.
    """
    # Forking is the quicker start (10 ms against 300), and this process has no threads that it could upset.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    workers = [_Worker(context, make) for _ in range(jobs - 1)]
    renderer = make()
    waiting: deque[_Task] = deque()

    def first() -> str | bytes:
        task = waiting.popleft()
        if task.worker is not None:
            task.worker.deliver(task)
        return renderer.render(task.batch) if task.rendered is None else task.rendered

    try:
        for batch in batches:
            task = _Task(batch)
            waiting.append(task)
            if not any(worker.take(task) for worker in workers):
                task.rendered = renderer.render(batch)
            while waiting and (waiting[0].rendered is not None or len(waiting) > _BEHIND * jobs):
                yield first()
        while waiting:
            yield first()
    finally:
        for worker in workers:
            worker.stop()


class _Task:
    """A batch, and what it becomes."""

    __slots__ = ("batch", "rendered", "worker")

    def __init__(self, batch: list[Message | Gap]) -> None:
        self.batch = batch
        self.rendered: str | bytes | None = None
        self.worker: _Worker | None = None
        """Who renders it, unless the main process does."""


class _Worker:
    """The main process's end of a worker process, which renders its tasks one after the other."""

    def __init__(self, context: Any, make: Callable[[], Renderer]) -> None:
        slots = [context.RawArray("c", _SLOT) for _ in range(_AHEAD)]
        self._slots = list(map(_Slot, slots))
        self._taken = 0
        self._has_room = True
        self._tasks: deque[_Task] = deque()
        self._channel, other = context.Pipe()
        self._process = context.Process(target=_work, args=(make, slots, other, self._channel), daemon=True)
        self._process.start()
        other.close()

    def take(self, task: _Task) -> bool:
        """Have the worker render it, if it has room."""
        try:
            while self._tasks and self._channel.poll():
                self._fetch()
            self._has_room = len(self._tasks) < (_AHEAD if self._has_room else _FEW)
            if not self._has_room or self._channel.closed:
                return False
            size = self._slots[self._taken % _AHEAD].put(task.batch)
            if not isinstance(size, int):
                return False
            self._channel.send(size)
        except (EOFError, OSError):
            self._give_up()
            return False
        self._taken += 1
        self._tasks.append(task)
        task.worker = self
        return True

    def deliver(self, task: _Task) -> None:
        """Wait until it rendered `task`, or is gone."""
        try:
            while task in self._tasks:
                self._fetch()
        except (EOFError, OSError):
            self._give_up()

    def _fetch(self) -> None:
        slot = self._slots[(self._taken - len(self._tasks)) % _AHEAD]
        rendered = slot.get(self._channel.recv())
        task = self._tasks.popleft()
        task.rendered, task.batch, task.worker = rendered, [], None

    def _give_up(self) -> None:
        self._channel.close()
        self._tasks.clear()

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._channel.close()
        self._process.terminate()
        self._process.join()


class _Slot:
    """Shared memory for one object at a time; what does not fit has to go through the pipe."""

    def __init__(self, memory: Any) -> None:
        self._view = memoryview(memory).cast("B")

    def put(self, item: object) -> int | bytes:
        """Keep `item`; gives what `get` asks for."""
        data = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        if len(data) > len(self._view):
            return data
        self._view[: len(data)] = data
        return len(data)

    def get(self, kept: int | bytes) -> Any:
        """What `put` kept."""
        return pickle.loads(self._view[:kept] if isinstance(kept, int) else kept)


def _work(make: Callable[[], Renderer], memory: list[Any], channel: Channel, other: Channel) -> None:
    """What a worker does; `other` is the main process's end, which must not stay open here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    other.close()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (as long as the process: if it fails, the main one says why)
    renderer = make()
    slots = deque(map(_Slot, memory))
    with suppress(EOFError, OSError):  # there is nobody any more to render for
        while True:
            slot = slots[0]
            channel.send(slot.put(renderer.render(slot.get(channel.recv()))))
            slots.rotate(-1)
