"""Writes JSON Lines: one record a line, with the keys of ``docs/record.md``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson

from decoder.formatting.escape import json_safe
from decoder.message import Message
from decoder.output.json_cache import JsonFragmentCache
from decoder.output.json_core import compiled_json_lines

if TYPE_CHECKING:
    from decoder.message import Gap
    from decoder.vocabulary import EnumStyle

__all__ = ["JsonLinesOutput", "json_line"]


class JsonLinesOutput:
    """Renders messages and gaps as JSON Lines, in UTF-8."""

    def __init__(self, enums: EnumStyle = "sdk", *, show_secrets: bool = False) -> None:
        self._enums: EnumStyle = enums
        self._show_secrets = show_secrets
        self._cache = JsonFragmentCache(enums, show_secrets=show_secrets)
        self._compiled = compiled_json_lines(enums, self._line, show_secrets=show_secrets)

    def render(self, records: Iterable[Message | Gap]) -> bytes:
        """Returns the lines of `records`, in UTF-8."""
        if self._compiled is not None:
            return json_safe(self._compiled.render(records))
        return json_safe(b"".join([self._line(item) for item in records]))

    def _line(self, item: Message | Gap) -> bytes:
        if not isinstance(item, Message):
            return json_line(item.record())
        return json_line(self._cache.record(item) or item.record(self._enums, show_secrets=self._show_secrets))


def json_line(record: dict[str, object]) -> bytes:
    """Returns a record as a line of JSON."""
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        import json

        # A JSON body may hold values that orjson refuses: integers beyond 64 bits, unpaired surrogates.
        return json.dumps(record, separators=(",", ":")).encode() + b"\n"
