"""Cuts the WebSocket messages (RFC 6455, RFC 7692) out of the ordered bytes of one direction.

The library `websockets` unmasks and inflates frames.  Added here is what captures need: the packets that brought a
message, streams that begin later than the connection, and holes.  After these, `WebSocketReader` finds the next frame
whose payload begins as a message of this protocol does.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder.framing.websocket_frames import ABSURD, FrameHead, begins_message, find_frame, frame_head, payload_start
from decoder.framing.websocket_parser import FrameParser
from decoder.framing.websocket_upgrade import MAX_HEAD, Upgrade
from decoder.tcp.reassembly import BLOCK_COST

if TYPE_CHECKING:
    from websockets.frames import Frame

    from decoder.vocabulary import Arrival, GapReason

__all__ = ["Found", "Skipped", "WebSocketMessage", "WebSocketReader"]

_HEAD_END = b"\r\n\r\n"
_SPAN_COST = 128
"""Bytes of memory that a fragment takes beside its data: empty ones must count, too."""


class WebSocketMessage(NamedTuple):
    """One WebSocket message, unmasked and inflated."""

    data: bytes
    is_text: bool
    packets: tuple[int, ...]
    time_ns: int
    """Capture time of the packet that completed it."""
    size: int
    """Bytes of its frames that were captured."""
    length: int
    """Bytes of the whole message, as far as that is known."""
    reason: str | None = None
    """Reason why only the beginning of the message is in `data`: ``gap``, ``truncated``, ``unfinished``; else None."""


class Skipped(NamedTuple):
    """Bytes of the stream that came out in no message."""

    size: int
    reason: GapReason
    arrival: Arrival


Found = list[WebSocketMessage | Skipped]


class WebSocketReader:
    """Reads one direction of a WebSocket connection.

    :param from_client: true for the direction from the client, whose frames are masked
    :param upgrade: shared with the other direction
    :param max_message: bytes of the largest message; longer ones are skipped
    :param at_start: true if the first byte fed is the very first of the stream
    :raises ImportError: the library `websockets` is not installed
    """

    def __init__(self, from_client: bool, upgrade: Upgrade, max_message: int, *, at_start: bool) -> None:
        from websockets.streams import StreamReader

        self._from_client = from_client
        self._upgrade = upgrade
        self._max_message = max_message
        self._stream = StreamReader()
        self._fed = 0
        self._origins: deque[tuple[int, Arrival]] = deque()  # offset behind the bytes of each arrival
        self._in_head = at_start
        if not at_start:
            upgrade.answered = True  # before the capture
        self._searching = not at_start
        self._first_search = not at_start
        self._skipped = 0
        self._compressed = False  # True once there was a compressed message
        self._window_lost = False  # compressed messages may refer to bytes that are missing
        self._parser = FrameParser(upgrade, max_message, from_client=from_client)
        self._broken: WebSocketMessage | None = None  # a message with a hole in it, until its last byte
        self._broken_spans: list[tuple[int, int]] = []
        self._pass_over = 0  # bytes until then, or until the end of a frame that is too long
        self._forget()

    @property
    def buffered(self) -> int:
        """Memory in use for what is held."""
        held = len(self._stream.buffer) + self._size + _SPAN_COST * len(self._spans) + BLOCK_COST * len(self._origins)
        return held + self._parser.buffered

    def feed(self, data: bytes, arrival: Arrival) -> Found:
        """Takes the next bytes of the stream and returns what they complete."""
        self._stream.feed_data(data)
        self._fed += len(data)
        self._origins.append((self._fed, arrival))
        return self.resume(arrival)

    def resume(self, arrival: Arrival) -> Found:
        """Goes on after the other direction has shown how the upgrade was answered."""
        found: Found = []
        if self._in_head and not self._read_head():
            return found
        if not self._upgrade.answered:
            if not self._from_client or len(self._stream.buffer) < MAX_HEAD:
                return found
            self._upgrade.answered = True  # the answer is not in the capture
        while self._step(found, arrival):
            pass
        return found

    def hole(self, size: int, reason: GapReason, arrival: Arrival) -> Found:
        """Notes that `size` bytes are missing here; the message around them cannot be whole."""
        found: Found = []
        buffer = self._stream.buffer
        why = "truncated" if reason == "snaplen" else "gap"
        beyond = size  # bytes of the hole behind the frame that it begins in
        if self._pass_over:
            beyond -= self._pass_over
            if self._broken is not None and why == "gap":
                self._broken = self._broken._replace(reason=why)
        elif not (self._in_head or self._searching):
            head = frame_head(buffer, 0)
            if head is not None:
                beyond -= head.total - len(buffer)
            self._break(head, why)
        else:
            self._skipped += len(buffer)
        self._in_head = False
        self._upgrade.answered = True
        buffer.clear()
        self._pass_over = max(0, -beyond)
        self._parser.reset()
        self._window_lost = self._compressed and self._upgrade.keeps_window(self._from_client)
        self._searching = self._searching or beyond > 0
        self._fed += size
        found.append(Skipped(size, reason, arrival))
        if not self._pass_over:
            self._end_broken(found)
            self._report_skipped(found, arrival)
        return found

    def finish(self, arrival: Arrival) -> Found:
        """Ends the stream: what is not a whole message is skipped."""
        self._upgrade.answered = True
        found = self.resume(arrival)
        if not (self._in_head or self._searching or self._pass_over):
            self._break(frame_head(self._stream.buffer, 0), "unfinished")
            self._stream.buffer.clear()
        return found + self.drop(arrival)

    def drop(self, arrival: Arrival, reason: GapReason | None = None) -> Found:
        """Frees what is buffered, and searches from here; `reason` says why, unless the stream ends."""
        found: Found = []
        self._end_broken(found)
        self._drop_message()
        if not self._in_head:
            self._skipped += len(self._stream.buffer)
        self._stream.buffer.clear()
        self._in_head, self._searching, self._pass_over = False, True, 0
        self._parser.reset()
        self._upgrade.answered = True
        self._origins.clear()
        self._report_skipped(found, arrival, reason)
        return found

    # The frames, one after another

    @property
    def _at(self) -> int:
        """Offset of the first byte in the buffer."""
        return self._fed - len(self._stream.buffer)

    def _read_head(self) -> bool:
        """Reads the HTTP head at the start; returns False if that takes more bytes."""
        buffer = self._stream.buffer
        end = buffer.find(_HEAD_END)
        if end < 0:
            if len(buffer) > MAX_HEAD:
                self._in_head, self._searching = False, True
                return True
            return False
        if not self._from_client:
            self._upgrade.read_answer(bytes(buffer[:end]))
            self._searching = not self._upgrade.accepted
        del buffer[: end + len(_HEAD_END)]
        self._forget_origins(self._at)
        self._in_head = False
        return True

    def _step(self, found: Found, arrival: Arrival) -> bool:
        """Handles one frame, or looks for one; returns False if that takes more bytes."""
        from websockets.exceptions import PayloadTooBig, ProtocolError

        buffer = self._stream.buffer
        if self._pass_over:
            passed = min(self._pass_over, len(buffer))
            del buffer[:passed]
            self._pass_over -= passed
            if self._broken is None:
                self._skipped += passed
            else:
                self._broken = self._broken._replace(size=self._broken.size + passed)
            if self._pass_over:
                return False
            self._end_broken(found)
            self._report_skipped(found, arrival)
        if self._searching and not self._search(found, arrival):
            return False
        head = frame_head(buffer, 0)
        if head is None:
            return False
        if head.length >= ABSURD:
            self._drop_message()
            self._skipped += head.size
            del buffer[: head.size]
            self._searching = True
            return True
        if head.length > self._max_message:
            self._drop_message()
            self._pass_over = head.total
            return True
        if len(buffer) < head.total:
            return False
        if self._spans and 0 < head.first & 15 < 8:
            self._parser.reset()  # it knows that fragments are to come, which are not
        start = self._at
        self._compressed |= bool(head.first & 0x40)
        try:
            frame = self._parser.parse(self._stream, head)
        except (ProtocolError, PayloadTooBig):
            self._parser.reset()
            self._drop_message()
            self._skipped += self._at - start
            self._searching = self._at - start < head.total  # else only the payload could not be inflated
            return True
        self._add(frame, start, found, arrival)
        return True

    def _add(self, frame: Frame, start: int, found: Found, arrival: Arrival) -> None:
        from websockets.frames import CTRL_OPCODES, Opcode

        if frame.opcode in CTRL_OPCODES:
            if frame.opcode is Opcode.CLOSE and self._upgrade.closed_by is None:
                self._upgrade.closed_by = "client" if self._from_client else "server"
            self._forget_origins(self._spans[0][0] if self._spans else self._at)
            return
        if frame.opcode is not Opcode.CONT:
            self._drop_message()
            self._is_text = frame.opcode is Opcode.TEXT
        elif not self._spans:  # the middle of a message whose start is missing
            self._skipped += self._at - start
            self._report_skipped(found, arrival)
            return
        self._cover(start, self._at)
        self._size += len(frame.data)
        if self._size > self._max_message:
            self._drop_message()
            self._report_skipped(found, arrival)
            return
        if frame.data:
            self._parts.append(bytes(frame.data))
        if frame.fin:
            self._report_skipped(found, arrival)
            found.append(self._message(b"".join(self._parts), self._size, None))
            self._forget()
            self._forget_origins(self._at)

    # The message whose fragments are collected

    def _forget(self) -> None:
        self._parts: list[bytes] = []
        self._spans: list[tuple[int, int]] = []  # offsets of its frames, neighbours as one
        self._size = 0
        self._is_text = False

    def _cover(self, start: int, end: int) -> None:
        if self._spans and self._spans[-1][1] == start:
            start = self._spans.pop()[0]
        self._spans.append((start, end))

    def _drop_message(self) -> None:
        """Skips the fragments of a message that will not be whole."""
        self._skipped += sum(end - begin for begin, end in self._spans)
        self._forget()

    def _message(self, data: bytes, length: int, reason: str | None) -> WebSocketMessage:
        packets, time_ns = self._origin()
        size = sum(end - begin for begin, end in self._spans)
        return WebSocketMessage(data, self._is_text, packets, time_ns, size, length, reason)

    def _origin(self) -> tuple[tuple[int, ...], int]:
        """Returns the packets of the message, and the time of the last one."""
        packets: dict[int, None] = {}
        time_ns = begin = index = 0
        spans = self._spans
        for end, arrival in self._origins:
            while index < len(spans) and spans[index][1] <= begin:
                index += 1
            if index == len(spans):
                break
            if spans[index][0] < end:
                packets |= dict.fromkeys(arrival.packets)
                time_ns = arrival.time_ns
            begin = end
        return tuple(packets), time_ns

    def _forget_origins(self, offset: int) -> None:
        while len(self._origins) > 1 and self._origins[0][0] <= offset:
            self._origins.popleft()

    # A message that is not whole

    def _break(self, head: FrameHead | None, reason: str) -> None:
        """Keeps the beginning of the message that the bytes in the buffer belong to, if that shows what it is."""
        buffer = self._stream.buffer
        is_data = head is not None and head.first & 15 < 8
        if self._spans:
            data, length = b"".join(self._parts), 0
        elif head is not None and is_data:
            is_plain = head.first & 0xC0 == 0x80  # neither fragmented nor compressed
            data, length = payload_start(buffer, 0, head) or b"", head.length if is_plain else 0
        else:
            data = b""
        if not begins_message(data, None):
            self._drop_message()
            self._skipped += len(buffer)
            return
        if is_data:
            self._cover(self._at, self._fed)
        spans = self._spans
        size = sum(end - begin for begin, end in spans)
        self._broken = WebSocketMessage(data, False, (), 0, size, length or len(data), reason)
        self._forget()
        self._broken_spans = spans

    def _end_broken(self, found: Found) -> None:
        """Emits the message with a hole; what came since belongs to it."""
        broken, self._broken = self._broken, None
        if broken is None:
            return
        self._spans, self._broken_spans = [*self._broken_spans[:-1], (self._broken_spans[-1][0], self._at)], []
        packets, time_ns = self._origin()
        found.append(broken._replace(packets=packets, time_ns=time_ns))
        self._forget()
        self._forget_origins(self._at)

    # To go on elsewhere

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stream": bytes(self._stream.buffer)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from websockets.streams import StreamReader

        self.__dict__.update(state)
        self._stream = StreamReader()
        self._stream.feed_data(state["_stream"])

    # Losing and finding the frames

    def _report_skipped(self, found: Found, arrival: Arrival, reason: GapReason | None = None) -> None:
        if self._skipped:
            reason = reason or ("mid-stream" if self._first_search else "resync")
            if self._window_lost and reason == "resync":
                self._upgrade.not_inflated += self._skipped
            found.append(Skipped(self._skipped, reason, arrival))
            self._skipped = 0

    def _search(self, found: Found, arrival: Arrival) -> bool:
        """Skips to the next frame of this protocol; returns False if there is none in the buffer."""
        buffer = self._stream.buffer
        at, certain = find_frame(buffer, masked=self._from_client)
        if at > 0:
            del buffer[:at]
            self._skipped += at
            self._forget_origins(self._at)
        if not certain:
            return False
        self._report_skipped(found, arrival)
        self._searching = self._first_search = False
        self._upgrade.accepted = True
        return True
