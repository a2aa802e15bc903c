"""Does the work of ``stats``, ``orders`` and ``keys`` on a worker: each function is a task on one partition.

Figures and orders look across the connections of a host, so their partition is a whole host; keys do not.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from decoder.crypto.keylog import key_log_line
from decoder.findings.orders import OrderLedger
from decoder.framing.header import PROTO_ID
from decoder.message import Message
from decoder.output.partition import PartitionRun
from decoder.vocabulary import INIT_CONNECT

if TYPE_CHECKING:
    from decoder.crypto.keyring import KeyRing
    from decoder.engine.shards import Partition
    from decoder.findings.order_rows import Order
    from decoder.message import Gap
    from decoder.output.partition import Source
    from decoder.statistics.statistics import Stats

__all__ = ["Collected", "OrderLines", "collect_keys", "collect_orders", "host_orders", "host_stats", "partition_keys"]

_MAX_LINES = 100_000
"""Lines of messages about orders kept for the story of one order: 200 bytes each."""


def host_stats(
    partition: Partition, source: Source, max_per_code: int, by_symbol: bool
) -> tuple[dict[str, Any], Stats]:
    """Returns the counts of the partition, and the figures of its host."""
    from decoder.statistics.statistics import Statistics

    statistics = Statistics(source.match(), max_per_code=max_per_code, by_symbol=by_symbol)
    run = PartitionRun(partition, source, statistics.connection_ended)
    for records in run.records():
        statistics.add(records)
    warnings = [warning for reader in run.readers for warning in reader.warnings]
    return run.counts(), statistics.finish(run.summary, [reader.name for reader in run.readers], warnings)


@dataclass(frozen=True)
class OrderLines:
    """Says how the messages about orders are shown in the story of one."""

    show_secrets: bool
    utc: bool
    encoding: str

    def renderer(self) -> Callable[[Message], str]:
        """Returns a function that renders a message as a line of text."""
        from decoder.output.text import TextOutput

        text = TextOutput("sdk", show_secrets=self.show_secrets, utc=self.utc, color=False, encoding=self.encoding)
        return lambda message: str(text.render((message,))).rstrip("\n")


@dataclass
class Collected:
    """Holds the orders of a capture."""

    orders: list[Order] = field(default_factory=list)
    dropped: int = 0
    """Orders that were not followed, because there were too many."""
    lines: dict[int, str] = field(default_factory=dict)
    """Lines of their messages, by number, if they were asked for."""
    messages: int = 0
    """All messages, those that are not about orders included."""
    unread: int = 0
    """Messages with a body that could not be read."""


def collect_orders(
    batches: Iterable[Sequence[Message | Gap]],
    where: Callable[[Message | Gap], bool] | None,
    lines: OrderLines | None,
) -> Collected:
    """Puts together the orders of which `where` holds for a message."""
    ledger, collected = OrderLedger(), Collected()
    render = None if lines is None else lines.renderer()
    wanted: set[int] = set()
    for records in batches:
        for item in records:
            concerns_orders = ledger.add(item)
            if not isinstance(item, Message):
                continue
            collected.messages += 1
            collected.unread += item.plaintext is None
            if not concerns_orders:
                continue
            if where is not None and where(item):
                wanted.add(item.number)
            if render is not None and len(collected.lines) < _MAX_LINES:
                collected.lines[item.number] = render(item)
    found = ledger.finish()
    collected.orders = [order for order in found if where is None or not wanted.isdisjoint(order.messages)]
    collected.dropped = ledger.dropped
    return collected


def host_orders(partition: Partition, source: Source, lines: OrderLines | None) -> tuple[dict[str, Any], Collected]:
    """Returns the counts of the partition, and the orders of its host."""
    run = PartitionRun(partition, source)
    collected = collect_orders(run.records(), source.match(), lines)
    return run.counts(), collected


def collect_keys(
    batches: Iterable[Sequence[Message | Gap]], where: Callable[[Message | Gap], bool] | None, ring: KeyRing
) -> list[tuple[int, str]]:
    """Returns the session keys that `ring` got: when each was handed out, and its key log line.

    With `where` only the keys of connections with a message for which it holds.
    """
    times: dict[str, deque[int]] = defaultdict(deque)  # a gateway that starts again may give out a connID again
    wanted: set[str] = set()
    for records in batches:
        for item in records:
            if isinstance(item, Message) and item.conn_id is not None:
                if item.header[PROTO_ID] == INIT_CONNECT and item.kind == "response":
                    times[item.conn_id].append(item.time_ns)
                if where is None or where(item):
                    wanted.add(item.conn_id)
    keys = []
    for key in ring.harvested:
        handed_out = times[str(key.conn_id)]
        time_ns = handed_out.popleft() if handed_out else 0
        if where is None or str(key.conn_id) in wanted:
            keys.append((time_ns, key_log_line(key)))
    return keys


def partition_keys(partition: Partition, source: Source) -> tuple[dict[str, Any], list[tuple[int, str]]]:
    """Returns the counts of the partition, and its session keys, as `collect_keys` does."""
    run = PartitionRun(partition, source)
    keys = collect_keys(run.records(), source.match(), run.keys)
    return run.counts(), keys
