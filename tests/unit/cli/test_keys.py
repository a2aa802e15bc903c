"""The command and keys: what opens what, harvesting, verdicts and hints."""

from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path
from typing import Any

import click
import pytest

from decoder.errors import KeyFileError
from tests.support.command import (
    FTAES,
    PLAIN,
    WITH_KEY,
    opendump,
    options,
    posix,
    write,
)
from tests.support.exchange import (
    pem,
    rsa_key,
)
from tests.support.recorded import CAPTURES, DEMO_KEY, Recording

# Keys and verdicts


def test_without_a_key_the_cause_and_the_next_step_are_named() -> None:
    result = opendump("decode", FTAES)
    count = len(Recording("ftaes.pcap").expected)
    assert result.code == 0
    assert len(result.lines) == count
    assert f"{count} messages on 2 connections, none verified\n" in result.err
    assert "--rsa-key" in result.err
    assert result.err.count("\n") == 2


def test_verdict_lines_of_a_short_look_count_what_was_shown() -> None:
    result = opendump("decode", FTAES, "-c", "2")
    assert len(result.lines) == 2
    assert "opendump: 2 unverified (" in result.err


def test_strict(tmp_path: Path) -> None:
    assert opendump("decode", *WITH_KEY, "--strict").code == 0
    assert opendump("decode", FTAES, "--strict").code == 3
    assert opendump("decode", FTAES, tmp_path / "missing", "--strict").code == 1


def test_keys_from_the_environment(tmp_path: Path) -> None:
    other = write(tmp_path / "other.pem", pem(rsa_key(1024, 1)))
    both = os.pathsep.join(map(str, (other, DEMO_KEY)))
    assert "all verified" in opendump("decode", FTAES, OPENDUMP_RSA_KEY=both).err
    assert "(wrong-key)" in opendump("decode", FTAES, OPENDUMP_RSA_KEY=str(other)).err


def test_encrypted_keys(tmp_path: Path) -> None:
    from Crypto.PublicKey import RSA

    key = RSA.import_key(DEMO_KEY.read_bytes())
    locked = write(tmp_path / "locked.pem", pem(key, passphrase="open sesame"))
    assert "all verified" in opendump("decode", FTAES, "--rsa-key", locked, OPENDUMP_RSA_PASSPHRASE="open sesame").err
    wrong = opendump("decode", FTAES, "--rsa-key", locked, OPENDUMP_RSA_PASSPHRASE="no")
    assert (wrong.code, wrong.out) == (1, "")
    assert str(locked) in wrong.err
    silent = opendump("decode", FTAES, "--rsa-key", locked, stdin=b"")
    assert silent.code == 1
    assert "OPENDUMP_RSA_PASSPHRASE" in silent.err


def test_a_pass_phrase_is_asked_for_on_a_terminal_only_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked = []

    def prompt(text: str, **how: Any) -> str:
        asked.append((text, how))
        return "open sesame"

    monkeypatch.delenv("OPENDUMP_RSA_PASSPHRASE", raising=False)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(click, "prompt", prompt)
    key = rsa_key(1024, 2)
    locked = write(tmp_path / "locked.pem", pem(key, passphrase="open sesame"))
    assert len(options(rsa_keys=(str(locked),)).key_ring().rsa_keys) == 1
    assert asked == [(f"Pass phrase of {locked}", {"hide_input": True, "err": True})]
    options(rsa_keys=(str(DEMO_KEY),)).key_ring()
    with pytest.raises(KeyFileError):
        options(rsa_keys=(str(tmp_path / "missing"),)).key_ring()
    assert len(asked) == 1


@pytest.mark.parametrize(
    "arguments", [["--rsa-key", "missing.pem"], ["--keylog", "missing.keys"], ["--rsa-key", PLAIN]]
)
def test_a_key_file_that_cannot_be_used(arguments: list[str | Path], tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = opendump("decode", PLAIN, *arguments, "-o", output)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"opendump: {arguments[1]}: ")
    assert result.err.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize("option", ["--rsa-key", "--keylog"])
@pytest.mark.parametrize("secret", ["MIICXQIBAAKBgQC7" * 4, f"OPEND_AES 1 {bytes(range(16)).hex()}"])
def test_a_key_given_instead_of_its_file_is_not_repeated(option: str, secret: str) -> None:
    result = opendump("decode", PLAIN, option, secret)
    assert (result.code, result.out) == (2, "")
    assert "give the path of the key file, not the key itself" in result.err
    assert secret[:20] not in result.err


def test_the_sample_key_is_tried_and_warned_about() -> None:
    pytest.importorskip("futu")
    result = opendump("decode", CAPTURES / "sample-key.pcap")
    assert result.code == 0
    assert "all verified" in result.err
    assert "public sample key" in result.err


def test_a_key_log_opens_what_began_before_the_capture() -> None:
    late = CAPTURES / "late-start.pcap"
    assert "(handshake-missing)" in opendump("decode", late).err
    assert "all verified" in opendump("decode", late, "--keylog", CAPTURES / "late-start.keylog").err


def logged_keys(recording: str) -> list[str]:
    """Key log lines made of what the ends logged."""
    lines = []
    for entry in Recording(recording).expected:
        s2c = entry["body"].get("s2c") or {}
        if "connAESKey" in s2c:
            words = [f"OPEND_AES {s2c['connID']} {s2c['connAESKey'].encode().hex()}"]
            lines.append(" ".join([*words, *([s2c["aesCBCiv"].encode().hex()] if s2c.get("aesCBCiv") else [])]))
    return lines


@pytest.mark.parametrize("recording", ["ftaes.pcap", "cbc.pcap", "mixed.pcap"])
def test_harvesting_keys(recording: str, tmp_path: Path) -> None:
    output = tmp_path / "session.keys"
    result = opendump("keys", CAPTURES / recording, "--rsa-key", DEMO_KEY, "-o", output)
    assert (result.code, result.out) == (0, "")
    assert sorted(output.read_text().splitlines()) == sorted(logged_keys(recording))
    assert list(tmp_path.iterdir()) == [output]
    later = opendump(
        "decode", CAPTURES / recording, "--keylog", output, "--where", "proto_id!=1001", "--format", "jsonl"
    )
    assert {json.loads(line)["verdict"] for line in later.lines} == {"verified"}


@posix
def test_a_key_log_is_private_whatever_the_umask(tmp_path: Path) -> None:
    output = tmp_path / "session.keys"
    old = os.umask(0)
    try:
        assert opendump("keys", *WITH_KEY, "-o", output).code == 0
        output.unlink()
        output.write_text("old")
        output.chmod(0o666)
        assert opendump("keys", *WITH_KEY, "-o", output, "--force").code == 0
    finally:
        os.umask(old)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert "old" not in output.read_text()


def test_a_key_log_that_exists_is_kept(tmp_path: Path) -> None:
    output = write(tmp_path / "session.keys", b"precious")
    result = opendump("keys", *WITH_KEY, "-o", output)
    assert result.code == 1
    assert "--force" in result.err
    assert output.read_bytes() == b"precious"
    folder = tmp_path / "nowhere" / "session.keys"
    assert opendump("keys", *WITH_KEY, "-o", folder).code == 1


def test_no_key_no_file(tmp_path: Path) -> None:
    output = tmp_path / "session.keys"
    result = opendump("keys", FTAES, "-o", output)
    assert result.code == 1
    assert "no session key found" in result.err
    assert not list(tmp_path.iterdir())
