"""RSA key files and key logs: what is accepted, and what the one line says where it is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from Crypto.PublicKey import ECC
from hypothesis import given
from hypothesis import strategies as st

from decoder import KeyFileError, KeyRing
from decoder.crypto.ciphers import SessionKey
from decoder.crypto.keylog import key_log_line, read_key_log
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


# Key logs


def test_a_key_log_line_and_back(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(
        "# made by hand\n"
        "\n"
        f"OPEND_AES 9300000000000000001 {b'0123456789ABCDEF'.hex()} {b'FEDCBA9876543210'.hex()}\n"
        "CLIENT_RANDOM 00 11\n"
        f"  OPEND_AES\t7 {b'k'.hex() * 16}  \r\n"
    )
    first, second = read_key_log(path)
    assert (first.conn_id, first.key, first.iv) == (9300000000000000001, b"0123456789ABCDEF", b"FEDCBA9876543210")
    assert (second.conn_id, second.key, second.iv) == (7, b"k" * 16, None)
    assert key_log_line(first) == path.read_text().splitlines()[2]
    assert key_log_line(second) == f"OPEND_AES 7 {'6b' * 16}"


@given(
    st.integers(0, 2**64 - 1),
    st.binary(min_size=16, max_size=16),
    st.none() | st.binary(min_size=16, max_size=16),
)
def test_every_key_survives_its_log(conn_id: int, key: bytes, iv: bytes | None) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys"
        path.write_text(key_log_line(SessionKey(conn_id, key, iv)) + "\n")
        (read,) = read_key_log(path)
    assert (read.conn_id, read.key, read.iv) == (conn_id, key, iv)


@pytest.mark.parametrize(
    "line",
    [
        "OPEND_AES",
        "OPEND_AES 1",
        "OPEND_AES one " + "00" * 16,
        "OPEND_AES 1 xyz",
        "OPEND_AES 1 " + "00" * 15,
        "OPEND_AES 1 " + "0" * 31,
        "OPEND_AES -1 " + "00" * 16,
        "OPEND_AES 1 " + "00" * 16 + " zz",
        "OPEND_AES 1 " + "00" * 16 + " " + "00" * 16 + " more",
    ],
)
def test_a_malformed_line_is_named_by_its_number(line: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# first\n" + line + "\n")
    with pytest.raises(KeyFileError, match="OPEND_AES <connID>") as caught:
        read_key_log(path)
    assert str(caught.value).startswith(f"{path}:2:")
    assert "\n" not in str(caught.value)
    assert "00" * 15 not in str(caught.value)


def test_a_key_log_that_has_no_entry_or_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"\xff\xfe\x00nothing\n")
    with pytest.raises(KeyFileError, match="no OPEND_AES line"):
        KeyRing(keylogs=path)
    with pytest.raises(KeyFileError, match="cannot read the key log"):
        KeyRing(keylogs=[tmp_path / "none"])


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
