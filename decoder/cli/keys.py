"""``opendump keys``: write the session keys of a capture as a key log."""

from __future__ import annotations

import dataclasses

import click

from decoder.cli.hints import HintingCommand
from decoder.cli.options import EXIT_FAILED, Options, captures_argument, common_options
from decoder.message import Message

__all__ = ["keys"]


@click.command(cls=HintingCommand)
@captures_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False, readable=False),
    help="The key log; - for standard output.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@common_options(without=("show_secrets", "color"))
@click.pass_context
def keys(ctx: click.Context, captures: tuple[str, ...], options: Options, output: str, force: bool) -> None:
    """Examples:

    \b
      opendump keys start.pcap --rsa-key rsa.pem -o session.keys
      opendump decode later.pcap --keylog session.keys
      opendump keys day.pcap --rsa-key rsa.pem --where connection=3 -o one.keys

    Write the session keys that the InitConnect answers in CAPTURE hand out, a line per connection: who has FILE can
    decode those connections, also where a capture begins after the handshake, but no others. With --where only the
    keys of connections with a message for which it holds. FILE is readable by its owner only. An existing FILE is
    kept, unless --force is given.
    """
    from decoder.cli.output_file import OutputFile
    from decoder.cli.run import Run, counted, say
    from decoder.crypto.keylog import key_log_line

    run = Run(captures, dataclasses.replace(options, where=None))
    where = options.where
    lines: dict[str, None] = {}
    with OutputFile(output, options.inputs(captures), private=True, force=force) as file:
        wanted: set[str] = set()
        for records in run.records():
            for item in records:
                if isinstance(item, Message) and item.conn_id is not None and (where is None or where.match(item)):
                    wanted.add(item.conn_id)
        code = run.finish()
        for key in run.keys.harvested:
            if where is None or str(key.conn_id) in wanted:
                lines[key_log_line(key)] = None
        if not lines:
            if not code:
                say("no session key found: keys are in InitConnect answers, which only the RSA key opens")
            ctx.exit(code or EXIT_FAILED)
        file.write("".join(f"{line}\n" for line in lines).encode("ascii"))
    say(f"{counted(len(lines), 'key')} written to {file.name}")
    ctx.exit(code)
