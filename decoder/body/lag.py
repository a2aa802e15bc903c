"""Tells how late a push is: the legs between exchange, Futu's server, OpenD and the wire that its time fields allow.

The fields (``timestamp``, ``recvTime``, ``svrRecvTime…Timestamp``, ``updateTimestamp``) are seconds since 1970, UTC, as
doubles.  Bar times (Qot_UpdateKL, Qot_UpdateRT) are no measure: the end of a bar may lie in the future.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from decoder.vocabulary import (
    QOT_UPDATE_BASIC_QOT,
    QOT_UPDATE_ORDER_BOOK,
    QOT_UPDATE_TICKER,
    TRD_UPDATE_ORDER,
    TRD_UPDATE_ORDER_FILL,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

__all__ = ["LEGS", "TIMED_PUSHES", "Lag", "Leg", "lag_ms", "lags"]

Leg = Literal["exchange-opend", "opend-wire", "server-wire", "exchange-wire"]
LEGS: Final = ("exchange-opend", "opend-wire", "server-wire", "exchange-wire")
"""From the exchange's time stamp to OpenD; from OpenD, or from Futu's server, to the packet; all the way."""

TIMED_PUSHES = frozenset(
    (QOT_UPDATE_TICKER, QOT_UPDATE_ORDER_BOOK, QOT_UPDATE_BASIC_QOT, TRD_UPDATE_ORDER, TRD_UPDATE_ORDER_FILL)
)
"""Pushes with a time that tells how late they are."""

_REALTIME = 1  # Qot_Common.PushDataType: neither back-fill after a lost link (2) nor the cached first push (3)


Lag = tuple[Leg, int]
"""One leg of one tick, quote or order, and its nanoseconds: negative where the clocks differ by more than it takes."""


def lags(proto_id: int, body: ProtobufMessage, time_ns: int) -> list[Lag]:
    """Returns the legs that the times in a push allow; none for other messages.

    :param body: the parsed push
    :param time_ns: capture time, nanoseconds since 1970
    """
    if proto_id not in TIMED_PUSHES or not body.HasField("s2c"):
        return []
    s2c: Any = body.s2c  # type: ignore[attr-defined]
    if proto_id == QOT_UPDATE_TICKER:
        found: list[Lag] = []
        for tick in s2c.tickerList:
            if tick.pushDataType == _REALTIME:
                seconds, recv = tick.timestamp, tick.recvTime
                exchange = int(seconds * 1_000_000 + 0.5) * 1_000 if 0 < seconds < 1e11 else 0  # `_ns` without a call
                received = int(recv * 1_000_000 + 0.5) * 1_000 if 0 < recv < 1e11 else 0
                if received:
                    if exchange:
                        found.append(("exchange-opend", received - exchange))
                    found.append(("opend-wire", time_ns - received))
                if exchange:
                    found.append(("exchange-wire", time_ns - exchange))
        return found
    if proto_id == QOT_UPDATE_ORDER_BOOK:
        newest = max(_ns(s2c.svrRecvTimeBidTimestamp), _ns(s2c.svrRecvTimeAskTimestamp))
        return [("server-wire", time_ns - newest)] if newest else []
    if proto_id == QOT_UPDATE_BASIC_QOT:
        times = [quote.updateTimestamp for quote in s2c.basicQotList if quote.updateTimestamp]
    else:
        time = s2c.order.updateTimestamp if proto_id == TRD_UPDATE_ORDER else s2c.orderFill.createTimestamp
        times = [time] if time % 1 else []  # whole seconds: simulated, or a first push; too coarse to measure with
    return [("exchange-wire", time_ns - _ns(time)) for time in times]


def lag_ms(proto_id: int, body: ProtobufMessage | None, time_ns: int) -> float | None:
    """Returns how late a push is in milliseconds: its longest leg to the wire; None where no time field tells it."""
    if body is None or proto_id not in TIMED_PUSHES:
        return None
    to_wire = [lag_ns for leg, lag_ns in lags(proto_id, body, time_ns) if leg != "exchange-opend"]
    return max(to_wire) / 1_000_000 if to_wire else None


def _ns(seconds: float) -> int:
    """Returns a double in seconds as nanoseconds, to the microsecond; 0 for what is no time."""
    return int(seconds * 1_000_000 + 0.5) * 1_000 if 0 < seconds < 1e11 else 0
