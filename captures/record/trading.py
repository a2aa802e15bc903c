"""Trade answers and pushes of the mock gateway: two made-up accounts and a book of orders."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from . import vendor
from .gateway import Answerer, Connection, Push, Refusal, Reply

ACC_LIST, UNLOCK, SUB_ACC_PUSH = 2001, 2005, 2008
FUNDS, POSITIONS, MAX_QTYS = 2101, 2102, 2111
ORDER_LIST, PLACE, MODIFY, PUSH_ORDER = 2201, 2202, 2205, 2208
FILL_LIST, PUSH_FILL, ORDER_FEE = 2211, 2218, 2225

REAL_ACCOUNT, PAPER_ACCOUNT = 281474976710655001, 1000001  # made up
PASSWORD, WRONG_PASSWORD = "demo-password", "wrong-password"
OPENED = datetime(2026, 11, 20, 10, 15)

Body = dict[str, Any]


class Desk:
    """The orders of one gateway, by order id."""

    def __init__(self, password_md5: str) -> None:
        self._password_md5 = password_md5
        self._orders: dict[str, Body] = {}
        self._moment = 0

    def answers(self) -> dict[int, Answerer]:
        return {
            ACC_LIST: self._acc_list,
            UNLOCK: self._unlock,
            SUB_ACC_PUSH: lambda _, request: Reply({}),
            FUNDS: self._funds,
            POSITIONS: self._positions,
            MAX_QTYS: self._max_qtys,
            ORDER_LIST: self._order_list,
            PLACE: self._place,
            MODIFY: self._modify,
            FILL_LIST: self._fill_list,
            ORDER_FEE: self._order_fee,
        }

    def change(self, order_id: str, status: str, **fields: Any) -> Push:
        """Move an order to a status (name without prefix) and make the push that tells so."""
        order = self._orders[order_id]
        order.update(fields)
        order["orderStatus"] = vendor.module("Trd_Common").OrderStatus.Value(f"OrderStatus_{status}")
        order["updateTime"], order["updateTimestamp"] = self._now()
        return PUSH_ORDER, {"header": order_header(), "order": public(order)}

    def fill(self, order_id: str, qty: float, number: int) -> Push:
        """The push of one fill of an order."""
        return PUSH_FILL, {"header": order_header(), "orderFill": self._fill(self._orders[order_id], qty, number)}

    def _now(self) -> tuple[str, float]:
        self._moment += 1
        moment = OPENED + timedelta(milliseconds=250 * self._moment)
        return f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3], moment.timestamp()

    def _acc_list(self, _: Connection, request: Any) -> Reply:
        trd = vendor.module("Trd_Common")
        real = {
            "trdEnv": trd.TrdEnv_Real,
            "accID": REAL_ACCOUNT,
            "trdMarketAuthList": [trd.TrdMarket_HK, trd.TrdMarket_US, trd.TrdMarket_HKCC],
            "accType": trd.TrdAccType_Margin,
            "cardNum": "0000000000000001",
            "uniCardNum": "0000000000000002",
            "securityFirm": trd.SecurityFirm_FutuSecurities,
            "accStatus": trd.TrdAccStatus_Active,
            "accRole": trd.TrdAccRole_Normal,
        }
        paper = {
            "trdEnv": trd.TrdEnv_Simulate,
            "accID": PAPER_ACCOUNT,
            "trdMarketAuthList": [trd.TrdMarket_HK],
            "accType": trd.TrdAccType_Cash,
            "simAccType": trd.SimAccType_Stock,
        }
        return Reply({"accList": [real, paper]})

    def _unlock(self, _: Connection, request: Any) -> Reply | Refusal:
        if request.c2s.unlock and request.c2s.pwdMD5 != self._password_md5:
            return Refusal("The trading password is wrong, 4 attempts left", err_code=2)
        return Reply({})

    def _funds(self, _: Connection, request: Any) -> Reply:
        trd = vendor.module("Trd_Common")
        funds = {
            "power": 250000.75,
            "totalAssets": 500000.5,
            "cash": 125000.25,
            "marketVal": 375000.25,
            "frozenCash": 1000.0,
            "debtCash": 0.0,
            "avlWithdrawalCash": 124000.25,
            "currency": request.c2s.currency,
            "riskLevel": trd.CltRiskLevel_Safe,
            "riskStatus": trd.CltRiskStatus_Level1,
            "unrealizedPL": -321.5,
            "cashInfoList": [
                {"currency": trd.Currency_HKD, "cash": 100000.0, "availableBalance": 99000.0},
                {"currency": trd.Currency_USD, "cash": 3200.5, "availableBalance": 3200.5},
            ],
        }
        return Reply({"header": header(request), "funds": funds})

    def _positions(self, _: Connection, request: Any) -> Reply:
        trd = vendor.module("Trd_Common")
        position = {
            "positionID": 6000000000000000001,
            "positionSide": trd.PositionSide_Long,
            "code": "00700",
            "name": "騰訊控股",
            "qty": 300.0,
            "canSellQty": 300.0,
            "price": 400.2,
            "costPrice": 388.8,
            "val": 120060.0,
            "plVal": 3420.0,
            "plRatio": 2.93,
            "secMarket": trd.TrdSecMarket_HK,
            "td_plVal": -60.0,
            "currency": trd.Currency_HKD,
        }
        return Reply({"header": header(request), "positionList": [position]})

    def _max_qtys(self, _: Connection, request: Any) -> Reply:
        most = {"maxCashBuy": 300.0, "maxCashAndMarginBuy": 600.0, "maxPositionSell": 300.0, "maxSellShort": 0.0}
        return Reply({"header": header(request), "maxTrdQtys": most})

    def _order_list(self, _: Connection, request: Any) -> Reply:
        wanted = request.c2s.filterConditions.orderIDExList
        orders = [public(order) for key, order in self._orders.items() if not wanted or key in wanted]
        return Reply({"header": header(request), "orderList": orders})

    def _place(self, _: Connection, request: Any) -> Reply | Refusal:
        """Book the order. The push that it is being submitted goes out ahead of the answer."""
        c2s = request.c2s
        if c2s.qty * c2s.price > 1_000_000:
            return Refusal("Insufficient buying power: 10000000.00 HKD needed, 250000.75 HKD available", err_code=7)
        number = 5000000000000000001 + len(self._orders)
        order_id = f"FD{number}"
        created, stamp = self._now()
        order: Body = {
            "trdSide": c2s.trdSide,
            "orderType": c2s.orderType,
            "orderID": number,
            "orderIDEx": order_id,
            "code": c2s.code,
            "name": "騰訊控股",
            "qty": c2s.qty,
            "price": c2s.price,
            "createTime": created,
            "createTimestamp": stamp,
            "fillQty": 0.0,
            "fillAvgPrice": 0.0,
            "lastErrMsg": "",
            "secMarket": c2s.secMarket,
            "remark": c2s.remark,
            "timeInForce": c2s.timeInForce,
            "currency": vendor.module("Trd_Common").Currency_HKD,
            "trdMarket": c2s.header.trdMarket,
        }
        self._orders[order_id] = order
        submitting = self.change(order_id, "Submitting")
        placed = {"header": header(request), "orderID": number, "orderIDEx": order_id}
        return Reply(placed, before=[submitting])

    def _modify(self, _: Connection, request: Any) -> Reply | Refusal:
        c2s = request.c2s
        trd = vendor.module("Trd_Common")
        order = self._orders.get(c2s.orderIDEx)
        if order is None:
            return Refusal("The order does not exist")
        done = {"header": header(request), "orderID": order["orderID"], "orderIDEx": c2s.orderIDEx}
        if c2s.modifyOrderOp == trd.ModifyOrderOp_Normal:
            return Reply(done, after=[self.change(c2s.orderIDEx, "Submitted", qty=c2s.qty, price=c2s.price)])
        return Reply(
            done, after=[self.change(c2s.orderIDEx, "Cancelling_All"), self.change(c2s.orderIDEx, "Cancelled_All")]
        )

    def _fill(self, order: Body, qty: float, number: int) -> Body:
        created, stamp = self._now()
        return {
            "trdSide": order["trdSide"],
            "fillID": 4000000000000000001 + number,
            "fillIDEx": f"FILL{number}",
            "orderID": order["orderID"],
            "orderIDEx": order["orderIDEx"],
            "code": order["code"],
            "name": order["name"],
            "qty": qty,
            "price": order["price"],
            "createTime": created,
            "createTimestamp": stamp,
            "counterBrokerID": 5001,
            "counterBrokerName": "Broker 5001",
            "secMarket": order["secMarket"],
            "status": vendor.module("Trd_Common").OrderFillStatus_OK,
            "trdMarket": order["trdMarket"],
        }

    def _fill_list(self, _: Connection, request: Any) -> Reply:
        filled = [order for order in self._orders.values() if order["fillQty"]]
        fills = [self._fill(order, order["fillQty"], at) for at, order in enumerate(filled)]
        return Reply({"header": header(request), "orderFillList": fills})

    def _order_fee(self, _: Connection, request: Any) -> Reply:
        items = [{"title": "Commission", "value": 15.0}, {"title": "Stamp duty", "value": 80.0}]
        fees = [{"orderIDEx": key, "feeAmount": 95.0, "feeList": items} for key in request.c2s.orderIdExList]
        return Reply({"header": header(request), "orderFeeList": fees})


def header(request: Any) -> Body:
    """The trade header of a request, for its answer."""
    return vendor.to_dict(request.c2s.header)


def order_header() -> Body:
    trd = vendor.module("Trd_Common")
    return {"trdEnv": trd.TrdEnv_Real, "accID": REAL_ACCOUNT, "trdMarket": trd.TrdMarket_HK}


def public(order: Body) -> Body:
    """A copy of the order as it stands, since the push is only serialised later."""
    return dict(order)
