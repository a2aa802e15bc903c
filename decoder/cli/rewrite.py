"""``opendump rewrite``: write a capture again, decrypted and without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from decoder.cli.options import Options, captures_argument, common_options

if TYPE_CHECKING:
    from decoder.cli.output_file import OutputFile
    from decoder.output.clear_capture import ClearCapture
    from decoder.output.pseudonyms import Pseudonyms

__all__ = ["rewrite"]


@click.command()
@captures_argument
@click.option(
    "-o",
    "--output",
    metavar="OUT.pcapng",
    required=True,
    type=click.Path(dir_okay=False, readable=False),
    help="The new capture; - for standard output.",
)
@click.option("--all", "unverified", is_flag=True, help="Write messages that are not verified, too.")
@click.option(
    "--pseudonyms",
    is_flag=True,
    help="Replace account, user, order and fill ids, card numbers, names, addresses and remarks by stand-ins.",
)
@click.option(
    "--map",
    "map_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, readable=False),
    help="Write the stand-ins of --pseudonyms and what they stand for to FILE, which only its owner can read.",
)
@click.option("--force", is_flag=True, help="Replace FILE, and OUT.pcapng even where it is to hold secrets.")
@common_options(without=("color",))
@click.pass_context
def rewrite(
    ctx: click.Context,
    captures: tuple[str, ...],
    options: Options,
    output: str,
    unverified: bool,
    pseudonyms: bool,
    map_file: str | None,
    force: bool,
) -> None:
    """Examples:

    \b
      opendump rewrite day.pcap --rsa-key rsa.pem -o clear.pcapng
      opendump rewrite day.pcap --rsa-key rsa.pem --where 'proto=Trd_*' -o trade.pcapng
      opendump rewrite day.pcap --pseudonyms --map table.tsv -o share.pcapng

    Write the conversation of CAPTURE again, to pass it on: each connection as a clean TCP conversation of its own,
    bodies decrypted, with the addresses and times of the original. No key is needed to read it.

    Secrets (keys, passwords, codes) are replaced before anything is written; --show-secrets keeps them. Messages that
    are not verified are left out unless --all is given; what is missing stays a hole of the same size.
    """
    from decoder.cli.output_file import OutputFile
    from decoder.cli.run import Run
    from decoder.output.clear_capture import ClearCapture
    from decoder.output.pseudonyms import Pseudonyms
    from decoder.output.replacer import Replacer

    if map_file is not None and not pseudonyms:
        raise click.UsageError("--map writes the table of --pseudonyms: give that, too", ctx)
    inputs = options.inputs(captures)
    stand_ins = Pseudonyms(keep_table=map_file is not None) if pseudonyms else None
    table = None if map_file is None else OutputFile(map_file, [*inputs, output], private=True, force=force)
    file = OutputFile(output, inputs, private=options.show_secrets, force=force)
    replacer = Replacer(show_secrets=options.show_secrets, pseudonyms=stand_ins)
    capture = ClearCapture(file.write, replacer, unverified=unverified)
    run = Run(captures, options, on_connection=capture.connection_ended)
    with file:
        capture.start()
        for records in run.records():
            capture.add(records)
        capture.finish()
        code = run.finish()
        if run.read_nothing:
            ctx.exit(code)
    _sum_up(capture, file.name)
    if table is not None and stand_ins is not None:
        _write_table(table, stand_ins)
    ctx.exit(code)


def _sum_up(capture: ClearCapture, name: str) -> None:
    from decoder.cli.run import counted, say

    line = f"{counted(capture.written, 'message')} written to {name}"
    if capture.changed:
        line += f", fields replaced in {capture.changed:,}"
    if capture.holes:
        line += f", {counted(capture.holes, 'hole')}"
    say(line)
    if capture.left_out:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in capture.left_out.most_common())
        say(f"left out as not verified: {reasons} (--all writes them)")
    if capture.withheld:
        say(
            f"{counted(capture.withheld, 'message')} left out: the body cannot be read, "
            "so nobody can tell what is secret or personal in it"
        )


def _write_table(file: OutputFile, stand_ins: Pseudonyms) -> None:
    from decoder.cli.run import counted, say
    from decoder.formatting.escape import escape

    table = stand_ins.table or {}
    with file:
        file.write(b"kind\tvalue\tstand-in\n")
        for (kind, value), stand_in in table.items():
            file.write(f"{kind}\t{escape(value)}\t{escape(stand_in)}\n".encode())
    say(f"{counted(len(table), 'stand-in')} written to {file.name}")
    if stand_ins.table_is_full:
        say("the table is full: further stand-ins are not in it")
