"""One direction of a connection: segments in, messages and gaps out.

A `Side` wires its `Stream` (segments to ordered bytes) to its `Framer` (bytes to frames) and has the
frames opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .framing import Framer
from .header import HEADER, HEADER_LEN, Header
from .message import Flow, Gap
from .reassembly import Hole, Piece, Stream
from .verdict import INIT_CONNECT, Opened

if TYPE_CHECKING:
    from .connection import Connection
    from .limits import Limits
    from .message import Direction

__all__ = ["Segment", "Side"]

Segment = tuple[int, int, int, bytes, int, tuple[int, ...], int]
"""seq, ack, flags, payload, missing bytes, packet numbers, time in ns."""

_WAITING = ("no-key", "wrong-key", "handshake-missing", "sha1-mismatch")
_MAX_OPENING = 64 * 1024  # bytes kept of the message in which a stream was entered
_MAX_EARLY = 256  # packets kept that lie before the start of what is known


class Side:
    """One direction of a connection: the sink of its own framer."""

    __slots__ = (
        "ack",
        "connection",
        "counted",
        "direction",
        "early",
        "first",
        "flow",
        "framer",
        "opening",
        "peer",
        "stray",
        "stream",
        "stuck",
        "stuck_at",
        "syn_seen",
    )

    def __init__(self, connection: Connection, flow: Flow, limits: Limits) -> None:
        self.connection = connection
        self.flow = flow
        self.direction: Direction = flow.direction
        self.stream = Stream()
        self.framer = Framer(self, limits.max_body, limits.max_resync_scan)
        self.peer: Side = self
        self.syn_seen = False
        self.counted = 0  # bytes buffered here, as last added to the total of all connections
        self.ack = -1  # the acknowledgement number of the packet seen last, -1 before the first
        self.stuck = 0  # packets since the peer acknowledged past the hole at `stuck_at`
        self.stuck_at = -1
        self.stray: Segment | None = None  # a segment far off the stream: the first of a later connection, or damaged
        # A stream that is entered in the middle may have been entered at a packet that overtook others.
        self.first = 0  # offset of the first byte known
        self.early: list[tuple[int, Piece]] = []  # bytes before it that do not join it yet
        self.opening: list[tuple[int, Piece]] = []  # its bytes before the first header

    # Segments

    def push(self, seq: int, payload: bytes, missing: int, numbers: tuple[int, ...], time_ns: int) -> bool:
        """Take a segment that may lie anywhere in the stream; tells whether anything of it is new."""
        stream = self.stream
        before = stream.position, stream.pending_bytes, self.first
        if stream.started:
            start = stream.offset(seq)
            if start < stream.position and len(payload) > 1:
                self._compare(start, payload, numbers)
                if start < self.first:
                    self._push_early(start, Piece(payload[: self.first - start], numbers, time_ns))
        self.give(stream.push(seq, payload, missing, numbers, time_ns, self.connection.limits.max_pending), time_ns)
        return missing > 0 or before != (stream.position, stream.pending_bytes, self.first)

    def _compare(self, start: int, payload: bytes, numbers: tuple[int, ...]) -> None:
        """Another copy of bytes that were given to the framer: keep it aside if it differs from those still there."""
        stream = self.stream
        begin = max(start, stream.position - self.framer.buffered)
        copy = payload[max(0, begin - start) : stream.position - start]
        if copy:
            first = self.framer.peek(begin, len(copy))
            if first and first != copy[: len(first)]:
                stream.note_variant(begin, copy[: len(first)], numbers)

    def give(self, pieces: list[Piece | Hole], time_ns: int) -> None:
        """Hand to the framer what the stream gave out; `time_ns` is that of the packet that made it do so."""
        offset = self.stream.position
        for piece in pieces:
            offset -= len(piece.data) if isinstance(piece, Piece) else piece.size
        self.connection.now_ns = time_ns
        for piece in pieces:
            if isinstance(piece, Piece):
                if not self.framer.synced and not self.syn_seen:
                    self._keep_opening(offset, piece)
                self.framer.feed(piece.data, piece.numbers, piece.time_ns, offset)
                offset += len(piece.data)
            else:
                self.framer.hole(piece.size, piece.reason)
                offset += piece.size

    # The start of a stream that was entered in the middle

    def _keep_opening(self, offset: int, piece: Piece) -> None:
        """Keep bytes that no header was found in yet: the start of their message may still come."""
        if offset - self.first + len(piece.data) <= _MAX_OPENING:
            self.opening.append((offset, piece))

    def _push_early(self, start: int, piece: Piece) -> None:
        """Take bytes that lie before all that was known: packets overtook each other where the capture begins."""
        if self.first - start > _MAX_OPENING or len(self.early) >= _MAX_EARLY:
            return
        self.early.append((start, piece))
        self.early.sort(key=lambda early: early[0], reverse=True)
        run: list[tuple[int, Piece]] = []
        while self.early and self.early[0][0] + len(self.early[0][1].data) >= self.first:
            start, piece = self.early.pop(0)
            if start < self.first:
                run.insert(0, (start, piece._replace(data=piece.data[: self.first - start])))
                self.first = start
        if not run:
            return
        framer = Framer(self, self.connection.limits.max_body, self.connection.limits.max_resync_scan)
        known = self.framer.first_frame
        if known is None:
            self.framer = framer
        pieces = run + self.opening
        self.opening = []
        for start, piece in pieces:
            data = piece.data if known is None else piece.data[: max(0, known - start)]
            if data:
                if not framer.synced:
                    self._keep_opening(start, piece._replace(data=data))
                framer.feed(data, piece.numbers, piece.time_ns, start)

    # Holes

    def check_hole(self, time_ns: int) -> None:
        """Count the packets since the peer acknowledged past a hole; after enough of them it is lost."""
        stream = self.stream
        if not stream.pending or self.acked < stream.pending[0].start:
            return
        if self.stuck_at != stream.position:
            self.stuck_at = stream.position
            self.stuck = 0
        self.stuck += 1
        if self.stuck > self.connection.limits.reorder_packets:
            self.give(stream.lose_hole("lost"), time_ns)

    def shed(self, time_ns: int) -> None:
        """Free what is buffered: memory is short."""
        while self.stream.pending:
            self.give(self.stream.lose_hole("limit"), time_ns)
        self.early, self.opening = [], []
        self.framer.shed()

    @property
    def acked(self) -> int:
        """Offset in this direction's stream up to which the peer has acknowledged, as far as its last packet tells."""
        ack = self.peer.ack
        return self.stream.offset(ack) if ack >= 0 and self.stream.started else 0

    @property
    def buffered(self) -> int:
        """Bytes buffered in stream and framer."""
        return self.framer.buffered + self.stream.pending_bytes + (_MAX_OPENING if self.opening else 0)

    @property
    def ended(self) -> bool:
        """Whether everything up to the FIN was seen."""
        return self.stream.fin is not None and self.stream.position >= self.stream.fin

    # Frames: the FrameSink of the framer

    @property
    def trusted(self) -> bool:
        return self.connection.trusted

    def frame(
        self,
        header: Header,
        body: bytes | None,
        numbers: tuple[int, ...],
        time_ns: int,
        reason: str | None,
        offset: int,
    ) -> str:
        connection = self.connection
        notes: list[str] | None = None
        if body is None:
            opened: Opened = (None, "unknown", "unverified", reason)
        else:
            opened = connection.opener.open(self.direction, header, body)
            if self.stream.variants:
                opened, notes = self._arbitrate(header, body, opened, offset)
            if opened[2] != "verified" and opened[3] in _WAITING and header[1] != INIT_CONNECT and connection.may_hold:
                connection.hold(self, header, body, numbers, time_ns, notes)
                return "held"
        connection.give_frame(self, header, opened, numbers, time_ns, notes)
        return opened[2]

    def gap(self, size: int, reason: str) -> None:
        connection = self.connection
        connection.give_gap(Gap(self.flow, connection.now_ns, size, reason, connection.now_number))

    def proves(self, header: Header, body: bytes) -> bool:
        return self.connection.opener.proves(self.direction, header, body)

    def starts(self, header: Header) -> bool:
        # An encrypted InitConnect proves nothing without the key, but it is whole RSA blocks (of 512 bits at least).
        return self.connection.trusted or (header[1] == INIT_CONNECT and header[5] > 0 and header[5] % 64 == 0)

    def patched(self, data: bytes, offset: int) -> list[bytes]:
        """All conflicting copies put in at once, then each alone."""
        end = offset + len(data)
        variants = [v for v in self.stream.variants if v.start < end and v.start + len(v.data) > offset]
        choices = [variants] if len(variants) < 2 else [variants, *([v] for v in variants)]
        copies = []
        for choice in choices:
            copy = bytearray(data)
            for variant in choice:
                start = max(variant.start, offset)
                part = variant.data[start - variant.start : end - variant.start]
                copy[start - offset : start - offset + len(part)] = part
            if copy != data:
                copies.append(bytes(copy))
        return copies

    def _arbitrate(self, header: Header, body: bytes, opened: Opened, offset: int) -> tuple[Opened, list[str] | None]:
        """Where copies of the message's bytes differ, let the SHA-1 choose between them, and note it."""
        frame = HEADER.pack(*header) + body
        copies = self.patched(frame, offset)
        end = offset + len(frame)
        self.stream.variants = [v for v in self.stream.variants if v.start + len(v.data) > end]
        if not copies:
            return opened, None
        if opened[2] != "verified":
            for copy in copies:
                other: Header = HEADER.unpack_from(copy)
                if other[5] == header[5] and self.proves(other, copy[HEADER_LEN:]):
                    opened = self.connection.opener.open(self.direction, other, copy[HEADER_LEN:])
                    break
        return opened, ["conflicting-overlap"]
