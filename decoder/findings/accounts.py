"""Compares what requests say about an account with Trd_GetAccList."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder import schema
from decoder.bounded import BoundedDict
from decoder.findings.context import name_of
from decoder.vocabulary import TRD_UNLOCK_TRADE

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.findings.context import Context
    from decoder.message import Message

__all__ = ["AccountChecks"]

_MAX_GATEWAYS = 256
_MAX_ACCOUNTS = 1_024  # of one gateway; a user has a dozen
_EXACT = 2**53
"""Whole numbers above this are rounded where a program keeps them as a double (JavaScript, pandas)."""
_REAL = 1  # Trd_Common.TrdEnv


class _Account(NamedTuple):
    env: int
    firm: int | None
    markets: frozenset[int]


class AccountChecks:
    """Remembers the accounts of each gateway, and judges requests of all connections to it."""

    def __init__(self) -> None:
        self._accounts: BoundedDict[str, dict[int, _Account]] = BoundedDict(_MAX_GATEWAYS)
        self._rounded: BoundedDict[tuple[str, float], int] = BoundedDict(_MAX_GATEWAYS * 16)

    def account_list(self, context: Context, body: ProtobufMessage) -> None:
        """Takes the response Trd_GetAccList."""
        known = self._accounts.get(context.gateway)
        if known is None:
            known = self._accounts[context.gateway] = {}
        for account in body.s2c.accList:  # type: ignore[attr-defined]
            if len(known) < _MAX_ACCOUNTS or account.accID in known:
                firm = account.securityFirm if account.HasField("securityFirm") and account.securityFirm else None
                markets = frozenset(account.trdMarketAuthList)
                self._rounded[context.gateway, float(account.accID)] = account.accID
                known[account.accID] = _Account(account.trdEnv, firm, markets)

    def request(self, context: Context, message: Message, body: ProtobufMessage) -> None:
        """Takes a request that names an account, or (Trd_UnlockTrade) a firm."""
        known = self._accounts.get(context.gateway)
        if not known:
            return
        c2s: Any = body.c2s  # type: ignore[attr-defined]
        if message.proto_id == TRD_UNLOCK_TRADE:
            self._unlock(context, message, c2s, known)
        elif _has_header(c2s.DESCRIPTOR.full_name):
            self._header(context, message, c2s.header, known)

    def _unlock(self, context: Context, message: Message, c2s: Any, known: dict[int, _Account]) -> None:
        firms = {account.firm for account in known.values() if account.env == _REAL and account.firm}
        if not c2s.HasField("securityFirm") or not c2s.securityFirm or not firms or c2s.securityFirm in firms:
            return
        names = ", ".join(sorted(_name("SecurityFirm", firm) for firm in firms if firm))
        asked = _name("SecurityFirm", c2s.securityFirm)
        text = f"{name_of(message)} names the firm {asked}, but the real accounts are with {names}: unlock with that"
        context.report("error", "account-mismatch", message, text, "firm")

    def _header(self, context: Context, message: Message, header: Any, known: dict[int, _Account]) -> None:
        name, account_id = name_of(message), header.accID
        account = known.get(account_id)
        if account is None:
            meant = self._rounded.get((context.gateway, float(account_id))) if account_id > _EXACT else None
            if meant is not None:
                text = (
                    f"{name} names account {account_id}, which is not in Trd_GetAccList, but {meant}: the client keeps "
                    "accID as a double, which rounds above 2^53; keep it as a whole number or text"
                )
                context.report("error", "account-mismatch", message, text, "rounded", account_id)
            return
        if header.trdEnv != account.env:
            asked, has = _name("TrdEnv", header.trdEnv), _name("TrdEnv", account.env)
            text = f"{name} says trdEnv {asked} for account {account_id}, which is {has} by Trd_GetAccList: use that"
            context.report("error", "account-mismatch", message, text, "env", account_id)
        if account.markets and header.trdMarket and header.trdMarket not in account.markets:
            markets = ", ".join(_name("TrdMarket", market) for market in sorted(account.markets))
            asked = _name("TrdMarket", header.trdMarket)
            text = f"{name} says trdMarket {asked} for account {account_id}, which Trd_GetAccList gives {markets} only"
            context.report("warning", "account-mismatch", message, text, "market", account_id, header.trdMarket)


@cache
def _has_header(full_name: str) -> bool:
    """Returns True for the C2S of a trade request that names an account."""
    field = schema.message_class(full_name).DESCRIPTOR.fields_by_name.get("header")
    header = None if field is None else field.message_type
    return header is not None and header.full_name == "Trd_Common.TrdHeader"


def _name(enum: str, number: int) -> str:
    return str(schema.enum_names(schema.enum_descriptor(f"Trd_Common.{enum}"), "sdk").get(number, number))
