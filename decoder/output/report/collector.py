"""Collects what the report shows, message by message, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from heapq import heapify, heappush, heapreplace
from typing import TYPE_CHECKING, Any

from decoder.body.lag import TIMED_PUSHES, lag_ms
from decoder.bounded import BoundedDict
from decoder.framing.header import PROTO_ID
from decoder.message import Gap, Message
from decoder.output.report.lines import LineBook
from decoder.statistics.statistics import Statistics
from decoder.statistics.timeline import Timeline, log_key
from decoder.vocabulary import (
    INIT_CONNECT,
    NOTIFY,
    TRD_MODIFY_ORDER,
    TRD_PLACE_COMBO_ORDER,
    TRD_PLACE_ORDER,
    TRD_UPDATE_ORDER,
    TRD_UPDATE_ORDER_FILL,
)

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo, Summary
    from decoder.findings import Finding
    from decoder.findings.order_rows import Order
    from decoder.output.replacer import Replacer
    from decoder.output.report.lines import Line

__all__ = ["FAMILIES", "Collector", "Lane", "Outlier", "ReportData"]

FAMILIES = ("quote pushes", "quote requests and responses", "trade", "connection and gateway", "unknown protocols")
"""Series of the picture of messages in this order, the first one lowest."""

# By the thousands of the protocol id: index in `FAMILIES`.
_PUSHES = {1: 3, 2: 2, 3: 0}
_OTHERS = {1: 3, 2: 2, 3: 1}
_UNKNOWN = 4
_TRADE = 2
_KEPT = frozenset(
    (
        INIT_CONNECT,
        NOTIFY,
        TRD_PLACE_ORDER,
        TRD_PLACE_COMBO_ORDER,
        TRD_MODIFY_ORDER,
        TRD_UPDATE_ORDER,
        TRD_UPDATE_ORDER_FILL,
    )
)
"""Protocols of which every message is kept: findings and the lines of orders link to them."""
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
    """Holds what the picture of connections shows of one."""

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
    timed: int
    """Pushes with a time field."""
    measured: int
    """Those of them that the picture shows."""
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
    :param replacer: replaces what names a person, an account or an order in every body
    """

    def __init__(
        self,
        where: Callable[[Message | Gap], bool] | None = None,
        *,
        utc: bool = False,
        replacer: Replacer | None = None,
    ) -> None:
        self._where = where
        self._replacer = replacer
        self._statistics = Statistics(where, max_per_code=100)
        self._statistics.on_finding(self._found)
        self._rate, self._latency, self._late = Timeline(), Timeline(), Timeline()
        self._slowest: list[Outlier] = []
        self._latest: list[Outlier] = []
        self._lanes: dict[int, Lane] = {}
        self._book = LineBook(utc=utc)
        self._requests: BoundedDict[int, Message] = BoundedDict(_MAX_REQUESTS)
        self._named: list[int] = []
        self._trade_messages: set[int] = set()
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
        if self._replacer is not None:
            items = [_replaced(item, self._replacer) if isinstance(item, Message) else item for item in items]
        self._statistics.add(items)
        where = self._where
        for item in items:
            if where is not None:
                if not where(item):
                    continue
                if isinstance(item, Message) and item.proto_id // 1_000 == _TRADE:
                    self._trade_messages.add(item.number)
            if isinstance(item, Message):
                self._message(item)
            else:
                self._gap(item)
        self._keep_named(items)

    def _found(self, finding: Finding) -> None:
        if finding.message is not None:
            self._named.append(finding.message)

    def _message(self, message: Message) -> None:
        proto_id, time_ns = message.header[PROTO_ID], message.time_ns
        if proto_id in _KEPT:
            self._book.keep(message)
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
        late_ms = lag_ms(message.header[PROTO_ID], message.protobuf, message.time_ns)
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
        figures = self._statistics.finish(summary, files, warnings)
        self._keep_named(())
        orders = self._statistics.orders.finish()
        if self._where is not None:
            orders = [order for order in orders if not self._trade_messages.isdisjoint(order.messages)]
        return ReportData(
            figures.record(),
            orders,
            self._statistics.orders.dropped,
            self._timed,
            self._measured,
            self._rate,
            self._latency,
            self._late,
            sorted(self._slowest, reverse=True),
            sorted(self._latest, reverse=True),
            self._lanes,
            self._book,
            *self._span(summary),
        )

    def _span(self, summary: Summary) -> tuple[int | None, int | None]:
        """Returns the earliest and the latest time: not those of first and last packet if the clock was set back."""
        times = [time_ns for time_ns in (summary.first_ns, summary.last_ns) if time_ns is not None]
        starts = [start_ns for start_ns, _ in self._rate]
        if not times:
            return None, None
        return min(times + starts[:1]), max(times + starts[-1:])


def _replaced(message: Message, replacer: Replacer) -> Message:
    """Returns a message with the body that `replacer` makes; without a body if it cannot judge what is in it."""
    if message.plaintext is None:
        return message
    replaced = replacer.replace(message)
    if replaced is not None and not replaced.places:
        return message
    new = copy(message)
    new.plaintext = b"" if replaced is None else replaced.body
    return new


def _append(marks: list[int], time_ns: int) -> None:
    if len(marks) < _MAX_MARKS:
        marks.append(time_ns)
