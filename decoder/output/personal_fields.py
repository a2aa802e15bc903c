"""Lists the fields that name a person, an account or an order, and those that look as if they did.

Keys are full names of fields of the schema.  A test holds every field against this table whose name looks personal.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["KEPT", "PERSONAL", "TEXTS", "PersonalKind"]

PersonalKind = Literal["account", "user", "card", "order", "fill", "position", "name", "address", "remark"]

_BY_KIND: dict[PersonalKind, str] = {
    "account": """
        Trd_Common.TrdHeader.accID Trd_Common.TrdAcc.accID Trd_Common.Position.accID Trd_SubAccPush.C2S.accIDList
    """,
    "user": """
        InitConnect.S2C.loginUserID GetGlobalState.C2S.userID GetUserInfo.S2C.userID Trd_GetAccList.C2S.userID
        InitConnect.C2S.clientID InitWebSocket.C2S.clientID
    """,
    "card": "Trd_Common.TrdAcc.cardNum Trd_Common.TrdAcc.uniCardNum",
    "order": """
        Trd_Common.Order.orderID Trd_Common.Order.orderIDEx Trd_Common.OrderFee.orderIDEx Trd_Common.OrderFill.orderID
        Trd_Common.OrderFill.orderIDEx Trd_Common.TrdFilterConditions.idList
        Trd_Common.TrdFilterConditions.orderIDExList Trd_GetComboMaxTrdQtys.C2S.orderIDEx Trd_GetMaxTrdQtys.C2S.orderID
        Trd_GetMaxTrdQtys.C2S.orderIDEx Trd_GetOrderFee.C2S.orderIdExList Trd_ModifyOrder.C2S.orderID
        Trd_ModifyOrder.C2S.orderIDEx Trd_ModifyOrder.S2C.orderID Trd_ModifyOrder.S2C.orderIDEx
        Trd_PlaceComboOrder.S2C.orderIDEx Trd_PlaceOrder.S2C.orderID Trd_PlaceOrder.S2C.orderIDEx
        Trd_ReconfirmOrder.C2S.orderID Trd_ReconfirmOrder.S2C.orderID
        GetDelayStatistics.PlaceOrderStatisticsItem.orderID Trd_PlaceComboOrder.C2S.quoteID
        Qot_GetEventContractComboRfq.S2C.quoteId
    """,
    "fill": "Trd_Common.OrderFill.fillID Trd_Common.OrderFill.fillIDEx Trd_FlowSummary.FlowSummaryInfo.cashFlowID",
    "position": """
        Trd_Common.Position.positionID Trd_Common.Position.comboID Trd_GetMaxTrdQtys.C2S.positionID
        Trd_PlaceOrder.C2S.positionID Qot_Common.ComboLeg.positionID
    """,
    "name": """
        GetUserInfo.S2C.nickName Trd_Common.TrdAcc.competitionAccName Qot_GetUserSecurity.C2S.groupName
        Qot_GetUserSecurityGroup.GroupData.groupName Qot_ModifyUserSecurity.C2S.groupName
        Qot_GetOptionEventAlert.EventAlertItem.watchlistGroupName
    """,
    "address": """
        GetUserInfo.S2C.avatarUrl GetGlobalState.S2C.qotSvrIpAddr GetGlobalState.S2C.trdSvrIpAddr
        InitWebSocket.C2S.IP
    """,
    "remark": """
        Trd_Common.Order.remark Trd_PlaceOrder.C2S.remark Trd_PlaceComboOrder.C2S.remark
        Trd_FlowSummary.FlowSummaryInfo.cashFlowRemark Qot_SetPriceReminder.C2S.note
        Qot_GetPriceReminder.PriceReminderItem.note Qot_UpdatePriceReminder.S2C.note
        Qot_GetOptionEventAlert.EventAlertItem.note
    """,
}

PERSONAL: Final[dict[str, PersonalKind]] = {name: kind for kind, names in _BY_KIND.items() for name in names.split()}
"""Fields that get a stand-in, and the kind of what they hold."""

TEXTS: Final = frozenset(
    ("retMsg", "Trd_Common.Order.lastErrMsg", "Notify.GtwEvent.desc", "Common.ProgramStatus.strExtDesc")
)
"""Sentences of the gateway that may quote an id: full names, or the bare name where every response has the field."""

_MARKET = "a company, person or order of the market, public"
_PAGE = "a place in a list that the gateway gives out page by page"
KEPT: Final[dict[str, str]] = {
    "Common.PacketID.connID": "number of a connection, gone when it closes; findings need it",
    "GetGlobalState.S2C.connID": "likewise",
    "InitConnect.S2C.connID": "likewise",
    "InitWebSocket.S2C.connID": "likewise",
    "Trd_Common.Order.name": "name of a security",
    "Trd_Common.OrderFill.name": "name of a security",
    "Trd_Common.Position.name": "name of a security",
    "Trd_Common.OrderFill.counterBrokerName": _MARKET,
    "Trd_Common.OrderFill.counterBrokerID": _MARKET,
    "Trd_Common.OrderFeeItem.title": "kind of a fee",
    "Qot_Common.Broker.orderID": _MARKET,
    "Qot_Common.OrderBookDetail.orderID": _MARKET,
    "Qot_UpdatePriceReminder.S2C.key": _PAGE,
}
"""Fields whose names look personal and whose values stay, with the reason."""
