"""Answers about the gateway itself: state, user, verification, delays."""

from __future__ import annotations

from typing import Any

from . import vendor
from .gateway import LOGIN_USER_ID, SERVER_VERSION, Answerer, Connection, Reply
from .quotes import DAY

GET_GLOBAL_STATE, GET_USER_INFO, VERIFICATION, GET_DELAYS = 1002, 1005, 1006, 1007


def answers() -> dict[int, Answerer]:
    """How each request about the gateway itself is answered."""
    return {
        GET_GLOBAL_STATE: _global_state,
        GET_USER_INFO: _user_info,
        VERIFICATION: lambda _, request: Reply({}),
        GET_DELAYS: _delays,
    }


def _global_state(_: Connection, request: Any) -> Reply:
    state = vendor.module("Qot_Common")
    s2c = {
        "marketHK": state.QotMarketState_Afternoon,
        "marketUS": state.QotMarketState_Closed,
        "marketSH": state.QotMarketState_Rest,
        "marketSZ": state.QotMarketState_Morning,
        "marketHKFuture": state.QotMarketState_FutureDayOpen,
        "marketUSFuture": state.QotMarketState_FutureOpen,
        "qotLogined": True,
        "trdLogined": True,
        "serverVer": SERVER_VERSION,
        "serverBuildNo": 7108,
        "time": int(DAY.timestamp()),
        "localTime": DAY.timestamp() + 0.125,
        "programStatus": {"type": "ProgramStatusType_Ready", "strExtDesc": ""},
        "qotSvrIpAddr": "192.0.2.10:443",
        "trdSvrIpAddr": "192.0.2.20:443",
    }
    return Reply(s2c)


def _user_info(_: Connection, request: Any) -> Reply:
    s2c = {
        "nickName": "demo user",
        "avatarUrl": "https://avatar.example/0.png",
        "apiLevel": "Lv2",
        "isNeedAgreeDisclaimer": False,
        "userID": LOGIN_USER_ID,
        "updateType": vendor.module("GetUserInfo").UpdateType_Advice,
        "webKey": "demo-web-key",  # a secret on a real gateway
        "subQuota": 300,
        "historyKLQuota": 100,
        "userAttribution": vendor.module("Common").UserAttribution_HK,
    }
    return Reply(s2c)


def _delays(_: Connection, request: Any) -> Reply:
    """The only answer here with 32-bit floats, and with -1 for infinity."""
    delays = vendor.module("GetDelayStatistics")
    items = [
        {"begin": 0, "end": 2, "count": 70, "proportion": 70.1, "cumulativeRatio": 70.1},
        {"begin": 2, "end": -1, "count": 30, "proportion": 29.9, "cumulativeRatio": 100.0},
    ]
    s2c = {
        "qotPushStatisticsList": [
            {"qotPushType": delays.QotPushType_Price, "itemList": items, "delayAvg": 1.7, "count": 100}
        ],
        "reqReplyStatisticsList": [
            {
                "protoID": 3004,
                "count": 3,
                "totalCostAvg": 12.34,
                "openDCostAvg": 0.1,
                "netDelayAvg": 1e-05,
                "isLocalReply": True,
            }
        ],
    }
    return Reply(s2c)
