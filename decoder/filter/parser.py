"""Compiles ``--where`` expressions, which select messages and gaps.

::

    proto=Trd_* and ret_type!=RET_OK        symbol=HK.00700 and kind=push
    body.c2s.code=00700                     latency_ms>50 or (verdict!=verified and direction=c2s)
    text~insufficient                       proto in (Trd_PlaceOrder, Trd_ModifyOrder) and time>=10:00

A comparison is a key, an operator and a value.  Operators are ``= != < <= > >=``, ``~`` and ``!~`` (a text contains, or
not, in upper or lower case) and ``in (…, …)``.  ``and``, ``or``, ``not`` and brackets join comparisons (``not`` binds
closest, ``or`` loosest).  A key is one of the JSON Lines contract, a path into the body, or one of `symbol`, `order`,
`account` and `text`, which look into every field of a body.  Of a list, one fitting element is enough.

* What is not there compares false with every value, also with ``!=``; ``key=null`` asks for its absence.
  So ``ret_type!=RET_OK`` finds failures, and ``not ret_type=RET_OK`` finds requests too.
* ``*`` in a value of ``=`` and ``!=`` stands for any text.  Quotes (``"`` or ``'``) enclose a value with blanks; a
  backslash takes the meaning from the character after it.
* An enum value may be given in any of the three styles: ``FILLED_ALL``, ``OrderStatus_Filled_All``, ``11``.
  A set of bits fits a name if that bit is set.
* ``time`` takes a date with or without a time of day, or a time of day alone; see `decoder.filter.times`.
* A gap has the keys of its own object in the contract; every other key fits no gap.
* Fields that are redacted compare with ``null`` only: else a filter could be used to guess them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from decoder.errors import FilterError
from decoder.filter.body_terms import body_predicate
from decoder.filter.record_terms import GAP_KEYS, MESSAGE_KEYS, key_predicate
from decoder.filter.shortcut_terms import SHORTCUTS, OrderTest, shortcut_predicate
from decoder.filter.times import TimePredicate, period
from decoder.filter.tokens import FOREIGN, Token, error_at, is_keyword, split_at_commas, tokens, value_of
from decoder.filter.values import ORDER, NoSuchValue, Predicate, Value
from decoder.message import Gap, Message
from decoder.schema.paths import did_you_mean, unknown_path

__all__ = ["Filter", "compile_filter", "time_filter"]

_MAX_DEPTH = 64
"""Levels of brackets and ``not``: each is a level of calls when a message is tested."""
_ORDINALS = frozenset(("connection", "number", "request"))
"""Keys whose values count over the whole capture."""


class Filter:
    """Holds a compiled expression."""

    __slots__ = ("_gap", "_message", "_watchers", "follows", "looks_across", "needs_body", "text")

    def __init__(
        self,
        text: str,
        node: _Node,
        watchers: Sequence[Callable[[Message], object]] = (),
        *,
        looks_across: bool = False,
    ) -> None:
        self.text = text
        self.looks_across = looks_across or bool(watchers)
        """True if what holds for a message depends on other connections of the capture: ordinals, orders."""
        self.follows = bool(watchers)
        """True if what holds for a message depends on those tested before it: an order, under both of its ids."""
        self.needs_body = node.needs_body
        """True if a body may have to be parsed to decide."""
        self._message = node.message
        self._gap = node.gap
        self._watchers = tuple(watchers)

    def match(self, item: Message | Gap) -> bool:
        """Returns True if the expression holds for `item`.  Messages are to be tested in order, each once."""
        if not isinstance(item, Message):
            return self._gap(item)
        for watch in self._watchers:
            watch(item)
        return self._message(item)

    def within(self, inside: TimePredicate) -> Filter:
        """Returns this filter, narrowed to the times for which `inside` holds."""
        node = _Node(False, lambda item: inside(item.time_ns), lambda item: inside(item.time_ns))
        both = _joined([node, _Node(True, self._message, self._gap)], _all)
        both = both._replace(needs_body=self.needs_body)
        return Filter(self.text, both, self._watchers, looks_across=self.looks_across)

    def __repr__(self) -> str:
        return f"<Filter {self.text!r}>"


def compile_filter(text: str, *, utc: bool = False) -> Filter:
    """Compiles `text`; times in it without a zone are local, or UTC.  Raises FilterError, which shows the place."""
    parser = _Parser(text, utc)
    node = parser.parse()
    watchers = [order.watch for order in parser.orders]
    return Filter(text, node, watchers, looks_across=not _ORDINALS.isdisjoint(parser.keys))


def time_filter(where: Filter | None, start: str | None, end: str | None, *, utc: bool = False) -> Filter:
    """Returns `where` narrowed to the times from `start` to `end`, both included (``--from`` and ``--to``).

    Raises FilterError for a text that is no time.
    """
    anything = _Node(False, lambda item: True, lambda item: True)
    return (where or Filter("", anything)).within(period(start, end, utc=utc))


class _Node(NamedTuple):
    """Holds a part of an expression, ready to run."""

    needs_body: bool
    message: Predicate
    gap: Predicate


class _Parser:
    """Parses by recursive descent: or, of and, of not, of comparisons."""

    def __init__(self, text: str, utc: bool) -> None:
        self._text = text
        self._utc = utc
        self._tokens = tokens(text)
        self._at = 0
        self.orders: list[OrderTest] = []
        """The tests that must see every message before it is tested."""
        self.keys: set[str] = set()
        """The keys that were compared."""

    def parse(self) -> _Node:
        if self._peek().kind == "end":
            raise FilterError("an empty expression: give one such as proto=Trd_*")
        node = self._any_of(0)
        token = self._peek()
        if token.kind != "end":
            if token.text == ")":
                raise self._error("no bracket was opened for this one", token.start)
            hint = FOREIGN.get(token.text)
            raise self._error(f"write {hint} here" if hint else "expected and, or, or the end", token.start)
        return node

    def _any_of(self, depth: int) -> _Node:
        nodes = [self._all_of(depth)]
        while self._accept("or"):
            nodes.append(self._all_of(depth))
        return _joined(nodes, _any)

    def _all_of(self, depth: int) -> _Node:
        nodes = [self._negation(depth)]
        while self._accept("and"):
            nodes.append(self._negation(depth))
        return _joined(nodes, _all)

    def _negation(self, depth: int) -> _Node:
        if depth > _MAX_DEPTH:
            raise self._error("nested too deeply", self._peek().start)
        if self._accept("not"):
            return _negated(self._negation(depth + 1))
        token = self._peek()
        if token.text == "(" and token.kind == "bracket":
            self._at += 1
            inner = self._any_of(depth + 1)
            self._close(token)
            return inner
        return self._comparison()

    def _comparison(self) -> _Node:
        key, sign = self._peek(), self._peek(1)
        if key.kind != "word" or is_keyword(key):
            raise self._error("expected a key such as proto or body.c2s.code", key.start)
        self._at += 1
        if self._accept("in"):
            return _joined([self._compile(key, "=", value) for value in self._list()], _any)
        if sign.text.lower() == "not" and self._peek(1).text.lower() == "in":
            self._at += 2
            return _joined([self._compile(key, "!=", value) for value in self._list()], _all)
        if sign.kind != "operator":
            wanted = FOREIGN.get(sign.text)
            problem = f"write {wanted} here" if wanted else "expected one of = != < <= > >= ~ in"
            raise self._error(problem, self._place(sign))
        self._at += 1
        return self._compile(key, sign.text, self._value(key, sign))

    def _value(self, key: Token, sign: Token) -> Token:
        """Consumes the value after an operator."""
        value = self._peek()
        if value.kind not in ("word", "quoted") or is_keyword(value):
            problem = "expected a value (in quotes if it has blanks)"
            if sign.text == "=" and value.text in ("=", "~"):
                problem = "one = is enough" if value.text == "=" else "write key~word to look for a part of a text"
            raise self._error(problem, self._place(value))
        self._at += 1
        clock = self._peek()
        if key.text == "time" and clock.kind == "word" and re.match("[0-9]{1,2}:[0-9]", clock.text):
            self._at += 1  # a date and a time of day, as they are printed, without quotes
            return Token("word", f"{value.text} {clock.text}", value.start)
        return value

    def _list(self) -> list[Token]:
        """Consumes ``(a, b, …)``."""
        bracket = self._peek()
        if bracket.text != "(":
            raise self._error("expected a list such as (Trd_PlaceOrder, Trd_ModifyOrder)", self._place(bracket))
        self._at += 1
        values: list[Token] = []
        while self._peek().kind in ("word", "quoted"):
            values += split_at_commas(self._peek())
            self._at += 1
        self._close(bracket)
        if not values:
            raise self._error("this list is empty", bracket.start)
        return values

    def _close(self, bracket: Token) -> None:
        if self._peek().text != ")":
            raise self._error("this bracket is never closed", bracket.start)
        self._at += 1

    def _compile(self, key: Token, sign: str, token: Token) -> _Node:
        self.keys.add(key.text)
        value = value_of(token)
        contains = sign in ("~", "!~")
        if contains:
            value = Value.contained(value.text, value.parts)
            sign = "!=" if sign == "!~" else "="
        try:
            if key.text.startswith("body."):
                return _Node(True, self._body_test(key, sign, value), _never)
            if key.text in SHORTCUTS:
                return _Node(True, self._shortcut(key.text, sign, value), self._text_of_gap(key.text, value))
            return self._key_test(key, sign, value)
        except NoSuchValue as error:
            raise self._error(str(error), token.start) from None

    def _body_test(self, key: Token, sign: str, value: Value) -> Predicate:
        names = key.text.split(".")
        if not all(names):
            raise self._error("a path has names between its dots: body.c2s.code", key.start)
        predicate = body_predicate(names[1:], sign, value)
        if predicate is None:
            index, problem = unknown_path(names[1:])
            raise self._error(problem, key.start + len(".".join(names[: index + 1])) + 1)
        return predicate

    def _shortcut(self, key: str, sign: str, value: Value) -> Predicate:
        if key == "order" and sign == "=" and not value.null and not value.fold and sign not in ORDER:
            self.orders.append(OrderTest(value))
            return self.orders[-1].holds
        return shortcut_predicate(key, sign, value)

    def _text_of_gap(self, key: str, value: Value) -> Predicate:
        return (lambda gap: value.fits(gap.reason)) if key == "text" else _never

    def _key_test(self, key: Token, sign: str, value: Value) -> _Node:
        message_key, gap_key = MESSAGE_KEYS.get(key.text), GAP_KEYS.get(key.text)
        if message_key is None and gap_key is None:
            raise self._error(_unknown_key(key.text), key.start)
        predicates: list[Predicate | None] = []
        reason: NoSuchValue | None = None
        for known in (message_key, gap_key):
            try:
                test = None if known is None else key_predicate(key.text, known, sign, value, utc=self._utc)
                predicates.append(test)
            except NoSuchValue as error:
                predicates.append(None)
                reason = reason or error
        if reason is not None and not any(predicates):
            raise reason
        needs_body = message_key is not None and message_key.needs_body
        return _Node(needs_body, predicates[0] or _never, predicates[1] or _never)

    def _peek(self, ahead: int = 0) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def _accept(self, word: str) -> bool:
        """Consumes `word` if it comes next."""
        token = self._peek()
        if token.kind == "word" and token.text.lower() == word:
            self._at += 1
            return True
        return False

    def _place(self, token: Token) -> int:
        """Returns where a token begins; the end of the expression without trailing blanks."""
        return token.start if token.kind != "end" else len(self._text.rstrip())

    def _error(self, problem: str, start: int) -> FilterError:
        return error_at(self._text, problem, start)


def _unknown_key(key: str) -> str:
    first, _, rest = key.partition(".")
    if first in ("raw", "frames", "notes") and rest:
        return f"{first} has nothing named in it"
    keys = [*MESSAGE_KEYS, *GAP_KEYS, *SHORTCUTS]
    return f"no key {key}{did_you_mean(key, keys) or '; keys are those of a record, symbol, order, … or body.…'}"


def _joined(nodes: Sequence[_Node], join: Callable[[Sequence[Predicate]], Predicate]) -> _Node:
    """Joins parts of an expression; those that need no body come first, as they may decide alone."""
    if len(nodes) == 1:
        return nodes[0]
    nodes = sorted(nodes, key=operator.attrgetter("needs_body"))
    needs_body = any(node.needs_body for node in nodes)
    return _Node(needs_body, join([node.message for node in nodes]), join([node.gap for node in nodes]))


def _negated(node: _Node) -> _Node:
    return _Node(node.needs_body, _not(node.message), _not(node.gap))


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
