"""``opendump report``."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import PLAIN, opendump
from tests.support.recorded import CAPTURES, DEMO_KEY

CBC = (CAPTURES / "cbc.pcap", "--rsa-key", DEMO_KEY, "--utc")


def test_to_a_file_and_to_standard_output(tmp_path: Path) -> None:
    done = opendump("report", *CBC, "-o", tmp_path / "report.html")
    assert done.code == 0
    assert done.out == ""
    assert "254 messages on 2 connections" in done.err
    piped = opendump("report", *CBC)
    assert piped.out == (tmp_path / "report.html").read_text("utf-8")
    assert piped.out.startswith("<!DOCTYPE html>")


def test_several_captures_are_one_session() -> None:
    both = opendump("report", PLAIN, CAPTURES / "cbc.pcap", "--rsa-key", DEMO_KEY, "--utc").out
    assert "<h1>plain.pcap, cbc.pcap</h1>" in both


def test_where_restricts_it() -> None:
    out = opendump("report", *CBC, "--where", "proto=Trd_ModifyOrder").out
    assert "6 messages on 1 connection" in out


def test_pseudonyms_replace_accounts() -> None:
    assert "281474976710655001" in opendump("report", *CBC).out
    assert "281474976710655001" not in opendump("report", *CBC, "--pseudonyms").out


def test_secrets_cannot_be_asked_for() -> None:
    done = opendump("report", *CBC, "--show-secrets")
    assert done.code == 2
    assert "--show-secrets" in done.err


def test_a_capture_without_traffic_and_a_cut_one(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(PLAIN.read_bytes()[:30_000])
    done = opendump("report", cut, "-o", tmp_path / "report.html")
    assert done.code == 0
    assert "Warning: " in (tmp_path / "report.html").read_text("utf-8")
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(PLAIN.read_bytes()[:24])
    assert opendump("report", empty, "-o", tmp_path / "report.html").code == 1
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "No message was found" in page
    assert "Nothing went wrong" not in page
