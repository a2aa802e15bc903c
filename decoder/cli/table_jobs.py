"""Writes the tables of a capture in several processes: each decodes all of it and makes some of the tables.

To decode is a tenth of the work, and each table is made by one process alone, so its file is the same byte for byte
however many there are.  ``--workers`` divides the connections instead, for many captures and machines.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from decoder.cli.options import checked_options
from decoder.cli.run import Run
from decoder.engine.shards import balanced
from decoder.errors import OpenDError
from decoder.output.table_files import table_writer
from decoder.output.table_ledgers import LEDGERS
from decoder.output.table_schema import all_tables
from decoder.output.tables import Tables

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as Channel
    from multiprocessing.process import BaseProcess

    from decoder.cli.live_options import LiveOptions
    from decoder.cli.options import Options
    from decoder.output.table_blocks import Block
    from decoder.output.table_columns import Table

__all__ = ["Share", "divided", "in_other_processes", "make_tables"]

_COSTS = {"messages": 30, "order_book": 25, "cur_kline": 14, "broker_queue": 7, "rt_ticker": 7, "stock_quote": 6}
"""Microseconds that a table takes for a message of the benchmark; of others 1."""
_LEDGERS = 21
"""Likewise all tables that the statistics give: they are made together."""


@dataclass(frozen=True)
class Share:
    """Tables that one process makes."""

    captures: tuple[str, ...]
    paths: dict[str, str]
    """The file of each table, which exists and is empty."""
    output_format: str
    wide: bool
    all_bodies: bool
    parameters: dict[str, Any]
    """Those of the command from which `checked_options` makes the common options."""


def divided(names: Sequence[str], jobs: int) -> list[list[str]]:
    """Returns the tables of each process, of at most `jobs`, the costliest first into the one with the least to do."""
    ledgers = [name for name in names if name in LEDGERS]
    others = [[name] for name in names if name not in ledgers]
    groups = [(_COSTS.get(group[0], 1), group) for group in others] + ([(_LEDGERS, ledgers)] if ledgers else [])
    shares = balanced(sorted(groups, key=lambda each: -each[0]), min(jobs, len(groups)))
    return [[name for group in share for name in group] for _, share in shares]


@contextmanager
def in_other_processes(shares: Sequence[Share]) -> Iterator[None]:
    """Makes the tables of each of `shares` in a process of its own while the body of the ``with`` runs.

    Raises OpenDError if a process was killed.
    """
    context = multiprocessing.get_context("spawn")
    running: list[tuple[BaseProcess, Channel]] = []
    try:
        for share in shares:
            channel, other = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(share, other), daemon=True)
            process.start()
            other.close()
            running.append((process, channel))
        yield
        for _, channel in running:
            _wait(channel)
    finally:
        for worker, channel in running:
            channel.close()
            worker.terminate()
            worker.join()


def _wait(channel: Channel) -> None:
    """Waits until the process at the other end is done.  Raises OpenDError if it failed or was killed."""
    try:
        error: OpenDError | None = channel.recv()
    except EOFError:
        error = OpenDError(
            "a process that made tables was killed, perhaps for want of memory: give fewer --jobs, or less --max-memory"
        )
    if error is not None:
        raise error


def _work(share: Share, channel: Channel) -> None:
    """Runs in a process of its own: makes the tables of `share`, and tells the main process of an error, or None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process handles Ctrl-C
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (until the process ends; the main process says what there is)
    try:
        write_share(share)
        channel.send(None)
    except OpenDError as error:
        channel.send(error)


def write_share(share: Share) -> None:
    """Makes the tables of `share`.  Raises OpenDError if they cannot be written."""
    options = checked_options(share.parameters)
    tables = {name: table for name, table in all_tables(wide=share.wide).items() if name in share.paths}
    try:
        with ExitStack() as stack:
            writes = {name: _writing(name, stack.enter_context(open(share.paths[name], "r+b"))) for name in tables}
            make_tables(tables, writes, share.output_format, share.captures, options, all_bodies=share.all_bodies)
    except OSError as error:
        raise OpenDError(f"a table cannot be written: {error.strerror or error}") from None


def _writing(name: str, file: BinaryIO) -> Callable[[bytes], object]:
    def write(data: bytes) -> None:
        try:
            file.write(data)
        except OSError as error:
            raise OpenDError(f"table {name}: cannot be written: {error.strerror or error}") from None

    return write


def make_tables(
    tables: dict[str, Table],
    writes: Mapping[str, Callable[[bytes], object]],
    output_format: str,
    captures: tuple[str, ...],
    options: Options,
    *,
    all_bodies: bool,
    live: LiveOptions | None = None,
) -> Run:
    """Makes `tables`, each as bytes for its function of `writes`; returns the run through the captures."""
    writers = {name: table_writer(output_format, table, writes[name]) for name, table in tables.items()}

    def write(table: Table, block: Block) -> None:
        writers[table.name].write(block)

    where = None if options.where is None else options.where.match
    collector = Tables(tables, write, all_bodies=all_bodies, show_secrets=options.show_secrets, where=where)
    run = Run(captures, replace(options, where=None), live=live, on_connection=collector.connection_ended)
    for records in run.records():
        collector.add(records)
    collector.finish(run.summary)
    for writer in writers.values():
        writer.close()
    return run
