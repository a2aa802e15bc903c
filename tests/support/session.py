"""Whole sessions made by hand: an `Exchange` that numbers and seals its messages, and can misbehave."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from Crypto.PublicKey.RSA import RsaKey

from tests.support.exchange import (
    CONN_ID,
    KEY,
    MODES,
    STEP_NS,
    Exchange,
    frame,
    init_request,
    init_response,
    rsa,
    vendor,
)

SECOND = 1_000_000_000
HK = 1


def filled(message: Any, fields: dict[str, Any]) -> Any:
    """`message` with `fields` set: dicts are messages in it, lists are repeated fields."""
    for name, value in fields.items():
        if isinstance(value, dict):
            filled(getattr(message, name), value)
            getattr(message, name).SetInParent()
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    filled(getattr(message, name).add(), item)
                else:
                    getattr(message, name).append(item)
        else:
            setattr(message, name, value)
    return message


def request(module: str, **c2s: Any) -> bytes:
    """The body of a request, by the vendor's classes."""
    message = filled(vendor(module).Request(), {"c2s": c2s})
    data: bytes = message.SerializePartialToString()
    return data


def response(module: str, ret_type: Any = 0, text: Any = "", **s2c: Any) -> bytes:
    """The body of a response or push."""
    fields: dict[str, Any] = {"retType": ret_type, "retMsg": text}
    if s2c or ret_type == 0:
        fields["s2c"] = s2c
    data: bytes = filled(vendor(module).Response(), fields).SerializePartialToString()
    return data


def security(code: str = "00700", market: int = HK) -> dict[str, Any]:
    return {"market": market, "code": code}


def order(packet_serial: int, conn_id: int = CONN_ID, code: str = "00700", price: float = 400.2) -> bytes:
    return request(
        "Trd_PlaceOrder",
        packetID={"connID": conn_id, "serialNo": packet_serial},
        header={"trdEnv": 1, "accID": 1, "trdMarket": 1},
        trdSide=1,
        orderType=1,
        code=code,
        qty=100.0,
        price=price,
    )


def order_update(
    status: int,
    text: str = "",
    order_id: int = 7,
    acc_id: int = 1,
    *,
    qty: float = 100.0,
    price: float = 400.2,
    **fields: Any,
) -> bytes:
    """A push of an order; `fields` are further ones of it."""
    return response(
        "Trd_UpdateOrder",
        header={"trdEnv": 1, "accID": acc_id, "trdMarket": 1},
        order={
            "trdSide": 1,
            "orderType": 1,
            "orderStatus": status,
            "orderID": order_id,
            "orderIDEx": f"EX{order_id}",
            "code": "00700",
            "name": "x",
            "qty": qty,
            "price": price,
            "createTime": "",
            "updateTime": "",
            "lastErrMsg": text,
            **fields,
        },
    )


def book(code: str = "00700") -> bytes:
    return response("Qot_UpdateOrderBook", security=security(code))


class Session(Exchange):
    """`ask`, `answer` and `push` send one message each; `wait` lets time pass; serial numbers count up by themselves.

    After `hello` bodies are sealed in `mode`; without a key the handshake and all else are in clear.
    """

    def __init__(
        self, key: RsaKey | None = None, mode: str = "AES_CBC", *, local: bool = False, **options: Any
    ) -> None:
        self._local = local
        super().__init__(**options)
        self._key = key
        self._mode = mode if key is not None else None
        self._serial = {"ask": 0, "push": 0}
        if local:
            self._ends = ("192.0.2.7", "192.0.2.7")

    def hello(self, interval: int = 10, conn_id: int = CONN_ID, **fields: Any) -> Session:
        """InitConnect, both ways."""
        asked = init_request(**({"packetEncAlgo": 2 if self._key else -1} | fields))
        answer = filled(vendor("InitConnect").Response.FromString(init_response(conn_id)), {})
        answer.s2c.keepAliveInterval = interval
        answered = answer.SerializeToString()
        self._serial["ask"] += 1
        self.wait(0.001)
        for send, body in ((self.c2s, asked), (self.s2c, answered)):
            send(frame(1001, body, rsa(body, self._key) if self._key else None, serial_no=self._serial["ask"]))
        return self

    def ask(self, proto_id: int, body: bytes, serial_no: int | None = None, **options: Any) -> int:
        """A request; gives its serial number."""
        if serial_no is None:
            self._serial["ask"] += 1
            serial_no = self._serial["ask"]
        self.c2s(self._frame(proto_id, body, serial_no, **options))
        return serial_no

    def answer(self, proto_id: int, serial_no: int, body: bytes, **options: Any) -> Session:
        """A response."""
        self.s2c(self._frame(proto_id, body, serial_no, **options))
        return self

    def talk(self, proto_id: int, asked: bytes, answered: bytes) -> Session:
        """A request and its response."""
        return self.answer(proto_id, self.ask(proto_id, asked), answered)

    def push(self, proto_id: int, body: bytes, **options: Any) -> Session:
        self._serial["push"] += 1
        self.s2c(self._frame(proto_id, body, self._serial["push"], **options))
        return self

    def keep_alive(self) -> Session:
        return self.talk(1004, request("KeepAlive", time=1), response("KeepAlive", time=1))

    def wait(self, seconds: float) -> Session:
        self.now += int(seconds * SECOND)
        return self

    def alive(self, seconds: int, interval: int = 8) -> Session:
        """Time passes with a KeepAlive now and then."""
        for _ in range(seconds // interval):
            self.wait(interval).keep_alive()
        return self

    def close(self, by: str = "c2s", flags: str = "FA") -> Session:
        """The end, begun by one side; a reset if `flags` has an R."""
        self.put(by, flags)
        if "R" not in flags:
            self.put("s2c" if by == "c2s" else "c2s", "FA")
        return self

    def repeat_last(self, change: bytes | None = None) -> Session:
        """The last packet again; `change`: with these as its last bytes."""
        data, _ = self.packets[-1]
        if change is not None:
            data = data[: -len(change)] + change
        self.packets.append((data, self.now))
        self.now += STEP_NS
        return self

    def _frame(self, proto_id: int, body: bytes, serial_no: int, *, clear: bool = False, **options: Any) -> bytes:
        sealed = MODES[self._mode](body) if self._mode and not clear else None
        return frame(proto_id, body, sealed, serial_no=serial_no, **options)


def write_pcap(path: Path, *sessions: Exchange) -> Path:
    """All packets of the sessions, in time order, as a pcap file with nanoseconds."""
    packets = sorted((packet for session in sessions for packet in session.packets), key=lambda packet: packet[1])
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        for data, time_ns in packets:
            file.write(struct.pack("<IIII", time_ns // SECOND, time_ns % SECOND, len(data), len(data)) + data)
    return path


__all__ = [
    "CONN_ID",
    "HK",
    "KEY",
    "SECOND",
    "Session",
    "book",
    "filled",
    "order",
    "order_update",
    "request",
    "response",
]
