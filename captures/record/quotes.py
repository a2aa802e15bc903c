"""Quote answers and pushes of the mock gateway: made-up prices of real codes."""

from __future__ import annotations

import base64
import random
from datetime import datetime, timedelta
from typing import Any

from . import vendor
from .gateway import Answerer, Connection, Push, Refusal, Reply

SUB, REG_PUSH, SUB_INFO = 3001, 3002, 3003
GET_QUOTE, PUSH_QUOTE, GET_KLINE, PUSH_KLINE = 3004, 3005, 3006, 3007
GET_TIMESHARE, PUSH_TIMESHARE, GET_TICKER, PUSH_TICKER = 3008, 3009, 3010, 3011
GET_ORDER_BOOK, PUSH_ORDER_BOOK, GET_BROKERS, PUSH_BROKERS = 3012, 3013, 3014, 3015
PUSH_REMINDER, HISTORY_KLINE, HISTORY_QUOTA = 3019, 3103, 3104
STATIC_INFO, SNAPSHOT, TRADE_DATES, SET_REMINDER, MARKET_STATE = 3202, 3203, 3219, 3220, 3223

DAY = datetime(2026, 11, 20, 9, 30)
NAMES = {"00700": "騰訊控股", "AAPL": "Apple", "09988": "阿里巴巴-W"}
QUOTA = 100

Security = dict[str, Any]
Body = dict[str, Any]


def security(of: Any) -> Security:
    """The security of a request, for the answer."""
    return {"market": of.market, "code": of.code}


HK_TENCENT: Security = {"market": 1, "code": "00700"}
US_APPLE: Security = {"market": 11, "code": "AAPL"}


def name_of(stock: Security) -> str:
    return NAMES.get(stock["code"], f"Stock {stock['code']}")


def dice(*seed: object) -> random.Random:
    """Random numbers that follow from their purpose: a repeated recording has the same prices."""
    return random.Random("|".join(map(str, seed)))


def head(stock: Security) -> Body:
    return {"security": stock, "name": name_of(stock)}


def basic(stock: Security, turn: int = 0) -> Body:
    roll = dice("basic", stock["code"], turn)
    price = round(80 + roll.random() * 300, 2)
    body = head(stock) | {
        "isSuspended": False,
        "listTime": "2004-06-16",
        "priceSpread": 0.2,
        "updateTime": str(DAY + timedelta(seconds=turn)),
        "highPrice": round(price * 1.02, 3),
        "openPrice": price,
        "lowPrice": round(price * 0.98, 3),
        "curPrice": price,
        "lastClosePrice": round(price * 0.995, 3),
        "volume": roll.randrange(10**6, 10**7),
        "turnover": round(roll.random() * 1e10, 2),
        "turnoverRate": round(roll.random(), 3),
        "amplitude": round(roll.random() * 5, 3),
        "darkStatus": 0,
        "listTimestamp": 1087344000.0,
        "updateTimestamp": (DAY + timedelta(seconds=turn)).timestamp(),
        "secStatus": vendor.module("Qot_Common").SecurityStatus_Normal,
    }
    if stock["market"] == US_APPLE["market"]:
        body["preMarket"] = body["afterMarket"] = {"price": price, "volume": 12000, "changeRate": -0.35}
    return body


def kline(stock: Security, at: datetime, step: timedelta) -> Body:
    roll = dice("kline", stock["code"], at)
    price = round(100 + roll.random() * 20, 2)
    return {
        "time": str(at),
        "isBlank": False,
        "highPrice": round(price * 1.01, 3),
        "openPrice": price,
        "lowPrice": round(price * 0.99, 3),
        "closePrice": round(price * (0.99 + roll.random() * 0.02), 3),
        "lastClosePrice": round(price * 0.998, 3),
        "volume": roll.randrange(10**5, 10**7),
        "turnover": round(roll.random() * 1e9, 2),
        "turnoverRate": round(roll.random() / 100, 5),
        "pe": 21.7,
        "changeRate": round(roll.random() * 2 - 1, 3),
        "timestamp": (at + step).timestamp(),
    }


def klines(stock: Security, count: int, first: datetime = DAY) -> list[Body]:
    step = timedelta(minutes=1)
    return [kline(stock, first + at * step, step) for at in range(count)]


def timeshare(stock: Security, minute: int) -> Body:
    roll = dice("rt", stock["code"], minute)
    price = round(100 + roll.random() * 5, 2)
    return {
        "time": str(DAY + timedelta(minutes=minute)),
        "minute": 570 + minute,
        "isBlank": False,
        "price": price,
        "lastClosePrice": 101.0,
        "avgPrice": round(price * 0.999, 4),
        "volume": roll.randrange(1000, 90000),
        "turnover": round(price * 1000, 2),
        "timestamp": (DAY + timedelta(minutes=minute)).timestamp(),
    }


def ticker(stock: Security, at: int) -> Body:
    roll = dice("ticker", stock["code"], at)
    price, volume = round(100 + roll.random(), 2), roll.randrange(1, 50) * 100
    return {
        "time": str(DAY + timedelta(seconds=at)),
        "sequence": 7000000000000000000 + at,  # an int64 that no double can hold
        "dir": 1 + at % 3,
        "price": price,
        "volume": volume,
        "turnover": round(price * volume, 2),
        "recvTime": (DAY + timedelta(seconds=at)).timestamp() + 0.25,
        "type": vendor.module("Qot_Common").TickerType_Automatch,
        "typeSign": ord(" "),
        "pushDataType": vendor.module("Qot_Common").PushDataType_Realtime,
        "timestamp": (DAY + timedelta(seconds=at)).timestamp(),
    }


def order_book(stock: Security, turn: int = 0) -> Body:
    def side(sign: int) -> list[Body]:
        roll = dice("book", stock["code"], turn, sign)
        return [
            {
                "price": round(100 + sign * 0.2 * (level + 1), 2),
                "volume": roll.randrange(100, 90000, 100),
                "orederCount": 2,
                "detailList": [{"orderID": 1 + roll.randrange(10**12), "volume": 100} for _ in range(2)],
            }
            for level in range(10)
        ]

    return head(stock) | {
        "orderBookAskList": side(1),
        "orderBookBidList": side(-1),
        "svrRecvTimeBid": str(DAY + timedelta(seconds=turn)),
        "svrRecvTimeBidTimestamp": (DAY + timedelta(seconds=turn)).timestamp(),
    }


def brokers(stock: Security, turn: int = 0) -> Body:
    def side(start: int) -> list[Body]:
        return [{"id": start + at, "name": f"Broker {start + at}", "pos": 1 + at} for at in range(5)]

    return head(stock) | {"brokerAskList": side(5000 + turn), "brokerBidList": side(6000 + turn)}


def push_quote(stock: Security, turn: int) -> Push:
    return PUSH_QUOTE, {"basicQotList": [basic(stock, turn)]}


def push_kline(stock: Security, turn: int) -> Push:
    common = vendor.module("Qot_Common")
    body = head(stock) | {"rehabType": common.RehabType_Forward, "klType": common.KLType_1Min}
    return PUSH_KLINE, body | {"klList": klines(stock, 1, DAY + timedelta(minutes=turn))}


def push_timeshare(stock: Security, turn: int) -> Push:
    return PUSH_TIMESHARE, head(stock) | {"rtList": [timeshare(stock, turn)]}


def push_ticker(stock: Security, turn: int) -> Push:
    return PUSH_TICKER, head(stock) | {"tickerList": [ticker(stock, 5 * turn + at) for at in range(5)]}


def push_order_book(stock: Security, turn: int) -> Push:
    return PUSH_ORDER_BOOK, order_book(stock, turn)


def push_brokers(stock: Security, turn: int) -> Push:
    return PUSH_BROKERS, brokers(stock, turn)


def push_reminder(stock: Security, key: int) -> Push:
    common = vendor.module("Qot_Common")
    body = head(stock) | {
        "price": 120.5,
        "changeRate": 2.5,
        "marketStatus": common.PriceReminderMarketStatus_Open,
        "content": "The price rose to 120.500",
        "note": "sell a third",
        "key": key,
        "type": common.PriceReminderType_PriceUp,
        "setValue": 120.0,
        "curValue": 120.5,
    }
    return PUSH_REMINDER, body


PUSHES = (push_quote, push_order_book, push_ticker, push_timeshare, push_kline, push_brokers)


def every_push(stock: Security, turn: int) -> list[Push]:
    """One push of each subscription type."""
    return [make(stock, turn) for make in PUSHES]


def answer_sub(_: Connection, request: Any) -> Reply | Refusal:
    """Subscribe or unsubscribe; a first push comes with the answer when it is asked for."""
    c2s = request.c2s
    if len(c2s.securityList) * len(c2s.subTypeList) > QUOTA:
        return Refusal("The subscription quota is used up: 100 of 100, please unsubscribe something first")
    if c2s.isUnsubAll or not c2s.isSubOrUnSub or not c2s.isFirstPush:
        return Reply({})
    return Reply({}, after=[push_quote(security(stock), 0) for stock in c2s.securityList])


def answer_sub_info(_: Connection, request: Any) -> Reply:
    common = vendor.module("Qot_Common")
    subscribed = [
        {"subType": common.SubType_Basic, "securityList": [HK_TENCENT, US_APPLE]},
        {"subType": common.SubType_KL_1Min, "securityList": [HK_TENCENT]},
    ]
    own = {"subInfoList": subscribed, "usedQuota": 3, "isOwnConnData": True}
    other = {"subInfoList": subscribed[:1], "usedQuota": 2, "isOwnConnData": False}
    return Reply({"connSubInfoList": [own, other], "totalUsedQuota": 5, "remainQuota": QUOTA - 5})


def answer_history(_: Connection, request: Any) -> Reply | Refusal:
    """One page of history K-lines; the key of the next page is bytes that only the gateway understands."""
    c2s = request.c2s
    if c2s.security.code == "99999":
        return Refusal("Unknown stock 99999")
    pages, size = 3, c2s.maxAckKLNum or 120
    page = c2s.nextReqKey[-1] if c2s.nextReqKey else 0
    stock = security(c2s.security)
    s2c = head(stock) | {"klList": klines(stock, size, DAY + timedelta(minutes=page * size))}
    if page + 1 < pages:
        s2c["nextReqKey"] = base64.b64encode(b"page\x00\xff" + bytes([page + 1])).decode()
    return Reply(s2c)


def snapshot(stock: Security) -> Body:
    roll = dice("snapshot", stock["code"])
    price = round(roll.random() * 400, 3)
    return {
        "basic": head(stock)
        | {
            "type": vendor.module("Qot_Common").SecurityType_Eqty,
            "isSuspend": False,
            "listTime": "2010-01-04",
            "lotSize": 100,
            "priceSpread": 0.05,
            "updateTime": str(DAY),
            "highPrice": price,
            "openPrice": price,
            "lowPrice": price,
            "lastClosePrice": price,
            "curPrice": price,
            "volume": roll.randrange(10**8),
            "turnover": round(price * 1e6, 2),
            "turnoverRate": 0.125,
            "enableShortSell": False,
        }
    }


def static_info(stock: Security, at: int) -> Body:
    common = vendor.module("Qot_Common")
    basic_part = {
        "security": stock,
        "id": 80000000000000 + at,
        "lotSize": 100,
        "secType": common.SecurityType_Eqty,
        "name": name_of(stock),
        "listTime": "2004-06-16",
        "delisting": False,
        "listTimestamp": 1087344000.0,
        "exchType": common.ExchType_HK_MainBoard,
    }
    return {"basic": basic_part}


def _each(key: str, make: Any) -> Answerer:
    """An answer that lists one item for every security of the request."""
    return lambda _, request: Reply({key: [make(security(stock)) for stock in request.c2s.securityList]})


def _one(make: Any) -> Answerer:
    """An answer about the one security of the request."""
    return lambda _, request: Reply(make(security(request.c2s.security)))


def _trade_dates(_: Connection, request: Any) -> Reply:
    days = (DAY + timedelta(days=at) for at in range(-20, 0))
    dates = [
        {"time": f"{day:%Y-%m-%d}", "timestamp": day.timestamp(), "tradeDateType": 0}
        for day in days
        if day.weekday() < 5
    ]
    return Reply({"tradeDateList": dates})


def _market_state(stock: Security) -> Body:
    state = vendor.module("Qot_Common").QotMarketState_Afternoon
    return {"security": stock, "name": name_of(stock), "marketState": state}


def answers() -> dict[int, Answerer]:
    """How each quote request is answered."""
    return {
        SUB: answer_sub,
        REG_PUSH: lambda _, request: Reply({}),
        SUB_INFO: answer_sub_info,
        GET_QUOTE: _each("basicQotList", basic),
        GET_KLINE: lambda _, request: Reply(
            head(security(request.c2s.security))
            | {"klList": klines(security(request.c2s.security), request.c2s.reqNum)}
        ),
        GET_TIMESHARE: _one(lambda stock: head(stock) | {"rtList": [timeshare(stock, at) for at in range(30)]}),
        GET_TICKER: _one(lambda stock: head(stock) | {"tickerList": [ticker(stock, at) for at in range(20)]}),
        GET_ORDER_BOOK: _one(order_book),
        GET_BROKERS: _one(brokers),
        HISTORY_KLINE: answer_history,
        HISTORY_QUOTA: lambda _, request: Reply(
            {
                "usedQuota": 1,
                "remainQuota": 99,
                "detailList": [{"security": HK_TENCENT, "requestTime": str(DAY), "requestTimeStamp": 1795167000}],
            }
        ),
        STATIC_INFO: lambda _, request: Reply(
            {"staticInfoList": [static_info(security(stock), at) for at, stock in enumerate(request.c2s.securityList)]}
        ),
        SNAPSHOT: _each("snapshotList", snapshot),
        TRADE_DATES: _trade_dates,
        SET_REMINDER: lambda _, request: Reply({"key": 1791000000000000123}),
        MARKET_STATE: _each("marketInfoList", _market_state),
    }
