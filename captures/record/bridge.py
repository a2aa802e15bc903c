"""A mock of OpenD's WebSocket port: the headers of the JavaScript SDK (20 and 44 bytes), or `FT` frames."""

from __future__ import annotations

import struct
import threading
import time
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.sync.server import Server, ServerConnection, serve

from . import vendor
from .gateway import FIRST_CONN_ID, LOGIN_USER_ID, SERVER_VERSION, Answerer, Push, Refusal, Reply, refusal, response
from .journal import Entry, Journal, endpoint, now, sha1_hex
from .wire import HEADER, read_header, write_frame

SIGN = b"ft-v1.0\0"
REQUEST = struct.Struct(">8sIQ")
REPLY = struct.Struct(">8sIQi20s")
INIT, OPEND_DISCONNECTED, INIT_CONNECT = 1, 2, 1001
OPEND_TIMEOUT = 2  # error of a reply header: OpenD got no answer from its servers
PLAIN_INIT = b"\x08\x00\x22"  # retType 0, then s2c


class Peer:
    """The gateway's end of one WebSocket connection."""

    def __init__(self, socket: ServerConnection, conn_id: int, journal: Journal, framed: bool) -> None:
        self.conn_id = conn_id
        self.client = endpoint(socket.remote_address)
        self.framed = framed
        self._socket = socket
        self._journal = journal
        self._push_number = 0

    def send(self, kind: str, cmd: int, section: int, body: bytes, error: int = 0, text: str = "") -> None:
        """Send one message; a push is numbered by the gateway."""
        if kind == "push":
            self._push_number += 1
            section = self._push_number if self.framed else 0
        self.write_down("s2c", kind, cmd, section, body, (error, text) if error else None)
        self._socket.send(self._pack(cmd, section, body, error, text))

    def send_in_pieces(self, kind: str, cmd: int, section: int, body: bytes) -> None:
        """Send one message in three WebSocket fragments."""
        self.write_down("s2c", kind, cmd, section, body, None)
        data = self._pack(cmd, section, body, 0, "")
        third = len(data) // 3
        self._socket.send([data[:third], data[third : 2 * third], data[2 * third :]])

    def push(self, *pushes: Push) -> None:
        """Send pushes (protocol id, s2c)."""
        for proto_id, s2c in pushes:
            self.send("push", proto_id, 0, response(proto_id, s2c).SerializeToString())

    def ping(self) -> None:
        """Send a WebSocket ping and wait for its pong."""
        self._socket.ping().wait()

    def close(self) -> None:
        self._socket.close()

    def _pack(self, cmd: int, section: int, body: bytes, error: int, text: str) -> bytes:
        if self.framed:
            return write_frame(cmd, vendor.PROTOBUF, section, body, body)
        return REPLY.pack(SIGN, cmd, section, error, text.encode()) + body

    def write_down(
        self, direction: str, kind: str, cmd: int, section: int, body: bytes, error: tuple[int, str] | None
    ) -> None:
        self._journal.add(
            Entry(
                client=self.client,
                direction=direction,
                proto_id=cmd,
                serial_no=section,
                kind=kind,
                format="Protobuf",
                encryption="None",
                wire_sha1=sha1_hex(body),
                sha1=sha1_hex(body) if self.framed else None,
                plaintext=body.hex(),
                body=self._parsed(direction, cmd, body),
                time_ns=now(),
                header_error=list(error) if error else None,
            )
        )

    @staticmethod
    def _parsed(direction: str, cmd: int, body: bytes) -> dict[str, Any] | None:
        if cmd not in vendor.NAMES or not body:
            return None  # the Python SDK has no class for the messages of this layer
        return vendor.to_dict(vendor.parse(body, 0, vendor.new(cmd, "Request" if direction == "c2s" else "Response")))


class Bridge:
    """Listens for WebSocket connections and answers as the gateway does."""

    def __init__(
        self, host: str, port: int, answers: dict[int, Answerer], *, deflate: bool = False, framed: bool = False
    ) -> None:
        self.journal = Journal()
        self.peers: list[Peer] = []
        self._answers = answers
        self._framed = framed
        extensions = [ServerPerMessageDeflateFactory(server_max_window_bits=12)] if deflate else []
        self._server: Server = serve(self._serve, host, port, compression=None, extensions=extensions, max_size=None)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def last(self) -> Peer:
        """The connection that was opened last."""
        return self.peers[-1]

    def key_log(self) -> str:
        """Nothing here is encrypted."""
        return ""

    def _serve(self, socket: ServerConnection) -> None:
        peer = Peer(socket, FIRST_CONN_ID + 1117 * len(self.peers), self.journal, self._framed)
        self.peers.append(peer)
        try:
            for message in socket:
                assert isinstance(message, bytes)
                cmd, section, body = self._unpack(message)
                peer.write_down("c2s", "request", cmd, section, body, None)
                self._answer(peer, cmd, section, body)
        except ConnectionClosed:
            pass

    def _unpack(self, message: bytes) -> tuple[int, int, bytes]:
        if self._framed:
            header = read_header(message[: HEADER.size])
            return header.proto_id, header.serial_no, message[HEADER.size :]
        sign, cmd, section = REQUEST.unpack_from(message)
        if sign != SIGN:
            raise ValueError(f"not a request: {message[:20]!r}")
        return cmd, section, message[REQUEST.size :]

    def _answer(self, peer: Peer, cmd: int, section: int, body: bytes) -> None:
        if cmd == INIT:
            s2c = b"\x08" + _varint(int(time.time())) + b"\x10" + _varint(peer.conn_id)
            peer.send("response", cmd, section, PLAIN_INIT + _varint(len(s2c)) + s2c)
            return
        if cmd == INIT_CONNECT:
            fields = {"serverVer": SERVER_VERSION, "loginUserID": LOGIN_USER_ID, "connID": peer.conn_id}
            fields |= {"connAESKey": "0123456789ABCDEF", "keepAliveInterval": 10}
            peer.send("response", cmd, section, response(cmd, fields).SerializeToString())
            return
        answer = self._answers[cmd](peer, vendor.parse(body, 0, vendor.new(cmd, "Request")))  # type: ignore[arg-type]
        if answer is None:
            peer.send(
                "response", cmd, section, b"", OPEND_TIMEOUT, "opend timeout"
            )  # the SDK counts characters, not bytes: other text than ASCII breaks it
        elif isinstance(answer, Refusal):
            peer.send("response", cmd, section, refusal(cmd, answer).SerializeToString())
        else:
            self._reply(peer, cmd, section, answer)

    def _reply(self, peer: Peer, cmd: int, section: int, answer: Reply) -> None:
        peer.push(*answer.before)
        body = response(cmd, answer.s2c).SerializeToString()
        if len(body) > 20_000:
            peer.send_in_pieces("response", cmd, section, body)
        else:
            peer.send("response", cmd, section, body)
        peer.push(*answer.after)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
