"""Requests and responses: what was never answered, answered late, twice, or refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from decoder.findings.context import SECOND, duration_text, name_of, protocol_name
from decoder.formatting.escape import quote
from decoder.vocabulary import KEEP_ALIVE, TRD_MODIFY_ORDER, TRD_PLACE_COMBO_ORDER, TRD_PLACE_ORDER, TRD_RECONFIRM_ORDER

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.context import Context
    from decoder.findings.finding import Severity
    from decoder.message import Message

__all__ = ["TRADE_WRITES", "RequestTracking", "Tally", "report_failure"]

SDK_TIMEOUT_NS = 12 * SECOND
"""How long the official Python SDK waits for a response (source: futu-api 10.11, network_manager)."""
TRADE_WRITES = frozenset((TRD_PLACE_ORDER, TRD_MODIFY_ORDER, TRD_RECONFIRM_ORDER, TRD_PLACE_COMBO_ORDER))
"""Requests that place or change orders: PlaceOrder, ModifyOrder, ReconfirmOrder, PlaceComboOrder."""

_MAX_PENDING = 4_096
_MAX_PENDING_IN_ALL = 262_144
_MAX_RECENT = 64
_MAX_TEXT = 160

_TIMED_OUT, _DISCONNECTED, _INVALID = -100, -200, -500  # RetType
_REFUSALS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "rate-limited",
        re.compile(r"频率|頻率|too (?:frequent|many requests)|frequency|rate limit", re.IGNORECASE),
        "limits are per interface over 30 s; spread the calls or subscribe instead of asking",
    ),
    (
        "quota-used-up",
        re.compile(r"quota|额度|額度|配额|配額", re.IGNORECASE),
        "unsubscribe what is not needed on every connection (possible a minute after subscribing), or wait for the "
        "quota to renew",
    ),
    (
        "gateway-timeout",
        re.compile(r"ProtoRet_TimeOut"),
        "OpenD got no answer from its servers",
    ),
)
_ADVICE = {
    _TIMED_OUT: "OpenD got no answer from its servers",
    _DISCONNECTED: "OpenD has lost its connection to the servers; wait until it is back",
    _INVALID: "the gateway could not use the request: compare its fields with the documentation",
}


class _Seen(NamedTuple):
    """What is kept of a message: not its body."""

    number: int
    time_ns: int
    proto_id: int
    serial_no: int


class Tally:
    """How many requests of all connections are waited on."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = 0


class RequestTracking:
    """Pairs requests and responses of one connection, as the decoder did, and judges what is left over."""

    def __init__(self, context: Context, tally: Tally) -> None:
        self._context = context
        self._tally = tally
        self._pending: dict[int, _Seen] = {}
        self._recent: dict[int, int] = {}  # keys of the requests answered last, and the number of the response
        self._orphans: dict[int, _Seen] = {}  # responses without a request so far
        self._forgot = False

    def request(self, message: Message) -> bool:
        """A request; tells whether its response came out before it, because its packets were recorded late."""
        key = message.proto_id << 32 | message.serial_no
        if self._orphans.pop(key, None) is not None:
            return True
        earlier = self._pop(key)
        if earlier is not None or key in self._recent:
            what = "is still unanswered" if earlier is not None else "was answered"
            self._context.report(
                "warning",
                "duplicate-serial",
                message,
                f"{name_of(message)} has serial number {message.serial_no} again, which "
                f"{f'message {earlier.number}, and that ' if earlier else 'an earlier request had, and it '}{what}: "
                "responses cannot be told apart; a serial number may be used once per connection",
            )
            self._recent.pop(key, None)
        if earlier is not None:
            self._report_unanswered(earlier, "its serial number was used again")
        many = len(self._pending)
        if many >= _MAX_PENDING or (many and self._tally.pending >= _MAX_PENDING_IN_ALL):
            self._pop(next(iter(self._pending)))
            if not self._forgot:
                self._forgot = True
                self._context.report(
                    "note",
                    "analysis-limit",
                    message,
                    f"{many:,} requests wait for a response: the oldest are not followed any more",
                )
        self._pending[key] = _Seen(message.number, message.time_ns, message.proto_id, message.serial_no)
        self._tally.pending += 1
        return False

    def response(self, message: Message) -> None:
        """A response."""
        key = message.proto_id << 32 | message.serial_no
        if message.request is None:
            self._without_request(key, message)
            return
        self._pop(key)
        if len(self._recent) >= _MAX_RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[key] = message.number
        latency = message.latency_ns
        if latency is not None and latency > SDK_TIMEOUT_NS:
            self._context.report(
                "warning",
                "late-response",
                message,
                f"{name_of(message)} (message {message.request}) was answered after {duration_text(latency)}: the "
                "Python SDK stops waiting after 12 s, reports a timeout and drops this"
                + ("; the order may have been placed all the same" if message.proto_id in TRADE_WRITES else ""),
            )

    def _without_request(self, key: int, message: Message) -> None:
        first = self._recent.get(key)
        if first is not None:
            self._context.report(
                "warning",
                "duplicate-response",
                message,
                f"{name_of(message)} answers serial number {message.serial_no} a second time, after message {first}",
            )
            return
        if not self._context.handshake and message.time_ns - self._context.first_ns < SDK_TIMEOUT_NS:
            return  # asked before the capture began
        if len(self._orphans) >= _MAX_RECENT:
            self._report_orphan(self._orphans.pop(next(iter(self._orphans))))
        self._orphans[key] = _Seen(message.number, message.time_ns, message.proto_id, message.serial_no)

    def end(self, info: ConnectionInfo | None, time_ns: int) -> None:
        """The end of the connection, or (None) of the capture."""
        for orphan in self._orphans.values():
            self._report_orphan(orphan)
        closed = info is not None and info.closed_by is not None
        for request in self._pending.values():
            if closed:
                self._report_unanswered(request, "until the connection ended")
            elif time_ns - request.time_ns < SDK_TIMEOUT_NS:
                self._report_unanswered(request, "before the capture ended", "note")
            else:
                self._report_unanswered(request, "until the capture ended")
        self._tally.pending -= len(self._pending)
        self._pending.clear()
        self._orphans.clear()

    def _pop(self, key: int) -> _Seen | None:
        seen = self._pending.pop(key, None)
        if seen is not None:
            self._tally.pending -= 1
        return seen

    def _report_unanswered(self, request: _Seen, until: str, severity: Severity = "warning") -> None:
        text = f"{protocol_name(request.proto_id)} got no response {until}"
        if self._context.client_gaps and self._context.handshake:
            text += "; it may be in a part that the capture lacks"
        if request.proto_id in TRADE_WRITES:
            severity = "error" if severity == "warning" else severity
            text += "; the order may have been placed all the same: look it up before sending it again"
        elif request.proto_id == KEEP_ALIVE:
            text += ": the gateway hangs, or the network between is broken"
        self._context.report_at(severity, "unanswered", request.number, request.time_ns, text)

    def _report_orphan(self, response: _Seen) -> None:
        lost = self._context.client_gaps
        self._context.report_at(
            "note" if lost else "warning",
            "response-without-request",
            response.number,
            response.time_ns,
            f"{protocol_name(response.proto_id)} answers serial number {response.serial_no}, which nobody asked with"
            + (": the request is probably in a part that the capture lacks" if lost else ""),
        )


def report_failure(context: Context, message: Message, body: ProtobufMessage) -> None:
    """A response or push whose retType is not success."""
    ret_type: int = body.retType  # type: ignore[attr-defined]
    said = quote(body.retMsg, _MAX_TEXT) if body.retMsg else "without a retMsg"  # type: ignore[attr-defined]
    code, advice = "request-failed", _ADVICE.get(ret_type, "")
    text = body.retMsg if isinstance(body.retMsg, str) else ""  # type: ignore[attr-defined]
    for kind, pattern, remedy in _REFUSALS:
        if pattern.search(text[:1_000]):
            code, advice = kind, remedy
            break
    if ret_type == _TIMED_OUT:
        code = "gateway-timeout"
    if code == "gateway-timeout" and message.proto_id in TRADE_WRITES:
        advice += "; the order may have been placed all the same: look it up before sending it again"
    asked = f" (message {message.request})" if message.request is not None else ""
    severity: Severity = "error" if code == "request-failed" else "warning"
    context.report(
        severity,
        code,
        message,
        f"{name_of(message)}{asked} failed with {message.ret_type}: {said}" + (f"; {advice}" if advice else ""),
    )
