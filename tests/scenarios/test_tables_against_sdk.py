"""Tables against the data frames that the official SDK's own parsers make of the same bodies, column by column.

What differs is what docs/tables.md says: a missing value is null (SDK: ``N/A``, 0 or ""), blank K-lines are rows, and
a listing date is one for options too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import decoder
from decoder import Message
from tests.support.random_messages import random_message, vendor_classes
from tests.support.recorded import RECORDINGS
from tests.support.tables import collect
from tests.unit.output.test_tables import body_name, message

Frame = list[dict[str, Any]]
ABSENT = ("N/A", "", 0, 0.0, None, False)


def quotes(name: str) -> Callable[[Any], Frame]:
    """The rows of an `unpack_rsp` of a quote class."""

    def parse(body: Any) -> Frame:
        from futu.quote import quote_query

        content = getattr(quote_query, name).unpack_rsp(body)[2]
        frame: Frame = content[0] if isinstance(content, tuple) else content
        return frame

    return parse


def book(body: Any) -> Frame:
    from futu.quote.quote_query import OrderBookQuery

    found = OrderBookQuery.unpack_rsp(body)[2]
    rows = []
    for side in ("ask", "bid"):
        for level, (price, volume, orders, details) in enumerate(found[side.capitalize()], 1):
            row = {"side": side, "level": level, "price": price, "volume": volume, "order_num": orders}
            row |= {"code": found["code"], "name": found["name"], "order_details": details}
            row["svr_recv_time"] = found[f"svr_recv_time_{side}"]
            row["order_book_type"] = found.get("order_book_type")
            rows.append(row)
    return rows


def brokers(body: Any) -> Frame:
    from futu.quote.quote_query import BrokerQueueQuery

    _, bids, asks = BrokerQueueQuery.unpack_rsp(body)[2]
    rows = []
    for side, queue in (("ask", asks), ("bid", bids)):
        rows += [{"side": side, **{name.removeprefix(f"{side}_"): row[name] for name in row}} for row in queue]
    return rows


def trades(name: str) -> Callable[[Any], Frame]:
    def parse(body: Any) -> Frame:
        from futu.trade import trade_query

        content = getattr(trade_query, name).unpack_rsp(body)[-1]
        return [content] if isinstance(content, dict) else list(content)

    return parse


PARSERS: dict[int, tuple[str, Callable[[Any], Frame]]] = {
    3010: ("rt_ticker", quotes("TickerQuery")),
    3011: ("rt_ticker", quotes("TickerQuery")),
    3012: ("order_book", book),
    3013: ("order_book", book),
    3004: ("stock_quote", quotes("StockQuoteQuery")),
    3005: ("stock_quote", quotes("StockQuoteQuery")),
    3006: ("cur_kline", quotes("CurKlineQuery")),
    3007: ("cur_kline", quotes("CurKlinePush")),
    3103: ("cur_kline", quotes("RequestHistoryKlineQuery")),
    3008: ("rt_data", quotes("RtDataQuery")),
    3009: ("rt_data", quotes("RtDataQuery")),
    3014: ("broker_queue", brokers),
    3015: ("broker_queue", brokers),
    3203: ("market_snapshot", quotes("MarketSnapshotQuery")),
    2201: ("order_updates", trades("OrderListQuery")),
    2208: ("order_updates", trades("UpdateOrderPush")),
    2221: ("order_updates", trades("HistoryOrderListQuery")),
    2211: ("deals", trades("DealListQuery")),
    2218: ("deals", trades("UpdateDealPush")),
    2222: ("deals", trades("HistoryDealListQuery")),
    2102: ("positions", trades("PositionListQuery")),
    2101: ("accinfo", trades("AccInfoQuery")),
}

SHOWN_OTHERWISE = {
    "order_details": "JSON of the list",
    "combo_legs": "JSON of the list",
    "listing_date": "there for options too",
    "wrt_valid": "by the part that is there, not by the type",
    "option_valid": "by the part that is there, not by the type",
    "future_valid": "by the part that is there, not by the type",
    "cost_price_valid": "null says it",
    "pl_ratio_valid": "null says it",
    "pl_val_valid": "null says it",
    "acc_id": "of the header; that of a position is position_acc_id",
    "stock_owner": "of the part that is there, not of the type",
    "trd_market": "of the header; the SDK shows that of the order",
}


def compare(table: str, found: Frame, frame: Frame) -> None:
    assert len(found) == len(frame)
    for row, wanted in zip(found, frame, strict=True):
        for name, value in wanted.items():
            if name in SHOWN_OTHERWISE:
                continue
            assert name in row, f"the SDK has a column {name}"
            cell = row[name]
            if cell is None:
                assert value in ABSENT, (name, value)
            elif value == "N/A":
                # No constant of the SDK for this number; or a zero, which its frames have no name for.
                assert isinstance(cell, str), (name, cell)
            elif name == "code":
                assert value.partition(".")[0] in (cell.partition(".")[0], "N/A"), (cell, value)
                assert cell.endswith(value.partition(".")[2])
            elif isinstance(value, float) and math.isnan(value):
                assert math.isnan(cell), name
            elif name == "contract_size" and not value:
                assert cell in (0, row["contract_size_int"])  # the SDK does not look there
            else:
                # (A volume is a double, whatever field it comes from.)
                assert cell == (float(value) if isinstance(cell, float) else value), (name, cell, value)


def text_of(body: Any) -> None:
    """Gives empty times a value: the SDK fails on a quote whose time is empty or has no blank."""
    s2c = body.s2c
    for item in getattr(s2c, "basicQotList", ()):
        item.updateTime = "2026-07-05 04:42:35.809"


@pytest.mark.parametrize("proto_id", sorted(PARSERS.keys() - {3103}))
def test_made_messages(proto_id: int) -> None:
    """(Not of 3103: there the SDK gives a bar what the one before had, where it has nothing itself.)"""
    table, parse = PARSERS[proto_id]
    cls = vendor_classes()[body_name(proto_id, "s2c")]
    random = Random(proto_id)
    bodies = [random_message(cls, random, density=(number % 4) / 3) for number in range(40)]
    for body in bodies:
        body.retType = 0
        text_of(body)
    messages = [message(proto_id, "s2c", body.SerializeToString(), number) for number, body in enumerate(bodies)]
    found = collect(messages)[table]
    rows = 0
    for number, body in enumerate(bodies):
        mine = [row for row in found if row["message"] == number]
        if not mine and proto_id in (2101, 2208, 2218):
            continue  # the SDK makes a row of what is not there
        frame = parse(body)
        if proto_id == 3007 and frame is None:
            continue  # the SDK refuses a type that it has no name for
        compare(table, mine, frame)
        rows += len(frame)
    assert rows > 10


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_recordings(recording: Any) -> None:
    items = list(decoder.read(recording.path, rsa_keys=recording.rsa_keys, keylog=recording.keylog))
    tables = collect(items)
    for item in items:
        if not isinstance(item, Message) or item.direction != "s2c" or item.proto_id not in PARSERS:
            continue
        if item.protobuf is None or item.ret_type != "RET_OK":
            continue
        table, parse = PARSERS[item.proto_id]
        body = vendor_classes()[body_name(item.proto_id, "s2c")].FromString(item.protobuf.SerializeToString())
        mine = [row for row in tables[table] if row["message"] == item.number]
        if item.proto_id == 3103:
            mine = [row for row in mine if not row["is_blank"]]  # the SDK drops them
        compare(table, mine, parse(body))
