"""Tables on terminals of any width: nothing that matters is cut, and sentences do not stand in narrow strips."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from decoder.formatting.rich_table import terminal_text
from decoder.formatting.table import Column, Table

TEXT = "the gateway closed the connection without saying why: look into its log; the last message was Notify (254)"
COLUMNS = [Column("severity"), Column("time"), Column("message", number=True), Column("code"), Column("what")]


def findings(*texts: str) -> Table:
    rows: list[Sequence[str]] = [
        ["error", f"08:19:58.10{number}", str(number), "closed-by-gateway", text] for number, text in enumerate(texts)
    ]
    return Table("Findings", COLUMNS, rows)


def shown(table: Table, width: int) -> list[str]:
    return terminal_text([table], width, color=False).splitlines()


@pytest.mark.parametrize("width", range(60, 200, 10))
def test_no_word_of_a_text_is_lost_and_no_line_is_too_long(width: int) -> None:
    lines = shown(findings(TEXT, "short"), width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    rest = iter(words)
    assert all(word in rest for word in TEXT.split())  # in their order
    assert "closed-by-gateway" in words


def test_a_text_without_room_stands_under_its_row() -> None:
    lines = shown(findings(TEXT, "short"), 80)
    first = next(number for number, line in enumerate(lines) if "08:19:58.100" in line)
    assert lines[first].split() == ["error", "08:19:58.100", "0", "closed-by-gateway"]
    assert lines[first + 1].startswith("    the gateway closed")
    assert any(line.endswith("closed-by-gateway  short") for line in lines)
    assert len(lines) <= 8
    beside = next(line for line in shown(findings(TEXT), 160) if "08:19:58.100" in line)
    assert "the gateway closed" in beside


def test_numbers_and_short_cells_stay_in_their_columns() -> None:
    columns = [Column("protocol"), Column("max", number=True)]
    lines = shown(Table("", columns, [["a protocol with a name of seventy characters, which is long", "2.5"]]), 70)
    assert any(line.rstrip().endswith("2.5") and "a protocol" in line for line in lines)


def test_a_note_about_a_column_goes_where_the_column_goes() -> None:
    columns = [Column("order"), Column("took", wide=True), Column("path")]
    table = Table("Orders", columns, [["1", "2 ms", "SUBMITTED"]], notes=["took: how long", "3 could not be read"])
    assert [line for line in shown(table, 100) if "how long" in line or "could not" in line] == ["3 could not be read"]
    assert "took: how long" in shown(table, 140)
