"""Exchanges made by hand: messages of the vendor's classes, sealed with pycryptodome, on packets of Scapy's.

Nothing here comes from the decoder: header, ciphers and packets are written a second time, plainly.
"""

from __future__ import annotations

import hashlib
import importlib
import struct
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from Crypto.Cipher import AES, PKCS1_v1_5
from Crypto.PublicKey import RSA
from Crypto.PublicKey.RSA import RsaKey
from Crypto.Util.number import getPrime
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

import decoder
from decoder import Gap, KeyRing, Limits, Message
from tests.support.wire import Wire

HEADER = struct.Struct("<2sIBBII20s8s")
START_NS = 1_700_000_000_000_000_000
STEP_NS = 1_000_000  # between packets

CONN_ID = 9_300_000_000_000_000_777
KEY, IV = b"opendump-testkey", b"FEDCBA9876543210"


def vendor(name: str) -> Any:
    """The vendor's module of a .proto file."""
    return importlib.import_module(f"futu.common.pb.{name}_pb2")


# Bodies


def init_request(**fields: Any) -> bytes:
    request = vendor("InitConnect").Request()
    values = {"clientVer": 300, "clientID": "test", "recvNotify": True, "packetEncAlgo": 2, **fields}
    for name, value in values.items():
        setattr(request.c2s, name, value)
    data: bytes = request.SerializeToString()
    return data


def init_response(conn_id: int = CONN_ID, key: bytes = KEY, iv: bytes | None = IV) -> bytes:
    response = vendor("InitConnect").Response(retType=0, retMsg="", errCode=0)
    response.s2c.serverVer = 1011
    response.s2c.loginUserID = 1
    response.s2c.connID = conn_id
    response.s2c.connAESKey = key.decode()
    response.s2c.keepAliveInterval = 10
    if iv is not None:
        response.s2c.aesCBCiv = iv.decode()
    data: bytes = response.SerializeToString()
    return data


def keep_alive(time: int = 1_700_000_000) -> bytes:
    request = vendor("KeepAlive").Request()
    request.c2s.time = time
    data: bytes = request.SerializeToString()
    return data


def keep_alive_answer(time: int = 1_700_000_000) -> bytes:
    response = vendor("KeepAlive").Response(retType=0)
    response.s2c.time = time
    data: bytes = response.SerializeToString()
    return data


def state_request(user_id: int = 0) -> bytes:
    request = vendor("GetGlobalState").Request()
    request.c2s.userID = user_id
    data: bytes = request.SerializeToString()
    return data


def refused(module: str, text: str, ret_type: int = -1) -> bytes:
    data: bytes = vendor(module).Response(retType=ret_type, retMsg=text).SerializeToString()
    return data


# Sealing


def ftaes(plain: bytes, key: bytes = KEY) -> bytes:
    """FTAES_ECB: zeros to 16, ECB, a tail in clear that tells how much of the last block counts."""
    sealed = AES.new(key, AES.MODE_ECB).encrypt(plain + bytes(-len(plain) % 16))
    return sealed + bytes(15) + bytes([len(plain) % 16])


def pkcs7(plain: bytes) -> bytes:
    fill = 16 - len(plain) % 16
    return plain + bytes([fill]) * fill


def ecb(plain: bytes, key: bytes = KEY) -> bytes:
    return AES.new(key, AES.MODE_ECB).encrypt(pkcs7(plain))


def ecb_zero_padded(plain: bytes, key: bytes = KEY) -> bytes:
    return AES.new(key, AES.MODE_ECB).encrypt(plain + bytes(-len(plain) % 16))


def cbc(plain: bytes, key: bytes = KEY, iv: bytes = IV) -> bytes:
    return AES.new(key, AES.MODE_CBC, iv=iv).encrypt(pkcs7(plain))


def rsa(plain: bytes, key: RsaKey, chunk: int = 0) -> bytes:
    """RSA PKCS#1 v1.5, `chunk` bytes in a block; by default all that fit."""
    step = chunk or key.size_in_bytes() - 11
    cipher = PKCS1_v1_5.new(key)
    return b"".join(cipher.encrypt(plain[at : at + step]) for at in range(0, len(plain), step))


@cache
def rsa_key(bits: int = 1024, seed: int = 0) -> RsaKey:
    """An RSA key of any size: the library makes none below 1024 bits."""
    source = Random(bits * 1000 + seed)
    e = 65537
    while True:
        p, q = (getPrime(half, source.randbytes) for half in (bits - bits // 2, bits // 2))
        if p != q and (p * q).bit_length() == bits and (p - 1) % e and (q - 1) % e:
            return RSA.construct((p * q, e, pow(e, -1, (p - 1) * (q - 1))))


def pem(key: RsaKey, pkcs: int = 1, passphrase: str | None = None) -> bytes:
    return key.export_key("PEM", passphrase=passphrase, pkcs=pkcs)


MODES: dict[str, Callable[[bytes], bytes]] = {"FTAES_ECB": ftaes, "AES_ECB": ecb, "AES_CBC": cbc}


def frame(
    proto_id: int,
    plain: bytes,
    sealed: bytes | None = None,
    serial_no: int = 1,
    fmt: int = 0,
    sha1: bytes | None = None,
) -> bytes:
    """Header and body: `sealed` is the body as sent (default: in clear), `sha1` that of the header (default: right)."""
    body = plain if sealed is None else sealed
    digest = hashlib.sha1(plain).digest() if sha1 is None else sha1
    return HEADER.pack(b"FT", proto_id, fmt, 0, serial_no, len(body), digest, bytes(8)) + body


def hashing_ciphertext(proto_id: int, sealed: bytes, serial_no: int = 1) -> bytes:
    """The frame of a client that hashes what it sends instead of what it means."""
    return frame(proto_id, sealed, serial_no=serial_no)


# Packets


class Exchange(Wire):
    """One TCP connection as packets on Ethernet, a millisecond apart."""

    def __init__(self, *, client_port: int = 50112, port: int = 11111, ipv6: bool = False, syn: bool = True) -> None:
        self.packets: list[tuple[bytes, int]] = []
        self.now = START_NS
        self._ends = ("2001:db8::1", "2001:db8::2") if ipv6 else ("192.0.2.1", "192.0.2.2")
        self._ip = IPv6 if ipv6 else IP
        super().__init__((client_port, port), (1000, 5000), syn=syn)

    def _write(self, direction: str, flags: str, seq: int, ack: int, payload: bytes) -> None:
        src, dst = self._ends if direction == "c2s" else self._ends[::-1]
        sport, dport = self.ports if direction == "c2s" else self.ports[::-1]
        tcp = TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack)
        packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / self._ip(src=src, dst=dst) / tcp / payload
        self.packets.append((bytes(packet), self.now))
        self.now += STEP_NS


def decode(
    *exchanges: Exchange, keys: KeyRing | None = None, limits: Limits | None = None
) -> tuple[list[Message], list[Gap], decoder.Decoder]:
    """Decode the packets of exchanges, in time order, that took place at the same time."""
    each = decoder.Decoder(keys=keys or KeyRing(), limits=limits)
    items: list[Message | Gap] = []
    packets = sorted((packet for exchange in exchanges for packet in exchange.packets), key=lambda packet: packet[1])
    for data, time_ns in packets:
        items += each.feed(data, time_ns)
    items += each.flush()
    return [i for i in items if isinstance(i, Message)], [i for i in items if isinstance(i, Gap)], each
