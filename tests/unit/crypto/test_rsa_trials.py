"""Trials of RSA keys on InitConnect: every key on the first messages, a bound for the rest, and what is reported."""

from __future__ import annotations

from typing import Any

import pytest
from Crypto.Cipher import PKCS1_OAEP
from Crypto.Hash import SHA1, SHA256

from decoder import KeyRing, Limits, Message
from decoder.crypto.ciphers import rsa_decrypt, rsa_decrypt_oaep
from tests.support.exchange import Exchange, decode, frame, init_request, init_response, pem, rsa, rsa_key

RIGHT = rsa_key(512)
WRONG = [rsa_key(512, seed) for seed in range(1, 80)]
FAILED = "too many RSA keys failed on InitConnect; not every key was tried on each message"


def logins(count: int, keys: KeyRing, limits: Limits | None = None) -> tuple[list[Message], list[str]]:
    """Decode `count` connections with an InitConnect exchange under `RIGHT`."""
    exchanges = []
    for ordinal in range(count):
        exchange = Exchange(client_port=50_000 + ordinal)
        exchange.now += ordinal * 1_000_000_000
        exchange.c2s(frame(1001, init_request(), rsa(init_request(), RIGHT)))
        exchange.s2c(frame(1001, init_response(), rsa(init_response(), RIGHT)))
        exchanges.append(exchange)
    messages, _, decoder = decode(*exchanges, keys=keys, limits=limits)
    return messages, decoder.summary.reports


def test_the_right_key_is_found_behind_any_number_of_wrong_ones() -> None:
    keys = KeyRing([pem(key) for key in [*WRONG, RIGHT]])
    messages, reports = logins(2, keys)
    assert [m.verdict for m in messages] == ["verified"] * 4
    assert reports == []
    assert keys.failed_rsa_trials == len(WRONG)  # on the first message only: then the right key goes first
    assert keys.rsa_keys[0].key == RIGHT


def test_failures_are_bounded_and_reported() -> None:
    keys = KeyRing([pem(key) for key in WRONG])
    messages, reports = logins(20, keys, Limits(max_rsa_trials=100))
    assert {m.reason for m in messages} == {"wrong-key"}
    # The message that passes the bound gets every key (twice: for either padding); the other connections 4 trials each.
    assert 100 <= keys.failed_rsa_trials <= 100 + 2 * len(WRONG) + 20 * 4
    assert reports == [FAILED]


def test_the_key_that_was_right_is_tried_beyond_the_bound() -> None:
    keys = KeyRing([pem(key) for key in [*WRONG[:10], RIGHT]])
    assert {m.verdict for m in logins(5, keys, Limits(max_rsa_trials=1))[0]} == {"verified"}


def test_a_message_that_was_tried_once_is_not_tried_again_for_its_verdict() -> None:
    """The framer asks whether the first message of a stream verifies before it is decrypted."""
    keys = KeyRing([pem(key) for key in WRONG[:3]])
    exchange = Exchange().c2s(frame(1001, init_request(), rsa(init_request(), RIGHT)))
    decode(exchange, keys=keys)
    assert keys.failed_rsa_trials == 6  # 3 keys, 2 kinds of padding


@pytest.mark.parametrize("hash_module", [SHA1, SHA256])
def test_oaep_is_named_and_its_body_shown(hash_module: Any) -> None:
    key = rsa_key(1024)
    sealed = PKCS1_OAEP.new(key, hash_module).encrypt(init_request())
    assert rsa_decrypt(key, sealed) is None
    assert rsa_decrypt_oaep(key, sealed) == init_request()
    for sha1, keys, expected in (
        (None, [WRONG[0], key], ("RSA", "unverified", "rsa-padding")),
        (bytes(20), [key], ("RSA", "unverified", "rsa-padding")),
        (None, [WRONG[0]], ("unknown", "unverified", "wrong-key")),
    ):
        exchange = Exchange().c2s(frame(1001, init_request(), sealed, sha1=sha1))
        (message,), _, _ = decode(exchange, keys=KeyRing([pem(each) for each in keys]))
        assert (message.encryption, message.verdict, message.reason) == expected
        assert (message.plaintext == init_request()) == (expected[0] == "RSA")
    assert "OAEP" in (message.hint or "") or message.reason == "wrong-key"


def test_oaep_of_bytes_that_are_none() -> None:
    for data in (b"", b"x" * 63, b"x" * 64, b"\xff" * 128):
        assert rsa_decrypt_oaep(RIGHT, data) is None
