"""``opendump decode``: print every message of a capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from decoder.cli.completion import complete_column
from decoder.cli.hints import HintingCommand
from decoder.cli.live_options import LiveOptions, source_options
from decoder.cli.options import DurationType, Options, common_options, output_options
from decoder.core import JsonLines
from decoder.errors import SchemaError
from decoder.formatting.frame_filter import FrameFilter, merged_first

if TYPE_CHECKING:
    from decoder.message import Gap, Message
    from decoder.output.parallel import Renderer
    from decoder.vocabulary import EnumStyle

__all__ = ["decode"]

_JOBS_FROM = 32 * 1024 * 1024
"""Bytes of input from which on several processes render; with less they save no time, and they cost more CPU time."""

_CONTEXT = click.IntRange(min=0, max=100_000)


@click.command(cls=HintingCommand)
@source_options
@click.option("-V", "--verbose", is_flag=True, help="Show each message whole: header, verdict, packets, every field.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "jsonl", "csv"]),
    default="text",
    help="text: a line per message; jsonl: a JSON object per message; csv: a table.",
)
@click.option(
    "-e",
    "--field",
    "fields",
    metavar="FIELD,...",
    shell_complete=complete_column,
    multiple=True,
    help="Columns of --format csv, or keys of jsonl: keys of the record, symbol, or paths like body.c2s.code. "
    "Repeatable.",
)
@click.option(
    "--explode",
    is_flag=True,
    help="With -e: a row for each element of the list that a path goes through. Without it only where two fields share "
    "a list.",
)
@click.option(
    "--enums",
    type=click.Choice(["sdk", "proto", "number"]),
    default="sdk",
    help="How to show enum values: FILLED_ALL, OrderStatus_Filled_All, or 11.",
)
@click.option("-c", "--count", metavar="COUNT", type=click.IntRange(min=1), help="Stop after this many messages.")
@click.option("-B", "--before", metavar="N", type=_CONTEXT, help="With --where: also N records before each match.")
@click.option("-A", "--after", metavar="N", type=_CONTEXT, help="With --where: also N records after each match.")
@click.option("-C", "--context", metavar="N", type=_CONTEXT, help="Both -B and -A.")
@click.option("--pair", is_flag=True, help="With --where: also the response of each request, and the reverse.")
@click.option(
    "--before-close",
    metavar="DURATION",
    type=DurationType(),
    help="Only the last moments before a connection was closed, such as 10s.",
)
@click.option(
    "--wireshark-filter",
    is_flag=True,
    help="At the end: the display filter that shows the packets of these messages in Wireshark; of several captures in "
    "what mergecap makes of them.",
)
@click.option("--wrap", "--no-cut", "wrap", is_flag=True, help="On a terminal: do not cut lines at its width.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Processes that render (default: all processors for long inputs where writing is the most work, else one).",
)
@output_options
@common_options
@click.pass_context
def decode(
    ctx: click.Context,
    captures: tuple[str, ...],
    live: LiveOptions | None,
    options: Options,
    verbose: bool,
    output_format: str,
    fields: tuple[str, ...],
    explode: bool,
    enums: EnumStyle,
    count: int | None,
    before: int | None,
    after: int | None,
    context: int | None,
    pair: bool,
    before_close: int | None,
    wireshark_filter: bool,
    wrap: bool,
    jobs: int | None,
    output: str | None,
    force: bool,
) -> None:
    """Examples:

    \b
      opendump decode day.pcapng                         a line per message
      opendump decode day.pcapng --rsa-key rsa.pem -V    encrypted traffic, every field
      opendump decode day.pcapng --where 'symbol=HK.00700 and kind=request' --pair
      opendump decode day.pcapng --where 'ret_type!=RET_OK' -C 3
      opendump decode day.pcapng --before-close 10s      what led to a disconnect
      opendump decode day.pcapng --where 'latency_ms>1000' --wireshark-filter
      opendump decode day.pcapng --format jsonl | jq .body
      opendump decode day.pcapng --format csv -e time,symbol,qty,price
      opendump decode -i lo --rsa-key rsa.pem            what passes now

    Print every message of CAPTURE: pcap or pcapng, gzipped or not, - for standard input. Several are read as one, in
    time order. With -i the messages are shown as they pass.
    """
    from decoder.cli.output_file import OutputFile
    from decoder.cli.run import Run, say
    from decoder.cli.selection import Selection, Surroundings

    columns = tuple(name.strip() for field in fields for name in field.split(","))
    _check(verbose, output_format, columns, explode, wrap)
    around = Surroundings(
        before=before if before is not None else context or 0,
        after=after if after is not None else context or 0,
        pair=pair,
        before_close_ns=before_close,
    )
    if (around.before or around.after or pair) and options.where is None:
        raise click.UsageError(
            "-B, -A, -C and --pair show what belongs to the messages that --where finds: give it too"
        )
    run = Run(captures, options, live=live, selection=Selection(options.where, count, around))
    with OutputFile(output, options.inputs(captures), live=run.live, private=options.show_secrets, force=force) as file:
        make = partial(
            _renderer,
            "tree" if verbose else output_format,
            columns,
            explode,
            enums,
            options.show_secrets,
            options.utc,
            file.colored(options.color),
            _columns() if file.terminal and not wrap else None,
            file.encoding,
        )
        try:
            renderer = make()
        except SchemaError as error:
            raise click.UsageError(str(error)) from None
        run.show_progress = not file.terminal
        file.write(file.encode(renderer.render(())))
        shown = FrameFilter() if wireshark_filter else None
        batches = run.records() if shown is None else _collected(run.records(), shown)
        if jobs is None:
            long = run.size >= _JOBS_FROM and count is None
            jobs = _processors() if long and _takes_long(verbose, output_format, columns) else 1
        if jobs > 1 and not run.live:
            from decoder.output.parallel import render_in_order

            rendered = render_in_order(batches, partial(_headed, make), jobs)
        else:
            rendered = map(renderer.render, batches)
        for part in rendered:
            file.write(file.encode(part))
        file.flush()
        code = run.finish()
        if run.read_nothing:
            ctx.exit(code)  # before the file takes the place of an older one
    if shown:
        say(f"in Wireshark{merged_first(len(captures))}: {shown}")
    ctx.exit(code)


def _collected(batches: Iterator[list[Message | Gap]], shown: FrameFilter) -> Iterator[list[Message | Gap]]:
    """Yields the batches, and collects the packets of their messages."""
    from decoder.message import Message

    for records in batches:
        for item in records:
            if isinstance(item, Message):
                shown.add(item.frames)
        yield records


def _columns() -> int:
    """Returns the width of lines on the terminal; one that fills the last column makes some add an empty line."""
    from shutil import get_terminal_size

    return get_terminal_size().columns - 1


def _takes_long(verbose: bool, output_format: str, columns: tuple[str, ...]) -> bool:
    """Returns True if a record takes longer to write than to hand to another process."""
    quick = output_format == "text" or (output_format == "jsonl" and JsonLines is not None)
    return verbose or bool(columns) or not quick


def _processors() -> int:
    from decoder.output.parallel import processors

    return processors()


def _check(verbose: bool, output_format: str, columns: tuple[str, ...], explode: bool, wrap: bool) -> None:
    """Raises click.UsageError for options that do not go together."""
    if verbose and output_format != "text":
        raise click.UsageError("-V shows messages as text; it does not go with --format")
    if "" in columns:
        raise click.UsageError("-e has an empty name: give columns, as in -e time,symbol")
    if columns and output_format == "text":
        raise click.UsageError("-e chooses what --format csv and --format jsonl show: give one of them")
    if explode and not columns:
        raise click.UsageError("--explode makes rows of the lists that -e names: give -e too")
    if wrap and (verbose or output_format != "text"):
        raise click.UsageError("only lines of text are cut on a terminal; --wrap goes with them")


def _renderer(
    output_format: str,
    columns: tuple[str, ...],
    explode: bool,
    enums: EnumStyle,
    show_secrets: bool,
    utc: bool,
    color: bool,
    width: int | None,
    encoding: str,
) -> Renderer:
    if columns or output_format == "csv":
        from decoder.output.columns import Columns
        from decoder.output.csv import CsvOutput
        from decoder.output.json_fields import JsonFieldsOutput

        chosen = Columns(columns, enums, show_secrets=show_secrets, explode=explode)
        return CsvOutput(chosen) if output_format == "csv" else JsonFieldsOutput(chosen)
    if output_format == "jsonl":
        from decoder.output.jsonl import JsonLinesOutput

        return JsonLinesOutput(enums, show_secrets=show_secrets)
    if output_format == "tree":
        from decoder.output.tree import TreeOutput

        return TreeOutput(enums, show_secrets=show_secrets, utc=utc, color=color)
    from decoder.output.text import TextOutput

    return TextOutput(enums, show_secrets=show_secrets, utc=utc, color=color, width=width, encoding=encoding)


def _headed(make: Callable[[], Renderer]) -> Renderer:
    """Returns a renderer that has written its header, if it has one."""
    renderer = make()
    renderer.render(())
    return renderer
