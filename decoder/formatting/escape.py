"""Makes text from the wire safe to print.

A string in a message can hold anything: terminal escapes, line breaks that forge a record, characters that change the
direction of writing.  Every character that `str.isprintable` refuses is shown as an escape.
"""

from __future__ import annotations

import re

__all__ = ["escape", "json_safe", "quote"]

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PLAIN = re.compile(r"[\w.+:/@-]+|\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d(\.\d{1,9})?)?", re.ASCII)

# Invisible characters in UTF-8, by their first byte, which no other byte of a character equals.
_INVISIBLE = {
    pattern[:1]: re.compile(pattern)
    for pattern in (
        b"\x7f",  # DEL
        b"\xc2[\x80-\x9f\xad]",  # C1 controls, the soft hyphen
        b"\xd8\x9c",  # marks and overrides of direction, here and in the following
        b"\xe1\xa0\x8e",
        b"\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|\x81[\xa0-\xaf])",  # what has no width; line and paragraph separators
        b"\xef(?:\xbb\xbf|\xbf[\xb9-\xbb])",
        b"\xf3\xa0[\x80\x81][\x80-\xbf]",  # tags
    )
}


def escape(text: str | bytes, limit: int = 65_536) -> str:
    r"""Returns `text`, `limit` characters at most, with control and format characters escaped (``\x1b``, ``\u202e``).

    Bytes, which protobuf returns for a string that is not UTF-8, show replacement characters.
    """
    if isinstance(text, bytes):
        text = text[: 4 * limit].decode("utf-8", "replace")
    rest = len(text) - limit
    if rest > 0:
        text = text[:limit]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _SHORT.get(c) or _escaped(c) for c in text)
    return text if rest <= 0 else f"{text}… ({rest} more)"


def quote(text: str | bytes, limit: int = 80) -> str:
    """Returns `text` escaped, in quotes unless it is one plain word or a time.

    So data cannot pass for part of the line around it.
    """
    safe = escape(text, limit)
    if _PLAIN.fullmatch(safe):
        return safe
    return '"' + safe.replace('"', '\\"') + '"'


def json_safe(text: bytes) -> bytes:
    r"""Returns JSON in UTF-8 with the invisible characters that JSON does not escape as ``\u`` escapes.

    The value stays the same.  JSON writers escape control characters below 0x20 only: not the C1 controls, which some
    terminals obey, nor overrides of the direction of writing.
    """
    for first, pattern in _INVISIBLE.items():
        if first in text:
            text = pattern.sub(_json_escape, text)
    return text


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[bytes]) -> bytes:
    units = match[0].decode().encode("utf-16-be")
    return b"".join(b"\\u%02x%02x" % (units[i], units[i + 1]) for i in range(0, len(units), 2))
