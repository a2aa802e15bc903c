"""JSON Lines: one record of the contract on a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson

from decoder.message import Message
from decoder.output.escape import json_safe

if TYPE_CHECKING:
    from decoder.message import EnumStyle, Gap

__all__ = ["JsonLinesOutput"]


class JsonLinesOutput:
    """Renders messages and gaps as JSON Lines, in UTF-8."""

    def __init__(self, enums: EnumStyle = "sdk", *, show_secrets: bool = False) -> None:
        self._enums: EnumStyle = enums
        self._show_secrets = show_secrets

    def render(self, records: Iterable[Message | Gap]) -> bytes:
        """The lines of `records`."""
        enums, show_secrets = self._enums, self._show_secrets
        lines = [
            _line(item.record(enums, show_secrets=show_secrets) if isinstance(item, Message) else item.record())
            for item in records
        ]
        return json_safe(b"".join(lines))


def _line(record: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # What orjson refuses, a JSON body can hold: integers beyond 64 bits, unpaired surrogates.
        return json.dumps(record, separators=(",", ":")).encode() + b"\n"
