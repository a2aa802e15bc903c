"""Holds the keys that the user gives: RSA private keys, and key logs with the AES keys of past connections."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from decoder.crypto.ciphers import SessionKey
from decoder.crypto.keylog import read_key_log
from decoder.errors import KeyFileError
from decoder.formatting.escape import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from Crypto.PublicKey.RSA import RsaKey

__all__ = ["KeyRing", "RsaPrivateKey"]

_MAX_KEY_FILE = 64 * 1024
"""Bytes read of a key file: a 16,384-bit key takes 13 KB, and a wrong file must not fill the memory."""
_MAX_SHOWN = 48
"""Characters up to which a text without a dot may be a path, and is named in an error.  Base64 has no dot."""
_SAMPLE_KEY = "217f34f6efd056612b30bc46bb04d7bfe49ca62c3030a9238609eb90cf9c6954"
"""SHA-256 of the modulus of the sample key that ships in the Python SDK (conn_key.txt) and stands in its guide."""


class RsaPrivateKey:
    """Holds an RSA private key and the name of its source."""

    __slots__ = ("is_sample", "key", "name")

    def __init__(self, name: str, key: RsaKey) -> None:
        self.name = name
        self.key = key
        modulus = key.n.to_bytes(key.size_in_bytes(), "big")
        self.is_sample = hashlib.sha256(modulus).hexdigest() == _SAMPLE_KEY
        """True for the vendor's published sample key: it protects nothing."""

    def __repr__(self) -> str:
        return f"<RsaPrivateKey {self.name}>"


class KeyRing:
    """Holds the RSA keys and key log entries of a decoder; all its connections share it.

    `rsa_keys`: paths, or PEM as bytes or text (PKCS#1 or PKCS#8, encrypted ones with `passphrase`).
    `keylogs`: paths of key logs.  Both take a single item or several.
    Raises KeyFileError, whose text is one line that names the file and the cause.
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
        self._sample: str | None = None
        self.rsa_given = bool(self._rsa_keys)
        """True if the user gave an RSA key; the sample key of `use_sample_key` does not count."""
        self.log: list[SessionKey] = [entry for path in keylogs for entry in read_key_log(path)]
        self.harvested: list[SessionKey] = []
        """Keys found in InitConnect responses while decoding, in order of appearance."""
        self.failed_rsa_trials = 0
        """RSA operations of all connections that decrypted nothing; `Limits.max_rsa_trials` bounds them."""

    @property
    def rsa_keys(self) -> list[RsaPrivateKey]:
        """RSA keys, the last successful one first; the sample key is read at the first access: few captures need it."""
        path, self._sample = self._sample, None
        if path is not None:
            with suppress(KeyFileError):
                self._rsa_keys.append(_read_rsa_key(path, None))
        return self._rsa_keys

    def prefer(self, key: RsaPrivateKey) -> None:
        """Moves `key` to the front of `rsa_keys`: the next InitConnect most likely needs it again."""
        self._rsa_keys.remove(key)
        self._rsa_keys.insert(0, key)

    def use_sample_key(self) -> bool:
        """Adds the sample key of an installed Python SDK, without importing the SDK; False if there is none."""
        for package in ("futu", "moomoo"):
            try:
                spec = importlib.util.find_spec(package)
            except (ImportError, ValueError):
                continue
            for folder in (spec and spec.submodule_search_locations) or ():
                path = os.path.join(folder, "common", "conn_key.txt")
                if os.path.isfile(path):
                    self._sample = path
                    return True
        return False

    def __repr__(self) -> str:
        return f"<KeyRing of {len(self.rsa_keys)} RSA keys and {len(self.log)} key log entries>"


def _read_rsa_key(source: str | bytes | os.PathLike[str], passphrase: str | None) -> RsaPrivateKey:
    from Crypto.PublicKey import RSA

    name, pem = _load(source)
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


def _load(source: str | bytes | os.PathLike[str]) -> tuple[str, bytes]:
    """Returns the name of `source` for messages, which never shows key text, and its PEM."""
    if isinstance(source, bytes):
        return "the given PEM", source
    if isinstance(source, str) and "-----BEGIN" in source:
        return "the given PEM", source.encode("utf-8", "replace")
    if isinstance(source, str) and _may_be_key_text(source):
        raise KeyFileError(
            "the RSA key: neither a path nor PEM; give a file, or the text with its -----BEGIN and -----END lines"
        )
    name = escape(os.fspath(source))
    try:
        with open(source, "rb") as file:
            return name, file.read(_MAX_KEY_FILE)
    except OSError as error:
        raise KeyFileError(f"{name}: cannot read the RSA key: {error.strerror}") from None
    except ValueError:  # a NUL character
        raise KeyFileError(f"{name}: cannot read the RSA key: no such file") from None


def _may_be_key_text(source: str) -> bool:
    """True for a text that may be a key without its PEM frame: it must not appear in an error."""
    if "PRIVATE KEY" in source or "\n" in source:
        return True
    return len(source) > _MAX_SHOWN and "." not in source and not os.path.exists(source)
