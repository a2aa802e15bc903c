"""The two hot loops: packets to segments to messages for the usual case, with no call for each stage between them.

* `read_packets` reads Ethernet, IPv4 without options and TCP, finds the direction and advances its stream where the
  segment is in order and nothing waits: 19 of 20 segments.  A call for each of these steps doubled its cost.
* `emit_whole_messages` is `Framer`, `BodyVerifier` and `Connection` for a message that is whole in one segment, at a
  frame boundary, and proven by the method that proved the last one: 2.0 µs a message against 3.3 through the stages.

Each stops at the first packet or frame that is anything else and leaves that to the stages, so what comes out is the
same (tests/unit/engine/test_hot_path.py compares).  Both are in C as well (core_walk.c, core_emit.c); what stands here
defines them, and takes each packet that they leave.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING

from decoder import core
from decoder.crypto.ciphers import recipe
from decoder.framing.framer import Framer
from decoder.framing.header import HEADER, HEADER_LEN, MAGIC, Header
from decoder.message import Message
from decoder.packet import dissector
from decoder.schema import PUSH_IDS
from decoder.tcp.segment import ACK, Segment, signed_distance
from decoder.vocabulary import INIT_CONNECT, Arrival

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from decoder.capture.reader import RawPacket
    from decoder.conversation.connection import Connection
    from decoder.conversation.half_connection import HalfConnection
    from decoder.engine.connection_table import ConnectionTable

__all__ = [
    "COMMON_LINKTYPE",
    "PacketLoop",
    "emit_whole_messages",
    "feed_rest",
    "may_overtake",
    "pass_over",
    "read_packets",
]

COMMON_LINKTYPE = dissector.ETHERNET
"""Link type of the packets that are read here where it can be."""
_KIND = 0x37
"""The flags that tell one kind of segment from another: all but PSH and those of ECN."""
_MAX_HELD = 8 * 1024 * 1024
"""Bytes of messages not yet complete that are held in C, and not counted as buffered; less where memory is short."""
_PACKET_COST = 128 * 1024
"""Bytes that one packet can add to what is buffered: more than itself and the connection that it may begin."""
_NEAR = 16 * 1024 * 1024
"""Bytes that an acknowledgement may lie off and is certainly of the same connection."""
_MAX_OVERTAKING, _MAX_LOOK = 64 * 1024, 64
"""Bytes and packets that C takes at most while a hole is open."""
_unpack = HEADER.unpack_from


class PacketLoop:
    """Reads batches of packets: in C where the compiled core runs, which leaves some packets to Python."""

    def __init__(self, table: ConnectionTable, packets: dissector.PacketReader) -> None:
        self._table = table
        self._packets = packets
        self._walker = None
        if core.Walker is not None:
            stages = (feed_rest, pass_over, may_overtake, recipe)
            self._walker = core.Walker(table, Message, Arrival, sha1, *stages, PUSH_IDS, INIT_CONNECT)

    def read(self, batch: Sequence[RawPacket], number: int) -> int:
        """Reads the packets of a capture, of which `number` came before; returns the number of the last one."""
        if self._walker is None:
            return read_packets(self._table, self._packets, batch, number)
        raw = batch if isinstance(batch, list) else list(batch)
        at, count, walk = 0, len(raw), self._walker.walk
        may_hold = min(_MAX_HELD, self._table.room - _MAX_HELD - count * _PACKET_COST)
        while (at := walk(raw, at, number + at, may_hold)) < count:
            read_packets(self._table, self._packets, raw[at : at + 1], number + at)
            at += 1
        return number + count

    def release(self) -> None:
        """Gives what is held in C to the stages, before anybody but `read` uses them."""
        if self._walker is not None:
            self._walker.release()

    def __getstate__(self) -> tuple[ConnectionTable, dissector.PacketReader]:
        return self._table, self._packets

    def __setstate__(self, state: tuple[ConnectionTable, dissector.PacketReader]) -> None:
        PacketLoop.__init__(self, *state)


def read_packets(
    table: ConnectionTable, packets: dissector.PacketReader, batch: Iterable[RawPacket], number: int
) -> int:
    """Reads the packets of a capture, of which `number` came before; returns the number of the last one."""
    entries, unpack = table.entries, dissector.ETHERNET_IPV4_TCP
    common_linktype, common_type, common_protocol = COMMON_LINKTYPE, dissector.IPV4_PLAIN, dissector.TCP_WHOLE
    segments, start, latest = 0, 0, table.latest_ns
    for packet in batch:
        time_ns, linktype, data, _ = packet
        number += 1
        if time_ns < latest:
            table.note_step_back(latest, time_ns, number)
        latest = time_ns
        end = -1
        captured = len(data)
        # What `read` returns for Ethernet, IPv4 without options, TCP, whole, without a call and a copy.
        if linktype == common_linktype and captured >= 54:
            kind, total, carried, key, seq, ack, flags = unpack(data)
            if kind >> 8 == common_type and carried & 0x3FFF00FF == common_protocol and flags >= 0x5000:
                start = 34 + (flags >> 10 & 0x3C)
                end = 14 + total
        if not start <= end <= captured:
            segments += _read_other(table, packets, packet, number)
            continue
        entry = entries.get(key)
        if entry is not None and flags & _KIND == ACK and not entry[0].needs_slow_path:
            connection, half = entry
            if start == end:
                half.acknowledge(seq, ack)
                continue
            if seq == half.stream.next_seq:  # in order and nothing waits, as 19 of 20 segments
                segments += 1
                half.ack = ack
                _advance(table, connection, half, data, start, end, number, time_ns)
                continue
        segment = Segment(seq, ack, flags & 0x1FF, data[start:end], 0, Arrival((number,), time_ns))
        segments += table.handle(key, segment)
    table.latest_ns = latest
    table.segments += segments
    return number


def _read_other(table: ConnectionTable, packets: dissector.PacketReader, packet: RawPacket, number: int) -> bool:
    """Reads any other packet; returns True if it has payload and belongs to a gateway."""
    time_ns, linktype, data, wire_len = packet
    found = packets.read(data, linktype, wire_len, number)
    if found is None:
        return False
    key, seq, ack, flags, payload, missing, numbers = found
    entry = table.entries.get(key)
    if entry is not None and flags & _KIND == ACK and not (missing or numbers or entry[0].needs_slow_path):
        connection, half = entry
        if not payload:
            half.acknowledge(seq, ack)
            return False
        if seq == half.stream.next_seq:
            half.ack = ack
            _advance(table, connection, half, payload, 0, len(payload), number, time_ns)
            return True
    arrival = Arrival(numbers or (number,), time_ns)
    return table.handle(key, Segment(seq, ack, flags & 0x1FF, payload, missing, arrival))


def _advance(
    table: ConnectionTable,
    connection: Connection,
    half: HalfConnection,
    data: bytes,
    start: int,
    end: int,
    number: int,
    time_ns: int,
) -> None:
    """Takes ``data[start:end]``, the next bytes of a stream where nothing waits."""
    stream, size = half.stream, end - start
    offset = stream.position
    stream.position = offset + size
    stream.next_seq = (stream.next_seq + size) & 0xFFFFFFFF
    connection.last_ns = time_ns
    framer = half.framer
    if framer.at_boundary:
        used = emit_whole_messages(connection, half, data, start, end, number, time_ns)
        if used == end:
            return
        offset += used - start
        start = used
    feed_rest(table, connection, half, data[start:end], number, time_ns, offset)


def feed_rest(
    table: ConnectionTable,
    connection: Connection,
    half: HalfConnection,
    data: bytes,
    number: int,
    time_ns: int,
    offset: int,
) -> None:
    """Hands bytes that are no whole messages to the framer; they stand at `offset` of a stream where nothing waits."""
    framer = half.framer
    arrival = connection.shared.now = Arrival((number,), time_ns)
    framer.feed(data, arrival, offset)
    if connection.shared.items or framer.waiting_for_ack is not None:
        connection.emit_items()
    if connection.needs_slow_path:
        table.count(connection)
    elif framer.buffered or half.counted:
        table.count_half(half)


def may_overtake(connection: Connection, half: HalfConnection, time_ns: int, ack: int) -> bool:
    """Returns True if a hole of this direction, which is filled after a few packets, changes nothing else.

    A packet at `time_ns` with the acknowledgement number `ack` comes before it is filled.
    """
    peer = half.peer
    return (
        half.ending is None
        and peer.ending is None
        and not half.stream.fins
        and not connection.out_of_window
        and time_ns >= connection.info.first_ns
        and peer.stream.started
        and abs(signed_distance(ack, peer.stream.next_seq)) < _NEAR
        and half.shared.limits.max_pending >= _MAX_OVERTAKING
        and half.shared.limits.reorder_packets >= _MAX_LOOK
    )


def pass_over(connection: Connection, half: HalfConnection, start: int, size: int) -> None:
    """Takes note of a message of several packets that did not go through the framer; it comes out next."""
    framer = half.framer
    assert isinstance(framer, Framer)  # no other is ever at a boundary
    framer.pass_over(start, size)
    shared = connection.shared
    shared.answered = shared.answered or half.direction == "s2c"
    if shared.items:
        connection.emit_items()


def emit_whole_messages(
    connection: Connection, half: HalfConnection, data: bytes, start: int, stop: int, number: int, time_ns: int
) -> int:
    """Emits the messages at the start of ``data[start:stop]``, a segment of `half` that packet `number` brought.

    The framer of `half` must be at a frame boundary, and nothing held back.  Returns where in `data` they end.
    """
    flow, verifier, results = half.flow, half.shared.verifier, connection.results
    decrypt = verifier.decrypt
    from_gateway = flow.direction == "s2c"
    numbers = (number,)
    body = start + HEADER_LEN
    emitted = 0
    compared, pairing, client = connection.twins is not None, connection.pairing, connection.halves[0]
    while body <= stop:
        header: Header = _unpack(data, start)
        magic, proto_id, _, _, _, size, digest, _ = header
        end = body + size
        if end > stop or magic != MAGIC or proto_id == INIT_CONNECT or half.conflicts:
            break
        sent = data[body:end]
        plain = sent if decrypt is None else decrypt(sent)
        if plain is None or sha1(plain).digest() != digest:
            break
        if decrypt is None:
            if not size & 15 and verifier.may_be_ciphertext(flow.direction, header, plain):
                break
            verifier.clear_seen = True
        push = from_gateway and proto_id in PUSH_IDS
        message = Message(
            flow,
            header,
            time_ns,
            numbers,
            "push" if push else "response" if from_gateway else "request",
            plain,
            verifier.encryption,
            "verified",
            None,
            verifier.conn_id,
        )
        if compared:
            connection.emit(message)
        elif push:
            message.number = results.messages = results.messages + 1
            message.ordinal = pairing.emitted = pairing.emitted + 1
            results.items.append(message)
            emitted += 1
        else:
            pairing.emit(message, client)
            emitted += 1
        start = end
        body = end + HEADER_LEN
    if emitted:
        connection.info.messages[flow.direction] += emitted
    return start
