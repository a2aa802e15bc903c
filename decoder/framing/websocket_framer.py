"""Cuts ordered bytes of one direction of a WebSocket connection into frames, with the methods of `Framer`.

A WebSocket message holds one of two things (source: the official JavaScript SDK; recorded traffic):

* the official framing: a big-endian header of 20 or 44 bytes without SHA-1, and a Protobuf body;
* one or more messages as over TCP, with the 44-byte header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.framing.header import BODY_LEN, HEADER, HEADER_LEN, MAGIC, RESERVED, Header, begins_with_header
from decoder.framing.resync import FIRST_BYTES
from decoder.framing.websocket_frames import begins_with_frame
from decoder.framing.websocket_header import SIGN, read_header
from decoder.framing.websocket_reader import Skipped, WebSocketMessage, WebSocketReader
from decoder.vocabulary import Arrival

if TYPE_CHECKING:
    from decoder.framing.handler import FrameHandler
    from decoder.framing.websocket_reader import Found
    from decoder.framing.websocket_upgrade import Upgrade
    from decoder.vocabulary import GapReason

__all__ = ["WebSocketFramer", "begins_websocket"]

_HTTP = (b"GET ", b"HTTP/1.1 ")
"""Starts of an upgrade to WebSocket and of its answer (RFC 6455, section 4)."""
_NO_DIGEST = b""
"""In place of the SHA-1 that the official framing does not have."""


class WebSocketFramer:
    """Cuts the frames of one direction.

    :raises ImportError: the library `websockets` is not installed
    """

    __slots__ = (
        "_early_gaps",
        "_from_client",
        "_handler",
        "_max_body",
        "_offset",
        "_reader",
        "_told",
        "_upgrade",
        "buffered",
        "first_bytes",
        "first_frame",
    )

    at_boundary = False
    """Never true: the fast path is for frames that lie bare in the stream."""
    waiting_for_ack: int | None = None
    """Never set: there is no digest that would tell one version of the bytes from another."""
    unfinished_header: Header | None = None
    """Never set: it is known only with the whole WebSocket message."""
    overhead = 0
    """Counted in `buffered`."""

    def __init__(
        self, handler: FrameHandler, upgrade: Upgrade, max_body: int, *, from_client: bool, at_start: bool
    ) -> None:
        self._handler = handler
        self._upgrade = upgrade
        self._max_body = max_body
        self._from_client = from_client
        self._reader = WebSocketReader(from_client, upgrade, max_body, at_start=at_start)
        self._offset = 0
        self._told = from_client  # the other direction knows that the upgrade was answered
        self._early_gaps: dict[GapReason, tuple[int, Arrival]] = {}  # reported once there is a message
        self.buffered = 0
        """Memory in use."""
        self.first_frame: int | None = None
        """Stream offset of the bytes that completed the first message."""
        self.first_bytes = b""
        """First bytes of a stream in which no message was found; empty where one was."""

    def compare(self, start: int, data: bytes, arrival: Arrival) -> None:
        """Does nothing: nothing tells which version of the bytes is right."""

    def feed(self, data: bytes, arrival: Arrival, offset: int) -> None:
        """Takes the next bytes of the stream, which stand at `offset` in it."""
        self._offset = offset
        if self.first_frame is None and len(self.first_bytes) < FIRST_BYTES:
            self.first_bytes = (self.first_bytes + data)[:FIRST_BYTES]
        self._handle(self._reader.feed(data, arrival))

    def handle_hole(self, offset: int, size: int, reason: GapReason, arrival: Arrival | None = None) -> None:
        """Takes note that the `size` bytes of the stream at `offset` are missing."""
        self._offset = offset
        self._handle(self._reader.hole(size, reason, arrival or self._handler.now))

    def finish(self) -> None:
        """Ends the stream: emits what can be emitted."""
        self._handle(self._reader.finish(self._handler.now))

    def drop_buffered(self) -> None:
        """Frees the buffer, at the cost of the message in it."""
        self._handle(self._reader.drop(self._handler.now, "limit"))

    def report_silent(self) -> None:
        """Reports, after the end, a stream in which no message was found."""
        early, self._early_gaps = self._early_gaps, {}
        for reason, (size, arrival) in early.items():
            self._handler.handle_gap(size, reason, arrival)

    def resume(self, *, give_up: bool) -> None:
        """Goes on: the other direction may have shown how the upgrade was answered."""
        self._handle(self._reader.resume(self._handler.now))

    # What the reader found

    def _handle(self, found: Found) -> None:
        self.buffered = self._reader.buffered
        if not self._told and self._upgrade.answered:
            self._told = True
            self._handler.handle_upgraded()
        for item in found:
            if isinstance(item, Skipped):
                self._handle_gap(*item)
            elif item.is_text:
                self._upgrade.texts += 1
            else:
                self._handle_message(item)

    def _handle_gap(self, size: int, reason: GapReason, arrival: Arrival) -> None:
        if self.first_frame is not None:
            self._handler.handle_gap(size, reason, arrival)
            return
        before, first_arrival = self._early_gaps.get(reason, (0, arrival))
        self._early_gaps[reason] = before + size, first_arrival

    def _found_message(self) -> None:
        if self.first_frame is None:
            self.first_frame, self.first_bytes = self._offset, b""
            self._upgrade.accepted = True
            self.report_silent()

    def _handle_message(self, message: WebSocketMessage) -> None:
        data, arrival = message.data, Arrival(message.packets, message.time_ns)
        if data.startswith(SIGN):
            self._handle_official(message, arrival)
        elif begins_with_header(data, self._max_body):
            self._found_message()
            self._handle_framed(message, arrival)
        else:
            self._handle_gap(message.size, "resync", arrival)

    def _handle_official(self, message: WebSocketMessage, arrival: Arrival) -> None:
        found = read_header(message.data, self._from_client)
        if found is None:
            self._handle_gap(message.size, "resync", arrival)
            return
        self._found_message()
        body = message.data[found.size :]
        length = max(0, message.length - found.size)
        header = MAGIC, found.cmd, 0, 0, found.section, length, _NO_DIGEST, RESERVED
        if message.reason is not None:
            self._handler.handle_incomplete(header, arrival, message.reason)
        else:
            self._handler.handle_undigested(header, body, arrival, found.told_error)

    def _handle_framed(self, message: WebSocketMessage, arrival: Arrival) -> None:
        data, at = message.data, 0
        while begins_with_header(data[at : at + HEADER_LEN], self._max_body):
            header: Header = HEADER.unpack_from(data, at)
            body = data[at + HEADER_LEN : at + HEADER_LEN + header[BODY_LEN]]
            at += HEADER_LEN + header[BODY_LEN]
            if message.reason is not None and at > len(data):
                self._handler.handle_incomplete(header, arrival, message.reason)
            elif at > len(data):
                self._handler.handle_cut_short(header, body, arrival)
            else:
                opened = self._handler.handle_frame(header, body, arrival, self._offset)
                if opened is not None:
                    self._handler.handle_unproven(header, body, opened, arrival, self._offset)
        if at < len(data):
            self._handle_gap(len(data) - at, "resync", arrival)


def begins_websocket(data: bytes, *, at_start: bool) -> bool:
    """Returns True if `data` begins as a WebSocket stream does.

    At its very start that is HTTP, anywhere else a frame with a message of this protocol.
    """
    if at_start and any(data[: len(start)] == start[: len(data)] for start in _HTTP):
        return bool(data)
    return begins_with_frame(data) is not None
