"""Writes the tables of one partition into a dataset: ``DIR/<table>/date=…/host=…/part-<id>.parquet``.

Most tables have rows of single messages, and any partition writes its own.  The ledgers (orders, findings, …) look
across the connections of a host: where a host is divided they are left to a task of their own, which decodes the whole
host.  It has the memory that `opendump stats` has of one capture, and is as fast: the bound for a host that is divided.

Every file is written under a temporary name in ``DIR/_opendump`` and renamed when the whole partition is decoded; last
comes ``DIR/_opendump/<id>.json``, which says that the partition is complete.  So a partition that is decoded twice, or
whose worker ends in the middle, leaves the same files and no half ones.

In a dataset that is added to, a row that more packets may change goes into a file of its own (``part-<id>-0002-open``),
which the next addition replaces: messages that are not whole, requests without an answer, and all ledgers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from decoder.engine.shards import plan_partitions
from decoder.errors import OpenDError
from decoder.formatting.escape import escape
from decoder.output.checkpoint import packed, unpacked
from decoder.output.dataset_files import DatasetFiles
from decoder.output.partition import PartitionRun
from decoder.output.store import NEXT, STATE, store_at
from decoder.output.table_ledgers import LEDGERS
from decoder.output.table_schema import all_tables
from decoder.output.tables import Tables

if TYPE_CHECKING:
    from decoder.engine.shards import FileIndex, Partition
    from decoder.output.partition import Source

__all__ = ["Addition", "Settings", "dataset_tasks", "export_partition", "marker", "settings_record"]

_OF_HOST = (*LEDGERS, "gaps")
"""Tables of a host's own task.  (Without gaps a finding on a connection that has nothing else could not name it.)"""


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


@dataclass(frozen=True)
class Addition:
    """Says which addition to a dataset a partition is decoded for, and what it goes on from."""

    number: int
    """1 for the files with which the dataset begins."""
    before: dict[str, Any] | None
    """Result of the same partition in the addition before (`export_partition`); None if the host had no files yet."""

    @property
    def label(self) -> str:
        """Suffix of the names of its files."""
        return f"-{self.number:04}"


def dataset_tasks(
    indexes: Sequence[FileIndex], workers: int, settings: Settings, kept: Mapping[str, int] | None = None
) -> list[tuple[Partition, Settings]]:
    """Returns the tasks of a dataset, the longest first, each with the tables that it writes.

    :param kept: given for a dataset that is added to: how many partitions a host has so far
    """
    of_host = tuple(name for name in settings.tables if name in _OF_HOST)
    of_messages = tuple(name for name in settings.tables if name not in _OF_HOST)
    if not of_messages or not settings.source.divides:
        workers = 1
    tables = {"all": settings.tables, "messages": of_messages, "host": of_host}
    partitions = plan_partitions(indexes, workers, apart=bool(of_host), kept=kept)
    return [(partition, replace(settings, tables=tables[partition.job])) for partition in partitions]


def marker(ident: str, place: str = STATE) -> str:
    """Returns the name of the file that says that a partition is complete, and what came out of it."""
    return f"{place}/{ident}.json"


def export_partition(partition: Partition, settings: Settings, addition: Addition | None = None) -> dict[str, Any]:
    """Decodes a partition, writes its tables, and returns what its `marker` holds from then on.

    With an `addition` it goes on from the checkpoint of the one before, and leaves one for the next.  All that it
    writes is in `NEXT` then: `decoder.output.addition.commit` publishes it.

    :raises KeyFileError: if a key or key log cannot be used
    :raises OpenDError: if a file of the dataset cannot be written, or the checkpoint not be used
    """
    export = _Export(partition, settings, addition)
    try:
        return export.run()
    except OSError as error:
        raise OpenDError(f"{escape(settings.directory)}: cannot be written: {error.strerror or error}") from None
    finally:
        export.files.discard()


class _Export:
    """Decodes and writes one partition."""

    def __init__(self, partition: Partition, settings: Settings, addition: Addition | None) -> None:
        tables = {name: table for name, table in all_tables(wide=settings.wide).items() if name in settings.tables}
        self._partition = partition
        self._addition = addition
        self._store = store_at(settings.directory)
        self._place = STATE if addition is None else NEXT
        self.files = DatasetFiles(
            self._store,
            partition,
            tables,
            private=settings.show_secrets,
            place="" if addition is None else f"{NEXT}/",
            label="" if addition is None else addition.label,
        )
        self._where = settings.source.match()
        self._tables = Tables(
            tables,
            self.files.write,
            all_bodies=settings.all_bodies,
            show_secrets=settings.show_secrets,
            where=self._where,
            host=partition.host,
            numbered=False,
        )
        self._run = PartitionRun(partition, settings.source, self._tables.connection_ended)
        self._more: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Decodes and writes everything; returns what came out."""
        addition = self._addition
        before = None if addition is None else addition.before
        if before is not None:
            self._go_on(before["checkpoint"])
        for records in self._run.records(None if addition is None else self._save):
            self._tables.add(records)
        self._tables.finish(self._run.summary)
        self.files.finish()
        rows, names = self.files.rows, self.files.names
        if before is not None:
            rows = rows + Counter(before["rows"]) - Counter(before["open_rows"])
            names = sorted({*names, *before["files"]} - {*before["open_files"]})
        done = {**self._run.counts(), "job": self._partition.job, "rows": dict(rows), "files": names, **self._more}
        if addition is not None:
            done["open_rows"] = dict(self.files.rows - self._closed[0])
            done["open_files"] = sorted({*self.files.names} - {*self._closed[1]})
        self._store.write(marker(self._partition.id, self._place), done)
        return done

    # What is known is carried from one addition to the next.

    @property
    def _known(self) -> dict[str, object]:
        return {**self._run.known, "tables": self._tables, "where": self._where}

    def _go_on(self, checkpoint: dict[str, str]) -> None:
        """Goes on from a checkpoint."""
        name = checkpoint["file"]
        try:
            content = self._store.load(name)
            if content is None or sha256(content).hexdigest() != checkpoint["sha256"]:
                raise OpenDError("the checkpoint is missing, or not the one that the manifest names")
            state = unpacked(content, self._known)
        except OpenDError as error:
            raise OpenDError(f"{escape(self._store.place)}/{escape(name)}: {error}") from None
        self._run.go_on(state)
        self._tables.go_on(state["tables"])

    def _save(self) -> None:
        """Writes a checkpoint once all packets were decoded; what comes out from here on is of this addition only."""
        assert self._addition is not None
        self._tables.flush()
        content = packed({**self._run.state(), "tables": self._tables.state()}, self._known)
        name = f"{STATE}/{self._partition.id}{self._addition.label}.state"
        self._store.save(f"{NEXT}/{name}", content, private=True)
        self._more["checkpoint"] = {"file": name, "sha256": sha256(content).hexdigest()}
        self._closed = Counter(self.files.rows), self.files.names
        self.files.turn(f"{self._addition.label}-open")


def settings_record(settings: Settings) -> dict[str, Any]:
    """Returns what decides the content of a dataset, as plain data; neither keys nor their paths."""
    record = asdict(settings)
    record.update(record.pop("source"))
    for name in ("directory", "rsa_keys", "keylogs"):
        del record[name]
    return record
