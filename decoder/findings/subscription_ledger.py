"""Keeps a ledger of subscriptions: one row for each connection, symbol and type; and of the quota slots they take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, Any

from decoder import schema
from decoder.findings.context import SECOND
from decoder.findings.finding import Finding, Findings
from decoder.formatting.escape import quote
from decoder.formatting.times import rfc3339

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.context import Context

__all__ = ["SUBSCRIPTION_KEYS", "Key", "SubscriptionLedger", "SubscriptionRow", "key_text"]

Key = tuple[int, int, str]
"""SubType, market, code; an account: 0, 0, its id."""

_MAX_ROWS = 50_000  # rows of the table, 300 bytes each
_MAX_CONNECTIONS = 65_536  # logins remembered, to know programs that come back
_MAX_HOLDERS = 4_096  # slots that are looked at to say who holds them: the largest quota is 2,000
_MAX_SHARERS = 128  # connections that share a slot: one gateway takes no more
_HELD_NS = 60 * SECOND
"""A slot is free after a minute at the earliest, and when all connections dropped it (source: the documentation)."""
_RECONNECT_NS = 120 * SECOND
"""A connection of the same program that begins so soon after the end of one is taken for its successor."""
_JUDGED_NS = 30 * SECOND
"""A successor has so long to renew the subscriptions."""
_NAMED = 3

SUBSCRIPTION_KEYS = {
    "connection": "ordinal of the connection",
    "symbol": "market and code, HK.00700",
    "sub_type": "type of the subscription, by the SDK's name",
    "since": "when the gateway granted it; null if it was not asked for in the capture",
    "until": "when it was dropped, or its connection ended; null while it lasts",
    "first_push_ms": "from the grant to the first push after it",
    "pushes": "pushes that came",
    "last_push": "time of the last push",
    "longest_silence_s": "longest time between two pushes, or from the last push to the end",
    "requested_by": "number of the request; null if nobody asked",
    "renewed": "of a subscription that ended with its connection: whether the next connection of the program "
    "renewed it; "
    "null if there is none",
    "quota_slots": "quota slots in use at the gateway once this was granted",
}
"""Keys of a row, and what they say."""


@dataclass(slots=True)
class SubscriptionRow:
    """One subscription of one connection; times are nanoseconds since 1970, UTC."""

    connection: int
    key: Key
    since_ns: int | None
    requested_by: int | None
    quota_slots: int | None
    until_ns: int | None = None
    first_push_ns: int | None = None
    pushes: int = 0
    last_push_ns: int | None = None
    longest_silence_ns: int = 0
    renewed: bool | None = None
    dropped: bool = False
    """True if the program unsubscribed it."""

    @property
    def symbol(self) -> str:
        """Market and code, as the SDK writes them."""
        return f"{_markets().get(self.key[1], self.key[1])}.{self.key[2]}"

    @property
    def sub_type(self) -> str:
        """The SDK's name of its type."""
        return str(_sub_types().get(self.key[0], self.key[0]))

    def push(self, time_ns: int) -> None:
        """Counts a push."""
        self.pushes += 1
        last_ns = self.last_push_ns
        if last_ns is None:
            self.first_push_ns = time_ns
        elif time_ns - last_ns > self.longest_silence_ns:
            self.longest_silence_ns = time_ns - last_ns
        self.last_push_ns = time_ns

    def end(self, time_ns: int) -> None:
        """Ends it, if it is not over yet."""
        if self.until_ns is None:
            self.until_ns = time_ns
            self.look_back(time_ns)

    def look_back(self, time_ns: int) -> None:
        """Counts the silence since the last push."""
        if self.last_push_ns is not None:
            self.longest_silence_ns = max(self.longest_silence_ns, time_ns - self.last_push_ns)

    def record(self) -> dict[str, Any]:
        """Returns the object with the keys of `SUBSCRIPTION_KEYS`."""
        first_ms = None
        if self.first_push_ns is not None and self.since_ns is not None:
            first_ms = (self.first_push_ns - self.since_ns) / 1_000_000
        return {
            "connection": self.connection,
            "symbol": self.symbol,
            "sub_type": self.sub_type,
            "since": _time(self.since_ns),
            "until": _time(self.until_ns),
            "first_push_ms": first_ms,
            "pushes": self.pushes,
            "last_push": _time(self.last_push_ns),
            "longest_silence_s": self.longest_silence_ns / SECOND if self.pushes else None,
            "requested_by": self.requested_by,
            "renewed": self.renewed,
            "quota_slots": self.quota_slots,
        }


class _Slots:
    """The quota slots of one gateway."""

    def __init__(self) -> None:
        self.holders: dict[Key, set[int]] = {}
        self.since: dict[Key, int] = {}
        self.leaving: dict[Key, int] = {}  # dropped by all: when they are free
        self._queue: list[tuple[int, Key]] = []  # the same, soonest first; entries may be outdated

    def take(self, key: Key, ordinal: int, time_ns: int) -> int:
        """Takes a slot; returns how many are in use."""
        self.leaving.pop(key, None)
        if key in self.holders or len(self.holders) < _MAX_ROWS:
            self.holders.setdefault(key, set()).add(ordinal)
            self.since.setdefault(key, time_ns)
        while self._queue and self._queue[0][0] <= time_ns:
            free_ns, free = heappop(self._queue)
            if self.leaving.get(free) == free_ns:
                del self.leaving[free]
        return len(self.holders) + len(self.leaving)

    def drop(self, key: Key, ordinal: int, time_ns: int) -> None:
        """Gives up a slot for one connection."""
        holders = self.holders.get(key)
        if holders is None:
            return
        holders.discard(ordinal)
        if not holders:
            del self.holders[key]
            free_ns = self.since.pop(key, time_ns) + _HELD_NS
            if free_ns > time_ns and len(self._queue) < _MAX_ROWS:
                self.leaving[key] = free_ns
                heappush(self._queue, (free_ns, key))


@dataclass(slots=True)
class _Program:
    """A connection, as far as it tells whether a program came back."""

    identity: tuple[str, str, str]
    """Host of the client, its clientID, the gateway."""
    ordinal: int
    first_ns: int
    last_ns: int
    over_ns: int | None = None
    left: bool = False
    """True if the client closed it in order, while the gateway was well."""
    trades: bool = False


class SubscriptionLedger:
    """Follows the subscriptions of all connections, in bounded memory."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._rows: list[SubscriptionRow] = []
        self._current: dict[int, dict[Key, SubscriptionRow]] = {}
        self._slots: dict[str, _Slots] = {}
        self._programs: dict[int, _Program] = {}
        self.dropped = 0
        """Rows beyond the limit."""

    # Feeding

    def login(self, context: Context, client_id: str) -> None:
        """Takes the InitConnect request of a connection."""
        if len(self._programs) < _MAX_CONNECTIONS:
            identity = (context.client_host, client_id, context.gateway)
            self._programs[context.ordinal] = _Program(identity, context.ordinal, context.first_ns, context.first_ns)

    def trades(self, context: Context) -> None:
        """Takes a trade request: the connection is not one for quotes."""
        program = self._programs.get(context.ordinal)
        if program is not None:
            program.trades = True

    def granted(self, context: Context, keys: Iterable[Key], time_ns: int, number: int) -> None:
        """Takes subscriptions that the gateway granted; `number` is that of the request."""
        slots = self._slots.setdefault(context.gateway, _Slots())
        current = self._current.setdefault(context.ordinal, {})
        for key in keys:
            if len(self._rows) >= _MAX_ROWS:
                self.dropped += 1
                continue
            in_use = slots.take(key, context.ordinal, time_ns)
            known = current.get(key)
            if known is not None and known.until_ns is None and known.since_ns is not None:
                continue
            self._add(context, current, SubscriptionRow(context.ordinal, key, time_ns, number, in_use))

    def _add(self, context: Context, current: dict[Key, SubscriptionRow], row: SubscriptionRow) -> None:
        if len(self._rows) >= _MAX_ROWS:
            self.dropped += 1
            return
        self._rows.append(row)
        current[row.key] = row

    def ended(self, context: Context, keys: Iterable[Key], time_ns: int) -> None:
        """Takes subscriptions that the program dropped."""
        slots = self._slots.setdefault(context.gateway, _Slots())
        current = self._current.get(context.ordinal, {})
        for key in keys:
            slots.drop(key, context.ordinal, time_ns)
            row = current.get(key)
            if row is not None and row.until_ns is None:
                row.dropped = True
                row.end(time_ns)

    def active(self, context: Context) -> list[Key]:
        """Returns what the connection is subscribed to."""
        current = self._current.get(context.ordinal, {})
        return [key for key, row in current.items() if row.until_ns is None and row.since_ns is not None]

    def row_of(self, context: Context, key: Key) -> SubscriptionRow | None:
        """Returns the row that a push counts for; a new one if nobody asked for it; None beyond the limit."""
        current = self._current.setdefault(context.ordinal, {})
        row = current.get(key)
        if row is None:
            self._add(context, current, SubscriptionRow(context.ordinal, key, None, None, None))
            row = current.get(key)
        return row

    def closed(self, context: Context, info: ConnectionInfo | None, time_ns: int, *, left: bool) -> None:
        """Takes the end of a connection, or (`info` is None) of the capture."""
        program = self._programs.get(context.ordinal)
        if program is not None:
            program.last_ns = time_ns
        if info is None or info.closed_by is None:
            for row in self._current.pop(context.ordinal, {}).values():
                if row.until_ns is None:
                    row.look_back(time_ns)
            return
        if program is not None:
            program.over_ns, program.left = time_ns, left
        slots = self._slots.get(context.gateway)
        for key, row in self._current.pop(context.ordinal, {}).items():
            row.end(time_ns)
            if slots is not None:
                slots.drop(key, context.ordinal, time_ns)

    def held_elsewhere(self, context: Context) -> dict[int, int]:
        """Returns how many quota slots each other connection to the same gateway holds."""
        slots = self._slots.get(context.gateway)
        counts: dict[int, int] = {}
        for holders in islice(slots.holders.values(), _MAX_HOLDERS) if slots is not None else ():
            for ordinal in islice(holders, _MAX_SHARERS):
                if ordinal != context.ordinal:
                    counts[ordinal] = counts.get(ordinal, 0) + 1
        return counts

    # Results

    def rows(self) -> list[SubscriptionRow]:
        """Returns the rows so far: by connection, in the order of their grant."""
        return sorted(self._rows, key=lambda row: row.connection)

    def finish(self) -> None:
        """Judges at the end of the capture whether programs that came back renewed what they had."""
        had: dict[int, list[SubscriptionRow]] = {}
        for row in self._rows:
            if row.since_ns is not None:
                had.setdefault(row.connection, []).append(row)
        by_identity: dict[tuple[str, str, str], list[_Program]] = {}
        for program in sorted(self._programs.values(), key=lambda each: each.first_ns):
            by_identity.setdefault(program.identity, []).append(program)
        for programs in by_identity.values():
            for place, program in enumerate(programs):
                rows = [row for row in had.get(program.ordinal, ()) if not row.dropped]
                # Two contexts of a program log in alike, so look at the next few connections only.
                if rows and program.over_ns is not None and not program.left:
                    self._compare(program, rows, programs[place + 1 : place + 9], had)

    def _compare(
        self,
        program: _Program,
        rows: list[SubscriptionRow],
        later: list[_Program],
        had: dict[int, list[SubscriptionRow]],
    ) -> None:
        over_ns = program.over_ns or 0
        for successor in later:
            gap_ns = successor.first_ns - over_ns
            new = {row.key for row in had.get(successor.ordinal, ())}
            if not 0 <= gap_ns <= _RECONNECT_NS or (successor.trades and not new):
                continue
            if not new and successor.last_ns - successor.first_ns < _JUDGED_NS:
                continue
            missing = []
            for row in rows:
                row.renewed = row.key in new
                if not row.renewed:
                    missing.append(row)
            if missing and successor.last_ns - successor.first_ns >= _JUDGED_NS:
                self._report(program, successor, missing)
            return

    def _report(self, program: _Program, successor: _Program, missing: list[SubscriptionRow]) -> None:
        names = ", ".join(key_text(row.key) for row in missing[:_NAMED])
        names += f" and {len(missing) - _NAMED} more" * (len(missing) > _NAMED)
        text = (
            f"the program of connection {program.ordinal} came back on this one and did not subscribe again to "
            f"{names}: "
            "OpenD keeps no subscription over a reconnect; renew them after each InitConnect"
        )
        self._findings.add(
            Finding("warning", "subscriptions-not-renewed", None, successor.ordinal, successor.first_ns, text)
        )


@cache
def _sub_types() -> dict[int, str | int]:
    return dict(schema.enum_names(schema.enum_descriptor("Qot_Common.SubType"), "sdk"))


@cache
def _markets() -> dict[int, str | int]:
    return dict(schema.enum_names(schema.enum_descriptor("Qot_Common.QotMarket"), "sdk"))


def key_text(key: Key) -> str:
    """Returns a subscription as people say it: ``ORDER_BOOK of HK.00700``."""
    sub_type, market, code = key
    return f"{_sub_types().get(sub_type, sub_type)} of {_markets().get(market, market)}.{quote(code, 32)}"


def _time(time_ns: int | None) -> str | None:
    return None if time_ns is None else rfc3339(time_ns)
