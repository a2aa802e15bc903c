"""What client and gateway do in each WebSocket recording."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from google.protobuf import json_format
from websockets.sync.client import connect

from . import quotes, trading, vendor
from .bridge import OPEND_DISCONNECTED, Bridge
from .environment import JAVASCRIPT_CLIENT
from .gateway import Answerer, Refusal
from .journal import Entry, Journal, endpoint, now, sha1_hex
from .quotes import HK_TENCENT
from .wire import HEADER, read_header, write_frame

Answers = dict[int, Answerer]
TOKEN = "a-token-that-nobody-uses"


def javascript(answers: Answers, port: int, work: Path, deflate: bool = False) -> None:
    """The official JavaScript SDK: quotes, an order, a request without an answer, pushes, the end, and again."""
    answers |= {quotes.GET_TIMESHARE: lambda *_: None}
    bridge = Bridge("127.0.0.1", port, answers, deflate=deflate)
    journal = work / "client.jsonl"
    environment = {**os.environ, "DEFLATE": "1" if deflate else "0", "NODE_NO_WARNINGS": "1"}
    client = subprocess.Popen(["node", JAVASCRIPT_CLIENT, str(port), str(journal)], env=environment)
    go = work / "client.jsonl.go"
    while not go.exists():
        if client.poll() is not None:
            raise RuntimeError("the JavaScript client failed")
        time.sleep(0.02)
    peer = bridge.last
    for turn in range(3):
        peer.push(*quotes.every_push(HK_TENCENT, turn))
    peer.ping()
    peer.send("push", OPEND_DISCONNECTED, 0, b"")
    peer.close()
    if client.wait(30):
        raise RuntimeError("the JavaScript client failed")
    bridge.journal.save(work / "gateway.jsonl")


def javascript_deflate(answers: Answers, port: int, work: Path) -> None:
    """The same with permessage-deflate."""
    javascript(answers, port, work, deflate=True)


def framed(answers: Answers, port: int, work: Path) -> None:
    """A client of ours that sends 44-byte headers inside WebSocket messages, with a token in the address."""
    limit = Refusal("请求频率太高,获取股票快照接口每30秒最多60次", err_code=5)
    answers |= {quotes.SNAPSHOT: lambda *_: limit}
    bridge = Bridge("127.0.0.1", port, answers, framed=True)
    journal = Journal()
    requests = [
        (1001, {"c2s": {"clientVer": 300, "clientID": "framed", "recvNotify": True, "programmingLanguage": "Rust"}}),
        (1002, {"c2s": {"userID": 0}}),
        (quotes.GET_ORDER_BOOK, {"c2s": {"security": HK_TENCENT, "num": 10}}),
        (quotes.GET_KLINE, {"c2s": {"rehabType": 1, "klType": 1, "security": HK_TENCENT, "reqNum": 600}}),
        (quotes.SNAPSHOT, {"c2s": {"securityList": [HK_TENCENT]}}),
        (trading.ACC_LIST, {"c2s": {"userID": 99000001}}),
    ]
    with connect(f"ws://127.0.0.1:{port}/?token={TOKEN}", compression=None, max_size=None) as socket:
        client = endpoint(socket.local_address)
        for serial_no, (proto_id, fields) in enumerate(requests, 1):
            body = json_format.ParseDict(fields, vendor.new(proto_id, "Request")).SerializeToString()
            journal.add(_entry(client, "c2s", "request", proto_id, serial_no, body))
            socket.send(write_frame(proto_id, vendor.PROTOBUF, serial_no, body, body))
            _receive(socket, client, "response", journal)
        pushes = quotes.every_push(HK_TENCENT, 0)
        bridge.last.push(*pushes)
        for _ in pushes:
            _receive(socket, client, "push", journal)
    journal.save(work / "client.jsonl")
    bridge.journal.save(work / "gateway.jsonl")


def _receive(socket: object, client: str, kind: str, journal: Journal) -> None:
    data = socket.recv()  # type: ignore[attr-defined]
    header = read_header(data[: HEADER.size])
    journal.add(_entry(client, "s2c", kind, header.proto_id, header.serial_no, data[HEADER.size :]))


def _entry(client: str, direction: str, kind: str, proto_id: int, serial_no: int, body: bytes) -> Entry:
    message = vendor.parse(body, 0, vendor.new(proto_id, "Request" if direction == "c2s" else "Response"))
    digest = sha1_hex(body)
    return Entry(
        client=client,
        direction=direction,
        proto_id=proto_id,
        serial_no=serial_no,
        kind=kind,
        format="Protobuf",
        encryption="None",
        wire_sha1=digest,
        sha1=digest,
        plaintext=body.hex(),
        body=vendor.to_dict(message),
        time_ns=now(),
    )
