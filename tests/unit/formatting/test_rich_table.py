"""Tables on a terminal: within its width, wide columns only where there is room, nothing taken for markup."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich.cells import cell_len
from rich.console import Console

from decoder.formatting.rich_table import rich_table, terminal_text
from decoder.formatting.table import Column, Table

TABLE = Table(
    "Title",
    [Column("code"), Column("count", number=True), Column("extra", wide=True), Column("text")],
    [("error", "1", "wide one", "a long text " * 20), ("note", "12", "wide two", "[red]short[/red]")],
)


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = terminal_text([TABLE], width, color=False).splitlines()
    assert lines[0] == "Title"
    assert max(map(cell_len, lines)) <= width


def test_columns_for_wide_terminals_need_120_columns() -> None:
    assert "extra" not in terminal_text([TABLE], 119, color=False)
    assert "wide one" in terminal_text([TABLE], 120, color=False)


def test_what_looks_like_markup_is_text() -> None:
    assert "[red]short[/red]" in terminal_text([TABLE], 200, color=False)


def test_severities_have_colours_only_if_wanted() -> None:
    assert "\x1b[" not in terminal_text([TABLE], 100, color=False)
    assert "\x1b[1;31m" in terminal_text([TABLE], 100, color=True)


def test_a_compact_row_takes_one_line() -> None:
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(rich_table(TABLE, 60, compact=True))
    lines = captured.get().splitlines()
    assert len(lines) == 3
    assert lines[1].rstrip().endswith("…")


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
