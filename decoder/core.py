"""Tells which core runs: the compiled one, or pure Python where that was not built or is not wanted."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CORE", "Columns", "JsonLines", "MessageFields", "TextLines", "Walker", "pcap_records"]

_PURE = os.environ.get("OPENDUMP_PURE", "0") not in ("", "0")
"""True if the user wants Python only, to compare or to rule out a fault of the compiled core."""

JsonLines: type[_core.JsonLines] | None = None
TextLines: type[_core.TextLines] | None = None
"""Renderers; None without the compiled core."""
Columns: type[_core.Columns] | None = None
"""Collector of the rows of tables; None likewise."""
MessageFields: type[_core.MessageFields] | None = None
"""Keeps in C what `decoder.message_fields.PlainFields` keeps; None likewise."""
Walker: type[_core.Walker] | None = None
"""Does in C what `decoder.engine.hot_path` does; None likewise."""
pcap_records: Callable[[bytes, int, int, bool, int, int], tuple[list[tuple[int, int, bytes, int]], int]] | None = None
"""Does in C what the loop of `decoder.capture.pcap` does; None likewise."""

if not _PURE:
    with suppress(ImportError):
        from decoder import _core

        JsonLines, TextLines, Columns = _core.JsonLines, _core.TextLines, _core.Columns
        MessageFields, Walker = _core.MessageFields, _core.Walker
        pcap_records = _core.pcap_records

CORE = "pure Python" if JsonLines is None else "compiled"
"""Names the core that runs."""
