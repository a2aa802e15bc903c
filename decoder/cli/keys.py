"""``opendump keys``: write the session keys of a capture as a key log."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import click

from decoder.cli.cluster import Cluster, cluster_options, run_on_hosts
from decoder.cli.hints import HintingCommand
from decoder.cli.options import EXIT_FAILED, Options, captures_argument, common_options

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
@cluster_options
@common_options(without=("show_secrets", "color"))
@click.pass_context
def keys(
    ctx: click.Context,
    captures: tuple[str, ...],
    options: Options,
    output: str,
    force: bool,
    cluster: Cluster,
) -> None:
    """Examples:

    \b
      opendump keys start.pcap --rsa-key rsa.pem -o session.keys
      opendump decode later.pcap --keylog session.keys
      opendump keys day.pcap --rsa-key rsa.pem --where connection=3 -o one.keys
      opendump keys */*.pcap.gz --rsa-key rsa.pem --workers 8 -o all.keys

    Write the session keys that the InitConnect answers in CAPTURE hand out, a line per connection: who has FILE can
    decode those connections, also where a capture begins after the handshake, but no others. With --where only the
    keys of connections with a message for which it holds. FILE is readable by its owner only. An existing FILE is
    kept, unless --force is given.
    """
    from decoder.cli.output_file import OutputFile
    from decoder.cli.run import counted, say

    with OutputFile(output, options.inputs(captures), private=True, force=force) as file:
        code, lines = _on_hosts(ctx, captures, options, cluster) if cluster.given else _here(captures, options)
        lines = list(dict.fromkeys(lines))
        if not lines:
            if not code:
                say("no session key found: keys are in InitConnect answers, which only the RSA key opens (--rsa-key)")
            ctx.exit(code or EXIT_FAILED)
        file.write("".join(f"{line}\n" for line in lines).encode("ascii"))
    say(f"{counted(len(lines), 'key')} written to {file.name}")
    ctx.exit(code)


def _here(captures: tuple[str, ...], options: Options) -> tuple[int, Iterable[str]]:
    """Returns the exit code, and the lines of the key log."""
    from decoder.cli.run import Run
    from decoder.output.host_tasks import collect_keys

    run = Run(captures, dataclasses.replace(options, where=None))
    found = collect_keys(run.records(), None if options.where is None else options.where.match, run.keys)
    return run.finish(), (line for _, line in found)


def _on_hosts(
    ctx: click.Context, captures: tuple[str, ...], options: Options, cluster: Cluster
) -> tuple[int, Iterable[str]]:
    from decoder.output.host_tasks import partition_keys

    code, results = run_on_hosts(ctx, captures, options, cluster, partition_keys, divided=True)
    return code, (line for _, line in sorted(key for _, keys in results for key in keys))
