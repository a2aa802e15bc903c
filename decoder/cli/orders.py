"""``opendump orders``: one row an order, over all connections of the captures; or the whole story of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from decoder.cli.live_options import LiveOptions, source_options
from decoder.cli.options import EXIT_FAILED, Options, common_options, output_options

if TYPE_CHECKING:
    from decoder.cli.output_file import OutputFile
    from decoder.findings.order_rows import Order
    from decoder.message import Message

__all__ = ["orders"]

# Lines of messages about orders kept for the story of one order: 200 bytes each.
_MAX_LINES = 100_000


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
) -> None:
    """Examples:

    \b
      opendump orders day.pcapng --rsa-key rsa.pem       what became of every order
      opendump orders day.pcapng 5000000000000000002     the whole story of one
      opendump orders -i lo --duration 8h                of a trading day, shown at its end
      opendump orders day.pcapng --format jsonl | jq 'select(.outcome=="unanswered")'

    Put together what a capture tells of orders: a row for each, over all connections, with its path of states, its
    fills, its outcome and how long it took. With --where the orders of which a message matches.
    """
    from decoder.cli.output_file import OutputFile
    from decoder.cli.run import Run, say
    from decoder.findings.orders import OrderLedger
    from decoder.message import Message

    captures, order_id = _apart(captures, order_id)
    run = Run(captures, dataclasses.replace(options, where=None), live=live)
    ledger = OrderLedger()
    lines: dict[int, str] = {}
    wanted: set[int] = set()
    unread = 0
    where = None if options.where is None else options.where.match
    with OutputFile(output, options.inputs(captures), private=options.show_secrets, force=force) as file:
        render = None if order_id is None else _line_renderer(options, file.encoding)
        for records in run.records():
            for item in records:
                concerns_orders = ledger.add(item)
                if not isinstance(item, Message):
                    continue
                unread += item.plaintext is None
                if not concerns_orders:
                    continue
                if where is not None and where(item):
                    wanted.add(item.number)
                if render is not None and len(lines) < _MAX_LINES:
                    lines[item.number] = render(item)
        code = run.finish()
        if run.read_nothing:
            ctx.exit(code)
        found = [order for order in ledger.finish() if where is None or not wanted.isdisjoint(order.messages)]
        if ledger.dropped:
            say(f"{ledger.dropped:,} orders beyond the first {len(found):,} are not followed: cut the capture by time")
        if order_id is not None:
            found = [order for order in found if order_id in (order.order_id, order.order_id_ex)]
            if not found:
                say(f"no order {order_id}: `opendump orders` without it lists those that the capture shows")
                code = code or EXIT_FAILED
        if run.summary.messages:
            _write(found, file, options, output_format, None if order_id is None else lines, unread)
    ctx.exit(code)


def _apart(captures: tuple[str, ...], order_id: str | None) -> tuple[tuple[str, ...], str | None]:
    """Takes the last of several arguments for an ORDER_ID if there is no such file."""
    last = captures[-1]
    if order_id is None and len(captures) > 1 and last != "-" and not Path(last).exists() and "." not in last:
        return captures[:-1], last
    return captures, order_id


def _line_renderer(options: Options, encoding: str) -> Callable[[Message], str]:
    from decoder.output.text import TextOutput

    text = TextOutput("sdk", show_secrets=options.show_secrets, utc=options.utc, color=False, encoding=encoding)
    return lambda message: str(text.render((message,))).rstrip("\n")


def _write(
    found: Sequence[Order],
    file: OutputFile,
    options: Options,
    output_format: str,
    lines: dict[int, str] | None,
    unread: int,
) -> None:
    from decoder.output.orders import csv_rows, json_lines, order_table, story

    if output_format == "jsonl":
        file.write(json_lines(found))
    elif output_format == "csv":
        file.write(file.encode(csv_rows(found)))
    elif lines is None:
        file.write_tables([order_table(found, utc=options.utc, unread=unread)], options.color)
    else:
        for order in found:
            own = [lines[number] for number in order.messages if number in lines]
            file.write_tables(story(order, own, utc=options.utc), options.color)
