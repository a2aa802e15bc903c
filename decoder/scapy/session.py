# SPDX-License-Identifier: GPL-2.0-or-later

"""Decoding while Scapy sniffs: `OpenDSession` for ``sniff(session=…)``, `decode` for packets that are there already.

Both hand the packets to `decoder.Decoder`; Scapy's own reassembly takes no part.  From Scapy's capture readers the
session takes the bytes, and dissects only the packets that it yields.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from scapy.config import conf
from scapy.data import MTU
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import NoPayload, Packet
from scapy.sessions import DefaultSession
from scapy.utils import EDecimal, PcapNgReader, PcapReader

from decoder.crypto.keyring import KeyRing
from decoder.engine.decoder import Decoder
from decoder.limits import Limits
from decoder.message import Gap, Message
from decoder.packet.dissector import PacketReader, Segment
from decoder.packet.flow_key import ports as ports_of
from decoder.scapy.layer import OpenD, setting
from decoder.vocabulary import DEFAULT_PORT

__all__ = ["OpenDSession", "decode"]

Path = str | os.PathLike[str]
Ports = int | Sequence[int] | Literal["auto"]

_SECOND = 1_000_000_000
_MAX_PACKET = 4 * MTU
"""A segment of a loopback interface is longer than Scapy's MTU with its link header."""
_HEADERS = 512
"""Bytes of a packet that hold its headers, those of tunnels too."""
_RECENT = 1 << 14
"""Packets whose headers are remembered: a message may come out long after the one that completed it."""
_RAW_IP = 101
_COMPUTED = frozenset(("len", "plen", "chksum"))
"""Fields that no longer fit when the payload changes; Scapy computes them when they are None."""


class _Captured(NamedTuple):
    """A packet as it was captured, not dissected yet."""

    layer: type[Packet]
    data: bytes
    linktype: int
    ticks: int
    """Its time since 1970, in parts of a second that only the capture knows."""
    per_second: int
    wire_len: int
    about: dict[str, Any]
    """Whatever else Scapy's reader sets on the packet."""

    def dissected(self, **options: Any) -> Packet:
        """The packet as the reader would have given it."""
        try:
            packet = self.layer(self.data, **options)
        except Exception:
            if conf.debug_dissector:
                raise
            packet = conf.raw_layer(self.data)
        packet.time = EDecimal(self.ticks) / self.per_second
        packet.wirelen = self.wire_len
        for name, value in self.about.items():
            setattr(packet, name, value)
        return packet


class OpenDSession(DefaultSession):
    """``sniff(offline="day.pcap", session=OpenDSession)``: one packet with one `OpenD` layer per message.

    The packet has the link, IP and TCP headers of the segment that completed the message (length and checksum None,
    so that they are computed when it is built), the time of the message, and the decoded `Message` in
    ``packet[OpenD].message``.  Header fields are as they were on the wire; ``packet[OpenD].body`` is the plaintext, or
    empty if the body could not be opened.

    Other packets pass untouched and in order: bare ACK, SYN and FIN, IP fragments, all foreign traffic.  Segments of
    gateway traffic with payload do not come out as themselves unless `keep_segments` is set.  Gaps are no packets:
    ``session.decoder.summary`` counts them.

    At the end of a capture what is still held comes out.  A sniff that was stopped earlier (``count=``, ``timeout=``,
    Ctrl-C) cannot give it: make the session yourself and call `flush`.

    :param rsa_keys: the RSA private keys that the gateway uses: paths or PEM bytes
    :param keylog: paths of key logs
    :param ports: ports of the gateway, or ``"auto"``
    :param keep_segments: yield each segment too, its payload as Raw, before the messages that it completes
    :param limits: bounds of the decoder
    :param supersession: another session that is asked first, ``IPSession`` for example

    Each of the first four falls back to ``conf.contribs["OpenD"]``, where the class finds its settings when it is
    given as ``session=OpenDSession``.

    :raises KeyFileError: a key or a key log cannot be used
    """

    def __init__(
        self,
        *,
        rsa_keys: Path | bytes | Iterable[Path | bytes] | None = None,
        keylog: Path | Iterable[Path] | None = None,
        ports: Ports | None = None,
        keep_segments: bool | None = None,
        limits: Limits | None = None,
        supersession: Any = None,
    ) -> None:
        super().__init__(supersession)
        self.decoder = _decoder(
            setting("rsa_keys", ()) if rsa_keys is None else rsa_keys,
            setting("keylog", ()) if keylog is None else keylog,
            setting("ports", DEFAULT_PORT) if ports is None else ports,
            limits or Limits(),
        )
        self._keep_segments = setting("keep_segments", False) if keep_segments is None else keep_segments
        self._packets = PacketReader(max_fragments=0)  # fragments pass; the decoder puts them together
        self._open: set[Any] = set()
        self._number = 0
        self._recent: list[tuple[int, _Captured] | None] = [None] * _RECENT
        self._ready: deque[Packet] = deque()

    def recv(self, sock: Any) -> Iterator[Packet]:
        """What one packet of `sock` brings; called by sniff()."""
        self._open.add(sock)
        try:
            self._receive(sock)
        except Exception:
            # EOFError at the end of a capture; sniff() gives up a socket after any other one too.
            self._open.discard(sock)
            if not self._open:
                self._show(self.decoder.flush())
            yield from self._drain()
            raise
        yield from self._drain()

    def process(self, pkt: Packet) -> Packet | None:
        """The next packet to yield, if there is one; a further one comes with the next call."""
        packet = super().process(pkt)
        if packet is not None:
            self._take(_captured(packet, bytes(packet)), packet)
        return self._ready.popleft() if self._ready else None

    def flush(self) -> list[Packet]:
        """Everything that is still held, as packets; at the end of a sniff that was stopped."""
        self._show(self.decoder.flush())
        return list(self._drain())

    def _drain(self) -> Iterator[Packet]:
        while self._ready:
            yield self._ready.popleft()

    def _receive(self, sock: Any) -> None:
        if self.supersession is None:
            # The readers themselves, no subclass: those may read another format.
            if type(sock) is PcapReader:
                return self._take(_pcap_record(sock))
            if type(sock) is PcapNgReader:
                return self._take(_pcapng_record(sock))
        packet = sock.recv(_MAX_PACKET)
        if not packet:
            return None
        # Building a packet again costs as much as dissecting it; but what another session made of it has other bytes.
        data = packet.original if self.supersession is None else b""
        packet = super().process(packet)
        return self._take(_captured(packet, data or bytes(packet)), packet) if packet else None

    def _take(self, captured: _Captured, packet: Packet | None = None) -> None:
        """Decode one packet; `packet` is what it was dissected to, if it was."""
        self._number += 1
        number = self._number
        _, data, linktype, ticks, per_second, wire_len, _ = captured
        found = self.decoder.feed(data, ticks * _SECOND // per_second, linktype, wire_len, number)
        segment = self._packets.read(data, linktype, wire_len, number)
        payload = b"" if segment is None else segment[4]
        end = len(data) - len(payload) if payload and data.endswith(payload) else _HEADERS
        self._recent[number % _RECENT] = number, captured._replace(data=data[: min(end, _HEADERS)], about={})
        if segment is None or not self._is_gateway_data(segment):
            self._show(found)
            self._ready.append(packet or captured.dissected())
            return
        if self._keep_segments:
            self._ready.append(captured.dissected(stop_dissection_after=TCP))
        self._show(found)

    def _is_gateway_data(self, segment: Segment) -> bool:
        key, _, _, _, payload, missing, _ = segment
        return bool(payload or missing) and not self.decoder.ports.isdisjoint(ports_of(key))

    def _show(self, found: Iterable[Message | Gap]) -> None:
        for message in found:
            if isinstance(message, Message):
                self._ready.append(self._packet(message))

    def _packet(self, message: Message) -> Packet:
        number = max(message.frames, default=0)
        recent = self._recent[number % _RECENT]
        packet, tcp = _carrier(message, recent[1] if recent is not None and recent[0] == number else None)
        tcp.add_payload(OpenD.from_message(message))
        packet.time = EDecimal(message.time_ns) / _SECOND
        packet.wirelen = None
        return packet


def decode(
    packets: Iterable[Packet],
    *,
    rsa_keys: Path | bytes | Iterable[Path | bytes] = (),
    keylog: Path | Iterable[Path] = (),
    ports: Ports = DEFAULT_PORT,
    limits: Limits | None = None,
) -> Iterator[Message | Gap]:
    """Decode Scapy packets, captured ones or ones that Scapy builds: every message and gap, as `decoder.read` has them.

    Times (``packet.time``) and lengths on the wire (``packet.wirelen``) count, which `sniff(offline=packets)` would
    lose.

    :raises KeyFileError: a key or a key log cannot be used
    """
    return _decoded(_decoder(rsa_keys, keylog, ports, limits or Limits()), packets)


def _decoded(decoder: Decoder, packets: Iterable[Packet]) -> Iterator[Message | Gap]:
    for packet in packets:
        # Not packet.original: the packet may have been edited since.
        _, data, linktype, time_ns, _, wire_len, _ = _captured(packet, bytes(packet))
        yield from decoder.feed(data, time_ns, linktype, wire_len)
    yield from decoder.flush()


def _decoder(
    rsa_keys: Path | bytes | Iterable[Path | bytes], keylog: Path | Iterable[Path], ports: Ports, limits: Limits
) -> Decoder:
    return Decoder(
        keys=KeyRing(rsa_keys, keylog),
        ports=(ports,) if isinstance(ports, int) else ports,
        limits=limits,
    )


# Packets as captured.


def _pcap_record(reader: PcapReader) -> _Captured:
    data, meta = reader._read_packet(_MAX_PACKET)
    if len(data) < meta.caplen <= _MAX_PACKET:
        raise EOFError  # the file was cut inside this packet
    per_second = _SECOND if reader.nano else 1_000_000
    ticks = meta.sec * per_second + meta.usec
    linktype = reader.linktype & 0xFFFF  # above it stands the length of the frame check sequence
    return _Captured(reader.LLcls, data, linktype, ticks, per_second, meta.wirelen, {})


def _pcapng_record(reader: PcapNgReader) -> _Captured:
    data, meta = reader._read_packet(_MAX_PACKET)
    layer = conf.l2types.num2layer.get(meta.linktype, conf.raw_layer)
    ticks = 0 if meta.tshigh is None else (meta.tshigh << 32) + meta.tslow
    about = {
        "comments": meta.comments,
        "direction": meta.direction,
        "process_information": meta.process_information.copy(),
    }
    if meta.ifname is not None:
        about["sniffed_on"] = meta.ifname.decode("utf-8", "backslashreplace")
    return _Captured(layer, data, meta.linktype, ticks, meta.tsresol, meta.wirelen, about)


def _captured(packet: Packet, data: bytes) -> _Captured:
    """What `packet`, of which `data` are the bytes, was captured as."""
    layer = type(packet)
    linktype = conf.l2types.layer2num.get(layer)
    wire_len = packet.wirelen or len(data)
    if linktype is None:
        # Known to Scapy only in other layers: what IP is in it can be read.
        linktype = _RAW_IP
        ip = packet.getlayer(IP) or packet.getlayer(IPv6)
        if ip:
            layer, inner = type(ip), bytes(ip)
            wire_len = max(wire_len - len(data) + len(inner), 0)
            data = inner
    about = {"comments": packet.comments, "direction": packet.direction, "sniffed_on": packet.sniffed_on}
    return _Captured(layer, data, linktype, _nanoseconds(packet.time), _SECOND, wire_len, about)


def _nanoseconds(time: EDecimal | float) -> int:
    # A float of 2024 has steps of 238 ns; its shortest form is the decimal that it was made from.
    exact = time if isinstance(time, Decimal) else Decimal(repr(time))
    return int(exact * _SECOND) if exact.is_finite() else 0


# Packets to yield.


def _carrier(message: Message, segment: _Captured | None) -> tuple[Packet, TCP]:
    """The headers of `segment` without payload, and its TCP layer; made up as far as they are not known."""
    packet = None if segment is None else segment.dissected(stop_dissection_after=TCP)
    tcp = None if packet is None else _open_headers(packet)
    if packet is None or tcp is None:
        packet, tcp = _made_up(message, packet)
    return packet, tcp


def _open_headers(packet: Packet) -> TCP | None:
    """Make room for another payload behind the innermost TCP layer, which is returned."""
    tcp = None
    layer = packet
    while not isinstance(layer, NoPayload):
        if isinstance(layer, TCP):
            tcp = layer
        fields = layer.fields
        for name in fields.keys() & _COMPUTED:
            fields[name] = None
            layer.raw_packet_cache = None
        layer = layer.payload
    if tcp is not None:
        tcp.remove_payload()
    return tcp


def _made_up(message: Message, packet: Packet | None) -> tuple[Packet, TCP]:
    """IP and TCP headers from the addresses of the message, on the link layer of `packet`."""
    (src, sport), (dst, dport) = (end.rsplit(":", 1) for end in (message.src, message.dst))
    tcp = TCP(sport=int(sport), dport=int(dport), flags="PA")
    ip = IPv6(src=src[1:-1], dst=dst[1:-1]) if src.startswith("[") else IP(src=src, dst=dst)
    ip.add_payload(tcp)
    found = packet and (packet.getlayer(IP) or packet.getlayer(IPv6))
    link = found and found.underlayer
    if not packet or not link:
        return ip, tcp
    link.remove_payload()
    link.add_payload(ip)
    return packet, tcp
