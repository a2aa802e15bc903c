"""Feeds every message to the analyses that it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from decoder.findings.context import Context
from decoder.findings.exposure import Exposure
from decoder.findings.finding import Finding, Findings
from decoder.findings.lifetime import KEEP_ALIVE, NOTIFY, Last, Lifetime
from decoder.findings.push_sampler import PushSampler
from decoder.findings.readability import CONFLICT, report_conflict, report_gap, report_unverified
from decoder.findings.request_tracking import TRADE_WRITES, RequestTracking, Tally, report_failure
from decoder.findings.schema_drift import SchemaDrift
from decoder.findings.subscriptions import SUBSCRIBING, WATCHED_PUSHES, Subscriptions
from decoder.findings.trade import ORDER_LIST, ORDER_PUSH, PLACING, Trade
from decoder.message import Gap, Message
from decoder.vocabulary import INIT_CONNECT

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.finding import Severity
    from decoder.message import Flow

__all__ = ["Analyser"]

_MAX_CONNECTIONS = 65_536


class Analyser:
    """Turns what a `Decoder` gives into findings; holds a bounded amount of memory however long the capture is.

    ::

        analyser = Analyser()
        decoder = Decoder(on_connection=analyser.connection_ended)
        for batch in batches:
            analyser.add(decoder.feed_batch(batch))
        analyser.add(decoder.flush())
        for finding in analyser.finish(): ...

    Of each code the first `max_per_code` findings are listed.  `wanted` restricts the list, not the analysis: it is
    asked with the number of the message (None if a finding is not about one) and the connection.
    """

    def __init__(self, max_per_code: int = 100, wanted: Callable[[int | None, int | None], bool] | None = None) -> None:
        self._findings = Findings(max_per_code, wanted)
        self._connections: dict[int, _Connection] = {}
        self._ended: list[ConnectionInfo] = []
        self._trade = Trade()
        self._tally = Tally()
        self._drift = SchemaDrift()
        self._last_ns = 0

    def connection_ended(self, info: ConnectionInfo) -> None:
        """A connection ended; the messages that its end still gave may be added after this, with the next `add`."""
        self._ended.append(info)

    def add(self, items: Iterable[Message | Gap]) -> None:
        """Take the next messages and gaps, in the order in which the decoder gave them."""
        for item in items:
            self.take(item)
        self.settle()

    def take(self, item: Message | Gap) -> bool:
        """Take one message or gap; tells of a request whether its response came out before it."""
        connection = self._connections.get(item.flow.connection)
        if connection is None:
            connection = self._open(item.flow, item.time_ns)
        self._last_ns = item.time_ns
        if isinstance(item, Message):
            return connection.message(item)
        connection.gap(item)
        return False

    def settle(self) -> None:
        """Conclude on the connections that ended, once all their messages were taken."""
        ended, self._ended = self._ended, []
        for info in ended:
            connection = self._connections.pop(info.ordinal, None)
            if connection is not None:
                connection.end(info, info.last_ns)
            elif info.not_opend:
                self._report_foreign(info)

    def finish(self) -> list[Finding]:
        """The end of the capture: everything that was found, in the order of time."""
        self.settle()
        for connection in self._connections.values():
            connection.end(None, self._last_ns)
        self._connections.clear()
        return self._findings.listed()

    @property
    def counts(self) -> dict[Severity, int]:
        """Findings by severity so far, those that are not listed included."""
        return self._findings.counts

    def _open(self, flow: Flow, time_ns: int) -> _Connection:
        if len(self._connections) >= _MAX_CONNECTIONS:
            self._connections.pop(next(iter(self._connections))).end(None, time_ns)
        connection = _Connection(Context(self._findings, flow, time_ns), self._trade, self._drift, self._tally)
        self._connections[flow.connection] = connection
        return connection

    def _report_foreign(self, info: ConnectionInfo) -> None:
        text = f"{info.client} > {info.server}: no message header was found, so this is not a gateway's traffic"
        self._findings.add(Finding("note", "not-opend", None, info.ordinal, info.first_ns, text))


class _Connection:
    """The analyses of one connection."""

    def __init__(self, context: Context, trade: Trade, drift: SchemaDrift, tally: Tally) -> None:
        self._context = context
        self._trade = trade
        self._drift = drift
        self._secrecy = Exposure(context)
        self._matching = RequestTracking(context, tally)
        self._lifetime = Lifetime(context)
        self._subscriptions = Subscriptions(context)
        self._routine = PushSampler()
        self._last: Last | None = None

    def gap(self, gap: Gap) -> None:
        if gap.direction == "c2s":
            self._context.client_gaps += 1
        report_gap(self._context, gap)

    def message(self, message: Message) -> bool:
        context = self._context
        if message.verdict != "verified":
            report_unverified(context, message)
        if message.own_notes is not None and CONFLICT in message.own_notes:
            report_conflict(context, message)
        lifetime, kind = self._lifetime, message.kind
        if message.time_ns > lifetime.deadline_ns:
            lifetime.overdue(message)
        self._last = message.number, message.header[1], kind
        if message.plaintext is not None:
            self._secrecy.message(message)
        if kind == "request":
            self._drift.message(context, message)
            return self._request(message)
        lifetime.received_ns = message.time_ns
        if kind == "push":
            self._look_at_push(message)
        else:
            self._drift.message(context, message)
            self._response(message)
        return False

    def _look_at_push(self, message: Message) -> None:
        routine = self._routine
        key = routine.key(message)
        if key is None:
            self._push(message)
        elif not routine.covers(key):
            reports = self._context.reports
            self._push(message)
            routine.looked(key, self._context.reports != reports)

    def _request(self, message: Message) -> bool:
        proto_id = message.proto_id
        if proto_id == INIT_CONNECT:
            self._context.handshake = True
            self._secrecy.handshake(message)
            self._subscriptions.init_request(message)
        elif proto_id == KEEP_ALIVE:
            self._lifetime.keep_alive(message)
        elif proto_id in SUBSCRIBING:
            self._subscriptions.request(message)
            self._routine.forget()
        elif proto_id in TRADE_WRITES:
            body = message.protobuf
            if body is not None:
                self._trade.request(self._context, message, body)
        return self._matching.request(message)

    def _response(self, message: Message) -> None:
        proto_id = message.proto_id
        self._matching.response(message)
        if proto_id == INIT_CONNECT:
            self._secrecy.handshake(message)
            self._lifetime.init_response(message)
        body = message.protobuf
        if body is None:
            return
        if body.retType:  # type: ignore[attr-defined]
            report_failure(self._context, message, body)
        if proto_id in SUBSCRIBING:
            self._subscriptions.response(message, body)
            self._routine.forget()
        elif proto_id in PLACING:
            self._trade.placed(message, body)
        elif proto_id == ORDER_LIST:
            self._trade.orders(self._context, message, body)

    def _push(self, message: Message) -> None:
        self._drift.message(self._context, message)
        body = message.protobuf
        if body is None:
            return
        if body.retType:  # type: ignore[attr-defined]
            report_failure(self._context, message, body)
            return
        proto_id = message.proto_id
        if proto_id in WATCHED_PUSHES:
            self._subscriptions.push(message, body)
        if proto_id == ORDER_PUSH:
            self._trade.orders(self._context, message, body)
        elif proto_id == NOTIFY:
            self._lifetime.notify(message, body)

    def end(self, info: ConnectionInfo | None, time_ns: int) -> None:
        if info is not None:
            self._secrecy.end(info)
        self._matching.end(info, time_ns)
        self._subscriptions.end(time_ns)
        self._lifetime.end(info, self._last, time_ns)
