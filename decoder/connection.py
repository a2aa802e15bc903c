"""One TCP connection with a gateway: two sides, one set of keys, requests that wait for their answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .message import Flow, Gap, Message
from .reassembly import signed_distance
from .schema import PUSH_IDS
from .side import Side
from .verdict import INIT_CONNECT, Opener

if TYPE_CHECKING:
    from collections.abc import Callable

    from .header import Header
    from .keys import KeyRing
    from .limits import Limits
    from .message import Kind
    from .side import Segment
    from .verdict import Opened

__all__ = ["ACK", "FIN", "RST", "SYN", "Connection", "ConnectionInfo", "Outlet"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_NEAR = 1024 * 1024
_FAR = 64 * 1024 * 1024  # a jump in the sequence numbers that no window allows: another connection on the same ports


@dataclass
class ConnectionInfo:
    """What is known of one connection as such; complete once the connection has ended."""

    ordinal: int
    client: str
    server: str
    first_ns: int
    last_ns: int
    opened: bool = False
    """Whether its SYN is in the capture."""
    closed_by: str | None = None
    """``client`` or ``server``, whoever sent the first FIN or RST; None while open."""
    reset: bool = False
    """Whether a RST ended it."""
    closed_ns: int | None = None
    closed_frame: int | None = None
    """Number of the packet with that FIN or RST."""
    foreign: bool = False
    """Whether data but never a header was seen."""
    sample_key: bool = False
    """Whether the vendor's public sample key opens its InitConnect."""
    bytes: dict[str, int] = field(default_factory=lambda: {"c2s": 0, "s2c": 0})
    """Bytes of each direction's stream, holes included."""
    retransmissions: dict[str, int] = field(default_factory=lambda: {"c2s": 0, "s2c": 0})
    """Packets of each direction all of whose payload had been captured before."""


@dataclass
class Outlet:
    """Where the messages and gaps of all connections come out, in the order of the records."""

    items: list[Message | Gap] = field(default_factory=list)
    """What came out and was not fetched yet."""
    messages: int = 0
    """Messages so far: the number of the last one."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Those that are not verified, by reason."""
    gaps: Counter[str] = field(default_factory=Counter)
    """Gaps, by reason."""
    on_retransmission: Callable[[int], None] | None = None
    """Who is told the number of each packet that brings nothing new."""


class Connection:
    """What the two sides share."""

    __slots__ = (
        "_held",
        "_held_bytes",
        "_hold_spent",
        "careful",
        "client",
        "closing",
        "finished",
        "first_number",
        "info",
        "limits",
        "now_ns",
        "now_number",
        "opener",
        "outlet",
        "over",
        "requests",
        "server",
        "trusted",
    )

    def __init__(
        self,
        info: ConnectionInfo,
        first_number: int,
        keyring: KeyRing,
        limits: Limits,
        outlet: Outlet,
    ) -> None:
        self.info = info
        self.first_number = first_number  # of its first packet
        self.limits = limits
        self.opener = Opener(keyring, limits)
        self.outlet = outlet
        self.client = Side(self, Flow(info.ordinal, "c2s", info.client, info.server), limits)
        self.server = Side(self, Flow(info.ordinal, "s2c", info.server, info.client), limits)
        self.client.peer, self.server.peer = self.server, self.client
        self.trusted = False
        """Whether a header of the protocol was accepted on it."""
        self.careful = False
        """Whether each packet must be looked at with care: bytes are pending, or the connection is over."""
        self.over = False
        """Whether both sides are through, or a RST was seen."""
        self.closing = False
        """Whether its end is scheduled."""
        self.finished = False
        """Whether `finish` was called: only late copies are expected."""
        self.now_ns = info.first_ns
        """Time of the packet seen last."""
        self.now_number = first_number
        """Its number."""
        self.requests: dict[tuple[int, int], tuple[int, int]] = {}
        """Unanswered requests: protocol id and serial number to record number and time."""
        self._held: list[Message | Gap | _HeldFrame] = []
        self._held_bytes = 0
        self._hold_spent = False

    # Segments

    def take(self, side: Side, segment: Segment) -> None:
        """Take a segment that needs care."""
        seq, _, flags, payload, missing, numbers, time_ns = segment
        info = self.info
        self.now_ns = time_ns
        self.now_number = numbers[-1]
        if flags & SYN:
            seq += 1
            if not side.stream.started:
                side.stream.start(seq)
            if not side.syn_seen:
                side.syn_seen = info.opened = True
                side.first = side.stream.offset(seq)
        elif flags & ACK and not side.peer.stream.started and side.syn_seen:
            side.peer.stream.start(segment[1])  # its SYN is missing, but this is what it was answered with
        if flags & RST:
            self._close(side, time_ns)
            self.info.reset = self.over = True
        else:
            if flags & FIN and side.stream.fin is None:
                if not side.stream.started:
                    side.stream.start(seq)
                side.stream.fin = side.stream.offset(seq) + len(payload) + missing
                self._close(side, time_ns)
            if (payload or missing) and not side.push(seq, payload, missing, numbers, time_ns):
                info.retransmissions[side.direction] += 1
                if self.outlet.on_retransmission is not None:
                    self.outlet.on_retransmission(numbers[-1])
            self.over = self.over or (side.ended and side.peer.ended)
        for each in (side, side.peer):
            each.check_hole(time_ns)
        self.careful = bool(self.over or side.stream.pending or side.peer.stream.pending)

    def _close(self, side: Side, time_ns: int) -> None:
        if self.info.closed_by is None:
            self.info.closed_by = "client" if side is self.client else "server"
            self.info.closed_ns = time_ns
            self.info.closed_frame = self.now_number

    # Holding back

    @property
    def may_hold(self) -> bool:
        """Whether a message that cannot be opened may wait for the InitConnect response."""
        if self._hold_spent or not self.opener.may_open_later:
            return False
        return self.client.syn_seen or self.server.syn_seen or self.opener.request_seen

    @property
    def holding(self) -> bool:
        """Whether messages are held back."""
        return bool(self._held)

    def hold(
        self, side: Side, header: Header, body: bytes, numbers: tuple[int, ...], time_ns: int, notes: list[str] | None
    ) -> None:
        """Keep a frame, and with it all that follows on the connection, until the keys are known."""
        self._held.append(_HeldFrame(side, header, body, numbers, time_ns, notes))
        self._held_bytes += len(body)
        if len(self._held) > self.limits.max_held or self._held_bytes > self.limits.max_held_bytes:
            self.release()

    def release(self) -> None:
        """Give out all that was held: either the keys are here, or they will not come."""
        held, self._held, self._held_bytes, self._hold_spent = self._held, [], 0, True
        for item in held:
            if isinstance(item, _HeldFrame):
                opened = self.opener.open(item.side.direction, item.header, item.body)
                self.give_frame(item.side, item.header, opened, item.numbers, item.time_ns, item.notes)
            elif isinstance(item, Gap):
                self.give_gap(item)
            else:
                self.give(item)

    # Giving out

    def give_frame(
        self,
        side: Side,
        header: Header,
        opened: Opened,
        numbers: tuple[int, ...],
        time_ns: int,
        notes: list[str] | None = None,
    ) -> None:
        """Make the message of an opened frame, and give it out or hold it behind those that wait."""
        plaintext, encryption, verdict, reason = opened
        kind: Kind = "request" if side.direction == "c2s" else "push" if header[1] in PUSH_IDS else "response"
        conn_id = self.opener.conn_id
        self.trusted = True
        message = Message(
            side.flow, header, time_ns, numbers, kind, plaintext, encryption, verdict, reason, conn_id, notes
        )
        if self._held:
            self._keep(message)
        else:
            self.give(message)
        if header[1] == INIT_CONNECT and kind == "response":
            self.release()

    def give(self, message: Message) -> None:
        """Number a message, tie a response to its request, and give it out.

        A response has the protocol id and the serial number of its request (source: the official SDK).
        """
        outlet = self.outlet
        message.number = outlet.messages = outlet.messages + 1
        if message.verdict != "verified":
            outlet.reasons[message.reason or message.verdict] += 1
        if message.kind != "push":
            key = (message.header[1], message.header[4])
            if message.kind == "response":
                request = self.requests.pop(key, None)
                if request is not None:
                    message.request, request_ns = request
                    message.latency_ns = message.time_ns - request_ns
            else:
                self.requests[key] = (message.number, message.time_ns)
                if len(self.requests) > self.limits.max_pending_requests:
                    del self.requests[next(iter(self.requests))]
        outlet.items.append(message)

    def give_gap(self, gap: Gap) -> None:
        """Give out a gap, or hold it behind the messages that wait."""
        if self._held:
            self._keep(gap)
            return
        self.outlet.gaps[gap.reason] += 1
        self.outlet.items.append(gap)

    def _keep(self, item: Message | Gap) -> None:
        self._held.append(item)
        if len(self._held) > self.limits.max_held:
            self.release()

    def finish(self, time_ns: int) -> None:
        """The end of the connection, or of the capture."""
        if self.finished:
            return
        self.finished = True
        info = self.info
        info.last_ns = self.now_ns
        for side in (self.client, self.server):
            side.give(side.stream.finish(side.acked), time_ns)
            side.framer.finish()
        self.release()
        info.sample_key = self.opener.sample_key
        info.foreign = not self.trusted and (self.client.stream.position + self.server.stream.position) > 0
        for side in (self.client, self.server):
            info.bytes[side.direction] = side.stream.position

    def belongs(self, side: Side, segment: Segment) -> bool:
        """Whether a packet is of this connection, not of a later one between the same ends."""
        seq, _, flags, payload, _, numbers, _ = segment
        stream = side.stream
        if flags & SYN:
            if not stream.started:
                return not self.closing
            offset = stream.offset(seq + 1)
            if side.syn_seen:
                return offset == side.first
            # Data may have overtaken the SYN, but not by much.
            return numbers[-1] - self.first_number <= self.limits.reorder_packets and -_NEAR < offset <= 0
        if not stream.started or not payload:
            return True
        start = stream.offset(seq)
        if self.finished and start + len(payload) > stream.position:
            return False
        if abs(start - stream.position) < _FAR:
            return True
        # A lone segment from afar may be a damaged one; two that belong together are another connection.
        stray, side.stray = side.stray, segment
        return stray is None or abs(signed_distance(seq, stray[0])) > _NEAR


@dataclass
class _HeldFrame:
    side: Side
    header: Header
    body: bytes
    numbers: tuple[int, ...]
    time_ns: int
    notes: list[str] | None
