"""The options that divide a command's work, and what all divided commands do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from decoder.cli.cluster import Cluster, index_files, say_counts
from decoder.cli.main import cli
from decoder.engine.shards import FileIndex
from decoder.output.workers import Workers
from tests.support.command import in_clear, runner
from tests.support.session import write_pcap


def test_the_host_is_the_directory_or_what_the_pattern_finds(tmp_path: Path) -> None:
    path = str(tmp_path / "gateway1" / "web-09.pcap")
    assert Cluster(2, None, None).host(path) == "gateway1"
    assert Cluster(2, None, re.compile("([a-z]+)-[0-9]+[.]pcap$")).host(path) == "web"
    with pytest.raises(click.UsageError, match="finds no host"):
        Cluster(2, None, re.compile("(nothing)")).host(path)


@pytest.mark.parametrize(("pattern", "said"), [("(", "not a regular expression"), ("[a-z]+", "needs one group")])
def test_a_pattern_that_cannot_be_used(tmp_path: Path, pattern: str, said: str) -> None:
    result = runner().invoke(cli, ["plan", str(tmp_path / "a.pcap"), "--host-of", pattern])
    assert result.exit_code == 2
    assert said in result.stderr


def test_files_keep_their_order_and_count_once(tmp_path: Path) -> None:
    paths = [str(write_pcap(tmp_path / name, in_clear(1))) for name in ("b.pcap", "a.pcap")]
    again = str(tmp_path / "." / "b.pcap").replace("b.pcap", "./b.pcap")
    with Workers(1) as workers:
        indexes = index_files([*paths, again], Cluster(1, None, None), (11111,), workers)
        with pytest.raises(click.UsageError, match="standard input"):
            index_files(["-"], Cluster(1, None, None), (11111,), workers)
    assert [index.path for index in indexes] == paths


def counts(**changes: Any) -> dict[str, Any]:
    return {"messages": 5, "connections": 1, "verdicts": {"verified": 5}, "reports": [], **changes}


@pytest.mark.parametrize(
    ("error", "changes", "strict", "code"),
    [
        (None, {}, True, 0),
        ("cannot be read", {}, False, 1),
        (None, {"messages": 0}, False, 1),
        (None, {"verdicts": {"no-key": 1}}, False, 0),
        (None, {"verdicts": {"no-key": 1}}, True, 3),
        (None, {"verdicts": {"no-digest": 1}}, True, 0),
    ],
)
def test_exit_codes(error: str | None, changes: dict[str, Any], strict: bool, code: int) -> None:
    assert say_counts([FileIndex("alpha", "a.pcap", error=error)], [counts(**changes)], "", strict=strict) == code


def test_what_is_said_sums_up_all_parts(capsys: pytest.CaptureFixture[str]) -> None:
    parts = [counts(reports=["a limit"], verdicts={"no-key": 2}), counts(reports=["a limit"], verdicts={"no-key": 1})]
    say_counts([FileIndex("alpha", "a"), FileIndex("beta", "b")], parts, " written to day", strict=False)
    said = capsys.readouterr().err
    assert "10 messages on 2 connections of 2 hosts written to day" in said
    assert said.count("a limit") == 1
    assert "3 unverified (no-key)" in said
