"""Reads the templates of the Info column: as groups of words, with what the fields in them are.

`decoder.output.info` makes Python functions of them, `decoder.output.text_core` programs for the compiled core.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from decoder import schema
from decoder.output.info_templates import TEMPLATES
from decoder.schema.annotations import label
from decoder.schema.fields import Field, fields_by_name, fields_of

if TYPE_CHECKING:
    from decoder.schema.fields import Descriptor

__all__ = ["Condition", "Place", "Word", "condition_of", "is_nested", "words_of"]

_MAX_FIELDS = 64  # fields shown of a type without a template
_MAX_DEPTH = 2  # levels of nesting shown below a type without a template
_GROUP = re.compile(r"\[[^\]]*\]|\S+")
_PLACE = re.compile(
    r"\{(?P<mark>[#*^&@(]?)(?P<name>\w+)"
    r"(?:\)|\?(?P<yes>[^|}]*)\|(?P<no>[^}]*)|(?P<sign>[+/~])(?P<second>\w+)|>(?P<above>\d+))?\}"
)
_SHOWN_ELSEWHERE = ("retType", "retMsg", "errCode", "packetID")  # in other columns, or in the tree only
_SECURITY = "Qot_Common.Security"
_QUOTE_HEADER = "Qot_Common.QotHeader"


class Place(NamedTuple):
    """Holds one ``{…}`` of a template."""

    field: Field
    mark: str
    """``#``, ``*``, ``^``, ``&``, ``@``, ``(`` or empty."""
    choice: tuple[str, str] | None
    """Texts for a flag that is set, and that is not."""
    sign: str
    """``+``, ``/`` or ``~``, which join it with `second`; else empty."""
    second: Field | None
    above: int | None
    """The value is shown if it is greater."""


Word = list[str | Place]
"""Texts and values that stand together without a space."""
Condition = Literal["always", "not-zero", "present"]
"""When a value is shown; of a text or a list ``not-zero`` means not empty."""


def words_of(descriptor: Descriptor, depth: int) -> Iterator[list[Word]]:
    """Yields the groups of words of a message type: what is shown together or not at all.

    `depth` counts the types without a template around it.
    """
    fields = fields_by_name(descriptor)
    for group in _GROUP.findall(TEMPLATES.get(descriptor.full_name) or _generic(descriptor, depth)):
        yield [_word(word, fields) for word in (group[1:-1].split() if group[0] == "[" else [group])]


def _word(word: str, fields: dict[str, Field]) -> Word:
    parts: Word = []
    end = 0
    for match in _PLACE.finditer(word):
        if match.start() > end:
            parts.append(word[end : match.start()])
        end = match.end()
        choice = None if match["yes"] is None else (match["yes"], match["no"])
        second = fields[match["second"]] if match["second"] else None
        above = int(match["above"]) if match["above"] else None
        parts.append(Place(fields[match["name"]], match["mark"], choice, match["sign"] or "", second, above))
    return [*parts, word[end:]] if end < len(word) else parts


def is_nested(field: Field) -> bool:
    """Returns True for a message that is shown by its own words; a security is shown as one value."""
    return field.kind == "message" and field.message_type.full_name != _SECURITY


def condition_of(field: Field, *, not_zero: bool = False) -> Condition:
    """Returns when the value of a field is shown; with `not_zero` a number must differ from 0."""
    if not_zero or field.repeated or field.kind in ("string", "bytes") or _zero_is_nothing(field):
        return "not-zero"
    return "always" if label(field.descriptor) == "required" else "present"


def _zero_is_nothing(field: Field) -> bool:
    """Returns True for an optional enum whose value 0 is called None or Unknown: showing it would add nothing."""
    if field.kind != "enum" or field.enum is None or label(field.descriptor) == "required":
        return False
    return str(schema.enum_names(field.enum, "sdk").get(0)).upper() in ("NONE", "UNKNOWN")


def _generic(descriptor: Descriptor, depth: int) -> str:
    """Returns a template for a type that is not listed: securities, scalars, lists and messages, trade header last."""
    words: tuple[list[str], ...] = ([], [], [], [])
    for field in fields_of(descriptor):
        name = field.name
        if name in _SHOWN_ELSEWHERE or name.endswith("imestamp"):  # every time stamp has a text field beside it
            continue
        if not is_nested(field):
            place = 0 if field.kind == "message" else 2 if field.repeated else 1
            words[place].append(f"{{{name}}}" if name in ("security", "securityList") else f"{name}={{{name}}}")
            continue
        templated = field.message_type.full_name in TEMPLATES
        if field.repeated:
            words[2].append(f"{{#{name}}}")
        if depth < _MAX_DEPTH and (templated or not field.repeated) and field.message_type.full_name != _QUOTE_HEADER:
            words[3 if name == "header" else 2].append(f"{{{name}}}" if templated else f"{{({name})}}")
    return " ".join([word for kind in words for word in kind][:_MAX_FIELDS])
