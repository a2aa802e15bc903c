"""The tool that renews the pages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.tools import docs_output


def test_it_refuses_to_write_pages_without_what_their_commands_need(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "websockets" else find(name))
    monkeypatch.setattr(docs_output, "PAGES", [])
    monkeypatch.setattr(docs_output, "PICTURES", {})
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: pytest.fail("a page was written"))
    with pytest.raises(SystemExit, match=r"docs-output: websockets not installed, .*run: pip install -e '\.\[test\]'"):
        docs_output.main()


def test_other_blocks_of_a_page_stay_as_they_are(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n```console\n$ tshark -v\nTShark\n```\n\n```sh\nopendump --help\n```\n")
    assert docs_output.rendered(page) == page.read_text()


def test_a_session_shows_what_its_command_prints_now(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ opendump decode none.pcap\nsomething old\n```\n")
    assert "opendump: none.pcap: cannot be opened" in docs_output.rendered(page)
