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
from decoder.output.addition import MANIFEST
from decoder.output.dataset import dataset_tasks, export_partition, marker, settings_record
from decoder.output.store import STATE, store_at

if TYPE_CHECKING:
    from decoder.cli.cluster import Cluster
    from decoder.engine.shards import FileIndex
    from decoder.output.dataset import Settings
    from decoder.output.store import Store
    from decoder.output.workers import Workers

__all__ = ["Task", "counted_once", "export_dataset", "planned", "run_tasks", "same", "total_rows"]

Task = tuple[Any, ...]
"""Arguments of `export_partition`."""


def export_dataset(
    captures: Sequence[str], cluster: Cluster, settings: Settings, *, resume: bool, strict: bool, name: str
) -> int:
    """Writes a dataset and returns the exit code; its manifest is written last.  `name` is its name in messages."""
    store = store_at(settings.directory)
    with cluster.open() as workers:
        indexes = index_files(captures, cluster, settings.source.ports, workers)
        tasks = dataset_tasks([index for index in indexes if index.packets], cluster.count, settings)
        plan = planned(settings, indexes, tasks)
        _begin(store, plan, resume=resume)
        results = run_tasks(store, workers, tasks, STATE, resume=resume)
    store.clean()
    store.write(MANIFEST, {**plan, "partitions": results, "rows": total_rows(settings, results)})
    return say_counts(indexes, counted_once(results), f" written to {escape(name)}", strict=strict)


def planned(settings: Settings, indexes: Sequence[FileIndex], tasks: Sequence[Task]) -> dict[str, Any]:
    """Returns what a run is to do, as plain data: a run that resumes it must be about to do the same."""
    return {
        "version": version("scapy-opend"),
        "settings": settings_record(settings),
        "inputs": [_input(index) for index in indexes],
        "partitions": sorted(task[0].id for task in tasks),
    }


def run_tasks(
    store: Store, workers: Workers, tasks: Sequence[Task], place: str, *, resume: bool
) -> list[dict[str, Any]]:
    """Runs the tasks, but those of which there are markers in `place` if `resume` is set; returns what came out."""
    done = {task[0].id: store.read(marker(task[0].id, place)) for task in tasks if resume}
    left = [task for task in tasks if done.get(task[0].id) is None]
    for result in with_progress(workers.map_unordered(export_partition, left), "decoding", len(left)):
        done[result["id"]] = result
    return [result for _, result in sorted(done.items()) if result is not None]


def total_rows(settings: Settings, results: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Returns the rows of each table."""
    return {name: sum(result["rows"].get(name, 0) for result in results) for name in settings.tables}


def counted_once(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns what came out of the partitions whose messages no other counts."""
    return [result for result in results if result["job"] != "host"]


def _input(index: FileIndex) -> dict[str, Any]:
    record = asdict(index)
    record["flows"] = len(index.flows)
    return record


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Returns True if plans are the same, also if one of them was read from a file."""
    return bool(orjson.loads(orjson.dumps(one)) == orjson.loads(orjson.dumps(other)))


def _begin(store: Store, plan: dict[str, Any], *, resume: bool) -> None:
    """Takes the place, or checks that an earlier run of the same plan began in it."""
    empty, name = store.begin(), f"{STATE}/plan.json"
    begun = store.read(name) if resume else None
    if begun is not None:
        if not same(begun, plan):
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
