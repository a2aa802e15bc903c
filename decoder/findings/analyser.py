"""Runs the analyses of all connections and collects what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from decoder.bounded import BoundedDict
from decoder.findings.connecting import report_connection
from decoder.findings.connection_analyser import ConnectionAnalyser, SharedAnalyses
from decoder.findings.context import Context
from decoder.findings.finding import Finding, Findings
from decoder.message import Gap, Message

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.finding import Severity
    from decoder.findings.orders import OrderLedger
    from decoder.findings.rates import RateLedger
    from decoder.findings.subscription_ledger import SubscriptionLedger
    from decoder.message import Flow

__all__ = ["Analyser"]

_MAX_CONNECTIONS = 65_536  # analysed at once; the oldest is concluded for a new one
_MAX_RECENT = 16_384
"""Requests and responses whose packets are remembered, about 3 MB: a finding may name one later."""
_MAX_PACKETS = 64
"""Packets of a message that a finding names."""


class Analyser:
    """Turns the messages and gaps of a `Decoder` into findings; its memory is bounded however long the capture is.

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
        self._shared = SharedAnalyses(self._findings)
        self._packets = _Packets()
        self._findings.packets_of = self._packets.of
        self._connections: BoundedDict[int, ConnectionAnalyser] = BoundedDict(_MAX_CONNECTIONS, on_drop=self._conclude)
        self._ended: list[ConnectionInfo] = []
        self._last_ns = 0

    def on_finding(self, call: Callable[[Finding], None]) -> None:
        """Calls `call` with each finding that is listed, when it shows."""
        self._findings.on_listed = call

    @property
    def orders(self) -> OrderLedger:
        """The orders so far."""
        return self._shared.orders

    @property
    def rates(self) -> RateLedger:
        """The rates of requests so far."""
        return self._shared.rates

    @property
    def subscriptions(self) -> SubscriptionLedger:
        """The subscriptions so far."""
        return self._shared.subscriptions

    @property
    def limits_hit(self) -> list[str]:
        """Lines on the limits of the ledgers that were hit."""
        shared = self._shared
        dropped = (
            (shared.orders.dropped, "orders are not followed"),
            (shared.subscriptions.dropped, "subscriptions are not listed"),
            (shared.rates.dropped, "requests are not counted against limits"),
        )
        return [f"{count:,} {what}: too many at once" for count, what in dropped if count]

    def mute(self, codes: frozenset[str]) -> None:
        """Passes over findings with these codes: those so far, and those to come."""
        self._findings.mute(codes)

    def connection_ended(self, info: ConnectionInfo) -> None:
        """Takes the end of a connection; its last messages may be added after this, with the next `add`."""
        self._ended.append(info)

    def add(self, items: Iterable[Message | Gap]) -> None:
        """Takes the next messages and gaps, in the order in which the decoder returned them."""
        for item in items:
            self.take(item)
        self.settle()

    def take(self, item: Message | Gap) -> bool:
        """Takes one message or gap; returns True for a request whose response came out before it.

        A copy, seen on a second pair of addresses, is passed over: it would look like a replay.
        """
        if isinstance(item, Message) and item.copy:
            return False
        connection = self._connections.get(item.flow.connection)
        if connection is None:
            connection = self._open(item.flow, item.time_ns)
        self._last_ns = item.time_ns
        if isinstance(item, Message):
            self._packets.message(item)
            return connection.message(item)
        connection.gap(item)
        return False

    def settle(self) -> None:
        """Concludes on the connections that ended, once all their messages were taken."""
        ended, self._ended = self._ended, []
        for info in ended:
            connection = self._connections.pop(info.ordinal, None)
            if connection is not None and info.copy_of is not None:
                connection.drop(info)
            elif connection is not None:
                connection.end(info, info.last_ns)
            report_connection(self._findings, info)

    def finish(self) -> list[Finding]:
        """Takes the end of the capture; returns everything that was found, in the order of time."""
        self.settle()
        for connection in self._connections.values():
            connection.end(None, self._last_ns)
        self._connections.clear()
        shared = self._shared
        shared.order_findings.finish(shared.orders.finish())
        shared.subscriptions.finish()
        shared.gateways.finish()
        self._report_rates()
        return self._findings.listed()

    @property
    def found(self) -> list[Finding]:
        """Findings so far, in the order of time."""
        return self._findings.listed()

    @property
    def counts(self) -> dict[Severity, int]:
        """Findings by severity so far, those that are not listed included."""
        return self._findings.counts

    def _open(self, flow: Flow, time_ns: int) -> ConnectionAnalyser:
        connection = ConnectionAnalyser(Context(self._findings, flow, time_ns), self._shared)
        self._connections[flow.connection] = connection
        return connection

    def _conclude(self, _: int, connection: ConnectionAnalyser) -> None:
        connection.end(None, self._last_ns)

    def _report_rates(self) -> None:
        """Reports requests that came near a limit and were not refused: a refusal is a finding of its own."""
        for row in self._shared.rates.rows():
            if row.share is None or row.share < 0.8 or row.refused or row.limit is None:
                continue
            of_account = f" of account {row.account}" if row.account is not None else ""
            over = "over" if row.busiest_30s > row.limit else "near"
            text = (
                f"{row.busiest_30s} {row.proto}{of_account} in 30 s, {over} the limit of {row.limit} "
                f"({row.limit_source}): spread them before they are refused"
            )
            self._findings.add(Finding("note", "rate-limit-near", row.message, row.connection, row.busiest_ns, text))


class _Packets:
    """Remembers the packets of the current message, and of recent requests and responses."""

    def __init__(self) -> None:
        self._current: Message | None = None
        self._recent: BoundedDict[int, tuple[int, ...]] = BoundedDict(_MAX_RECENT)

    def message(self, message: Message) -> None:
        """Takes the next message."""
        self._current = message
        if message.kind != "push":  # a push is named when it comes; a request may be named once nobody answered it
            self._recent[message.number] = tuple(message._frames[:_MAX_PACKETS])

    def of(self, number: int) -> tuple[int, ...]:
        """Returns the packets of a message; none if they are not known any more."""
        if self._current is not None and self._current.number == number:
            return tuple(self._current._frames[:_MAX_PACKETS])
        return self._recent.get(number, ())
