"""Defines the rows of the statistics: the figures of a connection and of a protocol, and their keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from decoder import schema
from decoder.formatting.times import rfc3339
from decoder.statistics.quantiles import Quantiles

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo
    from decoder.message import Gap, Message
    from decoder.vocabulary import Transport

__all__ = [
    "CONNECTION_KEYS",
    "FINDING_KEYS",
    "PROTOCOL_KEYS",
    "ConnectionFigures",
    "ConnectionRow",
    "ProtocolFigures",
    "ProtocolRow",
]

_SECOND = 1_000_000_000

_COUNTED = {
    "requests": "messages",
    "responses": "messages",
    "pushes": "messages",
    "errors": "responses and pushes whose retType is not RET_OK",
    "unanswered": "requests without a response in the capture",
    "not_verified": "messages whose SHA-1 does not prove them",
}

CONNECTION_KEYS = {
    "connection": "ordinal of the TCP connection, as in the record of a message",
    "client": "address and port",
    "gateway": "address and port",
    "conn_id": "connID of InitConnect, as a string",
    "client_id": "clientID of InitConnect",
    "client_version": "clientVer",
    "language": "programmingLanguage",
    "gateway_version": "serverVer",
    "encryption": "list: how bodies were encrypted, in the order of appearance",
    "format": "list: Protobuf, Json",
    "keep_alive_s": "keepAliveInterval, in seconds",
    "first": "time of its first packet",
    "last": "time of its last packet",
    "duration_s": "from the first to the last, in seconds",
    "opened": "whether its SYN is in the capture",
    "no_message": "code of the finding on why it carried no message, or silent; null if it carried one",
    "closed_by": "client or server: who sent the first FIN or RST; null while open",
    "reset": "whether a RST ended it",
    **_COUNTED,
    "gaps": "holes",
    "bytes_c2s": "bytes of the client's messages, headers included",
    "bytes_s2c": "bytes of the gateway's messages, headers included",
    "retransmissions": "packets that brought nothing new",
    "transport": "tcp or websocket",
    "deflate": "whether WebSocket messages may be compressed (permessage-deflate); null over TCP, or if not known",
    "key_given": "whether InitWebSocket has a websocketKey; null over TCP, or if not known",
}
"""Keys of a connection, and what they say.  What is not known is null."""

PROTOCOL_KEYS = {
    "proto_id": "protocol id; null for the row of all that have too many ids to be listed",
    "proto": "name, or null",
    **_COUNTED,
    "bytes": "bytes of its messages, headers included",
    "latency_p50_ms": "of responses, from the completion of the request: median (nearest rank, within 0.05 %)",
    "latency_p90_ms": "90 % of the responses took no longer",
    "latency_p99_ms": "99 % of the responses took no longer",
    "latency_max_ms": "the longest (exact)",
    "push_rate": "pushes a second, from the first push to the last",
    "push_peak": "the most pushes in a second of the clock",
}
"""Keys of a protocol, and what they say."""


FINDING_KEYS = {
    "severity": "error, warning or note",
    "code": "what kind of finding",
    "message": "number of the message it is about, of the first if there are several; null if it is about none",
    "connection": "ordinal of the connection, or null",
    "time": "when it showed",
    "text": "what it means and what to do",
    "count": "how many occurrences it stands for",
    "wireshark": "display filter for the packets of that message; null if there is none, or it is too long ago",
}
"""Keys of a finding, and what they say."""


@dataclass(frozen=True)
class ConnectionFigures:
    """The figures of one connection: the keys of `CONNECTION_KEYS`."""

    connection: int
    client: str
    gateway: str
    conn_id: str | None
    client_id: str | None
    client_version: int | None
    language: str | None
    gateway_version: int | None
    encryption: list[str]
    format: list[str]
    keep_alive_s: int | None
    first: str
    last: str
    duration_s: float
    opened: bool
    no_message: str | None
    closed_by: str | None
    reset: bool
    requests: int
    responses: int
    pushes: int
    errors: int
    unanswered: int
    not_verified: int
    gaps: int
    bytes_c2s: int
    bytes_s2c: int
    retransmissions: int
    transport: str
    deflate: bool | None
    key_given: bool | None

    def record(self) -> dict[str, Any]:
        """Returns the figures as an object of ``stats --format json``."""
        return {key: getattr(self, key) for key in CONNECTION_KEYS}


@dataclass(frozen=True)
class ProtocolFigures:
    """The figures of one protocol: the keys of `PROTOCOL_KEYS`."""

    proto_id: int | None
    proto: str | None
    requests: int
    responses: int
    pushes: int
    errors: int
    unanswered: int
    not_verified: int
    bytes: int
    latency_p50_ms: float | None
    latency_p90_ms: float | None
    latency_p99_ms: float | None
    latency_max_ms: float | None
    push_rate: float | None
    push_peak: int | None

    def record(self) -> dict[str, Any]:
        """Returns the figures as an object of ``stats --format json``."""
        return {key: getattr(self, key) for key in PROTOCOL_KEYS}


class _Counts:
    """Counts what connections and protocols have in common."""

    __slots__ = ("answered", "errors", "not_verified", "pushes", "requests", "responses")

    def __init__(self) -> None:
        self.requests = self.responses = self.pushes = 0
        self.answered = self.errors = self.not_verified = 0

    def counts(self) -> dict[str, Any]:
        """Returns the counts by their keys."""
        return {
            "requests": self.requests,
            "responses": self.responses,
            "pushes": self.pushes,
            "errors": self.errors,
            "unanswered": max(0, self.requests - self.answered),
            "not_verified": self.not_verified,
        }


class ConnectionRow(_Counts):
    """Counts the messages of a connection."""

    __slots__ = (
        "bytes_c2s",
        "bytes_s2c",
        "client",
        "conn_id",
        "encryption",
        "first_ns",
        "format",
        "gaps",
        "gateway",
        "info",
        "last_ns",
        "transport",
    )

    def __init__(self, client: str, gateway: str, time_ns: int, transport: Transport) -> None:
        super().__init__()
        self.client = client
        self.gateway = gateway
        self.first_ns = self.last_ns = time_ns
        self.transport = transport
        self.conn_id: str | None = None
        self.encryption: dict[str, None] = {}
        self.format: dict[int, str] = {}
        self.bytes_c2s = self.bytes_s2c = self.gaps = 0
        self.info: ConnectionInfo | None = None

    @classmethod
    def of(cls, item: Message | Gap) -> ConnectionRow:
        """Returns the row of a connection that begins with `item`."""
        flow = item.flow
        client, gateway = (flow.src, flow.dst) if flow.direction == "c2s" else (flow.dst, flow.src)
        return cls(client, gateway, item.time_ns, flow.transport)

    def figures(self, ordinal: int, hello: dict[str, Any]) -> ConnectionFigures:
        """Returns the figures of the connection; `hello` is what InitConnect says."""
        info = self.info
        first_ns = self.first_ns if info is None else info.first_ns
        last_ns = self.last_ns if info is None else info.last_ns
        return ConnectionFigures(
            connection=ordinal,
            client=self.client,
            gateway=self.gateway,
            conn_id=self.conn_id,
            client_id=hello.get("client_id"),
            client_version=hello.get("client_version"),
            language=hello.get("language"),
            gateway_version=hello.get("gateway_version"),
            transport=self.transport,
            deflate=None if info is None or info.websocket is None else info.websocket.deflate,
            key_given=hello.get("key_given"),
            encryption=list(self.encryption),
            format=list(self.format.values()),
            keep_alive_s=hello.get("keep_alive_s"),
            first=rfc3339(first_ns),
            last=rfc3339(last_ns),
            duration_s=(last_ns - first_ns) / _SECOND,
            opened=info is not None and info.opened,
            no_message=None if info is None else info.no_message,
            closed_by=None if info is None else info.closed_by,
            reset=info is not None and info.reset,
            **self.counts(),
            gaps=self.gaps,
            bytes_c2s=self.bytes_c2s,
            bytes_s2c=self.bytes_s2c,
            retransmissions=0 if info is None else sum(info.retransmissions.values()),
        )


class ProtocolRow(_Counts):
    """Counts the messages of a protocol."""

    __slots__ = ("bytes", "first_push_ns", "in_second", "last_push_ns", "latency", "peak", "second")

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.latency = Quantiles()
        self.first_push_ns = self.last_push_ns = 0
        self.second = self.in_second = self.peak = 0

    def push(self, time_ns: int) -> None:
        """Counts a push."""
        if not self.pushes:
            self.first_push_ns = time_ns
        self.pushes += 1
        self.last_push_ns = time_ns
        second = time_ns // _SECOND
        if second == self.second:
            self.in_second += 1
        else:
            self.second, self.in_second = second, 1
        if self.in_second > self.peak:
            self.peak = self.in_second

    def figures(self, proto_id: int | None) -> ProtocolFigures:
        """Returns the figures of the protocol."""
        known = None if proto_id is None else schema.protocol(proto_id)
        latency = self.latency
        span = self.last_push_ns - self.first_push_ns
        return ProtocolFigures(
            proto_id=proto_id,
            proto=None if known is None else known.name,
            **self.counts(),
            bytes=self.bytes,
            latency_p50_ms=_milliseconds(latency.quantile(0.50)),
            latency_p90_ms=_milliseconds(latency.quantile(0.90)),
            latency_p99_ms=_milliseconds(latency.quantile(0.99)),
            latency_max_ms=_milliseconds(latency.highest),
            push_rate=round((self.pushes - 1) * _SECOND / span, 3) if self.pushes > 1 and span > 0 else None,
            push_peak=self.peak if self.pushes else None,
        )


def _milliseconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1_000_000
