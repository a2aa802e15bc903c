"""Counts requests against the limits of the gateway: at most N in any 30 s, orders no closer than some milliseconds."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from decoder import schema
from decoder.bounded import BoundedDict
from decoder.findings.context import SECOND
from decoder.formatting.times import rfc3339
from decoder.framing.header import PROTO_ID
from decoder.vocabulary import TRD_MODIFY_ORDER, TRD_PLACE_COMBO_ORDER, TRD_PLACE_ORDER, TRD_UNLOCK_TRADE

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.message import Message

__all__ = ["RATE_KEYS", "RateLedger", "RateRow", "limit_in"]

_WINDOW_NS = 30 * SECOND
"""Length of the window that the vendor's limits speak of; both ends count (source: the vendor's documentation)."""
_MAX_TIMES = 1_000_000  # times of requests kept of all groups together, 40 bytes each
_MAX_GROUPS = 4_096
_MAX_PENDING = 16_384  # requests of which the group is remembered until they are refused

# Requests in any 30 s, by protocol id (source: the vendor's documentation, collected in July 2026).
_LIMITS: dict[int, int] = {
    TRD_PLACE_ORDER: 15,
    TRD_MODIFY_ORDER: 20,
    TRD_UNLOCK_TRADE: 10,
    **dict.fromkeys((2101, 2102, 2111, 2201, 2211, 2221, 2222, 2223, 2225, 2226), 10),
    **dict.fromkeys((3103, 3104, 3105, 3203, 3209, 3210, 3213, 3220, 3221, 3222, 3224), 60),
    **dict.fromkeys((3211, 3212, 3219), 30),
    **dict.fromkeys((3202, 3204, 3205, 3207, 3215, 3223), 10),
}
_TOGETHER = {TRD_PLACE_COMBO_ORDER: TRD_PLACE_ORDER}
"""Protocols that count together with another."""
_PER_ACCOUNT = frozenset((TRD_PLACE_ORDER, TRD_MODIFY_ORDER, 2101, 2102, 2111, 2201, 2211))
_ONLY_REFRESHED = frozenset((2101, 2102, 2201, 2211))
"""Lists that count only with refreshCache: without it OpenD answers from memory."""
_HISTORY_KL = 3103
"""Counts with its first page only: the following ones carry nextReqKey."""
_APART_NS = {TRD_PLACE_ORDER: 20_000_000, TRD_MODIFY_ORDER: 40_000_000}
"""Least distance between two requests of an account, in nanoseconds."""

_NAMED_LIMIT = re.compile(r"(?:最多|at most|up to|maximum of)\s*(\d{1,4})\s*(?:次|requests|times)", re.IGNORECASE)

RATE_KEYS = {
    "proto": "name of the protocol; Trd_PlaceOrder counts Trd_PlaceComboOrder too",
    "account": "accID where the limit is per account, else null",
    "requests": "requests in the capture",
    "busiest_30s": "the most that count in any 30 s",
    "at": "when these 30 s began",
    "limit": "the most that the gateway takes in 30 s; null if not known",
    "limit_source": "published, or refusal (the gateway named it)",
    "share": "busiest_30s / limit",
    "min_gap_ms": "shortest distance between two of them, in milliseconds",
    "refused": "how many were refused for coming too often",
}
"""Keys of a row, and what they say."""


@dataclass(frozen=True)
class RateRow:
    """Counts the requests of one protocol (and account) against their limit."""

    proto: str
    account: str | None
    requests: int
    busiest_30s: int
    at_ns: int | None
    limit: int | None
    limit_source: Literal["published", "refusal"] | None
    min_gap_ms: float | None
    refused: int
    connection: int
    """Ordinal of the connection with the last request of the busiest 30 s."""
    message: int
    """Number of that request."""
    busiest_ns: int
    """Time of that request."""

    @property
    def share(self) -> float | None:
        """The busiest 30 s as a share of the limit."""
        return None if self.limit is None else round(self.busiest_30s / self.limit, 3)

    def record(self) -> dict[str, Any]:
        """Returns the object with the keys of `RATE_KEYS`."""
        own = {"at": None if self.at_ns is None else rfc3339(self.at_ns)}
        return {key: own[key] if key in own else getattr(self, key) for key in RATE_KEYS}


class Refusal(NamedTuple):
    """Holds the figures that prove that a request came too often."""

    in_window: int
    limit: int | None
    source: str | None


class _Group:
    __slots__ = (
        "account",
        "at_ns",
        "busiest",
        "connection",
        "gap_ns",
        "last_ns",
        "message",
        "named",
        "peak_ns",
        "proto_id",
        "refused",
        "requests",
        "times",
    )

    def __init__(self, proto_id: int, account: str | None) -> None:
        self.proto_id = proto_id
        self.account = account
        self.times: deque[int] = deque()
        self.requests = self.busiest = self.refused = 0
        self.at_ns: int | None = None
        self.peak_ns = self.message = self.connection = 0
        self.last_ns: int | None = None
        self.gap_ns: int | None = None
        self.named: int | None = None

    def count(self, message: Message) -> None:
        """Counts a request."""
        times = self.times
        time_ns = max(message.time_ns, times[-1]) if times else message.time_ns  # the capture clock may step back
        self.forget(time_ns)
        times.append(time_ns)
        if len(times) > self.busiest:
            self.busiest, self.at_ns, self.peak_ns = len(times), times[0], time_ns
            self.message, self.connection = message.number, message.flow.connection

    def forget(self, time_ns: int) -> None:
        """Drops the times that are out of the window that ends at `time_ns`."""
        times = self.times
        while times and time_ns - times[0] > _WINDOW_NS:
            times.popleft()


class RateLedger:
    """Counts requests over all connections to the same gateway, in bounded memory."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, int, str | None], _Group] = {}
        self._pending: BoundedDict[int, _Group] = BoundedDict(_MAX_PENDING)
        self._times = 0
        self.dropped = 0
        """Requests beyond the limits, which are not counted."""

    def request(self, message: Message, body: ProtobufMessage | None) -> int | None:
        """Counts a request; returns its distance to the one before in nanoseconds if that is less than allowed."""
        header_id = message.header[PROTO_ID]
        proto_id = _TOGETHER.get(header_id, header_id)
        account = None
        if proto_id in _PER_ACCOUNT:
            if body is None:
                return None
            account = str(body.c2s.header.accID)  # type: ignore[attr-defined]
        key = (message.flow.dst, proto_id, account)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= _MAX_GROUPS:
                self.dropped += 1
                return None
            group = self._groups[key] = _Group(proto_id, account)
        group.requests += 1
        last_ns, group.last_ns = group.last_ns, message.time_ns
        if proto_id in _LIMITS:
            self._pending[message.number] = group
            if not _counts(proto_id, body):
                return None
        before = len(group.times)
        group.count(message)
        self._times += len(group.times) - before
        if self._times > _MAX_TIMES:
            group.times.popleft()
            self._times -= 1
            self.dropped += 1
        if last_ns is None:
            return None
        gap_ns = max(0, message.time_ns - last_ns)
        if group.gap_ns is None or gap_ns < group.gap_ns:
            group.gap_ns = gap_ns
        return gap_ns if gap_ns < _APART_NS.get(proto_id, 0) else None

    def refused(self, message: Message, text: str) -> Refusal | None:
        """Counts a refusal; returns how many requests came in the 30 s before it, None if they were not counted."""
        group = None if message.request is None else self._pending.get(message.request)
        if group is None:
            proto_id = _TOGETHER.get(message.header[PROTO_ID], message.header[PROTO_ID])
            group = self._groups.get((message.flow.src, proto_id, None))
            if group is None:
                return None
        group.refused += 1
        named = limit_in(text)
        if named is not None:
            group.named = named
        limit = group.named or _LIMITS.get(group.proto_id)
        before = len(group.times)
        group.forget(message.time_ns)
        self._times += len(group.times) - before
        return Refusal(len(group.times), limit, "its text" if group.named else "published" if limit else None)

    def rows(self) -> list[RateRow]:
        """Returns the rows so far, nearest to a limit first."""
        rows = [_row(group) for group in self._groups.values()]
        return sorted(rows, key=lambda row: (-(row.share or 0), -row.busiest_30s, row.proto, row.account or ""))

    def in_window(self, now_ns: int) -> list[tuple[RateRow, int]]:
        """Returns the rows with requests in the 30 s before `now_ns`, and how many; nearest to the limit first."""
        counted = [
            (_row(group), sum(now_ns - time_ns < _WINDOW_NS for time_ns in group.times))
            for group in self._groups.values()
            if group.times and now_ns - group.times[-1] < _WINDOW_NS
        ]
        return sorted(counted, key=lambda each: (-each[1] / (each[0].limit or 10**9), -each[1], each[0].proto))


def _row(group: _Group) -> RateRow:
    known = schema.protocol(group.proto_id)
    limit = group.named or _LIMITS.get(group.proto_id)
    return RateRow(
        proto=str(group.proto_id) if known is None else known.name,
        account=group.account,
        requests=group.requests,
        busiest_30s=group.busiest,
        at_ns=group.at_ns,
        limit=limit,
        limit_source="refusal" if group.named else None if limit is None else "published",
        min_gap_ms=None if group.gap_ns is None else group.gap_ns / 1_000_000,
        refused=group.refused,
        connection=group.connection,
        message=group.message,
        busiest_ns=group.peak_ns,
    )


def limit_in(text: str) -> int | None:
    """Returns the N of a refusal like "at most N requests in 30 seconds", None if it names none."""
    match = _NAMED_LIMIT.search(text[:1_000])
    return None if match is None else int(match[1]) or None


def _counts(proto_id: int, body: Any) -> bool:
    if body is None:
        return True
    if proto_id in _ONLY_REFRESHED:
        return bool(body.c2s.refreshCache)
    return proto_id != _HISTORY_KL or not body.c2s.nextReqKey
