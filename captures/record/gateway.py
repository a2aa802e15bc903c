"""A mock OpenD gateway: accepts connections of the SDK, answers requests, sends pushes, writes down every message."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from . import vendor
from .journal import Entry, Journal, endpoint, now, sha1_hex
from .wire import HEADER, AesCbc, Cipher, Clear, FtAesEcb, Header, Rsa, read_header, write_frame

INIT_CONNECT, KEEP_ALIVE = 1001, 1004
SERVER_VERSION = 1011
LOGIN_USER_ID = 99000001  # made up, like every other id here
FIRST_CONN_ID = 9300000000000000001  # above 2**63: a connID is unsigned
KEEP_ALIVE_SECONDS = 4

Push = tuple[int, dict[str, Any]]


@dataclass
class Reply:
    """A successful answer, with pushes that go out in the same moment before or after it."""

    s2c: dict[str, Any] | None = None
    before: list[Push] = field(default_factory=list)
    after: list[Push] = field(default_factory=list)
    delay: float = 0.0


@dataclass
class Refusal:
    """An answer that is not RetType_Succeed."""

    text: str
    ret_type: int = -1
    err_code: int = 0


Answer = Reply | Refusal | None  # None: the gateway never answers
Answerer = Callable[["Connection", Any], Answer]


@dataclass(frozen=True)
class Profile:
    """How the gateway treats one connection."""

    key_file: Path | None = None
    algorithm: str = "None"
    clear_login_reply: bool = False  # InitConnect arrives under RSA and is answered in clear

    def session_cipher(self, key: str, iv: str) -> Cipher:
        if self.algorithm == "FTAES_ECB":
            return FtAesEcb(key.encode())
        if self.algorithm == "AES_CBC":
            return AesCbc(key.encode(), iv.encode())
        return Clear()


def session_key(conn_id: int, what: str) -> str:
    """16 ASCII characters that follow from the connID, so that a repeated recording uses the same keys."""
    return hashlib.sha256(f"{what} of {conn_id}".encode()).hexdigest()[:16].upper()


class Connection:
    """The gateway's end of one TCP connection."""

    def __init__(self, sock: socket.socket, conn_id: int, profile: Profile, journal: Journal) -> None:
        self.conn_id = conn_id
        self.profile = profile
        self.key = session_key(conn_id, "key")
        self.iv = session_key(conn_id, "iv")
        self.push_format = vendor.PROTOBUF
        self.request_format = vendor.PROTOBUF
        self.client = endpoint(sock.getpeername())
        self._sock = sock
        self._journal = journal
        self._lock = threading.Lock()
        self._push_serial = 0
        self._login: Cipher = Rsa(profile.key_file.read_bytes()) if profile.key_file else Clear()
        self._login_reply: Cipher = Clear() if profile.clear_login_reply else self._login
        self._session = profile.session_cipher(self.key, self.iv)

    def receive(self) -> tuple[Header, Message] | None:
        """Wait for the next request; None when the client has closed."""
        data = self._read(HEADER.size)
        if data is None:
            return None
        header = read_header(data)
        body = self._read(header.body_len) if header.body_len else b""
        if body is None:
            return None
        cipher = self._login if header.proto_id == INIT_CONNECT else self._session
        plaintext = cipher.decrypt(body)
        if hashlib.sha1(plaintext).digest() != header.sha1:
            raise ValueError(f"SHA-1 of request {header} does not agree")
        request = vendor.parse(plaintext, header.fmt, vendor.new(header.proto_id, "Request"))
        self.request_format = header.fmt
        self._write_down("c2s", "request", header, cipher, body, plaintext, request)
        return header, request

    def send(self, frames: Iterable[tuple[str, int, int, Message]], split_at: int | None = None) -> None:
        """Send messages (kind, protocol id, serial number, message) in one write.

        With ``split_at`` the write is cut there and the rest follows 20 ms later, so that a header or body comes in two
        segments.
        """
        with self._lock:
            data = b""
            for kind, proto_id, serial_no, message in frames:
                fmt = self.push_format if kind == "push" else self.request_format
                cipher = self._login_reply if proto_id == INIT_CONNECT else self._session
                plaintext = vendor.serialize(message, fmt)
                body = cipher.encrypt(plaintext)
                data += write_frame(proto_id, fmt, serial_no, plaintext, body)
                header = Header(proto_id, fmt, serial_no, len(body), hashlib.sha1(plaintext).digest())
                self._write_down("s2c", kind, header, cipher, body, plaintext, message)
            if split_at is None:
                self._sock.sendall(data)
            else:
                self._sock.sendall(data[:split_at])
                time.sleep(0.02)
                self._sock.sendall(data[split_at:])

    def push(self, *pushes: Push, split_at: int | None = None) -> None:
        """Send pushes (protocol id, s2c) in one write."""
        self.send([self.push_frame(push) for push in pushes], split_at)

    def push_frame(self, push: Push) -> tuple[str, int, int, Message]:
        proto_id, s2c = push
        self._push_serial += 1
        return "push", proto_id, self._push_serial, response(proto_id, s2c)

    def close(self) -> None:
        """Close from the gateway's side, as OpenD does when it throws a client out."""
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _read(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            try:
                part = self._sock.recv(size - len(data))
            except OSError:
                return None
            if not part:
                return None
            data += part
        return data

    def _write_down(
        self, direction: str, kind: str, header: Header, cipher: Cipher, body: bytes, plaintext: bytes, message: Message
    ) -> None:
        self._journal.add(
            Entry(
                client=self.client,
                direction=direction,
                proto_id=header.proto_id,
                serial_no=header.serial_no,
                kind=kind,
                format=vendor.FORMATS[header.fmt],
                encryption=cipher.name,
                wire_sha1=sha1_hex(body),
                sha1=header.sha1.hex(),
                plaintext=plaintext.hex(),
                body=vendor.to_dict(message),
                time_ns=now(),
            )
        )


def response(proto_id: int, s2c: dict[str, Any] | None) -> Message:
    """A successful Response of the protocol."""
    content: dict[str, Any] = {"retType": 0, "retMsg": "", "errCode": 0}
    if s2c is not None:
        content["s2c"] = s2c
    return json_format.ParseDict(content, vendor.new(proto_id, "Response"))


def refusal(proto_id: int, answer: Refusal) -> Message:
    content = {"retType": answer.ret_type, "retMsg": answer.text, "errCode": answer.err_code}
    return json_format.ParseDict(content, vendor.new(proto_id, "Response"))


class Gateway:
    """Listens and serves every connection in a thread of its own."""

    def __init__(self, host: str, port: int, answers: dict[int, Answerer]) -> None:
        self.journal = Journal()
        self.profile = Profile()  # of the next connection
        self.connections: list[Connection] = []
        self._answers = answers
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def last(self) -> Connection:
        """The connection that was opened last."""
        return self.connections[-1]

    def override(self, proto_id: int, answerer: Answerer | None) -> Answerer | None:
        """Answer a protocol in another way from now on; returns the way it was."""
        before = self._answers.pop(proto_id, None)
        if answerer is not None:
            self._answers[proto_id] = answerer
        return before

    def key_log(self) -> str:
        """The keys of all connections in the form that ``opendump --keylog`` reads."""
        lines = (f"OPEND_AES {c.conn_id} {c.key.encode().hex()} {c.iv.encode().hex()}\n" for c in self.connections)
        return "".join(lines)

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn_id = FIRST_CONN_ID + 1117 * len(self.connections)
            connection = Connection(sock, conn_id, self.profile, self.journal)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        while (received := connection.receive()) is not None:
            header, request = received
            if header.proto_id == INIT_CONNECT:
                answer: Answer = self._init_connect(connection, request)
            elif header.proto_id == KEEP_ALIVE:
                answer = Reply({"time": int(time.time())})
            else:
                answer = self._answers[header.proto_id](connection, request)
            self._answer(connection, header, answer)

    def _answer(self, connection: Connection, header: Header, answer: Answer) -> None:
        if answer is None:
            return
        if isinstance(answer, Refusal):
            connection.send([("response", header.proto_id, header.serial_no, refusal(header.proto_id, answer))])
            return
        frames = [connection.push_frame(push) for push in answer.before]
        frames.append(("response", header.proto_id, header.serial_no, response(header.proto_id, answer.s2c)))
        frames += [connection.push_frame(push) for push in answer.after]
        if answer.delay:
            threading.Timer(answer.delay, connection.send, [frames]).start()
        else:
            connection.send(frames)

    def _init_connect(self, connection: Connection, request: Any) -> Reply:
        connection.push_format = request.c2s.pushProtoFmt
        s2c: dict[str, Any] = {
            "serverVer": SERVER_VERSION,
            "loginUserID": LOGIN_USER_ID,
            "connID": connection.conn_id,
            "connAESKey": connection.key,
            "keepAliveInterval": KEEP_ALIVE_SECONDS,
            "userAttribution": vendor.module("Common").UserAttribution_HK,
        }
        if connection.profile.algorithm != "FTAES_ECB":
            # Without an iv the SDK falls back to FTAES_ECB; that is the only way to make it use that mode.
            s2c["aesCBCiv"] = connection.iv
        return Reply(s2c)
