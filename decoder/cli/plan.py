"""``opendump plan``: show how an export of many captures would be divided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from decoder.cli.dataset import Cluster, cluster_options, index_files, planned_ports, skew
from decoder.cli.options import EXIT_FAILED, Options, captures_argument, common_options
from decoder.engine.shards import plan_partitions
from decoder.formatting.escape import escape

if TYPE_CHECKING:
    import re

    from decoder.engine.shards import FileIndex, Partition

__all__ = ["plan"]

_SECRETS = ("rsa_keys", "keylogs", "show_secrets")
_SELECTION = ("where", "start", "end", "utc", "strict", "max_memory", "dedup", "color")


@click.command()
@captures_argument
@cluster_options
@common_options(without=_SECRETS + _SELECTION)
@click.pass_context
def plan(
    ctx: click.Context,
    captures: tuple[str, ...],
    options: Options,
    workers: int | None,
    scheduler: str | None,
    host_of: re.Pattern[str] | None,
) -> None:
    """Examples:

    \b
      opendump plan captures/*/*.pcap.gz --workers 4

    Print the hosts, files, flows and partitions into which `opendump export --workers N` would divide CAPTURE, without
    decoding anything.
    """
    from decoder.cli.output_file import OutputFile

    cluster = Cluster(workers, scheduler, host_of)
    indexes = index_files(captures, cluster, planned_ports(options))
    partitions = plan_partitions([index for index in indexes if index.packets], cluster.count)
    with OutputFile(None) as file:
        file.write(file.encode("".join(f"{line}\n" for line in _lines(indexes, partitions))))
    ctx.exit(EXIT_FAILED if any(index.error for index in indexes) or not partitions else 0)


def _lines(indexes: Sequence[FileIndex], partitions: Sequence[Partition]) -> Iterator[str]:
    for host in dict.fromkeys(index.host for index in indexes):
        files = [index for index in indexes if index.host == host]
        flows = len({flow for index in files for flow in index.flows})
        yield (
            f"host {escape(host)}: files {len(files):,}, bytes {sum(index.size for index in files):,}, packets"
            f" {sum(index.packets for index in files):,}, flows {flows:,}"
        )
        for number, partition in enumerate((each for each in partitions if each.host == host), 1):
            yield f"  partition {number}: flows {partition.flow_count:,}, weight {partition.weight:,}"
    if partitions:
        yield f"partitions {len(partitions):,}, heaviest over mean {skew(partitions):.2f}"
