"""Writes the snapshot of the columns: ``python -m tests.tools.table_docs``; `make docs-output` writes the page."""

from __future__ import annotations

from pathlib import Path

from decoder.output.table_columns import Table
from decoder.output.table_names import LEFT_OUT
from decoder.output.table_schema import all_tables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"
SNAPSHOT = Path(__file__).resolve().parents[1] / "data" / "tables" / "columns.tsv"
START = "<!-- from here on made by make docs-output -->\n"


def described() -> str:
    """Every table with its columns, in Markdown."""
    tables = [*all_tables().values(), all_tables(wide=True)["order_book"]]
    parts = [_table(table, " with `--wide`" if number == len(tables) else "") for number, table in enumerate(tables, 1)]
    left_out = "".join(f"| `{field}` | {reason} |\n" for field, reason in LEFT_OUT.items())
    return "\n".join([*parts, "## Fields left out\n", "| field | why |\n| --- | --- |\n" + left_out])


def _table(table: Table, suffix: str) -> str:
    rows = "".join(f"| `{column.name}` | {column.type} | {column.source} |\n" for column in table.columns)
    head = f"## `{table.name}`{suffix}\n\nA row is {table.meaning}.\n\n"
    return f"{head}| column | type | from |\n| --- | --- | --- |\n{rows}"


def page() -> str:
    """The page with the tables as they are."""
    before = PAGE.read_text("utf-8").partition(START)[0]
    return f"{before}{START}\n{described()}"


def snapshot() -> str:
    """Every column with its type, a line each."""
    tables = [*all_tables().items(), ("order_book --wide", all_tables(wide=True)["order_book"])]
    return "".join(f"{name}\t{column.name}\t{column.type}\n" for name, table in tables for column in table.columns)


if __name__ == "__main__":
    SNAPSHOT.parent.mkdir(exist_ok=True)
    SNAPSHOT.write_text(snapshot(), "utf-8")
