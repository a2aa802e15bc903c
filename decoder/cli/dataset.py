"""Exports many captures into one dataset, on several processes: what `export --workers` and `plan` share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

from decoder.cli.options import EXIT_FAILED, EXIT_NOT_VERIFIED
from decoder.cli.run import counted, say
from decoder.engine.shards import FileIndex, Partition, index_file, plan_partitions
from decoder.errors import OpenDError
from decoder.formatting.escape import escape
from decoder.output.workers import map_unordered
from decoder.vocabulary import HINTS

if TYPE_CHECKING:
    from decoder.cli.options import Options
    from decoder.output.dataset import Settings

__all__ = ["Cluster", "cluster_options", "export_dataset", "index_files", "planned_ports", "skew"]

Command = TypeVar("Command", bound=Callable[..., Any])


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

    def map(self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Any:
        """Yields ``function(*task)`` of each task, as they are done."""
        workers = max(1, min(self.count, len(tasks)))
        return map_unordered(function, tasks, workers=workers, scheduler=self.scheduler)


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


def cluster_options(command: Command) -> Command:
    """Adds the options of `Cluster`."""
    options = (
        click.option(
            "--workers",
            metavar="N",
            type=click.IntRange(1, 1024),
            help="Divide the work for N processes of this machine, or (with --scheduler) workers.",
        ),
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            help="Let the workers of a Dask cluster do it: tcp://HOST:8786. Needs scapy-opend[cluster].",
        ),
        click.option(
            "--host-of",
            metavar="PATTERN",
            callback=_pattern,
            help="Regular expression whose group is the host in a capture's path (default: its directory's name).",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def planned_ports(options: Options) -> tuple[int, ...]:
    """Returns the ports.  Raises click.UsageError for ``auto``: what it finds depends on other connections."""
    ports = tuple(port for port in options.ports if isinstance(port, int))
    if options.ports == "auto" or len(ports) < len(options.ports):
        raise click.UsageError(
            "--port auto does not go with --workers, --scheduler, --host-of and plan: name the ports"
        )
    return ports


def index_files(captures: Sequence[str], cluster: Cluster, ports: tuple[int, ...]) -> list[FileIndex]:
    """Counts the packets of each capture and weighs its flows, in the order of `captures`; names the unreadable."""
    if "-" in captures:
        raise click.UsageError("standard input cannot be divided: give files")
    paths = [os.path.abspath(path) for path in captures]
    tasks = [(cluster.host(path), path, frozenset(ports)) for path in dict.fromkeys(paths)]
    found = {index.path: index for index in cluster.map(index_file, tasks)}
    indexes = [found[path] for _, path, _ in tasks]
    for index in indexes:
        for line in (*index.warnings, *([index.error] if index.error else [])):
            say(line)
    return indexes


def export_dataset(
    captures: Sequence[str], cluster: Cluster, settings: Settings, *, resume: bool, strict: bool, name: str
) -> int:
    """Writes a dataset and returns the exit code; its manifest is written last.  `name` is its name in messages."""
    from decoder.output.dataset import STATE, completed, export_partition, settings_record, write_whole

    indexes = index_files(captures, cluster, settings.ports)
    partitions = plan_partitions([index for index in indexes if index.packets], cluster.count)
    plan = {
        "version": version("scapy-opend"),
        "settings": settings_record(settings),
        "inputs": [_input(index) for index in indexes],
        "partitions": sorted(partition.id for partition in partitions),
    }
    state = Path(settings.directory, STATE)
    _begin(state, plan, resume=resume)
    done = {partition.id: completed(settings.directory, partition.id) for partition in partitions if resume}
    tasks = [(partition, settings) for partition in partitions if done.get(partition.id) is None]
    for result in cluster.map(export_partition, tasks) if tasks else ():
        done[result["id"]] = result
    for left in state.glob("*.part"):  # of workers that were killed
        with suppress(OSError):
            left.unlink()
    results = [result for _, result in sorted(done.items()) if result is not None]
    rows = {name: sum(result["rows"].get(name, 0) for result in results) for name in settings.tables}
    write_whole(str(Path(settings.directory, "manifest.json")), {**plan, "partitions": results, "rows": rows})
    return _finish(indexes, results, name, strict=strict)


def _input(index: FileIndex) -> dict[str, Any]:
    record = asdict(index)
    record["flows"] = len(index.flows)
    return record


def _begin(state: Path, plan: dict[str, Any], *, resume: bool) -> None:
    """Makes the directory, or checks that an earlier run of the same plan began in it."""
    from decoder.output.dataset import write_whole

    directory, path = state.parent, state / "plan.json"
    try:
        if path.exists() and resume:
            if orjson.loads(path.read_bytes()) != orjson.loads(orjson.dumps(plan)):
                raise OpenDError(
                    f"{escape(str(directory))}: was begun with other captures, options or --workers; --resume needs the"
                    " same ones, or give another directory"
                )
            return
        state.mkdir(parents=True, exist_ok=True)
        if any(entry != state for entry in directory.iterdir()) or any(state.iterdir()):
            raise OpenDError(
                f"{escape(str(directory))}: is not empty; give another directory, or --resume to complete what an"
                " earlier run began there"
            )
    except (OSError, ValueError) as error:
        raise OpenDError(f"{escape(str(directory))}: cannot be used: {escape(str(error), 200)}") from None
    write_whole(str(path), plan)


def _finish(indexes: Sequence[FileIndex], results: Sequence[dict[str, Any]], directory: str, *, strict: bool) -> int:
    for report in dict.fromkeys(report for result in results for report in result["reports"]):
        say(report)
    messages, connections = (sum(result[name] for result in results) for name in ("messages", "connections"))
    hosts = counted(len({index.host for index in indexes}), "host")
    say(f"{counted(messages, 'message')} on {counted(connections, 'connection')} of {hosts} written to {directory}")
    verdicts: dict[str, int] = {}
    for result in results:
        for reason, count in result["verdicts"].items():
            verdicts[reason] = verdicts.get(reason, 0) + count
    not_verified = {reason: count for reason, count in verdicts.items() if reason in HINTS}
    for reason, count in not_verified.items():
        say(f"{count} {'failed' if reason == 'sha1-mismatch' else 'unverified'} ({reason}): {HINTS[reason]}")
    if not messages or any(index.error for index in indexes):
        return EXIT_FAILED
    return EXIT_NOT_VERIFIED if strict and not_verified else 0


def skew(partitions: Sequence[Partition]) -> float:
    """Returns the weight of the heaviest partition over the mean."""
    total = sum(partition.weight for partition in partitions)
    return max(partition.weight for partition in partitions) * len(partitions) / total if total else 1.0
