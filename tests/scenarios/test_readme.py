"""README.md is a front page: short, readable on the package index, with a picture and a program that are true."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from scapy.utils import rdpcap, wrpcap

from tests.support.pages import DOCS, README, blocks, links, text
from tests.support.recorded import CAPTURES, DEMO_KEY
from tests.tools.terminal_picture import PICTURES, screen, top_screen

LOST = {5, 40, 41, 90, 200}
"""Packets of cbc.pcap that the capture with losses lacks, from 0; all carry payload."""


def test_it_is_read_in_three_minutes() -> None:
    assert len(text(README).splitlines()) <= 250


def test_its_links_work_on_the_package_index_too() -> None:
    assert [link for link in links(README) if not link.startswith("https://")] == []


def drawn(name: str) -> str:
    """Returns the text of a picture under docs/images, without blanks: how they are drawn depends on colours."""
    without = re.sub(r"<title>.*?</title>|<style>.*?</style>", "", text(DOCS / "images" / name), flags=re.DOTALL)
    return no_blanks(unescape("".join(re.findall(r"<text[^>]*>([^<]*)</text>", without))))


def no_blanks(line: str) -> str:
    return re.sub(r"\s+", "", line)


def test_the_picture_shows_what_the_commands_print() -> None:
    lines = [no_blanks(line[:127]) for line in screen("never").splitlines()]
    assert [line for line in lines if line not in drawn("terminal.svg")] == []


def test_the_picture_of_top_shows_its_screen() -> None:
    lines = [no_blanks(line) for line in top_screen().export_text().splitlines()]
    assert len(lines) > 30
    assert [line for line in lines if line not in drawn("top.svg")] == []


def test_pictures_load_nothing_from_elsewhere() -> None:
    for path in PICTURES:
        assert re.findall(r"url\((?!#)|<image|href=", text(path)) == []


@pytest.fixture
def lossy(tmp_path: Path) -> Path:
    """A folder with captures/cbc.pcap that lacks packets, and its key."""
    (tmp_path / "captures").mkdir()
    packets = [packet for ordinal, packet in enumerate(rdpcap(str(CAPTURES / "cbc.pcap"))) if ordinal not in LOST]
    wrpcap(str(tmp_path / "captures" / "cbc.pcap"), packets)
    (tmp_path / "captures" / "demo_rsa_key.pem").write_bytes(DEMO_KEY.read_bytes())
    return tmp_path


@pytest.mark.parametrize("page", [README, DOCS / "python.md"], ids=lambda page: page.name)
def test_its_programs_run_on_a_capture_with_losses(page: Path, lossy: Path) -> None:
    program = "\n".join(blocks(page, "python"))
    done = subprocess.run([sys.executable, "-c", program], cwd=lossy, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert "bytes missing, lost" in done.stdout
    assert "FILLED_ALL" in done.stdout


@pytest.mark.parametrize("page", [README, DOCS / "python.md"], ids=lambda page: page.name)
def test_its_programs_pass_mypy(page: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("\n".join(blocks(page, "python")), "utf-8")
    pytest.importorskip("mypy")  # tests/tools/lower_bounds.py runs without it
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)]
    done = subprocess.run(command, cwd=README.parent, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout
