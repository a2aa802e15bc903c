"""The ciphers, undone: against the official SDK's own sealing and against pycryptodome."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoder.crypto.ciphers import SessionKey, recipe, rsa_decrypt
from tests.support.exchange import IV, KEY, MODES, cbc, ecb_zero_padded, ftaes, rsa, rsa_key
from tests.support.recorded import DEMO_KEY

bodies = st.binary(max_size=100) | st.binary(max_size=30).map(lambda data: data + bytes(len(data)))


@pytest.fixture(scope="module")
def sdk() -> Iterator[Any]:
    """The SDK's connection manager, which holds two connections: CBC and FTAES_ECB."""
    manager = pytest.importorskip("futu.common.conn_mng").FutuConnMng
    manager.add_conn({"conn_id": 1, "conn_key": KEY.decode(), "conn_iv": IV.decode()})
    manager.add_conn({"conn_id": 2, "conn_key": KEY.decode(), "conn_iv": None})
    yield manager
    manager.remove_conn(1)
    manager.remove_conn(2)


def sealed(sdk: Any, conn_id: int, plain: bytes) -> bytes:
    code, _, data = sdk.encrypt_conn_data(conn_id, plain)
    assert code == 0
    assert isinstance(data, bytes)
    return data


@settings(max_examples=200, deadline=None)
@given(plain=bodies)
def test_what_the_sdk_seals(sdk: Any, plain: bytes) -> None:
    assert SessionKey(1, KEY, IV).aes_cbc(sealed(sdk, 1, plain)) == plain
    assert SessionKey(2, KEY).ftaes_ecb(sealed(sdk, 2, plain)) == plain


@settings(deadline=None)
@given(plain=st.binary(min_size=1, max_size=500))
def test_what_the_sdk_seals_with_rsa(plain: bytes) -> None:
    config = pytest.importorskip("futu.common.sys_config")
    config.SysConfig.set_init_rsa_file(str(DEMO_KEY))
    config.RsaCrypt.CHIPPER = None
    from Crypto.PublicKey import RSA

    assert rsa_decrypt(RSA.import_key(DEMO_KEY.read_bytes()), config.RsaCrypt.encrypt(plain)) == plain


@given(plain=bodies)
def test_one_object_opens_message_after_message_in_any_mode(plain: bytes) -> None:
    """The CBC object is chained from message to message; what else is opened in between must not matter."""
    key = SessionKey(1, KEY, IV)
    for other in (b"", plain, b"x" * 16, bytes(40)):
        assert key.aes_cbc(cbc(plain)) == plain
        for mode, seal in MODES.items():
            assert key.decryptor(mode)(seal(other)) == other
        key.aes_cbc(bytes(32))
        assert key.aes_ecb_zero_padded(ecb_zero_padded(plain), hashlib.sha1(plain).digest()) == plain or not plain


@given(st.binary(max_size=70))
def test_bytes_that_are_no_ciphertext_give_none_or_what_they_would_mean(data: bytes) -> None:
    """No call raises, and each answer is one that sealing leads back to."""
    key = SessionKey(1, KEY, IV)
    for mode, seal in MODES.items():
        plain = key.decryptor(mode)(data)
        assert plain is None or seal(plain) == data
        if len(data) % 16 or not data:
            assert plain is None
    plain = key.aes_ecb_zero_padded(data, hashlib.sha1(data).digest())
    assert plain is None or hashlib.sha1(plain).digest() == hashlib.sha1(data).digest()
    assert rsa_decrypt(rsa_key(512), data) is None or len(data) == 64


def test_a_wrong_ftaes_tail_or_padding_is_refused() -> None:
    key = SessionKey(1, KEY)
    good = ftaes(b"x" * 20)
    assert key.ftaes_ecb(good) == b"x" * 20
    assert key.ftaes_ecb(good[:-1] + b"\x10") is None
    assert key.ftaes_ecb(good[:-2] + b"\x01\x04") is None
    assert key.ftaes_ecb(good[:-1] + b"\x03") is None  # the byte it would cut is no zero
    assert key.ftaes_ecb(ftaes(b"")) == b""


def test_cbc_takes_an_iv_of_one_block() -> None:
    for iv in (None, b"", b"short", bytes(17)):
        assert SessionKey(1, KEY, iv).aes_cbc(cbc(b"x")) is None
        assert SessionKey(1, KEY, iv).iv is None


@pytest.mark.parametrize(("size", "usable"), [(0, False), (8, False), (15, False), (16, True), (17, False), (32, True)])
def test_which_keys_aes_takes(size: int, usable: bool) -> None:
    assert SessionKey(1, bytes(size)).usable == usable


def test_keys_are_equal_by_what_they_open() -> None:
    assert SessionKey(1, KEY, IV) == SessionKey(2, KEY, IV)
    assert hash(SessionKey(1, KEY, IV)) == hash(SessionKey(2, KEY, IV))
    assert SessionKey(1, KEY, IV) != SessionKey(1, KEY)
    assert SessionKey(1, KEY) != KEY


@pytest.mark.parametrize("bits", [512, 1000, 1024, 2048])
@pytest.mark.parametrize("size", [1, 52, 53, 54, 114, 117, 118, 245, 246, 600])
def test_rsa_blocks_of_any_modulus(bits: int, size: int) -> None:
    key, plain = rsa_key(bits), bytes(range(256)) * 3
    assert rsa_decrypt(key, rsa(plain[:size], key)) == plain[:size]
    assert rsa_decrypt(key, rsa(plain[:size], key, chunk=7)) == plain[:size]


def test_rsa_refuses_what_is_not_its_own() -> None:
    key, other = rsa_key(1024), rsa_key(1024, seed=1)
    body = rsa(b"hello", key)
    assert rsa_decrypt(other, body) is None
    assert rsa_decrypt(key, body[:-1]) is None
    assert rsa_decrypt(key, b"") is None
    assert rsa_decrypt(key, b"\xff" * 128) is None  # above the modulus
    assert rsa_decrypt(key, body + b"\xff" * 128) is None


def test_a_recipe_tells_mode_cipher_and_iv() -> None:
    """What the compiled core does with it, tests/unit/engine/test_hot_path.py compares."""
    from Crypto.Cipher import AES

    key = SessionKey(1, KEY, IV)
    for mode, iv in (("FTAES_ECB", b""), ("AES_CBC", IV), ("AES_ECB", b"")):
        found = recipe(key.decryptor(mode))
        assert found is not None
        assert (found[0], found[2]) == (mode, iv)
        assert found[1](bytes(32)) == AES.new(KEY, AES.MODE_ECB).decrypt(bytes(32))
    assert recipe(SessionKey(1, KEY).decryptor("AES_CBC")) is None
    assert recipe(lambda body: body) is None
