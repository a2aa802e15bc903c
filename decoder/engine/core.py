"""Tells which core runs: the compiled one, or pure Python where that was not built or is not wanted."""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["CORE", "Columns", "JsonLines", "TextLines"]

_PURE = os.environ.get("OPENDUMP_PURE", "0") not in ("", "0")
"""True if the user wants Python only, to compare or to rule out a fault of the compiled core."""

JsonLines: type[_core.JsonLines] | None = None
TextLines: type[_core.TextLines] | None = None
"""Renderers; None without the compiled core."""
Columns: type[_core.Columns] | None = None
"""Collector of the rows of tables; likewise."""

if not _PURE:
    with suppress(ImportError):
        from decoder.engine import _core

        JsonLines, TextLines, Columns = _core.JsonLines, _core.TextLines, _core.Columns

CORE = "pure Python" if JsonLines is None else "compiled"
"""Names the core that runs."""
