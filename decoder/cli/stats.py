"""``opendump stats``: count, time and judge what a capture holds."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from decoder.cli.hints import HintingCommand
from decoder.cli.options import Options, captures_argument, common_options, output_option

__all__ = ["stats"]

_SHOWN_PER_CODE = 20
"""Findings of one code in the text output; programs get more."""


@click.command(cls=HintingCommand)
@captures_argument
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    help="text: tables for people; json: one object with everything; csv: one table.",
)
@click.option(
    "--table",
    type=click.Choice(["protocols", "connections", "findings"]),
    default="protocols",
    help="Which table --format csv gives.",
)
@output_option
@common_options(without=("show_secrets",))
@click.pass_context
def stats(
    ctx: click.Context,
    captures: tuple[str, ...],
    options: Options,
    output_format: str,
    table: str,
    output: str | None,
) -> None:
    """Examples:

    \b
      opendump stats day.pcapng --rsa-key rsa.pem     tables, and what went wrong
      opendump stats day.pcapng --where 'proto=Trd_*' trade only
      opendump stats day.pcapng --format json | jq '.findings[] | select(.severity=="error")'
      opendump stats day.pcapng --format csv --table connections

    Say who talked to the gateway, how much and how fast, and what is worth knowing about it. With --where only what
    it holds for is counted and judged.
    """
    from decoder.cli.output_file import OutputFile
    from decoder.cli.run import Run
    from decoder.statistics.statistics import Statistics

    if table != "protocols" and output_format != "csv":
        raise click.UsageError("--table chooses the table of --format csv")
    where = None if options.where is None else options.where.match
    shown_per_code = _SHOWN_PER_CODE if output_format == "text" else 100
    statistics = Statistics(where, max_per_code=shown_per_code)
    run = Run(captures, dataclasses.replace(options, where=None), on_connection=statistics.connection_ended)
    with OutputFile(output, options.inputs(captures)) as file:
        for records in run.records():
            statistics.add(records)
        code = run.finish()
        warnings = [warning for reader in run.readers for warning in reader.warnings]
        figures = statistics.finish(run.summary, [reader.name for reader in run.readers], warnings)
        if output_format == "json":
            import orjson

            from decoder.formatting.escape import json_safe

            file.write(json_safe(orjson.dumps(figures, option=orjson.OPT_INDENT_2)) + b"\n")
        elif output_format == "csv":
            file.write(file.encode(_csv(figures[table], table)))
        else:
            from decoder.output.statistics import tables

            file.write_tables(tables(figures), options.color)
    ctx.exit(code)


def _csv(rows: list[dict[str, Any]], table: str) -> str:
    from decoder.output.csv import write_rows
    from decoder.statistics.statistics import CONNECTION_KEYS, FINDING_KEYS, PROTOCOL_KEYS

    keys = {"connections": CONNECTION_KEYS, "protocols": PROTOCOL_KEYS, "findings": FINDING_KEYS}[table]
    return write_rows([list(keys), *([row[key] for key in keys] for row in rows)])
