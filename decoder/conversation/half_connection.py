"""Follows one direction of a connection: segments in, messages and gaps out.

A `HalfConnection` wires its `StreamReassembler` (segments to ordered bytes) to its `Framer` (bytes to frames), has the
frames verified, and decides how long a hole is waited for.  What comes out is added to the items of the state that it
shares with the other direction.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, NamedTuple

from decoder.body.body import Body
from decoder.conversation.hold_queue import PendingMessage
from decoder.conversation.state import State
from decoder.crypto.verifier import BodyVerifier
from decoder.framing.framer import Framer
from decoder.framing.header import BODY_LEN, DIGEST, FORMAT, HEADER, HEADER_LEN, MAGIC, PROTO_ID, SERIAL_NO, Header
from decoder.framing.websocket_framer import WebSocketFramer, begins_websocket
from decoder.framing.websocket_upgrade import Upgrade
from decoder.message import Gap, Message
from decoder.schema import PUSH_IDS
from decoder.tcp.reassembly import WINDOW, Block, Hole, StreamReassembler
from decoder.tcp.segment import ACK, signed_distance
from decoder.vocabulary import INIT_CONNECT, Arrival, Direction, GapReason, Kind, Verdict

if TYPE_CHECKING:
    from decoder.conversation.state import SharedState
    from decoder.message import Flow
    from decoder.tcp.overlaps import OverlapConflicts
    from decoder.tcp.segment import Segment

__all__ = ["NEAR", "Ending", "HalfConnection"]

NEAR = 1024 * 1024
"""Bytes that two packets of one connection lie apart where they confirm each other, or one overtook the other."""
_MAX_UNSETTLED = 64 * 1024
"""Bytes of a stream entered in the middle that are collected before its first byte is fixed."""
_MAX_STARTS = 4
"""Numbers of contradicting SYNs that are kept until data shows which of them counts."""
_OVERTAKEN = 16
"""Packets by which the acknowledgement of a retransmission may overtake it, after a hole that stood for long."""
_MAX_LOOKED_AT = 64
"""Pending blocks that are searched for a request."""
_WAITING = frozenset(("no-key", "wrong-key", "handshake-missing", "sha1-mismatch"))
"""Reasons that a key which is still to come would end."""


class Ending(NamedTuple):
    """The place of a stream where a FIN or RST said that it ends."""

    offset: int
    reset: bool
    arrival: Arrival


class HalfConnection:
    """Follows one direction; it is the frame handler of its own framer."""

    __slots__ = (
        "_entered",
        "_entered_ns",
        "_hole_acked",
        "_hole_at",
        "_hole_ns",
        "_hole_packets",
        "_starts",
        "_wait_for",
        "_wait_ns",
        "_wait_packets",
        "ack",
        "begin",
        "conflicts",
        "counted",
        "ending",
        "flow",
        "framer",
        "lost",
        "peer",
        "shared",
        "stream",
    )

    def __init__(self, shared: SharedState, flow: Flow) -> None:
        self.shared = shared
        self.flow = flow
        self.stream = StreamReassembler()
        self.framer: Framer | WebSocketFramer = self._new_framer(0)
        self.conflicts: OverlapConflicts = self.stream.conflicts
        self.peer: HalfConnection = self
        self.begin: int | None = None
        """Offset of the very first byte of the stream, if that is known."""
        self.ending: Ending | None = None
        """The FIN or RST that may end it."""
        self.lost = 0
        """Bytes of the stream that are not in the capture."""
        self.counted = 0
        """Memory in use here, as last added to the total of all connections."""
        self.ack = -1
        """The latest acknowledgement number, -1 before the first."""
        self._starts: list[int] = []  # first sequence numbers of other SYNs than the one that `begin` is from
        self._entered = 0  # count of segments when the stream was entered in the middle, and the time
        self._entered_ns = 0
        self._hole_at = -1  # the hole that is waited for: offset, packets since it was seen and acknowledged, time
        self._hole_packets = self._hole_acked = 0
        self._hole_ns = 0
        self._wait_for: int | None = None  # what the framer waits for: offset, packets since, time
        self._wait_packets = 0
        self._wait_ns = 0

    @property
    def direction(self) -> Direction:
        """``c2s`` or ``s2c``."""
        return self.flow.direction

    # Segments

    def handle_syn(self, seq: int) -> None:
        """Takes note that, after a SYN, the very first byte of the stream has the sequence number `seq`."""
        stream, peer = self.stream, self.peer
        if not stream.started and not (peer.stream.started and peer.begin is None):
            stream.start(seq)
            self.begin = 0
        elif self.begin is None:
            # One of the directions was entered in the middle: it may be forged.
            if not (stream.started and stream.settled) and len(self._starts) < _MAX_STARTS:
                self._starts.append(seq)
                self._settle_at_start()
        elif self.untouched and stream.offset(seq) != self.begin and len(self._starts) < _MAX_STARTS:
            self._starts.append(seq)

    @property
    def untouched(self) -> bool:
        """True while no byte of the stream was seen."""
        return self.stream.position == 0 and not self.stream.waiting

    def acknowledge(self, seq: int, ack: int) -> None:
        """Takes note of the acknowledgement in a segment of this direction, unless a later one overtook it."""
        if self.stream.started and abs(self.stream.offset(seq) - self.stream.position) >= WINDOW:
            return  # of another connection, or damaged
        ahead = signed_distance(ack, self.ack)
        if self.ack < 0 or ahead > 0 or ahead < -NEAR:
            self.ack = ack

    def handle_data(self, segment: Segment) -> bool:
        """Takes a segment with payload; returns True if anything of it is new."""
        stream, shared = self.stream, self.shared
        seq, payload, missing, arrival = segment.seq, segment.payload, segment.missing, segment.arrival
        if not stream.started:
            self._enter(seq)
        elif self._starts and stream.settled:
            self._choose_start(seq)
        start, position, waiting = stream.offset(seq), stream.position, stream.overhead
        if start < position and stream.settled:
            self._compare(start, payload, arrival)
        self._pass_on(stream.push(seq, payload, missing, arrival, shared.limits.max_pending))
        if self._starts:
            self._settle_at_start()
        return missing > 0 or stream.position > position or stream.overhead != waiting

    def _enter(self, seq: int) -> None:
        """Enters a stream whose beginning was not seen, with a packet at `seq`."""
        self.stream.start(seq, settled=False)
        self._entered, self._entered_ns = self.shared.segments, self.shared.now.time_ns
        if self.direction == "s2c":
            self.shared.server_settled = False

    def handle_end(self, seq: int, arrival: Arrival, *, reset: bool) -> None:
        """Takes note of a FIN or RST that says that the stream ends at `seq`."""
        stream = self.stream
        if not stream.started:
            if reset:  # the answer to a SYN: no byte was ever sent
                self.ending = self.ending or Ending(0, reset, arrival)
                return
            self._enter(seq)
        end = stream.offset(seq)
        if not stream.position <= end < stream.position + WINDOW or (self.ending is not None and self.reached):
            return
        self.ending = Ending(end, reset, arrival)
        if not reset and stream.fin is None:
            stream.fin = end

    @property
    def reached(self) -> bool:
        """True while the stream stands exactly where a FIN or RST said that it ends."""
        stream = self.stream
        if self.ending is None or not stream.settled or stream.pending:
            return False
        return self.ending.offset == stream.position

    @property
    def end_acknowledged(self) -> bool:
        """True if the peer acknowledged the FIN, which takes a sequence number, and no data behind it."""
        return self.ending is not None and not self.ending.reset and self.acked == self.ending.offset + 1

    def fits(self, segment: Segment) -> bool:
        """Returns True if a segment without SYN belongs to this stream, by its numbers."""
        stream, peer = self.stream, self.peer
        if not segment.size:
            return True
        # The sequence number of another connection may be near by chance, but not those of both directions.
        acked_near = not (segment.flags & ACK and peer.stream.started) or (
            abs(peer.stream.offset(segment.ack) - peer.stream.position) < WINDOW
        )
        if not stream.started:
            return acked_near
        start = stream.offset(segment.seq)
        end = start + segment.size
        if self._starts and self.untouched:
            return any(0 <= signed_distance(segment.seq, seq) < WINDOW for seq in (stream.next_seq, *self._starts))
        if self.shared.state is State.FINISHED and end > stream.position:
            return False
        if start == stream.position:
            return True
        if stream.settled and self.begin is None and end <= stream.origin and segment.size > 1:
            return False  # from before the first byte that came out
        if self.ending is not None and end > self.ending.offset and self.end_acknowledged and peer.end_acknowledged:
            return False  # the receiver had all there was
        return abs(start - stream.position) < WINDOW and acked_near

    def continued_by(self, segment: Segment) -> bool:
        """Returns True if a segment brings the very next byte of the stream."""
        return segment.size > 0 and self.stream.started and segment.seq == self.stream.next_seq

    def _settle_at_start(self) -> None:
        """Settles a stream that was entered before its SYN once the very first byte is there: the SYN may be forged."""
        stream = self.stream
        for seq in self._starts:
            if stream.waiting and stream.offset(seq) == stream.first_pending:
                self.begin = stream.first_pending
                self._settle()
                return

    def _choose_start(self, seq: int) -> None:
        """Chooses, with the first data, the SYN that it follows."""
        starts, self._starts = self._starts, []
        if self.untouched:
            first = min((self.stream.next_seq, *starts), key=lambda each: signed_distance(seq, each) & 0xFFFFFFFF)
            self.stream.start(first)

    def _compare(self, start: int, payload: bytes, arrival: Arrival) -> None:
        """Compares bytes that the framer has with another version of them, and keeps that if it differs."""
        begin = max(start, self.stream.position - self.framer.buffered)
        other = payload[begin - start : self.stream.position - start]
        first = self.framer.peek(begin, len(other))
        if first and self.conflicts.compare(begin, first, other[: len(first)], arrival):
            self.framer.repair()

    def _pass_on(self, blocks: list[Block | Hole]) -> None:
        """Hands to the framer what the reassembler gave out."""
        for block in blocks:
            if isinstance(block, Block):
                if not self.shared.confirmed:
                    self._choose_framing(block)
                self.framer.feed(block.data, block.arrival, block.offset)
            else:
                self.lost += block.size
                self.framer.handle_hole(block.offset, block.size, block.reason, block.arrival)

    def _new_framer(self, begin: int) -> Framer | WebSocketFramer:
        """Returns what cuts the frames of the stream from the offset `begin` on."""
        limits, upgrade = self.shared.limits, self.shared.upgrade
        if upgrade is None:
            return Framer(self, limits.max_body, limits.max_resync_scan, begin)
        from_client = self.direction == "c2s"
        return WebSocketFramer(self, upgrade, limits.max_body, from_client=from_client, at_start=begin == self.begin)

    def _choose_framing(self, block: Block) -> None:
        """Looks, while no message was found, whether the messages of the connection travel in WebSocket frames."""
        shared, at_start = self.shared, block.offset == self.begin
        if isinstance(self.framer, WebSocketFramer) or not begins_websocket(block.data, at_start=at_start):
            return
        shared.upgrade = shared.upgrade or Upgrade()
        try:
            self._change_framing(block.offset)
        except ImportError:
            shared.upgrade = None
            shared.info.library_missing |= not at_start or b"websocket" in block.data.lower()
            return
        shared.info.websocket = shared.upgrade
        peer = self.peer
        if not at_start or (peer.begin is not None and peer.untouched):
            peer._change_framing(peer.stream.position)

    def _change_framing(self, begin: int) -> None:
        """Cuts the stream by the framing of the connection from the offset `begin` on."""
        before, self.framer = self.framer, self._new_framer(begin)
        self.flow.transport = "websocket"
        before.finish()
        before.report_silent()
        before.release()

    # Waiting

    @property
    def waits(self) -> bool:
        """True while the other direction must be held back, so that the order of the records is right."""
        stream = self.stream
        if self.framer.waiting_for_ack is not None or not stream.settled:
            return True
        hole = stream.hole if stream.waiting else None
        return hole is not None and hole.reason == "snaplen"

    def check(self) -> None:
        """Decides, after each packet of the connection while it waits, what to wait for any longer."""
        limits = self.shared.limits
        if not self.stream.settled:
            if self.shared.segments - self._entered > limits.reorder_packets or self.stream.overhead > _MAX_UNSETTLED:
                self._settle()
            return
        while self.stream.waiting and (hole := self.stream.hole) is not None and self._is_lost(hole):
            self._pass_on(self.stream.lose_hole("lost"))
        self._check_framer()

    def _is_lost(self, hole: Hole) -> bool:
        """Returns True if a hole will not be filled any more.

        The sender must send again what was not acknowledged, so that is waited for until the connection ends.  The
        receiver got what it acknowledged; packets that overtook it in the capture may still bring it.  What the snap
        length cut has been seen, so nothing overtook it.
        """
        if self._hole_at != hole.offset:
            self._hole_at, self._hole_ns = hole.offset, self.shared.now.time_ns
            self._hole_packets = self._hole_acked = 0
        acknowledged = self.acked >= hole.offset + hole.size
        if hole.reason == "snaplen":
            return acknowledged or self.peer.ack < 0
        self._hole_packets += 1
        self._hole_acked = self._hole_acked + 1 if acknowledged else 0
        return self._hole_packets > self.shared.limits.reorder_packets and self._hole_acked > _OVERTAKEN

    def _check_framer(self) -> None:
        framer, limits = self.framer, self.shared.limits
        if framer.waiting_for_ack is None:
            self._wait_for = None
            return
        if self._wait_for != framer.waiting_for_ack:
            self._wait_for, self._wait_packets = framer.waiting_for_ack, 0
            self._wait_ns = self.shared.now.time_ns
        self._wait_packets += 1
        if self.acked >= framer.waiting_for_ack:
            framer.resume(give_up=False)
        elif self._wait_packets > limits.reorder_packets or framer.buffered > limits.max_pending:
            framer.resume(give_up=True)

    def _settle(self) -> None:
        """Fixes the first byte of a stream entered in the middle, and begins to cut frames."""
        if self.direction == "s2c":
            self.shared.server_settled = True
        self._starts = []
        blocks = self.stream.settle(self.begin)
        self.framer.release()
        self.framer = self._new_framer(self.stream.origin)
        self._pass_on(blocks)

    def give_up_overtaken(self, before_ns: int) -> None:
        """Begins the stream where it is known to begin, if its first packet came before `before_ns`."""
        if not self.stream.settled and self._entered_ns < before_ns:
            self._settle()

    def give_up_waiting(self, before_ns: int | None = None) -> None:
        """Waits no longer for what it began to wait for before `before_ns` (None: for nothing but holes)."""
        if not self.stream.settled and before_ns is None:
            self._settle()
        if before_ns is not None:
            while self.stream.waiting and self.stream.hole is not None and self._hole_ns < before_ns:
                self._pass_on(self.stream.lose_hole("lost"))
        while self.framer.waiting_for_ack is not None and (before_ns is None or self._wait_ns < before_ns):
            self.framer.resume(give_up=True)

    def finish(self) -> None:
        """Ends the stream: emits what can be emitted."""
        if not self.stream.settled:
            self._settle()
        self._pass_on(self.stream.finish(self.acked))
        self.framer.finish()
        self.conflicts.forget(self.stream.position)

    def drop_buffered(self) -> None:
        """Frees what is buffered, because memory is short."""
        if not self.stream.settled:
            self._settle()
        while self.stream.waiting and self.stream.hole is not None:
            self._pass_on(self.stream.lose_hole("limit"))
        self.framer.drop_buffered()
        self.conflicts.forget(self.stream.position)

    def release(self) -> None:
        """Breaks the reference cycles it is part of."""
        self.framer.release()
        del self.framer, self.peer

    @property
    def acked(self) -> int:
        """Offset in this direction's stream up to which the peer has acknowledged, as far as its last packet tells."""
        if self.peer.ack < 0 or not self.stream.started:
            return 0
        acked = self.stream.offset(self.peer.ack)
        return acked if acked - self.stream.position < WINDOW else 0

    @property
    def buffered(self) -> int:
        """Memory in use for what is buffered."""
        framer = self.framer
        size = self.stream.overhead + self.conflicts.size
        if framer.buffered:
            size += framer.buffered + framer.overhead
        return size

    def awaits(self, proto_id: int, serial_no: int) -> bool:
        """Returns True if the beginning of this message is there, but it did not come out yet."""
        header = self.framer.unfinished_header
        if header is not None and (header[PROTO_ID], header[SERIAL_NO]) == (proto_id, serial_no):
            return True
        if serial_no >> 32:  # a section of the WebSocket port has 64 bits
            return False
        start = HEADER.pack(MAGIC, proto_id, 0, 0, serial_no, 0, b"", b"")
        # Format and version (bytes 6 and 7) may differ.
        return any(
            block.data.startswith(start[:6]) and block.data.startswith(start[8:12], 8)
            for block in self.stream.pending[:_MAX_LOOKED_AT]
        )

    # Frames: the frame handler of the framer

    def handle_frame(self, header: Header, body: bytes, arrival: Arrival, offset: int) -> Verdict | None:
        shared = self.shared
        opened = shared.verifier.open(self.direction, header, body)
        if not shared.direction_known and self._is_reversed(header, opened):
            self._turn()
            opened = shared.verifier.open(self.direction, header, body)
        _, encryption, verdict, reason = opened
        if verdict != "verified" and reason != "sha1-of-ciphertext":
            return opened
        notes = self._conflict_notes(header, body, offset) if self.conflicts else None
        ambiguous = encryption == "None" and shared.verifier.may_be_ciphertext(self.direction, header, body)
        if ambiguous and self._may_hold(header):
            self._hold(header, body, arrival, notes)
        else:
            self._emit(header, opened, arrival, notes)
        return None

    def _is_reversed(self, header: Header, opened: Verdict) -> bool:
        """Returns True if the first message shows that the other end is the gateway."""
        plaintext, _, verdict, _ = opened
        shared, peer, proto_id = self.shared, self.peer, header[PROTO_ID]
        if proto_id == INIT_CONNECT and self.direction == "s2c" and shared.from_start and peer.untouched:
            return peer.acked <= 0  # its end sent the SYN, and speaks first
        if plaintext is None or verdict != "verified":
            return False

        def is_complete(direction: Direction) -> bool:
            return Body(proto_id, direction, header[FORMAT], plaintext, shared.limits).complete

        return is_complete(peer.direction) and not is_complete(self.direction)

    def _turn(self) -> None:
        """Exchanges the directions, which were guessed wrongly."""
        shared, info, peer = self.shared, self.shared.info, self.peer
        earlier_keys = shared.verifier.earlier_keys
        shared.verifier = BodyVerifier(shared.keyring, shared.limits)
        shared.verifier.earlier_keys = earlier_keys
        self.flow.direction, peer.flow.direction = peer.flow.direction, self.flow.direction
        info.client, info.server = info.server, info.client
        for counts in (info.retransmissions, info.messages):
            counts["c2s"], counts["s2c"] = counts["s2c"], counts["c2s"]
        shared.server_settled = (self if self.direction == "s2c" else peer).stream.settled

    def handle_unproven(self, header: Header, body: bytes, opened: Verdict, arrival: Arrival, offset: int) -> None:
        notes = self._conflict_notes(header, body, offset) if self.conflicts else None
        if opened.reason in _WAITING and self._may_hold(header):
            self._hold(header, body, arrival, notes)
        else:
            self._emit(header, opened, arrival, notes)

    def handle_cut_short(self, header: Header, body: bytes, arrival: Arrival) -> None:
        opened = self.shared.verifier.open(self.direction, header, body)
        if opened.name == "verified":  # and yet the header is damaged
            opened = opened._replace(name="failed", reason="sha1-mismatch")
        self._emit(header, opened, arrival, ["damaged-length"])

    def handle_incomplete(self, header: Header, arrival: Arrival, reason: str) -> None:
        notes = None
        if reason == "unfinished":
            reason, notes = "gap", ["connection-ends" if self.ending is not None else "capture-ends"]
        elif reason == "length-counts-header":
            reason, notes = "gap", ["length-counts-header"]
        self._emit(header, Verdict(None, "unknown", "unverified", reason), arrival, notes)

    def handle_undigested(
        self, header: Header, body: bytes, arrival: Arrival, error: dict[str, int | str] | None
    ) -> None:
        opened = self.shared.verifier.open_undigested(self.direction, header, body)
        self._emit(header, opened, arrival, None, error)

    def handle_upgraded(self) -> None:
        self.peer.framer.resume(give_up=False)

    def handle_gap(self, size: int, reason: GapReason, arrival: Arrival) -> None:
        self.shared.items.append(Gap(self.flow, arrival.time_ns, size, reason, arrival.packets[-1]))

    def _emit(
        self,
        header: Header,
        opened: Verdict,
        arrival: Arrival,
        notes: list[str] | None,
        error: dict[str, int | str] | None = None,
    ) -> None:
        shared = self.shared
        shared.confirmed = shared.direction_known = True
        shared.answered = shared.answered or self.direction == "s2c"
        message = new_message(self.flow, header, opened, arrival, shared.verifier.conn_id, notes)
        if error is not None:
            message.error = error
        shared.items.append(message)

    def _hold(self, header: Header, body: bytes, arrival: Arrival, notes: list[str] | None) -> None:
        self.shared.confirmed = True
        self.shared.items.append(PendingMessage(self.flow, header, body, arrival, notes))

    def _may_hold(self, header: Header) -> bool:
        """Returns True if the key to this message may still come."""
        if header[PROTO_ID] == INIT_CONNECT or self.direction == "s2c":
            return False
        return self.shared.may_hold

    @property
    def now(self) -> Arrival:
        return self.shared.now

    @property
    def confirmed(self) -> bool:
        return self.shared.confirmed

    @property
    def nothing_decrypted(self) -> bool:
        return self.shared.verifier.nothing_decrypted

    @property
    def keys_known(self) -> int:
        return len(self.shared.verifier.keys)

    @property
    def begins_at_first_byte(self) -> bool:
        return self.begin is not None

    def verifies(self, header: Header, body: bytes, *, by_hash: bool = False) -> bool:
        return self.shared.verifier.verifies(self.direction, header, body, by_hash=by_hash)

    def in_clear(self, header: Header, body: bytes) -> bool:
        return sha1(body).digest() == header[DIGEST]

    def starts(self, header: Header) -> bool:
        # An encrypted InitConnect verifies nothing without the key, but it is whole RSA blocks of 512 bits at least;
        # in the middle of a stream, of one of the usual sizes.
        if self.shared.confirmed:
            return True
        return (
            header[PROTO_ID] == INIT_CONNECT
            and header[BODY_LEN] >= 64
            and (self.begin is not None or header[BODY_LEN] % 64 == 0)
        )

    def repairable(self, header: Header, opened: Verdict) -> bool:
        if header[PROTO_ID] == INIT_CONNECT:
            return opened.reason in ("sha1-mismatch", "wrong-key")
        return opened.name == "failed" and not self._may_hold(header)

    def unacknowledged(self, offset: int) -> bool:
        if self.acked >= offset or (self.framer.first_frame is None and self.begin is None):
            return False  # (the first bytes of a stream entered in the middle are no header)
        return self.shared.state is not State.FINISHED

    def may_wait(self) -> bool:
        # Also while finishing: holes are given up one by one, so more data follows.
        return True

    def _conflict_notes(self, header: Header, body: bytes, offset: int) -> list[str] | None:
        """Returns a note if versions of the frame's bytes differ, and forgets them.

        A single byte may be a keep-alive probe: that repeats the last byte sent, or sends any byte in its place.
        """
        end = offset + HEADER_LEN + len(body)
        noted = [
            conflict
            for conflict in self.conflicts.overlapping(offset, end)
            if conflict.contradicts(offset, end)
            and (len(conflict.data) > 1 or conflict.start < min(offset + HEADER_LEN, end - 1))
        ]
        self.conflicts.forget(end)
        return ["conflicting-overlap"] if noted else None


def new_message(
    flow: Flow, header: Header, opened: Verdict, arrival: Arrival, conn_id: str | None, notes: list[str] | None
) -> Message:
    """Makes the message of a frame; it is not numbered yet."""
    plaintext, encryption, verdict, reason = opened
    kind: Kind = "request" if flow.direction == "c2s" else "push" if header[PROTO_ID] in PUSH_IDS else "response"
    packets, time_ns = arrival
    return Message(flow, header, time_ns, packets, kind, plaintext, encryption, verdict, reason, conn_id, notes)
