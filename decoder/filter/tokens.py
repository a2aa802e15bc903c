"""Splits the text of a ``--where`` expression into tokens, and reads values and their patterns from them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from decoder.errors import FilterError
from decoder.filter.values import Value

__all__ = ["FOREIGN", "Token", "error_at", "is_keyword", "split_at_commas", "tokens", "value_of"]

_TOKEN = re.compile(
    r"""\s*(?:(?P<bracket>[()])|(?P<operator>[!<>]=|!~|[=<>~])|(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"""|(?P<word>(?:\\.|[^\s()=<>!~"'\\])+)|(?P<end>$)|(?P<odd>.))""",
    re.DOTALL,
)
_KEYWORDS = ("and", "or", "not")

FOREIGN = {"&&": "and", "&": "and", "||": "or", "|": "or"}
"""Operators of other languages, and what they are called here."""


class Token(NamedTuple):
    """Holds a token: its kind (a group of `_TOKEN`), its text, and where it begins in the expression."""

    kind: str
    text: str
    start: int


def tokens(text: str) -> list[Token]:
    """Returns the tokens of `text`, the last one of kind ``end``.  Raises FilterError."""
    found = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        found.append(Token(kind, match[kind], match.start(kind)))
        if kind == "odd":
            raise error_at(text, _odd(match[kind]), match.start(kind))
        if kind == "end":
            break
    return found


def _odd(character: str) -> str:
    if character in "\"'":
        return "this quote is never closed"
    return "write not here" if character == "!" else "a backslash needs a character after it"


def error_at(text: str, problem: str, start: int) -> FilterError:
    """Returns an error that shows the expression with a mark below the character at `start`."""
    return FilterError(f"{_printable(problem)}\n  {_printable(text)}\n  {' ' * start}^")


def _printable(text: str) -> str:
    """Returns `text` with blanks for the characters that could move the mark, or write to the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def is_keyword(token: Token) -> bool:
    """Returns True for ``and``, ``or`` and ``not``."""
    return token.kind == "word" and token.text.lower() in _KEYWORDS


def value_of(token: Token) -> Value:
    """Returns the value that a token stands for; stars that are not escaped make it a pattern."""
    text = token.text[1:-1] if token.kind == "quoted" else token.text
    parts = [""]
    for escaped, character in re.findall(r"(\\?)(.)", text, re.DOTALL):
        if character == "*" and not escaped:
            parts.append("")
        else:
            parts[-1] += character
    pattern = tuple(parts) if len(parts) > 1 else None
    return Value("*".join(parts), pattern, token.kind == "word" and token.text == "null")


def split_at_commas(token: Token) -> Iterator[Token]:
    """Yields the words of a list in a token; a comma, unless it is escaped, stands between two of them."""
    if token.kind == "quoted":
        yield token
        return
    for match in re.finditer(r"(?:\\.|[^,\\])+", token.text, re.DOTALL):
        yield Token("word", match[0], token.start + match.start())
