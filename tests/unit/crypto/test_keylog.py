"""Key logs: the line of an entry, and what is refused with the number of its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder import KeyFileError, KeyRing
from decoder.crypto.ciphers import SessionKey
from decoder.crypto.keylog import key_log_line, read_key_log


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


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\nb", "a\x00b"])
def test_a_message_shows_no_control_characters_of_a_file_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError) as raised:
        read_key_log(str(tmp_path / name))
    assert str(raised.value).isprintable()
    assert "cannot read the key log" in str(raised.value)
