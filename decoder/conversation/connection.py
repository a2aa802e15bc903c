"""One TCP connection with a gateway: two sides, one set of keys, requests that wait for their answers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from decoder.conversation.half_connection import HalfConnection
from decoder.conversation.hold_queue import PendingMessage, in_order, is_request
from decoder.crypto.verifier import BodyVerifier
from decoder.message import Flow, Gap, Message
from decoder.schema import PUSH_IDS
from decoder.tcp.reassembly import WINDOW, signed_distance

if TYPE_CHECKING:
    from decoder.conversation.half_connection import Segment
    from decoder.conversation.summary import ConnectionInfo, Results
    from decoder.crypto.keyring import KeyRing
    from decoder.framing.header import Header
    from decoder.limits import Limits
    from decoder.vocabulary import Kind, Opened

__all__ = ["ACK", "FIN", "RST", "SYN", "Connection"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_NEAR = 1024 * 1024
_SYN_DATA = 64 * 1024  # more than the payload of any SYN
_ITEM_COST = 1024  # bytes that holding a message back takes beside its body


class Connection:
    """What the two sides share."""

    __slots__ = (
        "_answered",
        "_early",
        "_held_bytes",
        "_queue",
        "_unopened",
        "careful",
        "client",
        "closing",
        "finished",
        "first_number",
        "info",
        "limits",
        "now_ns",
        "now_number",
        "over",
        "requests",
        "results",
        "server",
        "trusted",
        "verifier",
    )

    def __init__(
        self,
        info: ConnectionInfo,
        first_number: int,
        keyring: KeyRing,
        limits: Limits,
        results: Results,
    ) -> None:
        self.info = info
        self.first_number = first_number
        """Number of its first packet."""
        self.limits = limits
        self.verifier = BodyVerifier(keyring, limits)
        self.results = results
        ends = info.client, info.server
        self.client = HalfConnection(self, Flow(info.ordinal, "c2s", *ends, limits, first_ns=info.first_ns), limits)
        self.server = HalfConnection(
            self, Flow(info.ordinal, "s2c", *ends[::-1], limits, first_ns=info.first_ns), limits
        )
        self.client.peer, self.server.peer = self.server, self.client
        self.trusted = False
        """Whether a header of the protocol was accepted on it."""
        self.careful = False
        """Whether each packet must be looked at with care: something waits, or the connection is over."""
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
        self._early: dict[tuple[int, int], None] = {}  # answers whose requests did not come out before them
        self._answered = False  # whether a message of the gateway came out
        self._queue: list[Message | Gap | PendingMessage] | None = None  # what is held back
        self._unopened = 0  # frames in it that wait for the keys
        self._held_bytes = 0

    # Segments

    def take(self, side: HalfConnection, segment: Segment) -> None:
        """Take a segment that needs care."""
        seq, ack, flags, payload, missing, numbers, time_ns = segment
        info = self.info
        self.now_ns = time_ns
        self.now_number = numbers[-1]
        if flags & SYN:
            seq += 1
            side.start(seq)
            info.opened = True
            if flags & ACK:
                info.syn_ack_seen = True
            else:
                info.syn_seen = True
            if flags & ACK:
                side.peer.start(ack)
        if flags & RST:
            if not side.stream.started or abs(side.stream.offset(seq) - side.stream.position) < _NEAR:
                self._close(side)
                info.reset = self.over = True
        else:
            if flags & FIN:
                self._take_fin(side, seq + len(payload) + missing)
            if (payload or missing) and not side.push(seq, payload, missing, numbers, time_ns):
                info.retransmissions[side.direction] += 1
                if self.results.on_retransmission is not None:
                    self.results.on_retransmission(numbers[-1])
            self.over = self.over or (side.stream.fin is not None and side.peer.stream.fin is not None)
        self.check()

    def check(self) -> None:
        """See what need not be waited for any longer."""
        waits = self.over
        for each in (self.client, self.server):
            each.check(self.now_ns)
            if each.stream.waiting or each.framer.frozen is not None or each.opening:
                waits = True
        self._release_unless_waiting()
        self.careful = waits or self._queue is not None

    def _take_fin(self, side: HalfConnection, seq: int) -> None:
        stream = side.stream
        if not stream.started:
            side.enter(seq, self.now_number)
        end = stream.offset(seq)
        if stream.fin is None and stream.position <= end < stream.position + WINDOW:
            stream.fin = end
            self._close(side)

    def _close(self, side: HalfConnection) -> None:
        if self.info.closed_by is None:
            self.info.closed_by = "client" if side is self.client else "server"
            self.info.closed_ns = self.now_ns
            self.info.closed_frame = self.now_number

    # Holding back

    @property
    def may_hold(self) -> bool:
        """Whether a message that cannot be opened may wait for the InitConnect response."""
        if self.finished or self._unopened < 0 or not self.verifier.may_open_later:
            return False
        if self.server.prologue is not None:  # packets may have overtaken the response where the capture begins
            return True
        if self._answered:  # by something that comes after it
            return False
        known = self.client.begin is not None or self.server.begin is not None or self.client.prologue is not None
        return known or self.verifier.request_seen

    @property
    def holding(self) -> bool:
        """Whether messages are held back."""
        return self._queue is not None

    @property
    def held_bytes(self) -> int:
        """Memory that what is held back takes."""
        return self._held_bytes

    def hold_back(self) -> None:
        """Hold back what comes out from now on, because one side waits."""
        if self._queue is None:
            self._queue = []
        self.careful = True

    def hold(
        self,
        side: HalfConnection,
        header: Header,
        body: bytes,
        numbers: tuple[int, ...],
        time_ns: int,
        notes: list[str] | None,
    ) -> None:
        """Keep a frame, and with it all that follows on the connection, until the keys are known."""
        self.hold_back()
        self.trusted = True
        self._unopened += 1
        self._keep(PendingMessage(side, header, body, numbers, time_ns, notes), len(body))

    def _keep(self, item: Message | Gap | PendingMessage, size: int) -> None:
        assert self._queue is not None
        self._queue.append(item)
        self._held_bytes += size + _ITEM_COST
        if len(self._queue) > self.limits.max_held or self._held_bytes > self.limits.max_held_bytes:
            self.results.limits_hit.add(
                "too many messages waited for an InitConnect response; not all of them could be opened"
            )
            self.release()

    def release(self) -> None:
        """Give out what is held back, however long it would have to wait."""
        for side in (self.client, self.server):
            while side.framer.frozen is not None:
                side.framer.thaw(overrule=True)
        if self._unopened > 0:
            self._unopened = -1  # they waited once, and no more do
        self._release_unless_waiting()

    def _release_unless_waiting(self) -> None:
        """Give out what is held back, in the order in which it was completed, if nothing is waited for."""
        if self._queue is None:
            return
        if self._unopened > 0:
            if self.may_hold:
                return
            self._unopened = 0
        if self.client.framer.frozen is not None or self.server.framer.frozen is not None:
            return
        queue, self._queue, self._held_bytes = in_order(self._queue), None, 0
        to_come = Counter((item.header[1], item.header[4]) for item in queue if is_request(item))
        for item in queue:
            if isinstance(item, Gap):
                self.give_gap(item)
                continue
            message = item if isinstance(item, Message) else self._open(item)
            key = (message.header[1], message.header[4])
            if message.kind == "request":
                to_come[key] -= 1
            elif message.kind == "response" and key not in self.requests and to_come[key] > 0:
                message.add_note("request-later")
            self.give(message)

    def _open(self, held: PendingMessage) -> Message:
        opened = self.verifier.open(held.side.direction, held.header, held.body)
        return self._message(held.side, held.header, opened, held.numbers, held.time_ns, held.notes)

    # Giving out

    def give_frame(
        self,
        side: HalfConnection,
        header: Header,
        opened: Opened,
        numbers: tuple[int, ...],
        time_ns: int,
        notes: list[str] | None = None,
    ) -> None:
        """Make the message of an opened frame, and give it out or hold it back."""
        if not self.trusted:
            self.trusted = True
            side.peer.framer.thaw(overrule=False)  # what begins there counts now as well
        self._answered = self._answered or side is self.server
        message = self._message(side, header, opened, numbers, time_ns, notes)
        if self._queue is None:
            self.give(message)
        else:
            self._keep(message, header[5])
            if self._unopened > 0:
                self._release_unless_waiting()

    def _message(
        self,
        side: HalfConnection,
        header: Header,
        opened: Opened,
        numbers: tuple[int, ...],
        time_ns: int,
        notes: list[str] | None,
    ) -> Message:
        plaintext, encryption, verdict, reason = opened
        kind: Kind = "request" if side.direction == "c2s" else "push" if header[1] in PUSH_IDS else "response"
        conn_id = self.verifier.conn_id
        return Message(
            side.flow, header, time_ns, numbers, kind, plaintext, encryption, verdict, reason, conn_id, notes
        )

    def give(self, message: Message) -> None:
        """Number a message, tie a response to its request, and give it out.

        A response has the protocol id and the serial number of its request (source: the official SDK).
        """
        results = self.results
        message.number = results.messages = results.messages + 1
        if message.verdict != "verified":
            results.reasons[message.reason or message.verdict] += 1
        if message.kind != "push":
            key = (message.header[1], message.header[4])
            if message.kind == "response":
                request = self.requests.pop(key, None)
                if request is not None:
                    message.request, request_ns = request
                    message.latency_ns = message.time_ns - request_ns
                else:
                    self._answer_early(message, key)
            else:
                if key in self._early:
                    del self._early[key]
                    message.add_note("request-later")
                self.requests[key] = (message.number, message.time_ns)
                if len(self.requests) > self.limits.max_pending_requests:
                    del self.requests[next(iter(self.requests))]
                    self.results.limits_hit.add(
                        "too many requests without an answer at once; the oldest were forgotten"
                    )
        self.info.messages[message.direction] += 1
        results.items.append(message)

    def _answer_early(self, message: Message, key: tuple[int, int]) -> None:
        """Note an answer whose request was not seen: packets overtook each other, or it is not in the capture."""
        self._early[key] = None
        if len(self._early) > self.limits.max_pending_requests:
            del self._early[next(iter(self._early))]
        if self.client.awaits(*key):
            message.add_note("request-later")

    def give_gap(self, gap: Gap) -> None:
        """Give out a gap, or hold it back."""
        if self._queue is not None:
            self._keep(gap, 0)
            return
        self.results.gaps[gap.reason] += 1
        self.results.items.append(gap)

    def finish(self, time_ns: int) -> None:
        """The end of the connection, or of the capture."""
        if self.finished:
            return
        self.finished = True
        self.hold_back()
        info = self.info
        info.last_ns = self.now_ns
        for side in (self.server, self.client):  # the server's may hold the keys to the client's
            side.finish(time_ns)
        self.release()
        if self.verifier.log_exhausted:
            self.results.limits_hit.add("too many keys of a key log were tried on a connection; not all of them were")
        if self.verifier.rsa_exhausted:
            self.results.limits_hit.add(
                "too many RSA keys failed on InitConnect messages; not every key was tried on each"
            )
        info.sample_key = self.verifier.sample_key
        heard = any(side.stream.position > side.lost for side in (self.client, self.server))
        info.not_opend = heard and not self.trusted
        info.confirmed = self.trusted
        for side in (self.client, self.server):
            info.bytes[side.direction] = side.stream.position

    def dissolve(self) -> None:
        """Let go of its sides, so that all memory is free at once and not when cycles are next looked for."""
        if hasattr(self, "client"):
            self.client.dissolve()
            self.server.dissolve()
            del self.client, self.server

    def belongs(self, side: HalfConnection, segment: Segment) -> bool:
        """Whether a packet is of this connection, not of a later one between the same ends."""
        seq, ack, flags, payload, _, numbers, _ = segment
        stream, peer = side.stream, side.peer
        if flags & SYN:
            young = numbers[-1] - self.first_number <= self.limits.reorder_packets
            if side.begin is not None:
                return stream.offset(seq + 1) == side.begin
            if flags & ACK and peer.begin is not None:
                return 0 <= peer.stream.offset(ack) - peer.begin < _SYN_DATA
            # Data may have overtaken the SYN, but not by much.
            return young and (not stream.started or -_NEAR < stream.offset(seq + 1) <= 0)
        if not stream.started or not payload:
            return True
        start = stream.offset(seq)
        if self.finished and start + len(payload) > stream.position:
            return False
        # The sequence number of another connection may be near by chance, but not those of both sides.
        acked_near = (
            not (flags & ACK and peer.stream.started) or abs(peer.stream.offset(ack) - peer.stream.position) < WINDOW
        )
        if start == stream.position or (abs(start - stream.position) < WINDOW and acked_near):
            return True
        # A lone segment from afar may be a damaged one; two that belong together are another connection.
        if self.strays_with(side, segment):
            return False
        side.stray = segment
        return True

    def strays_with(self, side: HalfConnection, segment: Segment) -> list[tuple[HalfConnection, Segment]]:
        """The segments that are as far off their streams as this one of `side`, and near it."""
        strays = []
        for each, seq in ((side, segment[0]), (side.peer, segment[1])):
            if each.stray is not None and abs(signed_distance(seq, each.stray[0])) < _NEAR:
                strays.append((each, each.stray))
        return strays
