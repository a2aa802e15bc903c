"""Writes the files of one partition of a dataset: one for each table and date on which it has rows.

They are written under temporary names and published together, when all of them are complete.
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from decoder.output.arrow_arrays import import_pyarrow
from decoder.output.parquet import ArrowBatches, ParquetTable
from decoder.output.table_columns import Table

if TYPE_CHECKING:
    from decoder.engine.shards import Partition
    from decoder.output.store import Store
    from decoder.output.table_blocks import Block

__all__ = ["DatasetFiles"]

_NO_DATE = "__HIVE_DEFAULT_PARTITION__"
"""Value in the path of a dataset for one that is missing."""
_MAX_DATES = 400
"""Dates of a table that get files of their own: a damaged or hostile capture may claim a new one with every packet."""
_MAX_OPEN = 200
"""Files that are open at once: systems allow 256 and more.  A date that comes again later gets a second file."""
_DAY_NS = 86_400 * 1_000_000_000


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


class DatasetFiles:
    """Writes the files of one partition.

    :param place: directory of the dataset in which they are published; none is the dataset itself
    :param label: what their names have in addition
    """

    def __init__(
        self,
        store: Store,
        partition: Partition,
        tables: Mapping[str, Table],
        *,
        private: bool,
        place: str = "",
        label: str = "",
    ) -> None:
        self.rows: Counter[str] = Counter()
        """Rows of each table."""
        self._place = place
        self._label = label
        self._store = store
        self._partition = partition
        self._private = private
        self._open: OrderedDict[tuple[str, str], _Part] = OrderedDict()
        self._parts: list[_Part] = []
        self._dates: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._stored = {name: _stored(table) for name, table in tables.items()}
        self._pa = import_pyarrow()

    def write(self, table: Table, block: Block) -> None:
        """Adds the rows of a block to the files of their dates."""
        self.rows[table.name] += block.rows
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
            name = f"{table.name}/date={date}/host={host}/part-{ident}{self._label}{again}.parquet"
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

    @property
    def names(self) -> list[str]:
        """Names of the files in the dataset."""
        return sorted(part.name for part in self._parts)

    def turn(self, label: str) -> None:
        """Writes what follows into other files, whose names have `label` in addition."""
        self._close()
        self._dates.clear()
        self._label = label

    def finish(self) -> None:
        """Gives the files their names, all of them being complete."""
        self._close()
        for part in self._parts:
            self._store.publish(part.path, f"{self._place}{part.name}")

    def _close(self) -> None:
        for part in self._open.values():
            part.close()
        self._open.clear()

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
