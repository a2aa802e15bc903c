"""Finds the protocol, message, enum or package that a user names."""

from __future__ import annotations

import difflib
from functools import cache
from typing import TYPE_CHECKING

from decoder.errors import SchemaError
from decoder.formatting.escape import escape
from decoder.formatting.table import Table
from decoder.schema.describe import all_messages, enum_tables, message_tables, package_tables, protocol_tables
from decoder.schema.pool import files
from decoder.schema.protocols import protocol, protocols

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, EnumDescriptor

MOST_SHOWN = 80
"""Characters shown of a name that is not found."""
MOST_CANDIDATES = 20
"""Candidates listed for an ambiguous name."""


def tables_for(name: str) -> list[Table]:
    """Returns the tables that describe the thing called `name`; capitals do not matter.

    `name` is a protocol's id or name (also a former one), a package, or a message or enum, in full or
    without its package.  Raises SchemaError, with candidates, if nothing or several things have that name.
    """
    if name.isascii() and name.isdigit():
        found = protocol(int(name))
        if found is None:
            raise SchemaError(f"no protocol has the id {name}; `opendump schema` lists them")
        return protocol_tables(found)
    wanted = name.casefold()
    for known in protocols():
        if wanted and wanted in (known.name.casefold(), *known.former_names.casefold().split("|")):
            return protocol_tables(known)
    for package in {file.package for file in files()}:
        if wanted == package.casefold():
            return package_tables(package)
    candidates = [full_name for full_name in _types() if full_name.casefold() == wanted]
    candidates = candidates or [full for full in _types() if full.casefold().endswith("." + wanted)]
    if len(candidates) == 1:
        found_type, is_enum = _types()[candidates[0]]
        return enum_tables(found_type) if is_enum else message_tables(found_type)  # type: ignore[arg-type]
    raise SchemaError(_several(name, candidates) if candidates else _nothing(name))


def names() -> list[str]:
    """Returns every name that `tables_for` knows, enums also without their package."""
    short = [full_name.rpartition(".")[2] for full_name, (_, is_enum) in _types().items() if is_enum]
    return [*(known.name for known in protocols()), *sorted(set(short)), *_types()]


@cache
def _types() -> dict[str, tuple[Descriptor | EnumDescriptor, bool]]:
    found: dict[str, tuple[Descriptor | EnumDescriptor, bool]] = {}
    for file in files():
        found.update({enum.full_name: (enum, True) for enum in file.enum_types_by_name.values()})
        found.update({message.full_name: (message, False) for message in all_messages(file)})
    return found


def _several(name: str, candidates: list[str]) -> str:
    shown = ", ".join(candidates[:MOST_CANDIDATES])
    more = f" and {len(candidates) - MOST_CANDIDATES} more" if len(candidates) > MOST_CANDIDATES else ""
    return f"{escape(name)} is ambiguous: {shown}{more}"


def _nothing(name: str) -> str:
    names = [known.name for known in protocols()] + list(_types())
    short: dict[str, str] = {}
    for full in names:
        short.setdefault(full.casefold(), full)
        short.setdefault(full.split(".", 1)[-1].casefold(), full)
        short.setdefault(full.split("_", 1)[-1].casefold(), full)
    close = dict.fromkeys(
        short[match] for match in difflib.get_close_matches(name[:MOST_SHOWN].casefold(), short, n=5, cutoff=0.6)
    )
    hint = f"; did you mean {', '.join(close)}?" if close else "; `opendump schema` lists the protocols"
    return f"no protocol, message or enum is called {escape(name, MOST_SHOWN)}{hint}"
