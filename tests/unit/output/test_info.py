"""The fields that matter, against the names and codes that the official SDK gives the same numbers."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from random import Random
from typing import Any, cast

import pytest

import decoder
from decoder import Message, schema
from decoder.output.info import REDACTED, InfoColumn, TextCache
from decoder.output.info_templates import TEMPLATES
from decoder.schema.fields import fields_of
from tests.support.every import for_every
from tests.support.exchange import vendor
from tests.support.random_messages import random_message, vendor_classes
from tests.support.recorded import Recording

PLAIN = Recording("plain.pcap")
BODIES = [
    (protocol.proto_id, direction, cls)
    for protocol in schema.protocols()
    for direction in ("c2s", "s2c")
    if (cls := schema.body_class(protocol.proto_id, direction)) is not None
]


def recorded(proto: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The info of each recorded message of a protocol, and the body that the ends logged (enums as numbers)."""
    columns = InfoColumn(utc=True)
    logged = {(entry["proto_id"], entry["sha1"]): entry["body"] for entry in PLAIN.expected}
    found = [item for item in decoder.read(PLAIN.path) if isinstance(item, Message) and item.proto == proto]
    assert found
    for message in found:
        assert message.protobuf is not None
        yield columns.of(message.protobuf), logged[message.proto_id, message.sha1]


def info(message: Any, **options: Any) -> str:
    """The info of a message of the vendor's class."""
    cls = schema.message_class(message.DESCRIPTOR.full_name)
    return InfoColumn(utc=True, **options).of(cls.FromString(message.SerializeToString()))


def info_partial(message: Any) -> str:
    """As `info`, of a message that lacks required fields."""
    cls = schema.message_class(message.DESCRIPTOR.full_name)
    return InfoColumn().of(cls.FromString(message.SerializePartialToString()))


def test_notifications_are_named_as_the_sdk_names_them() -> None:
    from futu.common import constant as sdk

    names = set()
    for shown, body in recorded("Notify"):
        kind, event, status = (body["s2c"].get(key) for key in ("type", "event", "programStatus"))
        expected = [sdk.SysNotifyType.to_string2(kind)]
        if event:
            expected.append(sdk.GtwEventType.to_string2(event["eventType"]))
        if status and (name := sdk.ProgramStatusType.to_string2(status["programStatus"]["type"])) != "N/A":
            expected.append(name)
        assert shown.split()[: len(expected)] == expected
        names.update(expected)
    assert {"NEED_PHONE_VERIFY_CODE", "KickedOut", "CONN_STATUS", "QOT_RIGHT"} <= names


def test_orders_are_shown_as_the_sdk_shows_them() -> None:
    from futu.common import constant as sdk
    from futu.common.utils import merge_trd_mkt_stock_str

    statuses = set()
    for shown, body in recorded("Trd_UpdateOrder"):
        order, header = body["s2c"]["order"], body["s2c"]["header"]
        status = sdk.OrderStatus.to_string2(order["orderStatus"])
        code = merge_trd_mkt_stock_str(order["secMarket"], order["code"])
        words = shown.split()
        assert words[:3] == [status, sdk.TrdSide.to_string2(order["trdSide"]), code]
        assert {f"qty={order['qty']:g}", f"price={order['price']:g}", f"orderID={order['orderID']}"} <= set(words)
        assert (f"filled={order['fillQty']:g}@{order['fillAvgPrice']:g}" in words) == (order["fillQty"] > 0)
        assert words[-3:] == [
            sdk.TrdEnv.to_string2(header["trdEnv"]),
            sdk.TrdMarket.to_string2(header["trdMarket"]),
            f"accID={header['accID']}",
        ]
        statuses.add(status)
    assert {"FILLED_ALL", "FILLED_PART", "CANCELLED_ALL", "FAILED"} <= statuses


def test_codes_are_those_of_the_sdk() -> None:
    from futu.common.utils import merge_qot_mkt_stock_str

    for shown, body in recorded("Qot_UpdateBasicQot"):
        first = body["s2c"]["basicQotList"][0]
        code = merge_qot_mkt_stock_str(first["security"]["market"], first["security"]["code"])
        assert shown == (
            f" {code} curPrice={first['curPrice']:.15g} volume={first['volume']} turnover={first['turnover']:.15g}"
        )


def test_subscriptions() -> None:
    from futu.common import constant as sdk

    for shown, body in recorded("Qot_Sub"):
        c2s = body.get("c2s")
        if c2s is None:
            assert shown == ""
        elif not c2s.get("isUnsubAll"):
            words = shown.split()
            assert words[0] == ("sub" if c2s["isSubOrUnSub"] else "unsub")
            first = [sdk.SubType.to_string2(number) for number in c2s["subTypeList"][:3]]
            assert ",".join(first) in words


def test_pushes_of_quotes() -> None:
    for shown, body in recorded("Qot_UpdateOrderBook"):
        ask, bid = (body["s2c"][key][0] for key in ("orderBookAskList", "orderBookBidList"))
        assert shown.endswith(f" bid {bid['volume']}@{bid['price']:g} ask {ask['volume']}@{ask['price']:g}")
    for shown, body in recorded("Qot_UpdateTicker"):
        tickers = body["s2c"]["tickerList"]
        more = f" (+{len(tickers) - 1} more)" if len(tickers) > 1 else ""
        assert shown.endswith(f" {tickers[0]['volume']}@{tickers[0]['price']:.15g}{more}")
    for shown, body in recorded("Qot_UpdateKL"):
        bar = body["s2c"]["klList"][0]
        assert f" {bar['time']} " in shown
        assert f" C={bar['closePrice']:.15g} " in shown


def test_trade_requests() -> None:
    request = vendor("Trd_PlaceOrder").Request()
    order = request.c2s
    order.packetID.connID, order.packetID.serialNo = 1, 2
    order.header.trdEnv, order.header.accID, order.header.trdMarket = 0, 7, 2
    order.trdSide, order.orderType, order.code, order.qty, order.secMarket = 2, 2, "AAPL", 0.5, 2
    assert info(request) == " SELL US.AAPL qty=0.5 MARKET SIMULATE US accID=7"
    assert info(request, enums="number") == " 2 US.AAPL qty=0.5 2 0 2 accID=7"
    assert info(request, enums="proto") == (
        " TrdSide_Sell US.AAPL qty=0.5 OrderType_Market TrdEnv_Simulate TrdMarket_US accID=7"
    )
    order.ClearField("secMarket")
    order.price = 230.0
    order.remark = "a b"
    assert info(request) == ' SELL AAPL qty=0.5 price=230 MARKET remark="a b" SIMULATE US accID=7'


def test_times_are_shown_as_times() -> None:
    request = vendor("KeepAlive").Request()
    request.c2s.time = 1_700_000_000
    assert info(request) == " time=2023-11-14 22:13:20"


def test_a_list_shows_its_first_items_and_how_many_more_there_are() -> None:
    request = vendor("Qot_GetBasicQot").Request()
    for market, code in ((1, "00700"), (11, "AAPL"), (21, "600519"), (22, "000001"), (99, "X")):
        request.c2s.securityList.add(market=market, code=code)
    assert info(request) == " HK.00700,US.AAPL,SH.600519 (+2 more)"
    del request.c2s.securityList[:4]
    assert info(request) == " 99.X"


def test_every_market_as_the_sdk_writes_it() -> None:
    from futu.common.utils import merge_qot_mkt_stock_str, merge_trd_mkt_stock_str

    qot, trd = vendor("Qot_Common"), vendor("Trd_Common")
    for market in qot.QotMarket.values():
        request = vendor("Qot_GetRT").Request()
        request.c2s.security.market, request.c2s.security.code = market, "X"
        assert info(request) == " " + (merge_qot_mkt_stock_str(market, "X") if market else "X")
    for market in trd.TrdSecMarket.values():
        push = vendor("Trd_UpdateOrderFill").Response(retType=0)
        push.s2c.orderFill.code, push.s2c.orderFill.secMarket = "X", market
        shown = info_partial(push).split()[1]
        assert shown == (merge_trd_mkt_stock_str(market, "X") if market else "X")


def test_what_is_unset_is_left_out_and_what_is_zero_is_not() -> None:
    request = vendor("Qot_GetWarrant").Request()
    request.c2s.begin, request.c2s.num, request.c2s.sortField, request.c2s.ascend = 0, 5, 0, False
    assert info(request) == " begin=0 num=5 sortField=NONE ascend=false"
    request.c2s.curPriceMin = 0.0
    assert info(request) == " begin=0 num=5 sortField=NONE ascend=false curPriceMin=0"


def test_text_in_a_message_cannot_pass_for_the_line() -> None:
    push = vendor("Qot_UpdateTicker").Response(retType=0)
    push.s2c.security.market, push.s2c.security.code = 1, "00700 BUY 1@1\n\x1b[2J"
    assert info(push) == r' HK."00700 BUY 1@1\n\x1b[2J"'


SECRET = "51a1e8c0ffee"


@for_every(lambda: BODIES, lambda case: str(case[2].DESCRIPTOR.full_name))
def test_every_protocol(proto_id: int, direction: str, cls: Any) -> None:
    """Random bodies of every protocol: printable, bounded, and without a secret unless asked for."""
    random = Random(f"{proto_id} {direction}")
    twin = vendor_classes().get(cls.DESCRIPTOR.full_name)
    columns = [InfoColumn(style, utc=True) for style in ("sdk", "proto", "number")]
    open_columns = InfoColumn(show_secrets=True, utc=True)
    for density in (0.0, 0.3, 1.0):
        if twin is None:  # of an older SDK
            body = cls()
        else:
            body = cls.FromString(random_message(twin, random, density).SerializePartialToString())
        hidden = plant(body)
        for each in columns:
            shown = each.of(body)
            assert SECRET not in shown
            assert (REDACTED in shown) or not hidden or density == 0.0
            assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
            assert len(shown) < 12_000
            assert shown == "" or shown[0] == " " != shown[1:2]
        if hidden and density == 1.0:
            assert SECRET in open_columns.of(body)


def plant(body: Any) -> int:
    """Put `SECRET` into every secret field that is set; gives how many there are."""
    planted = 0
    for descriptor, value in body.ListFields():
        field = next(field for field in fields_of(body.DESCRIPTOR) if field.name == descriptor.name)
        if field.kind == "message":
            planted += sum(map(plant, value if field.repeated else (value,)))
        elif field.secret:
            setattr(body, field.name, SECRET if field.kind == "string" else SECRET.encode())
            planted += 1
    return planted


def test_every_template_is_of_a_message_type_and_works() -> None:
    for full_name in TEMPLATES:
        cls = schema.message_class(full_name)
        twin = vendor_classes()[full_name]
        body = cls.FromString(random_message(twin, Random(full_name), 1.0).SerializeToString())
        assert InfoColumn().of(body).startswith(" ")


def test_a_type_without_template_shows_every_scalar_field_by_name() -> None:
    assert "Qot_GetCapitalDistribution.S2C" not in TEMPLATES
    push = vendor("Qot_GetCapitalDistribution").Response(retType=0)
    fields = sorted(push.s2c.DESCRIPTOR.fields, key=lambda field: field.number)
    names = [field.name for field in fields if field.name.startswith("capital")]
    for number, name in enumerate(names):
        setattr(push.s2c, name, number + 0.5)
    assert info(push) == "".join(f" {name}={number + 0.5}" for number, name in enumerate(names))


def test_a_message_within_is_enclosed_unless_it_is_empty() -> None:
    request = vendor("Trd_GetOrderList").Request()
    request.c2s.header.trdEnv, request.c2s.header.accID, request.c2s.header.trdMarket = 1, 5, 1
    request.c2s.filterConditions.SetInParent()
    assert info(request) == " REAL HK accID=5"
    request.c2s.filterConditions.beginTime = "2026-11-20"
    assert info(request) == " filterConditions(beginTime=2026-11-20) REAL HK accID=5"


def test_memory_of_the_tables_is_bounded() -> None:
    memo = TextCache[int](str)
    for number in range(100_000):
        assert memo[number] == str(number)
    assert len(memo) <= 16_384
    texts = TextCache[str](lambda text: text)
    assert texts["x" * 1_000_000]
    assert not texts


def test_crypto_volumes_are_not_cut_to_whole_coins() -> None:
    """hpVolume goes first where it is present; a real gateway sends volume 0 beside hpVolume 0.00016."""
    push = vendor("Qot_UpdateTicker").Response()
    push.retType = 0
    push.s2c.security.market, push.s2c.security.code = 91, "BTC"
    tick = push.s2c.tickerList.add(
        time="2026-07-05 04:42:35.809", sequence=1, dir=2, price=62952.0, volume=0, turnover=10.07, hpVolume=0.00016
    )
    assert info(push) == " CC.BTC SELL 0.00016@62952"
    tick.hpVolume, tick.volume = 0.0, 3
    assert info(push) == " CC.BTC SELL 3@62952"
    tick.ClearField("hpVolume")
    assert info(push) == " CC.BTC SELL 3@62952"
    book = vendor("Qot_UpdateOrderBook").Response()
    book.retType = 0
    book.s2c.security.CopyFrom(push.s2c.security)
    book.s2c.orderBookBidList.add(price=62952, volume=0, orederCount=1, hpVolume=0.18914)
    assert info(book) == " CC.BTC bid 0.18914@62952"
    candle = vendor("Qot_UpdateKL").Response()
    candle.retType = 0
    candle.s2c.security.CopyFrom(push.s2c.security)
    candle.s2c.rehabType, candle.s2c.klType = 0, 1
    bar = candle.s2c.klList.add(time="2026-07-05 04:43:00", isBlank=False, hpVolume=11.187)
    assert info(candle).endswith(" volume=11.187")  # without a volume beside it
    bar.volume = 11
    assert info(candle).endswith(" volume=11.187")


@pytest.mark.parametrize(
    ("kind", "pushed", "shown"),
    [(0, 0, ""), (1, 1, ""), (6, 1, " ODD_LOT"), (2, 1, " LATE"), (1, 2, " BYDISCONN"), (6, 3, " ODD_LOT CACHE")],
)
def test_only_a_live_ordinary_trade_goes_without_a_word(kind: int, pushed: int, shown: str) -> None:
    push = vendor("Qot_UpdateTicker").Response()
    push.retType = 0
    push.s2c.security.market, push.s2c.security.code = 11, "XLK"
    tick = push.s2c.tickerList.add(time="", sequence=1, dir=3, price=225.5, volume=100, turnover=0)
    assert info(push) == " US.XLK NEUTRAL 100@225.5"
    tick.type, tick.pushDataType = kind, pushed
    assert info(push) == f" US.XLK NEUTRAL 100@225.5{shown}"


def test_the_session_of_an_order_is_on_the_line() -> None:
    request = vendor("Trd_PlaceOrder").Request()
    order = request.c2s
    order.packetID.connID, order.packetID.serialNo = 1, 2
    order.header.trdEnv, order.header.accID, order.header.trdMarket = 1, 7, 2
    order.trdSide, order.orderType, order.code, order.qty, order.secMarket = 1, 1, "AAPL", 1, 2
    order.session, order.fillOutsideRTH = 0, False  # the official SDK sends both with every order
    assert info(request) == " BUY US.AAPL qty=1 NORMAL REAL US accID=7"
    order.session, order.fillOutsideRTH = 4, True
    assert info(request) == " BUY US.AAPL qty=1 NORMAL session=OVERNIGHT fillOutsideRTH=true REAL US accID=7"


def test_every_account_is_shown_with_its_firm() -> None:
    response = vendor("Trd_GetAccList").Response()
    response.retType = 0
    response.s2c.accList.add(trdEnv=0, accID=5, trdMarketAuthList=[1], accType=1)
    response.s2c.accList.add(trdEnv=1, accID=6, trdMarketAuthList=[1, 2], accType=2, securityFirm=2)
    assert info(response) == " accList[2] SIMULATE accID=5 CASH HK; REAL accID=6 MARGIN FUTUINC HK,US"
    for number in range(10):
        response.s2c.accList.add(trdEnv=1, accID=100 + number)
    assert info(response).endswith("; REAL accID=105 (+4 more)")


TRADE_REQUESTS = [
    cls
    for _, _, cls in BODIES
    if (c2s := cls.DESCRIPTOR.fields_by_name.get("c2s")) is not None
    and (header := cast(Any, c2s).message_type.fields_by_name.get("header")) is not None
    and header.message_type.full_name == "Trd_Common.TrdHeader"
]


@pytest.mark.parametrize("cls", TRADE_REQUESTS, ids=lambda cls: str(cls.DESCRIPTOR.full_name))
def test_a_trade_request_names_its_account(cls: Any) -> None:
    body = cls()
    body.c2s.header.trdEnv, body.c2s.header.accID, body.c2s.header.trdMarket = 1, 281474976710655001, 2
    assert " REAL US accID=281474976710655001" in InfoColumn().of(body)


def test_the_time_zone_of_market_times() -> None:
    push = vendor("Qot_UpdateKL").Response()
    push.retType = 0
    push.s2c.security.market, push.s2c.security.code = 11, "AAPL"
    push.s2c.rehabType, push.s2c.klType = 0, 1
    bar = push.s2c.klList.add(time="2026-07-05 04:43:00", isBlank=False)
    assert info(push) == " US.AAPL K_1M 2026-07-05 04:43:00"
    bar.timestamp = 1_783_240_980  # 08:43 UTC
    assert info(push) == " US.AAPL K_1M 2026-07-05 04:43:00 UTC-4"
    request = vendor("Qot_RequestHistoryKL").Request()
    request.c2s.rehabType, request.c2s.klType = 1, 2
    request.c2s.beginTime, request.c2s.endTime = "2026-07-01", "2026-07-05"
    for market, zone in ((1, " UTC+8"), (11, " US/Eastern"), (21, " UTC+8"), (91, " US/Eastern"), (41, "")):
        request.c2s.security.market, request.c2s.security.code = market, "X"
        assert info(request).endswith(f" 2026-07-01 2026-07-05{zone}")
