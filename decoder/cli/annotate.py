"""``opendump annotate``: copy a capture with the messages as packet comments."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import click

from decoder.cli.options import Options, common_options
from decoder.cli.output_file import OutputFile
from decoder.errors import CaptureError, OpenDError

__all__ = ["annotate"]


@click.command()
@click.argument("capture", metavar="CAPTURE", type=click.Path(dir_okay=False))
@click.option(
    "-o",
    "--output",
    metavar="OUT.pcapng",
    required=True,
    type=click.Path(dir_okay=False),
    help="The annotated capture; - for standard output.",
)
@common_options
@click.pass_context
def annotate(ctx: click.Context, capture: str, options: Options, output: str) -> None:
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
    from decoder.cli.run import Run, say
    from decoder.output.comments import Annotator

    _check(ctx, capture, output)
    annotator = Annotator(None if options.where is None else options.where.match, show_secrets=options.show_secrets)
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
    with _written(output) as write:
        try:
            homeless = copy_with_comments(CaptureReader(capture), annotator.comments(), write)
        except CaptureError:
            homeless = 0  # told when it was read first; everything before the damage is copied
    annotator.close()
    if homeless:
        say(f"{homeless} comments left out: their packets are in Simple Packet Blocks, which hold none")
    say(f"{annotator.messages} messages annotated in {'standard output' if output == '-' else output}")
    ctx.exit(code)


def _check(ctx: click.Context, capture: str, output: str) -> None:
    from decoder.capture.reader import CaptureReader

    if capture == "-" or (os.path.exists(capture) and not CaptureReader(capture).reopens):
        raise click.UsageError("annotate reads the capture twice: give a file, not standard input or a pipe", ctx)
    with suppress(OSError):
        if os.path.samefile(capture, output):
            raise click.UsageError(f"-o {output} is the capture itself: give another file", ctx)


@contextmanager
def _written(path: str) -> Iterator[Callable[[bytes], object]]:
    """How to write to a file, which takes the name `path` once it is complete; until then an older file stays."""
    if path == "-":
        with OutputFile(None, (), live=False) as sink:
            yield sink.write
        return
    target = os.path.realpath(path)
    temporary = f"{target}.{os.getpid()}.part"
    try:
        if os.path.exists(target) and not os.path.isfile(target):  # a device or a pipe: nothing to put in its place
            with open(target, "wb") as file:
                yield file.write
            return
        with open(temporary, "xb") as file:
            yield file.write
        os.replace(temporary, target)
    except OSError as error:
        raise OpenDError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            os.unlink(temporary)
