"""Sums how late pushes are, by protocol, market and leg: the table ``lateness``.

Live ticks only, no first push of a security (it may be minutes old), no bar times.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from decoder import schema
from decoder.body.lag import TIMED_PUSHES, lags
from decoder.body.parse_cost import always_safe_size
from decoder.body.scalars import plain_text
from decoder.findings.session_age import conn_id_ns
from decoder.framing.header import FORMAT, PROTO_ID
from decoder.message import Message
from decoder.statistics.quantiles import Quantiles
from decoder.vocabulary import (
    INIT_CONNECT,
    QOT_UPDATE_BASIC_QOT,
    QOT_UPDATE_ORDER_BOOK,
    TRD_UPDATE_ORDER,
    TRD_UPDATE_ORDER_FILL,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from decoder.limits import Limits
    from decoder.message import Gap

__all__ = ["LATENESS_KEYS", "LatenessLedger", "LatenessRow"]

_MAX_GROUPS = 2_048  # protocols and markets (and symbols); what comes after counts as one of the protocol
_FINE_GROUPS = 64  # their quantiles are within 0.05 %; those of more, as with --by symbol, within 0.8 %
_MAX_FIRST = 65_536  # securities of which the first push was seen
_MAX_GATEWAYS = 1_024
_MAX_WAITING = 256  # lags of a leg that are counted at once, in a third of the time
_MAX_CODE = 32  # characters of a code
_PROTOBUF = 0  # of the header's format field
# First pushes of these may be old: a tick says of itself that it is not live.
_STALE_FIRST = frozenset((QOT_UPDATE_BASIC_QOT, QOT_UPDATE_ORDER_BOOK))
_TRADE = frozenset((TRD_UPDATE_ORDER, TRD_UPDATE_ORDER_FILL))

LATENESS_KEYS = {
    "proto": "name of the protocol",
    "market": "market of the security; of trade pushes that of the account",
    "leg": "exchange-opend (recvTime - timestamp), opend-wire (packet - recvTime), server-wire (packet - svrRecvTime), "
    "exchange-wire (packet - the exchange's or broker's time)",
    "count": "ticks, quotes, books or orders that were measured",
    "p50_ms": "median, in milliseconds (nearest rank, within 0.05 %)",
    "p90_ms": "90 % took no longer",
    "p99_ms": "99 % took no longer",
    "max_ms": "the longest (exact)",
    "negative": "how many are negative: the two clocks differ",
    "clock_offset_ms": "OpenD's clock minus that of the capture, from the connID and InitConnect; null if not known",
}
"""Keys of a row, and what they say.  With ``--by symbol`` there is ``symbol`` too, after the market."""


@dataclass(frozen=True)
class LatenessRow:
    """Lists how late the pushes of a protocol are on one leg, in milliseconds."""

    proto: str
    market: str | None
    symbol: str | None
    """HK.00700 if asked for by symbol, else None."""
    leg: str
    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    negative: int
    clock_offset_ms: float | None

    def record(self) -> dict[str, Any]:
        """Returns the object with the keys of `LATENESS_KEYS`."""
        keys = list(LATENESS_KEYS)
        if self.symbol is not None:
            keys.insert(keys.index("market") + 1, "symbol")
        return {key: getattr(self, key) for key in keys}


class _Group:
    __slots__ = ("lags", "negative", "waiting")

    def __init__(self, *, fine: bool) -> None:
        self.lags = Quantiles() if fine else Quantiles(128, 7)
        self.negative = 0
        self.waiting: list[int] = []
        """Lags that are still to be counted."""

    def settle(self) -> None:
        """Counts the lags that wait."""
        if self.waiting:
            self.lags.add_all(self.waiting)
            self.negative += sum([lag_ns < 0 for lag_ns in self.waiting])
            self.waiting.clear()


class LatenessLedger:
    """Measures pushes, message by message, in bounded memory.

    :param by_symbol: one row a symbol instead of one a market
    """

    def __init__(self, *, by_symbol: bool = False) -> None:
        self._by_symbol = by_symbol
        self._groups: dict[tuple[int, Any, str | None], dict[str, _Group]] = {}  # by protocol, market, symbol
        self._first: set[tuple[int, int, int, str | bytes]] = set()
        self._requests: dict[int, int] = {}  # time of the InitConnect request of a connection
        self._offsets: dict[str, tuple[int, int]] = {}  # by gateway: latency of InitConnect, offset
        self._limits: Limits | None = None
        self._longest = 0  # bytes of a body that cannot exceed `_limits`

    def add(self, item: Message | Gap) -> None:
        """Takes the next message or gap."""
        if not isinstance(item, Message) or item.copy:
            return
        proto_id = item.header[PROTO_ID]
        if proto_id in TIMED_PUSHES:
            if item.kind == "push" and item.verdict != "failed":
                self._push(item, proto_id)
        elif proto_id == INIT_CONNECT and item.kind == "response":
            self._init_response(item)

    def _push(self, message: Message, proto_id: int) -> None:
        body = self._body(message, proto_id)
        if body is None or not body.HasField("s2c"):
            return
        s2c = body.s2c
        if proto_id in _TRADE:
            market, told = s2c.header.trdMarket, s2c.order if proto_id == TRD_UPDATE_ORDER else s2c.orderFill
            code = told.code
        else:
            quotes = s2c.basicQotList if proto_id == QOT_UPDATE_BASIC_QOT else None
            if quotes is not None and not quotes:
                return
            security = s2c.security if quotes is None else quotes[0].security
            market, code = security.market, security.code
        if proto_id in _STALE_FIRST:
            key = (message.flow.connection, proto_id, market, code)
            if key not in self._first:
                if len(self._first) < _MAX_FIRST:
                    self._first.add(key)
                return
        symbol = plain_text(code)[:_MAX_CODE] if self._by_symbol else None
        legs = self._groups.get((proto_id, market, symbol))
        if legs is None:
            legs = self._new_group(proto_id, market, symbol)
        for leg, lag_ns in lags(proto_id, body, message.time_ns):
            group = legs.get(leg)
            if group is None:
                group = legs[leg] = _Group(fine=len(self._groups) <= _FINE_GROUPS)
            waiting = group.waiting
            waiting.append(lag_ns)
            if len(waiting) >= _MAX_WAITING:
                group.settle()

    def _body(self, message: Message, proto_id: int) -> Any:
        """Returns the parsed body; read at a third of the usual price where no limit can be hit, and not kept."""
        plaintext = message.plaintext
        if plaintext is None or message.is_parsed or message.header[FORMAT] != _PROTOBUF:
            return message.protobuf
        limits = message.flow.limits
        if limits is not self._limits:
            self._limits, self._longest = limits, always_safe_size(limits)
        if len(plaintext) > self._longest:
            return message.protobuf
        try:
            return _parsers()[proto_id](plaintext)
        except DecodeError:
            return None

    def _new_group(self, proto_id: int, market: int, symbol: str | None) -> dict[str, _Group]:
        key: tuple[int, Any, str | None] = (proto_id, market, symbol)
        if len(self._groups) >= _MAX_GROUPS:
            key = (proto_id, None, None)
        return self._groups.setdefault(key, {})

    def _init_response(self, message: Message) -> None:
        conn_id = message.conn_id
        opened_ns = None if conn_id is None else conn_id_ns(int(conn_id), message.time_ns)
        if opened_ns is None or message.latency_ns is None:
            return
        # OpenD drew the connID between request and response.
        offset_ns = opened_ns - (message.time_ns - message.latency_ns // 2)
        known = self._offsets.get(message.flow.src)
        if (known is None and len(self._offsets) < _MAX_GATEWAYS) or (known and message.latency_ns < known[0]):
            self._offsets[message.flow.src] = message.latency_ns, offset_ns

    @property
    def clock_offset_ms(self) -> float | None:
        """OpenD's clock minus that of the capture, to the millisecond; None if not known or if gateways differ."""
        if len(self._offsets) != 1:
            return None
        return round(next(iter(self._offsets.values()))[1] / 1_000_000, 3)

    def rows(self) -> list[LatenessRow]:
        """Returns the rows so far, by protocol, market, symbol and leg."""
        offset_ms = self.clock_offset_ms
        for legs in self._groups.values():
            for group in legs.values():
                group.settle()
        rows = [
            LatenessRow(
                _proto(proto_id),
                _market(proto_id, market),
                None if symbol is None else f"{_market(proto_id, market)}.{symbol.rpartition('.')[2]}",
                leg,
                group.lags.count,
                _ms(group.lags.quantile(0.5)),
                _ms(group.lags.quantile(0.9)),
                _ms(group.lags.quantile(0.99)),
                _ms(group.lags.highest),
                group.negative,
                offset_ms,
            )
            for (proto_id, market, symbol), legs in self._groups.items()
            for leg, group in legs.items()
        ]
        return sorted(rows, key=lambda row: (row.proto, row.market or "~", row.symbol or "", row.leg))


@cache
def _parsers() -> dict[int, Callable[[bytes], Any]]:
    classes: dict[int, Any] = {proto_id: schema.body_class(proto_id, "s2c") for proto_id in TIMED_PUSHES}
    return {proto_id: cls.FromString for proto_id, cls in classes.items()}


def _ms(value_ns: int | None) -> float:
    return (value_ns or 0) / 1_000_000


def _proto(proto_id: int) -> str:
    known = schema.protocol(proto_id)
    return str(proto_id) if known is None else known.name


def _market(proto_id: int, market: int | None) -> str | None:
    if market is None:
        return None
    return _market_names("Trd_Common.TrdMarket" if proto_id in _TRADE else "Qot_Common.QotMarket").get(
        market, str(market)
    )


@cache
def _market_names(enum: str) -> dict[int, str]:
    names = schema.enum_names(schema.enum_descriptor(enum), "sdk")
    return {number: str(name) for number, name in names.items()}
