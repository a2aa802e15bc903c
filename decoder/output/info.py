"""Writes the Info column: the fields of a message that matter, on one line (``HK.00700 BUY 200@380.2``).

Every line of the text output has this column, so a function is generated for each message type from its template, with
the enum names and the functions of nested types as constants.  Reading a field costs 0.07 µs, formatting a float 0.6:
the texts of floats and words are kept in bounded tables (CPython 3.11).
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from decoder import schema
from decoder.body.parse import parse_errors
from decoder.formatting.clock import local_time, zone_of
from decoder.formatting.escape import quote
from decoder.output.info_templates import TEMPLATES
from decoder.output.info_words import Place, Word, condition_of, is_nested, words_of
from decoder.schema.annotations import annotation
from decoder.schema.fields import Field, fields_by_name, split_bits

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.schema.fields import Descriptor
    from decoder.vocabulary import EnumStyle

__all__ = [
    "REDACTED",
    "InfoColumn",
    "InfoWriter",
    "Reader",
    "TextCache",
    "bits_text",
    "market_names",
    "market_zones",
    "time_with_zone",
]

REDACTED = "[redacted]"

InfoWriter = Callable[["ProtobufMessage"], str]
"""Writes the Info column of a parsed body."""
Reader = Callable[[bytes], "str | None"]
"""Parses a body and writes its Info column; None where the caller must look at the body itself."""
Key = TypeVar("Key")

_MAX_LISTED = 8  # nested messages shown of a list that a template shows in full: a login rarely has more accounts
_MAX_ITEMS = 3  # items shown of a list of numbers or names: more would push other fields off the line
_MAX_TEXTS = 16_384  # entries of a TextCache; then it is emptied
_MAX_KEPT_TEXT = 80  # characters of a text that a TextCache keeps: 1.3 million characters in all at most


class TextCache(dict[Key, str]):
    """Keeps the texts of values, a bounded number of them; `make` writes the text of a new value."""

    def __init__(self, make: Callable[[Any], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Key) -> str:
        text = self._make(key)
        if len(self) >= _MAX_TEXTS:
            self.clear()
        if len(text) < _MAX_KEPT_TEXT:
            self[key] = text
        return text


class InfoColumn:
    """Writes the Info column in one enum style, with or without secrets."""

    def __init__(self, enums: EnumStyle = "sdk", *, show_secrets: bool = False, utc: bool = False) -> None:
        self._enums: EnumStyle = enums
        self._show_secrets = show_secrets
        self._writers: dict[type[ProtobufMessage], InfoWriter] = {}
        self._readers: dict[type[ProtobufMessage], Reader] = {}
        self._nested_writers: dict[tuple[str, int], str] = {}
        quoted = TextCache[tuple[int, str]](_code_namer("Qot_Common.QotMarket"))
        self._namespace: dict[str, Any] = {
            # -0.0 and 0.0 are the same key; the sum is 0.0 for both.
            "doubles": TextCache[float](lambda value: f"{value + 0.0:.15g}"),
            "floats": TextCache[float](lambda value: f"{value + 0.0:.7g}"),
            "words": TextCache[Any](quote),
            "flags": {False: "false", True: "true"},
            "moments": TextCache[float](lambda value: local_time(value, utc)),
            "more": TextCache[int](lambda length: f" (+{length - 1} more)" if length > 1 else ""),
            "quoted": quoted,
            "quoted_text": lambda security: quoted[security.market, security.code],
            "traded": TextCache[tuple[int, str]](_code_namer("Trd_Common.TrdSecMarket")),
            "dated": TextCache[tuple[str, float]](time_with_zone),
            "zones": market_zones(),
            "listing": _listing,
            "each": _each,
            "enclosed": lambda name, text: text and f" {name}({text[1:]})",
        }

    def of(self, body: ProtobufMessage) -> str:
        """Returns the Info column of a body, with a space before each word."""
        return self.writer(type(body))(body)

    def writer(self, cls: type[ProtobufMessage]) -> InfoWriter:
        """Returns the function that writes the Info column of bodies of class `cls`."""
        writer = self._writers.get(cls)
        if writer is None:
            writer = self._writers[cls] = self._body_function(cls, "m", ())
        return writer

    def reader(self, cls: type[ProtobufMessage]) -> Reader:
        """Returns a function that parses a body of class `cls` and writes its Info column in one call.

        That function returns None where the line needs more than this column: the body does not parse, its retType is
        not 0, a request has no c2s.  It does not check for missing required fields deep inside: that takes as long as
        writing the column.
        """
        read = self._readers.get(cls)
        if read is None:
            self._namespace["parse_errors"] = parse_errors()
            parse = f"try: m = {self._constant('parse', cls.FromString)}(data)"
            fields, start = cls.DESCRIPTOR.fields_by_name, [parse, "except parse_errors: return None"]
            if "retType" in fields:
                start.append("if m.retType: return None")
            elif "c2s" in fields:
                start.append(f"if not {self._constant('has', cls.HasField)}(m, 'c2s'): return None")
            read = self._readers[cls] = self._body_function(cls, "data", start)
        return read

    def _body_function(self, cls: type[ProtobufMessage], argument: str, start: Sequence[str]) -> Any:
        """Generates the function for a whole body: it writes the c2s or s2c of the body, where there is one."""
        name = f"body_{len(self._namespace)}"
        descriptor = cls.DESCRIPTOR
        for wrapped in ("c2s", "s2c"):
            if wrapped in descriptor.fields_by_name:
                has = self._constant("has", cls.HasField)
                start = (*start, f"if not {has}(m, {wrapped!r}): return ''", f"m = m.{wrapped}")
                descriptor = fields_by_name(descriptor)[wrapped].message_type
        self._generate(name, argument, start, descriptor, 0)
        return self._namespace[name]

    def _nested_writer(self, descriptor: Descriptor, depth: int) -> str:
        """Returns the name of the function for a nested type; generates the function at the first call."""
        if descriptor.full_name in TEMPLATES:
            depth = 0
        name = self._nested_writers.get((descriptor.full_name, depth))
        if name is None:
            name = self._nested_writers[descriptor.full_name, depth] = f"info_{len(self._nested_writers)}"
            self._generate(name, "m", (), descriptor, depth)
        return name

    def _generate(self, name: str, argument: str, start: Sequence[str], descriptor: Descriptor, depth: int) -> None:
        source = "\n ".join((f"def {name}({argument}):", *start, *self._statements(descriptor, depth)))
        exec(compile(source, f"<info of {descriptor.full_name}>", "exec"), self._namespace)

    def _statements(self, descriptor: Descriptor, depth: int) -> Iterator[str]:
        """Yields the statements of a function; adjacent words that need no test share one f-string."""
        pending, so_far = "", ""
        for text, tests in self._words(descriptor, "m", depth):
            if not tests:
                pending += text
                continue
            if pending or not so_far:
                yield f's = {so_far}f"{pending}"'
                pending, so_far = "", "s + "
            yield f'if {" and ".join(tests)}: s += f"{text}"'
        yield f'return {so_far}f"{pending}"' if pending or not so_far else "return s"

    def _words(self, descriptor: Descriptor, owner: str, depth: int) -> Iterator[tuple[str, list[str]]]:
        """Yields each word of the template as part of an f-string, with the tests under which it is shown.

        `owner` is the variable that holds the message.
        """
        for group in words_of(descriptor, depth):
            tests = list[str]()
            yield "".join(self._word(word, owner, depth, tests) for word in group), tests

    def _word(self, word: Word, owner: str, depth: int, tests: list[str]) -> str:
        text = " "
        for part in word:
            if isinstance(part, str):
                text += part
            elif is_nested(part.field) and part.mark != "#" and not self._hides(part.field):
                return self._nested(part.field, owner, part.mark, depth, tests)
            else:
                text += self._place(part, owner, tests)
        return text

    def _place(self, place: Place, owner: str, tests: list[str]) -> str:
        """Returns the part of an f-string for one ``{…}`` of a template that is not a nested message."""
        field, second = place.field, place.second
        read = _read(owner, field.name)
        if place.mark == "#":
            return f"{field.name}[{{len({read})}}]"
        if place.mark == "@":
            tests.append(f"(zone := zones.get({read}.market))")
            return "{zone}"
        if second is not None and place.sign == "+":
            return f"{{traded[{_read(owner, second.name)}, {read}]}}"
        if second is not None and place.sign == "/":
            return self._preferred(second, field, owner, tests)
        if place.above is not None:
            tests.append(f"{read} > {place.above}")
        else:
            read = self._test(field, owner, tests, not_zero=place.mark == "*")
        if self._hides(field):
            return REDACTED
        if second is not None:
            return f"{{dated[{read}, {_read(owner, second.name)}]}}"
        return self._value(field, read, place.choice)

    def _preferred(self, first: Field, second: Field, owner: str, tests: list[str]) -> str:
        """Returns the part of an f-string that writes the scalar `first` if it is present and not 0, else `second`."""
        var = f"{owner}_{first.descriptor.number}"
        present = f"({var} := {_read(owner, first.name)})"
        own_tests: list[str] = []
        other = self._value(second, self._test(second, owner, own_tests), None)[1:-1]
        if own_tests:
            tests.append(f"({present} or {own_tests[0]})")
            present = var
        return f"{{{self._table(first)}[{var}] if {present} else {other}}}"

    def _nested(self, field: Field, owner: str, mark: str, depth: int, tests: list[str]) -> str:
        """Like `_word`, for a nested message or the first of a list of them; its words bring their own spaces."""
        message = self._test(field, owner, tests)
        if mark == "&":
            writer = self._nested_writer(field.message_type, depth + 1)
            return f"{{each({message}, {writer})}}"
        more = ""
        if field.repeated:
            more = "" if mark == "^" else f"{{more[len({message})]}}"
            message += "[0]"
        if tests and field.message_type.full_name in TEMPLATES:
            var = f"{owner}{field.descriptor.number}"
            inner = list(self._words(field.message_type, var, 0))
            if not any(needed for _, needed in inner):
                # All its fields are always present: its words can stand here, which saves a call.
                tests.append(f"({var} := {message})")
                return "".join(text for text, _ in inner) + more
        call = f"{self._nested_writer(field.message_type, depth + 1)}({message})"
        return f"{{enclosed({field.name!r}, {call})}}" if mark == "(" else f"{{{call}}}{more}"

    def _test(self, field: Field, owner: str, tests: list[str], *, not_zero: bool = False) -> str:
        """Returns the expression that reads the field; adds to `tests` how to test that it is present."""
        read = _read(owner, field.name)
        var = f"{owner}_{field.descriptor.number}"
        test = condition_of(field, not_zero=not_zero)
        if test == "not-zero":
            tests.append(f"({var} := {read})")
            return var
        if test == "always":
            return read
        has = f"{self._constant('has', _class_of(field).HasField)}({owner}, {field.name!r})"
        if field.kind == "message":
            tests.append(has)
            return read
        tests.append(f"(({var} := {read}) or {has})")
        return var

    def _value(self, field: Field, read: str, choice: tuple[str, str] | None) -> str:
        """Returns the part of an f-string that writes a scalar, a security, or a list of either."""
        security = field.kind == "message"
        if field.repeated:
            return f"{{listing({read}, {'quoted_text' if security else self._text_function(field)})}}"
        if security:
            return f"{{quoted[(x := {read}).market, x.code]}}"
        if choice is not None:
            return f"{{{choice[0]!r} if {read} else {choice[1]!r}}}"
        table = self._table(field)
        return f"{{{read}}}" if table is None else f"{{{table}[{read}]}}"

    def _hides(self, field: Field) -> bool:
        return field.secret and not self._show_secrets

    def _table(self, field: Field) -> str | None:
        """Returns the name of the table with the texts of a scalar field's values; None for plain integers."""
        if field.kind == "enum" and field.enum is not None:
            return self._constant("enum", _Names(field.enum, self._enums))
        if field.kind == "bits" and (names := schema.bit_names(field.descriptor, self._enums)):
            return self._constant("bits", TextCache[int](lambda value: bits_text(value, names)))
        if field.kind == "bytes":
            return self._constant("sizes", TextCache[bytes](lambda value: f"({len(value)} bytes)"))
        if annotation(field.descriptor, "kind") == "SECONDS":
            return "moments"
        return {"double": "doubles", "float": "floats", "string": "words", "bool": "flags"}.get(field.kind)

    def _text_function(self, field: Field) -> str:
        """Returns the name of a function that writes one value of a list."""
        table = self._table(field)
        return "str" if table is None else f"{table}.__getitem__"

    def _constant(self, prefix: str, value: object) -> str:
        name = f"{prefix}_{len(self._namespace)}"
        self._namespace[name] = value
        return name


class _Names(dict[int, str]):
    """Maps the numbers of an enum to names; a number without a name shows as the number."""

    def __init__(self, enum: EnumDescriptor, style: EnumStyle) -> None:
        super().__init__((number, str(name)) for number, name in schema.enum_names(enum, style).items())

    def __missing__(self, number: int) -> str:
        return str(number)


def _read(owner: str, name: str) -> str:
    return f"getattr({owner}, {name!r})" if keyword.iskeyword(name) else f"{owner}.{name}"


def _class_of(field: Field) -> type[ProtobufMessage]:
    containing = field.descriptor.containing_type
    assert containing is not None
    return schema.message_class(containing.full_name)


def _listing(values: Sequence[Any], text: Callable[[Any], str]) -> str:
    shown = ",".join(map(text, values[:_MAX_ITEMS]))
    rest = len(values) - _MAX_ITEMS
    return shown if rest <= 0 else f"{shown} (+{rest} more)"


def _each(messages: Sequence[ProtobufMessage], writer: InfoWriter) -> str:
    shown = ";".join(map(writer, messages[:_MAX_LISTED]))
    rest = len(messages) - _MAX_LISTED
    return shown if rest <= 0 else f"{shown} (+{rest} more)"


def time_with_zone(time_and_stamp: tuple[str | bytes, float]) -> str:
    """Returns a time text, with its zone where the time stamp (seconds since 1970) beside it tells that."""
    text, stamp = time_and_stamp
    zone = zone_of(text, stamp)
    return f"{quote(text)} {zone}" if zone else quote(text)


def market_zones() -> dict[int, str]:
    """Returns the zone of the time texts of each quote market, by its number, where it is known.

    Source: the vendor's documentation and frames of a real gateway (crypto is in US Eastern too).
    """
    zones = {"HK": "UTC+8", "SH": "UTC+8", "SZ": "UTC+8", "US": "US/Eastern", "CC": "US/Eastern"}
    names = schema.enum_names(schema.enum_descriptor("Qot_Common.QotMarket"), "sdk")
    return {number: zones[name] for number, name in names.items() if name in zones}


def bits_text(value: int, names: dict[int, str]) -> str:
    """Returns the names of the bits of a value, joined by ``|``; the number of those without a name."""
    found, rest = split_bits(value, names)
    return "|".join([*found, str(rest)] if rest or not found else found)


def market_names(enum: str) -> dict[int, str]:
    """Returns the names of the markets of an enum as they stand before the code of a security."""
    shown = schema.enum_names(schema.enum_descriptor(enum), "sdk")
    return {number: str(name).removeprefix("CN_") for number, name in shown.items()}


def _code_namer(enum: str) -> Callable[[tuple[int, str | bytes]], str]:
    """Returns a function that writes market and code of a security as the Python SDK does: ``HK.00700``."""
    names = market_names(enum)

    def text(security: tuple[int, str | bytes]) -> str:
        market, code = security
        return f"{names.get(market, market)}.{quote(code)}" if market else quote(code)

    return text
