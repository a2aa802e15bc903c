"""Decrypts the ciphers of the protocol: RSA for InitConnect, AES for all messages after it.

========== ======================================================================================
FTAES_ECB  zero padding to 16, AES-ECB, then one plain block: 15 zero bytes and ``length % 16``
AES_ECB    AES-ECB; padding not documented: PKCS#7, or zeros where the SHA-1 says so
AES_CBC    AES-CBC, PKCS#7, the IV of InitConnect used afresh for every message
RSA        PKCS#1 v1.5 blocks of the modulus size, with any number of plaintext bytes in each
========== ======================================================================================

Source: the official Python SDK (FTAES_ECB, AES_CBC, RSA); AES_ECB is named in InitConnect.proto,
and no official open client uses it.

Each function returns the plaintext, or None where the bytes cannot be such a ciphertext.  None of them
checks the result: the verifier compares its SHA-1 with the one in the header.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from Crypto.PublicKey.RSA import RsaKey

__all__ = ["MODES", "SessionKey", "recipe", "rsa_decrypt", "rsa_decrypt_oaep"]

BLOCK = 16
"""Block size of AES, in bytes."""
MODES = ("FTAES_ECB", "AES_CBC", "AES_ECB")
"""AES modes in the order in which they are tried: the most common first."""
_KEY_SIZES = (16, 24, 32)
_PADDING = [bytes((size,)) * size for size in range(BLOCK + 1)]
"""PKCS#7 padding by its size in bytes."""


class SessionKey:
    """Holds the AES key of an InitConnect response or a key log, and decrypts with it.

    The cipher objects are kept: a new pycryptodome object costs 10 µs, a call on an existing one 3 µs.
    """

    __slots__ = ("_cbc", "_ecb", "conn_id", "iv", "key")

    def __init__(self, conn_id: int | None, key: bytes, iv: bytes | None = None) -> None:
        """Keeps `key`; without an `iv` of 16 bytes AES_CBC cannot be decrypted."""
        self.conn_id = conn_id
        self.key = key
        self.iv = iv if iv is not None and len(iv) == BLOCK else None
        self._ecb: Any = None
        self._cbc: Any = None

    @property
    def usable(self) -> bool:
        """True if the key has one of the lengths of AES keys."""
        return len(self.key) in _KEY_SIZES

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionKey) and (self.key, self.iv) == (other.key, other.iv)

    def __hash__(self) -> int:
        return hash((self.key, self.iv))

    def __repr__(self) -> str:
        return f"<SessionKey of connection {self.conn_id}>"  # without the key: a repr ends up in logs

    def decryptor(self, mode: str) -> Callable[[bytes], bytes | None]:
        """Returns the decryption function of `mode`, one of `MODES`."""
        return {"FTAES_ECB": self.ftaes_ecb, "AES_CBC": self.aes_cbc, "AES_ECB": self.aes_ecb}[mode]

    def _decrypt_blocks(self, body: bytes) -> bytes:
        ecb = self._ecb
        if ecb is None:
            from Crypto.Cipher import AES

            ecb = self._ecb = AES.new(self.key, AES.MODE_ECB)
        plain: bytes = ecb.decrypt(body)
        return plain

    def ftaes_ecb(self, body: bytes) -> bytes | None:
        """Decrypts FTAES_ECB."""
        if len(body) % BLOCK or not body:
            return None
        used = body[-1]
        if used >= BLOCK or body.count(0, -BLOCK, -1) != BLOCK - 1:
            return None
        plain = self._decrypt_blocks(body[:-BLOCK])
        if not used:
            return plain
        # Padding other than zeros means another key or another mode.
        if plain.count(0, used - BLOCK) != BLOCK - used:
            return None
        return plain[: used - BLOCK]

    def aes_ecb(self, body: bytes) -> bytes | None:
        """Decrypts AES-ECB with PKCS#7 padding."""
        if len(body) % BLOCK or not body:
            return None
        return _unpad(self._decrypt_blocks(body))

    def aes_ecb_zero_padded(self, body: bytes, sha1: bytes) -> bytes | None:
        """Decrypts AES-ECB with zero padding; `sha1` decides how many of the last zeros are padding."""
        if len(body) % BLOCK or not body:
            return None
        plain = self._decrypt_blocks(body)
        kept = max(len(plain.rstrip(b"\0")), len(plain) - BLOCK)
        digest = hashlib.sha1(plain[:kept])
        for end in range(kept, len(plain) + 1):
            if digest.digest() == sha1:
                return plain[:end]
            digest.update(b"\0")
        return None

    def aes_cbc(self, body: bytes) -> bytes | None:
        """Decrypts AES-CBC with PKCS#7 padding; None also if the key has no IV.

        One chained cipher object serves all messages (4 µs each, against 12 for a new object): the IV is
        put before each body as if it were ciphertext, and the block that it decrypts to is dropped.
        """
        if self.iv is None or len(body) % BLOCK or not body:
            return None
        cbc = self._cbc
        if cbc is None:
            from Crypto.Cipher import AES

            cbc = self._cbc = AES.new(self.key, AES.MODE_CBC, self.iv)
        return _unpad(cbc.decrypt(self.iv + body), BLOCK)


def recipe(decrypt: Callable[[bytes], bytes | None]) -> tuple[str, Callable[[bytes], bytes], bytes] | None:
    """Returns how a decryptor of a `SessionKey` works: mode, decryption of blocks one by one (ECB), and IV.

    For who has many bodies: in one call a short body costs a tenth.  None if it is another function, or has no IV.
    """
    mode = _MODE_OF.get(getattr(decrypt, "__func__", None))
    if mode is None:
        return None
    key: SessionKey = decrypt.__self__  # type: ignore[attr-defined]
    iv = key.iv if mode == "AES_CBC" else b""
    return None if iv is None else (mode, key._decrypt_blocks, iv)


_MODE_OF: dict[Any, str] = {
    SessionKey.ftaes_ecb: "FTAES_ECB",
    SessionKey.aes_cbc: "AES_CBC",
    SessionKey.aes_ecb: "AES_ECB",
}


def _unpad(plain: bytes, start: int = 0) -> bytes | None:
    """Removes the PKCS#7 padding from `plain`, and the first `start` bytes; None without such padding."""
    size = plain[-1]
    return plain[start:-size] if 1 <= size <= BLOCK and plain.endswith(_PADDING[size]) else None


def rsa_decrypt(key: RsaKey, body: bytes) -> bytes | None:
    """Decrypts the RSA PKCS#1 v1.5 blocks of `body`, each as long as the modulus of `key`.

    Both directions of InitConnect are encrypted with the public half, so the private key decrypts both.
    A block may hold any number of bytes: the Python SDK puts 100 in each, Go clients 117.
    """
    from Crypto.Cipher import PKCS1_v1_5

    size = key.size_in_bytes()
    cipher = PKCS1_v1_5.new(key)
    refused = bytes(size)  # longer than any plaintext; for None, pycryptodome 3.15 to 3.23 gives b"" on bad padding
    plain = []
    try:
        for sent in _rsa_blocks(body, size):
            block = cipher.decrypt(sent, refused)
            if len(block) == size:
                return None
            plain.append(block)
    except ValueError:  # a block that is not below the modulus
        return None
    return b"".join(plain) if plain else None


def rsa_decrypt_oaep(key: RsaKey, body: bytes) -> bytes | None:
    """Decrypts the RSA OAEP blocks of `body`, with SHA-1 or SHA-256 as their hash.

    OpenD does not read OAEP.  It is the default of several crypto libraries, so clients in other
    languages send it by mistake.
    """
    from Crypto.Cipher import PKCS1_OAEP
    from Crypto.Hash import SHA1, SHA256

    size = key.size_in_bytes()
    for hash_module in (SHA1, SHA256):
        cipher = PKCS1_OAEP.new(key, hash_module)
        try:
            plain = [cipher.decrypt(sent) for sent in _rsa_blocks(body, size)]
        except (ValueError, TypeError):  # (TypeError: a modulus too short for this hash)
            continue
        if plain:
            return b"".join(plain)
    return None


def _rsa_blocks(body: bytes, size: int) -> Iterator[bytes]:
    """Splits `body` into blocks of `size` bytes; nothing if it is not a number of whole blocks."""
    if len(body) % size == 0:
        for start in range(0, len(body), size):
            yield body[start : start + size]
