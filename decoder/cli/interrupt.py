"""Handles Ctrl-C: the first press ends a run early with what is complete, the second ends the program."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoder.capture.reader import RawPacket

__all__ = ["Interrupt"]


class Interrupt:
    """Turns SIGINT into a flag, so that every batch is printed whole; a wait for input is broken off.

    With `polled` it does not: `seen` is looked at often, and what is still to come is read before the end.  Then
    SIGTERM counts as well, so that a live capture that is told to end leaves no capture tool behind.
    """

    def __init__(self, *, polled: bool = False) -> None:
        self.seen = False
        self._polled = polled
        self._waiting = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        try:
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._previous[signal.SIGINT] = signal.signal(signal.SIGINT, self._handle)
            if self._polled:
                self._previous[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._handle)
        except ValueError:
            pass  # not in the main thread: only that may handle signals
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        again, self.seen = self.seen, True
        if again or (self._waiting and not self._polled):
            raise KeyboardInterrupt

    def next_of(self, batches: Iterator[list[RawPacket]]) -> list[RawPacket] | None:
        """Returns the next batch, or None at the end and, unless polled, once SIGINT was seen."""
        try:
            self._waiting = True
            batch = None if self.seen and not self._polled else next(batches, None)
            self._waiting = False
        except KeyboardInterrupt:
            self._waiting = False
            return None
        return batch
