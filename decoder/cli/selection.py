"""Selects the records that ``decode`` shows: ``--where``, context (-B, -A, -C), ``--pair``, ``--before-close``, -c."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from decoder.bounded import BoundedDict
from decoder.message import Gap, Message

if TYPE_CHECKING:
    from decoder.cli.options import Filter
    from decoder.conversation.summary import ConnectionInfo

__all__ = ["Selection", "Surroundings"]

_MAX_RECORDS = 262_144
"""Records kept at once because they may be shown later; the oldest is given up for a new one."""
_MAX_BYTES = 128 * 1024 * 1024
"""Bytes of their bodies; likewise."""
_MAX_CONNECTIONS = 65_536
"""Ended connections whose end is remembered for messages that come out late."""
_RECORD = 1_000
"""Bytes that a record takes beside its body, about."""

Record = Message | Gap


@dataclass(frozen=True)
class Surroundings:
    """Holds what is to be shown beside the records that match."""

    before: int = 0
    """Records before each match (-B)."""
    after: int = 0
    """Records after each match (-A)."""
    pair: bool = False
    """True to show the response of each request that matches, and the request of each response."""
    before_close_ns: int | None = None
    """Only records of the last so many nanoseconds before their connection was closed; None for all."""


class Selection:
    """Selects records, batch by batch, in order; at most `count` messages that match.

    :ivar wanted: messages that matched so far
    :ivar verdicts: their verdicts: ``verified`` or the reason
    :ivar given_up: records that a limit of this module dropped, so that they could not be shown
    """

    def __init__(
        self, where: Filter | None = None, count: int | None = None, around: Surroundings | None = None
    ) -> None:
        self.wanted = 0
        self.verdicts = Counter[str]()
        self._where = where
        self._count = count
        self._around = around or Surroundings()
        self._before = _Kept(self._around.before)
        self._remaining = 0
        self._requests = _Kept(_MAX_RECORDS)
        self._awaited = BoundedDict[int, None](_MAX_RECORDS)
        self._tail = None if self._around.before_close_ns is None else _Tail(self._around.before_close_ns)

    @property
    def done(self) -> bool:
        """True once `count` messages were selected, with their context and the responses to requests among them."""
        return self._count is not None and self.wanted >= self._count and not (self._remaining or self._awaited)

    @property
    def given_up(self) -> int:
        """Records that may have been wanted, but were dropped because too many had to be kept."""
        return self._requests.dropped + (0 if self._tail is None else self._tail.kept.dropped)

    def connection_ended(self, info: ConnectionInfo) -> None:
        """Reports the end of a connection, for ``--before-close``."""
        if self._tail is not None:
            self._tail.connection_ended(info)

    def select(self, records: list[Record]) -> list[Record]:
        """Returns those of the next records that are to be shown, and earlier ones that turn out to be."""
        if self._tail is not None:
            records = self._tail.select(records)
        if self._where is None and self._count is None:
            return records
        shown: list[Record] = []
        for item in records:
            if self.done:
                break
            self._add(item, shown)
        return shown

    def _add(self, item: Record, shown: list[Record]) -> None:
        over = self._count is not None and self.wanted >= self._count
        if not over and (self._where is None or self._where.match(item)):
            if isinstance(item, Message):
                self.wanted += 1
                self.verdicts[item.reason or item.verdict] += 1
                if self._around.pair:
                    self._pair(item, shown)
            shown.extend(self._before.take_all())
            shown.append(item)
            self._remaining = self._around.after
            return
        if self._remaining:
            self._remaining -= 1
            shown.append(item)
        elif isinstance(item, Message) and item.request is not None and item.request in self._awaited:
            del self._awaited[item.request]
            shown.append(item)
        else:
            self._before.add(item)
            if self._around.pair and isinstance(item, Message):
                if item.kind == "request":
                    self._requests.add(item)
                else:
                    deque(self._requests.take(item.request), 0)  # neither of the two is wanted

    def _pair(self, message: Message, shown: list[Record]) -> None:
        """Shows the request of a response, and waits for the response of a request."""
        if message.kind == "request":
            self._awaited[message.number] = None
        elif message.request is not None and message.request in self._awaited:
            del self._awaited[message.request]
        else:
            shown.extend(self._requests.take(message.request))


class _Kept:
    """Keeps the last `maximum` records, and no more than `_MAX_BYTES` of bodies, until they are taken."""

    def __init__(self, maximum: int) -> None:
        self.dropped = 0
        self._records: BoundedDict[int, Record] = BoundedDict(maximum, on_drop=self._on_drop)
        self._size = 0
        self._next = 0

    def add(self, item: Record) -> int:
        """Keeps a record; returns the key to take it with: a message's number, or a number below 0."""
        self._next -= 1
        key = item.number if isinstance(item, Message) else self._next
        self._size += _size(item)
        self._records[key] = item
        while self._size > _MAX_BYTES:
            self._on_drop(*self._records.popitem(last=False))
        return key

    def take(self, key: int | None) -> Iterator[Record]:
        """Yields the record with this key, if it is still there, and forgets it."""
        item = None if key is None else self._records.pop(key, None)
        if item is not None:
            self._size -= _size(item)
            yield item

    def take_all(self) -> list[Record]:
        """Returns all records in order, and forgets them."""
        records = list(self._records.values())
        self._records.clear()
        self._size = 0
        return records

    def _on_drop(self, key: int, item: Record) -> None:
        self.dropped += 1
        self._size -= _size(item)


def _size(item: Record) -> int:
    return _RECORD + (len(item.plaintext or b"") if isinstance(item, Message) else 0)


class _Tail:
    """Holds records back until their connection is closed, and passes on those of the last moments before that.

    A connection that the capture does not see closed has no such moments: its records are dropped.
    """

    def __init__(self, span_ns: int) -> None:
        self.kept = _Kept(_MAX_RECORDS)
        self._span_ns = span_ns
        self._keys: dict[int, deque[tuple[int, int]]] = {}
        self._ends: BoundedDict[int, int | None] = BoundedDict(_MAX_CONNECTIONS)
        self._ready: list[Record] = []

    def connection_ended(self, info: ConnectionInfo) -> None:
        self._ends[info.ordinal] = info.closed_ns
        for time_ns, key in self._keys.pop(info.ordinal, ()):
            found = self.kept.take(key)
            if info.closed_ns is not None and info.closed_ns - self._span_ns <= time_ns:
                self._ready.extend(found)
            else:
                deque(found, 0)

    def select(self, records: Iterable[Record]) -> list[Record]:
        for item in records:
            connection = item.flow.connection
            if connection in self._ends:
                closed_ns = self._ends[connection]
                if closed_ns is not None and closed_ns - self._span_ns <= item.time_ns:
                    self._ready.append(item)
                continue
            keys = self._keys.setdefault(connection, deque())
            keys.append((item.time_ns, self.kept.add(item)))
            while keys[0][0] < item.time_ns - self._span_ns:
                deque(self.kept.take(keys.popleft()[1]), 0)
        ready, self._ready = self._ready, []
        return ready
