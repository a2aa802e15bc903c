"""A connection of a client to the gateway: frames, serial numbers and encryption, and a note of every message sent."""

from __future__ import annotations

import hashlib
import importlib
import struct
from pathlib import Path
from random import Random
from typing import Literal, TextIO

from Crypto.Cipher import AES, PKCS1_v1_5
from Crypto.PublicKey import RSA

from .market import Exchange, Push
from .network import Connection, Endpoint, Network

Encryption = Literal["none", "ftaes", "cbc"]
GATEWAY = bytes([10, 0, 0, 2]), 11111

_HEADER = struct.Struct("<2sIBBII20s8s")
_INIT_CONNECT = 1001
_ALGORITHM = {"none": -1, "ftaes": 0, "cbc": 2}  # Common.PacketEncAlgo
_RSA_CHUNK = 100  # bytes of plaintext in an RSA block of the Python SDK
_COALESCED = 0.25
"""Share of the pushes that wait for the next one, to leave in one segment."""
_MAX_WAITING = 16_384


class Sealer:
    """Encrypts the bodies of one connection; ``none`` leaves them as they are."""

    def __init__(self, encryption: Encryption, key: bytes, iv: bytes, rsa: bytes | None, random: Random) -> None:
        self._encryption = encryption
        self._key, self._iv = key, iv
        self._ecb = AES.new(key, AES.MODE_ECB)
        self._rsa = None if rsa is None else PKCS1_v1_5.new(RSA.import_key(rsa), randfunc=random.randbytes)

    def handshake(self, body: bytes) -> bytes:
        """The body of an InitConnect message."""
        if self._encryption == "none" or self._rsa is None:
            return body
        return b"".join(self._rsa.encrypt(body[at : at + _RSA_CHUNK]) for at in range(0, len(body), _RSA_CHUNK))

    def seal(self, body: bytes) -> bytes:
        """The body of any other message."""
        if self._encryption == "ftaes":
            used = len(body) % 16
            return self._ecb.encrypt(body + bytes(-len(body) % 16)) + bytes(15) + bytes([used])
        if self._encryption == "cbc":
            fill = 16 - len(body) % 16
            return AES.new(self._key, AES.MODE_CBC, iv=self._iv).encrypt(body + bytes([fill]) * fill)
        return body


class Truth:
    """Writes a line for every message: client, direction, protocol id, serial number, plain length, retType."""

    def __init__(self, file: TextIO) -> None:
        self.messages = 0
        self._file = file

    def note(self, client: str, direction: str, proto_id: int, serial: int, size: int, ret_type: int | None) -> None:
        """Add a message; requests have no retType."""
        ret = "" if ret_type is None else ret_type
        self._file.write(f"{client}\t{direction}\t{proto_id}\t{serial}\t{size}\t{ret}\n")
        self.messages += 1


class Session:
    """One client from its handshake on; `ordinal` gives it an address of its own."""

    def __init__(self, network: Network, truth: Truth, ordinal: int, encryption: Encryption, rsa: bytes | None) -> None:
        random = network.random
        address, port = bytes([192, 168, ordinal // 200 % 200, 10 + ordinal % 200]), 40_000 + ordinal % 20_000
        self.conn_id = random.getrandbits(62)
        self._client = f"{'.'.join(map(str, address))}:{port}"
        self._network, self._truth = network, truth
        self._serial, self._push_serial = random.randrange(1, 10_000), 0
        self._tcp = Connection(network, (address, port), GATEWAY)
        self._waiting = b""
        key, iv = (f"{random.getrandbits(64):016X}" for _ in range(2))
        self._sealer = Sealer(encryption, key.encode(), iv.encode(), rsa, random)
        self._shake_hands(key, iv, encryption, ordinal)

    def _shake_hands(self, key: str, iv: str, encryption: Encryption, ordinal: int) -> None:
        vendor = importlib.import_module("futu.common.pb.InitConnect_pb2")
        request = vendor.Request()
        request.c2s.clientVer, request.c2s.clientID, request.c2s.recvNotify = 1011, f"bench_{ordinal}", True
        request.c2s.packetEncAlgo, request.c2s.pushProtoFmt = _ALGORITHM[encryption], 0
        request.c2s.programmingLanguage = "Python"
        response = vendor.Response(retType=0, retMsg="", errCode=0)
        s2c = response.s2c
        s2c.serverVer, s2c.loginUserID, s2c.connID, s2c.keepAliveInterval = 1011, 10_000_001, self.conn_id, 10
        s2c.connAESKey = key
        if encryption == "cbc":
            s2c.aesCBCiv = iv
        serial = self.next_serial()
        self._tcp.client.send(self._frame("c2s", _INIT_CONNECT, serial, request.SerializeToString(), None))
        self._tcp.server.send(self._frame("s2c", _INIT_CONNECT, serial, response.SerializeToString(), 0))

    def next_serial(self) -> int:
        """The serial number of the next request."""
        self._serial += 1
        return self._serial

    def exchange(self, serial: int, exchange: Exchange) -> None:
        """Send a request and its response."""
        proto_id, request, response, ret_type = exchange
        self._tcp.client.send(self._frame("c2s", proto_id, serial, request, None))
        self._send(self._tcp.server, self._frame("s2c", proto_id, serial, response, ret_type))

    def push(self, push: Push) -> None:
        """Send a push, or keep it until the next message of the gateway."""
        proto_id, body = push
        self._push_serial += 1
        frame = self._frame("s2c", proto_id, self._push_serial, body, 0)
        if self._network.random.random() < _COALESCED and len(self._waiting) + len(frame) < _MAX_WAITING:
            self._waiting += frame
        else:
            self._send(self._tcp.server, frame)

    def _send(self, server: Endpoint, frame: bytes) -> None:
        server.send(self._waiting + frame)
        self._waiting = b""

    def _frame(self, direction: str, proto_id: int, serial: int, body: bytes, ret_type: int | None) -> bytes:
        self._truth.note(self._client, direction, proto_id, serial, len(body), ret_type)
        sealed = self._sealer.handshake(body) if proto_id == _INIT_CONNECT else self._sealer.seal(body)
        sha1 = hashlib.sha1(body).digest()
        return _HEADER.pack(b"FT", proto_id, 0, 0, serial, len(sealed), sha1, bytes(8)) + sealed

    def finish(self) -> None:
        """Send what waits and close the connection."""
        if self._waiting:
            self._send(self._tcp.server, b"")
        self._tcp.close()


def read_key(path: Path) -> bytes:
    """An RSA private key file; raises ValueError if it is none."""
    pem = path.read_bytes()
    RSA.import_key(pem)
    return pem
