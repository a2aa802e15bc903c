"""``opendump interfaces``: list the network interfaces that can be captured on."""

from __future__ import annotations

import click

from decoder.cli.options import Color, color_option, output_option, version_option

__all__ = ["interfaces"]


@click.command()
@output_option
@color_option
@version_option
def interfaces(output: str | None, color: Color) -> None:
    """Examples:

    \b
      opendump interfaces
      opendump decode -i lo --rsa-key rsa.pem

    List the network interfaces that -i of the other commands takes. The one that carries traffic within this machine
    is marked: use it if program and OpenD run here.
    """
    from decoder.capture.capture_tools import default_interface
    from decoder.capture.capture_tools import interfaces as list_interfaces
    from decoder.cli.output_file import OutputFile
    from decoder.formatting.escape import escape
    from decoder.formatting.table import Table, columns

    table = Table("", columns("interface | within this machine | about"))
    for interface in list_interfaces():
        local = "yes" if interface.name == default_interface() else ""
        table.rows.append([escape(interface.name), local, escape(interface.about)])
    with OutputFile(output) as file:
        file.write_tables([table], color, indent="")
