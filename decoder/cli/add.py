"""Adds later captures to a dataset: ``opendump export --add``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import orjson

from decoder.cli.cluster import index_files, say_counts
from decoder.cli.dataset import counted_once, planned, run_tasks, same, total_rows
from decoder.cli.run import say
from decoder.errors import OpenDError
from decoder.formatting.escape import escape
from decoder.formatting.times import rfc3339
from decoder.output.addition import MANIFEST, commit, complete
from decoder.output.dataset import Addition, dataset_tasks, settings_record
from decoder.output.store import NEXT, store_at

if TYPE_CHECKING:
    from decoder.cli.cluster import Cluster
    from decoder.engine.shards import FileIndex
    from decoder.output.dataset import Settings
    from decoder.output.store import Store

__all__ = ["add_to_dataset"]

_OVERLAP_NS = 1_000_000_000
"""Nanoseconds by which a capture may begin before the end of the one before it: the program that records writes packets
a little out of order where it begins a new file."""
_PLAN = f"{NEXT}/plan.json"


def add_to_dataset(
    captures: Sequence[str], cluster: Cluster, settings: Settings, *, resume: bool, strict: bool, name: str
) -> int:
    """Adds captures to a dataset, or begins one, and returns the exit code.  `name` is its name in messages."""
    store = store_at(settings.directory)
    empty = store.begin()
    complete(store)
    before = _manifest(store, cluster, settings, empty=empty)
    known = {} if before is None else {each["id"]: each for each in before["partitions"]}
    with cluster.open() as workers:
        indexes = index_files(captures, cluster, settings.source.ports, workers)
        new = [index for index in indexes if index.packets]
        if before is not None and resume and new and all(_is_in(index, before) for index in new):
            say(f"{escape(name)} holds these captures already")
            return say_counts(indexes, counted_once(before["partitions"]), f" in {escape(name)}", strict=strict)
        _check_times(new, before)
        number = 1 if before is None else before["additions"] + 1
        kept = Counter(each["host"] for each in known.values())
        tasks = [
            (partition, chosen, Addition(number, known.get(partition.id)))
            for partition, chosen in dataset_tasks(new, cluster.count, settings, kept)
        ]
        plan = {**planned(settings, indexes, tasks), "host_of": _host_of(cluster), "additions": number}
        _begin(store, plan, resume=resume)
        results = run_tasks(store, workers, tasks, NEXT, resume=resume)
    known |= {result["id"]: result for result in results}
    partitions = [each for _, each in sorted(known.items())]
    inputs = [*([] if before is None else before["inputs"]), *plan["inputs"]]
    totals = {"inputs": inputs, "partitions": partitions, "rows": total_rows(settings, partitions)}
    commit(store, {**plan, **totals}, before)
    return say_counts(indexes, counted_once(partitions), f" in {escape(name)}", strict=strict)


def _host_of(cluster: Cluster) -> str | None:
    return None if cluster.host_of is None else cluster.host_of.pattern


def _manifest(store: Store, cluster: Cluster, settings: Settings, *, empty: bool) -> dict[str, Any] | None:
    """Returns the manifest of the dataset; None if there is none yet.  Raises OpenDError if it cannot be added to."""
    place, found = escape(store.place), store.read(MANIFEST)
    if found is None:
        if not empty and store.read(_PLAN) is None:
            raise OpenDError(f"{place}: is not empty, and no dataset that was begun with --add; give another directory")
        return None
    if "additions" not in found:
        raise OpenDError(f"{place}: was written without --add, so it does not hold what is needed to go on")
    if found["version"] != version("scapy-opend"):
        raise OpenDError(
            f"{place}: was written by version {escape(str(found['version']), 20)}, this is {version('scapy-opend')}:"
            " go on with that one, or begin another dataset"
        )
    options = {**settings_record(settings), "host_of": _host_of(cluster)}
    options = orjson.loads(orjson.dumps(options))
    written = {**found["settings"], "host_of": found["host_of"]}
    others = sorted(option for option in options if options[option] != written.get(option))
    if others:
        raise OpenDError(f"{place}: was begun with other options ({', '.join(others)}); --add needs the same ones")
    return found


def _is_in(index: FileIndex, manifest: Mapping[str, Any]) -> bool:
    """Returns True if the dataset holds a capture, whatever its path is now."""
    names = ("host", "size", "packets", "first_ns", "latest_ns")
    return any(all(each[name] == getattr(index, name) for name in names) for each in manifest["inputs"])


def _check_times(indexes: Sequence[FileIndex], before: Mapping[str, Any] | None) -> None:
    """Raises OpenDError for a capture that the dataset holds already, or that does not come after what it holds."""
    if before is None:
        return
    for index in indexes:
        if _is_in(index, before):
            raise OpenDError(f"{escape(index.path)}: is in the dataset already")
        latest = max((each["latest_ns"] for each in before["inputs"] if each["host"] == index.host), default=0)
        if index.first_ns < latest - _OVERLAP_NS:
            raise OpenDError(
                f"{escape(index.path)}: begins at {rfc3339(index.first_ns)}, and the dataset holds packets of"
                f" {escape(index.host)} up to {rfc3339(latest)}: captures are added in the order of time"
            )


def _begin(store: Store, plan: dict[str, Any], *, resume: bool) -> None:
    """Takes note of what is to be done, or checks that an earlier run began to do the same."""
    begun = store.read(_PLAN)
    if begun is None:
        store.write(_PLAN, plan)
    elif not resume:
        raise OpenDError(
            f"{escape(store.place)}: an addition was begun and is not complete; the same command with --resume"
            f" completes it, and without {NEXT} in it the dataset is as it was before"
        )
    elif not same(begun, plan):
        raise OpenDError(
            f"{escape(store.place)}: the addition that is not complete is one of other captures, options or --workers"
        )
