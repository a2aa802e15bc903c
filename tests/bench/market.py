"""What a gateway has to say on a trading day: bodies of the vendor's own message classes, with plausible values.

The classes come from the official SDK (futu-api), so the decoder under test has no part in what it is tested with.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

HONG_KONG, NEW_YORK = 1, 11
INSTRUMENTS = 64
BARS = 1000

Push = tuple[int, bytes]
"""Protocol id and body."""
Exchange = tuple[int, bytes, bytes, int]
"""Protocol id, bodies of the request and the response, and the response's retType."""

_NAMES = (
    "腾讯控股",
    "Apple",
    "美团-W",
    "NVIDIA",
    "小米集团-W",
    "Tesla",
    "汇丰控股",
    "Alphabet-C",
    "比亚迪股份",
    "Ford Motor",
)
_BROKERS = (
    "Goldman Sachs",
    "富途证券",
    "UBS",
    "中银国际",
    "Morgan Stanley",
    "HSBC",
    "J.P. Morgan",
    "Optiver",
    "Barclays",
)
_ACCOUNT = 281_756_455_900_001_234
_SUCCESS, _ERROR = 0, -1
_TOO_OFTEN = 0.02
"""Share of the quote requests that the gateway turns down."""


@cache
def _vendor(name: str) -> Any:
    return importlib.import_module(f"futu.common.pb.{name}_pb2")


def _answer(name: str) -> Any:
    return _vendor(name).Response(retType=_SUCCESS, retMsg="", errCode=0)


def _clock(now_us: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now_us // 1_000_000 + 8 * 3600))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field of protobuf's wire format."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


class Instrument:
    """A security, its price, and the messages about it, which a tick changes in a few fields as the exchange would."""

    def __init__(self, random: Random, index: int) -> None:
        if index % 2 == 0:
            self.market, self.code = HONG_KONG, f"{random.randrange(1, 10_000):05d}"
        else:
            self.market = NEW_YORK
            self.code = "".join(random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=random.randint(1, 4)))
        self.name = _NAMES[index % len(_NAMES)]
        self.price = round(random.uniform(5, 500), 2)
        self.book = self._book(random)
        self.quote = _answer("Qot_UpdateBasicQot")
        self._fill_quote(random, self.quote.s2c.basicQotList.add())
        self.candle = _answer("Qot_UpdateKL")
        self.candle.s2c.rehabType = self.candle.s2c.klType = 1
        self.identify(self.candle.s2c)
        self.fill_bar(random, self.candle.s2c.klList.add(), 0)
        self.queue = self._queue(random)
        self.bars = [self._bar(random, minute) for minute in range(BARS)]
        """Serialized history, as the elements of ``klList``: building them anew for each answer would take too long."""

    def identify(self, body: Any) -> None:
        """Fill ``security`` and ``name``."""
        body.security.market, body.security.code, body.name = self.market, self.code, self.name

    def _book(self, random: Random) -> Any:
        book = _answer("Qot_UpdateOrderBook")
        self.identify(book.s2c)
        book.s2c.orderBookType = 0
        for step in range(1, 11):
            for side, sign in ((book.s2c.orderBookAskList, 1), (book.s2c.orderBookBidList, -1)):
                volume = random.randrange(1, 200) * 100
                price = round(self.price + sign * step / 100, 3)
                side.add(price=price, volume=volume, orederCount=random.randrange(1, 60), hpVolume=volume)
        return book

    def _fill_quote(self, random: Random, quote: Any) -> None:
        price = self.price
        self.identify(quote)
        quote.isSuspended, quote.listTime, quote.priceSpread = False, "2010-06-29", 0.01
        quote.updateTime, quote.updateTimestamp = "2023-11-15 09:30:00", 1_700_011_800.0
        quote.openPrice, quote.curPrice, quote.lastClosePrice = price, price, round(price - 0.3, 3)
        quote.highPrice, quote.lowPrice = price + 1, price - 1
        quote.volume, quote.turnover = random.randrange(10_000_000), random.uniform(1e6, 1e9)
        quote.turnoverRate, quote.amplitude, quote.hpVolume = 0.127, 2.2, 1e6
        quote.darkStatus, quote.secStatus, quote.listTimestamp = 0, 1, 1_277_769_600.0

    def fill_bar(self, random: Random, bar: Any, minute: int) -> None:
        """A bar of the chart, so many minutes after it begins."""
        price = self.price
        bar.time = f"2023-11-{1 + minute // 390:02d} {9 + minute // 60 % 7:02d}:{minute % 60:02d}:00"
        bar.isBlank, bar.timestamp = False, 1_698_800_000.0 + 60 * minute
        bar.openPrice, bar.closePrice = price, round(price + random.uniform(-0.5, 0.5), 3)
        bar.highPrice, bar.lowPrice, bar.lastClosePrice = price + 0.5, price - 0.5, price
        bar.volume, bar.turnover = random.randrange(1, 1_000_000), random.uniform(1e4, 1e8)
        bar.turnoverRate, bar.pe, bar.changeRate = random.random(), 20.5, random.uniform(-3, 3)
        bar.hpVolume = bar.volume

    def _bar(self, random: Random, minute: int) -> bytes:
        bar = _vendor("Qot_Common").KLine()
        self.fill_bar(random, bar, minute)
        return _field(2, bar.SerializeToString())

    def _queue(self, random: Random) -> Any:
        queue = _answer("Qot_UpdateBroker")
        self.identify(queue.s2c)
        for place in range(1, random.randint(10, 40) + 1):
            for side in (queue.s2c.brokerAskList, queue.s2c.brokerBidList):
                side.add(id=random.randrange(1_000, 10_000), name=random.choice(_BROKERS), pos=place)
        return queue


class Market:
    """The instruments, and what is pushed and answered about them.

    A method that makes a push takes the time in microseconds; one that makes an exchange takes the connection's id and
    the serial number of the request too.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._instruments = [Instrument(random, index) for index in range(INSTRUMENTS)]
        self._sequence = 7_300_000_000_000_000_000
        self._order = 7_000_000_000_000
        self.pushes: list[tuple[float, Callable[[int], Push]]] = [
            (34, self.ticker),
            (30, self.order_book),
            (10, self.quote),
            (7, self.candle),
            (4, self.broker_queue),
        ]
        """Kinds of push with their share of a day's messages, in percent."""
        self.exchanges: list[tuple[float, Callable[[int, int, int], Exchange]]] = [
            (2.5, self.get_quotes),
            (2.0, self.get_order_book),
            (0.5, self.get_candles),
            (1.5, self.keep_alive),
        ]
        """Kinds of request with their share; each makes two messages."""

    def _pick(self) -> Instrument:
        return self._random.choice(self._instruments)

    # Pushes

    def ticker(self, now_us: int) -> Push:
        """One to five deals."""
        random, instrument = self._random, self._pick()
        push = _answer("Qot_UpdateTicker")
        instrument.identify(push.s2c)
        for _ in range(1 if random.random() < 0.7 else random.randint(2, 5)):
            self._sequence += random.randint(1, 8)
            instrument.price = round(max(instrument.price + random.choice((-0.02, -0.01, 0, 0.01, 0.02)), 1), 3)
            volume, seconds = random.randrange(1, 50) * 100, now_us / 1e6
            deal = push.s2c.tickerList.add(time=_clock(now_us), sequence=self._sequence, dir=random.randint(1, 3))
            deal.price, deal.volume, deal.turnover = instrument.price, volume, volume * instrument.price
            deal.type, deal.typeSign, deal.pushDataType, deal.hpVolume = 1, 32, 1, volume
            deal.recvTime = deal.timestamp = seconds
        return 3011, push.SerializeToString()

    def order_book(self, now_us: int) -> Push:
        """Ten levels on each side, three of them new."""
        random, book = self._random, self._pick().book
        for _ in range(3):
            level = random.choice(random.choice((book.s2c.orderBookAskList, book.s2c.orderBookBidList)))
            level.volume = random.randrange(1, 300) * 100
            level.hpVolume, level.orederCount = level.volume, random.randrange(1, 80)
        book.s2c.svrRecvTimeBid = book.s2c.svrRecvTimeAsk = f"{_clock(now_us)}.{now_us // 1000 % 1000:03d}"
        book.s2c.svrRecvTimeBidTimestamp = book.s2c.svrRecvTimeAskTimestamp = now_us / 1e6
        return 3013, book.SerializeToString()

    def quote(self, now_us: int) -> Push:
        """The state of an instrument."""
        instrument = self._pick()
        quote = instrument.quote.s2c.basicQotList[0]
        quote.curPrice = instrument.price
        quote.volume += 100
        quote.turnover += 100 * instrument.price
        quote.updateTime, quote.updateTimestamp = _clock(now_us), now_us / 1e6
        return 3005, instrument.quote.SerializeToString()

    def candle(self, now_us: int) -> Push:
        """The bar of this minute so far."""
        instrument = self._pick()
        bar = instrument.candle.s2c.klList[0]
        bar.closePrice, bar.time = instrument.price, _clock(now_us)
        bar.volume += 100
        return 3007, instrument.candle.SerializeToString()

    def broker_queue(self, now_us: int) -> Push:
        """Brokers at the best prices: 10 to 40 on each side."""
        queue = self._pick().queue
        self._random.choice(queue.s2c.brokerAskList).id = self._random.randrange(1_000, 10_000)
        return 3015, queue.SerializeToString()

    # Exchanges

    def get_quotes(self, now_us: int, conn_id: int, serial: int) -> Exchange:
        """State of one to five instruments, or a refusal."""
        request, response = _vendor("Qot_GetBasicQot").Request(), _answer("Qot_GetBasicQot")
        for instrument in self._random.sample(self._instruments, self._random.randint(1, 5)):
            request.c2s.securityList.add(market=instrument.market, code=instrument.code)
            response.s2c.basicQotList.append(instrument.quote.s2c.basicQotList[0])
        if self._random.random() < _TOO_OFTEN:
            response = type(response)(retType=_ERROR, retMsg="请求过于频繁", errCode=0)
        return 3004, request.SerializeToString(), response.SerializeToString(), response.retType

    def get_order_book(self, now_us: int, conn_id: int, serial: int) -> Exchange:
        """The order book on demand."""
        instrument = self._pick()
        request, response = _vendor("Qot_GetOrderBook").Request(), _answer("Qot_GetOrderBook")
        request.c2s.security.market, request.c2s.security.code = instrument.market, instrument.code
        request.c2s.num = 10
        instrument.identify(response.s2c)
        response.s2c.orderBookAskList.extend(instrument.book.s2c.orderBookAskList)
        response.s2c.orderBookBidList.extend(instrument.book.s2c.orderBookBidList)
        return 3012, request.SerializeToString(), response.SerializeToString(), _SUCCESS

    def get_candles(self, now_us: int, conn_id: int, serial: int) -> Exchange:
        """Up to a thousand bars: 110 KB, many segments."""
        random, instrument = self._random, self._pick()
        wanted = BARS if random.random() < 0.2 else random.randrange(1, 400)
        first = random.randint(0, BARS - wanted)
        vendor = _vendor("Qot_GetKL")
        request, body = vendor.Request(), vendor.S2C()
        request.c2s.rehabType, request.c2s.klType, request.c2s.reqNum = 1, 1, wanted
        request.c2s.security.market, request.c2s.security.code = instrument.market, instrument.code
        instrument.identify(body)
        s2c = body.SerializePartialToString() + b"".join(instrument.bars[first : first + wanted])
        response = _answer("Qot_GetKL").SerializeToString() + _field(4, s2c)
        return 3006, request.SerializeToString(), response, _SUCCESS

    def keep_alive(self, now_us: int, conn_id: int, serial: int) -> Exchange:
        """A heartbeat."""
        request, response = _vendor("KeepAlive").Request(), _answer("KeepAlive")
        request.c2s.time = response.s2c.time = now_us // 1_000_000
        return 1004, request.SerializeToString(), response.SerializeToString(), _SUCCESS

    def order(self, now_us: int, conn_id: int, serial: int) -> tuple[Exchange, Push]:
        """A new order, or now and then a change of one, and the push about its new state."""
        instrument, place = self._pick(), self._random.random() < 0.7
        name, proto_id = ("Trd_PlaceOrder", 2202) if place else ("Trd_ModifyOrder", 2205)
        request, response = _vendor(name).Request(), _answer(name)
        self._order += place
        order_id, price = self._order, instrument.price
        c2s = request.c2s
        c2s.packetID.connID, c2s.packetID.serialNo = conn_id, serial
        c2s.header.trdEnv, c2s.header.accID, c2s.header.trdMarket = 1, _ACCOUNT, 1
        c2s.price = price
        if place:
            c2s.trdSide, c2s.orderType, c2s.code, c2s.qty, c2s.secMarket = 1, 1, instrument.code, 100, 1
        else:
            c2s.orderID, c2s.modifyOrderOp, c2s.qty = order_id, 1, 200
        response.s2c.header.CopyFrom(c2s.header)
        response.s2c.orderID, response.s2c.orderIDEx = order_id, f"FT{order_id}"
        update = _answer("Trd_UpdateOrder")
        update.s2c.header.CopyFrom(c2s.header)
        order = update.s2c.order
        order.trdSide, order.orderType, order.orderStatus, order.secMarket = 1, 1, 5, 1
        order.orderID, order.orderIDEx = order_id, f"FT{order_id}"
        order.code, order.name, order.qty, order.price = instrument.code, instrument.name, c2s.qty, price
        order.fillQty = order.fillAvgPrice = 0
        order.createTime = order.updateTime = _clock(now_us)
        order.createTimestamp = order.updateTimestamp = now_us / 1e6
        exchange = (proto_id, request.SerializeToString(), response.SerializeToString(), _SUCCESS)
        return exchange, (2208, update.SerializeToString())
