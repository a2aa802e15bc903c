"""Builds HTML in which everything is escaped that is not markup of our own."""

from __future__ import annotations

import html
from collections.abc import Iterable

from decoder.formatting.escape import escape

__all__ = ["Markup", "joined", "tag", "text"]

MAX_TEXT = 200
"""Characters shown of one text: a capture may hold texts of megabytes."""

_MAX_ATTRIBUTE = 400
"""Characters of a text in an attribute."""
_VOID = frozenset(("br", "path", "line", "rect", "circle", "input", "meta", "use"))


class Markup(str):
    """HTML that is safe to write as it is.  Only `tag`, `text` and `joined` make it from data."""

    __slots__ = ()


def text(value: object, limit: int = MAX_TEXT) -> Markup:
    """Returns `value` as text for HTML: control characters and overrides of direction as escapes, markup inert."""
    return Markup(html.escape(escape(str(value), limit), quote=False))


def _attribute(value: object) -> str:
    return html.escape(escape(str(value), _MAX_ATTRIBUTE))


def joined(parts: Iterable[object], separator: str = "") -> Markup:
    """Returns the parts one after the other; those that are no Markup are escaped."""
    return Markup(
        html.escape(separator, quote=False).join(part if isinstance(part, Markup) else text(part) for part in parts)
    )


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """Returns an element.

    Children that are no Markup are escaped; None is left out.  Attributes: ``class_`` is ``class``, ``_`` in a name
    becomes ``-``, None and False are left out, True is an attribute without a value.
    """
    written = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        word = key.rstrip("_").replace("_", "-")
        safe = value if isinstance(value, Markup) else _attribute(value)
        written += f" {word}" if value is True else f' {word}="{safe}"'
    if name in _VOID:
        return Markup(f"<{name}{written}>" if name in ("br", "input", "meta") else f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{joined(child for child in children if child is not None)}</{name}>")
