"""``opendump schema``: look up protocols, messages and enums."""

from __future__ import annotations

import click

from decoder.cli.completion import complete_schema_name
from decoder.cli.options import Color, color_option, output_option, version_option
from decoder.errors import SchemaError

__all__ = ["schema"]


@click.command()
@click.argument("name", required=False, shell_complete=complete_schema_name)
@click.option("--coverage", is_flag=True, help="Print how much of the vendor's SDK the schema covers.")
@output_option
@color_option
@version_option
def schema(name: str | None, coverage: bool, output: str | None, color: Color) -> None:
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
    from decoder.cli.output_file import OutputFile
    from decoder.formatting.escape import escape
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
            raise click.UsageError(escape(str(error))) from None
    with OutputFile(output) as file:
        file.write_tables(tables, color, indent="")
