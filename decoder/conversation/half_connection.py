"""One direction of a connection: segments in, messages and gaps out.

A `HalfConnection` wires its `Stream` (segments to ordered bytes) to its `Framer` (bytes to frames) and has the
frames opened.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING

from decoder.framing.framer import Framer
from decoder.framing.header import HEADER, HEADER_LEN, MAGIC, Header
from decoder.message import Flow, Gap
from decoder.tcp.midstream import MidstreamStart
from decoder.tcp.reassembly import WINDOW, Block, Hole, Stream, signed_distance
from decoder.vocabulary import INIT_CONNECT, Opened

if TYPE_CHECKING:
    from decoder.conversation.connection import Connection
    from decoder.limits import Limits
    from decoder.tcp.overlaps import OverlapConflicts
    from decoder.vocabulary import Direction

__all__ = ["HalfConnection", "Segment"]

Segment = tuple[int, int, int, bytes, int, tuple[int, ...], int]
"""seq, ack, flags, payload, missing bytes, packet numbers, time in ns."""

_WAITING = ("no-key", "wrong-key", "handshake-missing", "sha1-mismatch")
_MAX_LOOKED_AT = 64  # pending segments that are searched for a request
_OVERTAKEN = 1024 * 1024  # bytes by which an acknowledgement may be overtaken
_UNACKED = 8  # how much longer a hole may stay that nobody acknowledged past


class HalfConnection:
    """One direction of a connection: the sink of its own framer."""

    __slots__ = (
        "_frozen",
        "_patience",
        "_rewinding",
        "_stuck",
        "_stuck_at",
        "ack",
        "begin",
        "connection",
        "copies",
        "counted",
        "direction",
        "flow",
        "framer",
        "lost",
        "peer",
        "prologue",
        "stray",
        "stream",
    )

    def __init__(self, connection: Connection, flow: Flow, limits: Limits) -> None:
        self.connection = connection
        self.flow = flow
        self.direction: Direction = flow.direction
        self.stream = Stream()
        self.framer = Framer(self, limits.max_body, limits.max_resync_scan, 0)
        self.copies: OverlapConflicts = self.stream.copies
        self.peer: HalfConnection = self
        self.begin: int | None = None
        """Offset of the very first byte of the stream, if that is known."""
        self.prologue: MidstreamStart | None = None
        """What is kept because the stream was entered in the middle."""
        self.lost = 0
        """Bytes of the stream that are not in the capture."""
        self.counted = 0
        """Memory in use here, as last added to the total of all connections."""
        self.ack = -1
        """The latest acknowledgement number, -1 before the first."""
        self.stray: Segment | None = None
        """A segment far off the stream: the first of a later connection, or damaged."""
        self._stuck = 0  # packets seen while there was a hole at `_stuck_at` that could have been filled
        self._stuck_at = -1
        self._frozen: int | None = None  # what the framer waits for, and for how many packets it did so
        self._patience = 0
        self._rewinding = False

    # Segments

    def start(self, seq: int) -> None:
        """The very first byte of the stream has the sequence number `seq`."""
        if not self.stream.started:
            self.stream.start(seq)
        if self.begin is None:
            self.begin = self.stream.offset(seq)
            if self.prologue is not None:
                self.prologue.begin = self.begin

    def acknowledge(self, seq: int, ack: int) -> None:
        """Take note of the acknowledgement in a segment of this side, unless a later one overtook it."""
        if self.stream.started and abs(self.stream.offset(seq) - self.stream.position) >= WINDOW:
            return  # of another connection, or damaged
        ahead = signed_distance(ack, self.ack)
        if self.ack < 0 or ahead > 0 or ahead < -_OVERTAKEN:
            self.ack = ack

    def enter(self, seq: int, number: int) -> None:
        """The stream is entered somewhere in the middle, with packet `number`."""
        self.stream.start(seq)
        self.prologue = MidstreamStart(number)

    def push(self, seq: int, payload: bytes, missing: int, numbers: tuple[int, ...], time_ns: int) -> bool:
        """Take a segment that may lie anywhere in the stream; tells whether anything of it is new."""
        stream = self.stream
        if not stream.started:
            self.enter(seq, numbers[-1])
        start, position, waiting = stream.offset(seq), stream.position, stream.pending_bytes
        new = False
        if start < position:
            self._compare(start, payload, numbers, time_ns)
            new = self._push_early(Block(start, payload, numbers, time_ns))
        limit = self.connection.limits.max_pending
        self._pass_on(stream.push(seq, payload, missing, numbers, time_ns, limit), time_ns)
        return new or missing > 0 or stream.position > position or stream.pending_bytes != waiting

    def _compare(self, start: int, payload: bytes, numbers: tuple[int, ...], time_ns: int) -> None:
        """Another copy of bytes that the framer has: keep it aside if it differs."""
        begin = max(start, self.stream.position - self.framer.buffered)
        copy = payload[begin - start : self.stream.position - start]
        first = self.framer.peek(begin, len(copy))
        if first and self.copies.compare(begin, first, copy[: len(first)], numbers, time_ns):
            self.framer.mend()

    def _pass_on(self, pieces: list[Block | Hole], time_ns: int) -> None:
        """Hand to the framer what the stream gave out; `time_ns` is that of the packet that made it do so."""
        self.connection.now_ns = time_ns
        for piece in pieces:
            if isinstance(piece, Block):
                self._feed(piece)
            else:
                if self.prologue is not None:
                    self._watch_prologue(self.connection.now_number)
                self.lost += piece.size
                if self.opening:  # what joins from before could not be carried over the hole
                    self._close_prologue()
                self.framer.hole(piece.offset, piece.size, piece.reason)

    def _feed(self, piece: Block) -> None:
        if self.opening and self.prologue is not None:
            self.prologue.keep(piece)
        self.framer.feed(piece.data, piece.numbers, piece.time_ns, piece.offset)
        if self.prologue is not None:
            self._watch_prologue(piece.numbers[-1])

    # The start of a stream that was entered in the middle

    def _watch_prologue(self, number: int) -> None:
        """Keep less where more is known, and nothing once packets cannot have been overtaken any more."""
        prologue = self.prologue
        assert prologue is not None
        if number - prologue.number > self.connection.limits.reorder_packets or prologue.origin == prologue.begin:
            self._close_prologue()
        elif prologue.until is None and self.framer.first_frame is not None:
            self._keep_until(self.framer.first_frame)

    def _close_prologue(self) -> None:
        """Give out what can be given of early bytes that never joined the others."""
        prologue, self.prologue = self.prologue, None
        rest = [] if prologue is None else prologue.rest()
        if not rest:
            return
        framer = self._framer(rest[0].offset)
        for piece in rest:
            if isinstance(piece, Block):
                framer.feed(piece.data, piece.numbers, piece.time_ns, piece.offset)
            else:
                framer.hole(piece.offset, piece.size, piece.reason)
        framer.finish()

    def _framer(self, begin: int) -> Framer:
        limits = self.connection.limits
        return Framer(self, limits.max_body, limits.max_resync_scan, begin)

    def _keep_until(self, first_frame: int) -> None:
        prologue = self.prologue
        assert prologue is not None
        prologue.until = first_frame
        prologue.opening = _before(first_frame, prologue.opening)

    def _push_early(self, piece: Block) -> bool:
        """Take bytes that lie before all that was known; tells whether they do."""
        prologue = self.prologue
        if prologue is None or piece.offset >= prologue.origin or not piece.data:
            return False
        if prologue.until is None and self.framer.first_frame is not None:
            self._keep_until(self.framer.first_frame)
        run = prologue.join(piece)
        if run:
            pieces = run + prologue.opening
            prologue.opening = []
            framer = self._framer(prologue.origin)
            if prologue.until is None:
                self.framer = framer
                for each in pieces:
                    self._feed(each)
            else:
                # The framer goes on after the first header that it found; what comes before comes out late.
                prologue.opening = _before(prologue.until, pieces)
                self._rewinding = True
                for each in prologue.opening:
                    framer.feed(each.data, each.numbers, each.time_ns, each.offset)
                framer.finish()
                self._rewinding = False
                if framer.first_frame is not None:
                    self._keep_until(framer.first_frame)
        return True

    @property
    def opening(self) -> bool:
        """Whether no header was found yet in a stream that was entered in the middle."""
        return self.prologue is not None and self.prologue.until is None

    # Holes and may_be_ciphertext

    def check(self, time_ns: int) -> None:
        """After each packet of the connection while there is a hole or a doubt: see whether to wait any longer."""
        stream, framer, limits = self.stream, self.framer, self.connection.limits
        if self.prologue is not None:
            self._watch_prologue(self.connection.now_number)
        if stream.waiting:
            if self._stuck_at != stream.position:
                self._stuck_at = stream.position
                self._stuck = 0
            self._stuck += 1
            patience = limits.reorder_packets
            if self.acked < stream.hole_end:
                patience *= _UNACKED
            if self._stuck > patience:
                self._pass_on(stream.lose_hole("lost"), time_ns)
        if framer.frozen is not None:
            if self._frozen != framer.frozen:
                self._frozen = framer.frozen
                self._patience = 0
            self._patience += 1
            if self.acked >= framer.frozen:
                framer.thaw(overrule=False)
            elif self._patience > limits.reorder_packets or framer.buffered > limits.max_pending:
                framer.thaw(overrule=True)
        else:
            self._frozen = None

    def finish(self, time_ns: int) -> None:
        """The end of the flow: give out what can be given."""
        self._pass_on(self.stream.finish(self.acked), time_ns)
        self._close_prologue()
        self.framer.finish()
        self.stray = None
        self.copies.forget(self.stream.position)

    def shed(self, time_ns: int) -> None:
        """Free what is buffered: memory is short."""
        while self.stream.waiting:
            self._pass_on(self.stream.lose_hole("limit"), time_ns)
        self.framer.shed()
        self._close_prologue()
        self.stray = None
        self.copies.forget(self.stream.position)
        self.connection.release()

    def dissolve(self) -> None:
        """Let go of what refers back to it."""
        self.framer.dissolve()
        del self.framer, self.peer, self.connection

    @property
    def acked(self) -> int:
        """Offset in this direction's stream up to which the peer has acknowledged, as far as its last packet tells."""
        if self.peer.ack < 0 or not self.stream.started:
            return 0
        acked = self.stream.offset(self.peer.ack)
        return acked if acked - self.stream.position < WINDOW else 0

    @property
    def buffered(self) -> int:
        """Memory in use."""
        framer = self.framer
        size = self.stream.pending_bytes + self.copies.size
        if framer.buffered:
            size += framer.buffered + framer.overhead
        if self.prologue is not None:
            size += self.prologue.size
        if self.stray is not None:
            size += len(self.stray[3])
        return size + self.connection.held_bytes if self is self.connection.client else size

    def awaits(self, proto_id: int, serial_no: int) -> bool:
        """Whether the beginning of this message is there, but it did not come out yet."""
        begun = self.framer.begun
        if begun is not None and (begun[1], begun[4]) == (proto_id, serial_no):
            return True
        start = HEADER.pack(MAGIC, proto_id, 0, 0, serial_no, 0, b"", b"")
        # Format and version (bytes 6 and 7) may differ.
        return any(
            chunk.data.startswith(start[:6]) and chunk.data.startswith(start[8:12], 8)
            for chunk in self.stream.pending[:_MAX_LOOKED_AT]
        )

    # Frames: the FrameHandler of the framer

    @property
    def trusted(self) -> bool:
        return self.connection.trusted

    @property
    def blind(self) -> bool:
        return self.connection.verifier.nothing_decrypted

    @property
    def keys_known(self) -> int:
        return len(self.connection.verifier.keys)

    def frame(self, header: Header, body: bytes, numbers: tuple[int, ...], time_ns: int, offset: int) -> Opened | None:
        connection = self.connection
        opened = connection.verifier.open(self.direction, header, body)
        if opened[2] != "verified" and opened[3] != "sha1-of-ciphertext":
            return opened
        notes = self._conflicts(header, body, offset) if self.copies else None
        if (
            opened[1] == "None"
            and self._may_wait(header)
            and connection.verifier.may_be_ciphertext(self.direction, header, body)
        ):
            connection.hold(self, header, body, numbers, time_ns, notes)
        else:
            connection.give_frame(self, header, opened, numbers, time_ns, notes)
        return None

    def give_unproven(
        self, header: Header, body: bytes, opened: Opened, numbers: tuple[int, ...], time_ns: int, offset: int
    ) -> None:
        notes = self._conflicts(header, body, offset) if self.copies else None
        if opened[3] in _WAITING and self._may_wait(header):
            self.connection.hold(self, header, body, numbers, time_ns, notes)
        else:
            self.connection.give_frame(self, header, opened, numbers, time_ns, notes)

    def _may_wait(self, header: Header) -> bool:
        """Whether the keys to this message may still come."""
        if header[1] == INIT_CONNECT or (self.direction == "s2c" and self.prologue is None):
            return False
        return self.connection.may_hold

    def give_cut_short(self, header: Header, body: bytes, numbers: tuple[int, ...], time_ns: int) -> None:
        opened = self.connection.verifier.open(self.direction, header, body)
        if opened[2] == "verified":  # and yet the header is damaged
            opened = opened._replace(name="failed", reason="sha1-mismatch")
        self.connection.give_frame(self, header, opened, numbers, time_ns, ["damaged-length"])

    def give_lost(self, header: Header, numbers: tuple[int, ...], time_ns: int, reason: str) -> None:
        self.connection.give_frame(self, header, Opened(None, "unknown", "unverified", reason), numbers, time_ns)

    def gap(self, size: int, reason: str, now: tuple[int, int]) -> None:
        if not self._rewinding:
            time_ns, number = now
            self.connection.give_gap(Gap(self.flow, time_ns, size, reason, number))

    @property
    def now(self) -> tuple[int, int]:
        return self.connection.now_ns, self.connection.now_number

    def verifies(self, header: Header, body: bytes) -> bool:
        return self.connection.verifier.verifies(self.direction, header, body)

    @property
    def begins(self) -> bool:
        return self.begin is not None

    def in_clear(self, header: Header, body: bytes) -> bool:
        return sha1(body).digest() == header[6]

    def starts(self, header: Header) -> bool:
        # An encrypted InitConnect verifies nothing without the key, but it is whole RSA blocks of 512 bits at least;
        # in the middle of a stream, of one of the usual sizes.
        if self.connection.trusted:
            return True
        return header[1] == INIT_CONNECT and header[5] >= 64 and (self.begin is not None or header[5] % 64 == 0)

    def may_mend(self, header: Header, opened: Opened) -> bool:
        if header[1] == INIT_CONNECT:
            return opened[3] in ("sha1-mismatch", "wrong-key")
        return opened[2] == "failed" and not self._may_wait(header)

    def unsettled(self, offset: int) -> bool:
        if self.acked >= offset or (self.framer.first_frame is None and self.begin is None):
            return False  # (the first bytes of a stream entered in the middle are no header)
        return not self.connection.finished and self.hesitates()

    def hesitates(self) -> bool:
        # (At the end of the connection too: behind a hole that is given up only now there is more to come.)
        if self._rewinding:
            return False
        self.connection.hold_back()
        return True

    def _conflicts(self, header: Header, body: bytes, offset: int) -> list[str] | None:
        """A note if copies of the frame's bytes differ; forgets them."""
        end = offset + HEADER_LEN + len(body)
        # A single byte that was not used is a keep-alive probe; these may hold anything.
        noted = [
            copy
            for copy in self.copies.overlapping(offset, end)
            if copy.contradicts(offset, end)
            and (len(copy.data) > 1 or body[copy.start - offset - HEADER_LEN :][:1] == copy.data)
        ]
        self.copies.forget(end)
        return ["conflicting-overlap"] if noted else None


def _before(offset: int, pieces: list[Block]) -> list[Block]:
    """The part of `pieces` that lies before `offset`."""
    return [piece._replace(data=piece.data[: offset - piece.offset]) for piece in pieces if piece.offset < offset]
