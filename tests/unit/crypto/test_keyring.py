"""RSA key files and key logs: what is accepted, and what the one line says where it is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from Crypto.PublicKey import ECC

from decoder import KeyFileError, KeyRing
from tests.support.exchange import pem, rsa_key
from tests.support.recorded import DEMO_KEY

KEY = rsa_key(1024)


@pytest.mark.parametrize("pkcs", [1, 8])
def test_path_and_pem_as_bytes_and_text(pkcs: int, tmp_path: Path) -> None:
    path = tmp_path / "rsa.pem"
    path.write_bytes(pem(KEY, pkcs))
    for source in (path, str(path), pem(KEY, pkcs), pem(KEY, pkcs).decode()):
        for given_as in (source, [source]):
            (found,) = KeyRing(given_as).rsa_keys
            assert found.key == KEY


def test_windows_line_ends_and_text_around_the_pem(tmp_path: Path) -> None:
    path = tmp_path / "rsa.pem"
    path.write_bytes(pem(KEY).replace(b"\n", b"\r\n") + b"\r\n")
    assert KeyRing([path]).rsa_keys[0].key == KEY


def test_the_demo_key_is_read_and_is_not_the_public_sample() -> None:
    (key,) = KeyRing([DEMO_KEY]).rsa_keys
    assert key.key.size_in_bits() == 1024
    assert not key.is_sample


def test_the_sample_key_of_the_sdk_is_found_and_recognised() -> None:
    spec = importlib.util.find_spec("futu")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("futu-api is not installed")
    ring = KeyRing()
    assert ring.use_sample_key()
    (key,) = ring.rsa_keys
    assert key.is_sample
    path = Path(spec.submodule_search_locations[0]) / "common" / "conn_key.txt"
    assert KeyRing([path]).rsa_keys[0].key == key.key
    assert KeyRing([path]).rsa_keys[0].is_sample


def test_without_the_sdk_there_is_no_sample_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ring = KeyRing()
    assert not ring.use_sample_key()
    assert ring.rsa_keys == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an RSA key"),
        (b"hello", "not an RSA key"),
        (bytes(range(256)) * 10, "not an RSA key"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "not an RSA key"),
        (pem(KEY)[:-100], "not an RSA key"),
        (ECC.generate(curve="P-256").export_key(format="PEM").encode(), "not an RSA key"),
        (KEY.public_key().export_key(), "public key"),
        (pem(KEY, 1, "secret"), "encrypted"),
        (pem(KEY, 8, "secret"), "encrypted"),
    ],
    ids=[
        "empty",
        "text",
        "binary",
        "no key in it",
        "cut",
        "elliptic",
        "public",
        "encrypted PKCS#1",
        "encrypted PKCS#8",
    ],
)
def test_a_key_file_that_will_not_do_is_named_with_the_cause(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rsa.pem"
    path.write_bytes(content)
    with pytest.raises(KeyFileError) as caught:
        KeyRing([path])
    text = str(caught.value)
    assert text.startswith(str(path))
    assert said in text
    assert "\n" not in text


def test_a_wrong_pass_phrase_is_named(tmp_path: Path) -> None:
    for pkcs in (1, 8):
        with pytest.raises(KeyFileError, match="pass phrase"):
            KeyRing([pem(KEY, pkcs, "secret")], passphrase="wrong")
        assert KeyRing([pem(KEY, pkcs, "secret")], passphrase="secret").rsa_keys[0].key == KEY


def test_a_pass_phrase_does_no_harm_to_keys_that_have_none() -> None:
    assert KeyRing([pem(KEY)], passphrase="secret").rsa_keys[0].key == KEY


def test_a_key_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(KeyFileError, match="cannot read the RSA key") as caught:
            KeyRing([path])
        assert str(path) in str(caught.value)


def test_a_key_shown_to_people_is_no_key() -> None:
    ring = KeyRing([pem(KEY)])
    for shown in (repr(ring), repr(ring.rsa_keys), str(ring.rsa_keys[0])):
        assert str(KEY.d) not in shown
        assert "BEGIN" not in shown


def test_several_key_logs_are_one(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).write_text(f"OPEND_AES {number} {'00' * 16}\n")
    ring = KeyRing(keylogs=[tmp_path / "1", str(tmp_path / "2")])
    assert [entry.conn_id for entry in ring.log] == [1, 2]
    assert "2 key log entries" in repr(ring)


# Secrets in errors


def _leaks(text: str, secret: str) -> bool:
    return any(secret[at : at + 12] in text for at in range(len(secret) - 12))


def test_an_error_never_shows_a_key_that_was_given_without_its_frame() -> None:
    lines = pem(KEY).decode().splitlines()
    naked = "".join(lines[1:-1])
    for source in (naked, "\n".join(lines[1:-1]), "\n".join(lines[1:]), " ".join(lines[1:-1]), naked[:100]):
        with pytest.raises(KeyFileError) as caught:
            KeyRing([source])
        assert not _leaks(str(caught.value), naked), source[:10]
        assert "\n" not in str(caught.value)


def test_an_error_escapes_the_name_of_the_file() -> None:
    for name in ("none\x1b[31m.pem", "none\u202e.pem", "none\0.pem"):
        with pytest.raises(KeyFileError, match="cannot read the RSA key") as caught:
            KeyRing([name])
        assert str(caught.value).isprintable()
