"""Collects what the report shows, message by message, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappush, heapreplace
from typing import TYPE_CHECKING, Any

from decoder.body.lag import TIMED_PUSHES, lag_ms
from decoder.bounded import BoundedDict
from decoder.findings.orders import OrderLedger
from decoder.message import Gap, Message
from decoder.output.report.lines import LineBook
from decoder.statistics.lateness import LatenessLedger
from decoder.statistics.statistics import Statistics
from decoder.statistics.timeline import Timeline, log_key
from decoder.vocabulary import INIT_CONNECT

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo, Summary
    from decoder.findings import Finding
    from decoder.findings.order_rows import Order
    from decoder.output.report.lines import Line
    from decoder.statistics.lateness import LatenessRow

__all__ = ["FAMILIES", "Collector", "Lane", "Outlier", "ReportData"]

FAMILIES = ("quote pushes", "quote requests and responses", "trade", "connection and gateway", "unknown protocols")
"""Series of the picture of messages in this order, the first one lowest."""

# By the thousands of the protocol id: index in `FAMILIES`.
_PUSHES = {1: 3, 2: 2, 3: 0}
_OTHERS = {1: 3, 2: 2, 3: 1}
_UNKNOWN = 4
_MAX_OUTLIERS = 500
"""Dots of a picture: the slowest responses, the latest pushes."""
_MAX_LANES = 1_000
"""Connections of which marks are kept."""
_MAX_MARKS = 64
"""Marks of one sort that are kept of one connection."""
_MAX_REQUESTS = 1_024
"""Requests kept for a finding that names one of them later, because nobody answered it."""
_MAX_REQUEST = 4 * 1024
"""Bytes of the body of such a request."""
_ALL_TIMED = 5_000
"""Pushes with a time field that are all measured; then those of which `_EVERY` divides the number, which keeps the
report nearly as fast as the statistics."""
_EVERY = 32


@dataclass(order=True)
class Outlier:
    """A message that took long."""

    value_ns: int
    """Latency or lateness in nanoseconds."""
    number: int
    time_ns: int = field(compare=False)
    line: Line = field(compare=False)


@dataclass
class Lane:
    """What the picture of connections shows of one."""

    first_ns: int
    """Time of what was seen first of it, until `info` tells."""
    logins: list[int] = field(default_factory=list)
    """Times of InitConnect responses."""
    gaps: list[int] = field(default_factory=list)
    """Times of gaps."""
    info: ConnectionInfo | None = None


@dataclass
class ReportData:
    """All that the report shows."""

    figures: dict[str, Any]
    """The object of ``stats --format json``."""
    orders: list[Order]
    orders_dropped: int
    lateness: list[LatenessRow]
    timed: int
    """Pushes that carry a time, and how many of them were measured."""
    measured: int
    rate: Timeline
    latency: Timeline
    late: Timeline
    slowest: list[Outlier]
    latest: list[Outlier]
    lanes: dict[int, Lane]
    book: LineBook
    first_ns: int | None
    last_ns: int | None


class Collector:
    """Takes what a `Decoder` gives; `finish` returns what the report shows.

    :param where: only messages and gaps for which it returns True count
    :param utc: times in the lines of messages are UTC instead of local time
    """

    def __init__(self, where: Callable[[Message | Gap], bool] | None = None, *, utc: bool = False) -> None:
        self._where = where
        self._statistics = Statistics(where, max_per_code=100)
        self._statistics.on_finding(self._found)
        self._orders = OrderLedger()
        self._lateness = LatenessLedger()
        self._rate, self._latency, self._late = Timeline(), Timeline(), Timeline()
        self._slowest: list[Outlier] = []
        self._latest: list[Outlier] = []
        self._lanes: dict[int, Lane] = {}
        self._book = LineBook(utc=utc)
        self._requests: BoundedDict[int, Message] = BoundedDict(_MAX_REQUESTS)
        self._named: list[int] = []
        self._order_messages: set[int] = set()
        self._timed = self._measured = 0
        self._samples = False

    def connection_ended(self, info: ConnectionInfo) -> None:
        """Takes note of the end of a connection; its last messages may come with the next `add`."""
        self._statistics.connection_ended(info)
        lane = self._lane(info.ordinal, info.first_ns)
        if lane is not None:
            lane.info = info

    def add(self, items: Sequence[Message | Gap]) -> None:
        """Takes the next messages and gaps, in the order in which the decoder gave them."""
        self._statistics.add(items)
        where = self._where
        for item in items:
            speaks_of_order = self._orders.add(item)
            if where is not None and not where(item):
                continue
            if isinstance(item, Message):
                self._message(item)
                if speaks_of_order:
                    self._order_messages.add(item.number)
                    self._book.keep(item)
            else:
                self._gap(item)
        self._keep_named(items)

    def _found(self, finding: Finding) -> None:
        if finding.message is not None:
            self._named.append(finding.message)

    def _message(self, message: Message) -> None:
        proto_id, time_ns = message.header[1], message.time_ns
        kind = message.kind
        if kind == "push":
            self._rate.add(time_ns, _PUSHES.get(proto_id // 1_000, _UNKNOWN))
            if proto_id in TIMED_PUSHES:
                self._push(message)
            return
        self._rate.add(time_ns, _OTHERS.get(proto_id // 1_000, _UNKNOWN))
        if kind == "request":
            if message.body_len <= _MAX_REQUEST:
                self._requests[message.number] = message
            return
        if message.latency_ns is not None:
            self._latency.add(time_ns, log_key(message.latency_ns))
            self._outlier(self._slowest, message.latency_ns, message)
        if proto_id == INIT_CONNECT and (lane := self._lane(message.flow.connection, time_ns)) is not None:
            _append(lane.logins, time_ns)

    def _gap(self, gap: Gap) -> None:
        lane = self._lane(gap.flow.connection, gap.time_ns)
        if lane is not None:
            _append(lane.gaps, gap.time_ns)

    def _lane(self, ordinal: int, time_ns: int) -> Lane | None:
        lane = self._lanes.get(ordinal)
        if lane is None and len(self._lanes) < _MAX_LANES:
            lane = self._lanes[ordinal] = Lane(time_ns)
        return lane

    def _push(self, message: Message) -> None:
        self._timed += 1
        if self._timed > _ALL_TIMED:
            if message.number % _EVERY:
                return
            if not self._samples:  # from now on dots would be rarer: as rare as the earlier ones
                self._samples = True
                self._latest = [outlier for outlier in self._latest if not outlier.number % _EVERY]
                heapify(self._latest)
        self._measure(message)

    def _measure(self, message: Message) -> None:
        self._measured += 1
        self._lateness.add(message)
        late_ms = lag_ms(message.header[1], message.protobuf, message.time_ns)
        if late_ms is not None and late_ms > 0:
            late_ns = int(late_ms * 1_000_000)
            self._late.add(message.time_ns, log_key(late_ns))
            self._outlier(self._latest, late_ns, message)

    def _outlier(self, worst: list[Outlier], value_ns: int, message: Message) -> None:
        if len(worst) < _MAX_OUTLIERS:
            heappush(worst, Outlier(value_ns, message.number, message.time_ns, self._book.line(message)))
        elif value_ns > worst[0].value_ns:
            heapreplace(worst, Outlier(value_ns, message.number, message.time_ns, self._book.line(message)))

    def _keep_named(self, items: Iterable[Message | Gap]) -> None:
        """Keeps the lines of the messages that findings named since the last call: those in `items`, late requests."""
        if self._named:
            named, self._named = set(self._named), []
            for item in items:
                if isinstance(item, Message) and item.number in named:
                    self._book.keep(item)
            for number in named & self._requests.keys():
                self._book.keep(self._requests[number])

    def finish(self, summary: Summary, files: Sequence[str], warnings: Sequence[str] = ()) -> ReportData:
        """Returns what was collected.

        :param files: names of the captures
        :param warnings: what was wrong with them
        """
        figures = self._statistics.finish(summary, files, warnings).record()
        self._keep_named(())
        orders = self._orders.finish()
        if self._where is not None:
            orders = [order for order in orders if not self._order_messages.isdisjoint(order.messages)]
        return ReportData(
            figures,
            orders,
            self._orders.dropped,
            self._lateness.rows(),
            self._timed,
            self._measured,
            self._rate,
            self._latency,
            self._late,
            sorted(self._slowest, reverse=True),
            sorted(self._latest, reverse=True),
            self._lanes,
            self._book,
            summary.first_ns,
            summary.last_ns,
        )


def _append(marks: list[int], time_ns: int) -> None:
    if len(marks) < _MAX_MARKS:
        marks.append(time_ns)
