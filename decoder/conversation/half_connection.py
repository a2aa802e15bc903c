"""Follows one direction of a connection: segments in, messages and gaps out.

A `HalfConnection` wires its `StreamReassembler` (segments to ordered bytes) to its `Framer` (bytes to frames), and
decides how long a hole, or a better version of bytes, is waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.conversation.frame_output import FrameOutput
from decoder.conversation.framing_choice import new_framer, upgraded_framer
from decoder.conversation.state import Ending, State
from decoder.conversation.wait import OVERTAKEN, Wait
from decoder.crypto.verifier import BodyVerifier
from decoder.framing.header import PROTO_ID, Header
from decoder.framing.websocket_framer import WebSocketFramer
from decoder.tcp.reassembly import WINDOW, Block, Hole, StreamReassembler
from decoder.tcp.segment import ACK, signed_distance
from decoder.vocabulary import INIT_CONNECT

if TYPE_CHECKING:
    from decoder.conversation.state import SharedState
    from decoder.framing.framer import Framer
    from decoder.message import Flow
    from decoder.tcp.segment import Segment
    from decoder.vocabulary import Arrival, Verdict

__all__ = ["NEAR", "HalfConnection"]

NEAR = 1024 * 1024
"""Bytes that two packets of one connection lie apart where they confirm each other, or one overtook the other."""
_MAX_UNSETTLED = 64 * 1024
"""Bytes of a stream entered in the middle that are collected before its first byte is fixed."""
_MAX_STARTS = 4
"""Numbers of contradicting SYNs that are kept until data shows which of them counts."""


class HalfConnection(FrameOutput):
    """Follows one direction; it is the frame handler of its own framer."""

    __slots__ = (
        "_early_fin",
        "_settled_to",
        "_starts",
        "_wait",
        "ack",
        "counted",
        "framer",
        "lost",
        "peer",
        "sent_syn",
        "stream",
        "version_wait",
    )

    def __init__(self, shared: SharedState, flow: Flow) -> None:
        self.stream = StreamReassembler()
        super().__init__(shared, flow, self.stream.conflicts)
        self.framer: Framer | WebSocketFramer = new_framer(self, 0)
        self.peer: HalfConnection = self
        self.sent_syn = False
        """True if it sent the SYN that asks for the connection, as the client does."""
        self.lost = 0
        """Bytes of the stream that are not in the capture."""
        self.counted = 0
        """Memory in use here, as last added to the total of all connections."""
        self.ack = -1
        """The latest acknowledgement number, -1 before the first."""
        self._starts: list[int] = []  # first sequence numbers of other SYNs than the one that `begin` is from
        self._early_fin = -1  # sequence number of a FIN that came before any data
        self._settled_to = -1  # no other version is waited for of what lies before this offset
        self._wait: Wait | None = None  # for packets that the first one overtook; once settled, for those of a hole
        self.version_wait: Wait | None = None
        """Waits for a better version of what the framer does not pass on."""

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
        stream = self.stream
        if seq != stream.next_seq and stream.started and abs(signed_distance(seq, stream.next_seq)) >= WINDOW:
            return  # of another connection, or damaged
        if self.ack < 0 or (ack - self.ack) & 0xFFFFFFFF < 0x80000000 or signed_distance(ack, self.ack) < -NEAR:
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
            self.framer.compare(start, payload, arrival)
        blocks = stream.push(seq, payload, missing, arrival, shared.limits.max_pending)
        if blocks:
            self._pass_on(blocks)
        if self._starts:
            self._settle_at_start()
        return missing > 0 or stream.position > position or stream.overhead != waiting

    def _enter(self, seq: int) -> None:
        """Enters a stream whose beginning was not seen, with a packet at `seq`."""
        self.stream.start(seq, settled=False)
        self._wait = Wait(0, self.shared.now.time_ns)
        if self.direction == "s2c":
            self.shared.server_settled = False
        if self._early_fin >= 0 and self.ending is not None:
            self.handle_end(self._early_fin, self.ending.arrival, reset=False)

    def handle_end(self, seq: int, arrival: Arrival, *, reset: bool) -> None:
        """Takes note of a FIN or RST that says that the stream ends at `seq`."""
        stream = self.stream
        if not stream.started:
            # No byte was sent, as in the answer to a SYN; or its bytes are still to come, or it is forged.
            self.ending = self.ending or Ending(0, reset, arrival)
            self._early_fin = self._early_fin if reset else seq
            return
        end = stream.offset(seq)
        if not stream.position <= end < stream.position + WINDOW or (self.ending is not None and self.reached):
            return
        self.ending = Ending(end, reset, arrival)
        if not reset:
            stream.note_fin(end)

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
        if not stream.started:
            distance = 0
        elif self._starts and self.untouched:
            starts = (stream.next_seq, *self._starts)
            return not segment.size or any(0 <= signed_distance(segment.seq, seq) < WINDOW for seq in starts)
        else:
            distance = signed_distance(segment.seq, stream.next_seq)
            if distance == 0 and self.shared.state is not State.FINISHED:
                return True
        size = segment.size
        if not size:
            return True
        if self.shared.state is State.FINISHED and distance + size > 0 and stream.started:
            return False
        end = stream.position + distance + size
        if stream.started and stream.settled and self.begin is None and end <= stream.origin and size > 1:
            return False  # from before the first byte that came out
        if self.ending is not None and end > self.ending.offset and self.end_acknowledged and peer.end_acknowledged:
            return False  # the receiver had all there was
        if abs(distance) >= WINDOW:
            return False
        # The sequence number of another connection may be near by chance, but not those of both directions.
        acks_other = segment.flags & ACK and peer.stream.started
        return not acks_other or abs(signed_distance(segment.ack, peer.stream.next_seq)) < WINDOW

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

    def _choose_framing(self, block: Block) -> None:
        """Looks, while no message was found, whether the messages of the connection travel in WebSocket frames."""
        if isinstance(self.framer, WebSocketFramer):
            return
        framer, peer = upgraded_framer(self, block.data, block.offset), self.peer
        if framer is None:
            return
        self._change_framing(framer)
        if block.offset != self.begin or (peer.begin is not None and peer.untouched):
            peer._change_framing(new_framer(peer, peer.stream.position))

    def _change_framing(self, framer: Framer | WebSocketFramer) -> None:
        before, self.framer = self.framer, framer
        self.flow.transport = "websocket"
        before.finish()
        before.report_silent()

    # Waiting

    @property
    def waits(self) -> bool:
        """True while the other direction must be held back, so that the order of the records is right."""
        stream = self.stream
        return self.framer.waiting_for_ack is not None or not stream.settled or stream.waits_for_copy

    @property
    def busy(self) -> bool:
        """True while it waits for anything: then `check` must be called with each packet of the connection."""
        stream = self.stream
        return stream.waiting or not stream.settled or self.framer.waiting_for_ack is not None

    def check(self) -> None:
        """Decides, after each packet of the connection while it waits, what to wait for any longer."""
        stream = self.stream
        if not stream.settled:
            self._check_entry()
            return
        while stream.waiting and self._is_lost():
            self._pass_on(stream.lose_hole("lost"))
        if self.framer.waiting_for_ack is None:
            self.version_wait = None
        else:
            self._check_framer(self.framer.waiting_for_ack)

    def _check_entry(self) -> None:
        """Decides if packets may still come that the first one of the stream overtook."""
        wait, full = self._wait, self.stream.overhead > _MAX_UNSETTLED
        if full or wait is None or wait.packets > self.shared.limits.reorder_packets:
            self._settle()
        else:
            wait.count(acknowledged=False)

    def _is_lost(self) -> bool:
        """Returns True if the first hole will not be filled any more.

        The sender must send again what was not acknowledged, so that is waited for until the connection ends.  The
        receiver got what it acknowledged; packets that overtook it in the capture may still bring it.  What the snap
        length cut has been seen, so nothing overtook it.
        """
        stream, wait = self.stream, self._wait
        if wait is None or wait.offset != stream.position:
            wait = self._wait = Wait(stream.position, self.shared.now.time_ns)
        acknowledged = self.acked >= stream.hole_end
        if stream.waits_for_copy:
            return acknowledged or self.peer.ack < 0
        wait.count(acknowledged=acknowledged)
        return wait.acknowledged > OVERTAKEN and wait.packets > self.shared.limits.reorder_packets

    def _check_framer(self, offset: int) -> None:
        """Goes on with what comes before `offset`, if no better version of it is waited for any longer."""
        framer, limits, wait = self.framer, self.shared.limits, self.version_wait
        if wait is None or wait.offset != offset:
            wait = self.version_wait = Wait(offset, self.shared.now.time_ns)
        wait.count(acknowledged=self.acked >= offset)
        if wait.acknowledged > OVERTAKEN:
            self._go_on(wait)
        elif wait.packets > limits.reorder_packets or framer.buffered > limits.max_pending:
            framer.resume(give_up=True)

    def _go_on(self, wait: Wait) -> None:
        """Waits no longer for other versions of what was acknowledged."""
        self._settled_to, self.version_wait = max(self.acked, wait.offset), None
        self.framer.resume(give_up=False)

    def _settle(self) -> None:
        """Fixes the first byte of a stream entered in the middle, and begins to cut frames."""
        if self.direction == "s2c":
            self.shared.server_settled = True
        self._starts, self._wait = [], None
        blocks = self.stream.settle(self.begin)
        self.framer = new_framer(self, self.stream.origin)
        self._pass_on(blocks)

    def give_up_overtaken(self, before_ns: int) -> None:
        """Waits no longer for packets that others overtook, if what they overtook came before `before_ns`."""
        if not self.stream.settled and self._wait is not None and self._wait.since_ns < before_ns:
            self._settle()
        wait = self.version_wait if self.framer.waiting_for_ack is not None else None
        if wait is not None and wait.acknowledged and wait.since_ns < before_ns:
            self._go_on(wait)

    def give_up_waiting(self, before_ns: int | None = None) -> None:
        """Waits no longer for what it began to wait for before `before_ns` (None: for nothing but holes)."""
        stream, framer = self.stream, self.framer
        if not stream.settled and before_ns is None:
            self._settle()
        if before_ns is not None and stream.settled and self._wait is not None and self._wait.since_ns < before_ns:
            while stream.waiting and stream.hole is not None:
                self._pass_on(stream.lose_hole("lost"))
        if before_ns is None or (self.version_wait is not None and self.version_wait.since_ns < before_ns):
            while framer.waiting_for_ack is not None:
                framer.resume(give_up=True)

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
        del self.framer, self.peer

    @property
    def acked(self) -> int:
        """Offset in this direction's stream up to which the peer has acknowledged, as far as its last packet tells."""
        stream, ack = self.stream, self.peer.ack
        if ack < 0 or not stream.started:
            return 0
        ahead = signed_distance(ack, stream.next_seq)
        return stream.position + ahead if ahead < WINDOW else 0

    @property
    def buffered(self) -> int:
        """Memory in use for what is buffered."""
        framer = self.framer
        size = self.stream.overhead + self.conflicts.size
        if framer.buffered:
            size += framer.buffered + framer.overhead
        return size

    # What its framer asks and tells, beside `FrameOutput`

    def unacknowledged(self, offset: int) -> bool:
        # (The first bytes of a stream entered in the middle are no header.)
        entered = self.framer.first_frame is None and self.begin is None
        return self.shared.state is not State.FINISHED and offset > self._settled_to and not entered

    def handle_upgraded(self) -> None:
        self.peer.framer.resume(give_up=False)

    def is_reversed(self, header: Header, opened: Verdict) -> bool:
        speaks_first = header[PROTO_ID] == INIT_CONNECT and self.direction == "s2c" and self.peer.untouched
        if speaks_first and self.sent_syn and self.peer.acked <= 0:
            return True
        return super().is_reversed(header, opened)

    def exchange_directions(self) -> None:
        shared, info, peer = self.shared, self.shared.info, self.peer
        earlier_keys = shared.verifier.earlier_keys
        shared.verifier = BodyVerifier(shared.keyring, shared.limits)
        shared.verifier.earlier_keys = earlier_keys
        self.flow.direction, peer.flow.direction = peer.flow.direction, self.flow.direction
        info.client, info.server = info.server, info.client
        for counts in (info.retransmissions, info.messages):
            counts["c2s"], counts["s2c"] = counts["s2c"], counts["c2s"]
        shared.server_settled = (self if self.direction == "s2c" else peer).stream.settled
