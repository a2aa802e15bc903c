"""Renders a table of names and values as HTML, for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable

from decoder.formatting.escape import escape

__all__ = ["html_table"]


def html_table(title: str, rows: Iterable[tuple[str, str]], text: str = "") -> str:
    """Returns a table of `rows` under `title`, and below it `text`, a block of lines.  Everything is escaped."""
    cells = "".join(f"<tr><th>{_safe(name)}</th><td>{_safe(value)}</td></tr>" for name, value in rows)
    block = "\n".join(_safe(line) for line in text.split("\n"))
    below = f"<pre>{block}</pre>" if text else ""
    return f"<table><caption>{_safe(title)}</caption>{cells}</table>{below}"


def _safe(text: str) -> str:
    return html.escape(escape(text))
