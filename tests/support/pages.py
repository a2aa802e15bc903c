"""Reads the documentation: its pages, their tables, code blocks, headings and links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
SITE = "https://github.com/opendump/scapy-opend/"
FILES = f"{SITE}blob/main/"
"""Address of a file of this repository, for pages that are shown elsewhere (the package index, the built site)."""
RAW = "https://raw.githubusercontent.com/opendump/scapy-opend/main/"


def text(page: Path) -> str:
    return page.read_text("utf-8")


def table(page: Path, heading: str) -> list[list[str]]:
    """Returns the rows of the first table below the line `heading` of `page`, without its head."""
    below = text(page).partition(f"\n{heading}\n")[2]
    found = re.search(r"^\|.*\n\|[-| ]+\n((?:\|.*\n)+)", below, re.MULTILINE)
    assert found is not None, f"{page.name}: no table below {heading!r}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[1].splitlines()]


def blocks(page: Path, language: str) -> list[str]:
    """Returns the code blocks of `page` in `language`."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Returns the anchors of the headings of `page`, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text(page), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Returns the targets of all links and images of `page`, outside code blocks."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text(page), flags=re.M | re.S))
