# SPDX-License-Identifier: GPL-2.0-or-later

"""Decodes while Scapy sniffs: `OpenDSession` for ``sniff(session=…)``, `decode` for packets that are there already.

Both hand the packets to `decoder.Decoder`; Scapy's own reassembly takes no part.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from scapy.layers.inet import TCP
from scapy.packet import Packet
from scapy.sessions import DefaultSession
from scapy.utils import PcapNgReader, PcapReader, RawPcapReader

from decoder.crypto.keyring import KeyRing
from decoder.engine.decoder import Decoder
from decoder.limits import Limits
from decoder.message import Gap, Message
from decoder.packet.dissector import PacketReader, Segment
from decoder.packet.flow_key import endpoints
from decoder.packet.flow_key import ports as ports_of
from decoder.scapy.carrier import (
    MAX_PACKET,
    SECOND,
    CapturedPacket,
    carrier_headers,
    from_packet,
    message_packet,
    read_pcap,
    read_pcapng,
)
from decoder.scapy.clear_numbers import ClearNumbers
from decoder.scapy.layer import setting
from decoder.vocabulary import DEFAULT_PORT

__all__ = ["OpenDSession", "decode"]

Path = str | os.PathLike[str]
Ports = int | Sequence[int] | Literal["auto"]

_HEADERS = 512
"""Bytes of a packet that hold its headers, those of tunnels too."""
_MAX_BARE = 512
"""Packets without payload that wait for messages before them: a connection begins to emit after 128 packets."""
_RECENT = 1 << 14
"""Packets whose headers are remembered: a message may come out long after the packet that completed it."""
_SEARCHED = 8
"""Segments of a message that are searched for its first sequence number."""
_FIN, _SYN, _URG = 1, 2, 32


class OpenDSession(DefaultSession):
    """Yields one packet with one `OpenD` layer per message: ``sniff(offline="day.pcap", session=OpenDSession)``.

    The packet has the link, IP and TCP headers of the segment that completed the message (length and checksum None,
    so that they are computed when it is built), the time of the message, and the decoded `Message` in
    ``packet[OpenD].message``.  ``packet[OpenD].body`` is the plaintext and ``body_len`` its length, or ``body`` is
    empty if the body could not be decrypted; the header as it was on the wire is ``message.header``.

    What comes out is a conversation in clear: on an encrypted connection sequence and acknowledgement numbers are
    those of the plaintext, a missing message is a hole of the right size, and ``wrpcap`` writes a capture that decodes
    to the same messages without a key.  Otherwise packets pass untouched and in order: bare ACK, SYN and FIN, IP
    fragments, all foreign traffic.  Segments of gateway traffic with payload do not come out as themselves unless
    `keep_segments` is set.  Gaps are no packets: ``session.decoder.summary`` counts them.

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
        self._is_live = False
        self._bare: list[tuple[bytes, Packet]] = []  # ACK and FIN packets that wait for messages before them
        self._recent: list[tuple[int, CapturedPacket] | None] = [None] * _RECENT
        self._numbers = ClearNumbers()
        self._ready: deque[Packet] = deque()

    def recv(self, sock: Any) -> Iterator[Packet]:
        """Reads one packet of `sock` and yields what comes of it; called by sniff()."""
        self._open.add(sock)
        try:
            self._receive(sock)
        except Exception:
            # EOFError at the end of a capture; sniff() gives up a socket after any other one too.
            self._open.discard(sock)
            if not self._open:
                self._emit(self.decoder.flush())
                self._release_bare(all_of_them=True)
            yield from self._drain()
            raise
        yield from self._drain()

    def process(self, pkt: Packet) -> Packet | None:
        """Decodes one packet and returns the next one to yield, if any; a further one comes with the next call."""
        packet = super().process(pkt)
        if packet is not None:
            self._decode(from_packet(packet, bytes(packet)), packet)
        return self._ready.popleft() if self._ready else None

    def add(self, captured: CapturedPacket) -> Iterator[Packet]:
        """Decodes one packet and yields what comes of it."""
        self._decode(captured)
        yield from self._drain()

    def flush(self) -> list[Packet]:
        """Returns everything that is still held, as packets; to be called after a sniff that was stopped."""
        self._emit(self.decoder.flush())
        self._release_bare(all_of_them=True)
        return list(self._drain())

    def _drain(self) -> Iterator[Packet]:
        while self._ready:
            yield self._ready.popleft()

    def _receive(self, sock: Any) -> None:
        self._is_live = not _reads_file(sock)
        if self.supersession is None:
            # The readers themselves, no subclass: those may read another format.
            if type(sock) is PcapReader:
                return self._decode(read_pcap(sock))
            if type(sock) is PcapNgReader:
                return self._decode(read_pcapng(sock))
        packet = sock.recv(MAX_PACKET)
        if not packet:
            return None
        # Building a packet again costs as much as dissecting it; but what another session made of it has other bytes.
        data = packet.original if self.supersession is None else b""
        packet = super().process(packet)
        return self._decode(from_packet(packet, data or bytes(packet)), packet) if packet else None

    def _decode(self, captured: CapturedPacket, packet: Packet | None = None) -> None:
        """Decodes one packet; `packet` is the dissected form, where there is one already."""
        self._number += 1
        number = self._number
        _, data, linktype, ticks, per_second, wire_len, _ = captured
        time_ns = ticks * SECOND // per_second
        if self._is_live:
            self._emit(self.decoder.tick(time_ns))
        found = self.decoder.feed(data, time_ns, linktype, wire_len, number)
        segment = self._packets.read(data, linktype, wire_len, number)
        payload = b"" if segment is None else segment[4]
        end = len(data) - len(payload) if payload and data.endswith(payload) else _HEADERS
        self._recent[number % _RECENT] = number, captured._replace(data=data[: min(end, _HEADERS)], about={})
        if segment is not None and segment[3] & _SYN:
            self._numbers.note_syn(endpoints(segment[0]), segment[1])
        if segment is not None and self._is_gateway_data(segment):
            if self._keep_segments:
                self._ready.append(captured.dissected(stop_dissection_after=TCP))
            self._emit(found)
            self._release_bare()
            return
        self._emit(found)
        if packet is None:
            packet = captured.dissected()
        if segment is None or payload:
            self._ready.append(packet)
            return
        self._bare.append((segment[0], packet))
        self._release_bare()

    def _release_bare(self, *, all_of_them: bool = False) -> None:
        """Hands on ACK and FIN packets, whose numbers depend on the messages before them, once those are out."""
        if not self._bare:
            return
        waiting, self._bare = self._bare, []
        for key, packet in waiting:
            if not all_of_them and len(waiting) < _MAX_BARE and self.decoder.is_settling(key):
                self._bare.append((key, packet))
                continue
            self._numbers.renumber(packet, endpoints(key))
            self._ready.append(packet)

    def _is_gateway_data(self, segment: Segment) -> bool:
        key, _, _, _, payload, missing, _ = segment
        return bool(payload or missing) and not self.decoder.ports.isdisjoint(ports_of(key))

    def _emit(self, found: Sequence[Message | Gap]) -> None:
        last = {item.flow: place for place, item in enumerate(found) if isinstance(item, Message)}
        for place, item in enumerate(found):
            if isinstance(item, Gap):
                self._numbers.add_gap(item)
            else:
                self._ready.append(self._message_packet(item, is_last=last[item.flow] == place))

    def _message_packet(self, message: Message, *, is_last: bool) -> Packet:
        """Makes the packet of a message; `is_last`: no further message of its direction came with it."""
        packet, tcp = carrier_headers(message, self._captured(max(message.frames, default=0)))
        tcp.flags &= ~(_SYN | _URG if is_last else _FIN | _SYN | _URG)
        tcp.urgptr = 0
        self._numbers.number_message(message, tcp, lambda: self._first_seq(message, tcp.seq))
        return message_packet(message, (packet, tcp))

    def _first_seq(self, message: Message, default: int) -> int:
        """Returns the lowest sequence number of the segments that brought the message, of those remembered."""
        found = default
        for number in message.frames[:_SEARCHED]:
            captured = self._captured(number)
            if captured is not None:
                segment = self._packets.read(captured.data, captured.linktype, captured.wire_len, number)
                if segment is not None and (found - segment[1]) & 0xFFFFFFFF < 0x80000000:
                    found = segment[1]
        return found

    def _captured(self, number: int) -> CapturedPacket | None:
        recent = self._recent[number % _RECENT]
        return recent[1] if recent is not None and recent[0] == number else None


def decode(
    packets: Iterable[Packet],
    *,
    rsa_keys: Path | bytes | Iterable[Path | bytes] = (),
    keylog: Path | Iterable[Path] = (),
    ports: Ports = DEFAULT_PORT,
    limits: Limits | None = None,
) -> Iterator[Message | Gap]:
    """Decodes Scapy packets, captured or built ones: every message and gap, as `decoder.read` has them.

    Times (``packet.time``) and lengths on the wire (``packet.wirelen``) count, which `sniff(offline=packets)` would
    lose.

    :raises KeyFileError: a key or a key log cannot be used
    """
    return _decoded(_decoder(rsa_keys, keylog, ports, limits or Limits()), packets)


def _reads_file(sock: Any) -> bool:
    """Returns True for a reader of a capture file: what comes from anywhere else comes while time passes."""
    try:
        return stat.S_ISREG(os.fstat(sock.f.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):  # no file, closed, or gzip without a descriptor
        return isinstance(sock, RawPcapReader)


def _decoded(decoder: Decoder, packets: Iterable[Packet]) -> Iterator[Message | Gap]:
    for packet in packets:
        # Not packet.original: the packet may have been edited since.
        _, data, linktype, time_ns, _, wire_len, _ = from_packet(packet, bytes(packet))
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
