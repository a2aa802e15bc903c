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

from decoder import schema
from decoder.body.scalars import plain_text
from decoder.findings import Analyser
from decoder.formatting.times import rfc3339
from decoder.framing.header import HEADER_LEN
from decoder.message import Gap, Message
from decoder.statistics.rows import CONNECTION_KEYS, FINDING_KEYS, PROTOCOL_KEYS, ConnectionRow, ProtocolRow
from decoder.vocabulary import INIT_CONNECT

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo, Summary

__all__ = ["CONNECTION_KEYS", "FINDING_KEYS", "PROTOCOL_KEYS", "Statistics"]

_MAX_CONNECTIONS = 10_000
_MAX_UNKNOWN = 1_000
_MAX_TEXT = 100
_SECOND = 1_000_000_000
_PROTOBUF = 0
_SUCCESS = b"\x08\x00"
"""retType 0, as every writer of protobuf begins a response."""


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
        self._connections: dict[int, ConnectionRow] = {}
        self._protocols: dict[int | None, ProtocolRow] = {}
        self._unknown = 0
        self._not_listed: set[int] = set()
        self._hellos: dict[int, dict[str, Any]] = {}  # what InitConnect says, of every connection
        self._messages = 0
        self._gaps = 0
        self._reasons: dict[str, int] = {}
        self._ended: list[ConnectionInfo] = []

    def mute(self, codes: frozenset[str]) -> None:
        """Passes over findings with these codes from now on."""
        self._analyser.mute(codes)

    def connection_ended(self, info: ConnectionInfo) -> None:
        """A connection ended; its last messages may come with the next `add`."""
        self._ended.append(info)
        self._analyser.connection_ended(info)

    def add(self, items: Iterable[Message | Gap]) -> None:
        """Take the next messages and gaps, in the order in which the decoder gave them."""
        where, take = self._where, self._analyser.take
        for item in items:
            if isinstance(item, Message) and item.proto_id == INIT_CONNECT:
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

    def _count(self, message: Message, connection: ConnectionRow, early_answer: bool) -> None:
        header = message.header
        protocol = self._protocols.get(header[1]) or self._protocol(header[1])
        size = HEADER_LEN + header[5]
        self._messages += 1
        protocol.bytes += size
        connection.last_ns = message.time_ns
        connection.conn_id = message.conn_id
        if message.encryption not in connection.encryption:
            connection.encryption[message.encryption] = None
        if header[2] not in connection.format and len(connection.format) < 4:
            connection.format[header[2]] = message.format
        if message.verdict != "verified":
            protocol.not_verified += 1
            connection.not_verified += 1
            reason = message.reason or message.verdict
            self._reasons[reason] = self._reasons.get(reason, 0) + 1
        if message.kind == "request":
            connection.bytes_c2s += size
            for counts in (protocol, connection):
                counts.requests += 1
                counts.answered += early_answer
            return
        connection.bytes_s2c += size
        if not _succeeds(message):
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
                "verdicts": self._verdicts(),
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

    def _verdicts(self) -> dict[str, int]:
        verified = self._messages - sum(self._reasons.values())
        return dict(sorted(self._reasons.items())) | ({"verified": verified} if verified else {})

    def _connection(self, item: Message | Gap) -> ConnectionRow:
        connection = ConnectionRow(item)
        if len(self._connections) < _MAX_CONNECTIONS:
            self._connections[item.flow.connection] = connection
        elif len(self._not_listed) < 100 * _MAX_CONNECTIONS:
            self._not_listed.add(item.flow.connection)
        return connection

    def _protocol(self, proto_id: int) -> ProtocolRow:
        if schema.protocol(proto_id) is None:
            self._unknown += 1
        key = proto_id if self._unknown <= _MAX_UNKNOWN else None
        return self._protocols.setdefault(key, ProtocolRow())

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


def _succeeds(message: Message) -> bool:
    """Whether the retType of a response or push is success, or not known."""
    if message.plaintext is not None and message.plaintext[:2] == _SUCCESS and message.header[2] == _PROTOBUF:
        return True
    body = message.protobuf
    return body is None or not body.retType  # type: ignore[attr-defined]


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
