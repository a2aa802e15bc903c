"""Exports many captures into one dataset, on several processes: ``opendump export --workers``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import orjson

from decoder.cli.cluster import index_files, say_counts, with_progress
from decoder.errors import OpenDError
from decoder.formatting.escape import escape
from decoder.output.dataset import dataset_tasks, export_partition, marker, settings_record
from decoder.output.store import STATE, store_at

if TYPE_CHECKING:
    from decoder.cli.cluster import Cluster
    from decoder.engine.shards import FileIndex
    from decoder.output.dataset import Settings
    from decoder.output.store import Store

__all__ = ["export_dataset"]


def export_dataset(
    captures: Sequence[str], cluster: Cluster, settings: Settings, *, resume: bool, strict: bool, name: str
) -> int:
    """Writes a dataset and returns the exit code; its manifest is written last.  `name` is its name in messages."""
    store = store_at(settings.directory)
    with cluster.open() as workers:
        indexes = index_files(captures, cluster, settings.source.ports, workers)
        tasks = dataset_tasks([index for index in indexes if index.packets], cluster.count, settings)
        plan = {
            "version": version("scapy-opend"),
            "settings": settings_record(settings),
            "inputs": [_input(index) for index in indexes],
            "partitions": sorted(partition.id for partition, _ in tasks),
        }
        _begin(store, plan, resume=resume)
        done = {partition.id: store.read(marker(partition.id)) for partition, _ in tasks if resume}
        left = [task for task in tasks if done.get(task[0].id) is None]
        for result in with_progress(workers.map_unordered(export_partition, left), "decoding", len(left)):
            done[result["id"]] = result
    store.clean()
    results = [result for _, result in sorted(done.items()) if result is not None]
    rows = {name: sum(result["rows"].get(name, 0) for result in results) for name in settings.tables}
    store.write("manifest.json", {**plan, "partitions": results, "rows": rows})
    repeated = {partition.id for partition, _ in tasks if partition.job == "host"}
    counted = [result for result in results if result["id"] not in repeated]
    return say_counts(indexes, counted, f" written to {escape(name)}", strict=strict)


def _input(index: FileIndex) -> dict[str, Any]:
    record = asdict(index)
    record["flows"] = len(index.flows)
    return record


def _begin(store: Store, plan: dict[str, Any], *, resume: bool) -> None:
    """Takes the place, or checks that an earlier run of the same plan began in it."""
    empty, name = store.begin(), f"{STATE}/plan.json"
    begun = store.read(name) if resume else None
    if begun is not None:
        if begun != orjson.loads(orjson.dumps(plan)):
            raise OpenDError(
                f"{escape(store.place)}: was begun with other captures, options or --workers; --resume needs the"
                " same ones, or give another directory"
            )
        return
    if not empty:
        raise OpenDError(
            f"{escape(store.place)}: is not empty; give another directory, or --resume to complete what an"
            " earlier run began there"
        )
    store.write(name, plan)
