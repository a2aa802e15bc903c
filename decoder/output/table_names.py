"""Names of tables and columns: those of the official Python SDK's data frames, where it has a column for a field.

A field without an entry keeps its own name in snake_case.  Source of the names: what `futu-api` 10.11 makes of the
same messages (`unpack_rsp` of its query classes); the tests compare with it.
"""

from __future__ import annotations

import re

__all__ = ["LEFT_OUT", "NAMES", "NO_UTC", "PERCENT", "PIVOTS", "PRESENCE", "ROW_TYPES", "snake_case"]

ROW_TYPES = {
    "Qot_Common.Ticker": "rt_ticker",
    "Qot_Common.OrderBook": "order_book",
    "Qot_Common.BasicQot": "stock_quote",
    "Qot_Common.KLine": "cur_kline",
    "Qot_Common.TimeShare": "rt_data",
    "Qot_Common.Broker": "broker_queue",
    "Qot_GetSecuritySnapshot.Snapshot": "market_snapshot",
    "Trd_Common.Order": "order_updates",
    "Trd_Common.OrderFill": "deals",
    "Trd_Common.Position": "positions",
    "Trd_Common.Funds": "accinfo",
}
"""The table that takes the messages of a type, in whatever protocol and list they come."""

NAMES: dict[str, dict[str, str]] = {
    "Qot_Common.Ticker": {"dir": "ticker_direction", "recvTime": "recv_timestamp", "timestamp": "exchange_time"},
    "Qot_Common.OrderBook": {"orederCount": "order_num", "detailList": "order_details"},
    "Qot_Common.KLine": {
        "time": "time_key",
        "openPrice": "open",
        "closePrice": "close",
        "highPrice": "high",
        "lowPrice": "low",
        "lastClosePrice": "last_close",
        "pe": "pe_ratio",
        "timestamp": "exchange_time",
    },
    "Qot_Common.TimeShare": {
        "minute": "opened_mins",
        "price": "cur_price",
        "lastClosePrice": "last_close",
        "timestamp": "exchange_time",
    },
    "Qot_Common.Broker": {"id": "broker_id", "name": "broker_name", "pos": "broker_pos", "volume": "order_volume"},
    "Qot_Common.BasicQot": {
        "security": "code",
        "curPrice": "last_price",
        "lastClosePrice": "prev_close_price",
        "isSuspended": "suspension",
        "listTime": "listing_date",
        "listTimestamp": "listing_timestamp",
        "updateTimestamp": "exchange_time",
        "optionExData": "",
        "futureExData": "",
        "warrantExData": "wrt_",
        "preMarket": "pre_",
        "afterMarket": "after_",
        "overnight": "overnight_",
    },
    "Qot_GetSecuritySnapshot.Snapshot": {
        "basic": "",
        "equityExData": "",
        "warrantExData": "wrt_",
        "optionExData": "option_",
        "indexExData": "index_",
        "plateExData": "plate_",
        "futureExData": "future_",
        "trustExData": "trust_",
    },
    "Qot_GetSecuritySnapshot.SnapshotBasicData": {
        "security": "code",
        "curPrice": "last_price",
        "lastClosePrice": "prev_close_price",
        "isSuspend": "suspension",
        "listTime": "listing_date",
        "listTimestamp": "listing_timestamp",
        "updateTimestamp": "exchange_time",
        "highest52WeeksPrice": "highest52weeks_price",
        "lowest52WeeksPrice": "lowest52weeks_price",
        "closePrice5Minute": "close_price_5min",
        "preMarket": "pre_",
        "afterMarket": "after_",
        "overnight": "overnight_",
    },
    "Qot_GetSecuritySnapshot.EquitySnapshotExData": {
        "issuedMarketVal": "total_market_val",
        "earningsPershare": "earning_per_share",
        "outstandingMarketVal": "circular_market_val",
        "netAssetPershare": "net_asset_per_share",
        "eyRate": "ey_ratio",
        "peRate": "pe_ratio",
        "pbRate": "pb_ratio",
        "peTTMRate": "pe_ttm_ratio",
    },
    "Qot_GetSecuritySnapshot.WarrantSnapshotExData": {
        "conversionRate": "conversion_ratio",
        "warrantType": "type",
        "maturityTime": "maturity_date",
        "endTradeTime": "end_trade",
        "owner": "=stock_owner",
        "streetVolumn": "street_vol",
        "issueVolumn": "issue_vol",
        "streetRate": "street_ratio",
        "inLinePriceStatus": "inline_price_status",
    },
    "Qot_GetSecuritySnapshot.OptionSnapshotExData": {
        "owner": "=stock_owner",
        "strikeTime": "=strike_time",
        "strikeTimestamp": "=strike_timestamp",
        "indexOptionType": "=index_option_type",
        "optionAreaType": "=option_area_type",
    },
    "Qot_GetSecuritySnapshot.FutureSnapshotExData": {"isMainContract": "main_contract"},
    # (Two names that the SDK itself does not write in snake_case.)
    "Qot_GetSecuritySnapshot.TrustSnapshotExData": {"netAssetValue": "netAssetValue", "assetClass": "assetClass"},
    "Trd_Common.Order": {
        "name": "stock_name",
        "trdMarket": "order_market",
        "orderIDEx": "order_id",
        "orderID": "order_id_num",
        "updateTime": "updated_time",
        "fillQty": "dealt_qty",
        "fillAvgPrice": "dealt_avg_price",
        "orderAmount": "amount",
        "updateTimestamp": "exchange_time",
    },
    "Trd_Common.OrderFill": {
        "name": "stock_name",
        "trdMarket": "deal_market",
        "fillID": "deal_id",
        "fillIDEx": "deal_id_ex",
        "orderIDEx": "order_id",
        "orderID": "order_id_num",
        "createTimestamp": "exchange_time",
    },
    "Trd_Common.Position": {
        "name": "stock_name",
        "trdMarket": "position_market",
        "price": "nominal_price",
        "val": "market_val",
        "averagePlRatio": "pl_ratio_avg_cost",
        "dilutedCostPrice": "diluted_cost",
        "averageCostPrice": "average_cost",
        "td_plVal": "today_pl_val",
        "td_trdVal": "today_trd_val",
        "td_buyVal": "today_buy_val",
        "td_buyQty": "today_buy_qty",
        "td_sellVal": "today_sell_val",
        "td_sellQty": "today_sell_qty",
        "accID": "position_acc_id",  # acc_id is that of the header, which every trade table has
    },
    "Trd_Common.Funds": {"debtCash": "interest_charged_amount"},
    "Trd_Common.TrdHeader": {"accID": "acc_id", "jpAccType": "header_jp_acc_type"},
    # What stands around the rows: bodies and what they hold.
    "s2c": {"security": "code", "header": "", "klType": "k_type"},
}
"""Column of each field, by message type; of a field that is a message, what goes before the names in it.

``=`` begins a name that takes no prefix.  The entry ``s2c`` is for whatever holds rows.
"""

PRESENCE = {
    "Qot_GetSecuritySnapshot.Snapshot": {
        "equityExData": "equity_valid",
        "warrantExData": "wrt_valid",
        "optionExData": "option_valid",
        "indexExData": "index_valid",
        "plateExData": "plate_valid",
        "futureExData": "future_valid",
        "trustExData": "trust_valid",
    }
}
"""Columns that tell if an optional part of a row is there."""

PERCENT = frozenset(("Trd_Common.Position.plRatio", "Trd_Common.Position.averagePlRatio"))
"""Fields that the SDK shows times 100."""

NO_UTC = frozenset(("strike_time", "future_last_trade_time", "req_time", "data_time"))
"""Columns of text that are called a time but hold a day, a range, or half of a time."""

_CURRENCIES = {
    "HKD": ("hk", "hkd", "HK"),
    "USD": ("us", "usd", "US"),
    "CNH": ("cn", "cnh", "HKCC"),
    "JPY": ("jp", "jpy", "JP"),
    "SGD": ("sg", "sgd", "SG"),
    "AUD": ("au", "aud", "AU"),
    "CAD": ("ca", "cad", "CA"),
    "MYR": ("my", "myr", "MY"),
}

PIVOTS = {
    "Trd_Common.Funds.cashInfoList": (
        "currency",
        {
            name: {
                "cash": f"{land}_cash",
                "availableBalance": f"{land}_avl_withdrawal_cash",
                "netCashPower": f"{money}_net_cash_power",
            }
            for name, (land, money, _) in _CURRENCIES.items()
        },
    ),
    "Trd_Common.Funds.marketInfoList": (
        "trdMarket",
        {market: {"assets": f"{money}_assets"} for _, money, market in _CURRENCIES.values()},
    ),
}
"""Lists whose items become columns, by the value of a field of theirs; the whole list is a column too."""

LEFT_OUT = {
    "Qot_RequestHistoryKL.S2C.nextReqKey": "a cursor for the next page, of the answer and not of a bar",
    "Qot_GetHistoryKL.S2C.nextKLTime": "a cursor for the next page, of the answer and not of a bar",
    "Qot_GetHistoryKL.S2C.nextKLTimestamp": "a cursor for the next page, of the answer and not of a bar",
    "Qot_GetHistoryKLPoints.S2C.hasNext": "a cursor for the next page, of the answer and not of a bar",
    "Qot_RequestIndicatorCalc.C2S.shortName": "of the indicator asked for; the body stands in messages",
    "Qot_RequestIndicatorCalc.C2S.langType": "of the indicator asked for; the body stands in messages",
    "Qot_RequestIndicatorCalc.C2S.num": "of the indicator asked for; the body stands in messages",
    "Qot_RequestIndicatorCalc.C2S.inputs": "of the indicator asked for; the body stands in messages",
}
"""Fields beside the rows that are no column, and why."""

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """Returns a field's name in snake_case: ``orderIDEx`` as ``order_id_ex``."""
    return _WORD.sub("_", name).lower()
