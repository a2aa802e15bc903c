"""The ciphers of the protocol, decryption only: RSA for InitConnect, AES for all that follows.

========== ======================================================================================
FTAES_ECB  zero padding to 16, AES-ECB, then one plain block: 15 zero bytes and ``length % 16``
AES_ECB    AES-ECB; padding not documented: PKCS#7, or zeros where the SHA-1 says so
AES_CBC    AES-CBC, PKCS#7, the IV of InitConnect used afresh for every message
RSA        PKCS#1 v1.5 blocks of the modulus size, whatever number of bytes the sender put in each
========== ======================================================================================

Source: the official Python SDK (FTAES_ECB, AES_CBC, RSA); AES_ECB is named in InitConnect.proto,
and no official open client uses it.

Nothing here judges: a function gives the plaintext, or None where the bytes cannot be such a
ciphertext.  The SHA-1 in the header decides (see `verdict`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from Crypto.PublicKey.RSA import RsaKey

__all__ = ["MODES", "SessionKey", "rsa_decrypt"]

BLOCK = 16
MODES = ("FTAES_ECB", "AES_CBC", "AES_ECB")
_KEY_SIZES = (16, 24, 32)
_PADDING = [bytes((size,)) * size for size in range(BLOCK + 1)]
"""PKCS#7 padding by its size in bytes."""


class SessionKey:
    """The AES key that an InitConnect response hands out, with its cipher objects kept for reuse.

    A new pycryptodome object costs 10 µs, a call on an existing one 3 µs.
    """

    __slots__ = ("_cbc", "_ecb", "conn_id", "iv", "key")

    def __init__(self, conn_id: int | None, key: bytes, iv: bytes | None = None) -> None:
        """`iv` is None (or not 16 bytes long) where CBC cannot be in use."""
        self.conn_id = conn_id
        self.key = key
        self.iv = iv if iv is not None and len(iv) == BLOCK else None
        self._ecb: Any = None
        self._cbc: Any = None

    @property
    def usable(self) -> bool:
        """Whether AES takes a key of this length."""
        return len(self.key) in _KEY_SIZES

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionKey) and (self.key, self.iv) == (other.key, other.iv)

    def __hash__(self) -> int:
        return hash((self.key, self.iv))

    def __repr__(self) -> str:
        return f"<SessionKey of connection {self.conn_id}>"  # never the key

    def decryptor(self, mode: str) -> Callable[[bytes], bytes | None]:
        """The decryption function of `mode`, one of `MODES`."""
        return {"FTAES_ECB": self.ftaes_ecb, "AES_CBC": self.aes_cbc, "AES_ECB": self.aes_ecb}[mode]

    def _decrypt_blocks(self, body: bytes) -> bytes:
        ecb = self._ecb
        if ecb is None:
            from Crypto.Cipher import AES

            ecb = self._ecb = AES.new(self.key, AES.MODE_ECB)
        plain: bytes = ecb.decrypt(body)
        return plain

    def ftaes_ecb(self, body: bytes) -> bytes | None:
        """Undo FTAES_ECB."""
        if len(body) % BLOCK or not body:
            return None
        used = body[-1]
        if used >= BLOCK or body.count(0, -BLOCK, -1) != BLOCK - 1:
            return None
        plain = self._decrypt_blocks(body[:-BLOCK])
        if not used:
            return plain
        # The padding is zeros; anything else is another key or another mode.
        if plain.count(0, used - BLOCK) != BLOCK - used:
            return None
        return plain[: used - BLOCK]

    def aes_ecb(self, body: bytes) -> bytes | None:
        """Undo AES-ECB with PKCS#7 padding."""
        if len(body) % BLOCK or not body:
            return None
        return _unpad(self._decrypt_blocks(body))

    def aes_ecb_zero_padded(self, body: bytes, sha1: bytes) -> bytes | None:
        """Undo AES-ECB with zero padding: the SHA-1 tells how many of the last zeros are padding."""
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
        """Undo AES-CBC with PKCS#7 padding; None as well where the key came without an IV.

        One chained cipher object serves all messages (4 µs each, against 12 for a new object): the IV
        goes before each body as if it were ciphertext, and the block that it decrypts to is dropped.
        """
        if self.iv is None or len(body) % BLOCK or not body:
            return None
        cbc = self._cbc
        if cbc is None:
            from Crypto.Cipher import AES

            cbc = self._cbc = AES.new(self.key, AES.MODE_CBC, self.iv)
        return _unpad(cbc.decrypt(self.iv + body), BLOCK)


def _unpad(plain: bytes, start: int = 0) -> bytes | None:
    """`plain` from `start` on without its PKCS#7 padding, or None if it has none."""
    size = plain[-1]
    return plain[start:-size] if 1 <= size <= BLOCK and plain.endswith(_PADDING[size]) else None


def rsa_decrypt(key: RsaKey, body: bytes) -> bytes | None:
    """Undo PKCS#1 v1.5 encryption of `body`, a run of whole blocks of the modulus size of `key`.

    Both directions of InitConnect are encrypted with the public half, so the private key reads both.
    The plaintext of a block may have any length: the Python SDK puts 100 bytes in each, Go clients 117.
    """
    from Crypto.Cipher import PKCS1_v1_5

    size = key.size_in_bytes()
    if not body or len(body) % size:
        return None
    cipher = PKCS1_v1_5.new(key)
    refused = bytes(size)  # longer than any plaintext; for None, pycryptodome 3.15 to 3.23 gives b"" on bad padding
    blocks = []
    for start in range(0, len(body), size):
        try:
            block = cipher.decrypt(body[start : start + size], refused)
        except ValueError:  # a block that is not below the modulus
            return None
        if len(block) == size:
            return None
        blocks.append(block)
    return b"".join(blocks)
