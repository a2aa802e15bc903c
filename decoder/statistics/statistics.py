"""Counts and measures a capture: as a whole, each connection, each protocol; rates, subscriptions, lateness, findings.

`Statistics.finish` returns a `Stats`; `Stats.record` is the object of ``opendump stats --format json``:

``capture``
    ``files``, ``packets``, ``first`` and ``last`` (times of the first and the last packet, RFC 3339), ``duration_s``,
    ``connections``, ``messages``, ``gaps``, ``verdicts`` (messages by ``verified`` or reason), ``findings`` (how many
    by severity), ``warnings`` (what could not be read, limits that were hit), ``not_listed`` (connections beyond the
    first 10,000).
``connections``, ``protocols``, ``findings``, ``subscriptions``, ``rates``, ``lateness``
    lists of objects with the keys of `CONNECTION_KEYS`, `PROTOCOL_KEYS`, `FINDING_KEYS`, `SUBSCRIPTION_KEYS`,
    `RATE_KEYS` and `LATENESS_KEYS`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from decoder import schema
from decoder.body.scalars import plain_text
from decoder.findings import Analyser, Finding
from decoder.findings.exposure import SECRECY_CODES
from decoder.findings.rates import RATE_KEYS, RateLedger, RateRow
from decoder.findings.subscription_ledger import SUBSCRIPTION_KEYS, SubscriptionRow
from decoder.formatting.times import rfc3339
from decoder.framing.header import BODY_LEN, FORMAT, HEADER_LEN, PROTO_ID
from decoder.message import Gap, Message
from decoder.statistics.lateness import LATENESS_KEYS, LatenessLedger, LatenessRow
from decoder.statistics.rows import (
    CONNECTION_KEYS,
    FINDING_KEYS,
    PROTOCOL_KEYS,
    ConnectionFigures,
    ConnectionRow,
    ProtocolFigures,
    ProtocolRow,
)
from decoder.vocabulary import INIT_WEB_SOCKET, LOGIN_IDS

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo, Summary
    from decoder.findings import Finding, Severity
    from decoder.findings.orders import OrderLedger

__all__ = ["CONNECTION_KEYS", "FINDING_KEYS", "PROTOCOL_KEYS", "TABLE_KEYS", "CaptureFigures", "Statistics", "Stats"]

_MAX_CONNECTIONS = 10_000  # connections with a row of their own
_MAX_SILENT = 2_000  # connections without a message with a row: a scan of the port must not take all rows
_MAX_UNKNOWN = 1_000  # protocol ids that the schema does not know with a row of their own
_MAX_TEXT = 100  # characters of clientID and programmingLanguage
_SECOND = 1_000_000_000
_PROTOBUF = 0
_SUCCESS = b"\x08\x00"
"""retType 0, as every writer of protobuf begins a response."""


TABLE_KEYS: dict[str, dict[str, str]] = {
    "protocols": PROTOCOL_KEYS,
    "connections": CONNECTION_KEYS,
    "findings": FINDING_KEYS,
    "subscriptions": SUBSCRIPTION_KEYS,
    "rates": RATE_KEYS,
    "lateness": LATENESS_KEYS,
}
"""The tables, and the keys of each."""


@dataclass(frozen=True)
class CaptureFigures:
    """The figures of a capture as a whole."""

    files: list[str]
    packets: int
    first: str | None
    """Time of the first packet, RFC 3339."""
    last: str | None
    duration_s: float | None
    connections: int
    messages: int
    gaps: int
    verdicts: dict[str, int]
    """Messages by ``verified`` or by reason."""
    findings: dict[Severity, int]
    """Number of findings by severity."""
    warnings: list[str]
    """Lines on what could not be read and on limits that were hit."""
    not_listed: int
    """Connections beyond those that have a row."""

    def record(self) -> dict[str, Any]:
        """Returns the figures as an object of ``stats --format json``."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Stats:
    """Everything that `Statistics` counted and measured."""

    capture: CaptureFigures
    connections: list[ConnectionFigures]
    protocols: list[ProtocolFigures]
    findings: list[Finding]
    subscriptions: list[SubscriptionRow]
    rates: list[RateRow]
    lateness: list[LatenessRow]

    def table(self, name: str) -> list[dict[str, Any]]:
        """Returns the rows of one table as plain data; `name` is a key of `TABLE_KEYS`."""
        return [row.record() for row in getattr(self, name)]

    def record(self) -> dict[str, Any]:
        """Returns everything as plain data."""
        names = ("connections", "protocols", "findings", "subscriptions", "rates", "lateness")
        return {"capture": self.capture.record(), **{name: self.table(name) for name in names}}


class Statistics:
    """Counts the messages and gaps of a `Decoder`, in bounded memory.

    ::

        statistics = Statistics()
        decoder = Decoder(on_connection=statistics.connection_ended)
        for batch in batches:
            statistics.add(decoder.feed_batch(batch))
        statistics.add(decoder.flush())
        statistics.finish(decoder.summary, files)

    With `where` only messages and gaps for which it holds are counted, and only findings about them are listed; all the
    same the analysis sees everything, so that a response finds its request.  Subscriptions are listed of the
    connections on which something matched.

    :param max_per_code: findings of one code that are listed
    :param by_symbol: measure lateness by symbol instead of by market
    """

    def __init__(
        self,
        where: Callable[[Message | Gap], bool] | None = None,
        *,
        max_per_code: int = 100,
        by_symbol: bool = False,
    ) -> None:
        self._where = where
        self._lateness = LatenessLedger(by_symbol=by_symbol)
        self._matched = bytearray()  # a bit for each message: 1 if `where` holds for it
        self._analyser = Analyser(max_per_code, None if where is None else self._is_wanted)
        self._rates = self._analyser.rates if where is None else RateLedger()
        self._connections: dict[int, ConnectionRow] = {}
        self._protocols: dict[int | None, ProtocolRow] = {}
        self._unknown = 0
        self._not_listed: set[int] = set()
        self._hellos: dict[int, dict[str, Any]] = {}  # what InitConnect says, of every connection
        self._messages = 0
        self._gaps = 0
        self._reasons: dict[str, int] = {}
        self._ended: list[ConnectionInfo] = []
        self._silent = 0

    def on_finding(self, call: Callable[[Finding], None]) -> None:
        """Calls `call` with each finding that is listed, when it shows."""
        self._analyser.on_finding(call)

    @property
    def orders(self) -> OrderLedger:
        """The orders so far, those that `where` leaves out included."""
        return self._analyser.orders

    def connection_ended(self, info: ConnectionInfo) -> None:
        """Takes the end of a connection; its last messages may come with the next `add`."""
        self._ended.append(info)
        self._analyser.connection_ended(info)

    def add(self, items: Iterable[Message | Gap]) -> None:
        """Takes the next messages and gaps, in the order in which the decoder returned them."""
        where, take, lateness, connections = self._where, self._analyser.take, self._lateness.add, self._connections
        for item in items:
            if isinstance(item, Message) and item.header[PROTO_ID] in LOGIN_IDS:
                self._greet(item)
            if where is not None and not self._matches(item, where):
                take(item)
                continue
            connection = connections.get(item.flow.connection) or self._connection(item)
            if isinstance(item, Message):
                self._count(item, connection, take(item))
                lateness(item)
                if where is not None and item.kind == "request":
                    self._rates.request(item, item.protobuf)
            else:
                take(item)
                self._gaps += 1
                connection.gaps += 1
        self._settle()

    def _matches(self, item: Message | Gap, where: Callable[[Message | Gap], bool]) -> bool:
        """Returns what `where` says, and remembers it of a message."""
        wanted = where(item)
        if isinstance(item, Message):
            self._mark(item.number, wanted)
            if not wanted and item.request is not None and self._is_marked(item.request):
                self._count_answer(item)
        return wanted

    # What is known so far, for a screen that is drawn again and again.

    @property
    def messages(self) -> int:
        """Messages that were counted."""
        return self._messages

    @property
    def connections(self) -> Mapping[int, ConnectionRow]:
        """The counts of each connection, by its ordinal."""
        return self._connections

    @property
    def protocols(self) -> Mapping[int | None, ProtocolRow]:
        """The counts of each protocol, by its id; None for all that have too many ids to be listed."""
        return self._protocols

    @property
    def analysis(self) -> Analyser:
        """The analysis, with its findings and ledgers so far."""
        return self._analyser

    def hello(self, ordinal: int) -> Mapping[str, Any]:
        """Returns what InitConnect says of client and gateway, with keys of `CONNECTION_KEYS`."""
        return self._hellos.get(ordinal, {})

    def _settle(self) -> None:
        self._analyser.settle()
        for info in self._ended:
            known = self._connections.get(info.ordinal)
            if known is not None:
                known.info = info
                continue
            self._hellos.pop(info.ordinal, None)
            if self._where is None and info.no_message is not None:
                self._list_silent(info)
        self._ended.clear()

    def _list_silent(self, info: ConnectionInfo) -> None:
        """Gives a connection without a message a row of its own, so that the findings about it have one."""
        room = self._silent < _MAX_SILENT
        row = ConnectionRow(info.client, info.server, info.first_ns, info.transport)
        row.info = info
        self._add_row(info.ordinal, row, listed=room)
        self._silent += 1

    def _greet(self, message: Message) -> None:
        if len(self._hellos) < _MAX_CONNECTIONS:
            self._hellos.setdefault(message.flow.connection, {}).update(_hello(message))

    def _count(self, message: Message, connection: ConnectionRow, early_answer: bool) -> None:
        header = message.header
        protocol = self._protocols.get(header[PROTO_ID]) or self._protocol(header[PROTO_ID])
        size = HEADER_LEN + header[BODY_LEN]
        self._messages += 1
        protocol.bytes += size
        connection.last_ns = message.time_ns
        connection.conn_id = message.conn_id
        if message.encryption not in connection.encryption:
            connection.encryption[message.encryption] = None
        if header[FORMAT] not in connection.format and len(connection.format) < 4:
            connection.format[header[FORMAT]] = message.format
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

    def _count_answer(self, message: Message) -> None:
        """Counts the answer, left out by `where`, to a request that is counted."""
        for counts in (self._protocols.get(message.proto_id), self._connections.get(message.flow.connection)):
            if counts is not None:
                counts.answered += 1

    def finish(self, summary: Summary, files: Sequence[str], warnings: Sequence[str] = ()) -> Stats:
        """Takes the end of the capture; returns all figures.

        `files` are the names of the captures, `warnings` what was wrong with them.
        """
        self._settle()
        if summary.rewritten:
            self._analyser.mute(SECRECY_CODES)
        findings = self._analyser.finish()
        first_ns, last_ns = summary.first_ns, summary.last_ns
        connections = sorted(self._connections.items())
        protocols = sorted(self._protocols.items(), key=lambda item: (item[0] is None, item[0] or 0))
        capture = CaptureFigures(
            files=list(files),
            packets=summary.packets,
            first=None if first_ns is None else rfc3339(first_ns),
            last=None if last_ns is None else rfc3339(last_ns),
            duration_s=None if first_ns is None or last_ns is None else (last_ns - first_ns) / _SECOND,
            connections=len(self._connections) + len(self._not_listed),
            messages=self._messages,
            gaps=self._gaps,
            verdicts=self._verdicts(),
            findings=self._analyser.counts,
            warnings=[*warnings, *summary.reports, *self._analyser.limits_hit],
            not_listed=len(self._not_listed),
        )
        subscriptions = self._analyser.subscriptions.rows()
        if self._where is not None:
            subscriptions = [row for row in subscriptions if row.connection in self._connections]
        return Stats(
            capture,
            [connection.figures(ordinal, self._hellos.get(ordinal, {})) for ordinal, connection in connections],
            [protocol.figures(proto_id) for proto_id, protocol in protocols],
            findings,
            subscriptions,
            self._rates.rows(),
            self._lateness.rows(),
        )

    def _verdicts(self) -> dict[str, int]:
        verified = self._messages - sum(self._reasons.values())
        return dict(sorted(self._reasons.items())) | ({"verified": verified} if verified else {})

    def _connection(self, item: Message | Gap) -> ConnectionRow:
        row = ConnectionRow.of(item)
        self._add_row(item.flow.connection, row)
        return row

    def _add_row(self, ordinal: int, row: ConnectionRow, *, listed: bool = True) -> None:
        if listed and len(self._connections) < _MAX_CONNECTIONS:
            self._connections[ordinal] = row
        elif len(self._not_listed) < 100 * _MAX_CONNECTIONS:
            self._not_listed.add(ordinal)

    def _protocol(self, proto_id: int) -> ProtocolRow:
        if schema.protocol(proto_id) is None:
            self._unknown += 1
        key = proto_id if self._unknown <= _MAX_UNKNOWN else None
        return self._protocols.setdefault(key, ProtocolRow())

    # Messages for which --where holds: a bit each, so that later findings about them are still recognised.

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
    """Returns True if the retType of a response or push is success, or not known."""
    if message.plaintext is not None and message.plaintext[:2] == _SUCCESS and message.header[FORMAT] == _PROTOBUF:
        return True
    if message.error is not None:
        return False
    body = message.protobuf
    return body is None or not body.retType  # type: ignore[attr-defined]


def _hello(message: Message) -> dict[str, Any]:
    """Returns what an InitConnect message says about client or gateway."""
    body: Any = message.protobuf
    if body is None:
        return {}
    if message.proto_id == INIT_WEB_SOCKET:
        if message.kind != "request":
            return {}
        return {
            "client_id": plain_text(body.c2s.clientID)[:_MAX_TEXT] or None,
            "language": plain_text(body.c2s.programmingLanguage)[:_MAX_TEXT] or None,
            "key_given": bool(body.c2s.websocketKey),
        }
    if message.kind == "request":
        return {
            "client_id": plain_text(body.c2s.clientID)[:_MAX_TEXT],
            "client_version": body.c2s.clientVer,
            "language": plain_text(body.c2s.programmingLanguage)[:_MAX_TEXT] or None,
        }
    if not body.HasField("s2c"):
        return {}
    return {"gateway_version": body.s2c.serverVer, "keep_alive_s": body.s2c.keepAliveInterval}
