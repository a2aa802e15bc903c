"""From the body on the wire to plaintext and verdict: what the SHA-1 in the header verifies.

Nothing that the peers announce is believed.  Every candidate (the bytes as sent, each key in each
mode) is tried, the SHA-1 of the plaintext decides, and what worked last on the connection is tried
first.  The table of verdicts is section "Verdicts" of the README.
"""

from __future__ import annotations

from collections import deque
from hashlib import sha1
from typing import TYPE_CHECKING

from decoder.body import wire
from decoder.body.body import Body
from decoder.crypto.ciphers import MODES, SessionKey, rsa_decrypt
from decoder.vocabulary import INIT_CONNECT, Opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from decoder.crypto.keyring import KeyRing
    from decoder.framing.header import Header
    from decoder.limits import Limits
    from decoder.vocabulary import Direction

__all__ = ["BodyVerifier"]

_MAX_KEYS = 4  # session keys of one connection: more than one only if InitConnect is repeated
_RSA_TRIES = 64  # InitConnect messages of one connection that are worth an RSA operation (1 ms)


class BodyVerifier:
    """Opens the bodies of one connection and learns its keys as it goes."""

    __slots__ = (
        "_keyring",
        "_limits",
        "_log_tries",
        "_rsa_tries",
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
        self._log_tries = limits.max_keylog_tries
        self.log_exhausted = False
        """Whether entries of a key log were left out because too many had been tried."""
        self._rsa_tries = _RSA_TRIES
        self.decrypt: Callable[[bytes], bytes | None] | None = None
        """What worked last; None: in clear."""
        self.encryption = "None"
        self.keys: deque[SessionKey] = deque(maxlen=_MAX_KEYS)
        self.earlier_keys: tuple[SessionKey, ...] = ()
        """Keys of the connection before that between the same ends; tried like those of a key log."""
        self.conn_id: str | None = None
        self.clear_seen = False
        self.request_seen = self.response_seen = False
        self.request_reason: str | None = None
        self.response_reason: str | None = None
        """Why InitConnect could not be opened: ``no-key`` or ``wrong-key``."""
        self.sample_key = False
        """Whether the vendor's public sample key opened InitConnect."""

    def open(self, direction: Direction, header: Header, body: bytes) -> Opened:
        """Decrypt and judge `body`, the bytes on the wire."""
        if header[1] == INIT_CONNECT:
            return self._open_handshake(direction, header, body)
        decrypt = self.decrypt
        if decrypt is None:
            # The sender may have hashed ciphertext, which comes in blocks of 16: then the bytes are no message.
            if sha1(body).digest() == header[6] and not self.may_be_ciphertext(direction, header, body):
                self.clear_seen = True
                return body, "None", "verified", None
        else:
            plain = decrypt(body)
            if plain is not None and sha1(plain).digest() == header[6]:
                return plain, self.encryption, "verified", None
        return self._open_slowly(direction, header, body)

    def may_be_ciphertext(self, direction: Direction, header: Header, body: bytes) -> bool:
        """Whether `body`, which has the right SHA-1 as it was sent, may be ciphertext: some clients hash that."""
        sealed = self.keys or (self.request_seen and not self.response_seen)
        return bool(sealed and body and not len(body) & 15) and not _has_shape(direction, header[2], body)

    def verifies(self, direction: Direction, header: Header, body: bytes) -> bool:
        """Whether the SHA-1 shows that these bytes are a message, without learning anything from them."""
        if sha1(body).digest() == header[6]:
            return True
        if header[1] == INIT_CONNECT:
            return any(sha1(plain).digest() == header[6] for plain, _ in self._rsa_candidates(body))
        return self._find_decryption(header, body) is not None

    # InitConnect

    def _rsa_candidates(self, body: bytes) -> Iterator[tuple[bytes, bool]]:
        for rsa in self._keyring.rsa_keys:
            if not body or len(body) % rsa.key.size_in_bytes():
                continue
            if self._rsa_tries <= 0:
                return
            self._rsa_tries -= 1
            plain = rsa_decrypt(rsa.key, body)
            if plain is not None:
                yield plain, rsa.is_sample

    def _open_handshake(self, direction: Direction, header: Header, body: bytes) -> Opened:
        opened = self._judge_handshake(direction, header, body)
        reason = opened[3] if opened[3] in ("no-key", "wrong-key") else None
        if direction == "c2s":
            self.request_seen, self.request_reason = True, reason
        else:
            self.response_seen, self.response_reason = True, reason
            if opened[0] is not None:
                self._learn(Body(INIT_CONNECT, direction, header[2], opened[0], self._limits))
        return opened

    def _judge_handshake(self, direction: Direction, header: Header, body: bytes) -> Opened:
        digest = header[6]
        as_sent = Body(INIT_CONNECT, direction, header[2], body, self._limits)
        hash_fits = sha1(body).digest() == digest
        if hash_fits and as_sent.complete:
            self.clear_seen = True
            return body, "None", "verified", None
        candidates = []
        for plain, is_sample in self._rsa_candidates(body):
            complete = Body(INIT_CONNECT, direction, header[2], plain, self._limits).complete
            if sha1(plain).digest() == digest:
                self.sample_key |= is_sample
                return plain, "RSA", "verified", None
            if complete:
                self.sample_key |= is_sample
                if hash_fits:
                    return plain, "RSA", "unverified", "sha1-of-ciphertext"
                candidates.append(plain)
        if hash_fits:
            self.clear_seen = True
            return body, "None", "verified", None
        if candidates:
            return candidates[0], "RSA", "failed", "sha1-mismatch"
        if as_sent.complete:
            return body, "None", "failed", "sha1-mismatch"
        if _reads_as_clear(direction, body):
            return None, "unknown", "failed", "sha1-mismatch"
        return None, "unknown", "unverified", "wrong-key" if self._keyring.rsa_given else "no-key"

    def _learn(self, body: Body) -> None:
        """Take connID and AES key from an InitConnect response."""
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

    # Everything after it

    def _candidates(self, body: bytes, digest: bytes) -> Iterator[tuple[bytes, str, SessionKey]]:
        """Each decryption of `body` with a key of the connection that unpads."""
        for key in self.keys:
            for mode in MODES:
                plain = key.decryptor(mode)(body)
                if plain is not None:
                    yield plain, mode, key
            plain = key.aes_ecb_zero_padded(body, digest)
            if plain is not None:
                yield plain, "AES_ECB", key

    def _find_decryption(self, header: Header, body: bytes) -> tuple[bytes, str, SessionKey] | None:
        """The decryption whose SHA-1 is that of the header."""
        if not body or len(body) % 16:
            return None
        digest = header[6]
        for candidate in self._candidates(body, digest):
            if sha1(candidate[0]).digest() == digest:
                return candidate
        for key in () if self.keys else self.earlier_keys:
            for mode in MODES:
                plain = key.decryptor(mode)(body)
                if plain is not None and sha1(plain).digest() == digest:
                    return plain, mode, key
        log = self._keyring.log
        if len(log) > self._log_tries:
            self.log_exhausted = True
        if self._log_tries <= 0:
            return None
        for key in sorted(log, key=lambda key: str(key.conn_id) != self.conn_id)[: self._log_tries]:
            self._log_tries -= 1
            for mode in MODES:
                plain = key.decryptor(mode)(body)
                if plain is not None and sha1(plain).digest() == digest:
                    return plain, mode, key
        return None

    def _open_slowly(self, direction: Direction, header: Header, body: bytes) -> Opened:
        digest = header[6]
        found = self._find_decryption(header, body)
        if found is not None:
            plain, mode, key = found
            self.decrypt, self.encryption = key.decryptor(mode), mode
            if key not in self.keys:  # of the key log
                self.keys.appendleft(key)
            if self.conn_id is None and key.conn_id is not None:
                self.conn_id = str(key.conn_id)
            return plain, mode, "verified", None
        as_sent = Body(header[1], direction, header[2], body, self._limits)
        if sha1(body).digest() == digest:
            if not as_sent.complete:
                for plain, mode, _ in self._candidates(body, digest):
                    if Body(header[1], direction, header[2], plain, self._limits).complete:
                        return plain, mode, "unverified", "sha1-of-ciphertext"
            self.clear_seen = True
            self.decrypt, self.encryption = None, "None"
            return body, "None", "verified", None
        reason = self._excuse()
        if reason is not None:
            return None, "unknown", "unverified", reason
        # Damaged: show what can be read, in the mode of the connection first.
        readings = [(plain, mode) for plain, mode, _ in self._candidates(body, digest)]
        readings.sort(key=lambda reading: reading[1] != self.encryption)
        readings.insert(0 if self.decrypt is None else len(readings), (body, "None"))
        for plain, encryption in readings:
            if Body(header[1], direction, header[2], plain, self._limits).complete:
                return plain, encryption, "failed", "sha1-mismatch"
        return None, "unknown", "failed", "sha1-mismatch"

    def _excuse(self) -> str | None:
        """Why a message that matched nothing could not be opened, other than that it is damaged."""
        if self.response_seen:
            return self.response_reason
        if self.request_reason is not None:
            return self.request_reason
        if not self.clear_seen and not self.keys:
            return "handshake-missing"  # all of it, or the response, which has the keys
        return None

    @property
    def known_keys(self) -> tuple[SessionKey, ...]:
        """The keys of this connection, and of the one before it if it had none."""
        return tuple(self.keys) or self.earlier_keys

    @property
    def blind(self) -> bool:
        """Whether no body could be read so far."""
        return not self.keys and not self.clear_seen

    @property
    def may_open_later(self) -> bool:
        """Whether a message that matched nothing may still be opened once the InitConnect response comes."""
        return not self.response_seen and not self.keys


def _octets(text: str | bytes) -> bytes:
    """The bytes of a protobuf string; protobuf itself gives bytes where they are not UTF-8."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


_REQUEST = {1: wire.LENGTH}  # c2s
_RESPONSE = {1: wire.VARINT, 2: wire.LENGTH, 3: wire.VARINT, 4: wire.LENGTH}  # retType, retMsg, errCode, s2c
_RESPONSE_STARTS = (b"\x08\x00\x12", b"\x08\x00\x18", b"\x08\x00\x22")


def _has_shape(direction: Direction, format: int, body: bytes) -> bool:
    """Whether the outermost fields are those of a request or response, as in ciphertext once in a million.

    A full parse would answer the same, for a hundred times the time where the body is large.
    """
    if format:
        return body[:1] == b"{"
    # As the official clients write them: a request is one field, and a response begins with retType 0.
    if direction == "c2s":
        if body[0] == 0x0A and body[1] == len(body) - 2:
            return True
    elif body.startswith(_RESPONSE_STARTS):
        return True
    known = _REQUEST if direction == "c2s" else _RESPONSE
    try:
        return bool(body) and all(known.get(number) == kind for number, kind, _, _ in wire.fields(body))
    except ValueError:
        return False


def _reads_as_clear(direction: Direction, body: bytes) -> bool:
    """Whether an InitConnect body that does not parse looks like damaged plaintext rather than RSA.

    RSA blocks are random: half of their bytes have the high bit set, and their number is a multiple of 8.
    """
    if len(body) % 8:
        return True
    if body[:1] not in ((b"\x0a", b"{") if direction == "c2s" else (b"\x08", b"{")):
        return False
    return sum(byte >> 7 for byte in body) < 0.25 * len(body)  # 4 standard deviations for 512 bits
