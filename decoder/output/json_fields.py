"""Writes chosen columns of messages and gaps as JSON Lines: ``--format jsonl -e KEY,…``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from decoder.formatting.escape import json_safe
from decoder.output.jsonl import json_line

if TYPE_CHECKING:
    from decoder.message import Gap, Message
    from decoder.output.columns import Columns

__all__ = ["JsonFieldsOutput"]


class JsonFieldsOutput:
    """Renders rows as flat JSON objects: a key for each column, null where a message has no such value."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def render(self, records: Iterable[Message | Gap]) -> bytes:
        """Returns the lines of `records`."""
        names = self._columns.names
        return json_safe(
            b"".join([json_line(dict(zip(names, row, strict=True))) for row in self._columns.rows(records)])
        )
