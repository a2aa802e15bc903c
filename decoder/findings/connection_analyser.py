"""Feeds every message of a connection to the analyses that it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.findings.accounts import AccountChecks
from decoder.findings.connecting import First, login_fault, report_login, report_silent_gateway
from decoder.findings.context import SECOND, Context, duration_text, name_of
from decoder.findings.exposure import Exposure
from decoder.findings.gateways import Gateways, PushSerials
from decoder.findings.lifetime import Last, Lifetime
from decoder.findings.order_findings import OrderFindings
from decoder.findings.orders import OrderLedger
from decoder.findings.push_sampler import PushSampler
from decoder.findings.push_silence import PushSilence
from decoder.findings.quote_rights import QuoteRights
from decoder.findings.rates import RateLedger
from decoder.findings.readability import CONFLICT, report_conflict, report_gap, report_unverified
from decoder.findings.refusals import TRADE_WRITES, Refusals
from decoder.findings.request_tracking import RequestTracking, Tally
from decoder.findings.schema_drift import SchemaDrift
from decoder.findings.session_age import report_old_session
from decoder.findings.subscription_ledger import SubscriptionLedger
from decoder.findings.subscriptions import SUBSCRIBING, WATCHED_PUSHES, Subscriptions
from decoder.findings.trade import PLACING, Trade
from decoder.framing.header import PROTO_ID, SERIAL_NO
from decoder.vocabulary import (
    GET_GLOBAL_STATE,
    INIT_CONNECT,
    KEEP_ALIVE,
    LOGIN_IDS,
    NOTIFY,
    QOT_UPDATE_TICKER,
    TRD_GET_ACC_LIST,
    TRD_GET_ORDER_LIST,
    TRD_UPDATE_ORDER,
    TRD_UPDATE_ORDER_FILL,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.finding import Findings
    from decoder.findings.subscription_ledger import SubscriptionRow
    from decoder.message import Gap, Message

__all__ = ["ConnectionAnalyser", "SharedAnalyses"]

_TRADE_IDS = range(2000, 3000)
_ORDER_PUSHES = frozenset((TRD_UPDATE_ORDER, TRD_UPDATE_ORDER_FILL))
_QUOTE_PUSHES = WATCHED_PUSHES - _ORDER_PUSHES - {NOTIFY}
# A client that closes after so long without a message gave up waiting (the SDK after 33 s).
_GIVEN_UP_NS = 12 * SECOND
_BACK_FILL = 2  # Qot_Common.PushDataType: ticks filled in after OpenD's link was lost


class SharedAnalyses:
    """Holds what the analyses of all connections share."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.trade = Trade()
        self.tally = Tally()
        self.drift = SchemaDrift()
        self.accounts = AccountChecks()
        self.gateways = Gateways(findings)
        self.rates = RateLedger()
        self.rights = QuoteRights()
        self.subscriptions = SubscriptionLedger(findings)
        self.order_findings = OrderFindings(findings)
        self.orders = OrderLedger(self.order_findings)


class ConnectionAnalyser:
    """Runs the analyses of one connection."""

    def __init__(self, context: Context, shared: SharedAnalyses) -> None:
        self._context = context
        self._shared = shared
        self._silence = PushSilence(context)
        self._exposure = Exposure(context)
        self._tracking = RequestTracking(context, shared.tally)
        self._lifetime = Lifetime(context, self._silence)
        self._subscriptions = Subscriptions(context, shared.subscriptions, self._silence)
        self._refusals = Refusals(context, shared.rates, shared.subscriptions, shared.rights)
        self._sampler = PushSampler()
        self._serials: PushSerials | None = None
        self._first: First | None = None
        self._last: Last | None = None

    def gap(self, gap: Gap) -> None:
        """Takes a gap."""
        self._context.last_ns = gap.time_ns
        if gap.direction == "c2s":
            self._context.client_gaps += 1
        self._shared.orders.add(gap)
        report_gap(self._context, gap)

    def message(self, message: Message) -> bool:
        """Takes a message; returns True for a request whose response came out before it."""
        self._begin(message)
        if message.kind == "push":
            self._sample(message)
            return False
        self._shared.drift.message(self._context, message)
        if message.header[PROTO_ID] != KEEP_ALIVE:
            self._shared.orders.add(message)
        if message.kind == "request":
            return self._request(message)
        self._lifetime.received_ns = message.time_ns
        self._response(message)
        return False

    def _begin(self, message: Message) -> None:
        """Looks at what every message has."""
        context = self._context
        time_ns = context.last_ns = message.time_ns
        if message.verdict != "verified":
            report_unverified(context, message)
        if message.own_notes is not None and CONFLICT in message.own_notes:
            report_conflict(context, message)
        if time_ns > self._lifetime.deadline_ns:
            self._lifetime.overdue(message)
        self._last = message.number, message.header[PROTO_ID], message.kind
        if self._first is None:
            self._first = *self._last, time_ns
        if message.plaintext is not None:
            self._exposure.message(message)

    # Requests

    def _request(self, message: Message) -> bool:
        proto_id, body = message.header[PROTO_ID], message.protobuf
        too_close_ns = self._shared.rates.request(message, body)
        if too_close_ns is not None:
            self._context.report(
                "note",
                "orders-too-close",
                message,
                f"{name_of(message)} comes {duration_text(too_close_ns)} after the one before it: the gateway "
                "wants 20 ms "
                "between orders and 40 ms between changes of an account, and may refuse",
                proto_id,
            )
        if proto_id in LOGIN_IDS:
            self._context.handshake = True
            self._context.login_encrypted = message.encryption != "None"
            self._context.login_fault = login_fault(message)
        if proto_id == INIT_CONNECT:
            self._exposure.handshake(message)
            self._subscriptions.init_request(message)
        elif proto_id == KEEP_ALIVE:
            self._lifetime.keep_alive(message)
        elif body is not None:
            self._judge_request(message, proto_id, body)
        elif proto_id in SUBSCRIBING:
            self._subscriptions.request(message)
        return self._tracking.request(message)

    def _judge_request(self, message: Message, proto_id: int, body: ProtobufMessage) -> None:
        if proto_id in SUBSCRIBING:
            self._subscriptions.request(message)
            self._sampler.forget()
        if proto_id in _TRADE_IDS:
            self._shared.subscriptions.trades(self._context)
            self._shared.accounts.request(self._context, message, body)
        if proto_id in TRADE_WRITES:
            self._shared.trade.request(self._context, message, body)
            report_old_session(self._context, message, body.c2s.packetID.connID)  # type: ignore[attr-defined]
        self._refusals.request(message, body)

    # Responses

    def _response(self, message: Message) -> None:
        proto_id = message.header[PROTO_ID]
        self._tracking.response(message)
        if proto_id == INIT_CONNECT:
            self._exposure.handshake(message)
            self._lifetime.init_response(message)
        body = message.protobuf
        if message.error is not None:
            self._refusals.error(message, message.error)
        if body is None:
            return
        if body.retType:  # type: ignore[attr-defined]
            self._refusals.failure(message, body)
        else:
            self._shared.rights.response(self._context, message)
        if proto_id in SUBSCRIBING:
            self._subscriptions.response(message, body)
            self._sampler.forget()
        elif proto_id in PLACING:
            self._shared.trade.placed(message, body)
        elif proto_id == TRD_GET_ORDER_LIST:
            self._shared.trade.orders(self._context, message, body)
        elif proto_id == TRD_GET_ACC_LIST:
            self._shared.accounts.account_list(self._context, body)
        elif proto_id == GET_GLOBAL_STATE:
            self._lifetime.global_state(message, body)

    # Pushes

    def _sample(self, message: Message) -> None:
        self._lifetime.received_ns = message.time_ns
        header, serials = message.header, self._serials
        if message.verdict != "verified":
            pass  # its header may be damaged
        elif serials is None:
            self._serials = self._shared.gateways.first_push(self._context, message)
        else:
            serial_no = header[SERIAL_NO]
            if serial_no < serials.last:
                self._shared.gateways.serial_fell(serials, message)
            serials.last, serials.last_ns = serial_no, message.time_ns
        if header[PROTO_ID] in _QUOTE_PUSHES:
            self._silence.push(message)
        sampler = self._sampler
        key = sampler.key(message)
        if key is None:
            self._push(message)
        elif sampler.skips(key):
            for row in sampler.rows[key]:
                row.push(message.time_ns)
        else:
            reports = self._context.reports
            rows = self._push(message)
            sampler.record(key, self._context.reports != reports, rows)

    def _push(self, message: Message) -> list[SubscriptionRow]:
        self._shared.drift.message(self._context, message)
        body = message.protobuf
        if body is None:
            return []
        if body.retType:  # type: ignore[attr-defined]
            self._refusals.failure(message, body)
            return []
        proto_id = message.header[PROTO_ID]
        rows: list[SubscriptionRow] = []
        if proto_id in WATCHED_PUSHES:
            rows = self._subscriptions.push(message, body)
            for row in rows:
                row.push(message.time_ns)
        if proto_id in _ORDER_PUSHES:
            self._shared.orders.add(message)
        if proto_id == TRD_UPDATE_ORDER:
            self._shared.trade.orders(self._context, message, body)
        elif proto_id == NOTIFY:
            self._lifetime.notify(message, body)
        elif proto_id == QOT_UPDATE_TICKER:
            self._look_for_back_fill(message, body)
        return rows

    def _look_for_back_fill(self, message: Message, body: ProtobufMessage) -> None:
        ticks = body.s2c.tickerList  # type: ignore[attr-defined]
        if ticks and ticks[0].pushDataType == _BACK_FILL:
            self._context.report(
                "note",
                "opend-link-lost",
                message,
                "ticks were filled in afterwards (pushDataType BYDISCONN): OpenD had lost its link to the servers; "
                "these ticks are late, and were not lost",
                "back-fill",
            )

    def drop(self, info: ConnectionInfo) -> None:
        """Takes the end of a connection that carried a copy of another: what it lacks is no finding."""
        self._tracking.forget()
        self._shared.gateways.closed(self._context, info)

    def end(self, info: ConnectionInfo | None, time_ns: int) -> None:
        """Takes the end of the connection, or (`info` is None) of the capture."""
        context = self._context
        if info is not None:
            if self._first is not None:
                report_login(context, info, self._first)
                report_silent_gateway(context, info)
            self._exposure.end(info)
            self._shared.gateways.closed(context, info)
        else:
            self._shared.gateways.lasted(context, context.first_ns, context.last_ns)
        self._shared.orders.connection_ended(context.ordinal, context.last_ns)
        silent_ns = time_ns - self._lifetime.received_ns
        self._tracking.end(info, time_ns)
        self._silence.end(time_ns)
        self._subscriptions.end(time_ns)
        left = info is not None and info.closed_by == "client" and not info.reset and silent_ns < _GIVEN_UP_NS
        self._shared.subscriptions.closed(context, info, time_ns, left=left)
        self._lifetime.end(info, self._last, time_ns)
