# SPDX-License-Identifier: GPL-2.0-or-later

"""Writes what ``repr()`` and ``show()`` print of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from decoder.body.body import Body
    from decoder.message import Message

__all__ = ["content_lines", "facts"]


def facts(message: Message) -> Iterator[str]:
    """Yields what is known of a message beside its header and body, in a few words each."""
    yield message.kind
    if message.request is not None:
        yield f"to message {message.request}"
    if message.latency_ms is not None:
        yield f"after {message.latency_ms:.3f} ms"
    yield "in clear" if message.encryption == "None" else message.encryption
    yield message.verdict if message.reason is None else f"{message.verdict}: {message.reason}"


def content_lines(content: Body, *, show_secrets: bool) -> Iterator[str]:
    """Yields the lines that ``show()`` prints of a body: indented JSON, and notes."""
    plain = content.to_dict("sdk", redact=not show_secrets)
    if plain is None:
        plain = content.raw(show_secrets=show_secrets)
    lines = [] if plain is None else orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode().split("\n")
    for line in (*lines, *(f"note: {remark}" for remark in content.remarks)):
        yield "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
