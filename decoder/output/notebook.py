"""Renders a message as HTML for notebooks: its line of text, and everything about it behind a click."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from decoder.output.text import TextOutput
from decoder.output.tree import TreeOutput

if TYPE_CHECKING:
    from decoder.message import Gap, Message

__all__ = ["notebook_html"]


def notebook_html(item: Message | Gap) -> str:
    """Returns a message or gap as an HTML fragment.  Secrets are redacted; nothing in it is markup from the wire."""
    line = escape(TextOutput().render([item]).strip())
    details = escape(TreeOutput().render([item]).rstrip())
    return f"<details><summary><code>{line}</code></summary><pre>{details}</pre></details>"
