"""Subscriptions and pushes: what came unasked, and what was asked for and never came."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from decoder import schema
from decoder.body.scalars import plain_text
from decoder.findings.context import SECOND, duration_text, name_of
from decoder.formatting.escape import quote
from decoder.vocabulary import (
    NOTIFY,
    QOT_UPDATE_BASIC_QOT,
    QOT_UPDATE_KL,
    QOT_UPDATE_ORDER_BOOK,
    TRD_UPDATE_ORDER,
    TRD_UPDATE_ORDER_FILL,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.findings.context import Context
    from decoder.message import Message

__all__ = ["SUBSCRIBING", "WATCHED_PUSHES", "Subscriptions"]

SUB_ACCOUNTS, SUBSCRIBE, REGISTER = 2008, 3001, 3002
SUBSCRIBING = frozenset((SUB_ACCOUNTS, SUBSCRIBE, REGISTER))
"""Trd_SubAccPush, Qot_Sub, Qot_RegQotPush: the requests that ask for pushes."""

_ORDER_PUSHES = frozenset((TRD_UPDATE_ORDER, TRD_UPDATE_ORDER_FILL))
# Push protocols, and the Qot_Common.SubType of what they bring.
_SUB_TYPES = {3005: 1, 3009: 5, 3011: 4, 3013: 2, 3015: 14, 3017: 18}
WATCHED_PUSHES = _ORDER_PUSHES | {NOTIFY, QOT_UPDATE_KL, *_SUB_TYPES}
_ODD_LOTS = 22
_SILENT_NS = 60 * SECOND
_MAX_KEYS = 4_096  # the largest quota that the vendor sells is 2,000
_MAX_WAITING = 8
_MAX_CODE = 64
_NAMED = 3

Key = tuple[int, int, str]
"""SubType, market, code; an account: 0, 0, its id."""


class Subscriptions:
    """Follows what one connection subscribed to.

    Judges only while it can: the connection was seen from its start, and nothing of the client's side is missing.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ever: set[Key] = set()
        self._silent: dict[Key, tuple[int, int]] = {}  # registered for pushes, none came yet: message and time
        self._waiting: dict[int, list[Key]] = {}  # by number of a request that waits for its response
        self._unasked: set[Key] = set()
        self._wants_notify: bool | None = None
        self._blind = False

    @property
    def _judges(self) -> bool:
        context = self._context
        return context.handshake and not (self._blind or context.client_gaps)

    def init_request(self, message: Message) -> None:
        """The InitConnect request: says whether Notify is wanted."""
        body = message.protobuf
        if body is None:
            self._blind = True
        else:
            self._wants_notify = bool(body.c2s.recvNotify)  # type: ignore[attr-defined]

    def request(self, message: Message) -> None:
        """A request of one of `SUBSCRIBING`."""
        body = message.protobuf
        if body is None:
            self._blind = True
            return
        c2s: Any = body.c2s  # type: ignore[attr-defined]
        if message.proto_id == SUB_ACCOUNTS:
            self._add([(0, 0, str(account)) for account in c2s.accIDList[:_MAX_KEYS]], message)
            return
        on = c2s.isSubOrUnSub if message.proto_id == SUBSCRIBE else c2s.isRegOrUnReg
        every = ((sub_type, _of(security)) for security in c2s.securityList for sub_type in c2s.subTypeList)
        keys = [(sub_type, *of) for sub_type, of in islice(every, _MAX_KEYS + 1)]
        if not on:
            if message.proto_id == SUBSCRIBE and c2s.isUnsubAll:
                keys = list(self._silent)
            self._end_of(keys, message.time_ns)
            return
        self._add(keys, message)
        if message.proto_id == REGISTER or c2s.isRegOrUnRegPush:
            self._waiting[message.number] = keys
            if len(self._waiting) > _MAX_WAITING:
                del self._waiting[next(iter(self._waiting))]

    def response(self, message: Message, body: ProtobufMessage) -> None:
        """The response to such a request: only what was granted is waited for."""
        waiting = None if message.request is None else self._waiting.pop(message.request, None)
        if waiting is None or body.retType != 0:  # type: ignore[attr-defined]
            return
        for key in waiting:
            if len(self._silent) < _MAX_KEYS:
                self._silent.setdefault(key, (message.request or 0, message.time_ns))

    def push(self, message: Message, body: ProtobufMessage) -> None:
        """A push that wants a subscription."""
        proto_id = message.proto_id
        if proto_id == NOTIFY:
            if self._wants_notify is False and self._judges:
                self._report_unasked(message, "InitConnect said recvNotify=false", (NOTIFY, 0, ""))
            return
        s2c: Any = body.s2c  # type: ignore[attr-defined]
        if proto_id in _ORDER_PUSHES:
            account = (0, 0, str(s2c.header.accID))
            if account not in self._ever and self._judges:
                self._report_unasked(message, f"account {account[2]}", account)
            return
        if proto_id == QOT_UPDATE_BASIC_QOT:
            securities = [quote.security for quote in s2c.basicQotList]
            sub_type = 1
        else:
            securities = [s2c.security]
            sub_type = _SUB_TYPES.get(proto_id, 0)
            if proto_id == QOT_UPDATE_KL:
                sub_type = _candle_sub_types().get(s2c.klType, 0)
            elif proto_id == QOT_UPDATE_ORDER_BOOK and s2c.orderBookType == 1:
                sub_type = _ODD_LOTS
        for security in securities:
            key = (sub_type, *_of(security))
            if key in self._ever:
                if key in self._silent:
                    del self._silent[key]
            elif self._judges and sub_type:
                self._report_unasked(message, _shown(key), key)

    def end(self, time_ns: int) -> None:
        """The end of the connection, or of the capture."""
        self._end_of(list(self._silent), time_ns)

    def _add(self, keys: list[Key], message: Message) -> None:
        self._ever.update(keys)
        if len(self._ever) > _MAX_KEYS:
            self._blind = True
            self._ever.clear()
            self._context.report(
                "note",
                "analysis-limit",
                message,
                f"more than {_MAX_KEYS} subscriptions: pushes are not compared with them any more",
                "subscriptions",
            )

    def _end_of(self, keys: list[Key], time_ns: int) -> None:
        """These subscriptions are over: which of them never got a push?"""
        silent: dict[tuple[int, int], list[Key]] = {}
        for key in keys:
            asked = self._silent.pop(key, None)
            if asked is not None and time_ns - asked[1] >= _SILENT_NS:
                silent.setdefault(asked, []).append(key)
        for (number, asked_ns), never in silent.items():
            names = ", ".join(map(_shown, never[:_NAMED])) + (
                f" and {len(never) - _NAMED} more" * (len(never) > _NAMED)
            )
            self._context.report_at(
                "note",
                "subscription-silent",
                number,
                time_ns,
                f"no push in {duration_text(time_ns - asked_ns)} for {names}: the market is closed, the quote right is "
                "missing, or nothing happened",
            )

    def _report_unasked(self, message: Message, what: str, key: Key) -> None:
        """Report it once for each thing that was not subscribed to; one finding stands for those of a protocol."""
        if key in self._unasked or len(self._unasked) >= _MAX_KEYS:
            return
        self._unasked.add(key)
        self._context.report(
            "note",
            "push-not-subscribed",
            message,
            f"{name_of(message)} comes unasked: {what}; this connection did not subscribe to it",
            message.proto_id,
        )


@cache
def _candle_sub_types() -> dict[int, int]:
    """The SubType of each KLType: they go by the same names, in the SDK's spelling."""
    sub_types = schema.enum_numbers(schema.enum_descriptor("Qot_Common.SubType"))
    names = schema.enum_names(schema.enum_descriptor("Qot_Common.KLType"), "sdk")
    return {number: sub_types[str(name)] for number, name in names.items() if number and str(name) in sub_types}


def _shown(key: Key) -> str:
    sub_type, market, code = key
    names = schema.enum_names(schema.enum_descriptor("Qot_Common.SubType"), "sdk")
    markets = schema.enum_names(schema.enum_descriptor("Qot_Common.QotMarket"), "sdk")
    return f"{names.get(sub_type, sub_type)} of {markets.get(market, market)}.{quote(code, 32)}"


def _of(security: Any) -> tuple[int, str]:
    return security.market, plain_text(security.code[:_MAX_CODE])
