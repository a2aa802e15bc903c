"""What client and gateway do in each recording."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import futu
from futu.common import constant, sys_config

from . import notices, quotes, sdk, trading
from .gateway import Answerer, Gateway, Profile, Refusal, Reply
from .quotes import HK_TENCENT, US_APPLE

PORT = 11111
DEMO_KEY = Path(__file__).parent.parent / "demo_rsa_key.pem"
SAMPLE_KEY = Path(sys_config.__file__).parent / "conn_key.txt"  # the public sample key that futu-api brings along
CODES = ["HK.00700", "US.AAPL"]
TYPES = [futu.SubType.QUOTE, futu.SubType.ORDER_BOOK, futu.SubType.TICKER, futu.SubType.RT_DATA, futu.SubType.K_1M]


@dataclass
class Stage:
    """What a session plays with."""

    gateway: Gateway
    desk: trading.Desk
    host: str
    start_capture: Callable[[], None]

    def encrypt(self, algorithm: str, key_file: Path = DEMO_KEY) -> None:
        """All connections from now on are encrypted; at the SDK that switch holds for those that are open, too."""
        self.set_key(key_file, algorithm)
        futu.SysConfig.enable_proto_encrypt(True)

    def set_key(self, key_file: Path, algorithm: str = "None", **profile: Any) -> None:
        """Give both ends a key; the gateway will answer the next connections in the algorithm."""
        futu.SysConfig.set_init_rsa_file(str(key_file))
        self.gateway.profile = Profile(key_file, algorithm, **profile)

    def quote_context(self, **options: Any) -> futu.OpenQuoteContext:
        context = futu.OpenQuoteContext(self.host, PORT, **options)
        context._query_timeout = sdk.QUERY_TIMEOUT
        return context

    def trade_context(self, **options: Any) -> futu.OpenSecTradeContext:
        context = futu.OpenSecTradeContext(futu.TrdMarket.HK, self.host, PORT, **options)
        context._query_timeout = sdk.QUERY_TIMEOUT
        return context

    def instead(self, proto_id: int, answerer: Answerer, call: Callable[[], Any]) -> None:
        """Make a call that the gateway answers in another way, and that must therefore fail."""
        usual = self.gateway.override(proto_id, answerer)
        sdk.expect(call(), futu.RET_ERROR)
        self.gateway.override(proto_id, usual)


def settle() -> None:
    """Let what is under way arrive before the next step."""
    time.sleep(0.15)


def notifications(stage: Stage) -> None:
    """All Notify pushes: some alone, some in one segment, one with its header cut in two."""
    connection = stage.gateway.last
    for push in notices.every_status():
        connection.push(push)
    connection.push(*notices.every_event())
    for at, push in enumerate(notices.others()):
        connection.push(push, split_at=20 if at == 3 else None)
    settle()


def account(context: futu.OpenQuoteContext) -> None:
    """The gateway's own affairs; the phone code that is handed in and the web key that comes back are secrets."""
    phone, op = futu.VerificationType.PHONE, futu.VerificationOp
    sdk.expect(context.verification(phone, op.REQUEST))
    sdk.expect(context.verification(phone, op.INPUT_AND_LOGIN, "135790"))
    field = constant.UserInfoField
    sdk.expect(context.get_user_info([field.BASIC, field.API, field.WEBKEY]))
    kinds, stage = futu.DelayStatisticsType.ALL[:2], futu.QotPushStage.SR2_CS
    sdk.expect(context.get_delay_statistics(kinds, stage, [2, -1]))


def quoting(stage: Stage, context: futu.OpenQuoteContext) -> None:
    """Subscriptions, one query of each kind, and a few rounds of pushes."""
    connection = stage.gateway.last
    sdk.expect(context.subscribe(CODES, TYPES, subscribe_push=True))
    sdk.expect(context.subscribe(CODES[:1], [futu.SubType.BROKER], is_first_push=False))
    for turn in range(3):
        for push in quotes.every_push(HK_TENCENT, turn):
            connection.push(push)
        connection.push(*quotes.every_push(US_APPLE, turn)[:5])
    connection.push(*quotes.every_push(HK_TENCENT, 3), split_at=1200)
    sdk.expect(context.query_subscription())
    sdk.expect(context.get_stock_quote(CODES))
    sdk.expect(context.get_cur_kline("HK.00700", 30, futu.KLType.K_1M))
    sdk.expect(context.get_rt_data("HK.00700"))
    sdk.expect(context.get_rt_ticker("HK.00700", 20))
    sdk.expect(context.get_order_book("HK.00700", 10))
    sdk.expect(context.get_broker_queue("HK.00700")[:2])
    sdk.expect(context.get_market_state(CODES))
    sdk.expect(context.request_trading_days(futu.TradeDateMarket.HK, "2026-11-01", "2026-11-20"))
    settle()


def codes(count: int) -> list[str]:
    return [f"HK.{number:05d}" for number in range(1, count + 1)]


def bulk(context: futu.OpenQuoteContext, bars: int = 100, stocks: int = 40) -> None:
    """Messages that need several segments."""
    page = None
    for _ in range(3):
        ret, data, page = context.request_history_kline("HK.00700", max_count=bars, page_req_key=page, ktype="K_1M")
        sdk.expect((ret, data))
    sdk.expect(context.get_history_kl_quota(get_detail=True))
    sdk.expect(context.get_stock_basicinfo(futu.Market.HK, code_list=codes(stocks)))
    sdk.expect(context.get_market_snapshot(codes(stocks)))


def reminders(stage: Stage, context: futu.OpenQuoteContext) -> None:
    kind, often = futu.PriceReminderType.PRICE_UP, futu.PriceReminderFreq.ALWAYS
    add = futu.SetPriceReminderOp.ADD
    key = sdk.expect(context.set_price_reminder("HK.00700", add, None, kind, often, 120.0, "sell a third"))
    stage.gateway.last.push(quotes.push_reminder(HK_TENCENT, key))
    settle()


def quote_failures(stage: Stage, context: futu.OpenQuoteContext) -> None:
    """Quota, rate limit (a request of several segments), unknown stock, a request without an answer, a late one."""
    failed = futu.RET_ERROR
    sdk.expect(context.subscribe(codes(60), [futu.SubType.QUOTE, futu.SubType.TICKER]), failed)
    sdk.expect(context.request_history_kline("HK.99999", ktype="K_1M")[:2], failed)
    limit = Refusal("Request too frequent: get snapshot allows at most 60 requests in 30 seconds", err_code=5)
    stage.instead(quotes.SNAPSHOT, lambda *_: limit, lambda: context.get_market_snapshot(codes(400)))
    chinese = Refusal("请求频率太高,获取股票快照接口每30秒最多60次", err_code=5)
    stage.instead(quotes.SNAPSHOT, lambda *_: chinese, lambda: context.get_market_snapshot(CODES))
    server = Refusal("NN_ProtoRet_TimeOut", ret_type=-100)
    stage.instead(quotes.MARKET_STATE, lambda *_: server, lambda: context.get_market_state(CODES))
    stage.instead(quotes.GET_TICKER, lambda *_: None, lambda: context.get_rt_ticker("HK.00700"))
    late = Reply(quotes.order_book(HK_TENCENT, 9), delay=2.5)
    stage.instead(quotes.GET_ORDER_BOOK, lambda *_: late, lambda: context.get_order_book("HK.00700"))
    time.sleep(1.7)


def trade(stage: Stage, **options: Any) -> futu.OpenSecTradeContext:
    """Unlock, look around, then an order that fills, one that is changed and cancelled, and some that fail."""
    context = stage.trade_context(**options)
    connection, desk = stage.gateway.last, stage.desk
    sdk.expect(context.get_acc_list())
    sdk.expect(context.unlock_trade(trading.WRONG_PASSWORD), futu.RET_ERROR)
    sdk.expect(context.unlock_trade(trading.PASSWORD))
    sdk.expect(context.accinfo_query(currency=futu.Currency.HKD))
    sdk.expect(context.position_list_query())
    sdk.expect(context.acctradinginfo_query(futu.OrderType.NORMAL, "HK.00700", 400.2))

    order_id = place(context, 400.2, 300, "fills in two steps")
    connection.push(desk.change(order_id, "Submitted"))
    connection.push(
        desk.fill(order_id, 100.0, 1), desk.change(order_id, "Filled_Part", fillQty=100.0, fillAvgPrice=400.2)
    )
    connection.push(desk.fill(order_id, 200.0, 2))
    connection.push(desk.change(order_id, "Filled_All", fillQty=300.0, fillAvgPrice=400.2))
    settle()

    order_id = place(context, 390.0, 100, "changed, then cancelled")
    connection.push(desk.change(order_id, "WaitingSubmit"), desk.change(order_id, "Submitted"))
    modify = futu.ModifyOrderOp
    sdk.expect(context.modify_order(modify.NORMAL, order_id, 200, 391.0))
    sdk.expect(context.modify_order(modify.CANCEL, order_id, 0, 0))
    settle()

    order_id = place(context, 1.0, 100, "refused by the exchange")
    connection.push(desk.change(order_id, "SubmitFailed", lastErrMsg="The price is too far from the last price"))
    order_id = place(context, 395.0, 100, "times out, then fails")
    connection.push(desk.change(order_id, "TimeOut", lastErrMsg="No answer from the server"))
    connection.push(desk.change(order_id, "Failed", lastErrMsg="The exchange rejected the order"))
    settle()

    buy = futu.TrdSide.BUY
    sdk.expect(context.place_order(10000.0, 1000, "HK.00700", buy, remark="too large"), futu.RET_ERROR)
    sdk.expect(context.modify_order(modify.CANCEL, "FD0", 0, 0), futu.RET_ERROR)
    often = Refusal("Request too frequent: place order allows at most 15 requests in 30 seconds", err_code=5)
    stage.instead(trading.PLACE, lambda *_: often, lambda: context.place_order(400.0, 100, "HK.00700", buy))
    stage.instead(trading.PLACE, lambda *_: None, lambda: context.place_order(401.0, 100, "HK.00700", buy))
    sdk.expect(context.order_list_query())
    sdk.expect(context.deal_list_query())
    sdk.expect(context.order_fee_query([order_id]))
    sdk.expect(context.unlock_trade(is_unlock=False))
    settle()
    return context


def place(context: futu.OpenSecTradeContext, price: float, qty: float, remark: str) -> str:
    table = sdk.expect(context.place_order(price, qty, "HK.00700", futu.TrdSide.BUY, remark=remark))
    return str(table["order_id"][0])


def wait_for_keep_alive() -> None:
    """The SDK sends one after 4/5 of the interval that the gateway asked for."""
    time.sleep(4.5)


def everything(stage: Stage) -> None:
    """The whole programme on a quote connection and a trade connection, up to being kicked out."""
    stage.start_capture()
    context = stage.quote_context()
    sdk.expect(context.get_global_state())
    notifications(stage)
    account(context)
    quoting(stage, context)
    bulk(context)
    reminders(stage, context)
    quote_failures(stage, context)
    quote_connection = stage.gateway.last
    trader = trade(stage)
    wait_for_keep_alive()
    trader.close()
    sdk.expect(context.unsubscribe_all())
    kicked_out(quote_connection)


def kicked_out(connection: Any) -> None:
    """The gateway says why, then closes."""
    connection.push(notices.program_status("ForceLogout"), notices.event("KickedOut"))
    settle()
    connection.close()
    settle()


def plain(stage: Stage) -> None:
    everything(stage)


def ftaes(stage: Stage) -> None:
    stage.encrypt("FTAES_ECB")
    everything(stage)


def cbc(stage: Stage) -> None:
    stage.encrypt("AES_CBC")
    everything(stage)


def sample_key(stage: Stage) -> None:
    """Encrypted with the key pair that everybody can download: the one inside futu-api."""
    stage.encrypt("AES_CBC", SAMPLE_KEY)
    stage.start_capture()
    context = stage.quote_context()
    sdk.expect(context.get_global_state())
    sdk.expect(context.get_market_snapshot(CODES))
    context.close()
    settle()


def json_bodies(stage: Stage) -> None:
    """Every body is JSON: quotes in clear, trade in AES_CBC. No paged K-lines, see ``json_jam``."""
    futu.SysConfig.set_proto_fmt(futu.ProtoFMT.Json)
    stage.start_capture()
    context = stage.quote_context(is_encrypt=False)
    sdk.expect(context.get_global_state())
    notifications(stage)
    account(context)
    quoting(stage, context)
    reminders(stage, context)
    quote_failures(stage, context)
    stage.set_key(DEMO_KEY, "AES_CBC")
    trader = trade(stage, is_encrypt=True)
    wait_for_keep_alive()
    trader.close()
    context.close()
    settle()


def json_jam(stage: Stage) -> None:
    """A bytes field in JSON: the SDK fails on that message for ever and reads nothing that comes after it."""
    futu.SysConfig.set_proto_fmt(futu.ProtoFMT.Json)
    stage.start_capture()
    context = stage.quote_context()
    sdk.expect(context.get_global_state())
    sdk.expect(context.request_history_kline("HK.00700", max_count=3, ktype="K_1M")[:2], futu.RET_ERROR)
    sdk.expect(context.get_global_state(), futu.RET_ERROR)
    stage.gateway.last.push(notices.program_status("Ready"))
    settle()
    context.close()
    settle()


def mixed(stage: Stage) -> None:
    """Four connections at once: in clear, AES_CBC, FTAES_ECB (trade), and one that is encrypted in InitConnect only."""
    stage.start_capture()
    clear = stage.quote_context(is_encrypt=False)
    stage.set_key(DEMO_KEY, "AES_CBC")
    encrypted = stage.quote_context(is_encrypt=True)
    stage.set_key(DEMO_KEY, clear_login_reply=True)
    half = stage.quote_context(is_encrypt=False)
    stage.set_key(DEMO_KEY, "FTAES_ECB")
    trader = stage.trade_context(is_encrypt=True)
    readers = [clear, encrypted, half]
    feeds = stage.gateway.connections[:3]

    def ask(context: futu.OpenQuoteContext) -> None:
        for _ in range(4):
            sdk.expect(context.get_global_state())
            sdk.expect(context.get_stock_quote(CODES))
            sdk.expect(context.get_cur_kline("HK.00700", 24, futu.KLType.K_1M))

    def feed(connection: Any) -> None:
        for turn in range(6):
            for push in quotes.every_push(HK_TENCENT, turn):
                connection.push(push)
                time.sleep(0.002)

    def order() -> None:
        sdk.expect(trader.unlock_trade(trading.PASSWORD))
        order_id = place(trader, 400.2, 100, "while quotes arrive")
        trades = stage.gateway.connections[3]
        trades.push(stage.desk.change(order_id, "Submitted"))
        trades.push(stage.desk.fill(order_id, 100.0, 1))
        trades.push(stage.desk.change(order_id, "Filled_All", fillQty=100.0, fillAvgPrice=400.2))

    jobs = [threading.Thread(target=ask, args=(reader,)) for reader in readers]
    jobs += [threading.Thread(target=feed, args=(connection,)) for connection in feeds]
    jobs.append(threading.Thread(target=order))
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    settle()
    for context in [*readers, trader]:
        context.close()
    settle()


def short(stage: Stage) -> None:
    """A short session in AES_CBC with a quote and a trade connection."""
    stage.encrypt("AES_CBC")
    stage.start_capture()
    context = stage.quote_context()
    sdk.expect(context.get_global_state())
    stage.gateway.last.push(notices.program_status("NeedPhoneVerifyCode"), notices.event("NeedPhoneVerifyCode"))
    bulk(context, bars=20, stocks=10)
    trader = stage.trade_context()
    sdk.expect(trader.unlock_trade(trading.PASSWORD))
    order_id = place(trader, 400.2, 100, "filled at once")
    stage.gateway.last.push(stage.desk.fill(order_id, 100.0, 1))
    stage.gateway.last.push(stage.desk.change(order_id, "Filled_All", fillQty=100.0, fillAvgPrice=400.2))
    settle()
    trader.close()
    context.close()
    settle()


def ipv6(stage: Stage) -> None:
    sdk.use_ipv6()
    short(stage)


def reconnect(stage: Stage) -> None:
    """Kicked out, connected again by the SDK after 6 s, subscriptions renewed by the SDK itself."""
    stage.encrypt("FTAES_ECB")
    stage.start_capture()
    context = stage.quote_context()
    sdk.expect(context.subscribe(CODES, [futu.SubType.QUOTE]))
    stage.gateway.last.push(quotes.push_quote(HK_TENCENT, 1))
    settle()
    stage.gateway.last.push(notices.event("LoginPwdChanged"))
    kicked_out(stage.gateway.last)
    time.sleep(7)
    stage.gateway.last.push(notices.program_status("Ready"), quotes.push_quote(HK_TENCENT, 2))
    settle()
    context.close()
    settle()


def order_sent_twice(stage: Stage) -> None:
    """The answer to an order never comes, the program sends the order again: the gateway has booked both."""
    stage.encrypt("AES_CBC")
    stage.start_capture()
    trader = stage.trade_context()
    sdk.expect(trader.unlock_trade(trading.PASSWORD))
    usual = stage.gateway.override(trading.PLACE, None)

    def book_in_silence(connection: Any, request: Any) -> None:
        connection.push(*usual(connection, request).before)

    stage.gateway.override(trading.PLACE, book_in_silence)
    buy = futu.TrdSide.BUY
    sdk.expect(trader.place_order(400.2, 300, "HK.00700", buy, remark="rebalance"), futu.RET_ERROR)
    stage.gateway.override(trading.PLACE, usual)
    place(trader, 400.2, 300, "rebalance")
    sdk.expect(trader.order_list_query())
    trader.close()
    settle()


def late_start(stage: Stage) -> None:
    """The capture starts after the handshake: without a key log nothing on the connection can be read."""
    stage.encrypt("AES_CBC")
    context = stage.quote_context()
    settle()
    stage.start_capture()
    sdk.expect(context.get_global_state())
    sdk.expect(context.subscribe(CODES, [futu.SubType.QUOTE]))
    stage.gateway.last.push(*quotes.every_push(HK_TENCENT, 1))
    sdk.expect(context.get_market_snapshot(CODES))
    settle()
    context.close()
    settle()


def quirk(stage: Stage) -> None:
    """A key file is set but encryption is not: the SDK encrypts InitConnect and cannot read the answer to it."""
    stage.set_key(DEMO_KEY)
    sdk.retry_once()
    stage.start_capture()
    threading.Thread(target=stage.quote_context, daemon=True).start()
    while len(stage.gateway.connections) < 2:
        time.sleep(0.05)
    settle()
