"""Recognises why a gateway refused: by the texts of its answers, in Chinese and English.

A text that is not recognised is shown as it is, with the code ``request-failed``.  The texts were collected from the
vendor's documentation, logs and public reports.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder import schema
from decoder.bounded import BoundedDict
from decoder.findings.context import name_of
from decoder.formatting.escape import quote
from decoder.vocabulary import TRD_MODIFY_ORDER, TRD_PLACE_COMBO_ORDER, TRD_PLACE_ORDER, TRD_RECONFIRM_ORDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message as ProtobufMessage

    from decoder.findings.context import Context
    from decoder.findings.finding import Severity
    from decoder.findings.quote_rights import QuoteRights
    from decoder.findings.rates import RateLedger
    from decoder.findings.subscription_ledger import SubscriptionLedger
    from decoder.message import Message

__all__ = ["TRADE_WRITES", "Refusals", "may_have_happened"]

TRADE_WRITES = frozenset((TRD_PLACE_ORDER, TRD_MODIFY_ORDER, TRD_RECONFIRM_ORDER, TRD_PLACE_COMBO_ORDER))
"""Requests that place or change orders: PlaceOrder, ModifyOrder, ReconfirmOrder, PlaceComboOrder."""

_MAX_TEXT = 160
_SEARCHED = 1_000  # characters of a text that are searched
_MAX_BATCHES = 1_024
_MAX_CODES = 400  # codes of one request; the gateway takes 400 snapshots
_NAMED = 5

# Numbers of Common.RetType.
_TIMED_OUT, _DISCONNECTED, _INVALID = -100, -200, -500


class _Cause(NamedTuple):
    code: str
    pattern: re.Pattern[str]
    advice: str


def _cause(code: str, pattern: str, advice: str) -> _Cause:
    return _Cause(code, re.compile(pattern, re.IGNORECASE), advice)


_NO_RIGHT = re.compile(
    r"行情权限不足|行情權限不足|没有.{0,20}行情权限|沒有.{0,20}行情權限"
    r"|no (?:quote )?right to|no (?:quote|quotation) right",
    re.IGNORECASE,
)

# The first that matches counts.
_CAUSES: tuple[_Cause, ...] = (
    _cause(
        "rate-limited",
        r"频率|頻率|频繁|頻繁|too (?:frequent|many requests)|frequency|rate limit",
        "limits are per interface over 30 s; spread the calls or subscribe instead of asking",
    ),
    _cause(
        "unsubscribed-too-early",
        r"订阅时间过短|訂閱時間過短|至少需要订阅|at least (?:1|one|a) minute",
        "wait 60 s after subscribing",
    ),
    _cause(
        "quota-used-up",
        r"quota|额度|額度|配额|配額",
        "unsubscribe what is not needed on every connection (possible a minute after subscribing), or wait for the "
        "quota to renew",
    ),
    _cause(
        "read-before-subscribed",
        r"请先订阅|請先訂閱|please subscribe|subscribe .{0,60} first",
        "send Qot_Sub first and wait for its answer before reading",
    ),
    _cause(
        "simulated-cannot",
        r"模拟交易不支持|不支持模拟交易|模擬交易不支持|不支持模擬交易|simulated trad\w* (?:does|do) not support"
        r"|operation cancel is not supported",
        "simulated accounts have no fills, no cash flow and no cancel-all; use the list of orders",
    ),
    _cause("gateway-timeout", r"ProtoRet_TimeOut", "OpenD got no answer from its servers"),
    _cause(
        "opend-link-lost",
        r"ProtoRet_SvrFailed",
        "the servers refused OpenD's question: OpenD is too old, or the span asked for too long",
    ),
    _cause(
        "opend-link-lost",
        r"NN_ProtoRet_|网络中断|網絡中斷|network (?:is |was )?(?:interrupted|disconnected)",
        "OpenD lost its own link to the servers; ask again when it is back",
    ),
    _cause(
        "account-mismatch",
        r"缺少必要的参数: ?securityFirm|specified securities firm",
        "name the securityFirm that Trd_GetAccList gives for the account",
    ),
    _cause(
        "request-failed",
        r"没有解锁交易|請先解鎖|请先解锁|unlock needed|(?:please )?unlock (?:the )?trade",
        "trading is locked for the whole OpenD: Trd_UnlockTrade first",
    ),
    _cause("request-failed", _NO_RIGHT.pattern, "the account has no right to these quotes"),
    _cause(
        "request-failed", r"购买力不足|購買力不足|insufficient buying power", "the account does not have enough money"
    ),
    _cause(
        "request-failed",
        r"价格参数精度|價格參數精度|price (?:precision|tick)|tick size|price spread",
        "round the price to the tick of this security and price (price_spread of its snapshot)",
    ),
    _cause(
        "request-failed",
        r"超过最大可用|超過最大可用|exceeds? (?:the )?max\w*",
        "ask for less: Trd_GetMaxTrdQtys tells how much can be traded",
    ),
    _cause(
        "request-failed",
        r"不支持的订单操作|不支持的訂單操作|operation (?:is )?not supported|unsupported (?:order )?operation",
        "this order cannot be changed in this way: cancel it and place another",
    ),
    _cause(
        "request-failed",
        r"未知股票|unknown stock|cannot find|invalid (?:stock|code)",
        "the gateway does not know this code: compare market and code",
    ),
    _cause("request-failed", r"disclaimer", "agree to the disclaimer in the app"),
)
_UNKNOWN_ID = re.compile(r"未知的协议ID|unknown protocol id", re.IGNORECASE)
_ONE_BAD_CODE = re.compile(
    _NO_RIGHT.pattern + r"|未知股票|unknown stock|cannot find|invalid (?:stock|code)", re.IGNORECASE
)
_ADVICE = {
    _TIMED_OUT: "OpenD got no answer from its servers",
    _DISCONNECTED: "OpenD has lost its connection to the servers; wait until it is back",
    _INVALID: "the gateway could not use the request: compare its fields with the documentation",
}
_BRIDGE_ERRORS = {
    1: "OpenD did not answer the WebSocket port: see whether it hangs",
    2: "OpenD had no answer in time: its server or the network is slow",
    3: "the WebSocket port has lost OpenD: it may have been stopped",
}
"""Advice for each error in the header of a reply (source: the official JavaScript SDK)."""
_SERIOUS = frozenset(("request-failed", "account-mismatch", "version-mismatch", "batch-refused"))


class Refusals:
    """Judges the failures of one connection."""

    def __init__(self, context: Context, rates: RateLedger, ledger: SubscriptionLedger, rights: QuoteRights) -> None:
        self._context = context
        self._rights = rights
        self._rates = rates
        self._ledger = ledger
        self._batches: BoundedDict[int, list[str]] = BoundedDict(_MAX_BATCHES)
        self._told_holders = False
        self._operations: BoundedDict[int, int] = BoundedDict(_MAX_BATCHES)

    def request(self, message: Message, body: ProtobufMessage) -> None:
        """Takes a request: remembers the codes that it asks for, if there are several."""
        self._rights.request(message, body)
        c2s: Any = getattr(body, "c2s", None)  # a few requests have none
        securities = getattr(c2s, "securityList", None)
        if securities is not None and len(securities) > 1:
            self._batches[message.number] = [quote(each.code, 32) for each in securities[:_MAX_CODES]]
        elif message.proto_id == TRD_MODIFY_ORDER:
            self._operations[message.number] = c2s.modifyOrderOp

    def error(self, message: Message, error: Mapping[str, Any]) -> None:
        """Takes a response whose header reports an error of the WebSocket port."""
        said = quote(error["message"], _MAX_TEXT) if error["message"] else "without a text"
        asked = f" (message {message.request})" if message.request is not None else ""
        advice = _BRIDGE_ERRORS.get(error["code"], "look into OpenD's log")
        self._context.report(
            "error",
            "request-failed",
            message,
            f"{name_of(message)}{asked} failed with error {error['code']} of the WebSocket port: {said}; {advice}",
        )

    def failure(self, message: Message, body: ProtobufMessage) -> None:
        """Takes a response or push whose retType is not success."""
        ret_type: int = body.retType  # type: ignore[attr-defined]
        ret_msg = body.retMsg  # type: ignore[attr-defined]
        text = ret_msg[:_SEARCHED] if isinstance(ret_msg, str) else ""
        code, advice = self._classify(message, ret_type, text)
        severity: Severity = "error" if code in _SERIOUS else "warning"
        said = quote(ret_msg, _MAX_TEXT) if ret_msg else "without a retMsg"
        asked = f" (message {message.request})" if message.request is not None else ""
        self._context.report(
            severity,
            code,
            message,
            f"{name_of(message)}{asked} failed with {message.ret_type}: {said}" + (f"; {advice}" if advice else ""),
        )
        if code == "quota-used-up":
            self._held_elsewhere(message)

    def _classify(self, message: Message, ret_type: int, text: str) -> tuple[str, str]:
        if _UNKNOWN_ID.search(text) and schema.protocol(message.proto_id) is not None:
            return "version-mismatch", "this OpenD is older than the protocol: update it"
        if _NO_RIGHT.search(text):
            had = self._rights.had(self._context, message, text)
            if had is not None:
                return "quote-right-lost", (
                    f"{had[0]} was served before (message {had[1]}), so another terminal took the right, or it ended; "
                    "request_highest_quote_right in OpenD takes it back"
                )
        batch = None if message.request is None else self._batches.get(message.request)
        if batch is not None and _ONE_BAD_CODE.search(text):
            return "batch-refused", _suspects(batch, text)
        code, advice = "request-failed", _ADVICE.get(ret_type, "")
        for cause in _CAUSES:
            if cause.pattern.search(text):
                code, advice = cause.code, cause.advice
                break
        if ret_type == _TIMED_OUT:
            code = "gateway-timeout"
        if code == "gateway-timeout" and message.proto_id in TRADE_WRITES:
            operation = None if message.request is None else self._operations.get(message.request)
            advice += may_have_happened(message.proto_id, operation)
        if code == "rate-limited":
            refusal = self._rates.refused(message, text)
            if refusal is not None:
                limit = f", its limit is {refusal.limit} ({refusal.source})" if refusal.limit else ""
                advice = f"{refusal.in_window} such requests came in the 30 s before{limit}; {advice}"
        return code, advice

    def _held_elsewhere(self, message: Message) -> None:
        if self._told_holders:
            return
        self._told_holders = True  # once: it looks at all slots
        held = self._ledger.held_elsewhere(self._context)
        if not held:
            return
        most = sorted(held.items(), key=lambda item: -item[1])[:_NAMED]
        names = ", ".join(f"connection {ordinal} holds {count}" for ordinal, count in most)
        text = (
            f"{name_of(message)} found the quota used up, while {names} slots: a slot is free when all connections "
            "dropped it, a minute after subscribing at the earliest"
        )
        self._context.report("warning", "quota-held-by-other-connection", message, text, "quota")


def may_have_happened(proto_id: int, operation: int | None = None) -> str:
    """Returns what to think of a trade request without a clear answer; `operation` is its ModifyOrderOp."""
    if proto_id != TRD_MODIFY_ORDER:
        return "; the order may have been placed all the same: look it up before sending it again"
    names = schema.enum_names(schema.enum_descriptor("Trd_Common.ModifyOrderOp"), "sdk")
    words = {1: "change", 2: "cancellation", 3: "disabling", 4: "enabling", 5: "deletion"}
    what = words.get(operation or 0) or (f"operation {names.get(operation, operation)}" if operation else "change")
    return f"; the {what} may have been made all the same: look at the order before repeating it"


def _suspects(codes: list[str], text: str) -> str:
    named = [code for code in codes if code.strip('"') and code.strip('"') in text]
    if named:
        return (
            f"one code fails the whole list of {len(codes)}: the text names {', '.join(named[:_NAMED])}; leave it out"
        )
    shown = ", ".join(codes[:_NAMED]) + (f" and {len(codes) - _NAMED} more" if len(codes) > _NAMED else "")
    return f"one code fails the whole list: ask for {shown} in halves to find it"
