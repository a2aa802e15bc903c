"""Writes the table of codes in docs/findings.md: what each finding means and what to do about it."""

from __future__ import annotations

import sys
from pathlib import Path

from decoder.findings.codes import SUBJECTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "findings.md"
BEGIN, END = "<!-- codes: made by tests/tools/findings_table.py -->", "<!-- codes end -->"


def table() -> str:
    """The codes of all subjects, as Markdown."""
    parts = []
    for subject, codes in SUBJECTS.items():
        rows = [f"| `{code}` | {entry.meaning} | {entry.remedy} |" for code, entry in codes.items()]
        parts.append("\n".join([f"### {subject}", "", "| code | meaning | what to do |", "| --- | --- | --- |", *rows]))
    return "\n\n".join(parts)


def renewed(page: str) -> str:
    """`page` with the table as it is today."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(renewed(text), encoding="utf-8")
    sys.exit(0)
