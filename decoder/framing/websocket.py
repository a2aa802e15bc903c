"""Cuts the WebSocket messages (RFC 6455, RFC 7692) out of the ordered bytes of one direction.

The library `websockets` parses and inflates frames.  Added here is what captures need: the packets that brought a
message, streams that begin later than the connection, and holes.  After these, `WebSocketReader` finds the next frame
whose payload begins as a message of this protocol does.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from decoder.framing.header import HEADER_LEN, begins_with_header
from decoder.framing.websocket_header import SIGN

if TYPE_CHECKING:
    from collections.abc import Generator

    from websockets.extensions import Extension
    from websockets.frames import Frame

    from decoder.vocabulary import Arrival, GapReason

__all__ = ["Skipped", "Upgrade", "WebSocketMessage", "WebSocketReader", "begins_upgrade", "find_frame"]

_MAX_HEAD = 16 * 1024
"""Bytes of an HTTP head that are kept while its end is looked for; the SDK's has 200."""
_MAX_FRAME_HEAD = 14
"""Bytes of the longest frame header: 2, a 64-bit length, a mask."""
_MAX_WINDOW = 15
"""Window bits that inflate whatever the ends agreed on: a larger window reads what a smaller one wrote."""
_FRAME_STARTS = re.compile(rb"[\x02\x42\x82\xc2]")
"""First byte of a binary message: opcode 2, last fragment or not, compressed or not."""
_HEAD_END = b"\r\n\r\n"
_PREFIX = HEADER_LEN  # bytes of a payload that show whether it is of this protocol


class WebSocketMessage(NamedTuple):
    """One WebSocket message, unmasked and inflated."""

    data: bytes
    is_text: bool
    packets: tuple[int, ...]
    time_ns: int
    """Capture time of the packet that completed it."""


class Skipped(NamedTuple):
    """Bytes of the stream that came out in no message."""

    size: int
    reason: GapReason
    arrival: Arrival


class Upgrade:
    """Holds what both directions of a WebSocket connection share: how the gateway answered the upgrade."""

    __slots__ = ("answered", "client_takeover", "deflate", "server_takeover")

    def __init__(self) -> None:
        self.answered = False
        """True once the answer was seen, or is known to be missing: from then on frames can be parsed."""
        self.deflate: bool | None = None
        """True if permessage-deflate was agreed on; None if the answer is not in the capture."""
        self.client_takeover = self.server_takeover = True
        """False if that end resets its compression with each message."""

    def read_answer(self, head: bytes) -> None:
        """Reads the HTTP head of the gateway's answer."""
        from websockets.exceptions import InvalidHeaderFormat
        from websockets.headers import parse_extension

        self.answered, self.deflate = True, False
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() != b"sec-websocket-extensions":
                continue
            try:
                agreed = parse_extension(value.decode("latin-1").strip())
            except InvalidHeaderFormat:
                continue
            for extension, parameters in agreed:
                if extension == "permessage-deflate":
                    names = {parameter for parameter, _ in parameters}
                    self.deflate = True
                    self.client_takeover = "client_no_context_takeover" not in names
                    self.server_takeover = "server_no_context_takeover" not in names

    def extensions(self, from_client: bool, *, fresh: bool) -> list[Extension]:
        """Returns the extensions to read frames of one direction with.

        `fresh` is true where the start of the stream is not known: then only messages that were compressed on their
        own can be read.
        """
        if self.deflate is False:
            return []
        from websockets.extensions.permessage_deflate import PerMessageDeflate

        takeover = self.client_takeover if from_client else self.server_takeover
        return [PerMessageDeflate(not takeover or fresh, True, _MAX_WINDOW, _MAX_WINDOW)]


class WebSocketReader:
    """Reads one direction of a WebSocket connection.

    :param from_client: true for the direction from the client, whose frames are masked
    :param upgrade: shared with the other direction
    :param max_message: bytes of the largest message; longer ones are skipped
    :param at_start: true if the first byte fed is the very first of the stream
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
        self._scanned = 0  # bytes of the buffer in which no frame begins
        self._extensions: list[Extension] | None = None
        self._parser: Generator[None, None, Frame] | None = None
        self._at = 0  # offset of the frame that is being parsed
        self._parts: list[bytes] = []
        self._spans: list[tuple[int, int]] = []  # offsets of the frames of the message
        self._size = 0
        self._is_text = False
        self._skipped = 0

    @property
    def buffered(self) -> int:
        """Bytes held."""
        return len(self._stream.buffer) + self._size

    def feed(self, data: bytes, arrival: Arrival) -> list[WebSocketMessage | Skipped]:
        """Takes the next bytes of the stream and returns what they complete."""
        self._stream.feed_data(data)
        self._fed += len(data)
        self._origins.append((self._fed, arrival))
        return self.resume(arrival)

    def resume(self, arrival: Arrival) -> list[WebSocketMessage | Skipped]:
        """Goes on after the other direction has shown how the upgrade was answered."""
        found: list[WebSocketMessage | Skipped] = []
        if self._in_head and not self._read_head():
            return found
        if not self._upgrade.answered:
            if not self._from_client or self.buffered < _MAX_HEAD:
                return found
            self._upgrade.answered = True  # the answer is not in the capture
        while self._step(found, arrival):
            pass
        return found

    def hole(self, size: int, reason: GapReason, arrival: Arrival) -> list[WebSocketMessage | Skipped]:
        """Notes that `size` bytes are missing here; the message around them is lost."""
        found = self._drop(arrival)
        found.append(Skipped(size, reason, arrival))
        self._fed += size
        self._at = self._fed
        self._in_head = False
        self._upgrade.answered = True
        return found

    def finish(self, arrival: Arrival) -> list[WebSocketMessage | Skipped]:
        """Ends the stream: what is not a whole message is skipped."""
        self._upgrade.answered = True
        found = self.resume(arrival)
        return found + self._drop(arrival)

    # Parsing

    def _read_head(self) -> bool:
        buffer = self._stream.buffer
        end = buffer.find(_HEAD_END)
        if end < 0:
            if len(buffer) > _MAX_HEAD:
                self._in_head, self._searching = False, True
                return True
            return False
        if not self._from_client:
            self._upgrade.read_answer(bytes(buffer[:end]))
        del buffer[: end + len(_HEAD_END)]
        self._at = self._fed - len(buffer)
        self._in_head = False
        return True

    def _step(self, found: list[WebSocketMessage | Skipped], arrival: Arrival) -> bool:
        """Parses one frame, or looks for one; false if that takes more bytes."""
        from websockets.exceptions import PayloadTooBig, ProtocolError

        if self._searching and not self._search(found, arrival):
            return False
        if self._parser is None:
            self._parser = self._parse()
        try:
            next(self._parser)
            return False
        except StopIteration as done:
            self._parser = None
            self._add(done.value, found)
            return True
        except (ProtocolError, PayloadTooBig, UnicodeDecodeError):
            self._lose_framing()
            return True

    def _parse(self) -> Generator[None, None, Frame]:
        from websockets.frames import Frame

        if self._extensions is None:
            self._extensions = self._upgrade.extensions(self._from_client, fresh=self._first_search)
        return Frame.parse(
            self._stream.read_exact, mask=self._from_client, max_size=self._max_message, extensions=self._extensions
        )

    def _add(self, frame: Frame, found: list[WebSocketMessage | Skipped]) -> None:
        from websockets.frames import CTRL_OPCODES, Opcode

        start, self._at = self._at, self._fed - len(self._stream.buffer)
        if frame.opcode in CTRL_OPCODES:
            self._forget_origins(self._spans[0][0] if self._spans else self._at)
            return
        if frame.opcode is not Opcode.CONT:
            self._start_message(found, is_text=frame.opcode is Opcode.TEXT)
        elif not self._spans:  # the middle of a message whose start is missing
            self._skipped += self._at - start
            return
        self._spans.append((start, self._at))
        self._size += len(frame.data)
        if self._size > self._max_message:
            self._skipped += sum(end - begin for begin, end in self._spans)
            self._start_message(found, is_text=False)
            return
        self._parts.append(bytes(frame.data))
        if frame.fin:
            packets, time_ns = self._origin()
            found.append(WebSocketMessage(b"".join(self._parts), self._is_text, packets, time_ns))
            self._spans.clear()
            self._start_message(found, is_text=False)
            self._forget_origins(self._at)

    def _start_message(self, found: list[WebSocketMessage | Skipped], *, is_text: bool) -> None:
        self._skipped += sum(end - begin for begin, end in self._spans)
        self._parts, self._spans, self._size, self._is_text = [], [], 0, is_text

    def _origin(self) -> tuple[tuple[int, ...], int]:
        """Returns the packets of the message that is complete, and the time of the last one."""
        packets: dict[int, None] = {}
        time_ns = begin = 0
        for end, arrival in self._origins:
            if any(begin < stop and start < end for start, stop in self._spans):
                packets |= dict.fromkeys(arrival.packets)
                time_ns = arrival.time_ns
            begin = end
        return tuple(packets), time_ns

    def _forget_origins(self, offset: int) -> None:
        while len(self._origins) > 1 and self._origins[0][0] <= offset:
            self._origins.popleft()

    # Losing and finding the frames

    def _lose_framing(self) -> None:
        """Goes on by searching; what was consumed of the bad frame is skipped."""
        consumed = self._fed - len(self._stream.buffer)
        self._skipped += consumed - self._at + sum(end - begin for begin, end in self._spans)
        self._parts, self._spans, self._size = [], [], 0
        self._parser = None
        self._searching, self._scanned = True, 0

    def _drop(self, arrival: Arrival) -> list[WebSocketMessage | Skipped]:
        """Skips what is buffered, and searches from here."""
        self._lose_framing()
        self._skipped += len(self._stream.buffer)
        self._stream.buffer.clear()
        self._at = self._fed
        self._extensions = None if self._upgrade.deflate else self._extensions
        self._origins.clear()
        found: list[WebSocketMessage | Skipped] = []
        self._report_skipped(found, arrival)
        return found

    def _report_skipped(self, found: list[WebSocketMessage | Skipped], arrival: Arrival) -> None:
        if self._skipped:
            found.append(Skipped(self._skipped, "mid-stream" if self._first_search else "resync", arrival))
            self._skipped = 0

    def _search(self, found: list[WebSocketMessage | Skipped], arrival: Arrival) -> bool:
        """Skips to the next frame of this protocol; false if there is none in the buffer."""
        buffer = self._stream.buffer
        at, certain = find_frame(buffer, self._scanned, masked=self._from_client)
        if at > 0:
            del buffer[:at]
            self._skipped += at
            self._at += at
            self._forget_origins(self._at)
        self._scanned = 0
        if not certain:
            return False
        self._report_skipped(found, arrival)
        self._searching = self._first_search = False
        self._at = self._fed - len(buffer)
        return True


def begins_upgrade(data: bytes) -> bool:
    """Returns true if `data` is the start of an HTTP upgrade, request or answer."""
    return data.startswith((b"GET ", b"HTTP/1.1 101"))


def find_frame(buffer: bytes | bytearray, start: int, *, masked: bool) -> tuple[int, bool]:
    """Finds the first frame at or after `start` whose payload begins a message of this protocol.

    Returns its offset and true; or, if there is none, the offset from which on more bytes may make one, and false.
    """
    end = len(buffer)
    for match in _FRAME_STARTS.finditer(buffer, start):
        at = match.start()
        prefix = _payload_start(buffer, at, masked)
        if prefix is None:
            if end - at < _MAX_FRAME_HEAD + _PREFIX:
                return at, False
            continue
        if prefix.startswith(SIGN) or (len(prefix) >= _PREFIX and begins_with_header(prefix, 1 << 31)):
            return at, True
        if len(prefix) < _PREFIX and (SIGN.startswith(prefix) or prefix.startswith(b"FT")):
            return at, False
    return end, False


def _payload_start(buffer: bytes | bytearray, at: int, masked: bool) -> bytes | None:
    """Returns the first bytes of the payload of a frame at `at`, unmasked and inflated; None if there is no frame."""
    if at + 2 > len(buffer) or bool(buffer[at + 1] & 0x80) != masked:
        return None
    length = buffer[at + 1] & 0x7F
    head = at + (2 if length < 126 else 4 if length == 126 else 10)
    if length == 127 and int.from_bytes(buffer[at + 2 : at + 10], "big") >> 40:
        return None  # longer than any message
    mask = bytes(buffer[head : head + 4]) if masked else b""
    head += len(mask)
    data = bytes(buffer[head : head + _PREFIX])
    if not data or (masked and len(mask) < 4):
        return None
    if masked:
        data = bytes(byte ^ mask[index & 3] for index, byte in enumerate(data))
    return _inflated(data) if buffer[at] & 0x40 else data


def _inflated(data: bytes) -> bytes | None:
    import zlib

    try:
        return zlib.decompressobj(wbits=-_MAX_WINDOW).decompress(data, _PREFIX)
    except zlib.error:
        return None
