"""``opendump decode``: print every message of a capture."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from decoder.cli.live_options import LiveOptions, source_options
from decoder.cli.options import Options, common_options, output_options, use_color
from decoder.errors import SchemaError

if TYPE_CHECKING:
    from decoder.output.parallel import Renderer
    from decoder.vocabulary import EnumStyle

__all__ = ["decode"]

_JOBS_FROM = 8 * 1024 * 1024  # bytes of input: to render less takes no longer than to start processes


@click.command()
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
    metavar="FIELD",
    multiple=True,
    help="A column of --format csv: a key of the record or a path like body.c2s.code. Repeatable.",
)
@click.option(
    "--enums",
    type=click.Choice(["sdk", "proto", "number"]),
    default="sdk",
    help="How to show enum values: FILLED_ALL, OrderStatus_Filled_All, or 11.",
)
@click.option("-c", "--count", metavar="COUNT", type=click.IntRange(min=1), help="Stop after this many messages.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that render (default: all processors for long inputs, but one for lines of text).",
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
    enums: EnumStyle,
    count: int | None,
    jobs: int | None,
    output: str | None,
    force: bool,
) -> None:
    """Examples:

    \b
      opendump decode day.pcapng                         a line per message
      opendump decode day.pcapng --rsa-key rsa.pem -V    encrypted traffic, every field
      opendump decode day.pcapng --where 'kind=response and ret_type!=RET_OK'
      opendump decode day.pcapng --format jsonl | jq .body
      opendump decode -i lo --rsa-key rsa.pem            what passes now

    Print every message of CAPTURE: pcap or pcapng, gzipped or not, - for standard input. Several are read as one, in
    time order. With -i the messages are shown as they pass.
    """
    from decoder.cli.output_file import OutputFile
    from decoder.cli.run import Run

    if verbose and output_format != "text":
        raise click.UsageError("-V shows messages as text; it does not go with --format")
    if fields and output_format != "csv":
        raise click.UsageError("-e chooses the columns of --format csv")
    run = Run(captures, options, live=live)
    with OutputFile(output, options.inputs(captures), live=run.live, private=options.show_secrets, force=force) as file:
        make = partial(
            _renderer,
            "tree" if verbose else output_format,
            fields,
            enums,
            options.show_secrets,
            options.utc,
            use_color(options.color, file.terminal),
            # A line that fills the last column makes some terminals add an empty one.
            shutil.get_terminal_size().columns - 1 if file.terminal else None,
            file.encoding,
        )
        try:
            renderer = make()
        except SchemaError as error:
            raise click.UsageError(str(error)) from None
        run.show_progress = not file.terminal
        file.write(file.encode(renderer.render(())))
        batches = run.records(count)
        long = run.size >= _JOBS_FROM and count is None
        several = jobs > 1 if jobs else long and (verbose or output_format != "text")
        if several and not run.live:
            from decoder.output.parallel import processors, render_in_order

            rendered = render_in_order(batches, partial(_headed, make), jobs or processors())
        else:
            rendered = map(renderer.render, batches)
        for part in rendered:
            file.write(file.encode(part))
    ctx.exit(run.finish())


def _renderer(
    output_format: str,
    fields: tuple[str, ...],
    enums: EnumStyle,
    show_secrets: bool,
    utc: bool,
    color: bool,
    width: int | None,
    encoding: str,
) -> Renderer:
    if output_format == "jsonl":
        from decoder.output.jsonl import JsonLinesOutput

        return JsonLinesOutput(enums, show_secrets=show_secrets)
    if output_format == "csv":
        from decoder.output.csv import CsvOutput

        return CsvOutput(fields, enums, show_secrets=show_secrets)
    if output_format == "tree":
        from decoder.output.tree import TreeOutput

        return TreeOutput(enums, show_secrets=show_secrets, utc=utc, color=color)
    from decoder.output.text import TextOutput

    return TextOutput(enums, show_secrets=show_secrets, utc=utc, color=color, width=width, encoding=encoding)


def _headed(make: Callable[[], Renderer]) -> Renderer:
    """A renderer whose header, if it has any, is written already."""
    renderer = make()
    renderer.render(())
    return renderer
