"""Generated functions that turn the messages of a body into tuples: the cells of one row, or what is around the rows.

One function for each list of entries, as `decoder.body.codegen` has one for each message type.  Most messages in a
list stood in the body before as well, so tuples are kept by the bytes of what they were made of, where an outline
leaves it unread.
"""

from __future__ import annotations

import json
import keyword
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import orjson

from decoder import schema
from decoder.body.codegen import REDACTED, builder
from decoder.body.scalars import plain_bytes, plain_float, plain_text
from decoder.formatting.escape import json_safe
from decoder.output.json_cache import Budget, NotCacheable, TypeCache
from decoder.output.table_columns import SECURITY, Entry, is_required, is_time
from decoder.output.table_names import PERCENT
from decoder.schema.fields import Field, fields_by_name, split_bits

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.schema.fields import Descriptor

__all__ = ["Row", "RowFunctions", "json_text"]

Row = tuple[Any, ...]
RowFunction = Callable[[Any], Row]
"""Takes a message, or the bytes of one that an outline left unread."""

_TIMES = 9.2e9
"""Seconds before and after 1970 that nanoseconds in 64 bits can say; what is beyond is no time."""

_TRADE_MARKETS = {"CN_SH": "SH", "CN_SZ": "SZ", "Unknown": ""}
"""Markets of a trade whose name is another one in a code of the SDK."""


class RowFunctions:
    """Makes functions from entries.

    :param strict: raise `NotCacheable` for a value that deserves a note, instead of putting it into the row as it is
    :param show_secrets: whether secret fields are shown
    """

    def __init__(self, *, strict: bool, show_secrets: bool) -> None:
        self._strict = strict
        self._show_secrets = show_secrets
        self._caches: dict[Any, TypeCache[Row]] = {}
        self._budget = Budget(self._caches)
        self._made: dict[Any, RowFunction] = {}
        self._markets = self._names(fields_by_name(schema.message_class(SECURITY).DESCRIPTOR)["market"], {})
        self._namespace: dict[str, Any] = {
            "plain_bytes": plain_bytes,
            "single": _single,
            "split": _split,
            "text": self._text,
            "trade_code": _trade_code,
        }

    def function(self, cls: type[ProtobufMessage], entries: tuple[Entry, ...]) -> RowFunction:
        """Returns the function for messages of `cls`, which may be an outline."""
        key = _key(cls, entries)
        made = self._made.get(key)
        if made is None:
            lines = ["def row(m):"]
            has = self._constant("has", cls.HasField)
            cells = [self._cells(entry, has, cls.DESCRIPTOR, lines) for entry in entries]
            lines.append(f" return ({''.join(f'{cell}, ' for cell in cells)})\n")
            scope: dict[str, Any] = {}
            exec(compile("\n".join(lines), f"<rows of {cls.DESCRIPTOR.full_name}>", "exec"), self._namespace, scope)
            made = self._made[key] = scope["row"]
        return made

    def cached(self, cls: type[ProtobufMessage], entries: tuple[Entry, ...]) -> RowFunction:
        """Returns a function that takes the bytes of a message of `cls` and remembers what became of them."""
        row = self.function(cls, entries)
        # (No size: what the cache counts for any entry, three times the bytes of the message, is what cells take.)
        return self._cache(_key(cls, entries), cls, lambda message: (row(message), 0))

    def _cache(
        self, key: object, cls: type[ProtobufMessage], make: Callable[[ProtobufMessage], tuple[Row, int]]
    ) -> RowFunction:
        if key not in self._caches:
            self._caches[key] = TypeCache(cls, make, self._budget)
        return self._caches[key].__getitem__

    def _constant(self, name: str, value: object) -> str:
        name = f"{name}_{len(self._namespace)}"
        self._namespace[name] = value
        return name

    def _cells(self, entry: Entry, has: str, descriptor: Descriptor, lines: list[str]) -> str:
        """Returns the source of the cells of `entry`, and adds the lines that read what they need."""
        field = entry.field
        is_there = f"{has}(m, {field.name!r})"
        if entry.form == "present":
            return is_there
        if entry.form in ("message", "code"):
            return self._message(entry, is_there, descriptor)
        v = f"v{len(lines)}"
        lines.append(f" {v} = {_read(field)}")
        if entry.form == "list":
            items = self._constant("items", self._items_function(field))
            return f"{items}({v}) if {v} else None"
        if field.secret and not self._show_secrets:
            return f"{REDACTED!r} if {is_there} else None"
        value = self._value(field, v)
        there = is_there if field.descriptor.default_value else f"{v} or {is_there}"
        if entry.form == "split":
            return f"*split({value})"
        other = entry.other
        if other is None:
            return value if is_required(field) else f"{value} if {there} else None"
        has_other = f"{has}(m, {other.name!r})"
        if entry.form == "trade_code":
            markets = self._constant("trade_markets", self._names(other, _TRADE_MARKETS))
            return f"trade_code({markets}[{_read(other)}] if {has_other} else '', {value})"
        plain = f"float({_read(other)})" if is_required(other) else f"float({_read(other)}) if {has_other} else None"
        return f"{value} if {there} else {plain}"

    def _value(self, field: Field, v: str) -> str:
        """An expression for the cell of a value that is there."""
        kind = field.kind
        if kind == "string":
            return f"({v} if {v}.__class__ is str else text({v}))"
        if kind == "enum":
            return f"{self._constant('names', self._names(field, {}))}[{v}]"
        if kind == "bits":
            return f"{self._constant('bits', self._bits_function(field))}({v})"
        if is_time(field):
            return f"(round({v} * 1e6) * 1000 if -{_TIMES} < {v} < {_TIMES} else None)"
        if kind == "double":
            percent = field.descriptor.full_name in PERCENT
            return f"(100 * {v})" if percent else v
        return {"float": f"single({v})", "bytes": f"plain_bytes({v})"}.get(kind, v)

    def _message(self, entry: Entry, is_there: str, descriptor: Descriptor) -> str:
        from google.protobuf.message_factory import GetMessageClass

        field = entry.field
        cls = GetMessageClass(field.message_type)
        own = descriptor.fields_by_name[field.name]
        if entry.form == "code":
            function: RowFunction = self._security
            if own.message_type is None:
                function = self._cache(cls, cls, lambda message: (self._security(message), 0))
        else:
            function = (self.cached if own.message_type is None else self.function)(cls, entry.entries)
        cells = f"{self._constant('part', function)}({_read(field)})"
        if is_required(field):
            return f"*{cells}"
        missing = self._constant("missing", (None,) * len(entry.columns))
        return f"*({cells} if {is_there} else {missing})"

    def _security(self, message: Any) -> Row:
        """The code of the SDK: market and code of a security."""
        code = message.code
        return (f"{self._markets[message.market]}.{code if code.__class__ is str else self._text(code)}",)

    def _names(self, field: Field, others: dict[str, str]) -> _Names:
        assert field.enum is not None
        # (0 in an enum of the vendor that has none says that nothing is set: no note.)
        known = {0: "0", **{number: str(name) for number, name in schema.enum_names(field.enum, "sdk").items()}}
        return _Names({number: others.get(name, name) for number, name in known.items()}, self._strict)

    def _bits_function(self, field: Field) -> Callable[[int], str]:
        names = schema.bit_names(field.descriptor, "sdk") or {}

        def format_bits(value: int) -> str:
            found, rest = split_bits(value, names)
            if rest and self._strict:
                raise NotCacheable
            return "|".join([*found, str(rest)] if rest or not found else found)

        return format_bits

    def _items_function(self, field: Field) -> Callable[[Iterable[Any]], str]:
        """Returns a function that writes a list as JSON, as JSON Lines has it."""
        if field.kind != "message":
            raise NotImplementedError(f"a list of {field.kind}: {field.descriptor.full_name}")
        from google.protobuf.message_factory import GetMessageClass

        build = builder(GetMessageClass(field.message_type), "sdk", not self._show_secrets, True)

        def write(items: Iterable[Any]) -> str:
            odd: list[str] = []
            plain = [build(item, odd) for item in items]
            if odd and self._strict:
                raise NotCacheable
            return json_text(plain)

        return write

    def _text(self, value: bytes) -> str:
        if self._strict:
            raise NotCacheable
        return plain_text(value)


class _Names(dict[int, str]):
    """Names of an enum's numbers; a number without a name shows as its digits."""

    def __init__(self, names: dict[int, str], strict: bool) -> None:
        super().__init__(names)
        self._strict = strict

    def __missing__(self, number: int) -> str:
        if self._strict:
            raise NotCacheable
        return str(number)


def _key(cls: type[ProtobufMessage], entries: tuple[Entry, ...]) -> object:
    return cls, tuple((entry.form, entry.field.name) for entry in entries)


def json_text(plain: Any) -> str:
    """Returns plain data as the JSON of the records, as text."""
    try:
        data = orjson.dumps(plain)
    except TypeError:  # integers beyond 64 bits, unpaired surrogates
        data = json.dumps(plain, separators=(",", ":")).encode()
    return json_safe(data).decode()


def _read(field: Field) -> str:
    name = field.name
    return f"getattr(m, {name!r})" if keyword.iskeyword(name) else f"m.{name}"


def _single(value: float) -> float:
    plain = plain_float(value)
    return plain if isinstance(plain, float) else value


def _split(time: str) -> tuple[str, str | None]:
    """Date and time of day, as the SDK parts them."""
    date, blank, rest = time.partition(" ")
    return date, rest if blank else None


def _trade_code(market: str, code: str) -> str:
    return f"{market}.{code}" if market else code
