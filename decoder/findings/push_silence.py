"""Notices when the quote pushes of a connection stop, and what stopped them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from decoder.findings.context import SECOND, duration_text
from decoder.formatting.times import rfc3339

if TYPE_CHECKING:
    from decoder.findings.context import Context
    from decoder.message import Message

__all__ = ["PushSilence"]

_MANY = 3
"""Pushes after which a silence means something."""
_WITH_CAUSE_NS = 60 * SECOND
"""Least silence that is reported when the gateway reported a cause."""
_WITHOUT_CAUSE_NS = 600 * SECOND
"""Least silence without a known cause, at the end of what was seen; a lunch break or an illiquid stock resumes."""
_FACTOR = 20
"""Such a silence is also so many times as long as the longest before it."""
_NEAR_NS = 60 * SECOND
"""Longest time from the announcement of a cause to the last push."""
_MAX_EVENTS = 8


class _Event(NamedTuple):
    time_ns: int
    number: int
    text: str
    lost: bool
    """True if it can end pushes, False if it says that all is well again."""


class PushSilence:
    """Follows the quote pushes of one connection."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._count = 0
        self._last_ns = 0
        self._last_number = 0
        self._longest_ns = 0
        self._events: deque[_Event] = deque(maxlen=_MAX_EVENTS)
        self.reported = False
        """True once a silence was reported."""

    def push(self, message: Message) -> None:
        """Takes a quote push."""
        time_ns = message.time_ns
        if self._count:
            silence_ns = time_ns - self._last_ns
            if silence_ns > self._longest_ns:
                if silence_ns >= _WITH_CAUSE_NS:
                    self._judge(time_ns, resumed=message)
                self._longest_ns = silence_ns
        self._count += 1
        self._last_ns = time_ns
        self._last_number = message.number

    def event(self, message: Message, text: str, *, lost: bool) -> None:
        """Takes what the gateway told about its links and rights."""
        self._events.append(_Event(message.time_ns, message.number, text, lost))

    def forget(self) -> None:
        """Takes the end of all subscriptions: no push is expected any more."""
        self._count = 0
        self._longest_ns = 0

    def end(self, time_ns: int) -> None:
        """Takes the end of the connection, or of the capture."""
        self._judge(time_ns, resumed=None)

    def _judge(self, time_ns: int, resumed: Message | None) -> None:
        silence_ns = time_ns - self._last_ns
        if self._count < _MANY or silence_ns < _WITH_CAUSE_NS:
            return
        causes = [each for each in self._events if self._last_ns - _NEAR_NS <= each.time_ns <= time_ns]
        lost = [each for each in causes if each.lost]
        enough = silence_ns >= _WITHOUT_CAUSE_NS and silence_ns > _FACTOR * self._longest_ns and resumed is None
        if not lost and not enough:
            return
        self.reported = True
        until = f"until message {resumed.number}" if resumed is not None else "until the end of what was recorded"
        text = f"no quote push for {duration_text(silence_ns)} after message {self._last_number}, {until}"
        if lost:
            told = ", ".join(f"{each.text} (message {each.number})" for each in causes[-4:])
            text += (
                f"; the gateway had said: {told}; subscribe again once it is well, and check for silence in the program"
            )
        else:
            text += ": the market closed, another terminal took the quote right, or OpenD lost its subscriptions"
        severity = "warning" if lost else "note"
        self._context.report_at(
            severity,  # type: ignore[arg-type]
            "pushes-stopped",
            self._last_number,
            self._last_ns,
            f"{text} (last push {rfc3339(self._last_ns)[:19]}Z)",
        )
