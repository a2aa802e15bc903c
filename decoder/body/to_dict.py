"""Converts protobuf messages to plain data, and notes values that have no name or no valid form.

The mapping is the protobuf JSON mapping with original field names: 64-bit integers as strings,
bytes as base64, 4-byte floats in shortest form, not-a-number and the infinities as strings, only
the fields that are present.  Enums are shown in the style that the caller chooses.

No value of a message raises: an unusual one becomes a note.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from decoder.body.codegen import BAD_UTF8, UNKNOWN_ENUM_VALUE, builder
from decoder.body.from_dict import join
from decoder.body.parse import SEARCHED, note
from decoder.schema.fields import fields_by_name, split_bits

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.vocabulary import EnumStyle

__all__ = ["to_dict"]


def to_dict(
    message: ProtobufMessage,
    enums: EnumStyle = "sdk",
    redact: bool = True,
    notes: list[str] | None = None,
    *,
    complete: bool = False,
) -> dict[str, Any]:
    """Returns `message` as plain data, ready for a JSON writer.

    `enums` chooses how enum values print; a value that the schema does not know stays a number.
    Bit sets print as names joined by ``|`` (as the number in style ``number``).  With `redact`,
    secret fields print as ``"[redacted]"``.  Bytes of a string that are not UTF-8 become
    replacement characters.  `notes` collects ``unknown-enum-value`` and ``bad-utf8``, each at most
    once, with the places.  `complete`: the caller knows that all required fields are present.
    """
    odd: list[str] = []
    plain = builder(message.__class__, enums, redact, complete)(message, odd)
    if odd and notes is not None:
        places = list(_odd_values(message, "", iter(range(SEARCHED))))
        notes += [note(kind, [place for odd_kind, place in places if odd_kind == kind]) for kind in dict.fromkeys(odd)]
    return plain


def _odd_values(message: ProtobufMessage, path: str, budget: Iterator[int]) -> Iterator[tuple[str, str]]:
    """Yields note kind and place of each value that has no name in the schema or no form in JSON."""
    fields = fields_by_name(message.DESCRIPTOR)
    for descriptor, value in message.ListFields():
        field = fields[descriptor.name]
        here = join(path, field.name)
        for item, _ in zip(value if field.repeated else (value,), budget, strict=False):
            if field.kind == "message":
                yield from _odd_values(item, here, budget)
            elif field.kind == "string" and isinstance(item, bytes):
                yield BAD_UTF8, here
            elif field.kind == "enum" and item and item not in field.known:
                yield UNKNOWN_ENUM_VALUE, f"{here} = {item}"
            elif field.kind == "bits" and (rest := split_bits(item, field.known)[1]):
                yield UNKNOWN_ENUM_VALUE, f"{here} = {rest}"
