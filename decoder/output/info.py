"""The fields of a message that matter, on one line: ``HK.00700 BUY 200@380.2``.

Every line of the text output holds one, so a function is generated for each message type from its template, with the
enum names and the functions of nested types as constants.  Reading a field costs 0.07 µs, formatting a float 0.6, so
floats and words are looked up in bounded tables of what was formatted before (CPython 3.11).
"""

from __future__ import annotations

import keyword
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from decoder import schema
from decoder.body.parse import parse_errors
from decoder.formatting.escape import quote
from decoder.output.info_templates import TEMPLATES
from decoder.schema.annotations import annotation, label
from decoder.schema.fields import Field, fields_by_name, fields_of, split_bits

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.schema.fields import Descriptor
    from decoder.vocabulary import EnumStyle

__all__ = ["REDACTED", "Digest", "InfoColumn", "Reader", "TextCache", "latency_text", "local_time"]

REDACTED = "[redacted]"

Digest = Callable[["ProtobufMessage"], str]
Reader = Callable[[bytes], "str | None"]
Key = TypeVar("Key")

_ITEMS = 3  # of a list of numbers or names that are shown
_FIELDS = 64  # of a type without a template
_DEPTH = 2  # to which messages without a template are opened
_MEMO, _MEMO_TEXT = 16_384, 80
_GROUP = re.compile(r"\[[^\]]*\]|\S+")
_PLACE = re.compile(r"\{([#*^(]?)(\w+)(?:\)|\?([^|}]*)\|([^}]*)|\+(\w+))?\}")
_ELSEWHERE = ("retType", "retMsg", "errCode", "packetID")  # in another column, or in the tree only
_SECURITY = "Qot_Common.Security"
_QUOTE_HEADER = "Qot_Common.QotHeader"


class TextCache(dict[Key, str]):
    """A bounded table of texts; a missing one is made by `make`."""

    def __init__(self, make: Callable[[Any], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Key) -> str:
        text = self._make(key)
        if len(self) >= _MEMO:
            self.clear()
        if len(text) < _MEMO_TEXT:
            self[key] = text
        return text


def local_time(seconds: float, utc: bool) -> str:
    """A time in seconds since 1970 as ``2023-11-15 09:30:00``, local or UTC; the bare number if no calendar has it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds) if utc else time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.15g}"


def latency_text(nanoseconds: int) -> str:
    """A latency with three significant digits, in the unit that suits it: ``545 µs``."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        value = nanoseconds / size
        if abs(value) >= 0.9995:
            return f"{value:.{2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0}f} {unit}"
    return f"{nanoseconds} ns"


class InfoColumn:
    """Makes and keeps the digest functions of one enum style, with or without secrets."""

    def __init__(self, enums: EnumStyle = "sdk", *, show_secrets: bool = False, utc: bool = False) -> None:
        self._enums: EnumStyle = enums
        self._show_secrets = show_secrets
        self._bodies: dict[type[ProtobufMessage], Digest] = {}
        self._readers: dict[type[ProtobufMessage], Reader] = {}
        self._made: dict[tuple[str, int], str] = {}
        quoted = TextCache[tuple[int, str]](_code_namer("Qot_Common.QotMarket"))
        self._namespace: dict[str, Any] = {
            "doubles": TextCache[float](lambda value: f"{value:.15g}"),
            "floats": TextCache[float](lambda value: f"{value:.7g}"),
            "words": TextCache[Any](quote),
            "flags": {False: "false", True: "true"},
            "moments": TextCache[float](lambda value: local_time(value, utc)),
            "more": TextCache[int](lambda length: f" (+{length - 1} more)" if length > 1 else ""),
            "quoted": quoted,
            "quoted_text": lambda security: quoted[security.market, security.code],
            "traded": TextCache[tuple[int, str]](_code_namer("Trd_Common.TrdSecMarket")),
            "listing": _listing,
            "enclosed": lambda name, text: text and f" {name}({text[1:]})",
        }

    def of(self, body: ProtobufMessage) -> str:
        """The digest of a whole body; every word of it has a space before it."""
        return self.function(type(body))(body)

    def function(self, cls: type[ProtobufMessage]) -> Digest:
        """The digest function of a body's class."""
        digest = self._bodies.get(cls)
        if digest is None:
            digest = self._bodies[cls] = self._body_function(cls, "m", ())
        return digest

    def reader(self, cls: type[ProtobufMessage]) -> Reader:
        """The function that parses a body of this class and gives its digest, without a call between the two.

        It gives None where there is more to say: the body does not parse, its retType is not 0, a request is empty.
        Whether required fields are missing deep in it is a question that takes as long as the digest itself.
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
        """Generate a function that gives the digest of a whole body: of the c2s or s2c in it, where it has one."""
        name = f"body_{len(self._namespace)}"
        descriptor = cls.DESCRIPTOR
        for wrapped in ("c2s", "s2c"):
            if wrapped in descriptor.fields_by_name:
                has = self._constant("has", cls.HasField)
                start = (*start, f"if not {has}(m, {wrapped!r}): return ''", f"m = m.{wrapped}")
                descriptor = fields_by_name(descriptor)[wrapped].message_type
        self._generate(name, argument, start, descriptor, 0)
        return self._namespace[name]

    def _make(self, descriptor: Descriptor, depth: int) -> str:
        """Generate the function of a type, if there is none yet; gives its name."""
        if descriptor.full_name in TEMPLATES:
            depth = 0
        name = self._made.get((descriptor.full_name, depth))
        if name is None:
            name = self._made[descriptor.full_name, depth] = f"digest_{len(self._made)}"
            self._generate(name, "m", (), descriptor, depth)
        return name

    def _generate(self, name: str, argument: str, start: Sequence[str], descriptor: Descriptor, depth: int) -> None:
        source = "\n ".join((f"def {name}({argument}):", *start, *self._statements(descriptor, depth)))
        exec(compile(source, f"<digest of {descriptor.full_name}>", "exec"), self._namespace)

    def _statements(self, descriptor: Descriptor, depth: int) -> Iterator[str]:
        """The body of a function; neighbouring words that need no test are formatted in one go."""
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
        """Words of the template as parts of an f-string, a space before each; with each what must hold for it.

        `owner` is the variable that holds the message.
        """
        fields = fields_by_name(descriptor)
        for group in _GROUP.findall(TEMPLATES.get(descriptor.full_name) or _generic(descriptor, depth)):
            text, tests = "", list[str]()
            for word in group[1:-1].split() if group[0] == "[" else [group]:
                text += self._word(word, fields, owner, depth, tests)
            yield text, tests

    def _word(self, word: str, fields: dict[str, Field], owner: str, depth: int, tests: list[str]) -> str:
        parts = _PLACE.split(word)
        text = parts[0]
        for i in range(1, len(parts), 6):
            mark, name, yes, no, second, literal = parts[i : i + 6]
            field = fields[name]
            read = _read(owner, name)
            if mark == "#":
                text += f"{name}[{{len({read})}}]"
            elif second:
                text += f"{{traded[{_read(owner, second)}, {read}]}}"
            elif _is_nested(field) and not self._hides(field):
                return self._nested(field, owner, mark, depth, tests)
            else:
                read = self._test(field, owner, tests, not_zero=mark == "*")
                text += REDACTED if self._hides(field) else self._value(field, read, (yes, no))
            text += literal
        return f" {text}"

    def _nested(self, field: Field, owner: str, mark: str, depth: int, tests: list[str]) -> str:
        """As `_word`, for a message or the first of a list of messages; its words have their spaces."""
        message = self._test(field, owner, tests)
        more = ""
        if field.repeated:
            more = "" if mark == "^" else f"{{more[len({message})]}}"
            message += "[0]"
        if tests and field.message_type.full_name in TEMPLATES:
            var = f"{owner}{field.descriptor.number}"
            inner = list(self._words(field.message_type, var, 0))
            if not any(needed for _, needed in inner):
                # Nothing in it can be absent: no need for a call.
                tests.append(f"({var} := {message})")
                return "".join(text for text, _ in inner) + more
        call = f"{self._make(field.message_type, depth + 1)}({message})"
        return f"{{enclosed({field.name!r}, {call})}}" if mark == "(" else f"{{{call}}}{more}"

    def _test(self, field: Field, owner: str, tests: list[str], *, not_zero: bool = False) -> str:
        """Add to `tests` what must hold for the field to be shown, if it can be absent; gives how to read it then."""
        read = _read(owner, field.name)
        var = f"{owner}_{field.descriptor.number}"
        if not_zero or field.repeated or field.kind in ("string", "bytes") or _zero_is_nothing(field):
            tests.append(f"({var} := {read})")
            return var
        if label(field.descriptor) == "required":
            return read
        has = f"{self._constant('has', _class_of(field).HasField)}({owner}, {field.name!r})"
        if field.kind == "message":
            tests.append(has)
            return read
        tests.append(f"(({var} := {read}) or {has})")
        return var

    def _value(self, field: Field, read: str, choice: tuple[str | None, str | None]) -> str:
        """The part of an f-string that writes a scalar, a security, or a list of either."""
        security = field.kind == "message"
        if field.repeated:
            return f"{{listing({read}, {'quoted_text' if security else self._text_function(field)})}}"
        if security:
            return f"{{quoted[(x := {read}).market, x.code]}}"
        if choice[0] is not None:
            return f"{{{choice[0]!r} if {read} else {choice[1]!r}}}"
        table = self._table(field)
        return f"{{{read}}}" if table is None else f"{{{table}[{read}]}}"

    def _hides(self, field: Field) -> bool:
        return field.secret and not self._show_secrets

    def _table(self, field: Field) -> str | None:
        """The name of the table with the texts of a scalar field's values; None for plain integers."""
        if field.kind == "enum" and field.enum is not None:
            return self._constant("enum", _Names(field.enum, self._enums))
        if field.kind == "bits" and (names := schema.bit_names(field.descriptor, self._enums)):
            return self._constant("bits", TextCache[int](lambda value: _bits_text(value, names)))
        if field.kind == "bytes":
            return self._constant("sizes", TextCache[bytes](lambda value: f"({len(value)} bytes)"))
        if annotation(field.descriptor, "kind") == "SECONDS":
            return "moments"
        return {"double": "doubles", "float": "floats", "string": "words", "bool": "flags"}.get(field.kind)

    def _text_function(self, field: Field) -> str:
        """The name of a function that gives the text of one value of a list."""
        table = self._table(field)
        return "str" if table is None else f"{table}.__getitem__"

    def _constant(self, prefix: str, value: object) -> str:
        name = f"{prefix}_{len(self._namespace)}"
        self._namespace[name] = value
        return name


class _Names(dict[int, str]):
    """The names of an enum's numbers; a number without one is shown as itself."""

    def __init__(self, enum: EnumDescriptor, style: EnumStyle) -> None:
        super().__init__((number, str(name)) for number, name in schema.enum_names(enum, style).items())

    def __missing__(self, number: int) -> str:
        return str(number)


def _read(owner: str, name: str) -> str:
    return f"getattr({owner}, {name!r})" if keyword.iskeyword(name) else f"{owner}.{name}"


def _is_nested(field: Field) -> bool:
    return field.kind == "message" and field.message_type.full_name != _SECURITY


def _zero_is_nothing(field: Field) -> bool:
    """Whether 0 says no more than absence does: an optional enum whose 0 is called None or Unknown."""
    if field.kind != "enum" or field.enum is None or label(field.descriptor) == "required":
        return False
    return str(schema.enum_names(field.enum, "sdk").get(0)).upper() in ("NONE", "UNKNOWN")


def _class_of(field: Field) -> type[ProtobufMessage]:
    containing = field.descriptor.containing_type
    assert containing is not None
    return schema.message_class(containing.full_name)


def _listing(values: Sequence[Any], text: Callable[[Any], str]) -> str:
    shown = ",".join(map(text, values[:_ITEMS]))
    rest = len(values) - _ITEMS
    return shown if rest <= 0 else f"{shown} (+{rest} more)"


def _bits_text(value: int, names: dict[int, str]) -> str:
    found, rest = split_bits(value, names)
    return "|".join([*found, str(rest)] if rest or not found else found)


def _code_namer(enum: str) -> Callable[[tuple[int, str | bytes]], str]:
    """Gives the function that writes market and code of a security as the Python SDK does: ``HK.00700``."""
    shown = schema.enum_names(schema.enum_descriptor(enum), "sdk")
    names = {number: str(name).removeprefix("CN_") for number, name in shown.items()}

    def text(security: tuple[int, str | bytes]) -> str:
        market, code = security
        return f"{names.get(market, market)}.{quote(code)}" if market else quote(code)

    return text


def _generic(descriptor: Descriptor, depth: int) -> str:
    """The template of a type that has none: securities, scalars, then lists and messages, the trade header last."""
    words: tuple[list[str], ...] = ([], [], [], [])
    for field in fields_of(descriptor):
        name = field.name
        if name in _ELSEWHERE or name.endswith("imestamp"):  # a time that stands there as text too
            continue
        if not _is_nested(field):
            place = 0 if field.kind == "message" else 2 if field.repeated else 1
            words[place].append(f"{{{name}}}" if name in ("security", "securityList") else f"{name}={{{name}}}")
            continue
        templated = field.message_type.full_name in TEMPLATES
        if field.repeated:
            words[2].append(f"{{#{name}}}")
        if depth < _DEPTH and (templated or not field.repeated) and field.message_type.full_name != _QUOTE_HEADER:
            words[3 if name == "header" else 2].append(f"{{{name}}}" if templated else f"{{({name})}}")
    return " ".join([word for kind in words for word in kind][:_FIELDS])
