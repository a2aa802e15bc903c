"""Figures: of a capture as a whole, of each connection, of each protocol; and the findings.

The object of ``opendump stats --format json``, and of `Statistics.finish` as plain data:

``capture``
    ``files``, ``packets``, ``first`` and ``last`` (times of the first and the last packet, RFC 3339), ``duration_s``,
    ``connections``, ``messages``, ``gaps``, ``verdicts`` (messages by ``verified`` or reason), ``findings`` (how many
    by severity), ``warnings`` (what could not be read, limits that were hit), ``not_listed`` (connections beyond the
    first 10,000).
``connections``
    a list of objects with the keys of `CONNECTION_KEYS`
``protocols``
    a list of objects with the keys of `PROTOCOL_KEYS`
``findings``
    a list of objects with the keys of `FINDING_KEYS`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from . import schema
from .convert_values import plain_text
from .findings import Analyser
from .header import HEADER_LEN
from .message import Gap, Message, rfc3339
from .quantiles import Quantiles

if TYPE_CHECKING:
    from .connection import ConnectionInfo
    from .decoder import Summary

__all__ = ["CONNECTION_KEYS", "FINDING_KEYS", "PROTOCOL_KEYS", "Statistics"]

_INIT_CONNECT = 1001
_MAX_CONNECTIONS = 10_000
_MAX_UNKNOWN = 1_000
_MAX_TEXT = 100
_SECOND = 1_000_000_000

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
    "closed_by": "client or server: who sent the first FIN or RST; null while open",
    "reset": "whether a RST ended it",
    "requests": "messages",
    "responses": "messages",
    "pushes": "messages",
    "errors": "responses and pushes whose retType is not RET_OK",
    "unanswered": "requests without a response in the capture",
    "not_verified": "messages whose SHA-1 does not prove them",
    "gaps": "holes",
    "bytes_c2s": "bytes of the client's messages, headers included",
    "bytes_s2c": "bytes of the gateway's messages, headers included",
    "retransmissions": "packets that brought nothing new",
}
"""Keys of a connection, and what they say.  What is not known is null."""

PROTOCOL_KEYS = {
    "proto_id": "protocol id; null for the row of all that have too many ids to be listed",
    "proto": "name, or null",
    "requests": "messages",
    "responses": "messages",
    "pushes": "messages",
    "errors": "responses and pushes whose retType is not RET_OK",
    "unanswered": "requests without a response in the capture",
    "not_verified": "messages whose SHA-1 does not prove them",
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
}
"""Keys of a finding, and what they say."""


class _Counts:
    """What connections and protocols count alike."""

    __slots__ = ("answered", "errors", "not_verified", "pushes", "requests", "responses")

    def __init__(self) -> None:
        self.requests = self.responses = self.pushes = 0
        self.answered = self.errors = self.not_verified = 0

    def record(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "responses": self.responses,
            "pushes": self.pushes,
            "errors": self.errors,
            "unanswered": max(0, self.requests - self.answered),
            "not_verified": self.not_verified,
        }


class _Connection(_Counts):
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
    )

    def __init__(self, item: Message | Gap) -> None:
        super().__init__()
        flow = item.flow
        self.client, self.gateway = (flow.src, flow.dst) if flow.direction == "c2s" else (flow.dst, flow.src)
        self.first_ns = self.last_ns = item.time_ns
        self.conn_id: str | None = None
        self.encryption: dict[str, None] = {}
        self.format: dict[str, None] = {}
        self.bytes_c2s = self.bytes_s2c = self.gaps = 0
        self.info: ConnectionInfo | None = None

    def full_record(self, ordinal: int, hello: dict[str, Any]) -> dict[str, Any]:
        info = self.info
        first_ns = self.first_ns if info is None else info.first_ns
        last_ns = self.last_ns if info is None else info.last_ns
        return {
            "connection": ordinal,
            "client": self.client,
            "gateway": self.gateway,
            "conn_id": self.conn_id,
            "client_id": hello.get("client_id"),
            "client_version": hello.get("client_version"),
            "language": hello.get("language"),
            "gateway_version": hello.get("gateway_version"),
            "encryption": list(self.encryption),
            "format": list(self.format),
            "keep_alive_s": hello.get("keep_alive_s"),
            "first": rfc3339(first_ns),
            "last": rfc3339(last_ns),
            "duration_s": (last_ns - first_ns) / _SECOND,
            "opened": info is not None and info.opened,
            "closed_by": None if info is None else info.closed_by,
            "reset": info is not None and info.reset,
            **self.record(),
            "gaps": self.gaps,
            "bytes_c2s": self.bytes_c2s,
            "bytes_s2c": self.bytes_s2c,
            "retransmissions": 0 if info is None else sum(info.retransmissions.values()),
        }


class _Protocol(_Counts):
    __slots__ = ("bytes", "first_push_ns", "in_second", "last_push_ns", "latency", "peak", "second")

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.latency = Quantiles()
        self.first_push_ns = self.last_push_ns = 0
        self.second = self.in_second = self.peak = 0

    def push(self, time_ns: int) -> None:
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

    def full_record(self, proto_id: int | None) -> dict[str, Any]:
        known = None if proto_id is None else schema.protocol(proto_id)
        latency = self.latency
        span = self.last_push_ns - self.first_push_ns
        return {
            "proto_id": proto_id,
            "proto": None if known is None else known.name,
            **self.record(),
            "bytes": self.bytes,
            "latency_p50_ms": _milliseconds(latency.quantile(0.50)),
            "latency_p90_ms": _milliseconds(latency.quantile(0.90)),
            "latency_p99_ms": _milliseconds(latency.quantile(0.99)),
            "latency_max_ms": _milliseconds(latency.highest),
            "push_rate": (self.pushes - 1) * _SECOND / span if self.pushes > 1 and span > 0 else None,
            "push_peak": self.peak if self.pushes else None,
        }


class Statistics:
    """Counts what a `Decoder` gives, in bounded memory.

    ::

        statistics = Statistics()
        decoder = Decoder(on_connection=statistics.connection_ended)
        for batch in batches:
            statistics.add(decoder.feed_batch(batch))
        statistics.add(decoder.flush())
        statistics.finish(decoder.summary, files)

    With `where` only what it holds for is counted and only findings about that are listed; all the same the analysis
    sees everything, so that a response finds its request.
    """

    def __init__(self, where: Callable[[Message | Gap], bool] | None = None, *, max_per_code: int = 100) -> None:
        self._where = where
        self._matched = bytearray()  # a bit for each message: whether `where` holds for it
        self._analyser = Analyser(max_per_code, None if where is None else self._is_wanted)
        self._connections: dict[int, _Connection] = {}
        self._protocols: dict[int | None, _Protocol] = {}
        self._unknown = 0
        self._not_listed: set[int] = set()
        self._hellos: dict[int, dict[str, Any]] = {}  # what InitConnect says, of every connection
        self._messages = 0
        self._gaps = 0
        self._verdicts: dict[str, int] = {}
        self._ended: list[ConnectionInfo] = []

    def connection_ended(self, info: ConnectionInfo) -> None:
        """A connection ended; its last messages may come with the next `add`."""
        self._ended.append(info)
        self._analyser.connection_ended(info)

    def add(self, items: Iterable[Message | Gap]) -> None:
        """Take the next messages and gaps, in the order in which the decoder gave them."""
        where, take = self._where, self._analyser.take
        for item in items:
            if isinstance(item, Message) and item.proto_id == _INIT_CONNECT:
                self._greet(item)
            if where is not None:
                wanted = where(item)
                if isinstance(item, Message):
                    self._mark(item.number, wanted)
                if not wanted:
                    take(item)
                    continue
            connection = self._connections.get(item.flow.connection) or self._connection(item)
            if isinstance(item, Message):
                self._count(item, connection, take(item))
            else:
                take(item)
                self._gaps += 1
                connection.gaps += 1
        self._settle()

    def _settle(self) -> None:
        self._analyser.settle()
        for info in self._ended:
            known = self._connections.get(info.ordinal)
            if known is not None:
                known.info = info
            else:
                self._hellos.pop(info.ordinal, None)
        self._ended.clear()

    def _greet(self, message: Message) -> None:
        if len(self._hellos) < _MAX_CONNECTIONS:
            self._hellos.setdefault(message.flow.connection, {}).update(_hello(message))

    def _count(self, message: Message, connection: _Connection, early_answer: bool) -> None:
        header = message.header
        protocol = self._protocols.get(header[1]) or self._protocol(header[1])
        size = HEADER_LEN + header[5]
        self._messages += 1
        protocol.bytes += size
        connection.last_ns = message.time_ns
        connection.conn_id = message.conn_id
        if message.encryption not in connection.encryption:
            connection.encryption[message.encryption] = None
        if message.format not in connection.format and len(connection.format) < 4:
            connection.format[message.format] = None
        if message.verdict != "verified":
            protocol.not_verified += 1
            connection.not_verified += 1
        reason = message.reason or message.verdict
        self._verdicts[reason] = self._verdicts.get(reason, 0) + 1
        if message.kind == "request":
            connection.bytes_c2s += size
            for counts in (protocol, connection):
                counts.requests += 1
                counts.answered += early_answer
            return
        connection.bytes_s2c += size
        body = message.protobuf
        if body is not None and body.retType:  # type: ignore[attr-defined]
            protocol.errors += 1
            connection.errors += 1
        if message.kind == "push":
            protocol.push(message.time_ns)
            connection.pushes += 1
            return
        answers = message.request is not None and (self._where is None or self._is_marked(message.request))
        for counts in (protocol, connection):
            counts.responses += 1
            counts.answered += answers
        if message.latency_ns is not None:
            protocol.latency.add(message.latency_ns)

    def finish(self, summary: Summary, files: Sequence[str], warnings: Sequence[str] = ()) -> dict[str, Any]:
        """The end of the capture: all figures as plain data.

        `files` are the names of the captures, `warnings` what was wrong with them.
        """
        self._settle()
        findings = self._analyser.finish()
        first_ns, last_ns = summary.first_ns, summary.last_ns
        connections = sorted(self._connections.items())
        protocols = sorted(self._protocols.items(), key=lambda item: (item[0] is None, item[0] or 0))
        return {
            "capture": {
                "files": list(files),
                "packets": summary.packets,
                "first": None if first_ns is None else rfc3339(first_ns),
                "last": None if last_ns is None else rfc3339(last_ns),
                "duration_s": None if first_ns is None or last_ns is None else (last_ns - first_ns) / _SECOND,
                "connections": len(self._connections) + len(self._not_listed),
                "messages": self._messages,
                "gaps": self._gaps,
                "verdicts": dict(sorted(self._verdicts.items())),
                "findings": self._analyser.counts,
                "warnings": [*warnings, *summary.reports],
                "not_listed": len(self._not_listed),
            },
            "connections": [
                connection.full_record(ordinal, self._hellos.get(ordinal, {})) for ordinal, connection in connections
            ],
            "protocols": [protocol.full_record(proto_id) for proto_id, protocol in protocols],
            "findings": [finding.record() for finding in findings],
        }

    def _connection(self, item: Message | Gap) -> _Connection:
        connection = _Connection(item)
        if len(self._connections) < _MAX_CONNECTIONS:
            self._connections[item.flow.connection] = connection
        elif len(self._not_listed) < 100 * _MAX_CONNECTIONS:
            self._not_listed.add(item.flow.connection)
        return connection

    def _protocol(self, proto_id: int) -> _Protocol:
        if schema.protocol(proto_id) is None:
            self._unknown += 1
        key = proto_id if self._unknown <= _MAX_UNKNOWN else None
        return self._protocols.setdefault(key, _Protocol())

    # Which messages --where holds for: a bit each, so that what is found later can still be told apart.

    def _mark(self, number: int, wanted: bool) -> None:
        while len(self._matched) <= number >> 3:
            self._matched.append(0)
        if wanted:
            self._matched[number >> 3] |= 1 << (number & 7)

    def _is_marked(self, number: int) -> bool:
        place = number >> 3
        return place < len(self._matched) and bool(self._matched[place] >> (number & 7) & 1)

    def _is_wanted(self, number: int | None, connection: int | None) -> bool:
        return connection in self._connections if number is None else self._is_marked(number)


def _hello(message: Message) -> dict[str, Any]:
    """What an InitConnect message says about client or gateway."""
    body: Any = message.protobuf
    if body is None:
        return {}
    if message.kind == "request":
        return {
            "client_id": plain_text(body.c2s.clientID)[:_MAX_TEXT],
            "client_version": body.c2s.clientVer,
            "language": plain_text(body.c2s.programmingLanguage)[:_MAX_TEXT] or None,
        }
    if not body.HasField("s2c"):
        return {}
    return {"gateway_version": body.s2c.serverVer, "keep_alive_s": body.s2c.keepAliveInterval}


def _milliseconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1_000_000
