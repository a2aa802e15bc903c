"""Tracks requests and responses: reports those never answered, answered late or twice, and serial numbers that fall."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from decoder.findings.context import SECOND, duration_text, name_of, protocol_name
from decoder.findings.refusals import TRADE_WRITES, may_have_happened
from decoder.vocabulary import INIT_CONNECT, KEEP_ALIVE, TRD_MODIFY_ORDER

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.context import Context
    from decoder.findings.finding import Severity
    from decoder.message import Message

__all__ = ["RequestTracking", "Tally"]

SDK_TIMEOUT_NS = 12 * SECOND
"""Time for which the official Python SDK waits for a response (source: futu-api 10.11, network_manager)."""
_SERIALS_APART = frozenset((INIT_CONNECT, KEEP_ALIVE))
"""Protocols for which some clients count serial numbers apart."""
_MAX_PENDING = 4_096  # unanswered requests of one connection
_MAX_PENDING_IN_ALL = 262_144  # and of all, 150 bytes each
_MAX_RECENT = 64  # answered requests, and responses without a request, of one connection


class _Seen(NamedTuple):
    """Holds what is kept of a message: not its body."""

    number: int
    time_ns: int
    proto_id: int
    serial_no: int
    operation: int | None = None
    """ModifyOrderOp of Trd_ModifyOrder."""


class Tally:
    """Counts how many requests of all connections are waited on."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = 0


class RequestTracking:
    """Pairs requests and responses of one connection, as the decoder did, and judges those that are left over."""

    def __init__(self, context: Context, tally: Tally) -> None:
        self._context = context
        self._tally = tally
        self._pending: dict[int, _Seen] = {}
        self._recent: dict[int, int] = {}  # keys of the requests answered last, and the number of the response
        self._orphans: dict[int, _Seen] = {}  # responses without a request so far
        self._forgot = False
        self._gateway_silent = False
        self._serial: tuple[int, int] | None = None  # of the request before: its serial number and message

    def request(self, message: Message) -> bool:
        """Takes a request; returns True if its response came out before it, because its packets were recorded late."""
        key = message.proto_id << 32 | message.serial_no
        self._compare_serial(message)
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
        operation = None
        if message.proto_id == TRD_MODIFY_ORDER and message.protobuf is not None:
            operation = message.protobuf.c2s.modifyOrderOp  # type: ignore[attr-defined]
        self._pending[key] = _Seen(message.number, message.time_ns, message.proto_id, message.serial_no, operation)
        self._tally.pending += 1
        return False

    def _compare_serial(self, message: Message) -> None:
        if message.proto_id in _SERIALS_APART:
            return
        before, serial_no = self._serial, message.serial_no
        self._serial = serial_no, message.number
        # Near the end of its 32 bits a counter begins anew.
        if before is not None and serial_no < before[0] < 0xFFFF_0000:
            self._context.report(
                "note",
                "serial-not-growing",
                message,
                f"{name_of(message)} has serial number {serial_no} after {before[0]} (message {before[1]}): serial "
                "numbers of a connection grow; count them up, under a lock if several threads send",
                "serial",
            )

    def response(self, message: Message) -> None:
        """Takes a response."""
        key = message.proto_id << 32 | message.serial_no
        if message.request is None:
            self._without_request(key, message)
            return
        seen = self._pop(key)
        operation = None if seen is None else seen.operation
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
                + (may_have_happened(message.proto_id, operation) if message.proto_id in TRADE_WRITES else ""),
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
        """Takes the end of the connection, or (None) of the capture."""
        for orphan in self._orphans.values():
            self._report_orphan(orphan)
        closed = info is not None and info.closed_by is not None
        self._gateway_silent = info is not None and not info.bytes["s2c"]
        for request in self._pending.values():
            if closed:
                self._report_unanswered(request, "until the connection ended")
            elif time_ns - request.time_ns < SDK_TIMEOUT_NS:
                self._report_unanswered(request, "before the capture ended", "note")
            else:
                self._report_unanswered(request, "until the capture ended")
        self.forget()

    def forget(self) -> None:
        """Drops what is left over."""
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
        code = "unanswered"
        key: tuple[object, ...] = ()
        if self._context.client_gaps and self._context.handshake:
            text += "; it may be in a part that the capture lacks"
        if request.proto_id in TRADE_WRITES:
            severity = "error" if severity == "warning" else severity
            text += may_have_happened(request.proto_id, request.operation)
        elif self._gateway_silent and request.proto_id != INIT_CONNECT:
            text += ": no byte of the gateway is in the capture, so it hangs, or only one direction was recorded"
            key = ("silent",)
        elif request.proto_id == KEEP_ALIVE:
            text += ": the gateway hangs, or the network between is broken"
        elif request.proto_id == INIT_CONNECT:
            code = "login-unanswered"
            text += self._why_no_login()
        self._context.report_at(severity, code, request.number, request.time_ns, text, *key)

    def _why_no_login(self) -> str:
        context = self._context
        if context.other_protocol:
            return ": what answered is no OpenD"
        if context.login_fault is not None:
            return f": OpenD cannot read it ({context.login_fault})"
        clear = ": it was sent in clear, so OpenD may have rsa_private_key set and want it encrypted"
        encrypted = ": it was sent encrypted, so OpenD may have no rsa_private_key or another one"
        other = "; or OpenD hangs, is still starting, or something else listens there"
        return (encrypted if context.login_encrypted else clear) + other

    def _report_orphan(self, response: _Seen) -> None:
        lost = self._context.client_gaps
        self._context.report_at(
            "note" if lost else "warning",
            "response-without-request",
            response.number,
            response.time_ns,
            f"{protocol_name(response.proto_id)} answers serial number {response.serial_no}, which no request has"
            + (": the request is probably in a part that the capture lacks" if lost else ""),
        )
