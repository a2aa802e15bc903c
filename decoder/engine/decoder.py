"""The pipeline: packets in, messages and gaps out.  No I/O happens here; `read` adds the files.

::

    packet -> segment -> stream -> frame -> opened -> Message
    PacketReader   Stream    Framer   BodyVerifier

`Decoder` keeps the connections: it finds the side that a segment belongs to, tells a new connection
from an old one on the same ports, and bounds what all of them hold.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Literal

from decoder.conversation.connection import ACK, SYN, Connection
from decoder.conversation.summary import MAX_NOTED, ConnectionInfo, Results, Summary
from decoder.crypto.keyring import KeyRing
from decoder.engine.hot_path import give_whole_messages
from decoder.framing.header import HEADER_LEN, begins_with_header
from decoder.limits import Limits
from decoder.packet import dissector, flow_key
from decoder.vocabulary import DEFAULT_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from decoder.capture.reader import RawPacket
    from decoder.conversation.half_connection import HalfConnection, Segment
    from decoder.message import Gap, Message

__all__ = ["Decoder"]

COMMON_LINKTYPE = dissector.ETHERNET  # whose packets `Decoder` reads itself where it can
_KIND = 0x37  # the flags that tell one kind of segment from another: all but PSH and those of ECN
_MAX_CLOSED = 1024
_MAX_PORTS = 4096


class Decoder:
    """Decodes one capture, or one live source.

    `ports` are the gateway's TCP ports, or ``"auto"``: every stream that begins with a header.
    `on_connection` is told of each connection when it ends, `on_retransmission` the number of each packet of a gateway
    connection that brings nothing new.
    """

    def __init__(
        self,
        *,
        keys: KeyRing | None = None,
        ports: Iterable[int] | Literal["auto"] = (DEFAULT_PORT,),
        limits: Limits | None = None,
        on_connection: Callable[[ConnectionInfo], None] | None = None,
        on_retransmission: Callable[[int], None] | None = None,
    ) -> None:
        self.keys = KeyRing() if keys is None else keys
        self.limits = Limits() if limits is None else limits
        self._summary = Summary()
        self._auto = ports == "auto"
        self._ports = set() if ports == "auto" else {int(port) for port in ports}
        self._on_connection = on_connection
        self._packets = dissector.PacketReader(self.limits.max_fragments, self.limits.max_fragment_bytes)
        self._sides: dict[bytes, HalfConnection] = {}
        self._closing: deque[tuple[int, bytes, Connection]] = deque()
        self._closed: deque[tuple[bytes, Connection]] = deque()  # only late copies are expected of them
        self._syns: dict[bytes, tuple[int, int]] = {}  # with "auto": flags and sequence numbers of SYNs without data
        self._ordinals = 0
        self._number = 0
        self._segments = 0
        self._buffered = 0
        self._cut_payloads = False
        self._outlet = Results(on_retransmission=on_retransmission)

    @property
    def ports(self) -> frozenset[int]:
        """The gateway's ports; with ``"auto"`` those found so far."""
        return frozenset(self._ports)

    def feed(
        self, data: bytes, time_ns: int, linktype: int = 1, wire_len: int | None = None, number: int | None = None
    ) -> list[Message | Gap]:
        """Decode one packet and return what it completes.

        `time_ns` is its time in nanoseconds since 1970, `linktype` a LINKTYPE_ number of pcap, `wire_len`
        its length on the wire where the capture holds less, `number` its number if not the next one.
        """
        if number is not None:
            self._number = number - 1
        self._note_times(time_ns, time_ns)
        self._take_packets(((time_ns, linktype, data, len(data) if wire_len is None else wire_len),))
        return self._taken()

    def feed_batch(self, batch: Sequence[RawPacket]) -> list[Message | Gap]:
        """Decode the packets of `batch`, as a `CaptureReader` gives them, and return what they complete."""
        if batch:
            self._note_times(batch[0][0], batch[-1][0])
        self._take_packets(batch)
        return self._taken()

    def tick(self, now_ns: int) -> list[Message | Gap]:
        """Return what the passing of time completes; for live sources only, while no packet comes.

        `now_ns` is the time in nanoseconds since 1970, by the clock that the packets have their times from.
        """
        return self._taken()

    def _note_times(self, first_ns: int, last_ns: int) -> None:
        summary = self._summary
        if summary.first_ns is None:
            summary.first_ns = first_ns
        summary.last_ns = last_ns

    def flush(self) -> list[Message | Gap]:
        """The end of the capture: return what is still held."""
        for side in list(self._sides.values()):
            self._finish(side.connection, side.connection.now_ns)
        self._sides.clear()
        self._closing.clear()
        self._closed.clear()
        self._buffered = 0
        return self._taken()

    def _taken(self) -> list[Message | Gap]:
        results = self._outlet
        out, results.items = results.items, []
        return out

    @property
    def summary(self) -> Summary:
        """What was seen so far."""
        results, summary = self._outlet, self._summary
        summary.packets = self._number
        summary.segments = self._segments
        summary.messages = results.messages
        summary.gaps = results.gaps.total()
        summary.verdicts = +Counter({**results.reasons, "verified": results.messages - results.reasons.total()})
        if results.gaps["limit"]:
            summary.report("a memory limit cut what was buffered; raise --max-memory to decode more")
        for line in results.limits_hit:
            summary.report(line)
        packets = self._packets
        if self._cut_payloads and not results.messages:
            summary.report("packets are cut before what they carry; record with a larger snap length (tcpdump -s 0)")
        for line in packets.reports():
            summary.report(line)
        return summary

    # Packets

    def _take_packets(self, batch: Iterable[RawPacket]) -> None:
        """The packets of a capture pass through this one loop: a call for each step would double its cost."""
        sides, read, unpack = self._sides, self._packets.read, dissector.ETHERNET_IPV4_TCP
        common_linktype, common_type, common_protocol = COMMON_LINKTYPE, dissector.IPV4_PLAIN, dissector.TCP_WHOLE
        number, taken, start = self._number, 0, 0
        for time_ns, linktype, data, wire_len in batch:
            number += 1
            end = -1
            captured = len(data)
            # Ethernet, IPv4 without options, TCP, whole: what `read` gives of it, without a call and a copy.
            if linktype == common_linktype and captured >= 54:
                kind, total, carried, key, seq, ack, flags = unpack(data)
                if kind >> 8 == common_type and carried & 0x3FFF00FF == common_protocol and flags >= 0x5000:
                    start = 34 + (flags >> 10 & 0x3C)
                    end = 14 + total
            if not start <= end <= captured:
                segment = read(data, linktype, wire_len, number)
                if segment is None:
                    continue
                key, seq, ack, flags, data, missing, numbers = segment
                start, end = 0, len(data)
                if missing or numbers:
                    side = sides.get(key) or self._admit(key, seq, flags, data, time_ns, number)
                    if side is not None:
                        taken += 1
                        self._cut_payloads = self._cut_payloads or missing > 0
                        self._take(side, key, (seq, ack, flags, data, missing, numbers or (number,), time_ns))
                    continue
            side = sides.get(key)
            if side is None:
                side = self._admit(key, seq, flags, data[start:end], time_ns, number)
                if side is None:
                    continue
            connection = side.connection
            if flags & _KIND == ACK and not connection.careful:
                stream = side.stream
                if start == end:
                    if seq == stream.next_seq and (ack - side.ack) & 0xFFFFFFFF < 0x80000000:
                        side.ack = ack
                    else:
                        side.acknowledge(seq, ack)
                    continue
                taken += 1
                if seq == stream.next_seq:
                    # In order and nothing pending, as 19 of 20 segments.
                    side.ack = ack
                    offset, size = stream.position, end - start
                    stream.position = offset + size
                    stream.next_seq = (seq + size) & 0xFFFFFFFF
                    connection.now_ns = time_ns
                    framer = side.framer
                    if framer.in_step:
                        used = give_whole_messages(side, data, start, end, number, time_ns)
                        if used == end:
                            continue
                        offset += used - start
                        start = used
                    connection.now_number = number
                    framer.feed(data[start:end], (number,), time_ns, offset)
                    if framer.buffered or side.counted or connection.careful:
                        self._count(side)
                        if connection.careful:  # what is held back counts as the client's
                            self._count(side.peer)
                    continue
            elif start < end:
                taken += 1
            self._take(side, key, (seq, ack, flags & 0x1FF, data[start:end], 0, (number,), time_ns))
        self._number = number
        self._segments += taken

    def _take(self, side: HalfConnection, key: bytes, segment: Segment) -> None:
        """A segment that needs care: out of order, with flags, cut, or on a connection with something waiting."""
        connection = side.connection
        _, ack, flags, _, _, numbers, time_ns = segment
        while self._closing and self._closing[0][0] < numbers[-1]:
            _, closed, over = self._closing.popleft()
            self._finish(over, time_ns)
            self._closed.append((closed, over))
            if len(self._closed) > _MAX_CLOSED:
                self._forget(*self._closed.popleft())
        if not connection.belongs(side, segment):
            strays = [] if flags & SYN else connection.strays_with(side, segment)
            self._retire(connection, key, time_ns)
            new = self._open(key, side.direction == "c2s", time_ns, numbers[-1])
            for each, stray in strays:
                same = each is side
                self._take(new if same else new.peer, key if same else flow_key.reverse_key(key), stray)
            side, connection = new, new.connection
        elif side.stray is segment:
            self._count(side)
            return
        if flags & ACK:
            side.acknowledge(segment[0], ack)
        connection.take(side, segment)
        for each in (side, side.peer):
            if each.buffered != each.counted:
                self._count(each)
        if connection.over and not connection.closing:
            connection.closing = True
            self._closing.append((numbers[-1] + self.limits.reorder_packets, key, connection))

    def _count(self, side: HalfConnection) -> None:
        """Keep the total of what is buffered, and make room when it passes the limit."""
        buffered = side.buffered
        self._buffered += buffered - side.counted
        side.counted = buffered
        if self._buffered <= self.limits.max_memory:
            return
        fullest = sorted(self._sides.values(), key=lambda side: side.counted, reverse=True)
        for side in fullest:
            if self._buffered <= self.limits.max_memory * 7 // 8:
                break
            side.shed(side.connection.now_ns)
            for each in (side, side.peer):
                buffered = each.buffered
                self._buffered += buffered - each.counted
                each.counted = buffered

    # Connections

    def _admit(
        self, key: bytes, seq: int, flags: int, payload: bytes, time_ns: int, number: int
    ) -> HalfConnection | None:
        """The side of a new connection that `key` begins, or None if it is none of a gateway's."""
        source, destination = flow_key.ports(key)
        to_gateway, from_gateway = destination in self._ports, source in self._ports
        if not (to_gateway or from_gateway):
            if not begins_with_header(payload, self.limits.max_body):
                if self._auto and flags & SYN:
                    self._syns[key] = flags, seq
                    if len(self._syns) > _MAX_PORTS:
                        del self._syns[next(iter(self._syns))]
                return None
            to_gateway = self._guess_direction(key, payload)
            port = destination if to_gateway else source
            if not self._auto:
                if len(self._summary.header_ports) < _MAX_PORTS or port in self._summary.header_ports:
                    self._summary.header_ports[port] += 1
                return None
            self._ports.add(port)
        elif to_gateway and from_gateway:
            to_gateway = flags & (SYN | ACK) != SYN | ACK
        if len(self._sides) >= 2 * self.limits.max_connections:
            self._evict(time_ns)
        side = self._open(key, to_gateway, time_ns, number)
        for each, end in ((side, key), (side.peer, flow_key.reverse_key(key))):
            if end in self._syns:
                each.start(self._syns.pop(end)[1] + 1)
                side.connection.info.opened = True
        return side

    def _guess_direction(self, key: bytes, payload: bytes) -> bool:
        """Whether a segment on unknown ports goes to the gateway: by the SYN, the body's first byte, the lower port."""
        for end, sent_by_client in ((key, True), (flow_key.reverse_key(key), False)):
            if end in self._syns:
                return sent_by_client != bool(self._syns[end][0] & ACK)
        first = payload[HEADER_LEN : HEADER_LEN + 1]
        if first in (b"\x0a", b"\x08"):  # field 1 of a Request is a message, of a Response a number
            return first == b"\x0a"
        source, destination = flow_key.ports(key)
        return destination < source

    def _open(self, key: bytes, to_gateway: bool, time_ns: int, number: int) -> HalfConnection:
        source, destination = flow_key.endpoints(key)
        client, server = (source, destination) if to_gateway else (destination, source)
        info = ConnectionInfo(self._ordinals, client, server, time_ns, time_ns)
        self._ordinals += 1
        connection = Connection(info, number, self.keys, self.limits, self._outlet)
        side = connection.client if to_gateway else connection.server
        self._sides[key] = side
        self._sides[flow_key.reverse_key(key)] = side.peer
        return side

    def _retire(self, connection: Connection, key: bytes, time_ns: int) -> None:
        """End a connection and forget its ends."""
        self._finish(connection, time_ns)
        self._forget(key, connection)

    def _forget(self, key: bytes, connection: Connection) -> None:
        for each in (key, flow_key.reverse_key(key)):
            side = self._sides.get(each)
            if side is not None and side.connection is connection:
                del self._sides[each]
                self._buffered -= side.counted
        connection.dissolve()

    def _finish(self, connection: Connection, time_ns: int) -> None:
        if connection.finished:
            return
        connection.finish(time_ns)
        info, summary = connection.info, self._summary
        if connection.trusted:
            summary.connections += 1
        elif info.not_opend and len(summary.not_opend) < MAX_NOTED:
            summary.not_opend.append(f"{info.client} > {info.server}")
        if info.sample_key:
            summary.report(
                "the SDK's public sample key protects this traffic: anyone can read it; make a key of your own"
            )
        for side in (connection.client, connection.server):
            self._count(side)
        if self._on_connection is not None:
            self._on_connection(info)

    def _evict(self, time_ns: int) -> None:
        """Make room for new connections: end a tenth of them, those that were silent longest."""
        self._summary.report("too many connections at once; those silent longest were closed early")
        keys = {side.connection: key for key, side in self._sides.items()}
        quiet = sorted(keys, key=lambda connection: connection.now_ns)
        for connection in quiet[: max(1, len(quiet) // 10)]:
            self._retire(connection, keys[connection], time_ns)
