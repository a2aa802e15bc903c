"""Traffic for each finding that answers a public question, and beside it a look-alike that must stay silent.

Bodies are of the vendor's classes; nothing here comes from the decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from Crypto.Cipher import PKCS1_OAEP, PKCS1_v1_5

from tests.support.exchange import CONN_ID, START_NS, Exchange, frame, init_request, rsa_key
from tests.support.session import Session, book, order, order_update, request, response, security

Traffic = list[Session]
PAIRS: dict[str, tuple[Callable[[], Traffic], Callable[[], Traffic]]] = {}
"""By code: traffic that shows it, and traffic that is like it and does not."""

KEY = rsa_key()
OLD_CONN_ID = 1_699_990_000_000 << 22 | 5  # drawn 10,000 s before `START_NS`
HEADER = {"trdEnv": 1, "accID": 1, "trdMarket": 1}


def pair(code: str, shows: Callable[[], Traffic], silent: Callable[[], Traffic]) -> None:
    PAIRS[code] = shows, silent


def hello(port: int = 50_112, **options: Any) -> Session:
    # A connID of its own: two conversations with the same bytes are taken for copies of one.
    return Session(KEY, client_port=port).hello(conn_id=CONN_ID + port - 50_112, **options)


def told(session: Session, *accounts: int) -> Session:
    """The session subscribes to the pushes of accounts."""
    return session.talk(2008, request("Trd_SubAccPush", accIDList=accounts or [1]), response("Trd_SubAccPush"))


def placed(session: Session, serial: int = 5, order_id: int = 7) -> Session:
    answer = response("Trd_PlaceOrder", header=HEADER, orderID=order_id, orderIDEx=f"EX{order_id}")
    return session.wait(0.1).talk(2202, order(serial), answer)


def changed(session: Session, op: int, serial: int = 6, ret_type: int = 0, **fields: Any) -> Session:
    asked = request(
        "Trd_ModifyOrder",
        packetID={"connID": 9_300_000_000_000_000_777, "serialNo": serial},
        header=HEADER,
        orderID=7,
        modifyOrderOp=op,
        **fields,
    )
    answer = response("Trd_ModifyOrder", ret_type, "no" * bool(ret_type), header=HEADER, orderID=7, orderIDEx="EX7")
    return session.wait(0.1).talk(2205, asked, answer)


def state(status: int, qty: float = 100.0, price: float = 400.2, filled: float = 0.0, order_id: int = 7) -> bytes:
    return order_update(status, order_id=order_id, qty=qty, price=price, fillQty=filled)


def fill(fill_id: int = 99, qty: float = 100.0, order_id: int = 7, status: int = 0) -> bytes:
    return response(
        "Trd_UpdateOrderFill",
        header=HEADER,
        orderFill={
            "trdSide": 1,
            "fillID": fill_id,
            "fillIDEx": f"F{fill_id}",
            "orderID": order_id,
            "orderIDEx": f"EX{order_id}",
            "code": "00700",
            "name": "x",
            "qty": qty,
            "price": 400.2,
            "createTime": "",
            "status": status,
        },
    )


def sub(session: Session, *codes: str, on: bool = True, ret_type: int = 0, text: str = "") -> Session:
    securities = [security(code) for code in codes]
    asked = request("Qot_Sub", securityList=securities, subTypeList=[2], isSubOrUnSub=on, isRegOrUnRegPush=on)
    return session.talk(3001, asked, response("Qot_Sub", ret_type, text))


def links(quote: bool) -> bytes:
    return response("Notify", type=3, connectStatus={"qotLogined": quote, "trdLogined": quote})


def pushes(session: Session, count: int, code: str = "00700") -> Session:
    for _ in range(count):
        session.wait(1).push(3013, book(code)).keep_alive()
    return session


def snapshots(count: int, text: str = "", every: float = 0.1, codes: tuple[str, ...] = ("00700",)) -> Session:
    session = hello()
    asked = request("Qot_GetSecuritySnapshot", securityList=[security(code) for code in codes])
    for number in range(count):
        refused = text if text and number == count - 1 else ""
        session.wait(every).talk(3203, asked, response("Qot_GetSecuritySnapshot", -bool(refused), refused))
    return session


def accounts(**request_header: Any) -> Session:
    """A list of accounts, then a question about one of them."""
    session = hello()
    real = {"trdEnv": 1, "accID": 281474976710655001, "trdMarketAuthList": [1, 2], "securityFirm": 2}
    simulated = {"trdEnv": 0, "accID": 77, "trdMarketAuthList": [1]}
    session.talk(2001, request("Trd_GetAccList", userID=1), response("Trd_GetAccList", accList=[real, simulated]))
    header = {"trdEnv": 1, "accID": 281474976710655001, "trdMarket": 1, **request_header}
    return session.talk(2101, request("Trd_GetFunds", header=header), response("Trd_GetFunds", header=header))


def failing(proto_id: int, module: str, text: str, **c2s: Any) -> Session:
    return hello().talk(proto_id, request(module, **c2s), response(module, -1, text))


START = START_NS / 1e9
"""Time of the first packet of a session, in seconds."""


def ticks(*fields: dict[str, Any]) -> bytes:
    """A push of live ticks with these times."""
    base = {"time": "", "sequence": 1, "dir": 1, "price": 1.0, "volume": 1, "turnover": 1.0, "pushDataType": 1}
    return response("Qot_UpdateTicker", security=security(), tickerList=[base | each for each in fields])


# Orders

pair(
    "trade-push-not-subscribed",
    lambda: [placed(hello()).alive(40)],
    lambda: [told(hello()).alive(80), placed(hello(50_113).wait(1)).alive(40)],  # another connection hears of it
)
pair(
    "cancel-without-effect",
    lambda: [changed(placed(told(hello())).push(2208, state(5)), 2).alive(48).push(2208, state(11, filled=100.0))],
    lambda: [changed(placed(told(hello())).push(2208, state(5)), 2).push(2208, state(15)).alive(48)],
)
pair(
    "change-without-effect",
    lambda: [changed(placed(told(hello())).push(2208, state(5)), 1, qty=200.0, price=9.0).alive(48)],
    lambda: [
        changed(placed(told(hello())).push(2208, state(5)), 1, qty=200.0, price=9.0)
        .push(2208, state(5, 200.0, 9.0))
        .alive(48)
    ],
)
pair(
    "order-status-went-back",
    lambda: [placed(told(hello())).push(2208, state(5)).push(2208, state(11, filled=100.0)).push(2208, state(5))],
    # Another connection tells everything once more, later.
    lambda: [
        placed(told(hello())).push(2208, state(5)).push(2208, state(11, filled=100.0)),
        told(hello(50_113)).wait(0.3).push(2208, state(5)).push(2208, state(11, filled=100.0)),
    ],
)
pair(
    "fill-repeated",
    lambda: [placed(told(hello())).push(2218, fill()).push(2218, fill())],
    lambda: [
        placed(told(hello())).push(2218, fill()).push(2218, fill(100)).push(2218, fill(status=1)),
        told(hello(50_113)).wait(0.3).push(2218, fill()),
    ],
)
pair(
    "orders-too-close",
    lambda: [
        told(hello()).talk(2202, order(5), response("Trd_PlaceOrder")).talk(2202, order(6), response("Trd_PlaceOrder"))
    ],
    lambda: [placed(placed(told(hello())), 6, 8)],
)

# Requests

pair("rate-limit-near", lambda: [snapshots(48)], lambda: [snapshots(47), snapshots(60, every=1.0)])
pair(
    "quota-held-by-other-connection",
    lambda: [sub(hello(), "00001", "00002"), sub(hello(50_113).wait(1), "00003", ret_type=-1, text="订阅额度不足")],
    lambda: [sub(hello(), "00003", ret_type=-1, text="订阅额度不足")],
)
pair(
    "opend-link-lost",
    lambda: [failing(3203, "Qot_GetSecuritySnapshot", "NN_ProtoRet_ByDisConnOrCacnel")],
    lambda: [failing(3203, "Qot_GetSecuritySnapshot", "NN_ProtoRet_TimeOut")],
)
pair(
    "batch-refused",
    lambda: [snapshots(1, "Unknown stock 02189", codes=("00700", "02189"))],
    lambda: [snapshots(1, "Unknown stock 02189", codes=("02189",))],
)
pair(
    "read-before-subscribed",
    lambda: [failing(3012, "Qot_GetOrderBook", "please subscribe to ORDER_BOOK data first", num=1)],
    lambda: [failing(3012, "Qot_GetOrderBook", "no such thing", num=1)],
)
pair(
    "unsubscribed-too-early",
    lambda: [sub(sub(hello(), "00002"), "00002", on=False, ret_type=-1, text="订阅时间过短，至少需要订阅1分钟")],
    lambda: [sub(sub(hello(), "00002"), "00002", on=False)],
)
pair(
    "account-mismatch",
    lambda: [accounts(accID=281474976710655000), accounts(trdEnv=0), accounts(trdMarket=4)],
    lambda: [accounts(), accounts(trdEnv=0, accID=77), accounts(accID=5)],
)
pair(
    "simulated-cannot",
    lambda: [failing(2211, "Trd_GetOrderFillList", "模拟交易不支持成交数据", header={**HEADER, "trdEnv": 0})],
    lambda: [failing(2211, "Trd_GetOrderFillList", "模拟", header={**HEADER, "trdEnv": 0})],
)
pair(
    "version-mismatch",
    lambda: [failing(3203, "Qot_GetSecuritySnapshot", "未知的协议ID")],
    lambda: [hello().talk(9_998, b"\x0a\x00", response("Qot_GetSecuritySnapshot", -1, "未知的协议ID"))],
)


def serials(*numbers: int) -> Session:
    session = hello()
    for number in numbers:
        asked = session.ask(1002, request("GetGlobalState", userID=1), serial_no=number)
        session.answer(1002, asked, response("GetGlobalState", -1, "x"))
    return session


pair("serial-not-growing", lambda: [serials(10, 9, 8)], lambda: [serials(8, 9, 1000).keep_alive()])

# Connections


class Refused(Session):
    """A SYN that is answered by a reset, or by nothing."""

    def __init__(self, *, answered: bool, port: int = 50_112) -> None:
        super().__init__(syn=False, client_port=port)
        first = self.next["c2s"]
        self.put("c2s", "S")
        if answered:
            self.put("s2c", "RA")
        else:
            self.wait(3)
            self.next["c2s"] = first
            self.put("c2s", "S")


pair("refused", lambda: [Refused(answered=True)], lambda: [hello().close("s2c", "RA")])
pair("unreachable", lambda: [Refused(answered=False)], lambda: [hello()])
pair("closed-before-login", lambda: [Session().close("s2c")], lambda: [hello().close("s2c")])


def asks_in_vain(answer: bool) -> Session:
    session = Session(KEY)
    if answer:
        return session.hello()
    first = Session(KEY).hello()
    session.packets += first.packets[3:4]
    session.next["c2s"] += len(first.packets[3][0]) - 54
    session.now = first.now
    return session.wait(11).close()


pair("login-unanswered", lambda: [asks_in_vain(False)], lambda: [asks_in_vain(True)])
pair(
    "no-login",
    lambda: [Session().talk(1002, request("GetGlobalState", userID=1), response("GetGlobalState", -1, "x"))],
    lambda: [Session(syn=False).talk(1002, request("GetGlobalState", userID=1), response("GetGlobalState", -1, "x"))],
)


def many(count: int, length: float) -> Traffic:
    """Connections that begin every 0.1 s and last `length` seconds."""
    sessions = []
    for number in range(count):
        session = Session(client_port=40_000 + number)
        session.packets = []
        session.wait(0.1 * number)
        session.next = {"c2s": 1000, "s2c": 5000}
        session.put("c2s", "S").put("s2c", "SA")
        sessions.append(session.hello(conn_id=CONN_ID + number).wait(length).keep_alive().close())
    return sessions


pair("connections-near-limit", lambda: many(110, 20), lambda: many(110, 6))
pair("short-connections", lambda: many(25, 1), lambda: [*many(15, 1), hello().alive(16)])


def on_network(key: bytes) -> Session:
    """An encrypted session whose InitConnect answer hands out `key`."""
    from tests.support import exchange as ex

    session = Session(KEY)
    session.c2s(ex.frame(1001, ex.init_request(), ex.rsa(ex.init_request(), KEY), serial_no=1))
    answer = ex.init_response(key=key)
    session.s2c(ex.frame(1001, answer, ex.rsa(answer, KEY), serial_no=1))
    asked = request("KeepAlive", time=1)
    session.c2s(ex.frame(1004, asked, ex.cbc(asked, key), serial_no=2))
    body = response("KeepAlive", time=1)
    session.s2c(ex.frame(1004, body, ex.cbc(body, key), serial_no=2))
    return session


pair("weak-key", lambda: [on_network(b"0123456789ABCDEF")], lambda: [on_network(b"\x01opendump-Xkey/.")])

# What the gateway tells


def rights(*levels: int) -> Session:
    session = hello()
    for level in levels:
        right = {"hkQotRight": level, "usQotRight": 3, "cnQotRight": 2}
        session.push(1003, response("Notify", type=4, qotRight=right))
    return session


def padded(cipher: Any) -> Session:
    """An InitConnect alone, its RSA padded by `cipher`."""
    body = init_request()
    step = KEY.size_in_bytes() - 42  # what OAEP leaves; less than PKCS#1 v1.5 leaves
    sealed = b"".join(cipher.encrypt(body[at : at + step]) for at in range(0, len(body), step))
    return Session(KEY).c2s(frame(1001, body, sealed)).fin()


pair("rsa-padding", lambda: [padded(PKCS1_OAEP.new(KEY))], lambda: [padded(PKCS1_v1_5.new(KEY))])

pair("quote-right-lost", lambda: [rights(3, 1)], lambda: [rights(1, 3)])


def counted(port: int, first: int, wait: float) -> Session:
    session = hello(port)
    session._serial["push"] = first
    session.wait(wait)
    for _ in range(3):
        session.push(1003, response("Notify", type=0))
    return session


def later(session: Session, seconds: float) -> Session:
    """The session, begun so much later."""
    shift = int(seconds * 1_000_000_000)
    session.packets = [(data, time_ns + shift) for data, time_ns in session.packets]
    return session


pair(
    "opend-restarted",
    lambda: [counted(50_112, 5_000, 1).close(), later(counted(50_113, 0, 1), 60)],
    lambda: [counted(50_112, 5_000, 1).close(), later(counted(50_113, 5_010, 1), 60)],
)


def from_the_middle(conn_id: int) -> Session:
    session = Session(syn=False)
    asked = order(5, conn_id=conn_id)
    answer = response("Trd_PlaceOrder", header=HEADER, orderID=7, orderIDEx="EX7")
    return session.talk(2202, asked, answer)


pair(
    "session-older-than-capture",
    lambda: [from_the_middle(OLD_CONN_ID)],
    lambda: [from_the_middle(9_300_000_000_000_000_777), from_the_middle(1_699_999_999_000 << 22)],
)

# Pushes


def quiet(session: Session) -> Session:
    return pushes(sub(session, "00700"), 5).push(1003, links(False)).wait(5).push(1003, links(True)).alive(120)


def resumed() -> Session:
    session = pushes(sub(hello(), "00700"), 5).push(1003, links(False)).wait(5).push(1003, links(True))
    return pushes(session, 70)


def lunch() -> Session:
    """Silence without a cause that ends by itself."""
    return pushes(pushes(sub(hello(), "00700"), 5).alive(3_600), 5)


pair("pushes-stopped", lambda: [quiet(hello())], lambda: [resumed(), lunch()])


def comes_back(*codes: str, client_id: str = "test") -> Traffic:
    first = pushes(sub(hello(), "00700", "00005"), 5).close("s2c")
    second = sub(later_session(20, client_id), *codes) if codes else later_session(20, client_id)
    return [first, second.alive(64)]


def later_session(seconds: float, client_id: str) -> Session:
    session = Session(KEY, client_port=50_200)
    session.packets = [(data, time_ns + int(seconds * 1e9)) for data, time_ns in session.packets]
    session.wait(seconds)
    return session.hello(conn_id=CONN_ID + 1, clientID=client_id)


pair(
    "subscriptions-not-renewed",
    lambda: comes_back("00700"),
    lambda: comes_back("00700", "00005") + comes_back("00001", client_id="another"),
)

__all__ = [
    "KEY",
    "PAIRS",
    "START",
    "Exchange",
    "Traffic",
    "fill",
    "order_update",
    "placed",
    "state",
    "sub",
    "ticks",
    "told",
]
