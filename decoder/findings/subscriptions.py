"""Compares subscriptions and pushes: reports what came unasked, and what was asked for and never came."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder import schema
from decoder.body.scalars import plain_text
from decoder.bounded import BoundedDict
from decoder.findings.context import SECOND, duration_text, name_of
from decoder.findings.subscription_ledger import Key, SubscriptionLedger, key_text
from decoder.vocabulary import (
    NOTIFY,
    QOT_SUB,
    QOT_UPDATE_BASIC_QOT,
    QOT_UPDATE_KL,
    QOT_UPDATE_ORDER_BOOK,
    TRD_SUB_ACC_PUSH,
    TRD_UPDATE_ORDER,
    TRD_UPDATE_ORDER_FILL,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.findings.context import Context
    from decoder.findings.push_silence import PushSilence
    from decoder.findings.subscription_ledger import SubscriptionRow
    from decoder.message import Message

__all__ = ["SUBSCRIBING", "WATCHED_PUSHES", "Subscriptions"]

QOT_REG_PUSH = 3002
SUBSCRIBING = frozenset((TRD_SUB_ACC_PUSH, QOT_SUB, QOT_REG_PUSH))
"""Trd_SubAccPush, Qot_Sub, Qot_RegQotPush: the requests that ask for pushes."""

_ORDER_PUSHES = frozenset((TRD_UPDATE_ORDER, TRD_UPDATE_ORDER_FILL))
# Push protocols, and the Qot_Common.SubType of what they bring.
_SUB_TYPES = {3005: 1, 3009: 5, 3011: 4, 3013: 2, 3015: 14, 3017: 18}
WATCHED_PUSHES = _ORDER_PUSHES | {NOTIFY, QOT_UPDATE_KL, *_SUB_TYPES}
_ODD_LOTS = 22  # SubType of an order book whose orderBookType is 1
_SILENT_NS = 60 * SECOND
"""A subscription without a push for so long is silent: first pushes take 0.3 s at most where the market is open."""
_MAX_KEYS = 4_096  # subscriptions of one connection: the largest quota that the vendor sells is 2,000
_MAX_WAITING = 64  # requests of one connection whose answer is waited for
_MAX_CODE = 64  # characters kept of a code
_NAMED = 3  # subscriptions that a finding names


class _Asked(NamedTuple):
    keys: list[Key]
    subscribes: bool
    """True of Qot_Sub, False of Qot_RegQotPush."""
    on: bool
    push: bool


class Subscriptions:
    """Follows what one connection subscribed to.

    Judges only while it can: the connection was seen from its start, and nothing of the client's side is missing.
    """

    def __init__(self, context: Context, ledger: SubscriptionLedger, silence: PushSilence) -> None:
        self._context = context
        self._ledger = ledger
        self._silence = silence
        self._ever: set[Key] = set()
        self._came: set[Key] = set()  # a push came for them
        self._silent: dict[Key, tuple[int, int]] = {}  # registered for pushes, none came yet: message and time
        self._waiting: BoundedDict[int, _Asked] = BoundedDict(_MAX_WAITING)  # by the number of the request
        self._unasked: set[Key] = set()
        self._wants_notify: bool | None = None
        self._blind = False

    @property
    def _judges(self) -> bool:
        context = self._context
        return context.handshake and not (self._blind or context.client_gaps)

    def init_request(self, message: Message) -> None:
        """Takes the InitConnect request: it says whether Notify is wanted."""
        body = message.protobuf
        if body is None:
            self._blind = True
            return
        c2s: Any = body.c2s  # type: ignore[attr-defined]
        self._wants_notify = bool(c2s.recvNotify)
        self._ledger.login(self._context, plain_text(c2s.clientID)[:_MAX_CODE])

    def request(self, message: Message) -> None:
        """Takes a request of one of `SUBSCRIBING`."""
        body = message.protobuf
        if body is None:
            self._blind = True
            return
        c2s: Any = body.c2s  # type: ignore[attr-defined]
        if message.proto_id == TRD_SUB_ACC_PUSH:
            self._add([(0, 0, str(account)) for account in c2s.accIDList[:_MAX_KEYS]], message)
            return
        subscribes = message.proto_id == QOT_SUB
        on = c2s.isSubOrUnSub if subscribes else c2s.isRegOrUnReg
        every = ((sub_type, _of(security)) for security in c2s.securityList for sub_type in c2s.subTypeList)
        keys = [(sub_type, *of) for sub_type, of in islice(every, _MAX_KEYS + 1)]
        if not on:
            if subscribes and c2s.isUnsubAll:
                keys = list({*self._silent, *self._ledger.active(self._context)})
            self._end_of(keys, message.time_ns)
        else:
            self._add(keys, message)
        push = on and (not subscribes or bool(c2s.isRegOrUnRegPush))
        self._waiting[message.number] = _Asked(keys, subscribes, bool(on), push)

    def response(self, message: Message, body: ProtobufMessage) -> None:
        """Takes the response to such a request: only what was granted counts."""
        asked = None if message.request is None else self._waiting.pop(message.request, None)
        if asked is None or body.retType != 0:  # type: ignore[attr-defined]
            return
        if asked.subscribes and asked.on:
            self._ledger.granted(self._context, asked.keys, message.time_ns, message.request or 0)
        elif asked.subscribes:
            self._ledger.ended(self._context, asked.keys, message.time_ns)
            if not self._ledger.active(self._context):
                self._silence.forget()
        for key in asked.keys if asked.push else ():
            if len(self._silent) < _MAX_KEYS:
                self._silent.setdefault(key, (message.request or 0, message.time_ns))

    def push(self, message: Message, body: ProtobufMessage) -> list[SubscriptionRow]:
        """Takes a push that wants a subscription; returns the rows of the ledger that it counts for."""
        proto_id = message.proto_id
        if proto_id == NOTIFY:
            if self._wants_notify is False and self._judges:
                self._report_unasked(message, "InitConnect said recvNotify=false", (NOTIFY, 0, ""))
            return []
        s2c: Any = body.s2c  # type: ignore[attr-defined]
        if proto_id in _ORDER_PUSHES:
            account = (0, 0, str(s2c.header.accID))
            if account not in self._ever and self._judges:
                self._report_unasked(message, f"account {account[2]}", account)
            return []
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
        rows: list[SubscriptionRow] = []
        for security in securities:
            key = (sub_type, *_of(security))
            if key in self._ever:
                if key in self._silent:
                    del self._silent[key]
                self._came.add(key)
            elif self._judges and sub_type:
                self._report_unasked(message, key_text(key), key)
            row = self._ledger.row_of(self._context, key)
            if row is not None:
                rows.append(row)
        return rows

    def end(self, time_ns: int) -> None:
        """Takes the end of the connection, or of the capture."""
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
        """Reports those of these subscriptions, which are over, that got no push."""
        silent: dict[tuple[int, int], list[Key]] = {}
        for key in keys:
            asked = self._silent.pop(key, None)
            if asked is not None and time_ns - asked[1] >= _SILENT_NS:
                silent.setdefault(asked, []).append(key)
        for (number, asked_ns), never in silent.items():
            again = [key for key in never if key in self._came]
            first = [key for key in never if key not in self._came]
            passed = duration_text(time_ns - asked_ns)
            if first:
                text = (
                    f"no push in {passed} for {_names(first)}: the market is closed, the quote right is missing, "
                    "or nothing happened"
                )
                self._context.report_at("note", "subscription-silent", number, time_ns, text)
            if again and not self._silence.reported:
                text = (
                    f"no push in {passed} for {_names(again)} after it was subscribed again, though pushes had "
                    "come before: "
                    "the market closed, or the quote right was lost"
                )
                self._context.report_at("note", "pushes-stopped", number, time_ns, text)

    def _report_unasked(self, message: Message, what: str, key: Key) -> None:
        """Reports a push once for each thing that was not subscribed to; one finding stands for those of a protocol."""
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
    """Returns the SubType of each KLType: they go by the same names, in the SDK's spelling."""
    sub_types = schema.enum_numbers(schema.enum_descriptor("Qot_Common.SubType"))
    names = schema.enum_names(schema.enum_descriptor("Qot_Common.KLType"), "sdk")
    return {number: sub_types[str(name)] for number, name in names.items() if number and str(name) in sub_types}


def _names(keys: list[Key]) -> str:
    more = f" and {len(keys) - _NAMED} more" * (len(keys) > _NAMED)
    return ", ".join(map(key_text, keys[:_NAMED])) + more


def _of(security: Any) -> tuple[int, str]:
    return security.market, plain_text(security.code[:_MAX_CODE])
