"""Collects what the report shows, message by message, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappush, heapreplace
from itertools import chain
from typing import TYPE_CHECKING, Any

from decoder.body.lag import TIMED_PUSHES, lag_ms
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
"""Series of the picture of messages; a message counts in the one at the index that `_family` returns."""

_MAX_OUTLIERS = 500
"""Dots of a picture: the slowest responses, the latest pushes."""
_MAX_LANES = 1_000
"""Connections of which marks are kept."""
_MAX_MARKS = 64
"""Marks of one sort that are kept of one connection."""
_WINDOW = 1_024
"""Messages kept for a finding that names one of them later."""
_MAX_KEPT_BODY = 16 * 1024
"""Bytes of the body of such a message: 16 MB in all."""
_ALL_TIMED = 20_000
"""Pushes with a time field that are all measured; then every `_EVERY`-th, which keeps the report nearly as fast as
the statistics."""
_EVERY = 16


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
    last_ns: int
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
        self._recent: deque[Message] = deque(maxlen=_WINDOW)
        self._named: list[int] = []
        self._order_messages: set[int] = set()
        self._timed = self._measured = 0

    def connection_ended(self, info: ConnectionInfo) -> None:
        """Takes note of the end of a connection; its last messages may come with the next `add`."""
        self._statistics.connection_ended(info)
        lane = self._lanes.get(info.ordinal)
        if lane is None and len(self._lanes) < _MAX_LANES:
            lane = self._lanes[info.ordinal] = Lane(info.first_ns, info.last_ns)
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
        self._rate.add(time_ns, _family(proto_id, message.kind))
        lane = self._lanes.get(message.flow.connection)
        if lane is None:
            if len(self._lanes) < _MAX_LANES:
                lane = self._lanes[message.flow.connection] = Lane(time_ns, time_ns)
        elif time_ns > lane.last_ns:
            lane.last_ns = time_ns
        latency = message.latency_ns
        if latency is not None:
            self._latency.add(time_ns, log_key(latency))
            self._outlier(self._slowest, latency, message)
        if proto_id == INIT_CONNECT and message.kind == "response" and lane is not None:
            _append(lane.logins, time_ns)
        elif proto_id in TIMED_PUSHES and message.kind == "push":
            self._timed += 1
            if self._timed <= _ALL_TIMED or not self._timed % _EVERY:
                self._measure(message)

    def _gap(self, gap: Gap) -> None:
        lane = self._lanes.get(gap.flow.connection)
        if lane is None and len(self._lanes) < _MAX_LANES:
            lane = self._lanes[gap.flow.connection] = Lane(gap.time_ns, gap.time_ns)
        if lane is not None:
            _append(lane.gaps, gap.time_ns)

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
        """Keeps the lines of the messages that findings named since the last call, if they came lately."""
        if self._named:
            named, self._named = set(self._named), []
            for item in chain(self._recent, items):
                if isinstance(item, Message) and item.number in named:
                    self._book.keep(item)
        self._recent.extend(item for item in items if isinstance(item, Message) and item.body_len <= _MAX_KEPT_BODY)

    def finish(self, summary: Summary, files: Sequence[str], warnings: Sequence[str] = ()) -> ReportData:
        """Returns what was collected.

        :param files: names of the captures
        :param warnings: what was wrong with them
        """
        figures = self._statistics.finish(summary, files, warnings)
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


def _family(proto_id: int, kind: str) -> int:
    """Returns the index in `FAMILIES` of a message."""
    thousand = proto_id // 1_000
    if thousand == 3:
        return 0 if kind == "push" else 1
    return {2: 2, 1: 3}.get(thousand, 4)


def _append(marks: list[int], time_ns: int) -> None:
    if len(marks) < _MAX_MARKS:
        marks.append(time_ns)
