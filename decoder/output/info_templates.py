"""Lists the fields that the Info column shows, by message type.

A template is a list of words.  ``{field}`` is a value: a nested message by its own template, a list by its first items
and the number of the others (``{^field}``: without that number).  ``{#field}`` is the length of a list,
``{flag?yes|no}`` chooses by a flag, ``{code+secMarket}`` joins the two as ``HK.00700``, ``{volume/hpVolume}`` prefers
the second unless it is absent or 0, ``{time~timestamp}`` adds the zone of a time text, ``{@security}`` is the zone of a
market, ``{&list}`` shows every nested message.  A word is shown only if its fields are present (a string or list: not
empty; ``{*field}``: not zero; ``{field>1}``: greater); words in ``[ ]`` are shown together or not at all.  A type
without a template shows all its scalar fields, then its nested messages and lists up to a limit.
"""

from __future__ import annotations

__all__ = ["TEMPLATES"]

_CANDLES = "{security} {#klList}"
_ORDER_BOOK = "{security} [bid {^orderBookBidList}] [ask {^orderBookAskList}]"
_SUBSCRIPTION = (
    "{isSubOrUnSub?sub|unsub} isUnsubAll={*isUnsubAll} {isRegOrUnRegPush?push|no-push} {subTypeList} {securityList}"
)

TEMPLATES = {
    # The connection and the gateway
    "InitConnect.C2S": "clientID={clientID} clientVer={clientVer} {programmingLanguage} packetEncAlgo={packetEncAlgo}"
    " recvNotify={recvNotify} pushProtoFmt={pushProtoFmt}",
    "InitConnect.S2C": "connID={connID} serverVer={serverVer} keepAliveInterval={keepAliveInterval}"
    " loginUserID={loginUserID} connAESKey={connAESKey} aesCBCiv={aesCBCiv}",
    "GetGlobalState.S2C": "{programStatus} qotLogined={qotLogined} trdLogined={trdLogined} serverVer={serverVer}"
    " marketHK={marketHK} marketUS={marketUS} marketSH={marketSH} marketSZ={marketSZ}",
    "Common.ProgramStatus": "{type} {strExtDesc}",
    "Notify.S2C": "{type} {event} {programStatus} {connectStatus} {qotRight} {apiLevel} {apiQuota} {usedQuota}",
    "Notify.GtwEvent": "{eventType} {desc}",
    "Notify.ProgramStatus": "{programStatus}",
    "Notify.ConnectStatus": "qotLogined={qotLogined} trdLogined={trdLogined}",
    "Notify.QotRight": "hkQotRight={hkQotRight} usQotRight={usQotRight} cnQotRight={cnQotRight}"
    " hkOptionQotRight={hkOptionQotRight} hkFutureQotRight={hkFutureQotRight} usOptionQotRight={usOptionQotRight}"
    " usFutureQotRight={usFutureQotRight}",
    "Notify.APILevel": "{apiLevel}",
    "Notify.APIQuota": "subQuota={subQuota} historyKLQuota={historyKLQuota}",
    "Notify.UsedQuota": "usedSubQuota={usedSubQuota} usedKLineQuota={usedKLineQuota}",
    "GetUserInfo.S2C": "userID={userID} {nickName} apiLevel={apiLevel} hkQotRight={hkQotRight}"
    " usQotRight={usQotRight} cnQotRight={cnQotRight} subQuota={subQuota} historyKLQuota={historyKLQuota}"
    " webKey={webKey}",
    # Trade
    "Trd_Common.TrdHeader": "{trdEnv} {trdMarket} accID={accID}",
    "Trd_Common.TrdAcc": "{trdEnv} accID={accID} {accType} {securityFirm} {trdMarketAuthList}",
    "Trd_Common.Funds": "{currency} totalAssets={totalAssets} cash={cash} marketVal={marketVal} power={power}",
    "Trd_Common.Position": "{code+secMarket} {positionSide} qty={qty} price={price} costPrice={costPrice}"
    " plVal={plVal}",
    "Trd_Common.Order": "{orderStatus} {trdSide} {code+secMarket} qty={qty} price={price} {orderType}"
    " filled={*fillQty}@{fillAvgPrice} session={*session} fillOutsideRTH={*fillOutsideRTH} orderID={orderID}"
    " {lastErrMsg}",
    "Trd_Common.OrderFill": "{trdSide} {code+secMarket} {qty}@{price} orderID={orderID} fillID={fillID} {status}",
    "Trd_Common.OrderFee": "{orderIDEx} feeAmount={feeAmount}",
    "Trd_Common.MaxTrdQtys": "maxCashBuy={maxCashBuy} maxCashAndMarginBuy={maxCashAndMarginBuy}"
    " maxPositionSell={maxPositionSell} maxSellShort={maxSellShort} maxBuyBack={maxBuyBack}",
    "Trd_GetAccList.S2C": "{#accList} {&accList}",
    "Trd_UnlockTrade.C2S": "{unlock?unlock|lock} {securityFirm} pwdMD5={pwdMD5}",
    "Trd_PlaceOrder.C2S": "{trdSide} {code+secMarket} qty={qty} price={price} {orderType} auxPrice={auxPrice}"
    " {timeInForce} session={*session} fillOutsideRTH={*fillOutsideRTH} remark={remark} {header}",
    "Trd_PlaceOrder.S2C": "orderID={*orderID} orderIDEx={orderIDEx} {header}",
    "Trd_PlaceComboOrder.C2S": "{comboLegs} qty={qty} price={price} {orderType} {timeInForce} {header}",
    "Trd_PlaceComboOrder.S2C": "orderIDEx={orderIDEx} {header}",
    "Trd_ModifyOrder.C2S": "{modifyOrderOp} orderID={*orderID} orderIDEx={orderIDEx} qty={qty} price={price}"
    " forAll={*forAll} {header}",
    "Trd_GetMaxTrdQtys.C2S": "{code+secMarket} price={price} {orderType} orderID={*orderID}"
    " orderIDEx={orderIDEx} {header}",
    "Trd_ModifyOrder.S2C": "orderID={*orderID} orderIDEx={orderIDEx} {header}",
    "Trd_UpdateOrder.S2C": "{order} {header}",
    "Trd_UpdateOrderFill.S2C": "{orderFill} {header}",
    # Quotes: requests
    "Qot_Sub.C2S": _SUBSCRIPTION,
    "Qot_SubEventContract.C2S": _SUBSCRIPTION,
    "Qot_RegQotPush.C2S": "{isRegOrUnReg?register|unregister} {subTypeList} {securityList}",
    "Qot_GetKL.C2S": "{security} {klType} {rehabType} reqNum={reqNum}",
    "Qot_GetKL.S2C": _CANDLES,
    "Qot_GetHistoryKL.S2C": _CANDLES,
    "Qot_RequestHistoryKL.C2S": "{security} {klType} {rehabType} {beginTime} {endTime} {@security}"
    " maxAckKLNum={maxAckKLNum} nextReqKey={nextReqKey}",
    "Qot_RequestHistoryKL.S2C": _CANDLES + " nextReqKey={nextReqKey}",
    "Qot_GetRT.S2C": "{security} {#rtList}",
    "Qot_GetTicker.S2C": "{security} {#tickerList}",
    "Qot_GetOrderBook.S2C": _ORDER_BOOK,
    "Qot_GetBroker.S2C": "{security} {#brokerBidList} {#brokerAskList}",
    "Qot_SetPriceReminder.C2S": "{security} {op} key={key} {type} {freq} value={value} {note}",
    # Quotes: pushes
    "Qot_UpdateBasicQot.S2C": "{basicQotList}",
    "Qot_UpdateKL.S2C": "{security} {klType} {klList}",
    "Qot_UpdateRT.S2C": "{security} {rtList}",
    "Qot_UpdateTicker.S2C": "{security} {tickerList}",
    "Qot_UpdateOrderBook.S2C": _ORDER_BOOK,
    "Qot_UpdateBroker.S2C": "{security} {#brokerBidList} {#brokerAskList}",
    "Qot_UpdatePriceReminder.S2C": "{security} price={price} {type} setValue={setValue} {content}",
    "Qot_UpdateEventContractKline.S2C": "{klineList}",
    "Qot_UpdateEventContractOrderBook.S2C": "{orderBookList}",
    "Qot_UpdateEventContractTicker.S2C": "{tickerList}",
    # Quotes: parts
    "Qot_Common.BasicQot": "{security} curPrice={curPrice} volume={volume/hpVolume} turnover={turnover}",
    "Qot_Common.KLine": "{time~timestamp} [O={openPrice} H={highPrice} L={lowPrice} C={closePrice}]"
    " volume={volume/hpVolume}",
    "Qot_Common.TimeShare": "{time~timestamp} price={price} volume={volume/hpVolume}",
    "Qot_Common.Ticker": "{dir} {volume/hpVolume}@{price} {type>1} {pushDataType>1}",
    "Qot_Common.OrderBook": "{volume/hpVolume}@{price}",
    "Qot_Common.ComboLeg": "{side} {security}",
    "Qot_Common.SubInfo": "{subType} {securityList}",
    "Qot_Common.ConnSubInfo": "{isOwnConnData?own|other} usedQuota={usedQuota} {subInfoList}",
    "Qot_Common.SecurityStaticInfo": "{basic}",
    "Qot_Common.SecurityStaticBasic": "{security} {secType} {name}",
    "Qot_Common.PlateInfo": "{plate} {name}",
    "Qot_GetMarketState.MarketInfo": "{security} {marketState}",
    "Qot_GetSecuritySnapshot.Snapshot": "{basic}",
    "Qot_GetSecuritySnapshot.SnapshotBasicData": "{security} curPrice={curPrice} volume={volume/hpVolume}"
    " {updateTime~updateTimestamp}",
    "Qot_GetPriceReminder.PriceReminder": "{security} {#itemList}",
    "Qot_GetUserSecurityGroup.GroupData": "{groupName} {groupType}",
    "Qot_GetOwnerPlate.SecurityOwnerPlate": "{security} {#plateInfoList}",
    "Qot_GetFutureInfo.FutureInfo": "{security} {contractType} {lastTradeTime~lastTradeTimestamp}",
    "Qot_GetIpoList.BasicIpoData": "{security} {name} {listTime}",
    "Qot_GetIpoList.IpoData": "{basic}",
    "Qot_StockFilter.StockData": "{security} {name}",
    "Qot_GetEventContractKline.KlineItem": "{code} {pre_side} {#klineList}",
    "Qot_GetEventContractOrderBook.OrderBookItem": "{code} {#yesBids} {#yesAsks}",
    "Qot_GetEventContractTicker.TickerItem": "{code} {#tickerList}",
}
