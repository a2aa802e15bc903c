"""Follows one TCP connection with a gateway: both directions, the keys, and what is held back."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from decoder.conversation.half_connection import NEAR, HalfConnection, new_message
from decoder.conversation.hold_queue import HoldQueue, Item, PendingMessage, requests_to_come
from decoder.conversation.pairing import Pairing
from decoder.conversation.state import Event, SharedState, State
from decoder.framing.header import PROTO_ID
from decoder.message import Flow, Gap, Message
from decoder.tcp.segment import ACK, FIN, RST, SYN, Segment, signed_distance
from decoder.vocabulary import INIT_CONNECT

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo, Results
    from decoder.conversation.twins import Twins
    from decoder.crypto.keyring import KeyRing
    from decoder.limits import Limits
    from decoder.vocabulary import Arrival, Direction

__all__ = ["Connection"]

_SYN_DATA = 64 * 1024
"""Bytes by which the answer to a SYN may acknowledge more than the SYN: more than the payload of any SYN."""
_MAX_DEFERRED = 16
"""Messages for which a repeated InitConnect request waits, to be recognized as a copy by its response."""
_MAX_OUT_OF_WINDOW = 8
"""Segments kept that may be the first of a later connection; the oldest is dropped for a new one."""
_OVERTAKING_NS = 200_000_000
"""Nanoseconds for which a live source waits for packets that others overtook where a capture begins; they come within
microseconds, and a line is to be shown within 0.3 s."""


class Connection:
    """Handles the segments of both directions."""

    __slots__ = (
        "__weakref__",
        "_confirmation_handled",
        "_defers_request",
        "_hold",
        "_out_of_window",
        "halves",
        "info",
        "last_ns",
        "needs_slow_path",
        "pairing",
        "released",
        "results",
        "scheduled",
        "shared",
        "twins",
    )

    def __init__(self, info: ConnectionInfo, keyring: KeyRing, limits: Limits, results: Results, now: Arrival) -> None:
        self.info = info
        self.shared = SharedState(info, keyring, limits, now)
        ends, first_ns = (info.client, info.server), info.first_ns
        client = HalfConnection(self.shared, Flow(info.ordinal, "c2s", *ends, limits, first_ns=first_ns))
        server = HalfConnection(self.shared, Flow(info.ordinal, "s2c", *ends[::-1], limits, first_ns=first_ns))
        client.peer, server.peer = server, client
        self.halves = (client, server)
        """Both directions."""
        self.last_ns = now.time_ns
        """Latest time of a packet."""
        self.needs_slow_path = False
        """True while the fast path must not be used: something waits, or the connection is over."""
        self.scheduled = False
        """True once the owner has scheduled its end."""
        self.released = False
        """True once `release` was called."""
        self.twins: Twins | None = None
        """The connection that carries the same conversation, if one does."""
        self._confirmation_handled = False
        self._defers_request = False  # a repeated InitConnect request waits for its response
        self._hold = HoldQueue(limits)
        self.pairing = Pairing(results, limits)
        self.results = results
        """Collects the messages and gaps that come out."""
        self._out_of_window: list[tuple[HalfConnection, Segment]] = []

    @property
    def client(self) -> HalfConnection:
        """The direction from the client to the gateway."""
        return self.halves[0]

    @property
    def server(self) -> HalfConnection:
        """The direction from the gateway to the client."""
        return self.halves[1]

    @property
    def ordinal(self) -> int:
        """Its ordinal in the capture."""
        return self.info.ordinal

    @property
    def held_bytes(self) -> int:
        """Memory in use for what is held back."""
        return self._hold.size

    @property
    def over(self) -> bool:
        """True if its end was seen, so far."""
        return self.shared.state is not State.OPEN

    @property
    def complete(self) -> bool:
        """True if both directions are complete up to their FIN, and acknowledged."""
        return all(half.reached and half.end_acknowledged for half in self.halves)

    # Segments

    def handle(self, half: HalfConnection, segment: Segment) -> None:
        """Handles a segment that belongs to the connection and takes the slow path."""
        shared, info = self.shared, self.info
        seq, flags, arrival = segment.seq, segment.flags, segment.arrival
        shared.now = arrival
        shared.segments += 1
        self.last_ns = max(self.last_ns, arrival.time_ns)
        info.first_ns = min(info.first_ns, arrival.time_ns)
        if flags & SYN:
            segment = segment._replace(seq=seq + 1)
            self._handle_syn(half, segment)
        if flags & RST:
            half.handle_end(seq, arrival, reset=True)
        else:
            if flags & FIN:
                half.handle_end(segment.seq + segment.size, arrival, reset=False)
            if segment.size:
                self._handle_data(half, segment)
        self.check()

    def _handle_syn(self, half: HalfConnection, segment: Segment) -> None:
        info = self.info
        half.handle_syn(segment.seq)
        info.opened = self.shared.from_start = True
        # Who sends the SYN is the client, unless the port that was given as the gateway's says otherwise.
        self.shared.direction_known = (half.direction == "c2s") != bool(segment.flags & ACK)
        if segment.flags & ACK:
            info.syn_ack_seen = True
            if half.begin is not None and half.stream.offset(segment.seq) == half.begin:
                half.peer.handle_syn(segment.ack)
        else:
            info.syn_seen = True

    def _handle_data(self, half: HalfConnection, segment: Segment) -> None:
        position = half.stream.position
        if not half.handle_data(segment):
            self.info.retransmissions[half.direction] += 1
            if self.results.on_retransmission is not None:
                self.results.on_retransmission(segment.arrival.packets[-1])
        elif half.stream.position > position:
            if half.ending is not None and half.stream.position > half.ending.offset:
                half.ending = None  # nothing follows a real FIN or RST
            self.shared.handle(Event.DATA_CONTINUES)

    def check(self) -> None:
        """Decides what need not be waited for any longer, and emits what came out."""
        shared = self.shared
        if self.client.direction == "s2c":  # the content showed that it was the other way round
            self.halves = self.server, self.client
        for half in self.halves:
            half.check()
        if self.client.ending is not None or self.server.ending is not None:
            if self.client.reached and self.server.reached:
                shared.handle(Event.FINS_REACHED)
            if any(half.reached and half.ending is not None and half.ending.reset for half in self.halves):
                shared.handle(Event.RST_REACHED)
        self._emit_or_hold()
        waits = any(half.waits or half.stream.waiting for half in self.halves)
        # (Without a message the framing may still be chosen, which the fast path does not do.)
        self.needs_slow_path = waits or self.over or len(self._hold) > 0 or not shared.confirmed

    def fits(self, half: HalfConnection, segment: Segment) -> bool:
        """Returns True if a segment belongs to this connection, not to another one between the same ends."""
        if not segment.flags & SYN:
            expected_elsewhere = segment.seq != half.stream.next_seq and any(
                kept.flags & SYN for _, kept in self.matching_out_of_window(half, segment)
            )
            return half.fits(segment) and not expected_elsewhere
        peer, seq = half.peer, segment.seq + 1
        if segment.flags & ACK and peer.begin is not None:
            acknowledged = peer.stream.offset(segment.ack) - peer.begin
            if not 0 <= acknowledged < _SYN_DATA and not half.untouched:
                return False
        if half.begin is not None:
            return half.stream.offset(seq) == half.begin or (half.untouched and not self.over)
        # Data may have overtaken the SYN, but not by much.
        stream = half.stream
        return not stream.started or (not stream.settled and -NEAR < stream.offset(seq) <= stream.first_pending)

    # Packets that belong to no place of its streams

    def keep_out_of_window(self, half: HalfConnection, segment: Segment) -> None:
        """Keeps a segment that does not fit: it is stray, forged or damaged, or the first of a later connection."""
        self.info.out_of_window += 1
        self._out_of_window.append((half, segment))
        del self._out_of_window[:-_MAX_OUT_OF_WINDOW]

    def matching_out_of_window(self, half: HalfConnection, segment: Segment) -> list[tuple[HalfConnection, Segment]]:
        """Returns the kept segments that show, together with this one, that a later connection has begun."""
        return [each for each in self._out_of_window if _agree(half, segment, *each)]

    # Emitting and holding back

    def _emit_or_hold(self) -> None:
        """Emits what came out, or holds it back; then what was held back, if nothing is waited for."""
        shared, hold = self.shared, self._hold
        while shared.items:
            items, shared.items = shared.items, []
            waits = any(half.waits for half in self.halves)
            for item in items:
                if not (waits or len(hold) or isinstance(item, PendingMessage) or self._defers(item)):
                    self._emit(item)
                elif hold.add(item):
                    if self._defers_request and self.twins is None and _is_handshake(item, "s2c"):
                        self.results.twin_finder.find(self, item)
                else:
                    self.results.limits_hit.add(
                        "too many messages waited for an InitConnect response; not all of them could be opened"
                    )
                    self.release_held()
            if shared.confirmed and not self._confirmation_handled:
                self._confirmation_handled = True
                for half in self.halves:  # what begins there counts now as well
                    if half.stream.settled:
                        half.framer.resume(give_up=False)
        if not len(hold) or (hold.pending and shared.may_hold) or any(half.waits for half in self.halves):
            return
        if self._defers_request and self.twins is None and len(hold) < _MAX_DEFERRED:
            return
        self._emit_held()

    def emit_items(self) -> None:
        """Emits what came out, where nothing was waited for so far: `check` for the fast path."""
        shared = self.shared
        client, server = self.halves
        waits = client.framer.waiting_for_ack is not None or server.framer.waiting_for_ack is not None
        if waits or not self._confirmation_handled or any(isinstance(item, PendingMessage) for item in shared.items):
            self.check()
            return
        items, shared.items = shared.items, []
        for item in items:
            self._emit(item)

    def emit(self, message: Message) -> None:
        """Numbers a message and adds it to the results."""
        self.info.messages[message.direction] += 1
        twins = self.twins
        if twins is not None:
            twins.check(self.info.ordinal, message)
            if twins.given_up:
                self.twins = None
            if message.copy and self.results.dedup:
                return
        elif message.header[PROTO_ID] == INIT_CONNECT and message.direction == "s2c":
            self.results.twin_finder.find(self, message)
            if message.copy and self.results.dedup:
                return
        self.pairing.emit(message, self.client)

    def release_held(self) -> None:
        """Emits what is held back, however long it would have to wait."""
        if self._hold.pending:
            self.shared.hold_overflowed = True
        for half in (self.server, self.client):
            half.give_up_waiting()
        self._emit_held()

    def _emit_held(self) -> None:
        """Emits what is held back and all that came out since."""
        items, self.shared.items = self.shared.items, []
        for item in items:
            self._hold.add(item)
        items = self._hold.take_all()
        if self._defers_request:
            items = self._without_copied_request(items)
        to_come = requests_to_come(items)
        for item in items:
            if isinstance(item, PendingMessage):
                item = self._verified(item)
            if isinstance(item, Message):
                self.pairing.note_later_request(item, to_come)
            self._emit(item)

    def _defers(self, item: Item) -> bool:
        """Returns True, where copies do not come out, if an InitConnect request must wait for its response."""
        if not self.results.dedup or not isinstance(item, Message) or item.kind != "request":
            return False
        if item.header[PROTO_ID] == INIT_CONNECT and self.results.twin_finder.is_repeated(item):
            self._defers_request = True
        return self._defers_request

    def _without_copied_request(self, items: list[Item]) -> list[Item]:
        """Drops the InitConnect request that waited, if the response shows that it is a copy."""
        self._defers_request = False
        if self.twins is None:
            return items
        return [item for item in items if not _is_handshake(item, "c2s")]

    def _verified(self, pending: PendingMessage) -> Message:
        flow, header, body, arrival, notes = pending
        verifier = self.shared.verifier
        opened = verifier.open(flow.direction, header, body)
        return new_message(flow, header, opened, arrival, verifier.conn_id, notes)

    def _emit(self, item: Item) -> None:
        if isinstance(item, Gap):
            self.results.gaps[item.reason] += 1
            self.results.items.append(item)
        elif isinstance(item, Message):
            self.emit(item)

    # The end

    def tick(self, now_ns: int) -> None:
        """Waits no longer for what it began to wait for long enough before `now_ns`, in nanoseconds since 1970."""
        before_ns = now_ns - self.shared.limits.max_wait_ns
        for half in (self.server, self.client):
            half.give_up_overtaken(now_ns - _OVERTAKING_NS)
            half.give_up_waiting(before_ns)
        if len(self._hold) and self.last_ns < before_ns:
            self.release_held()
        self.check()

    def drop_buffered(self, half: HalfConnection) -> None:
        """Frees what is buffered in one direction and held back, because memory is short."""
        half.drop_buffered()
        self._emit_or_hold()
        if len(self._hold):
            self.release_held()

    def finish(self) -> None:
        """Ends the connection, or the capture: emits all that is left."""
        shared, info = self.shared, self.info
        if shared.state is State.FINISHED:
            return
        self._complete_info()
        shared.handle(Event.FINISH)
        for half in (self.server, self.client):  # the server's may hold the keys to the client's
            half.finish()
        for half in self.halves if shared.confirmed else ():
            half.framer.report_silent()
        self._emit_held()
        verifier = shared.verifier
        if verifier.log_exhausted:
            self.results.limits_hit.add("too many keys of a key log were tried on a connection; not all of them were")
        if verifier.rsa_exhausted:
            self.results.limits_hit.add(
                "too many RSA keys failed on InitConnect; not every key was tried on each message"
            )
        info.sample_key = verifier.sample_key
        info.confirmed = shared.confirmed
        if self.twins is not None and self.twins.proven and info.ordinal == self.twins.ordinals[1]:
            info.copy_of = self.twins.ordinals[0]
        heard = any(half.stream.position > half.lost for half in self.halves)
        info.not_opend = heard and not shared.confirmed
        for half in self.halves:
            info.bytes[half.direction] = half.stream.position - half.stream.origin
            info.first_bytes[half.direction] = half.framer.first_bytes
        self._out_of_window = []

    def _complete_info(self) -> None:
        """Says who closed the connection: the first FIN or RST that no data contradicts."""
        info = self.info
        info.last_ns = max(info.last_ns, self.last_ns)
        endings = [
            (half.ending.arrival.packets[-1], name, half.ending)
            for name, half in (("client", self.client), ("server", self.server))
            if half.ending is not None and (half.reached or not half.ending.reset or self._is_last(half.ending.arrival))
        ]
        for packet, name, ending in sorted(endings)[:1]:
            info.closed_by, info.closed_ns, info.closed_frame = name, ending.arrival.time_ns, packet
        if info.closed_by is not None:
            info.closed_by = info.said_goodbye or info.closed_by
        info.reset = any(ending.reset for _, _, ending in endings)

    def _is_last(self, arrival: Arrival) -> bool:
        return arrival.time_ns >= self.last_ns

    def release(self) -> None:
        """Breaks the reference cycles of its directions, so that memory is free at once."""
        self.released = True
        for half in self.halves:
            half.release()


def _is_handshake(item: Item, direction: Direction) -> TypeGuard[Message]:
    """Returns True if an item is the InitConnect message of a direction."""
    return isinstance(item, Message) and item.header[PROTO_ID] == INIT_CONNECT and item.direction == direction


def _agree(half: HalfConnection, segment: Segment, other_half: HalfConnection, other: Segment) -> bool:
    """Returns True if two segments out of window belong to one handshake, or are near each other."""
    same = half is other_half
    if segment.flags & SYN and other.flags & SYN:
        if same or not (segment.flags | other.flags) & ACK or segment.flags & other.flags & ACK:
            return False
        first, answer = (other, segment) if segment.flags & ACK else (segment, other)
        return signed_distance(answer.ack, first.seq + 1) == 0
    if segment.flags & SYN or not segment.size:
        return False
    if other.flags & SYN:
        if same:
            return signed_distance(segment.seq, other.seq + 1) == 0
        return bool(other.flags & ACK) and signed_distance(segment.seq, other.ack) == 0
    reference = segment.seq if same else segment.ack
    return abs(signed_distance(reference, other.seq)) < NEAR
