"""Divides the work of a command among processes of this machine or the workers of a cluster."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from decoder.cli.options import EXIT_FAILED
from decoder.cli.run import counted, say, say_not_verified, strict_code
from decoder.engine.shards import FileIndex, index_file, plan_partitions
from decoder.formatting.escape import escape
from decoder.vocabulary import HINTS

if TYPE_CHECKING:
    from decoder.cli.live_options import LiveOptions
    from decoder.cli.options import Options
    from decoder.output.partition import Source
    from decoder.output.workers import Workers

__all__ = [
    "Cluster",
    "cluster_options",
    "index_files",
    "planned_ports",
    "planned_source",
    "run_on_hosts",
    "say_counts",
    "with_progress",
]

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cluster:
    """Holds the options that say who decodes, and which host a capture is of."""

    workers: int | None
    scheduler: str | None
    host_of: re.Pattern[str] | None

    @property
    def given(self) -> bool:
        """True if any of them was given."""
        return any(each is not None for each in (self.workers, self.scheduler, self.host_of))

    @property
    def count(self) -> int:
        """Workers that the work is divided for."""
        from decoder.output.parallel import processors

        return self.workers or processors()

    def host(self, path: str) -> str:
        """Returns the host of a capture: what the pattern finds in its path, else the name of its directory.

        :raises click.UsageError: if the pattern finds nothing
        """
        path = Path(path).absolute().as_posix()
        if self.host_of is None:
            return path.split("/")[-2] or "host"
        found = self.host_of.search(path)
        if found is None or not found[1]:
            raise click.UsageError(f"--host-of finds no host in {escape(path)}")
        return found[1]

    def open(self) -> Workers:
        """Returns the workers, which start when they are given something to do.

        :raises OpenDError: if there is no such scheduler
        """
        from decoder.output.workers import Workers

        return Workers(self.count, self.scheduler)


def _pattern(ctx: click.Context, param: click.Parameter, value: str | None) -> re.Pattern[str] | None:
    if value is None:
        return None
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise click.BadParameter(f"not a regular expression: {error}", ctx, param) from None
    if pattern.groups != 1:
        raise click.BadParameter("needs one group, the host: '([^/]+)-[0-9]+[.]pcap$'", ctx, param)
    return pattern


_OPTIONS = {
    "workers": click.option(
        "--workers",
        metavar="N",
        type=click.IntRange(1, 1024),
        help="Divide the work for N processes of this machine, or (with --scheduler) workers.",
    ),
    "scheduler": click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Let the workers of a Dask cluster do it: tcp://HOST:8786. Needs scapy-opend[cluster].",
    ),
    "host_of": click.option(
        "--host-of",
        metavar="PATTERN",
        callback=_pattern,
        help="Regular expression whose group is the host in a capture's path (default: its directory's name).",
    ),
}


def cluster_options(command: Command) -> Command:
    """Adds the options of `Cluster` to a command, which gets them as one keyword argument, ``cluster``."""

    @wraps(command)
    def with_cluster(*args: Any, **kwargs: Any) -> Any:
        cluster = Cluster(**{name: kwargs.pop(name) for name in _OPTIONS})
        return command(*args, cluster=cluster, **kwargs)

    decorated: Any = with_cluster
    for option in reversed(_OPTIONS.values()):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def planned_ports(options: Options) -> tuple[int, ...]:
    """Returns the ports.  Raises click.UsageError for ``auto``: what it finds depends on other connections."""
    ports = tuple(port for port in options.ports if isinstance(port, int))
    if options.ports == "auto" or len(ports) < len(options.ports):
        raise click.UsageError(
            "--port auto does not go with --workers, --scheduler, --host-of and plan: name the ports"
        )
    return ports


def planned_source(ctx: click.Context, options: Options, cluster: Cluster, live: LiveOptions | None = None) -> Source:
    """Returns what the partitions are decoded with.

    :raises click.UsageError: for options that do not go with several workers
    :raises KeyFileError: for a key that cannot be used, before the work begins
    """
    from decoder.output.partition import Source

    if live is not None:
        raise click.UsageError("--workers, --scheduler and --host-of divide files: give captures instead of -i")
    if cluster.scheduler is None:
        options.key_ring()
    return Source(
        planned_ports(options),
        tuple(map(os.path.abspath, options.rsa_keys)),
        tuple(map(os.path.abspath, options.keylogs)),
        ctx.params.get("where"),
        ctx.params.get("start"),
        ctx.params.get("end"),
        options.utc,
        options.dedup,
        options.limits,
    )


def with_progress(results: Iterable[Result], what: str, total: int) -> Iterable[Result]:
    """Yields `results`, of which there will be `total`, and shows a progress bar if stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        return results
    from rich.console import Console
    from rich.progress import track

    return track(results, what, total, console=Console(stderr=True), transient=True)


def index_files(captures: Sequence[str], cluster: Cluster, ports: tuple[int, ...], workers: Workers) -> list[FileIndex]:
    """Counts the packets of each capture and weighs its flows, in the order of `captures`; names the unreadable."""
    if "-" in captures:
        raise click.UsageError("standard input cannot be divided: give files")
    given: dict[str, str] = {}
    for path in captures:  # twice the same file is one
        given.setdefault(os.path.abspath(path), path)
    paths = list(given if cluster.scheduler is not None else given.values())
    tasks = [(cluster.host(path), path, frozenset(ports)) for path in paths]
    results = with_progress(workers.map_unordered(index_file, tasks), "reading captures", len(tasks))
    found = {index.path: index for index in results}
    indexes = [found[path] for path in paths]
    for index in indexes:
        for line in (*index.warnings, *([index.error] if index.error else [])):
            say(line)
    return indexes


def run_on_hosts(
    ctx: click.Context,
    captures: Sequence[str],
    options: Options,
    cluster: Cluster,
    task: Callable[..., tuple[dict[str, Any], Any]],
    *arguments: object,
    live: LiveOptions | None = None,
    divided: bool = False,
) -> tuple[int, list[tuple[str, Any]]]:
    """Runs ``task(partition, source, *arguments)`` on each host, or (`divided`) on parts of its connections.

    Returns the exit code, having said on stderr how it went, and the results, each with its host; the hosts stand as in
    the captures.

    :raises click.UsageError: for options that do not go with several workers
    :raises KeyFileError: for a key that cannot be used
    """
    source = planned_source(ctx, options, cluster, live)
    with cluster.open() as workers:
        indexes = index_files(captures, cluster, source.ports, workers)
        count = cluster.count if divided and source.divides else 1
        partitions = plan_partitions([index for index in indexes if index.packets], count)
        tasks = [(partition, source, *arguments) for partition in partitions]
        done = list(with_progress(workers.map_unordered(task, tasks), "decoding", len(tasks)))
    order = {host: place for place, host in enumerate(dict.fromkeys(index.host for index in indexes))}
    done.sort(key=lambda each: (order[each[0]["host"]], each[0]["id"]))
    code = say_counts(indexes, [counts for counts, _ in done], "", strict=options.strict)
    return code, [(counts["host"], result) for counts, result in done]


def say_counts(indexes: Sequence[FileIndex], results: Sequence[dict[str, Any]], target: str, *, strict: bool) -> int:
    """Says on stderr how the work went, and returns the exit code; `results` are those of `PartitionRun.counts`."""
    for report in dict.fromkeys(report for result in results for report in result["reports"]):
        say(report)
    messages, connections = (sum(result[name] for result in results) for name in ("messages", "connections"))
    hosts = counted(len({index.host for index in indexes} | {result["host"] for result in results}), "host")
    say(f"{counted(messages, 'message')} on {counted(connections, 'connection')} of {hosts}{target}")
    verdicts = Counter[str]()
    for result in results:
        verdicts.update(result["verdicts"])
    not_verified = {reason: count for reason, count in verdicts.items() if reason in HINTS}
    for reason, count in not_verified.items():
        say_not_verified(count, reason, HINTS[reason])
    if not messages or any(index.error for index in indexes):
        return EXIT_FAILED
    return strict_code(not_verified) if strict else 0
