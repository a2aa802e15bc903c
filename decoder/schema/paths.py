"""Resolves the field paths that users write: ``body.c2s.code``.

A path is not bound to a protocol: it means the field of that name in any message that has one.  A list on
the way stands for all its items, so a path can have many values.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor

    from decoder.schema.fields import Descriptor

__all__ = ["did_you_mean", "find_fields", "places", "unknown_path"]


def find_fields(message: Descriptor, names: Sequence[str]) -> list[FieldDescriptor] | None:
    """Returns the fields along the path `names` from a message type, or None if it has no such path."""
    found: list[FieldDescriptor] = []
    current: Descriptor | None = message
    for name in names:
        field = None if current is None else _field(current, name)
        if field is None:
            return None
        found.append(field)
        current = field.message_type
    return found


def places(names: Sequence[str]) -> Iterator[tuple[Descriptor, list[FieldDescriptor]]]:
    """Yields every message type that can be a body and has the path `names`, with the fields along it."""
    for root in _roots():
        fields = find_fields(root, names)
        if fields is not None:
            yield root, fields


def unknown_path(names: Sequence[str]) -> tuple[int, str]:
    """Explains why no body has the path `names`: the index of the first wrong name, and a text with suggestions."""
    index = next(end for end in range(len(names)) if not any(places(names[: end + 1])))
    candidates: set[str] = set()
    if index == 0:
        for root in _roots():
            candidates.update(field.name for field in root.fields)
    for _, fields in places(names[:index]) if index else ():
        inner = fields[-1].message_type
        if inner is not None:
            candidates.update(field.name for field in inner.fields)
    where = ".".join(("body", *names[:index]))
    if not candidates:
        return index, f"{where} is a value, there is nothing in it"
    return index, f"no {where} has a field {names[index]}{did_you_mean(names[index], candidates)}"


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Returns the candidates that look like `name`, as the rest of a sentence; empty if none does."""
    known: dict[str, str] = {}
    for candidate in sorted(candidates):
        known.setdefault(candidate.casefold(), candidate)
    close = [known[match] for match in difflib.get_close_matches(name.casefold(), known, n=3, cutoff=0.6)]
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _field(message: Descriptor, name: str) -> FieldDescriptor | None:
    return message.fields_by_name.get(name) or message.fields_by_camelcase_name.get(name)  # type: ignore[return-value]


@cache
def _roots() -> tuple[Descriptor, ...]:
    from decoder import schema

    names = {name for known in schema.protocols() for name in (known.request, known.response) if name}
    return tuple(schema.message_class(name).DESCRIPTOR for name in sorted(names))
