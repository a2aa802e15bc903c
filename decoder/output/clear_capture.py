"""Writes messages as a new pcapng capture: every connection a clean TCP conversation in clear, without secrets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from decoder.bounded import BoundedDict
from decoder.capture.pcapng_writer import interface_block, packet_block, section_block
from decoder.framing.header import DIGEST, HEADER
from decoder.framing.websocket_header import build_header
from decoder.framing.websocket_writer import build_frame, build_upgrade
from decoder.message import Gap, Message
from decoder.packet.clean_tcp import CleanConnection
from decoder.vocabulary import APPLICATION, INIT_CONNECT

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo
    from decoder.message import Flow
    from decoder.output.replacer import Replaced, Replacer
    from decoder.vocabulary import Transport

__all__ = ["ClearCapture"]

_ETHERNET = 1
_MAX_PACKETS = 32
"""Packet numbers in one comment."""
_MAX_PLACES = 32
"""Paths of replaced fields in one comment."""
_APART = 1 << 28
"""Bytes between the numbers of two connections of the same ends: no reader takes one for copies of the other."""
_MAX_REUSED = 1 << 16
"""Pairs of ends that are remembered; another connection of one that was forgotten begins at 0 again."""
_INCOMPLETE = frozenset(("gap", "truncated", "oversize"))
"""Reasons of messages whose missing bytes are told as gaps, too."""


_Ends = tuple[str, str]
"""Client and gateway, as `ConnectionInfo` has them."""


@dataclass
class _Open:
    """A connection that is being written."""

    connection: CleanConnection
    ordinal: int
    """Of the connection in the original."""
    transport: Transport
    last_ns: int
    """Time of its last message."""


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
        self._open: dict[_Ends, _Open] = {}
        self._ended: dict[int, ConnectionInfo] = {}
        self._reused = BoundedDict[_Ends, int](_MAX_REUSED)  # where another connection of these ends begins

    def start(self) -> None:
        """Writes what stands before the first packet."""
        self._write(section_block(f"{APPLICATION} {_version()}") + interface_block(_ETHERNET))

    def add(self, items: Iterable[Message | Gap]) -> None:
        """Writes the next messages and gaps."""
        for item in items:
            if isinstance(item, Message):
                self._add_message(item)
            elif (open_ := self._open.get(_ends(item.flow))) is not None and open_.ordinal == item.connection:
                open_.connection.halves[item.direction == "s2c"].gap(item.bytes or 1)
                self.holes += 1
        ended, self._ended = self._ended, {}
        for info in ended.values():
            ends = info.client, info.server
            if ends in self._open and self._open[ends].ordinal == info.ordinal:
                self._close(ends, info)

    def connection_ended(self, info: ConnectionInfo) -> None:
        """Notes that a connection ended; the messages of the current batch still belong to it."""
        self._ended[info.ordinal] = info

    def finish(self) -> None:
        """Closes the connections that are open."""
        for ends in list(self._open):
            self._close(ends)

    def _add_message(self, message: Message) -> None:
        if message.verdict != "verified" and not self._unverified:
            self.left_out[message.reason or message.verdict] += 1
            return
        replaced, places = None, []
        if message.plaintext is not None:
            replaced = self._replacer.replace(message)
            if replaced is None:
                self.withheld += 1
                return
            places += replaced.places
        error = self._replacer.error(message)
        if error != message.error:
            places.append("error")
        self.changed += bool(places)
        self.written += 1
        comment: str | None = _comment(message, places)
        open_ = self._opened(message)
        data, absent = _on_the_wire(message, replaced, error)
        is_incomplete = message.reason in _INCOMPLETE
        frames = open_.connection.data(message.direction == "s2c", data, absent, is_incomplete=is_incomplete)
        for frame, has_payload in frames:
            self._put(message.time_ns, frame, comment if has_payload else None)
            comment = None if has_payload else comment
        open_.last_ns = message.time_ns

    def _opened(self, message: Message) -> _Open:
        """Returns the connection of a message; opened, if it is its first."""
        ends, ordinal = _ends(message.flow), message.connection
        open_ = self._open.get(ends)
        if open_ is not None and open_.ordinal != ordinal:
            info = self._ended.get(open_.ordinal)
            goes_on = info is None and open_.transport == message.transport
            if goes_on and message.proto_id != INIT_CONNECT:
                open_.ordinal = ordinal  # both go on: one connection that was taken for two stays one here
            else:
                self._close(ends, info)
                open_ = None
        if open_ is None:
            connection = CleanConnection(*ends, self._reused.get(ends, 0))
            open_ = self._open[ends] = _Open(connection, ordinal, message.transport, message.time_ns)
            for frame in connection.opening():
                self._put(message.time_ns, frame)
            for sender, data in enumerate(_CARRIERS[message.transport].opening(ends[1])):
                for frame, _ in connection.data(bool(sender), data):
                    self._put(message.time_ns, frame)
        return open_

    def _close(self, ends: _Ends, info: ConnectionInfo | None = None) -> None:
        open_ = self._open.pop(ends)
        time_ns = open_.last_ns
        comment = "opend: the connection was open when the capture ended"
        if info is not None and info.closed_by is not None:
            who = "gateway" if info.closed_by == "server" else "client"
            comment = f"opend: closed by the {who}{' with a reset' * info.reset}"
            time_ns = info.closed_ns or time_ns
        first, *others = open_.connection.closing(by_gateway=info is not None and info.closed_by == "server")
        self._put(time_ns, first, comment)
        for frame in others:
            self._put(time_ns, frame)
        self._reused[ends] = max(half.next_seq for half in open_.connection.halves) + _APART

    def _put(self, time_ns: int, frame: bytes, comment: str | None = None) -> None:
        self._write(packet_block(0, time_ns, frame, len(frame), comment))


def _ends(flow: Flow) -> _Ends:
    return (flow.src, flow.dst) if flow.direction == "c2s" else (flow.dst, flow.src)


class _Carrier(NamedTuple):
    """Tells how messages travel on a connection."""

    opening: Callable[[str], Iterable[bytes]]
    """Returns the bytes that the client and the gateway, whose address is given, begin a connection with."""
    frame: Callable[[bytes, int, bool], bytes]
    """Puts what is written of a message, and the number of bytes that are not, of the client or not, into frames."""


_CARRIERS: dict[Transport, _Carrier] = {
    "tcp": _Carrier(lambda gateway: (), lambda data, absent, from_client: data),
    "websocket": _Carrier(
        build_upgrade, lambda data, absent, from_client: build_frame(data, absent, from_client=from_client)
    ),
}


def _on_the_wire(message: Message, replaced: Replaced | None, error: dict[str, int | str] | None) -> tuple[bytes, int]:
    """Returns header and body as they are written, and how many bytes of the body are not."""
    magic, proto_id, form, version, serial_no, body_len, sha1, reserved = message.header
    from_client = message.direction == "c2s"
    body = b""
    if replaced is not None:
        body, sha1, _ = replaced
        body_len = len(body)
    if message.header[DIGEST]:
        header = HEADER.pack(magic, proto_id, form, version, serial_no, body_len, sha1, reserved)
    else:
        header = build_header(proto_id, serial_no, error, from_client=from_client)
    absent = body_len - len(body)
    return _CARRIERS[message.transport].frame(header + body, absent, from_client), absent


def _comment(message: Message, places: list[str]) -> str:
    verdict = message.verdict if message.reason is None else f"{message.verdict}:{message.reason}"
    packets = message.frames
    shown = ",".join(map(str, packets[:_MAX_PACKETS])) + ",…" * (len(packets) > _MAX_PACKETS)
    name = message.proto or str(message.proto_id)
    text = f"opend {message.number} {name} {message.kind} #{message.serial_no} verdict={verdict} packets={shown}"
    if places:
        text += f" replaced={','.join(places[:_MAX_PLACES])}" + ",…" * (len(places) > _MAX_PLACES)
    return text


def _version() -> str:
    try:
        return metadata.version("scapy-opend")
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
