"""Follows one TCP connection with a gateway: both directions, the keys, and what is held back."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from decoder.conversation.closing import note_end, note_facts
from decoder.conversation.frame_output import new_message
from decoder.conversation.half_connection import NEAR, HalfConnection
from decoder.conversation.hold_queue import HoldQueue, Item, PendingMessage, requests_to_come
from decoder.conversation.out_of_window import OutOfWindow
from decoder.conversation.pairing import Pairing
from decoder.conversation.state import Event, SharedState, State
from decoder.framing.header import PROTO_ID
from decoder.message import Flow, Gap, Message
from decoder.tcp.segment import ACK, FIN, RST, SYN, Segment
from decoder.vocabulary import INIT_CONNECT

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        "halves",
        "info",
        "last_ns",
        "needs_slow_path",
        "out_of_window",
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
        self.out_of_window = OutOfWindow()
        """Segments that did not fit."""

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
        self._take(half, segment)
        self.check()

    def replay(self, segments: Iterable[tuple[HalfConnection, Segment]]) -> None:
        """Handles the segments without payload that were seen before the first byte."""
        for half, segment in segments:
            self._take(half, segment)
        self.check()

    def _take(self, half: HalfConnection, segment: Segment) -> None:
        shared, info = self.shared, self.info
        if segment.flags & ACK:
            half.acknowledge(segment.seq, segment.ack)
        seq, flags, arrival = segment.seq, segment.flags, segment.arrival
        shared.now = arrival
        shared.segments += 1
        time_ns = arrival.time_ns
        if time_ns > self.last_ns:
            self.last_ns = time_ns
        if time_ns < info.first_ns:
            info.first_ns = time_ns
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
            info.syn_seen = half.sent_syn = True

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
        client, server = self.halves
        if client.direction == "s2c":  # the content showed that it was the other way round
            self.halves = client, server = server, client
        for half in self.halves:
            if half.busy:
                half.check()
            else:
                half.version_wait = None
        if client.ending is not None or server.ending is not None:
            self._check_endings(client, server)
        if shared.items or len(self._hold) or shared.confirmed != self._confirmation_handled:
            self._emit_or_hold()
        # (Without a message the framing may still be chosen, which the fast path does not do.)
        self.needs_slow_path = (
            not shared.confirmed or shared.state is not State.OPEN or len(self._hold) > 0 or client.busy or server.busy
        )

    def _check_endings(self, client: HalfConnection, server: HalfConnection) -> None:
        """Changes the state if a stream stands where a FIN or RST said that it ends."""
        if client.reached and server.reached:
            self.shared.handle(Event.FINS_REACHED)
        if any(half.ending is not None and half.ending.reset and half.reached for half in (client, server)):
            self.shared.handle(Event.RST_REACHED)

    def fits(self, half: HalfConnection, segment: Segment) -> bool:
        """Returns True if a segment belongs to this connection, not to another one between the same ends."""
        if not segment.flags & SYN:
            continues = segment.seq == half.stream.next_seq
            return half.fits(segment) and (continues or not self.out_of_window.announces(half, segment))
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

    # Emitting and holding back

    def _emit_or_hold(self) -> None:
        """Emits what came out, or holds it back; then what was held back, if nothing is waited for."""
        shared, hold = self.shared, self._hold
        while shared.items:
            items, shared.items = shared.items, []
            waits = self._waits
            for item in items:
                if waits or len(hold) or isinstance(item, PendingMessage) or self._defers(item):
                    self._hold_back(item)
                else:
                    self._emit(item)
            self._handle_confirmation()
        key_may_come = hold.pending and shared.may_hold
        copy_may_come = self._defers_request and self.twins is None and len(hold) < _MAX_DEFERRED
        if len(hold) and not (key_may_come or copy_may_come or self._waits):
            self._emit_held()

    @property
    def _waits(self) -> bool:
        """True while what comes out must be held back, so that the order is right."""
        return self.halves[0].waits or self.halves[1].waits

    def _hold_back(self, item: Item) -> None:
        if not self._hold.add(item):
            self.results.limits_hit.add(
                "too many messages waited for an InitConnect response; not all of them could be opened"
            )
            self.release_held()
        elif self._defers_request and self.twins is None and _is_handshake(item, "s2c"):
            self.results.twin_finder.find(self, item)

    def _handle_confirmation(self) -> None:
        """Lets both directions look again once it is known that the connection speaks the protocol."""
        if self.shared.confirmed and not self._confirmation_handled:
            self._confirmation_handled = True
            for half in self.halves:
                if half.stream.settled:
                    half.framer.resume(give_up=False)

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
        if not (items or len(self._hold)):
            return
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
        flow, header, body, arrival, notes, other = pending
        verifier = self.shared.verifier
        opened = verifier.open(flow.direction, header, body)
        if other is not None and opened.name != "verified":
            repaired = verifier.open(flow.direction, header, other)
            opened = repaired if repaired.name == "verified" else opened
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
        shared = self.shared
        if shared.state is State.FINISHED:
            return
        note_end(self.info, *self.halves, self.last_ns)
        shared.handle(Event.FINISH)
        for half in (self.server, self.client):  # the server's may hold the keys to the client's
            half.finish()
        for half in self.halves if shared.confirmed else ():
            half.framer.report_silent()
        self._emit_held()
        note_facts(self.info, *self.halves, self.twins, self.results.limits_hit)
        self.out_of_window.clear()

    def release(self) -> None:
        """Breaks the reference cycles of its directions, so that memory is free at once."""
        self.released = True
        for half in self.halves:
            half.release()


def _is_handshake(item: Item, direction: Direction) -> TypeGuard[Message]:
    """Returns True if an item is the InitConnect message of a direction."""
    return isinstance(item, Message) and item.header[PROTO_ID] == INIT_CONNECT and item.direction == direction
