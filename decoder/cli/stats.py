"""``opendump stats``: count, time and judge what a capture holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from decoder.cli.cluster import Cluster, cluster_options, run_on_hosts
from decoder.cli.hints import HintingCommand
from decoder.cli.live_options import LiveOptions, source_options
from decoder.cli.options import Options, common_options, output_option

if TYPE_CHECKING:
    from decoder.cli.output_file import OutputFile
    from decoder.findings import Finding
    from decoder.statistics.statistics import Stats

    Hosts = Sequence[tuple[str | None, Stats]]

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
@cluster_options
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
    cluster: Cluster,
) -> None:
    """Examples:

    \b
      opendump stats day.pcapng --rsa-key rsa.pem     what went wrong, who talked, how much and how fast
      opendump stats day.pcapng --table lateness --by symbol
      opendump stats day.pcapng --table rates         how near to the limits
      opendump stats day.pcapng --where 'proto=Trd_*' trade only
      opendump stats day.pcapng --format json | jq '.findings[] | select(.severity=="error")'
      opendump stats -i lo --duration 5m              of the next five minutes
      opendump stats */*.pcap.gz --workers 8          of many hosts, one directory each

    Say what is worth knowing about a capture, who talked to the gateway, how much and how fast. Tables: protocols,
    connections, findings, subscriptions, rates, lateness. With --where only messages that match are counted, and only
    findings about them are listed.
    """
    from decoder.cli.output_file import OutputFile

    if by == "symbol" and table != "lateness" and output_format != "json":
        raise click.UsageError("--by symbol concerns lateness: add --table lateness")
    if show_all and output_format != "text":
        raise click.UsageError("--all concerns text: json and csv list everything")
    most, by_symbol = _PER_CODE_ALL if show_all else _PER_CODE, by == "symbol"
    with OutputFile(output, options.inputs(captures)) as file:
        hosts: Hosts
        if cluster.given:
            from decoder.output.host_tasks import host_stats

            code, hosts = run_on_hosts(ctx, captures, options, cluster, host_stats, most, by_symbol, live=live)
        else:
            code, hosts = _here(captures, live, options, most, by_symbol)
        if output_format == "json":
            file.write(b"".join(_json(figures, table, host) for host, figures in hosts))
        elif output_format == "csv":
            file.write(file.encode(_csv(hosts, table or "protocols")))
        else:
            _write_text(hosts, file, options, table, show_all)
    if output_format == "text" and table in (None, "findings") and len(hosts) == 1:  # packets are counted on each host
        _say_packets(hosts[0][1].findings, len(captures))
    ctx.exit(code)


def _here(
    captures: tuple[str, ...], live: LiveOptions | None, options: Options, most: int, by_symbol: bool
) -> tuple[int, Hosts]:
    """Returns the exit code, and the figures."""
    from decoder.cli.run import Run
    from decoder.statistics.statistics import Statistics

    where = None if options.where is None else options.where.match
    statistics = Statistics(where, max_per_code=most, by_symbol=by_symbol)
    run = Run(captures, dataclasses.replace(options, where=None), live=live, on_connection=statistics.connection_ended)
    for records in run.records():
        statistics.add(records)
    code = run.finish()
    if run.read_nothing:
        raise click.exceptions.Exit(code)
    return code, [(None, statistics.finish(run.summary, [reader.name for reader in run.readers], run.warnings))]


def _write_text(hosts: Hosts, file: OutputFile, options: Options, table: str | None, show_all: bool) -> None:
    from decoder.formatting.escape import escape
    from decoder.output.statistics import tables

    for host, figures in hosts:
        shown = list(tables(figures, table, utc=options.utc, show_all=show_all))
        if len(hosts) > 1:
            shown[0].title = f"{escape(str(host))}: {shown[0].title}"
        file.write_tables(shown, options.color)


def _say_packets(findings: Sequence[Finding], captures: int) -> None:
    """Says how to see the messages that errors and warnings are about in Wireshark."""
    from decoder.cli.run import say
    from decoder.formatting.frame_filter import FrameFilter, merged_first

    packets = FrameFilter()
    for finding in findings:
        if finding.severity != "note":
            packets.add(finding.packets)
    if packets:
        say(f"the errors and warnings in Wireshark{merged_first(captures)}: {packets}")


def _json(figures: Stats, table: str | None, host: str | None) -> bytes:
    import orjson

    from decoder.formatting.escape import json_safe

    first: dict[str, Any] = {} if host is None else {"host": host}
    data: Any = {**first, **figures.record()}
    if table is not None:
        data = [{**first, **row} for row in figures.table(table)]
    return json_safe(orjson.dumps(data, option=orjson.OPT_INDENT_2)) + b"\n"


def _csv(hosts: Hosts, table: str) -> str:
    from decoder.output.csv import write_rows
    from decoder.statistics.statistics import TABLE_KEYS

    keys = list(TABLE_KEYS[table])
    rows = [{"host": host, **row} for host, figures in hosts for row in figures.table(table)]
    if rows and "symbol" in rows[0] and "symbol" not in keys:
        keys.insert(keys.index("market") + 1, "symbol")
    if any(host is not None for host, _ in hosts):
        keys.insert(0, "host")
    return write_rows([keys, *([row[key] for key in keys] for row in rows)])
