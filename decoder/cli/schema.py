"""``opendump schema``: look up protocols, messages and enums."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from decoder.cli.options import Color, color_option, use_color, version_option
from decoder.errors import SchemaError

if TYPE_CHECKING:
    from decoder.schema.describe import Table


@click.command()
@click.argument("name", required=False)
@click.option("--coverage", is_flag=True, help="Print how much of the vendor's SDK the schema covers.")
@color_option
@version_option
def schema(name: str | None, coverage: bool, color: Color) -> None:
    """Examples:

    \b
      opendump schema                     every protocol
      opendump schema Trd_PlaceOrder      its fields, types and enums, in both directions
      opendump schema OrderStatus         an enum's values with both their names
      opendump schema --coverage          how complete the schema is

    Show the protocols, or one protocol, message or enum.

    NAME is a protocol's name or id (Trd_PlaceOrder, 2202), or the name of a message or an enum
    (Trd_Common.Order, OrderStatus).
    """
    from decoder.schema.describe import coverage_tables, protocol_list
    from decoder.schema.lookup import tables_for

    if name is not None and coverage:
        raise click.UsageError("--coverage is about the whole schema and takes no NAME")
    if coverage:
        tables = coverage_tables()
    elif name is None:
        tables = protocol_list()
    else:
        try:
            tables = tables_for(name)
        except SchemaError as error:
            raise click.UsageError(str(error)) from None
    terminal = sys.stdout.isatty()
    if terminal or color == "always":
        _print_rich(tables, use_color(color, terminal))
    else:
        click.echo("\n".join(plain_text(table) for table in tables), nl=False)


def plain_text(table: Table) -> str:
    """A table as aligned columns."""
    lines = [table.title] if table.title else []
    lines += table.notes
    if table.rows:
        cells = [table.columns, *table.rows]
        widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
    return "".join(line + "\n" for line in lines)


def _print_rich(tables: list[Table], color: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(force_terminal=color or None, no_color=not color)
    for table in tables:
        if table.title:
            console.print(Text(table.title, style="bold"))
        for note in table.notes:
            console.print(Text(note))
        if table.rows:
            shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
            for i, column in enumerate(table.columns):
                shown.add_column(column, style="cyan" if i == 1 else None, overflow="fold")
            for row in table.rows:
                shown.add_row(*(Text(cell) for cell in row))
            console.print(shown)
