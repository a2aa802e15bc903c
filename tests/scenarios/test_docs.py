"""The documentation is true: sessions print what they show, tables are what the code has, links lead somewhere."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import decoder
from decoder.statistics.statistics import TABLE_KEYS
from decoder.vocabulary import GAP_REASONS, HINTS
from tests.support.pages import DOCS, FILES, RAW, README, ROOT, SITE, anchors, links, table, text
from tests.support.recorded import CAPTURES, RECORDINGS, Recording
from tests.tools.docs_output import PAGES, rendered
from tests.tools.docs_tables import commands, package_names

LINKED = [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "captures/README.md"))]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_shows_what_its_commands_print(page: Path) -> None:
    assert rendered(page) == text(page), "run make docs-output and look at the diff"


@pytest.mark.parametrize("page", LINKED, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        if target.startswith((FILES, RAW)):
            found = ROOT / target.removeprefix(FILES).removeprefix(RAW)
        elif "://" in target:
            assert not target.startswith(SITE) or target in (f"{SITE}issues", f"{SITE}security"), link
            continue
        else:
            found = page.parent / target if target else page
        assert found.exists(), link
        assert not anchor or anchor in anchors(found), link


@pytest.mark.parametrize("page", [page for page in PAGES if page != README], ids=name)
def test_a_page_links_only_to_what_the_built_site_has(page: Path) -> None:
    relative = [link for link in links(page) if "://" not in link and not link.startswith("#")]
    assert all((page.parent / link.partition("#")[0]).resolve().is_relative_to(DOCS) for link in relative)


def test_every_page_is_in_the_navigation_and_on_the_front_page() -> None:
    navigation = set(re.findall(r"^\s+- ([\w-]+\.md)$", text(ROOT / "mkdocs.yml"), re.M))
    pages = {page.name for page in PAGES if page.parent == DOCS}
    assert navigation == pages
    assert set(links(DOCS / "index.md")) >= pages - {"index.md"}


def test_every_command_and_option_is_in_the_reference() -> None:
    reference = text(DOCS / "reference.md")
    for command, made in commands().items():
        assert f"\n## opendump {command}\n" in reference
        for option in made.params:
            if isinstance(option, click.Option):
                assert all(f"`{each}" in reference or f", {each}" in reference for each in option.opts), option.opts


def test_every_command_is_told_of_on_the_page_of_commands() -> None:
    told = text(DOCS / "commands.md")
    assert [command for command in commands() if f"opendump {command}" not in told] == []


def test_every_public_name_is_on_the_page_for_python() -> None:
    names = " ".join(row[0] for row in table(DOCS / "python.md", "## Names"))
    missing = {each for each in decoder.__all__ if f"`{each}" not in names} - {"__version__"}
    errors = {each for each in missing if each.endswith("Error")}
    assert missing == errors
    assert all(f"`{each}`" in text(DOCS / "python.md") for each in errors)


def test_signatures_are_as_shown() -> None:
    shown = [row[0].strip("`") for row in table(DOCS / "python.md", "## Names") if "(" in row[0]]
    assert len(shown) >= 4
    for signature in shown:
        (function,) = ast.parse(f"def {signature}: ...").body
        assert isinstance(function, ast.FunctionDef)
        real = inspect.signature(getattr(decoder, function.name)).parameters
        named = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
        assert named <= set(real), signature
        by_name = {each.arg for each in function.args.kwonlyargs}
        assert by_name == {each for each in named if real[each].kind is inspect.Parameter.KEYWORD_ONLY}, signature


def test_every_reason_is_in_the_table_of_verdicts() -> None:
    reasons = {row[2].strip("`"): row[1].strip("`") for row in table(DOCS / "keys.md", "## Verdicts")}
    assert reasons.pop("null") == "verified"
    assert reasons.keys() == HINTS.keys()
    assert {reason for reason, verdict in reasons.items() if verdict == "failed"} == {"sha1-mismatch"}


def test_every_reason_of_a_gap_is_in_its_table() -> None:
    rows = {key: about for key, _, about in table(DOCS / "record.md", "## A gap")}
    assert set(re.findall(r"`([\w-]+)`", rows["`reason`"])) == set(GAP_REASONS)


def test_the_keys_of_the_statistics_are_those_of_the_tables() -> None:
    command = [sys.executable, "-m", "decoder", "stats", str(CAPTURES / "plain.pcap"), "--format", "json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert found.keys() == {"capture", *TABLE_KEYS}
    page = DOCS / "statistics.md"
    documented = [key for cell, *_ in table(page, "## The capture as a whole") for key in re.findall(r"`(\w+)`", cell)]
    assert list(found["capture"]) == documented
    for each, keys in TABLE_KEYS.items():
        assert f"<!-- {each}: made by" in text(page) + text(DOCS / "findings.md")
        assert found[each], each
        assert all(list(row) == list(keys) for row in found[each])
    assert all(f"| `{finding['code']}` |" in text(DOCS / "findings.md") for finding in found["findings"])


def test_places_named_by_the_architecture_exist() -> None:
    page = text(DOCS / "architecture.md").partition("## Every module")[0]
    for place in re.findall(r"`((?:\w+/)+(?:\w+\.py)?|\w+\.py)`", page):
        assert (ROOT / "decoder" / place).exists() or (ROOT / place).exists(), place


def test_the_picture_of_the_architecture_has_every_package() -> None:
    named = set(re.findall(r"\w+", " ".join(re.findall(r">([^<>]+)</text>", text(DOCS / "images/architecture.svg")))))
    assert {package for package in package_names() if (ROOT / "decoder" / package).is_dir()} <= named


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_every_recording_is_named_where_they_are_described(recording: Recording) -> None:
    assert f"`{recording.file}`" in text(recording.path.parent / "README.md")


@pytest.mark.parametrize("page", LINKED, ids=name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    """Paths as code: from the root of the repository, or below decoder/."""
    named = re.findall(r"`((?:[\w.-]+/)+(?:[\w-]+\.(?:py|md|proto|tsv|toml)|))`", text(page))
    missing = [path for path in named if not ((ROOT / path).exists() or (ROOT / "decoder" / path).exists())]
    assert missing == []


def test_the_map_of_the_code_leads_to_what_it_says() -> None:
    """Each row of "Where things are" names a file that holds a word for it."""
    words = {
        "the 44-byte header": "2sIBBII20s8s",
        "when a hole counts as lost": "reorder_packets",
        "AES-CBC": "MODE_CBC",
        "the verdict": "sha1",
        "an option": "click.option",
        "the default of a limit": "max_memory",
    }
    rows = dict(re.findall(r"^\| ([^|`]+) \| `([\w/]+\.py)`", text(DOCS / "architecture.md"), re.MULTILINE))
    assert {what: words[what] in (ROOT / "decoder" / rows[what]).read_text("utf-8") for what in words} == dict.fromkeys(
        words, True
    )
