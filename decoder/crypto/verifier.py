"""Decrypts message bodies and verifies them against the SHA-1 in the header.

The encryption that the peers announce is not trusted: some clients announce one and use another.  Every
candidate (the bytes as sent, each key in each mode) is tried, the SHA-1 of the plaintext decides, and what
worked last on the connection is tried first.  docs/keys.md has the table of verdicts.
"""

from __future__ import annotations

from collections import deque
from hashlib import sha1
from typing import TYPE_CHECKING

from decoder.body.body import Body
from decoder.crypto.ciphers import MODES, SessionKey
from decoder.crypto.rsa_trials import RsaTrials
from decoder.crypto.shape import has_message_shape, looks_like_damaged_plaintext
from decoder.vocabulary import INIT_CONNECT, INIT_WEB_SOCKET, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from decoder.crypto.keyring import KeyRing
    from decoder.framing.header import Header
    from decoder.limits import Limits
    from decoder.vocabulary import Direction

__all__ = ["BodyVerifier"]

_MAX_KEYS = 4
"""Session keys kept for one connection: there is more than one only if InitConnect is repeated."""


class BodyVerifier:
    """Decrypts and verifies the bodies of one connection, and keeps the keys that it finds in them."""

    __slots__ = (
        "_keyring",
        "_limits",
        "_log_trials",
        "_rsa",
        "clear_seen",
        "conn_id",
        "decrypt",
        "earlier_keys",
        "encryption",
        "keys",
        "log_exhausted",
        "request_reason",
        "request_seen",
        "response_reason",
        "response_seen",
        "sample_key",
    )

    def __init__(self, keyring: KeyRing, limits: Limits) -> None:
        self._keyring = keyring
        self._limits = limits
        self._log_trials = limits.max_keylog_tries
        self._rsa = RsaTrials(keyring, limits)
        self.log_exhausted = False
        """True once entries of a key log were left out because too many had been tried."""
        self.decrypt: Callable[[bytes], bytes | None] | None = None
        """Decryption function that worked last; None for bodies in clear."""
        self.encryption = "None"
        """Names of the encryption that `decrypt` undoes."""
        self.keys: deque[SessionKey] = deque(maxlen=_MAX_KEYS)
        """Session keys of the connection, the last successful one first."""
        self.earlier_keys: tuple[SessionKey, ...] = ()
        """Keys of the connection before that between the same ends; tried like those of a key log."""
        self.conn_id: str | None = None
        """connID from InitConnect or the key log, as text."""
        self.clear_seen = False
        """True once a body in clear was verified."""
        self.request_seen = self.response_seen = False
        """True once the InitConnect request, or response, was decoded, readable or not."""
        self.request_reason: str | None = None
        self.response_reason: str | None = None
        """Reason why that InitConnect message could not be decrypted: ``no-key`` or ``wrong-key``."""
        self.sample_key = False
        """True if the vendor's published sample key decrypted InitConnect."""

    def open(self, direction: Direction, header: Header, body: bytes) -> Verdict:
        """Decrypts and verifies `body`, the bytes on the wire."""
        _, proto_id, _, _, _, _, digest, _ = header
        if proto_id == INIT_CONNECT:
            return self._open_handshake(direction, header, body)
        decrypt = self.decrypt
        if decrypt is None:
            # The sender may have hashed ciphertext: then the SHA-1 fits, but the bytes are not the message.
            if sha1(body).digest() == digest and not self.may_be_ciphertext(direction, header, body):
                self.clear_seen = True
                return Verdict(body, "None", "verified", None)
        else:
            plain = decrypt(body)
            if plain is not None and sha1(plain).digest() == digest:
                return Verdict(plain, self.encryption, "verified", None)
        return self._search(direction, header, body)

    def open_undigested(self, direction: Direction, header: Header, body: bytes) -> Verdict:
        """Returns the verdict on a message whose header has no SHA-1, which is never encrypted; learns its connID."""
        _, proto_id, format, _, _, _, _, _ = header
        if proto_id == INIT_WEB_SOCKET and direction == "s2c":
            message = Body(INIT_WEB_SOCKET, direction, format, body, self._limits).message
            if message is not None and message.HasField("s2c"):
                self.conn_id = str(message.s2c.connID)  # type: ignore[attr-defined]
        self.clear_seen = True
        # No message is empty: a reply that reports an error has no body.
        return Verdict(body or None, "None", "unverified", "no-digest")

    def may_be_ciphertext(self, direction: Direction, header: Header, body: bytes) -> bool:
        """Returns True if `body`, sent with its own SHA-1, may be ciphertext all the same: some clients hash that."""
        encrypted = self.keys or (self.request_seen and not self.response_seen)
        if not encrypted or not body or len(body) & 15:  # AES comes in blocks of 16 bytes
            return False
        _, _, format, _, _, _, _, _ = header
        return not has_message_shape(direction, format, body)

    def verifies(self, direction: Direction, header: Header, body: bytes, *, by_hash: bool = False) -> bool:
        """Returns True if these bytes are a message for certain; learns nothing from them.

        Certain means by the SHA-1.  For InitConnect a complete body is enough unless `by_hash`: a client that hashes
        wrongly sends it before anything else, and its connection must not count as foreign traffic.
        """
        _, proto_id, format, _, _, _, digest, _ = header
        if sha1(body).digest() == digest:
            return True
        if proto_id != INIT_CONNECT:
            return self._find_decryption(digest, body) is not None
        if by_hash:
            return any(found.verified for found in self._rsa.decrypt(body, digest))
        if body and Body(INIT_CONNECT, direction, format, body, self._limits).complete:
            return True
        return any(
            found.verified or Body(INIT_CONNECT, direction, format, found.plaintext, self._limits).complete
            for found in self._rsa.decrypt(body, digest)
        )

    @property
    def rsa_exhausted(self) -> bool:
        """True once a key was not tried on an InitConnect message because too many trials had failed."""
        return self._rsa.exhausted

    # InitConnect

    def _open_handshake(self, direction: Direction, header: Header, body: bytes) -> Verdict:
        verdict = self._judge_handshake(direction, header, body)
        reason = verdict.reason if verdict.reason in ("no-key", "wrong-key") else None
        if direction == "c2s":
            self.request_seen, self.request_reason = True, reason
        else:
            self.response_seen, self.response_reason = True, reason
            if verdict.plaintext is not None:
                _, _, format, _, _, _, _, _ = header
                self._learn(Body(INIT_CONNECT, direction, format, verdict.plaintext, self._limits))
        return verdict

    def _judge_handshake(self, direction: Direction, header: Header, body: bytes) -> Verdict:
        _, _, format, _, _, _, digest, _ = header
        as_sent = Body(INIT_CONNECT, direction, format, body, self._limits)
        hash_fits = sha1(body).digest() == digest
        if hash_fits and as_sent.complete:
            self.clear_seen = True
            return Verdict(body, "None", "verified", None)
        opened = self._open_with_rsa(direction, header, body, hash_fits=hash_fits)
        if opened is not None and opened.name != "failed":
            return opened
        if hash_fits:
            self.clear_seen = True
            return Verdict(body, "None", "verified", None)
        if opened is not None:
            return opened
        if as_sent.complete:
            return Verdict(body, "None", "failed", "sha1-mismatch")
        if looks_like_damaged_plaintext(direction, body):
            return Verdict(None, "unknown", "failed", "sha1-mismatch")
        return Verdict(None, "unknown", "unverified", "wrong-key" if self._keyring.rsa_given else "no-key")

    def _open_with_rsa(self, direction: Direction, header: Header, body: bytes, *, hash_fits: bool) -> Verdict | None:
        """Returns the best decryption of InitConnect with the RSA keys; `hash_fits` if the hash is that of `body`."""
        _, _, format, _, _, _, digest, _ = header
        failed: Verdict | None = None
        for found in self._rsa.decrypt(body, digest):
            plaintext = found.plaintext
            if not (found.verified or Body(INIT_CONNECT, direction, format, plaintext, self._limits).complete):
                continue
            self.sample_key |= found.key.is_sample
            if found.oaep:
                return Verdict(plaintext, "RSA", "unverified", "rsa-padding")
            if found.verified:
                return Verdict(plaintext, "RSA", "verified", None)
            if hash_fits:
                return Verdict(plaintext, "RSA", "unverified", "sha1-of-ciphertext")
            failed = failed or Verdict(plaintext, "RSA", "failed", "sha1-mismatch")
        return failed

    def _learn(self, body: Body) -> None:
        """Keeps connID and AES key of an InitConnect response."""
        message = body.message
        if message is None or not message.HasField("s2c"):
            return
        s2c = message.s2c  # type: ignore[attr-defined]
        self.conn_id = str(s2c.connID)
        key = SessionKey(s2c.connID, _octets(s2c.connAESKey), _octets(s2c.aesCBCiv) or None)
        if not key.usable or key in self.keys:
            return
        self.keys.appendleft(key)
        self._keyring.harvested.append(key)

    # Messages after InitConnect

    def _candidates(self, body: bytes, digest: bytes) -> Iterator[tuple[bytes, str, SessionKey]]:
        """Yields each decryption of `body` with a key of the connection that unpads."""
        for key in self.keys:
            for mode in MODES:
                plain = key.decryptor(mode)(body)
                if plain is not None:
                    yield plain, mode, key
            plain = key.aes_ecb_zero_padded(body, digest)
            if plain is not None:
                yield plain, "AES_ECB", key

    def _find_decryption(self, digest: bytes, body: bytes) -> tuple[bytes, str, SessionKey] | None:
        """Returns the decryption whose SHA-1 is `digest`, with a key of the connection or of a key log."""
        if not body or len(body) % 16:
            return None
        for candidate in self._candidates(body, digest):
            if sha1(candidate[0]).digest() == digest:
                return candidate
        for key in () if self.keys else self.earlier_keys:
            found = _decrypted(key, digest, body)
            if found is not None:
                return found
        return self._find_in_log(digest, body)

    def _find_in_log(self, digest: bytes, body: bytes) -> tuple[bytes, str, SessionKey] | None:
        """Tries the keys of the key log, those of the connection's connID first, as many as are allowed."""
        log = self._keyring.log
        if len(log) > self._log_trials:
            self.log_exhausted = True
        if self._log_trials <= 0:
            return None
        for key in sorted(log, key=lambda key: str(key.conn_id) != self.conn_id)[: self._log_trials]:
            self._log_trials -= 1
            found = _decrypted(key, digest, body)
            if found is not None:
                return found
        return None

    def _search(self, direction: Direction, header: Header, body: bytes) -> Verdict:
        """Tries every key and mode on a body that the method of the last message does not verify."""
        _, proto_id, format, _, _, _, digest, _ = header
        found = self._find_decryption(digest, body)
        if found is not None:
            plain, mode, key = found
            self._keep(key, mode)
            return Verdict(plain, mode, "verified", None)
        as_sent = Body(proto_id, direction, format, body, self._limits)
        if sha1(body).digest() == digest:
            if not as_sent.complete:
                for plain, mode, _ in self._candidates(body, digest):
                    if Body(proto_id, direction, format, plain, self._limits).complete:
                        return Verdict(plain, mode, "unverified", "sha1-of-ciphertext")
            self.clear_seen = True
            self.decrypt, self.encryption = None, "None"
            return Verdict(body, "None", "verified", None)
        reason = self._missing_key_reason()
        if reason is not None:
            return Verdict(None, "unknown", "unverified", reason)
        # Damaged: show what parses, and try the encryption of the connection first.
        readings = [(plain, mode) for plain, mode, _ in self._candidates(body, digest)]
        readings.sort(key=lambda reading: reading[1] != self.encryption)
        readings.insert(0 if self.decrypt is None else len(readings), (body, "None"))
        for plain, encryption in readings:
            if Body(proto_id, direction, format, plain, self._limits).complete:
                return Verdict(plain, encryption, "failed", "sha1-mismatch")
        return Verdict(None, "unknown", "failed", "sha1-mismatch")

    def _keep(self, key: SessionKey, mode: str) -> None:
        """Uses `key` and `mode` first from now on; a key of the log becomes one of the connection."""
        self.decrypt, self.encryption = key.decryptor(mode), mode
        if key not in self.keys:
            self.keys.appendleft(key)
        if self.conn_id is None and key.conn_id is not None:
            self.conn_id = str(key.conn_id)

    def _missing_key_reason(self) -> str | None:
        """Returns the reason why a message that nothing verifies may lack its key; None if it must be damaged."""
        if self.response_seen:
            return self.response_reason
        if self.request_reason is not None:
            return self.request_reason
        if not self.clear_seen and not self.keys:
            return "handshake-missing"  # all of it, or the response, which has the keys
        return None

    @property
    def known_keys(self) -> tuple[SessionKey, ...]:
        """Keys of this connection, or of the one before it if it has none."""
        return tuple(self.keys) or self.earlier_keys

    @property
    def nothing_decrypted(self) -> bool:
        """True while no body of the connection was readable."""
        return not self.keys and not self.clear_seen

    @property
    def may_open_later(self) -> bool:
        """True while the InitConnect response may still bring the key to a message that nothing verified."""
        return not self.response_seen and not self.keys


def _decrypted(key: SessionKey, digest: bytes, body: bytes) -> tuple[bytes, str, SessionKey] | None:
    """Returns the decryption of `body` with `key` whose SHA-1 is `digest`."""
    for mode in MODES:
        plain = key.decryptor(mode)(body)
        if plain is not None and sha1(plain).digest() == digest:
            return plain, mode, key
    return None


def _octets(text: str | bytes) -> bytes:
    """Returns the bytes of a protobuf string; protobuf returns bytes instead of text where they are not UTF-8."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
