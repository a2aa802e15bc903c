"""Tables on a terminal: within its width, wide columns only where there is room, nothing taken for markup."""

from __future__ import annotations

import io

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
