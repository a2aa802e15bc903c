"""Writes the tables of one partition into a dataset: ``DIR/<table>/date=…/host=…/part-<id>.parquet``.

Most tables have rows of single messages, and any partition writes its own.  The ledgers (orders, findings, …) look
across the connections of a host: where a host is divided they are left to a task of their own, which decodes the whole
host.  It has the memory that `opendump stats` has of one capture, and is as fast: the bound for a host that is divided.

Every file is written under a temporary name in ``DIR/_opendump`` and renamed when the whole partition is decoded; last
comes ``DIR/_opendump/<id>.json``, which says that the partition is complete.  So a partition that is decoded twice, or
whose worker ends in the middle, leaves the same files and no half ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from secrets import token_hex
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

import orjson

from decoder.engine.shards import plan_partitions
from decoder.errors import OpenDError
from decoder.formatting.escape import escape
from decoder.output.parquet import ArrowBatches, ParquetTable, import_pyarrow
from decoder.output.partition import PartitionRun
from decoder.output.table_columns import Table
from decoder.output.table_ledgers import LEDGERS
from decoder.output.table_schema import all_tables
from decoder.output.tables import Tables

if TYPE_CHECKING:
    from decoder.engine.shards import FileIndex, Partition
    from decoder.output.partition import Source
    from decoder.output.table_blocks import Block

__all__ = ["STATE", "Settings", "completed", "dataset_tasks", "export_partition", "settings_record", "write_whole"]

STATE = "_opendump"
"""Directory for temporary files and for what is complete; readers of datasets pass over names with an underscore."""
_OF_HOST = (*LEDGERS, "gaps")
"""Tables of a host's own task.  (Without gaps a finding on a connection that has nothing else could not name it.)"""
_NO_DATE = "__HIVE_DEFAULT_PARTITION__"
"""Value in the path of a dataset for one that is missing."""
_DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True)
class Settings:
    """Holds what all partitions of a dataset have in common."""

    directory: str
    tables: tuple[str, ...]
    wide: bool
    all_bodies: bool
    show_secrets: bool
    source: Source


def dataset_tasks(
    indexes: Sequence[FileIndex], workers: int, settings: Settings
) -> tuple[list[tuple[Partition, Settings]], set[str]]:
    """Returns the tasks of a dataset, the longest first, and the ids of those that decode what others do as well."""
    of_host = tuple(name for name in settings.tables if name in _OF_HOST)
    of_messages = tuple(name for name in settings.tables if name not in _OF_HOST)
    hosts = plan_partitions(indexes, 1)
    if not of_messages or workers == 1 or not settings.source.divides:
        return [(host, settings) for host in hosts], set()
    partitions = plan_partitions(indexes, workers)
    undivided = {host.id for host in hosts} & {partition.id for partition in partitions}
    divided = replace(settings, tables=of_messages)
    tasks = [(each, settings if each.id in undivided else divided) for each in partitions]
    again = [(host, replace(settings, tables=of_host)) for host in hosts if of_host and host.id not in undivided]
    return [*again, *tasks], {host.id for host, _ in again}


def completed(directory: str, ident: str) -> dict[str, Any] | None:
    """Returns what is known of a complete partition; None if it is not complete."""
    try:
        with open(os.path.join(directory, STATE, f"{ident}.json"), "rb") as file:
            found: dict[str, Any] = orjson.loads(file.read())
    except (OSError, ValueError):
        return None
    return found


def write_whole(path: str, content: dict[str, Any]) -> None:
    """Writes `content` as JSON to `path`, which appears when it is complete."""
    directory = os.path.dirname(path)
    state = directory if os.path.basename(directory) == STATE else os.path.join(directory, STATE)
    temporary = os.path.join(state, f"{token_hex(8)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
        os.replace(temporary, path)
    except OSError as error:
        raise OpenDError(f"{escape(path)}: cannot be written: {error.strerror or error}") from None


def export_partition(partition: Partition, settings: Settings) -> dict[str, Any]:
    """Decodes a partition, writes its tables, and returns what `completed` returns from then on.

    :raises KeyFileError: if a key or key log cannot be used
    :raises OpenDError: if a file of the dataset cannot be written
    """
    tables = {name: table for name, table in all_tables(wide=settings.wide).items() if name in settings.tables}
    files = _Files(settings, partition)
    collector = Tables(
        tables,
        files.write,
        all_bodies=settings.all_bodies,
        show_secrets=settings.show_secrets,
        where=settings.source.match(),
        host=partition.host,
        numbered=False,
    )
    run = PartitionRun(partition, settings.source, collector.connection_ended)
    try:
        for records in run.records():
            collector.add(records)
        collector.finish(run.summary)
        rows = files.finish()
    except OSError as error:
        raise OpenDError(f"{escape(settings.directory)}: cannot be written: {error.strerror or error}") from None
    finally:
        files.discard()
    done = {**run.counts(), "rows": rows, "files": sorted(files.names)}
    write_whole(os.path.join(settings.directory, STATE, f"{partition.id}.json"), done)
    return done


class _Files:
    """The files of one partition: one for each table and date on which it has rows."""

    def __init__(self, settings: Settings, partition: Partition) -> None:
        self.names: list[str] = []
        """Paths in the dataset of those that are complete."""
        self._settings = settings
        self._partition = partition
        self._open: dict[tuple[str, str], tuple[str, BinaryIO, ParquetTable]] = {}
        self._rows: dict[str, int] = {}
        self._pa = import_pyarrow()
        os.makedirs(os.path.join(settings.directory, STATE), exist_ok=True)

    def write(self, table: Table, block: Block) -> None:
        """Adds the rows of a block to the files of their dates."""
        self._rows[table.name] = self._rows.get(table.name, 0) + block.rows
        stored = Table(table.name, table.meaning, table.columns[1:])  # the host stands in the path
        batch = ArrowBatches(stored).batch(block)
        for date, chosen in self._by_date(stored, batch):
            key = table.name, date
            if key not in self._open:
                self._open[key] = self._opened(stored)
            self._open[key][2].write_batch(chosen)

    def _by_date(self, table: Table, batch: Any) -> Iterator[tuple[str, Any]]:
        """Yields the dates (UTC) of a batch, each with its rows in their order."""
        place = next((place for place, column in enumerate(table.columns) if column.type == "time"), None)
        if place is None:  # of the whole capture
            yield _NO_DATE, batch
            return
        cells = batch.column(place).cast("int64")
        days = [None if cell is None else cell // _DAY_NS for cell in cells.to_pylist()]
        distinct = dict.fromkeys(days)
        for day in distinct:
            date = _NO_DATE
            if day is not None:
                date = (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(days=day)).strftime("%Y-%m-%d")
            yield date, batch if len(distinct) == 1 else batch.filter(self._pa.array([each == day for each in days]))

    def _opened(self, table: Table) -> tuple[str, BinaryIO, ParquetTable]:
        path = os.path.join(self._settings.directory, STATE, f"{token_hex(8)}.part")
        mode = 0o600 if self._settings.show_secrets else 0o666
        file = open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115 (see discard)
        return path, file, ParquetTable(table, file.write)

    def finish(self) -> dict[str, int]:
        """Gives the files their names, all of them being complete; returns the rows of each table."""
        for _, file, writer in self._open.values():
            writer.close()
            file.close()
        for (name, date), (path, _, _) in self._open.items():
            place = f"{name}/date={date}/host={quote(self._partition.host, safe='')}"
            os.makedirs(os.path.join(self._settings.directory, place), exist_ok=True)
            final = f"{place}/part-{self._partition.id}.parquet"
            os.replace(path, os.path.join(self._settings.directory, final))
            self.names.append(final)
        return self._rows

    def discard(self) -> None:
        """Removes what is not complete."""
        for path, file, _ in self._open.values():
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                os.unlink(path)


def settings_record(settings: Settings) -> dict[str, Any]:
    """Returns what decides the content of a dataset, as plain data; neither keys nor their paths."""
    record = asdict(settings)
    record.update(record.pop("source"))
    for name in ("directory", "rsa_keys", "keylogs"):
        del record[name]
    return record
