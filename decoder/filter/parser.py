"""``--where``: an expression that messages are chosen by.

::

    proto=Trd_* and ret_type!=RET_OK        kind=push and not proto=Qot_*
    body.c2s.code=00700                     latency_ms>50 or (verdict!=verified and direction=c2s)

A comparison is a key, one of ``= != < <= > >=``, and a value; ``and``, ``or``, ``not`` and brackets join them
(``not`` binds closest, ``or`` loosest).  A key is one of the JSON Lines contract or a path into the body.
Of a list, one element that fits is enough.

* What is not there compares false with every value, also with ``!=``; ``key=null`` asks for its absence.
  So ``ret_type!=RET_OK`` finds failures, and ``not ret_type=RET_OK`` finds requests too.
* ``*`` in a value of ``=`` and ``!=`` stands for any text.  Quotes (``"`` or ``'``) hold a value with blanks; a
  backslash takes the meaning from the character after it.
* An enum value may be given in any of the three styles: ``FILLED_ALL``, ``OrderStatus_Filled_All``, ``11``.
  A set of bits fits a name if that bit is set.
* ``time`` takes RFC 3339 in UTC, as much of it as is needed: ``time>=2026-11-20T10:15``.
* A gap has the keys of its own object in the contract; every other key fits no gap.
* Fields that are redacted can only be compared with ``null``: a filter shall not give away what is not shown.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from decoder.errors import FilterError
from decoder.filter.body_terms import body_predicate
from decoder.filter.record_terms import GAP_KEYS, MESSAGE_KEYS, key_predicate
from decoder.filter.values import NoSuchValue, Predicate, Value
from decoder.message import Gap, Message
from decoder.schema.paths import did_you_mean, unknown_path

__all__ = ["Filter", "compile_filter"]

_MAX_DEPTH = 64
_TOKEN = re.compile(
    r"""\s*(?:(?P<bracket>[()])|(?P<operator>[!<>]=|[=<>])|(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"""|(?P<word>(?:\\.|[^\s()=<>!"'\\])+)|(?P<end>$)|(?P<odd>.))""",
    re.DOTALL,
)
_FOREIGN = {"&&": "and", "&": "and", "||": "or", "|": "or", "~": "=", "=~": "="}


class Filter:
    """A compiled expression."""

    __slots__ = ("_gap", "_message", "needs_body", "text")

    def __init__(self, text: str, node: _Node) -> None:
        self.text = text
        self.needs_body = node.needs_body
        """Whether a body may have to be parsed to decide."""
        self._message = node.message
        self._gap = node.gap

    def match(self, item: Message | Gap) -> bool:
        """Whether the expression holds for `item`."""
        return self._message(item) if isinstance(item, Message) else self._gap(item)

    def __repr__(self) -> str:
        return f"<Filter {self.text!r}>"


def compile_filter(text: str) -> Filter:
    """Compile `text`.  Raises FilterError, whose text shows the place."""
    return Filter(text, _Parser(text).parse())


class _Node(NamedTuple):
    """A part of an expression, ready to run."""

    needs_body: bool
    message: Predicate
    gap: Predicate


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[_Token] = []
        for match in _TOKEN.finditer(text):
            kind = match.lastgroup or ""
            self._tokens.append(_Token(kind, match[kind], match.start(kind)))
            if kind == "odd":
                self._reject_character(match[kind], match.start(kind))
            if kind == "end":
                break
        self._at = 0

    def parse(self) -> _Node:
        if self._peek().kind == "end":
            raise FilterError("an empty expression: give one such as proto=Trd_*")
        node = self._any_of(0)
        token = self._peek()
        if token.kind != "end":
            if token.text == ")":
                raise self._error("no bracket was opened for this one", token.start)
            hint = _FOREIGN.get(token.text)
            raise self._error(f"write {hint} here" if hint else "expected and, or, or the end", token.start)
        return node

    # The grammar: or of and of not of comparison

    def _any_of(self, depth: int) -> _Node:
        nodes = [self._all_of(depth)]
        while self._take_word("or"):
            nodes.append(self._all_of(depth))
        return _joined(nodes, _any)

    def _all_of(self, depth: int) -> _Node:
        nodes = [self._negation(depth)]
        while self._take_word("and"):
            nodes.append(self._negation(depth))
        return _joined(nodes, _all)

    def _negation(self, depth: int) -> _Node:
        if depth > _MAX_DEPTH:
            raise self._error("nested too deeply", self._peek().start)
        if self._take_word("not"):
            inner = self._negation(depth + 1)
            return _Node(inner.needs_body, _not(inner.message), _not(inner.gap))
        token = self._peek()
        if token.text == "(" and token.kind == "bracket":
            self._at += 1
            inner = self._any_of(depth + 1)
            if self._peek().text != ")":
                raise self._error("this bracket is never closed", token.start)
            self._at += 1
            return inner
        return self._comparison()

    def _comparison(self) -> _Node:
        key, sign, value = self._peek(), self._peek(1), self._peek(2)
        if key.kind != "word" or _is_keyword(key):
            raise self._error("expected a key such as proto or body.c2s.code", key.start)
        if sign.kind != "operator":
            wanted = _FOREIGN.get(sign.text)
            place = sign.start if sign.kind != "end" else len(self._text.rstrip())
            raise self._error(f"write {wanted} here" if wanted else "expected one of = != < <= > >=", place)
        if value.kind not in ("word", "quoted") or (value.kind == "word" and _is_keyword(value)):
            extra = "one = is enough" if value.text == "=" else "expected a value (in quotes if it has blanks)"
            raise self._error(extra, value.start if value.kind != "end" else len(self._text.rstrip()))
        self._at += 3
        return self._compile(key, sign.text, _value(value), value.start)

    def _compile(self, key: _Token, sign: str, value: Value, value_start: int) -> _Node:
        first, *rest = names = key.text.split(".")
        if first == "body" and rest:
            if not all(rest):
                raise self._error("a path has names between its dots: body.c2s.code", key.start)
            try:
                predicate = body_predicate(rest, sign, value)
            except NoSuchValue as error:
                raise self._error(str(error), value_start) from None
            if predicate is None:
                index, problem = unknown_path(rest)
                raise self._error(problem, key.start + len(".".join(names[: index + 1])) + 1)
            return _Node(True, predicate, _never)
        message_key, gap_key = MESSAGE_KEYS.get(key.text), GAP_KEYS.get(key.text)
        if message_key is None and gap_key is None:
            if first in ("raw", "frames", "notes") and rest:
                raise self._error(f"{first} has nothing named in it", key.start)
            hint = did_you_mean(key.text, [*MESSAGE_KEYS, *GAP_KEYS]) or "; keys are those of a record, or body.…"
            raise self._error(f"no key {key.text}{hint}", key.start)
        predicates: list[Predicate | None] = []
        reason = ""
        for known in (message_key, gap_key):
            try:
                predicates.append(None if known is None else key_predicate(key.text, known, sign, value))
            except NoSuchValue as error:
                predicates.append(None)
                reason = reason or str(error)
        if not any(predicates):
            raise self._error(reason, value_start)
        needs_body = message_key is not None and message_key.needs_body
        return _Node(needs_body, predicates[0] or _never, predicates[1] or _never)

    # Tokens

    def _peek(self, ahead: int = 0) -> _Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def _take_word(self, word: str) -> bool:
        token = self._peek()
        if token.kind == "word" and token.text.lower() == word:
            self._at += 1
            return True
        return False

    def _reject_character(self, character: str, start: int) -> None:
        if character in "\"'":
            raise self._error("this quote is never closed", start)
        if character == "!":
            raise self._error("write not here", start)
        raise self._error("a backslash needs a character after it", start)

    def _error(self, problem: str, start: int) -> FilterError:
        return FilterError(f"{_printable(problem)}\n  {_printable(self._text)}\n  {' ' * start}^")


def _printable(text: str) -> str:
    """`text` with what could move the caret, or more, as blanks."""
    return "".join(c if c.isprintable() else " " for c in text)


def _is_keyword(token: _Token) -> bool:
    return token.text.lower() in ("and", "or", "not")


def _value(token: _Token) -> Value:
    """A value: its text, and what stands between the stars in it that are meant as such."""
    text = token.text[1:-1] if token.kind == "quoted" else token.text
    parts = [""]
    for escaped, character in re.findall(r"(\\?)(.)", text, re.DOTALL):
        if character == "*" and not escaped:
            parts.append("")
        else:
            parts[-1] += character
    pattern = tuple(parts) if len(parts) > 1 else None
    return Value("*".join(parts), pattern, token.kind == "word" and token.text == "null")


# Joining


def _joined(nodes: Sequence[_Node], join: Callable[[Sequence[Predicate]], Predicate]) -> _Node:
    """Several parts as one, those that need no body first: they may spare the rest."""
    if len(nodes) == 1:
        return nodes[0]
    nodes = sorted(nodes, key=operator.attrgetter("needs_body"))
    needs_body = any(node.needs_body for node in nodes)
    return _Node(needs_body, join([node.message for node in nodes]), join([node.gap for node in nodes]))


def _all(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 2:
        first, second = predicates
        return lambda item: first(item) and second(item)
    return lambda item: all(predicate(item) for predicate in predicates)


def _any(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 2:
        first, second = predicates
        return lambda item: first(item) or second(item)
    return lambda item: any(predicate(item) for predicate in predicates)


def _not(predicate: Predicate) -> Predicate:
    return lambda item: not predicate(item)


def _never(item: Any) -> bool:
    return False
