"""Publishes what an addition to a dataset wrote: all of it or nothing, also if it is killed on the way.

The files wait in ``DIR/_opendump/next``.  `commit` first writes down what is to be done; then files get their names,
the manifest names them, and those that they replace are removed.  Killed in between, `complete` does the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from decoder.errors import OpenDError
from decoder.formatting.escape import escape
from decoder.output.store import NEXT, STATE

if TYPE_CHECKING:
    from decoder.output.store import Store

__all__ = ["MANIFEST", "commit", "complete"]

MANIFEST = "manifest.json"
_COMMIT = f"{STATE}/commit.json"
_NAME = re.compile(rf"[a-z_]+/date=[^/]+/host=[^/]+/part-[^/]+\.parquet|{STATE}/[0-9a-f]+-[0-9]+\.state")
"""Names of the files of a dataset: none leads elsewhere, whoever wrote the manifest."""


def commit(store: Store, manifest: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
    """Publishes the files that `manifest` names, and removes those that only the one `before` names."""
    files, known = _files(manifest), set() if before is None else _files(before)
    plan = {"manifest": manifest, "publish": sorted(files - known), "remove": sorted(known - files)}
    store.write(_COMMIT, plan)
    complete(store)


def complete(store: Store) -> None:
    """Completes a `commit` that was interrupted, if there is one.

    :raises OpenDError: if it is not what `commit` writes
    """
    plan = store.read(_COMMIT)
    if plan is None:
        return
    for name in _checked(store, plan["publish"]):
        store.move(f"{NEXT}/{name}", name)
    store.write(MANIFEST, plan["manifest"])
    for name in _checked(store, plan["remove"]):
        store.remove(name)
    store.remove(NEXT)
    store.clean()
    store.remove(_COMMIT)


def _files(manifest: Mapping[str, Any]) -> set[str]:
    partitions = manifest["partitions"]
    return {name for each in partitions for name in (*each["files"], each["checkpoint"]["file"])}


def _checked(store: Store, names: Iterable[str]) -> list[str]:
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        raise OpenDError(f"{escape(store.place)}: {escape(wrong[0], 100)} is no name of a file of a dataset")
    return list(names)
