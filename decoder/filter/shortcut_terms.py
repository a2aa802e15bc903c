"""Keys of ``--where`` that stand for a value wherever a body has it: `symbol`, `order`, `account`, `text`.

``symbol=HK.00700`` holds for every message with that security in any field, in the spelling of the text output;
``order=ID`` finds an order by either of its ids, in requests and responses alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from decoder import schema
from decoder.body.scalars import plain_text
from decoder.bounded import BoundedDict
from decoder.filter.values import ORDER, NoSuchValue, Predicate, Value, null_test
from decoder.schema.fields import fields_of

if TYPE_CHECKING:
    from decoder.message import Message
    from decoder.schema.fields import Descriptor, Field

__all__ = ["SHORTCUTS", "OrderTest", "shortcut_predicate", "symbols"]

Reader = Callable[[Any], Iterator[str]]
"""Reads values from a protobuf message of one type."""

_SECURITY = "Qot_Common.Security"
_QUOTE_MARKETS, _TRADE_MARKETS, _ACCOUNT_MARKETS = (
    "Qot_Common.QotMarket",
    "Trd_Common.TrdSecMarket",
    "Trd_Common.TrdMarket",
)
_ORDER_IDS = frozenset(("orderid", "orderidex", "orderidlist", "orderidexlist"))
_MAX_REQUESTS = 4096  # matching requests that are remembered for their responses: as many as a connection remembers
_MAX_ORDER_IDS = 4096  # ids taken for others of the order that was asked for
_ACCOUNT_IDS = frozenset(("accid", "accidlist"))


class _Collector:
    """Collects values from messages of any type, nested messages included.

    `own` returns the readers of the values that stand directly in a message type.
    """

    def __init__(self, own: Callable[[Descriptor], list[Reader]]) -> None:
        self._own = own
        self._readers: dict[Descriptor, list[Reader]] = {}

    def collect(self, message: Any) -> Iterator[str]:
        """Yields the values in a protobuf message."""
        readers = self._readers.get(message.DESCRIPTOR)
        if readers is None:
            readers = self._readers[message.DESCRIPTOR] = self._all(message.DESCRIPTOR)
        for read in readers:
            yield from read(message)

    def _all(self, descriptor: Descriptor) -> list[Reader]:
        readers = self._own(descriptor)
        for field in fields_of(descriptor):
            if field.kind == "message" and any(map(self._own, _types_within(field.message_type))):
                readers.append(self._nested(field))
        return readers

    def _nested(self, field: Field) -> Reader:
        name = field.name
        if field.repeated:
            return lambda message: (value for item in getattr(message, name) for value in self.collect(item))
        return lambda message: self.collect(getattr(message, name)) if message.HasField(name) else iter(())


@cache
def _types_within(descriptor: Descriptor) -> tuple[Descriptor, ...]:
    """Returns a message type and every type that can stand in it."""
    found: dict[Descriptor, None] = {descriptor: None}
    waiting = [descriptor]
    while waiting:
        for field in fields_of(waiting.pop()):
            if field.kind == "message" and field.message_type not in found:
                found[field.message_type] = None
                waiting.append(field.message_type)
    return tuple(found)


def _ids(names: frozenset[str]) -> Callable[[Descriptor], list[Reader]]:
    """Returns readers for the fields whose name, in lower case, is one of `names`."""

    def own(descriptor: Descriptor) -> list[Reader]:
        fields = [field for field in fields_of(descriptor) if field.name.casefold() in names and not field.secret]
        return [_scalar(field.name, field.repeated) for field in fields]

    return own


def _scalar(name: str, repeated: bool) -> Reader:
    if repeated:
        return lambda message: map(_plain, getattr(message, name))
    return lambda message: iter((_plain(getattr(message, name)),)) if message.HasField(name) else iter(())


def _plain(value: int | str | bytes) -> str:
    return str(value) if isinstance(value, int) else plain_text(value)


def _own_symbols(descriptor: Descriptor) -> list[Reader]:
    if descriptor.full_name == _SECURITY:
        return [lambda security: iter((_symbol(_QUOTE_MARKETS, security.market, security.code),))]
    names = {field.name for field in fields_of(descriptor)}
    return [_traded_symbol] if {"code", "secMarket"} <= names else []


def _traded_symbol(message: Any) -> Iterator[str]:
    """Yields the security of an order, a fill or a position; old gateways send no secMarket, but the account's."""
    if message.HasField("code"):
        if message.secMarket or not hasattr(message, "trdMarket"):
            yield _symbol(_TRADE_MARKETS, message.secMarket, message.code)
        else:
            yield _symbol(_ACCOUNT_MARKETS, message.trdMarket, message.code)


def _symbol(enum: str, market: int, code: str | bytes) -> str:
    """Returns market and code as the Python SDK writes them: ``HK.00700``; the code alone without a market."""
    text = plain_text(code)
    return f"{_market_names(enum).get(market, market)}.{text}" if market else text


@cache
def _market_names(enum: str) -> dict[int, str]:
    shown = schema.enum_names(schema.enum_descriptor(enum), "sdk")
    return {number: str(name).removeprefix("CN_") for number, name in shown.items()}


_symbols = _Collector(_own_symbols)


def symbols(message: Message) -> Iterator[str]:
    """Yields the securities in a message's body, ``HK.00700``, in the order of its fields."""
    return iter(()) if message.protobuf is None else _symbols.collect(message.protobuf)


def _text(message: Message) -> Iterator[str]:
    """Yields every text that a message's record has, without secrets, and its securities as they are printed."""
    record = message.record()
    for key in ("proto", "kind", "verdict", "reason", "encryption", "ret_type", "notes", "body", "raw"):
        yield from _leaves(record[key])
    yield from symbols(message)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield str(value)


def _collected(collector: _Collector) -> Callable[[Message], Iterable[str]]:
    return lambda message: () if message.protobuf is None else collector.collect(message.protobuf)


def _both_ids(descriptor: Descriptor) -> list[Reader]:
    """Returns the reader of messages that name one order by both of its ids."""
    names = {field.name for field in fields_of(descriptor)}
    return [_pair_of_ids] if {"orderID", "orderIDEx"} <= names else []


def _pair_of_ids(message: Any) -> Iterator[str]:
    first, second = _plain(message.orderID), _plain(message.orderIDEx)
    if first not in ("", "0") and second:
        yield f"{first} {second}"


_orders = _Collector(_ids(_ORDER_IDS))
_order_pairs = _Collector(_both_ids)


class OrderTest:
    """Finds the messages of an order by one of its ids.

    The other id is learned from messages that have both, and a response belongs to an order if its request does: that
    of a failed modification has no id.  So each message must pass `watch`, in order, before it is tested.
    """

    def __init__(self, value: Value) -> None:
        self._value = value
        self._ids: set[str] = set()
        self._requests: BoundedDict[int, None] = BoundedDict(_MAX_REQUESTS)
        self._last: tuple[Message | None, bool] = (None, False)

    def watch(self, message: Message) -> None:
        """Decides about the next message, and learns from it."""
        holds = message.request is not None and message.request in self._requests
        if not holds and message.proto_id in _order_protocols() and message.protobuf is not None:
            holds = any(map(self._fits, _orders.collect(message.protobuf)))
            if holds and len(self._ids) < _MAX_ORDER_IDS:
                for pair in _order_pairs.collect(message.protobuf):
                    if any(map(self._fits, ids := pair.split(" ", 1))):
                        self._ids.update(ids)
        if holds and message.kind == "request":
            self._requests[message.number] = None
        self._last = message, holds

    def _fits(self, text: str) -> bool:
        return self._value.fits(text) or text in self._ids

    def holds(self, message: Message) -> bool:
        """Returns what was decided about the message that was watched last."""
        if self._last[0] is not message:
            self.watch(message)
        return self._last[1]


@cache
def _order_protocols() -> frozenset[int]:
    """Returns the ids of the protocols whose messages can name an order."""
    own = _ids(_ORDER_IDS)
    return frozenset(
        known.proto_id
        for known in schema.protocols()
        for name in (known.request, known.response)
        if name and any(map(own, _types_within(schema.message_class(name).DESCRIPTOR)))
    )


_READERS: dict[str, Callable[[Message], Iterable[str]]] = {
    "symbol": symbols,
    "order": _collected(_orders),
    "account": _collected(_Collector(_ids(_ACCOUNT_IDS))),
    "text": _text,
}

SHORTCUTS = tuple(_READERS)
"""The keys of this module."""


def shortcut_predicate(key: str, sign: str, value: Value) -> Predicate:
    """Returns a test of messages for one of `SHORTCUTS`.  Raises NoSuchValue for an operator that it does not take."""
    read = _READERS[key]
    if key == "text" and not value.fold:
        raise NoSuchValue("text is all of a message: look for a part of it with text~word")
    if sign in ORDER:
        raise NoSuchValue(f"{key} has no order: use =, != or ~")
    if value.null:
        return null_test(sign, lambda message: not any(True for _ in read(message)))
    fits = value.fits
    if key == "symbol":
        upper = Value(value.text.upper(), value.parts and tuple(part.upper() for part in value.parts), False)
        fits = value.fits if value.fold else lambda text: upper.fits(text.upper()) or upper.fits(_code(text))
    if sign == "!=":
        return lambda message: bool(found := list(read(message))) and not any(map(fits, found))
    return lambda message: any(map(fits, read(message)))


def _code(symbol: str) -> str:
    return symbol.partition(".")[2].upper()
