"""Numbers messages and pairs responses with their requests.

A response has the protocol id and the serial number of its request (source: the official SDK).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.framing.header import HEADER, MAGIC, PROTO_ID, SERIAL_NO

if TYPE_CHECKING:
    from collections import Counter

    from decoder.conversation.half_connection import HalfConnection
    from decoder.conversation.summary import Results
    from decoder.limits import Limits
    from decoder.message import Message

__all__ = ["Pairing"]

_MAX_LOOKED_AT = 64
"""Pending blocks that are searched for a request."""


class Pairing:
    """Emits the messages of one connection."""

    __slots__ = ("_early", "_limits", "_requests", "_results", "emitted")

    def __init__(self, results: Results, limits: Limits) -> None:
        self._results = results
        self._limits = limits
        self.emitted = 0
        """Messages of the connection that came out so far."""
        self._requests: dict[tuple[int, int], tuple[int, int]] = {}  # unanswered ones: record number and time
        self._early: dict[tuple[int, int], None] = {}  # responses whose requests did not come out before them

    def emit(self, message: Message, client: HalfConnection) -> None:
        """Numbers a message, pairs a response with its request, and adds it to the results."""
        results = self._results
        message.number = results.messages = results.messages + 1
        message.ordinal = self.emitted = self.emitted + 1
        if message.verdict != "verified":
            results.reasons[message.reason or message.verdict] += 1
            if message.reason == "gap":
                results.gap_hints[message.hint or ""] += 1
        if message.kind != "push":
            key = (message.header[PROTO_ID], message.header[SERIAL_NO])
            if message.kind == "request":
                self._requests[key] = message.number, message.time_ns
                if self._early or len(self._requests) > self._limits.max_pending_requests:
                    self._check_request(message, key)
            else:
                request = self._requests.pop(key, None)
                if request is None:
                    self._note_early(message, key, client)
                else:
                    message.request, request_ns = request
                    if message.time_ns >= request_ns:
                        message.latency_ns = message.time_ns - request_ns
                    else:
                        message.add_note("clock-stepped-back")
        results.items.append(message)

    def _note_early(self, message: Message, key: tuple[int, int], client: HalfConnection) -> None:
        """Remembers a response without request: packets overtook each other, or it is not in the capture."""
        self._early[key] = None
        if len(self._early) > self._limits.max_pending_requests:
            del self._early[next(iter(self._early))]
        if _is_on_its_way(client, *key):
            message.add_note("request-later")

    def _check_request(self, message: Message, key: tuple[int, int]) -> None:
        """Notes that the response of a request came before it; forgets the oldest request if there are too many."""
        if key in self._early:
            del self._early[key]
            message.add_note("request-later")
        if len(self._requests) > self._limits.max_pending_requests:
            del self._requests[next(iter(self._requests))]
            self._results.limits_hit.add("too many requests without an answer at once; the oldest were forgotten")

    def note_later_request(self, message: Message, to_come: Counter[tuple[int, int]]) -> None:
        """Notes on a held response that its request is still `to_come` out of the hold queue."""
        key = (message.header[PROTO_ID], message.header[SERIAL_NO])
        if message.kind == "request":
            to_come[key] -= 1
        elif message.kind == "response" and key not in self._requests and to_come[key] > 0:
            message.add_note("request-later")


def _is_on_its_way(client: HalfConnection, proto_id: int, serial_no: int) -> bool:
    """Returns True if the beginning of this request is there, but it did not come out yet."""
    header = client.framer.unfinished_header
    if header is not None and (header[PROTO_ID], header[SERIAL_NO]) == (proto_id, serial_no):
        return True
    if serial_no >> 32:  # a section of the WebSocket port has 64 bits
        return False
    start = HEADER.pack(MAGIC, proto_id, 0, 0, serial_no, 0, b"", b"")
    # Format and version (bytes 6 and 7) may differ.
    return any(
        block.data.startswith(start[:6]) and block.data.startswith(start[8:12], 8)
        for block in client.stream.pending[:_MAX_LOOKED_AT]
    )
