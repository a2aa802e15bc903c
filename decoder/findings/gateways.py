"""Watches what connections to the same gateway have in common: their number, their length, the counter of pushes."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from decoder.bounded import BoundedDict
from decoder.findings.context import SECOND, duration_text
from decoder.findings.finding import Finding, Findings

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.context import Context
    from decoder.message import Message

__all__ = ["Gateways", "PushSerials"]

CONNECTION_LIMIT = 128
"""Connections that one OpenD takes (source: the vendor's documentation)."""
_NEAR_LIMIT = CONNECTION_LIMIT * 8 // 10
_ALIVE_NS = 60 * SECOND
"""A connection silent for longer is taken for dead: a live one sends KeepAlive every 10 s."""
_SHORT_NS = 5 * SECOND
_SHORT_WINDOW_NS = 60 * SECOND
_SHORT_MANY = 20
"""So many connections shorter than 5 s within a minute are one for each query, not reconnects (every 6 s at most)."""
_MAX_GATEWAYS = 256
_MAX_SPANS = 65_536  # connections of a gateway
_MAX_CLIENTS = 4_096
_MAX_RECENT = 64  # connections of a gateway whose push serials are remembered


class PushSerials:
    """Remembers the serial numbers of the pushes of one connection."""

    __slots__ = ("context", "first", "last", "last_ns")

    def __init__(self, context: Context, message: Message) -> None:
        self.context = context
        self.first = self.last = message.serial_no
        self.last_ns = message.time_ns


class _Gateway:
    def __init__(self) -> None:
        self.spans: list[tuple[int, int, int]] = []  # of its connections: first packet, end, ordinal
        self.serials: BoundedDict[int, PushSerials] = BoundedDict(_MAX_RECENT)


class _Client:
    def __init__(self) -> None:
        self.recent: deque[int] = deque(maxlen=_SHORT_MANY)
        self.short = 0
        self.report: tuple[int, int] | None = None


class Gateways:
    """Follows the gateways of a capture."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._gateways: BoundedDict[str, _Gateway] = BoundedDict(_MAX_GATEWAYS)
        self._clients: BoundedDict[tuple[str, str], _Client] = BoundedDict(_MAX_CLIENTS)

    def _of(self, context: Context) -> _Gateway:
        gateway = self._gateways.get(context.gateway)
        if gateway is None:
            gateway = self._gateways[context.gateway] = _Gateway()
        return gateway

    def closed(self, context: Context, info: ConnectionInfo) -> None:
        """Takes the end of a connection."""
        first_ns = info.first_ns
        end_ns = context.last_ns + _ALIVE_NS if info.closed_ns is None else info.closed_ns
        self.lasted(context, first_ns, end_ns)
        if not context.handshake or info.closed_ns is None or info.closed_ns - first_ns > _SHORT_NS:
            return
        key = context.client_host, context.gateway
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = _Client()
        client.short += 1
        client.recent.append(first_ns)
        many = len(client.recent) == _SHORT_MANY and first_ns - client.recent[0] <= _SHORT_WINDOW_NS
        if many and client.report is None:
            client.report = context.ordinal, first_ns

    def lasted(self, context: Context, first_ns: int, end_ns: int) -> None:
        """Takes from when to when a connection was open."""
        spans = self._of(context).spans
        if len(spans) < _MAX_SPANS:
            spans.append((first_ns, end_ns, context.ordinal))

    # The counter of pushes: one for each OpenD process, over all connections.

    def first_push(self, context: Context, message: Message) -> PushSerials:
        """Takes the first push of a connection; returns what keeps its serial numbers."""
        gateway = self._of(context)
        serials = PushSerials(context, message)
        if context.handshake:
            # A counter that begins at 1 on each connection is not OpenD's: that of a stand-in.
            before = [
                each.last for each in gateway.serials.values() if each.last_ns < context.first_ns and each.first > 1
            ]
            if before and serials.first <= max(before):
                self._report_restart(context, message, max(before))
        gateway.serials[context.ordinal] = serials
        return serials

    def serial_fell(self, serials: PushSerials, message: Message) -> None:
        """Takes a push with a smaller serial number than the one before it on the connection."""
        if message.serial_no <= serials.last // 2:  # not just two pushes that overtook each other in OpenD
            self._report_restart(serials.context, message, serials.last)

    @staticmethod
    def _report_restart(context: Context, message: Message, before: int) -> None:
        context.report(
            "warning",
            "opend-restarted",
            message,
            f"the serial number of pushes fell from {before} to {message.serial_no}: OpenD was started again; "
            "subscriptions, unlocking and its cache are gone: subscribe and unlock anew",
            "restart",
        )

    def finish(self) -> None:
        """Reports at the end of the capture."""
        for name, gateway in self._gateways.items():
            peak, near = _most_at_once(gateway.spans)
            if near is not None:
                time_ns, connection = near
                over = ": further ones are refused" if peak >= CONNECTION_LIMIT else ""
                text = (
                    f"{peak} connections to {name} are open at once, OpenD takes {CONNECTION_LIMIT}{over}; "
                    "close contexts that are not used any more, share one between queries"
                )
                self._add("warning", "connections-near-limit", connection, time_ns, text)
        for (host, name), client in self._clients.items():
            if client.report is not None:
                connection, time_ns = client.report
                text = (
                    f"{host} opened {client.short} connections to {name} that lasted less than "
                    f"{duration_text(_SHORT_NS)} each: a context for every query; keep one open and use it for all"
                )
                self._add("note", "short-connections", connection, time_ns, text)

    def _add(self, severity: str, code: str, connection: int, time_ns: int, text: str) -> None:
        self._findings.add(Finding(severity, code, None, connection, time_ns, text))  # type: ignore[arg-type]


def _most_at_once(spans: list[tuple[int, int, int]]) -> tuple[int, tuple[int, int] | None]:
    """Returns how many spans overlap at most; and when, and with which connection, the limit came near."""
    ends: list[int] = []
    peak, near = 0, None
    for first_ns, end_ns, ordinal in sorted(spans):
        while ends and ends[0] <= first_ns:
            heappop(ends)
        heappush(ends, end_ns)
        peak = max(peak, len(ends))
        if near is None and len(ends) >= _NEAR_LIMIT:
            near = first_ns, ordinal
    return peak, near
