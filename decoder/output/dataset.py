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
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from decoder.engine.shards import plan_partitions
from decoder.errors import OpenDError
from decoder.formatting.escape import escape
from decoder.output.arrow_arrays import import_pyarrow
from decoder.output.parquet import ArrowBatches, ParquetTable
from decoder.output.partition import PartitionRun
from decoder.output.store import STATE, store_at
from decoder.output.table_columns import Table
from decoder.output.table_ledgers import LEDGERS
from decoder.output.table_schema import all_tables
from decoder.output.tables import Tables

if TYPE_CHECKING:
    from decoder.engine.shards import FileIndex, Partition
    from decoder.output.partition import Source
    from decoder.output.store import Store
    from decoder.output.table_blocks import Block

__all__ = ["Settings", "dataset_tasks", "export_partition", "marker", "settings_record"]

_OF_HOST = (*LEDGERS, "gaps")
"""Tables of a host's own task.  (Without gaps a finding on a connection that has nothing else could not name it.)"""
_NO_DATE = "__HIVE_DEFAULT_PARTITION__"
"""Value in the path of a dataset for one that is missing."""
_MAX_DATES = 400
"""Dates of a table that get files of their own: a damaged or hostile capture may claim a new one with every packet."""
_MAX_OPEN = 200
"""Files that are open at once: systems allow 256 and more.  A date that comes again later gets a second file."""
_DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True)
class Settings:
    """Holds what all partitions of a dataset have in common."""

    directory: str
    """Path, or address of an object store."""
    tables: tuple[str, ...]
    wide: bool
    all_bodies: bool
    show_secrets: bool
    source: Source


def dataset_tasks(indexes: Sequence[FileIndex], workers: int, settings: Settings) -> list[tuple[Partition, Settings]]:
    """Returns the tasks of a dataset, the longest first, each with the tables that it writes."""
    of_host = tuple(name for name in settings.tables if name in _OF_HOST)
    of_messages = tuple(name for name in settings.tables if name not in _OF_HOST)
    if not of_messages or not settings.source.divides:
        workers = 1
    tables = {"all": settings.tables, "messages": of_messages, "host": of_host}
    partitions = plan_partitions(indexes, workers, apart=bool(of_host))
    return [(partition, replace(settings, tables=tables[partition.job])) for partition in partitions]


def marker(ident: str) -> str:
    """Returns the name of the file that says that a partition is complete, and what came out of it."""
    return f"{STATE}/{ident}.json"


def export_partition(partition: Partition, settings: Settings) -> dict[str, Any]:
    """Decodes a partition, writes its tables, and returns what its `marker` holds from then on.

    :raises KeyFileError: if a key or key log cannot be used
    :raises OpenDError: if a file of the dataset cannot be written
    """
    tables = {name: table for name, table in all_tables(wide=settings.wide).items() if name in settings.tables}
    store = store_at(settings.directory)
    files = _Files(store, partition, tables, private=settings.show_secrets)
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
    store.write(marker(partition.id), done)
    return done


@dataclass
class _Part:
    """A file that is being written."""

    name: str
    """Its name in the dataset."""
    path: str
    """Path of the file until it is published under its name."""
    file: BinaryIO
    writer: ParquetTable

    def close(self) -> None:
        """Writes what is left."""
        self.writer.close()
        self.file.close()


class _Files:
    """Writes the files of one partition: one for each table and date on which it has rows."""

    def __init__(self, store: Store, partition: Partition, tables: Mapping[str, Table], *, private: bool) -> None:
        self.names: list[str] = []
        """Names in the dataset of those that are complete."""
        self._store = store
        self._partition = partition
        self._private = private
        self._open: OrderedDict[tuple[str, str], _Part] = OrderedDict()
        self._parts: list[_Part] = []
        self._dates: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._rows: dict[str, int] = {}
        self._stored = {name: _stored(table) for name, table in tables.items()}
        self._pa = import_pyarrow()

    def write(self, table: Table, block: Block) -> None:
        """Adds the rows of a block to the files of their dates."""
        self._rows[table.name] = self._rows.get(table.name, 0) + block.rows
        stored, batches = self._stored[table.name]
        for date, chosen in self._by_date(stored, batches.batch(block)):
            self._part(stored, date).writer.write_batch(chosen)

    def _part(self, table: Table, date: str) -> _Part:
        """Returns the open file for the rows of a table and date."""
        dates = self._dates[table.name]
        if date not in dates and len(dates) >= _MAX_DATES:
            date = _NO_DATE
        part = self._open.get((table.name, date))
        if part is None:
            if len(self._open) >= _MAX_OPEN:
                self._open.popitem(last=False)[1].close()
            again = f"-{dates[date]}" if dates[date] else ""
            dates[date] += 1
            host, ident = quote(self._partition.host, safe=""), self._partition.id
            path, file = self._store.temporary(private=self._private)
            name = f"{table.name}/date={date}/host={host}/part-{ident}{again}.parquet"
            part = self._open[table.name, date] = _Part(name, path, file, ParquetTable(table, file.write))
            self._parts.append(part)
        self._open.move_to_end((table.name, date))
        return part

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

    def finish(self) -> dict[str, int]:
        """Gives the files their names, all of them being complete; returns the rows of each table."""
        for part in self._open.values():
            part.close()
        for part in self._parts:
            self._store.publish(part.path, part.name)
            self.names.append(part.name)
        return self._rows

    def discard(self) -> None:
        """Removes what is not complete."""
        for part in self._parts:
            with suppress(OSError):
                part.file.close()
            with suppress(OSError):
                os.unlink(part.path)


def _stored(table: Table) -> tuple[Table, ArrowBatches]:
    """Returns a table as it stands in its files, with what makes its batches: the host stands in their path."""
    stored = Table(table.name, table.meaning, table.columns[1:])
    return stored, ArrowBatches(stored)


def settings_record(settings: Settings) -> dict[str, Any]:
    """Returns what decides the content of a dataset, as plain data; neither keys nor their paths."""
    record = asdict(settings)
    record.update(record.pop("source"))
    for name in ("directory", "rsa_keys", "keylogs"):
        del record[name]
    return record
