"""The vendor's message classes by protocol id, without the rest of the SDK, whose import costs 0.7 s and 70 MB."""

from __future__ import annotations

import importlib
import os
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

NAMES = "OPENDUMP_BENCH_NAMES"
"""Environment variable: path of a file with the id and the name of each protocol, as `write_names` makes it."""


@cache
def package() -> Path:
    """Folder of the SDK's .proto files and generated modules.  Raises ModuleNotFoundError without futu-api."""
    spec = find_spec("futu")
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        raise ModuleNotFoundError("futu-api is not installed")
    return Path(folders[0]) / "common" / "pb"


def without_the_sdk() -> None:
    """Let ``futu.common.pb`` be imported without running the packages above it.  Only for a process of its own."""
    common = package().parent
    for name, folder in (("futu", common.parent), ("futu.common", common)):
        module = ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module


def write_names(path: Path) -> None:
    """Write the file that `names` reads, from the SDK's own constants."""
    without_the_sdk()
    ids = vars(importlib.import_module("futu.common.constant").ProtoId)
    known = {value: name for name, value in ids.items() if isinstance(value, int) and not name.startswith("_")}
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for number, name in sorted(known.items()):
            if (package() / f"{name}.proto").exists():
                file.write(f"{number}\t{name}\n")


@cache
def names() -> dict[int, str]:
    """Names of the protocols by id."""
    lines = Path(os.environ[NAMES]).read_text(encoding="utf-8").splitlines()
    return {int(number): name for number, name in (line.split("\t") for line in lines)}


@cache
def body_class(proto_id: int, from_gateway: bool) -> Any:
    """The class of a body; None for a protocol that has none in this direction."""
    if proto_id not in names():
        return None
    module = importlib.import_module(f"futu.common.pb.{names()[proto_id]}_pb2")
    return getattr(module, "Response" if from_gateway else "Request", None)


if __name__ == "__main__":
    write_names(Path(sys.argv[1]))
