"""``opendump orders``: one row an order, over all connections of the captures; or the whole story of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from decoder.cli.cluster import Cluster, cluster_options, run_on_hosts
from decoder.cli.live_options import LiveOptions, source_options
from decoder.cli.options import EXIT_FAILED, Options, common_options, output_options
from decoder.formatting.escape import escape

if TYPE_CHECKING:
    from decoder.cli.output_file import OutputFile
    from decoder.formatting.table import Table
    from decoder.output.host_tasks import Collected

__all__ = ["orders"]


@click.command()
@source_options
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "jsonl", "csv"]),
    default="text",
    help="text: a table; jsonl: a JSON object per order; csv: a row per order.",
)
@click.option(
    "--order",
    "order_id",
    metavar="ID",
    help="The whole story of this order (orderID or orderIDEx), as the last argument ORDER_ID does.",
)
@output_options
@cluster_options
@common_options
@click.pass_context
def orders(
    ctx: click.Context,
    captures: tuple[str, ...],
    live: LiveOptions | None,
    options: Options,
    output_format: str,
    order_id: str | None,
    output: str | None,
    force: bool,
    cluster: Cluster,
) -> None:
    """Examples:

    \b
      opendump orders day.pcapng --rsa-key rsa.pem       what became of every order
      opendump orders day.pcapng 5000000000000000002     the whole story of one
      opendump orders -i lo --duration 8h                of a trading day, shown at its end
      opendump orders day.pcapng --format jsonl | jq 'select(.outcome=="unanswered")'
      opendump orders */*.pcap.gz --workers 8            of many hosts, one directory each

    Put together what a capture tells of orders: a row for each, over all connections, with its path of states, its
    fills, its outcome and how long it took. With --where the orders of which a message matches.
    """
    from decoder.cli.output_file import OutputFile
    from decoder.cli.run import Run
    from decoder.output.host_tasks import OrderLines, collect_orders, host_orders

    captures, order_id = _apart(captures, order_id)
    with OutputFile(output, options.inputs(captures), private=options.show_secrets, force=force) as file:
        lines = None if order_id is None else OrderLines(options.show_secrets, options.utc, file.encoding)
        hosts: Sequence[tuple[str | None, Collected]]
        if cluster.given:
            code, hosts = run_on_hosts(ctx, captures, options, cluster, host_orders, lines, live=live)
        else:
            run = Run(captures, dataclasses.replace(options, where=None), live=live)
            where = None if options.where is None else options.where.match
            hosts = [(None, collect_orders(run.records(), where, lines))]
            code = run.finish()
            if run.read_nothing:
                ctx.exit(code)
        code = _chosen(hosts, order_id) or code
        _write(hosts, file, options, output_format, story=order_id is not None)
    ctx.exit(code)


def _chosen(hosts: Sequence[tuple[str | None, Collected]], order_id: str | None) -> int:
    """Keeps only the order that was asked for, if one was; returns an exit code."""
    from decoder.cli.run import say

    for _, collected in hosts:
        if collected.dropped:
            shown = len(collected.orders)
            say(f"{collected.dropped:,} orders beyond the first {shown:,} are not followed: cut the capture by time")
        if order_id is not None:
            collected.orders = [order for order in collected.orders if order_id in (order.order_id, order.order_id_ex)]
    if order_id is None or any(collected.orders for _, collected in hosts):
        return 0
    say(f"no order {order_id}: `opendump orders` without it lists those that the capture shows")
    return EXIT_FAILED


def _apart(captures: tuple[str, ...], order_id: str | None) -> tuple[tuple[str, ...], str | None]:
    """Takes the last of several arguments for an ORDER_ID if there is no such file."""
    last = captures[-1]
    if order_id is None and len(captures) > 1 and last != "-" and not Path(last).exists() and "." not in last:
        return captures[:-1], last
    return captures, order_id


def _write(
    hosts: Sequence[tuple[str | None, Collected]],
    file: OutputFile,
    options: Options,
    output_format: str,
    *,
    story: bool,
) -> None:
    from decoder.output.orders import csv_rows, csv_rows_of_hosts, json_lines

    if output_format == "jsonl":
        file.write(b"".join(json_lines(collected.orders, host) for host, collected in hosts))
    elif output_format == "csv":
        of_hosts = [(host, collected.orders) for host, collected in hosts if host is not None]
        orders = [order for _, collected in hosts for order in collected.orders]
        file.write(file.encode(csv_rows_of_hosts(of_hosts) if of_hosts else csv_rows(orders)))
    else:
        for host, collected in hosts:
            tables = list(_tables(collected, options, story=story))
            if len(hosts) > 1:
                for table in tables:
                    table.title = f"{escape(str(host))}: {table.title}"
            file.write_tables(tables, options.color)


def _tables(collected: Collected, options: Options, *, story: bool) -> Iterator[Table]:
    from decoder.output.orders import order_table
    from decoder.output.orders import story as story_of

    if not story:
        if collected.messages:  # else there is nothing to say about orders
            yield order_table(collected.orders, utc=options.utc, unread=collected.unread)
        return
    for order in collected.orders:
        lines = [collected.lines[number] for number in order.messages if number in collected.lines]
        yield from story_of(order, lines, utc=options.utc)
