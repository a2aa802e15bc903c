"""Completes names on the command line: protocols, messages and enums, filters, columns.

How to switch it on stands in docs/commands.md.  A shell runs the command for each completion, so all imports wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

__all__ = ["complete_column", "complete_filter", "complete_schema_name"]

_MOST = 200
"""Names that are offered at once: a shell shows no more with sense."""


def complete_schema_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Returns the protocols, messages and enums whose name begins with `incomplete`, in full or without package."""
    from decoder.schema.lookup import names

    return _beginning(names(), incomplete)


def complete_column(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Returns the columns for ``-e``; of a list with commas the last one is completed."""
    from decoder.output.columns import COLUMNS, LEADING

    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{name}" for name in _beginning([*COLUMNS, *LEADING, *_paths(last)], last)]


def complete_filter(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Returns ways to go on with a ``--where`` expression: its last key, or the value after ``=``."""
    from decoder.filter.record_terms import GAP_KEYS, MESSAGE_KEYS
    from decoder.filter.shortcut_terms import SHORTCUTS

    done, word = re.fullmatch(r"(.*?)([^\s(),]*)", incomplete, re.DOTALL).groups()  # type: ignore[union-attr]
    key, sign, value = re.fullmatch(r"([\w.]*)(!=|=|)(.*)", word, re.DOTALL).groups()  # type: ignore[union-attr]
    if sign:
        return [f"{done}{key}{sign}{name}" for name in _beginning(_values(key), value)]
    keys = [*MESSAGE_KEYS, *GAP_KEYS, *SHORTCUTS, *_paths(key)]
    return [f"{done}{name}" for name in _beginning(keys, key)]


def _values(key: str) -> Iterable[str]:
    """Returns the values that a key can have, if they have names."""
    from decoder import schema
    from decoder.filter.record_terms import GAP_KEYS, MESSAGE_KEYS
    from decoder.schema.fields import fields_by_name
    from decoder.schema.paths import places

    if key == "proto":
        return [known.name for known in schema.protocols()]
    if key == "ret_type":
        return map(str, schema.enum_names(schema.enum_descriptor("Common.RetType"), "sdk").values())
    if key.startswith("body."):
        found: set[str] = set()
        for _, fields in places(key.split(".")[1:]):
            owner = fields[-1].containing_type
            assert owner is not None
            enum = fields_by_name(owner)[fields[-1].name].enum
            if enum is not None:
                found.update(map(str, schema.enum_names(enum, "sdk").values()))
        return sorted(found)
    known_key = MESSAGE_KEYS.get(key) or GAP_KEYS.get(key)
    return sorted(known_key.words or ()) if known_key is not None else ()


def _paths(word: str) -> list[str]:
    """Returns the paths one name longer than the complete part of a path into the body."""
    from decoder.schema.paths import places

    if not word.startswith("body."):
        return ["body."] if "body.".startswith(word) and word else []
    parent = word.split(".")[1:-1]
    prefix = ".".join(["body", *parent])
    names: set[str] = set()
    if not parent:
        names.update(("c2s", "s2c", "retType", "retMsg", "errCode"))
    for _, fields in places(parent) if parent else ():
        inner = fields[-1].message_type
        if inner is not None:
            names.update(field.name for field in inner.fields)
    return [f"{prefix}.{name}" for name in sorted(names)]


def _beginning(names: Iterable[str], start: str) -> list[str]:
    folded = start.casefold()
    return [name for name in dict.fromkeys(names) if name.casefold().startswith(folded)][:_MOST]
