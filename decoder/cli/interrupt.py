"""Handles Ctrl-C: the first press ends a run early with what is complete, the second ends the program."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decoder.capture.reader import RawPacket

__all__ = ["Interrupt"]


class Interrupt:
    """Turns SIGINT into a flag, so that every batch is printed whole; a wait for input is broken off."""

    def __init__(self) -> None:
        self.seen = False
        self._waiting = False
        self._previous: object = None

    def __enter__(self) -> Interrupt:
        try:
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._previous = signal.signal(signal.SIGINT, self._handle)
        except ValueError:
            pass  # not in the main thread: only that may handle signals
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        again, self.seen = self.seen, True
        if again or self._waiting:
            raise KeyboardInterrupt

    def next_of(self, batches: Iterator[list[RawPacket]]) -> list[RawPacket] | None:
        """Returns the next batch, or None at the end and once SIGINT was seen."""
        try:
            self._waiting = True
            batch = None if self.seen else next(batches, None)
            self._waiting = False
        except KeyboardInterrupt:
            self._waiting = False
            return None
        return batch
