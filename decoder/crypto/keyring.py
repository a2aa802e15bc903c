"""What the user knows: RSA private keys, and key logs with the AES keys of past connections.

A key log is text, one line per connection::

    OPEND_AES <connID, decimal> <hex of the key's bytes> [<hex of the IV's bytes>]
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from decoder.crypto.ciphers import SessionKey
from decoder.crypto.keylog import read_key_log
from decoder.errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from Crypto.PublicKey.RSA import RsaKey

__all__ = [
    "KeyRing",
    "RsaPrivateKey",
]

_MAX_KEY_FILE = 64 * 1024

# SHA-256 of the modulus of the sample key that ships in the Python SDK (conn_key.txt) and stands in the vendor's guide.
_SAMPLE_KEY = "217f34f6efd056612b30bc46bb04d7bfe49ca62c3030a9238609eb90cf9c6954"


class RsaPrivateKey:
    """An RSA private key and where it came from."""

    __slots__ = ("is_sample", "key", "name")

    def __init__(self, name: str, key: RsaKey) -> None:
        self.name = name
        self.key = key
        modulus = key.n.to_bytes(key.size_in_bytes(), "big")
        self.is_sample = hashlib.sha256(modulus).hexdigest() == _SAMPLE_KEY
        """Whether this is the public sample key: it protects nothing."""

    def __repr__(self) -> str:
        return f"<RsaPrivateKey {self.name}>"


class KeyRing:
    """RSA keys and key log entries, shared by all connections of a decoder.

    `rsa_keys`: paths, or PEM as bytes or text (PKCS#1 or PKCS#8, encrypted ones with `passphrase`).
    `keylogs`: paths of key logs; a single path will do.
    Raises KeyFileError with a one-line text that names the file and the cause.
    """

    def __init__(
        self,
        rsa_keys: Iterable[str | bytes | os.PathLike[str]] | str | bytes | os.PathLike[str] = (),
        keylogs: Iterable[str | os.PathLike[str]] | str | os.PathLike[str] = (),
        passphrase: str | None = None,
    ) -> None:
        if isinstance(rsa_keys, (str, bytes, os.PathLike)):
            rsa_keys = (rsa_keys,)
        if isinstance(keylogs, (str, os.PathLike)):
            keylogs = (keylogs,)
        self._rsa_keys = [_read_rsa_key(source, passphrase) for source in rsa_keys]
        self._sample: Path | None = None
        self.rsa_given = bool(self._rsa_keys)
        """Whether there is an RSA key other than by `use_sample_key`."""
        self.log: list[SessionKey] = [entry for path in keylogs for entry in read_key_log(path)]
        self.harvested: list[SessionKey] = []
        """The keys that InitConnect responses handed out while decoding, in order of appearance."""

    @property
    def rsa_keys(self) -> list[RsaPrivateKey]:
        """The RSA keys; a sample key is read when they are first asked for, since most captures need none."""
        path, self._sample = self._sample, None
        if path is not None:
            with suppress(KeyFileError):
                self._rsa_keys.append(_read_rsa_key(path, None))
        return self._rsa_keys

    def use_sample_key(self) -> bool:
        """Add the sample key of an installed Python SDK, without importing it; False if there is none."""
        for package in ("futu", "moomoo"):
            try:
                spec = importlib.util.find_spec(package)
            except (ImportError, ValueError):
                continue
            for folder in (spec and spec.submodule_search_locations) or ():
                path = Path(folder) / "common" / "conn_key.txt"
                if path.is_file():
                    self._sample = path
                    return True
        return False

    def __repr__(self) -> str:
        return f"<KeyRing of {len(self.rsa_keys)} RSA keys and {len(self.log)} key log entries>"


def _read_rsa_key(source: str | bytes | os.PathLike[str], passphrase: str | None) -> RsaPrivateKey:
    from Crypto.PublicKey import RSA

    name = "the given PEM"
    if isinstance(source, bytes):
        pem = source
    elif isinstance(source, str) and source.lstrip().startswith("-----BEGIN"):
        pem = source.encode()
    else:
        name = os.fspath(source)
        try:
            with open(source, "rb") as file:
                pem = file.read(_MAX_KEY_FILE)
        except OSError as error:
            raise KeyFileError(f"{name}: cannot read the RSA key: {error.strerror}") from None
    if passphrase is None and b"ENCRYPTED" in pem:
        raise KeyFileError(f"{name}: the RSA key is encrypted; give its pass phrase (OPENDUMP_RSA_PASSPHRASE)")
    try:
        key = RSA.import_key(pem, passphrase)
    except (ValueError, IndexError, TypeError):
        if b"ENCRYPTED" in pem:
            raise KeyFileError(f"{name}: the pass phrase does not open this RSA key") from None
        raise KeyFileError(f"{name}: not an RSA key in PEM form (PKCS#1 or PKCS#8)") from None
    if not key.has_private():
        raise KeyFileError(f"{name}: a public key; InitConnect can only be read with the private one")
    return RsaPrivateKey(name, key)
