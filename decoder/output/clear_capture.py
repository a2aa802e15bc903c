"""Writes messages as a new pcapng capture: every connection a clean TCP conversation in clear, without secrets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import TYPE_CHECKING

from decoder.capture.pcapng_writer import interface_block, packet_block, section_block
from decoder.framing.header import HEADER
from decoder.message import Gap, Message
from decoder.packet.clean_tcp import CleanConnection

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo
    from decoder.output.replacer import Replaced, Replacer

__all__ = ["APPLICATION", "ClearCapture"]

APPLICATION = "opendump"
"""First word of the section's application field, by which a reader knows a capture of ours."""
_ETHERNET = 1
_MAX_PACKETS = 32
"""Packet numbers in one comment."""
_MAX_PLACES = 32
"""Paths of replaced fields in one comment."""
_INCOMPLETE = frozenset(("gap", "truncated", "oversize"))
"""Reasons of messages whose missing bytes are told as gaps, too."""


class ClearCapture:
    """Writes one capture.

    ::

        capture = ClearCapture(write, Replacer())
        decoder = Decoder(on_connection=capture.connection_ended)
        capture.start()
        for batch in batches:
            capture.add(decoder.feed_batch(batch))
        capture.add(decoder.flush())
        capture.finish()

    :param write: takes the bytes of the file, piece by piece
    :param replacer: replaces what must not be passed on
    :param unverified: write messages that are not verified, too
    """

    def __init__(self, write: Callable[[bytes], object], replacer: Replacer, *, unverified: bool = False) -> None:
        self.written = 0
        """Messages in the capture."""
        self.changed = 0
        """Messages of which fields were replaced."""
        self.withheld = 0
        """Messages left out because nobody can tell whether they hold secrets."""
        self.left_out: Counter[str] = Counter()
        """Messages left out because they are not verified, by reason."""
        self.holes = 0
        """Gaps that the capture shows."""
        self._write = write
        self._replacer = replacer
        self._unverified = unverified
        self._connections: dict[int, tuple[CleanConnection, tuple[str, str]]] = {}
        self._by_ends: dict[tuple[str, str], int] = {}
        self._ended: list[ConnectionInfo] = []
        self._last_ns: dict[int, int] = {}

    def start(self) -> None:
        """Write what stands before the first packet."""
        self._write(section_block(f"{APPLICATION} {_version()}") + interface_block(_ETHERNET))

    def add(self, items: Iterable[Message | Gap]) -> None:
        """Write the next messages and gaps."""
        for item in items:
            if isinstance(item, Message):
                self._add_message(item)
            elif item.connection in self._connections:
                self._connections[item.connection][0].halves[item.direction == "s2c"].gap(item.bytes or 1)
                self.holes += 1
        ended, self._ended = self._ended, []
        for info in ended:
            self._close(info.ordinal, info)

    def connection_ended(self, info: ConnectionInfo) -> None:
        """Note that a connection ended; the messages of the current batch still belong to it."""
        self._ended.append(info)

    def finish(self) -> None:
        """Close the connections that are open."""
        for ordinal in list(self._connections):
            self._close(ordinal)

    def _add_message(self, message: Message) -> None:
        if message.verdict != "verified" and not self._unverified:
            self.left_out[message.reason or message.verdict] += 1
            return
        replaced = None
        if message.plaintext is not None:
            replaced = self._replacer.replace(message)
            if replaced is None:
                self.withheld += 1
                return
            self.changed += bool(replaced.places)
        self.written += 1
        comment: str | None = _comment(message, replaced)
        connection = self._connection(message)
        data, absent = _on_the_wire(message, replaced)
        frames = connection.data(message.direction == "s2c", data, absent, is_incomplete=message.reason in _INCOMPLETE)
        for frame, has_payload in frames:
            self._put(message.time_ns, frame, comment if has_payload else None)
            comment = None if has_payload else comment
        self._last_ns[message.connection] = message.time_ns

    def _connection(self, message: Message) -> CleanConnection:
        """The connection of a message; opened, if it is the first."""
        ordinal = message.connection
        known = self._connections.get(ordinal)
        if known is not None:
            return known[0]
        src, dst = message.src, message.dst
        ends = (src, dst) if message.direction == "c2s" else (dst, src)
        if ends in self._by_ends:
            self._close(self._by_ends[ends])
        connection = CleanConnection(*ends)
        self._connections[ordinal] = connection, ends
        self._by_ends[ends] = ordinal
        for frame in connection.opening():
            self._put(message.time_ns, frame)
        return connection

    def _close(self, ordinal: int, info: ConnectionInfo | None = None) -> None:
        known = self._connections.pop(ordinal, None)
        if known is None:
            return
        connection, ends = known
        del self._by_ends[ends]
        time_ns = self._last_ns.pop(ordinal)
        comment = "opend: the connection was open when the capture ended"
        if info is not None and info.closed_by is not None:
            who = "gateway" if info.closed_by == "server" else "client"
            comment = f"opend: closed by the {who}{' with a reset' * info.reset}"
            time_ns = info.closed_ns or time_ns
        first, *others = connection.closing(by_gateway=info is not None and info.closed_by == "server")
        self._put(time_ns, first, comment)
        for frame in others:
            self._put(time_ns, frame)

    def _put(self, time_ns: int, frame: bytes, comment: str | None = None) -> None:
        self._write(packet_block(0, time_ns, frame, len(frame), comment))


def _on_the_wire(message: Message, replaced: Replaced | None) -> tuple[bytes, int]:
    """Header and body as they are written, and how many bytes of the body are not."""
    magic, proto_id, form, version, serial_no, body_len, sha1, reserved = message.header
    body = b""
    if replaced is not None:
        body, sha1, _ = replaced
        body_len = len(body)
    header = HEADER.pack(magic, proto_id, form, version, serial_no, body_len, sha1, reserved)
    return header + body, body_len - len(body)


def _comment(message: Message, replaced: Replaced | None) -> str:
    verdict = message.verdict if message.reason is None else f"{message.verdict}:{message.reason}"
    packets = message.frames
    shown = ",".join(map(str, packets[:_MAX_PACKETS])) + ",…" * (len(packets) > _MAX_PACKETS)
    name = message.proto or str(message.proto_id)
    text = f"opend {message.number} {name} {message.kind} #{message.serial_no} verdict={verdict} packets={shown}"
    places = replaced.places if replaced is not None else []
    if places:
        text += f" replaced={','.join(places[:_MAX_PLACES])}" + ",…" * (len(places) > _MAX_PLACES)
    return text


def _version() -> str:
    try:
        return metadata.version("scapy-opend")
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
