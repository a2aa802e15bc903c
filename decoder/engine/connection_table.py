"""Finds the connection that a segment belongs to, tells a new one from an old one, and bounds what all of them hold.

Two ends may use the same ports again, and anybody can send packets that look as if they did.  So a later connection
replaces the one before it only on evidence: a complete handshake, or two segments that agree with each other and not
with it.  The older one is kept, and data that continues it still goes there.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from decoder.conversation.connection import Connection
from decoder.conversation.state import State
from decoder.conversation.summary import ConnectionInfo, Results, Summary
from decoder.engine.gateway_ports import GatewayPorts
from decoder.engine.half_open import HALF_OPEN_COST, HalfOpen
from decoder.packet import flow_key
from decoder.tcp.segment import ACK, SYN, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from decoder.conversation.half_connection import HalfConnection
    from decoder.crypto.keyring import KeyRing
    from decoder.limits import Limits

__all__ = ["CONNECTION_COST", "ConnectionTable"]

CONNECTION_COST = 9 * 1024
"""Bytes of memory that a connection takes beside what it buffers (measured: tests/scenarios/test_memory.py)."""
_UNCOUNTED = 64
"""Connections that a limit of any size allows: their fixed memory is not counted."""
_MAX_CLOSED = 1024
"""Closed connections that are kept, for data that continues and for late retransmissions."""

_TOO_MANY = "too many connections at once; those silent longest were closed early"

Entry = tuple[Connection, "HalfConnection"]


class ConnectionTable:
    """Keeps the connections of one decoder."""

    def __init__(
        self,
        *,
        keys: KeyRing,
        ports: set[int],
        auto: bool,
        limits: Limits,
        results: Results,
        summary: Summary,
        on_connection: Callable[[ConnectionInfo], None] | None,
        flows: Container[bytes] | None = None,
    ) -> None:
        self.entries: dict[bytes, Entry] = {}
        """By address and port of both ends, source first: the connection and the direction."""
        self.flows = flows
        """Flow keys of both directions of the connections to decode; None for all."""
        self.gateways = GatewayPorts(ports, summary, limits.max_body, auto=auto)
        """The gateway's ports."""
        self.buffered = 0
        """Bytes that all connections buffer."""
        self.segments = 0
        """Segments with payload so far."""
        self.latest_ns = 0
        """Time of the last packet."""
        self.cut_payloads = False
        """True if the snap length cut a payload."""
        self._keys = keys
        self._limits = limits
        self._results = results
        self._summary = summary
        self._on_connection = on_connection
        self._ordinals = 0
        self._current: Connection | None = None  # the one whose segment is handled: it is not ended meanwhile
        self._half_open: dict[bytes, HalfOpen] = {}
        self._older: dict[bytes, Entry] = {}  # the connection before that between the same ends
        self._closed: deque[tuple[bytes, Connection]] = deque()

    # Segments

    def handle(self, key: bytes, segment: Segment) -> bool:
        """Handles a segment that takes the slow path; returns True if it has payload and belongs to a gateway."""
        self.cut_payloads = self.cut_payloads or segment.missing > 0
        entry = self.entries.get(key)
        if entry is None and self.flows is not None and key not in self.flows:
            return False
        entry = self._admit(key, segment) if entry is None else self._route(key, entry, segment)
        if entry is None:
            return segment.size > 0 and self.gateways.concern(key)
        self._deliver(key, entry, segment)
        return segment.size > 0

    def _deliver(self, key: bytes, entry: Entry, segment: Segment) -> None:
        connection, half = entry
        self._current = connection
        connection.handle(half, segment)
        self.count(connection)
        if connection.over and not connection.scheduled:
            connection.scheduled = True
            self._closed.append((key, connection))
            if len(self._closed) > _MAX_CLOSED:
                self._retire(*self._closed.popleft())

    def _route(self, key: bytes, entry: Entry, segment: Segment) -> Entry | None:
        """Returns the connection between these ends that the segment belongs to; None if there is none (yet)."""
        connection, half = entry
        older = self._older.get(key) if self._older else None
        if older is not None and not connection.shared.confirmed and older[1].continued_by(segment):
            self._exchange(key)
            return older
        if connection.fits(half, segment):
            return entry
        if older is not None and older[0].fits(older[1], segment):
            return older
        ended = connection.shared.state is State.FINISHED or connection.complete
        if segment.flags & (SYN | ACK) == SYN and (ended or connection.shared.state is State.RESET):
            self._set_aside(key)
            return self._admit(key, segment)
        kept = connection.out_of_window.matching(half, segment)
        if not kept and not (ended and not segment.flags & SYN):
            connection.info.out_of_window += 1
            connection.out_of_window.keep(half, segment)
            return None
        from_client = half.direction == "c2s"
        self._set_aside(key)
        new = self._open(key, from_client, segment)
        for other, earlier in kept:
            self._deliver(*self._side(key, new, same=other is half), earlier)
        return new

    @staticmethod
    def _side(key: bytes, entry: Entry, *, same: bool) -> tuple[bytes, Entry]:
        connection, half = entry
        return (key, entry) if same else (flow_key.reverse_key(key), (connection, half.peer))

    # Memory

    def count(self, connection: Connection) -> None:
        """Keeps the total of what is buffered, and makes room when it passes the limit."""
        self._recount(connection)
        self._check_limit()

    def count_half(self, half: HalfConnection) -> None:
        """Does so where nothing but the buffer of one direction has changed."""
        more = half.buffered - half.counted
        self.buffered += more
        half.counted += more
        if more > 0:
            self._check_limit()

    @property
    def _fixed(self) -> int:
        """Memory that connections take beside what they buffer."""
        connections = (len(self.entries) + len(self._older)) // 2
        return CONNECTION_COST * max(0, connections - _UNCOUNTED) + HALF_OPEN_COST * len(self._half_open)

    @property
    def room(self) -> int:
        """Bytes that may still be buffered before room is made."""
        return self._limits.max_memory - self.buffered - self._fixed

    def _check_limit(self) -> None:
        if self.room < 0:
            self._make_room(self._fixed)

    def _recount(self, connection: Connection) -> None:
        client, server = connection.halves
        before = client.counted + server.counted
        client.counted = client.buffered + connection.held_bytes
        server.counted = server.buffered
        self.buffered += client.counted + server.counted - before

    def _make_room(self, fixed: int) -> None:
        """Frees what the fullest connections buffer; then ends those that were silent longest."""
        enough = self._limits.max_memory * 7 // 8
        fullest = sorted(self.entries.values(), key=lambda entry: entry[1].counted, reverse=True)
        for connection, half in fullest:
            if self.buffered + fixed <= enough or not half.counted:
                break
            connection.drop_buffered(half)
            self._recount(connection)
        if self.buffered + fixed > self._limits.max_memory:
            self._evict()

    def _evict(self) -> None:
        """Makes room for new connections: ends a tenth of them, those that were silent longest."""
        self._summary.report(_TOO_MANY)
        keys = {connection: key for key, (connection, _) in self.entries.items() if connection is not self._current}
        quiet = sorted(keys, key=lambda connection: connection.last_ns)
        for connection in quiet[: len(quiet) // 10 + 1]:
            self._retire(keys[connection], connection)
        self._evict_half_open()

    def _evict_half_open(self) -> None:
        """Reports a tenth of the connections without a byte, those that began first, and forgets them."""
        if self._half_open:
            self._summary.report(_TOO_MANY)
        for key in list(islice(self._half_open, len(self._half_open) // 10 + 1)):  # one by one would be quadratic
            self._report_half_open(key, self._half_open.pop(key))

    # Connections

    def _admit(self, key: bytes, segment: Segment) -> Entry | None:
        """Returns the new connection that a segment begins; None if it is none of a gateway's, or has no data yet."""
        older = self._older.get(key)
        if older is not None and segment.size and older[0].fits(older[1], segment) and not self._expected(key, segment):
            self._restore(key)
            return older
        to_gateway = self.gateways.to_gateway(key, segment)
        if to_gateway is None:
            return None
        if len(self.entries) >= 2 * self._limits.max_connections:
            self._evict()
        if not segment.size:
            self._remember(key, segment)
            return None
        return self._promote(key, to_gateway, segment)

    def _remember(self, key: bytes, segment: Segment) -> None:
        """Remembers a packet of a connection that has carried no byte yet."""
        reverse = flow_key.reverse_key(key)
        forward = reverse not in self._half_open
        first = key if forward else reverse
        known = self._half_open.get(first)
        if known is not None and known.begins_another(segment):
            self._report_half_open(first, self._half_open.pop(first))
            known, first, forward = None, key, True
        if known is None:
            if len(self._half_open) >= self._limits.max_connections:
                self._evict_half_open()
            known = self._half_open[first] = HalfOpen(self._next_ordinal())
        known.add(forward, segment)

    def _expected(self, key: bytes, segment: Segment) -> bool:
        """Returns True if a segment is the first data behind a handshake that was seen."""
        known = self._half_open.get(key) or self._half_open.get(flow_key.reverse_key(key))
        if known is None:
            return False
        numbers = [each.seq + 1 for _, each in known.segments() if each.flags & SYN]
        return any((segment.seq - number) & 0xFFFFFFFF == 0 for number in numbers)

    def _promote(self, key: bytes, to_gateway: bool, segment: Segment) -> Entry:
        """Opens the connection that a segment with data begins, with the handshake that was seen of it."""
        reverse = flow_key.reverse_key(key)
        known = self._half_open.pop(key, None)
        same = known is not None
        known = known or self._half_open.pop(reverse, None)
        earlier = [] if known is None else list(known.segments())
        for end in (key, reverse):
            syn = self.gateways.take_syn(end)
            if syn is not None:
                same = True
                earlier.append((end == key, syn))
        first = earlier[0][1] if earlier else segment
        entry = self._open(key, to_gateway, first, None if known is None else known.ordinal)
        connection, half = entry
        connection.replay((half if forward == same else half.peer, each) for forward, each in earlier)
        return entry

    def _next_ordinal(self) -> int:
        self._ordinals += 1
        return self._ordinals - 1

    def _open(self, key: bytes, to_gateway: bool, segment: Segment, ordinal: int | None = None) -> Entry:
        source, destination = flow_key.endpoints(key)
        client, server = (source, destination) if to_gateway else (destination, source)
        arrival = segment.arrival
        number = self._next_ordinal() if ordinal is None else ordinal
        info = ConnectionInfo(number, client, server, arrival.time_ns, arrival.time_ns)
        connection = Connection(info, self._keys, self._limits, self._results, arrival)
        older = self._older.get(key)
        if older is not None:
            connection.shared.verifier.earlier_keys = older[0].shared.verifier.known_keys
        half = connection.client if to_gateway else connection.server
        self.entries[key] = connection, half
        self.entries[flow_key.reverse_key(key)] = connection, half.peer
        return connection, half

    def _set_aside(self, key: bytes) -> None:
        """Makes room for a later connection between the same ends; keeps one older one, rather one that spoke."""
        reverse = flow_key.reverse_key(key)
        current = self.entries.pop(key), self.entries.pop(reverse)
        older = self._older.get(key)
        if older is not None and older[0].shared.confirmed and not current[0][0].shared.confirmed:
            self._drop(current[0][0])
            return
        if older is not None:
            self._drop(older[0])
        self._older[key], self._older[reverse] = current

    def _exchange(self, key: bytes) -> None:
        """Lets the older connection be the current one again, and the other way round."""
        for end in (key, flow_key.reverse_key(key)):
            self.entries[end], self._older[end] = self._older[end], self.entries[end]

    def _restore(self, key: bytes) -> None:
        """Lets the older connection be the current one again."""
        for end in (key, flow_key.reverse_key(key)):
            self.entries[end] = self._older.pop(end)

    # The end

    def tick(self, now_ns: int) -> None:
        """Ends all waits that began `max_wait_ns` before `now_ns`, and reports connections that closed before."""
        before_ns = now_ns - self._limits.max_wait_ns
        for connection in dict.fromkeys(connection for connection, _ in self.entries.values()):
            if connection.needs_slow_path:
                connection.tick(now_ns)
                self._recount(connection)
        while self._closed and self._closed[0][1].last_ns < before_ns:
            _, connection = self._closed.popleft()
            if connection.over:
                self._finish(connection)
            else:
                connection.scheduled = False

    def flush(self) -> None:
        """Ends all connections, in the order in which they began."""
        remaining = {
            connection.info.ordinal: connection for connection, _ in (*self._older.values(), *self.entries.values())
        }
        half_open = {known.ordinal: (key, known) for key, known in self._half_open.items()}
        for ordinal in sorted((*remaining, *half_open)):
            if ordinal in remaining:
                self._finish(remaining[ordinal])
            else:
                self._report_half_open(*half_open[ordinal])
        self.entries.clear()
        self._older.clear()
        self._closed.clear()
        self._half_open.clear()
        self.buffered = 0

    def _retire(self, key: bytes, connection: Connection) -> None:
        """Ends a connection, and forgets it unless data has opened it again."""
        if connection.scheduled and not connection.over:
            connection.scheduled = False
            return
        for table in (self.entries, self._older):
            for end in (key, flow_key.reverse_key(key)):
                if end in table and table[end][0] is connection:
                    del table[end]
        self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if connection.released:
            return
        self._finish(connection)
        for half in (connection.client, connection.server):
            self.buffered -= half.counted
        connection.release()

    def _finish(self, connection: Connection) -> None:
        if connection.shared.state is State.FINISHED:
            return
        connection.finish()
        self._recount(connection)
        self._report(connection.info)

    def _report(self, info: ConnectionInfo) -> None:
        self._summary.add_remarks(info)
        if self.gateways.auto and not info.confirmed and int(info.server.rpartition(":")[2]) not in self.gateways.ports:
            return  # one with some other server
        self._summary.add_connection(info)
        if self._on_connection is not None:
            self._on_connection(info)

    def _report_half_open(self, key: bytes, known: HalfOpen) -> None:
        """Reports a connection that never carried a byte."""
        segments = list(known.segments())
        _, first = segments[0]
        source, destination = flow_key.endpoints(key)
        to_gateway = self.gateways.to_gateway(key, first) is not False
        client, server = (source, destination) if to_gateway else (destination, source)
        info = ConnectionInfo(known.ordinal, client, server, first.arrival.time_ns, first.arrival.time_ns)
        if len(segments) == 1 and first.flags & SYN:
            info.opened = True
            info.syn_seen, info.syn_ack_seen = not first.flags & ACK, bool(first.flags & ACK)
        else:
            connection = Connection(info, self._keys, self._limits, self._results, first.arrival)
            half = connection.client if to_gateway else connection.server
            connection.replay((half if forward else half.peer, segment) for forward, segment in segments)
            connection.finish()
            connection.release()
        self._report(info)

    def note_step_back(self, latest_ns: int, time_ns: int, number: int) -> None:
        """Takes note that the time of packet `number` lies before that of the packet before it."""
        summary = self._summary
        summary.clock_steps += 1
        step_ns = latest_ns - time_ns
        if step_ns > summary.largest_step_ns:
            summary.largest_step_ns, summary.step_packet = step_ns, number
