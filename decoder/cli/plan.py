"""``opendump plan``: show how an export of many captures would be divided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from decoder.cli.cluster import Cluster, cluster_options, index_files, planned_ports
from decoder.cli.options import EXIT_FAILED, Options, captures_argument, common_options
from decoder.cli.run import counted
from decoder.engine.shards import plan_partitions
from decoder.formatting.escape import escape

if TYPE_CHECKING:
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
    cluster: Cluster,
) -> None:
    """Examples:

    \b
      opendump plan captures/*/*.pcap.gz --workers 4

    Print the hosts, files, flows and partitions into which `opendump export --workers N` would divide CAPTURE, without
    decoding anything.
    """
    from decoder.cli.output_file import OutputFile

    with cluster.open() as processes:
        indexes = index_files(captures, cluster, planned_ports(options), processes)
    partitions = plan_partitions([index for index in indexes if index.packets], cluster.count, apart=True)
    with OutputFile(None) as file:
        file.write(file.encode("".join(f"{line}\n" for line in _lines(indexes, partitions, cluster.count))))
    ctx.exit(EXIT_FAILED if any(index.error for index in indexes) or not partitions else 0)


def _lines(indexes: Sequence[FileIndex], partitions: Sequence[Partition], workers: int) -> Iterator[str]:
    total = sum(partition.weight for partition in partitions) or 1
    for host in dict.fromkeys(index.host for index in indexes):
        files = [index for index in indexes if index.host == host]
        flows = len({flow for index in files for flow in index.flows})
        packets = sum(index.packets for index in files)
        yield (
            f"host {escape(host)}: {counted(len(files), 'file')}, {sum(index.size for index in files):,} bytes,"
            f" {counted(packets, 'packet')}, {counted(flows, 'flow')}"
        )
        own = [partition for partition in partitions if partition.host == host]
        for number, partition in enumerate(own, 1):
            alone = partition.flow_count == 1 and partition.weight * workers > total and workers > 1
            fat = ": one flow, which more workers do not make shorter" if alone else ""
            if partition.job == "host":
                fat = ": tables of the whole host, which more workers do not make shorter"
            share = f"{100 * partition.weight / total:.1f} % of the work"
            yield f"  partition {number}: {counted(partition.flow_count, 'flow')}, {share}{fat}"
    if partitions:
        skew = max(partition.weight for partition in partitions) * len(partitions) / total
        yield f"{counted(len(partitions), 'partition')}, the heaviest {skew:.2f} times the mean"
