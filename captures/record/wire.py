"""The gateway's own reading and writing of the wire: header, SHA-1, RSA, FTAES_ECB, AES_CBC.

Written for the mock gateway only and shared with neither the SDK nor the decoder: a mistake here would show as an SDK
that cannot read its answers.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from Crypto.Cipher import AES, PKCS1_v1_5
from Crypto.PublicKey import RSA

HEADER = struct.Struct("<2sIBBII20s8s")
BLOCK = 16
RSA_OVERHEAD = 11  # bytes that PKCS#1 v1.5 needs in every block


@dataclass(frozen=True)
class Header:
    """The 44 bytes before every body."""

    proto_id: int
    fmt: int
    serial_no: int
    body_len: int
    sha1: bytes


def read_header(data: bytes) -> Header:
    """Parse 44 bytes; raises ValueError if they are not a header."""
    magic, proto_id, fmt, version, serial_no, body_len, sha1, reserved = HEADER.unpack(data)
    if magic != b"FT" or version != 0 or reserved != bytes(8):
        raise ValueError(f"not a header: {data!r}")
    return Header(proto_id, fmt, serial_no, body_len, sha1)


def write_frame(proto_id: int, fmt: int, serial_no: int, plaintext: bytes, body: bytes) -> bytes:
    """Header (SHA-1 of the plaintext, length of the body as sent) and body."""
    sha1 = hashlib.sha1(plaintext).digest()
    return HEADER.pack(b"FT", proto_id, fmt, 0, serial_no, len(body), sha1, bytes(8)) + body


class Clear:
    """No encryption."""

    name = "None"

    def encrypt(self, plaintext: bytes) -> bytes:
        return plaintext

    def decrypt(self, body: bytes) -> bytes:
        return body


class Rsa:
    """RSA PKCS#1 v1.5 with one key pair on both sides; used for InitConnect only.

    The SDK cuts the plaintext into 100 bytes. The gateway uses all that fits, as the Go client does, so that a capture
    holds both sizes.
    """

    name = "RSA"

    def __init__(self, pem: bytes) -> None:
        key = RSA.import_key(pem)
        self._size = key.size_in_bytes()
        self._cipher = PKCS1_v1_5.new(key)

    def encrypt(self, plaintext: bytes) -> bytes:
        step = self._size - RSA_OVERHEAD
        return b"".join(self._cipher.encrypt(plaintext[at : at + step]) for at in range(0, len(plaintext), step))

    def decrypt(self, body: bytes) -> bytes:
        plain = b""
        for at in range(0, len(body), self._size):
            part = self._cipher.decrypt(body[at : at + self._size], None)
            if part is None:
                raise ValueError("RSA block does not unpad")
            plain += part
        return plain


class FtAesEcb:
    """AES-128-ECB, zero padding, and one block in clear at the end that tells how much of the last block counts."""

    name = "FTAES_ECB"

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, plaintext: bytes) -> bytes:
        used = len(plaintext) % BLOCK
        padded = plaintext + bytes(-len(plaintext) % BLOCK)
        return AES.new(self._key, AES.MODE_ECB).encrypt(padded) + bytes(BLOCK - 1) + bytes([used])

    def decrypt(self, body: bytes) -> bytes:
        used = body[-1]
        padded = AES.new(self._key, AES.MODE_ECB).decrypt(body[:-BLOCK])
        return padded[: len(padded) - BLOCK + used] if used else padded


class AesCbc:
    """AES-128-CBC with PKCS#7; every message starts again from the same iv."""

    name = "AES_CBC"

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._key = key
        self._iv = iv

    def encrypt(self, plaintext: bytes) -> bytes:
        fill = BLOCK - len(plaintext) % BLOCK
        return AES.new(self._key, AES.MODE_CBC, iv=self._iv).encrypt(plaintext + bytes([fill]) * fill)

    def decrypt(self, body: bytes) -> bytes:
        padded = AES.new(self._key, AES.MODE_CBC, iv=self._iv).decrypt(body)
        return padded[: -padded[-1]]


Cipher = Clear | Rsa | FtAesEcb | AesCbc
