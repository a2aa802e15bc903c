"""Decrypts InitConnect bodies with each RSA key that the user gave, within a bound.

An RSA operation costs 1 ms (1024 bits) to 6 ms (2048 bits), and a hostile capture can hold thousands of
InitConnect messages.  So failed operations are counted over all connections.  The first messages get every
key, however many there are; after `Limits.max_rsa_trials` failures each connection gets a few more, and the
rest is reported.  A success costs nothing, and its key is tried first from then on.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, NamedTuple

from decoder.crypto.ciphers import rsa_decrypt, rsa_decrypt_oaep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from Crypto.PublicKey.RSA import RsaKey

    from decoder.crypto.keyring import KeyRing, RsaPrivateKey
    from decoder.limits import Limits

__all__ = ["RsaPlaintext", "RsaTrials"]

_LATE_TRIALS = 4
"""RSA operations that each connection has once the bound is reached: the usual captures need one or two keys."""


class RsaPlaintext(NamedTuple):
    """Holds what one key makes of a body."""

    plaintext: bytes
    key: RsaPrivateKey
    verified: bool
    """True if its SHA-1 is that of the header."""
    oaep: bool
    """True if the client padded with OAEP, which OpenD does not read."""


class RsaTrials:
    """Tries RSA keys on the InitConnect messages of one connection."""

    __slots__ = ("_keyring", "_last", "_late_trials", "_max_trials", "exhausted")

    def __init__(self, keyring: KeyRing, limits: Limits) -> None:
        self._keyring = keyring
        self._max_trials = limits.max_rsa_trials
        self._late_trials = _LATE_TRIALS
        self._last: tuple[bytes, bytes, Sequence[RsaPlaintext]] | None = None
        self.exhausted = False
        """True once a key was not tried because too many trials had failed."""

    def decrypt(self, body: bytes, digest: bytes) -> Sequence[RsaPlaintext]:
        """Returns the plaintext of `body` whose SHA-1 is `digest`, else every one that unpads.

        The result for the last body is kept: the framer asks for a verdict before the message is decrypted.
        """
        if self._last is None or self._last[:2] != (body, digest):
            self._last = body, digest, self._try_keys(body, digest)
        return self._last[2]

    def _try_keys(self, body: bytes, digest: bytes) -> Sequence[RsaPlaintext]:
        keys = [rsa for rsa in self._keyring.rsa_keys if body and len(body) % rsa.key.size_in_bytes() == 0]
        every_key = self._keyring.failed_rsa_trials < self._max_trials
        for decrypt in (rsa_decrypt, rsa_decrypt_oaep):
            found = self._try(keys, decrypt, body, digest, every_key)
            if found:
                return found
        return ()

    def _try(
        self,
        keys: Sequence[RsaPrivateKey],
        decrypt: Callable[[RsaKey, bytes], bytes | None],
        body: bytes,
        digest: bytes,
        every_key: bool,
    ) -> Sequence[RsaPlaintext]:
        found = []
        for rsa in keys:
            if not every_key:
                if self._late_trials <= 0:
                    self.exhausted = True
                    break
                self._late_trials -= 1
            plain = decrypt(rsa.key, body)
            if plain is None:
                self._keyring.failed_rsa_trials += 1
                continue
            verified = sha1(plain).digest() == digest
            found.append(RsaPlaintext(plain, rsa, verified, decrypt is rsa_decrypt_oaep))
            if verified:
                if not every_key:
                    self._late_trials += 1
                self._keyring.prefer(rsa)
                return found[-1:]
        return found
