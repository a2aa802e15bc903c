"""Defines what a decoder reports: its results, the facts about each connection, and a summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from decoder.conversation.twins import TwinFinder
from decoder.framing.header_faults import header_fault, length_fault, unconfirmed_header
from decoder.framing.websocket_frames import begins_compressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from decoder.framing.websocket_upgrade import Upgrade
    from decoder.message import Gap, Message
    from decoder.vocabulary import Transport

__all__ = ["MAX_NOTED", "WEBSOCKET_LIBRARY", "ConnectionInfo", "Results", "Summary", "protocol_of"]

Octets = bytes  # `ConnectionInfo` has a field named `bytes`
WEBSOCKET_LIBRARY = "pip install 'scapy-opend[websocket]'"
"""Installs what reads WebSocket connections."""
MAX_NOTED = 64
"""Lines of one kind in a summary."""
_HTTP = (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"DELE", b"HTTP", b"PATC", b"CONN")
_ADVICE = {
    "TLS": "; a WebSocket in TLS (wss) can be read with tshark where the client writes its keys (SSLKEYLOGFILE)",
    "WebSocket": "; no message of OpenD was found on it, JSON text is that of another endpoint",
}
"""Next steps, by protocol."""
_TLS_RECORDS = frozenset((b"\x14\x03", b"\x15\x03", b"\x16\x03", b"\x17\x03"))


def protocol_of(data: bytes) -> str | None:
    """Returns the protocol that the first bytes of a direction look like; None if they look like nothing known."""
    if data[:4] in _HTTP:
        return "WebSocket" if b"upgrade: websocket" in data.lower() or b"sec-websocket" in data.lower() else "HTTP"
    return "TLS" if data[:2] in _TLS_RECORDS else None


@dataclass(slots=True)
class ConnectionInfo:
    """Describes one TCP connection; complete when `Decoder` hands it to `on_connection`.

    Every connection to a gateway port is reported, also one that never carried a message: refused, unanswered,
    closed before a byte.
    """

    ordinal: int
    client: str
    server: str
    first_ns: int
    last_ns: int
    """Times of its first and last packet, in nanoseconds since 1970; the earliest and latest where the clock steps."""
    opened: bool = False
    """True if a SYN of either end is in the capture."""
    syn_seen: bool = False
    """True if the client's SYN is in the capture."""
    syn_ack_seen: bool = False
    """True if the gateway's answer to it, SYN and ACK, is in the capture."""
    closed_by: str | None = None
    """``client`` or ``server``, whoever sent the first FIN or RST; None while open."""
    reset: bool = False
    """True if a RST ended it."""
    closed_ns: int | None = None
    """Time of the packet with that FIN or RST."""
    closed_frame: int | None = None
    """Number of that packet."""
    confirmed: bool = False
    """True if a message of the protocol was found on it."""
    not_opend: bool = False
    """True if data, but never a header, was seen."""
    sample_key: bool = False
    """True if the vendor's public sample key opens its InitConnect."""
    bytes: dict[str, int] = field(default_factory=lambda: {"c2s": 0, "s2c": 0})
    """Bytes of each direction's stream, holes included."""
    messages: dict[str, int] = field(default_factory=lambda: {"c2s": 0, "s2c": 0})
    """Messages of each direction."""
    first_bytes: dict[str, Octets] = field(default_factory=lambda: {"c2s": b"", "s2c": b""})
    """First bytes (64 at most) of a direction in which no message was found: they tell HTTP, TLS, WebSocket apart."""
    websocket: Upgrade | None = None
    """Answer to its upgrade to WebSocket, if there was one."""
    library_missing: bool = False
    """True if it is not decoded because the library `websockets` is not installed."""
    retransmissions: dict[str, int] = field(default_factory=lambda: {"c2s": 0, "s2c": 0})
    """Packets of each direction all of whose payload had been captured before."""
    out_of_window: int = 0
    """Packets with its addresses and ports that belong to no place of its streams: stray, forged or damaged."""
    copy_of: int | None = None
    """Ordinal of the connection that carries the same conversation (proxy, DNAT, two capture points), else None."""

    @property
    def transport(self) -> Transport:
        """``websocket`` if its messages travel in WebSocket frames, else ``tcp``."""
        return "websocket" if self.websocket is not None and self.websocket.accepted else "tcp"

    @property
    def said_goodbye(self) -> str | None:
        """``client`` or ``server``, which said first, before the TCP connection ends, that it closes; None over TCP."""
        return None if self.websocket is None else self.websocket.closed_by

    @property
    def refused(self) -> bool:
        """True if the gateway's host answered the SYN with a RST: nothing listens on the port."""
        return self.syn_seen and not self.syn_ack_seen and self.reset and self.closed_by == "server" and self.silent

    @property
    def unanswered(self) -> bool:
        """True if nothing ever answered the client's SYN."""
        return self.syn_seen and not self.syn_ack_seen and self.closed_by != "server" and self.silent

    @property
    def silent(self) -> bool:
        """True if neither end sent a byte."""
        return not any(self.bytes.values())

    @property
    def no_message(self) -> str | None:
        """Returns the code of the finding on why it carried no message, ``silent`` if there is none; else None."""
        if self.refused:
            return "refused"
        if self.unanswered:
            return "unreachable"
        if self.silent:
            return "closed-before-login" if self.syn_ack_seen and self.closed_by is not None else "silent"
        if not self.not_opend:
            return None
        return "wrong-header" if self.wrong_header is not None and self.other_protocol is None else "not-opend"

    @property
    def other_protocol(self) -> str | None:
        """Returns the protocol that its first bytes look like; None if they look like nothing known."""
        if self.transport == "websocket":
            return "WebSocket"
        return next(filter(None, map(protocol_of, self.first_bytes.values())), None)

    @property
    def begins_compressed(self) -> bool:
        """True if the first bytes of each direction look like a WebSocket frame with a compressed message."""
        sent = [(way, data) for way, data in self.first_bytes.items() if data]
        return bool(sent) and all(begins_compressed(data, from_client=way == "c2s") for way, data in sent)

    @property
    def wrong_header(self) -> str | None:
        """Returns what is wrong with the header that either end sent first; None if there is nothing like one."""
        faults = (
            header_fault(data) or length_fault(data, self.bytes[direction])
            for direction, data in self.first_bytes.items()
        )
        return next(filter(None, faults), None)

    def remarks(self) -> Iterator[str]:
        """Yields lines for people on what concerns the whole capture."""
        if self.sample_key:
            yield "the SDK's public sample key protects this traffic: anyone can read it; make a key of your own"
        if self.library_missing:
            yield f"a WebSocket connection was not decoded, for which a library is missing: {WEBSOCKET_LIBRARY}"
        if self.websocket is not None:
            yield from self.websocket.remarks()

    @property
    def why_not_opend(self) -> str:
        """Returns a line for people on what was sent instead of the protocol."""
        what = self.other_protocol
        if self.library_missing:
            return f"this is WebSocket, and the library that reads it is missing: {WEBSOCKET_LIBRARY}"
        if what is not None:
            return (
                f"this is {what}, not the protocol of a gateway's API port: compare the port with OpenD's settings"
                + _ADVICE.get(what, "")
            )
        if self.begins_compressed:
            return (
                "this looks like a WebSocket with compressed messages that began before the capture: they refer to "
                "earlier ones, so nothing can inflate them; record the connection from its start"
            )
        if self.wrong_header is not None:
            return f"the message header is wrong: {self.wrong_header}"
        begun = (unconfirmed_header(data, self.bytes[direction]) for direction, data in self.first_bytes.items())
        return next(filter(None, begun), "no message header found, so this is not a gateway's traffic")


@dataclass
class Results:
    """Collects the messages and gaps of all connections, in the order of the records."""

    items: list[Message | Gap] = field(default_factory=list)
    """Those that came out and were not fetched yet."""
    messages: int = 0
    """Messages so far: the number of the last one."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Messages that are not verified, by reason."""
    gap_hints: Counter[str] = field(default_factory=Counter)
    """Messages with missing bytes, by their line on the cause."""
    gaps: Counter[str] = field(default_factory=Counter)
    """Gaps, by reason."""
    on_retransmission: Callable[[int], None] | None = None
    """Called with the number of each packet that brings nothing new."""
    limits_hit: set[str] = field(default_factory=set)
    """Limits of a connection that were hit: a line for the summary each."""
    dedup: bool = False
    """True if copies of messages do not come out."""
    twin_finder: TwinFinder = field(default_factory=TwinFinder)
    """Finds connections that carry the same conversation."""


@dataclass
class Summary:
    """Counts what was seen, and has lines for people."""

    packets: int = 0
    first_ns: int | None = None
    """Time of the first packet, in nanoseconds since 1970, UTC."""
    last_ns: int | None = None
    """Time of the last packet."""
    segments: int = 0
    """Segments with payload on gateway connections."""
    messages: int = 0
    gaps: int = 0
    connections: int = 0
    """Connections that spoke the protocol."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """Messages by reason, or ``verified``."""
    gap_hints: Counter[str] = field(default_factory=Counter)
    """Messages with missing bytes, by a line for people on the cause."""
    not_opend: list[str] = field(default_factory=list)
    """Connections on a gateway port that spoke something else, a line each."""
    no_message: Counter[str] = field(default_factory=Counter)
    """Connections to a gateway port on which neither end sent a byte, by `ConnectionInfo.no_message`."""
    header_ports: Counter[int] = field(default_factory=Counter)
    """Other ports on which segments began with a plausible header: the gateway's, as SYN or content tells."""
    unsure_ports: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Likewise where nothing tells which of two ports, the lower one first, is the gateway's."""
    library_missing: bool = False
    """True if a WebSocket connection was not decoded because the library `websockets` is not installed."""
    clock_steps: int = 0
    """Packets whose time lies before that of the packet before them."""
    largest_step_ns: int = 0
    """The largest of these steps back, in nanoseconds."""
    step_packet: int = 0
    """Number of the packet with the largest step."""
    rewritten: bool = False
    """True if all captures come from `opendump rewrite`: it writes in clear, and in the order of the streams, so that
    neither readable secrets nor steps back in time say anything."""
    reports: list[str] = field(default_factory=list)
    """Limits that were hit and other things that concern the whole capture; a line each, no line twice."""

    def report(self, line: str) -> None:
        """Add a line to `reports`."""
        if line not in self.reports and len(self.reports) < MAX_NOTED:
            self.reports.append(line)

    def add_remarks(self, info: ConnectionInfo) -> None:
        """Reports what a connection shows about the whole capture."""
        self.library_missing |= info.library_missing
        for line in info.remarks():
            self.report(line)

    def add_connection(self, info: ConnectionInfo) -> None:
        """Counts a connection."""
        if info.confirmed:
            self.connections += 1
        elif info.not_opend and len(self.not_opend) < MAX_NOTED:
            self.not_opend.append(f"{info.client} > {info.server}: {info.why_not_opend}")
        elif info.silent:
            self.no_message[info.no_message or "silent"] += 1
