"""Every Notify (1003) the schema knows: each gateway event, each program status, connection, quote rights, quotas."""

from __future__ import annotations

from typing import Any

from . import vendor
from .gateway import Push

NOTIFY = 1003

EVENT_TEXTS = {
    "LocalCfgLoadFailed": "The local configuration file could not be loaded",
    "APISvrRunFailed": "The API service could not listen on port 11111",
    "ForceUpdate": "This version is no longer supported, please update",
    "LoginFailed": "Login failed: the account or the password is wrong",
    "UnAgreeDisclaimer": "The disclaimer has not been agreed to",
    "NetCfgMissing": "The network configuration is missing",
    "KickedOut": "The account has logged in somewhere else",
    "LoginPwdChanged": "The login password has been changed, log in again",
    "BanLogin": "This account is not allowed to log in",
    "NeedPicVerifyCode": "A graphic verification code is needed",
    "NeedPhoneVerifyCode": "A phone verification code is needed",
    "AppDataNotExist": "Data of the program package is missing",
    "NessaryDataMissing": "Necessary data could not be synchronised",
    "TradePwdChanged": "The trading password has been changed, unlock again",
    "EnableDeviceLock": "Device lock has to be enabled",
}

STATUS_TEXTS = {
    "LoginFailed": "wrong password, 3 attempts left",
    "NeedPhoneVerifyCode": "a code was sent to the number that ends in 00",
    "ForceLogout": "logged out by the server",
}


def event(name: str) -> Push:
    """A GtwEvent push, by the name of the event without its prefix."""
    notify = vendor.module("Notify")
    number = notify.GtwEventType.Value(f"GtwEventType_{name}")
    return NOTIFY, {
        "type": notify.NotifyType_GtwEvent,
        "event": {"eventType": number, "desc": EVENT_TEXTS[name]},
    }


def program_status(name: str) -> Push:
    """A ProgramStatus push; some carry a description, some do not."""
    status: dict[str, Any] = {"type": f"ProgramStatusType_{name}"}
    if name in STATUS_TEXTS:
        status["strExtDesc"] = STATUS_TEXTS[name]
    kind = vendor.module("Notify").NotifyType_ProgramStatus
    return NOTIFY, {"type": kind, "programStatus": {"programStatus": status}}


def connect_status(quote: bool, trade: bool) -> Push:
    kind = vendor.module("Notify").NotifyType_ConnStatus
    return NOTIFY, {"type": kind, "connectStatus": {"qotLogined": quote, "trdLogined": trade}}


def quote_rights() -> Push:
    """A QotRight push in which every field is present and every right occurs."""
    fields = vendor.module("Notify").QotRight.DESCRIPTOR.fields
    rights = vendor.module("Qot_Common").QotRight.values()
    values = {f.name: True if f.cpp_type == f.CPPTYPE_BOOL else rights[at % len(rights)] for at, f in enumerate(fields)}
    return NOTIFY, {"type": vendor.module("Notify").NotifyType_QotRight, "qotRight": values}


def every_event() -> list[Push]:
    return [event(name) for name in EVENT_TEXTS]


def every_status() -> list[Push]:
    names = vendor.module("Common").ProgramStatusType.keys()
    return [program_status(name.removeprefix("ProgramStatusType_")) for name in names]


def others() -> list[Push]:
    """Connection status, quote rights, and the notifications that the specification does not list."""
    notify = vendor.module("Notify")
    return [
        connect_status(quote=True, trade=False),
        connect_status(quote=False, trade=False),
        connect_status(quote=True, trade=True),
        quote_rights(),
        (NOTIFY, {"type": notify.NotifyType_APILevel, "apiLevel": {"apiLevel": "Lv2"}}),
        (NOTIFY, {"type": notify.NotifyType_APIQuota, "apiQuota": {"subQuota": 300, "historyKLQuota": 100}}),
        (NOTIFY, {"type": notify.NotifyType_UsedQuota, "usedQuota": {"usedSubQuota": 14, "usedKLineQuota": 2}}),
    ]
