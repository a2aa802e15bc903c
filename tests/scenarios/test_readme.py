"""The README is true: its output is what its commands print, its tables are what the code has."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys

import pytest

import decoder
from decoder.vocabulary import HINTS
from tests.support.recorded import CAPTURES, RECORDINGS, Recording
from tests.tools.readme_output import README, rendered

TEXT = README.read_text("utf-8")


def test_what_it_shows_is_what_its_commands_print() -> None:
    assert rendered(TEXT) == TEXT, "run make readme"


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below `heading`, without its head."""
    below = TEXT.partition(f"\n{heading}\n")[2]
    found = re.search(r"^\|.*\n\|[-| ]+\n((?:\|.*\n)+)", below, re.MULTILINE)
    assert found is not None, heading
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[1].splitlines()]


def test_every_public_name_is_in_the_table_of_names() -> None:
    names = " ".join(row[0] for row in table("## In Python"))
    missing = {name for name in decoder.__all__ if f"`{name}" not in names} - {"__version__"}
    errors = {name for name in missing if name.endswith("Error")}
    assert missing == errors
    assert all(f"`{name}`" in TEXT for name in errors)


def test_signatures_are_as_shown() -> None:
    shown = [row[0] for row in table("## In Python") if "(" in row[0]]
    assert len(shown) >= 4
    for cell in shown:
        name = cell.strip("`").partition("(")[0]
        (function,) = ast.parse(f"def {cell.strip('`')}: ...").body
        assert isinstance(function, ast.FunctionDef)
        named = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
        assert named <= set(inspect.signature(getattr(decoder, name)).parameters), cell


def test_every_reason_is_in_the_table_of_verdicts() -> None:
    rows = table("## Verdicts")
    reasons = {row[2].strip("`"): row[1].strip("`") for row in rows}
    assert reasons.pop("null") == "verified"
    assert reasons.keys() == HINTS.keys()
    assert {reason for reason, verdict in reasons.items() if verdict == "failed"} == {"sha1-mismatch"}


def test_the_keys_of_the_statistics_are_those_of_the_tables() -> None:
    command = [sys.executable, "-m", "decoder", "stats", str(CAPTURES / "plain.pcap"), "--format", "json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert list(found) == ["capture", "connections", "protocols", "findings"]
    documented = [key for cell, _ in table("`capture`, an object:") for key in re.findall(r"`(\w+)`", cell)]
    assert list(found["capture"]) == documented
    for name in ("connections", "protocols", "findings"):
        documented = [cell.strip("`") for cell, _ in table(f"`{name}`, a list of objects:")]
        assert found[name]
        assert all(list(row) == documented for row in found[name])
    codes = {cell.strip("`") for cell, _ in table("Their codes:")}
    assert {finding["code"] for finding in found["findings"]} <= codes


def test_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", TEXT, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert (README.parent / target).exists(), target


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_every_recording_is_named_where_they_are_described(recording: Recording) -> None:
    assert f"`{recording.file}`" in (recording.path.parent / "README.md").read_text("utf-8")
