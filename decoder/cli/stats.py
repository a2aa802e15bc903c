"""``opendump stats``: count, time and judge what a capture holds."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from decoder.cli.hints import HintingCommand
from decoder.cli.live_options import LiveOptions, source_options
from decoder.cli.options import Options, common_options, output_option

if TYPE_CHECKING:
    from decoder.statistics.statistics import Stats

__all__ = ["stats"]

_TABLES = ("protocols", "connections", "findings", "subscriptions", "rates", "lateness")
_PER_CODE = 100
"""Findings of one code that are listed."""
_PER_CODE_ALL = 100_000
"""With --all: 300 bytes each."""


@click.command(cls=HintingCommand)
@source_options
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    help="text: tables for people; json: one object with everything; csv: one table.",
)
@click.option(
    "--table",
    type=click.Choice(_TABLES),
    help="Only this table, in any format (csv without it: protocols).",
)
@click.option(
    "--by",
    "by",
    type=click.Choice(["market", "symbol"]),
    default="market",
    help="A row of --table lateness is a market or a symbol.",
)
@click.option("--all", "show_all", is_flag=True, help="Text lists every finding and protocol, not the first twenty.")
@output_option
@common_options(without=("show_secrets",))
@click.pass_context
def stats(
    ctx: click.Context,
    captures: tuple[str, ...],
    live: LiveOptions | None,
    options: Options,
    output_format: str,
    table: str | None,
    by: str,
    show_all: bool,
    output: str | None,
) -> None:
    """Examples:

    \b
      opendump stats day.pcapng --rsa-key rsa.pem     what went wrong, who talked, how much and how fast
      opendump stats day.pcapng --table lateness --by symbol
      opendump stats day.pcapng --table rates         how near to the limits
      opendump stats day.pcapng --where 'proto=Trd_*' trade only
      opendump stats day.pcapng --format json | jq '.findings[] | select(.severity=="error")'
      opendump stats -i lo --duration 5m              of the next five minutes

    Say what is worth knowing about a capture, who talked to the gateway, how much and how fast. Tables: protocols,
    connections, findings, subscriptions, rates, lateness. With --where only what it holds for is counted and judged.
    """
    from decoder.cli.output_file import OutputFile
    from decoder.cli.run import Run
    from decoder.findings.exposure import SECRECY_CODES
    from decoder.statistics.statistics import Statistics

    if by == "symbol" and table != "lateness" and output_format != "json":
        raise click.UsageError("--by symbol concerns lateness: add --table lateness")
    if show_all and output_format != "text":
        raise click.UsageError("--all concerns text: json and csv list everything")
    where = None if options.where is None else options.where.match
    max_per_code = _PER_CODE_ALL if show_all else _PER_CODE
    statistics = Statistics(where, max_per_code=max_per_code, by_symbol=by == "symbol")
    run = Run(captures, dataclasses.replace(options, where=None), live=live, on_connection=statistics.connection_ended)
    with OutputFile(output, options.inputs(captures)) as file:
        for records in run.records():
            if run.is_rewritten:
                statistics.mute(SECRECY_CODES)
            statistics.add(records)
        code = run.finish()
        if run.read_nothing:
            ctx.exit(code)
        figures = statistics.finish(run.summary, [reader.name for reader in run.readers], run.warnings)
        if output_format == "json":
            file.write(_json(figures, table))
        elif output_format == "csv":
            file.write(file.encode(_csv(figures, table or "protocols")))
        else:
            from decoder.output.statistics import tables

            file.write_tables(tables(figures, table, utc=options.utc, show_all=show_all), options.color)
    ctx.exit(code)


def _json(figures: Stats, table: str | None) -> bytes:
    import orjson

    from decoder.formatting.escape import json_safe

    data = figures.record() if table is None else figures.table(table)
    return json_safe(orjson.dumps(data, option=orjson.OPT_INDENT_2)) + b"\n"


def _csv(figures: Stats, table: str) -> str:
    from decoder.output.csv import write_rows
    from decoder.statistics.statistics import TABLE_KEYS

    keys = list(TABLE_KEYS[table])
    rows = figures.table(table)
    if rows and "symbol" in rows[0] and "symbol" not in keys:
        keys.insert(keys.index("market") + 1, "symbol")
    return write_rows([keys, *([row[key] for key in keys] for row in rows)])
