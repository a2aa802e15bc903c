"""Numbers messages and pairs responses with their requests.

A response has the protocol id and the serial number of its request (source: the official SDK).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

    from decoder.conversation.half_connection import HalfConnection
    from decoder.conversation.summary import Results
    from decoder.limits import Limits
    from decoder.message import Message

__all__ = ["Pairing"]


class Pairing:
    """Emits the messages of one connection."""

    __slots__ = ("_early", "_limits", "_requests", "_results")

    def __init__(self, results: Results, limits: Limits) -> None:
        self._results = results
        self._limits = limits
        self._requests: dict[tuple[int, int], tuple[int, int]] = {}  # unanswered ones: record number and time
        self._early: dict[tuple[int, int], None] = {}  # responses whose requests did not come out before them

    def emit(self, message: Message, client: HalfConnection) -> None:
        """Numbers a message, pairs a response with its request, and adds it to the results."""
        results = self._results
        message.number = results.messages = results.messages + 1
        if message.verdict != "verified":
            results.reasons[message.reason or message.verdict] += 1
        if message.kind != "push":
            key = (message.header[1], message.header[4])
            if message.kind == "response":
                self._pair(message, key, client)
            else:
                self._remember(message, key)
        results.items.append(message)

    def _pair(self, message: Message, key: tuple[int, int], client: HalfConnection) -> None:
        request = self._requests.pop(key, None)
        if request is None:
            # Packets overtook each other, or the request is not in the capture.
            self._early[key] = None
            if len(self._early) > self._limits.max_pending_requests:
                del self._early[next(iter(self._early))]
            if client.awaits(*key):
                message.add_note("request-later")
            return
        message.request, request_ns = request
        if message.time_ns < request_ns:
            message.add_note("clock-stepped-back")
        else:
            message.latency_ns = message.time_ns - request_ns

    def _remember(self, message: Message, key: tuple[int, int]) -> None:
        if key in self._early:
            del self._early[key]
            message.add_note("request-later")
        self._requests[key] = (message.number, message.time_ns)
        if len(self._requests) > self._limits.max_pending_requests:
            del self._requests[next(iter(self._requests))]
            self._results.limits_hit.add("too many requests without an answer at once; the oldest were forgotten")

    def note_later_request(self, message: Message, to_come: Counter[tuple[int, int]]) -> None:
        """Notes on a held response that its request is still `to_come` out of the hold queue."""
        key = (message.header[1], message.header[4])
        if message.kind == "request":
            to_come[key] -= 1
        elif message.kind == "response" and key not in self._requests and to_come[key] > 0:
            message.add_note("request-later")
