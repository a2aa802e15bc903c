"""``opendump annotate``: copy a capture with the messages as packet comments."""

from __future__ import annotations

import dataclasses
import os

import click

from decoder.cli.hints import HintingCommand
from decoder.cli.options import Options, common_options
from decoder.cli.output_file import OutputFile
from decoder.errors import CaptureError

__all__ = ["annotate"]


@click.command(cls=HintingCommand)
@click.argument("capture", metavar="CAPTURE", type=click.Path(dir_okay=False))
@click.option(
    "-o",
    "--output",
    metavar="OUT.pcapng",
    required=True,
    type=click.Path(dir_okay=False, readable=False),
    help="The annotated capture; - for standard output.",
)
@click.option("--force", is_flag=True, help="Replace OUT.pcapng even where it is to hold secrets.")
@common_options(without=("color",))
@click.pass_context
def annotate(ctx: click.Context, capture: str, options: Options, output: str, force: bool) -> None:
    """Examples:

    \b
      opendump annotate day.pcap --rsa-key rsa.pem -o day-annotated.pcapng
      tshark -r day-annotated.pcapng -Y frame.comment -T fields -e frame.number -e frame.comment
      opendump annotate day.pcap --where 'proto=Trd_*' -o trade.pcapng

    Write CAPTURE again as pcapng, every packet and every other block as it was, with a comment on each packet that
    has to do with a message: any Wireshark shows it, without a plugin. Comments that are there already are kept.

    Secrets are redacted in the comments. The packets themselves are unchanged: what is in clear in CAPTURE is in clear
    in OUT too. CAPTURE is read twice, so it cannot be standard input.
    """
    from decoder.capture.block_copy import copy_with_comments
    from decoder.capture.reader import CaptureReader
    from decoder.cli.run import Run, counted, say
    from decoder.output.comments import Annotator

    _check(ctx, capture)
    file = OutputFile(output, options.inputs([capture]), private=options.show_secrets, force=force)
    where = None if options.where is None else options.where.match
    annotator = Annotator(where, show_secrets=options.show_secrets, utc=options.utc)
    run = Run(
        (capture,),
        dataclasses.replace(options, where=None),
        on_connection=annotator.connection_ended,
        on_retransmission=annotator.retransmitted,
    )
    for records in run.records():
        annotator.add(records)
    code = run.finish()
    if run.interrupted or not run.summary.messages:
        ctx.exit(code)
    with file:
        try:
            unplaced = copy_with_comments(CaptureReader(capture), annotator.comments(), file.write)
        except CaptureError:
            unplaced = 0  # reported when the capture was read first; everything before the damage is copied
    annotator.close()
    if unplaced:
        say(f"{counted(unplaced, 'comment')} left out: their packets are in Simple Packet Blocks, which hold none")
    say(f"{counted(annotator.messages, 'message')} annotated in {file.name}")
    ctx.exit(code)


def _check(ctx: click.Context, capture: str) -> None:
    from decoder.capture.reader import CaptureReader

    if capture == "-" or (os.path.exists(capture) and not CaptureReader(capture).reopens):
        raise click.UsageError("annotate reads the capture twice: give a file, not standard input or a pipe", ctx)
