"""Makes the renderer of the compiled core for lines of text: the Info column as programs, out of the same templates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder import schema
from decoder.bounded import BoundedDict
from decoder.core import TextLines
from decoder.formatting.clock import local_time
from decoder.formatting.escape import quote
from decoder.message import Message
from decoder.output.core_tables import FieldTexts, TypeTables, flow_table
from decoder.output.info import REDACTED, bits_text, market_names, market_zones, time_with_zone
from decoder.output.info_templates import TEMPLATES
from decoder.output.info_words import Place, Word, condition_of, is_nested, words_of
from decoder.schema.annotations import annotation
from decoder.schema.fields import fields_by_name

if TYPE_CHECKING:
    from decoder import _core
    from decoder.body.body import Kind
    from decoder.message import Flow
    from decoder.schema.fields import Descriptor, Field
    from decoder.vocabulary import Direction, EnumStyle

__all__ = ["compiled_text_lines"]

_MAX_CACHED = 8_192  # texts of each kind of value


class _Op(NamedTuple):
    """One step of a program, in the order in which the core takes it; enum op_code in core_text.h has the meanings."""

    begins: bool = False
    code: str = "text"
    test: str = "always"
    field: int = 0
    other: int = 0
    limit: int = 0
    text: bytes = b""
    other_text: bytes = b""
    names: dict[int, bytes] | None = None
    mapping: Any = None
    program: int | None = None
    counts: bool = False


def compiled_text_lines(
    enums: EnumStyle,
    *,
    show_secrets: bool,
    utc: bool,
    flow_texts: Callable[[Flow], tuple[bytes, bytes]],
    label: Callable[[int, str | None], str],
    line: Callable[[Any], str],
) -> _core.TextLines | None:
    """Returns the renderer of the compiled core, or None if Python must do.

    :param flow_texts: returns the columns of a flow (zone, connection, arrow), and the unit of microseconds
    :param label: returns the column of a protocol, by its id and name
    :param line: returns the line of a record that the core leaves to Python
    """
    if TextLines is None:
        return None
    programs = _Programs(enums, show_secrets, utc, label)
    quoted = BoundedDict[bytes, bytes](_MAX_CACHED, lambda text: quote(text.decode()).encode())
    renderer = programs.renderer = TextLines(
        quoted,
        Message,
        flow_table(programs.body, flow_texts),
        lambda second: local_time(second, utc).encode(),
        lambda item: line(item).encode(),
    )
    programs.types = TypeTables(renderer.add_type, programs.texts)
    return renderer


class _Programs:
    """Makes types, programs and bodies as the renderer asks for them.

    :ivar renderer: to which they are added
    :ivar types: its types
    """

    renderer: _core.TextLines
    types: TypeTables

    def __init__(
        self, enums: EnumStyle, show_secrets: bool, utc: bool, label: Callable[[int, str | None], str]
    ) -> None:
        self._enums: EnumStyle = enums
        self._show_secrets = show_secrets
        self._label = label
        self._programs: dict[tuple[str, int], int] = {}
        self._moments = BoundedDict[float, bytes](_MAX_CACHED, lambda value: local_time(value, utc).encode())
        self._dated = BoundedDict[tuple[bytes, float], bytes](
            _MAX_CACHED, lambda key: time_with_zone((key[0].decode(), key[1])).encode()
        )

    def body(self, proto_id: int, direction: Direction, kind: Kind) -> int:
        """Adds the bodies of a protocol and direction; returns their index."""
        assert kind.cls is not None
        descriptor = kind.cls.DESCRIPTOR
        fields = fields_by_name(descriptor)
        index = self.types.index(descriptor)
        ret_type = fields["retType"].descriptor.number if kind.has_ret_type else 0
        wrapper = next((fields[name] for name in ("c2s", "s2c") if name in fields), None)
        program = self._program(descriptor if wrapper is None else wrapper.message_type, 0)
        label = self._label(proto_id, kind.proto).encode()
        number = 0 if wrapper is None else wrapper.descriptor.number
        return self.renderer.add_body((index, label, ret_type, index, 0, {}, number, program))

    def texts(self, field: Field) -> FieldTexts:
        """Returns how the values of a field are written."""
        if field.kind == "enum":
            assert field.enum is not None
            return FieldTexts(names=_encoded(schema.enum_names(field.enum, self._enums)))
        if field.kind == "bits" and (names := schema.bit_names(field.descriptor, self._enums)):
            return FieldTexts(texts=BoundedDict(_MAX_CACHED, lambda value: bits_text(value, names).encode()))
        if field.kind in ("int", "double") and annotation(field.descriptor, "kind") == "SECONDS":
            return FieldTexts(texts=self._moments)
        return FieldTexts()

    def _program(self, descriptor: Descriptor, depth: int) -> int:
        """Returns the index of the program that writes the messages of a type; adds it at the first call."""
        if descriptor.full_name in TEMPLATES:
            depth = 0
        key = descriptor.full_name, depth
        if key not in self._programs:
            ops: list[_Op] = []
            for group in words_of(descriptor, depth):
                steps = [op for word in group for op in self._word(word, depth)]
                ops += [steps[0]._replace(begins=True), *steps[1:]]
            self._programs[key] = self.renderer.add_program(self.types.index(descriptor), tuple(ops))
        return self._programs[key]

    def _word(self, word: Word, depth: int) -> Iterator[_Op]:
        steps = [_Op(text=b" ")]
        for part in word:
            if isinstance(part, str):
                steps.append(_Op(text=part.encode()))
            elif is_nested(part.field) and part.mark != "#" and not self._hides(part.field):
                return iter([self._nested(part.field, part.mark, depth)])
            else:
                steps += self._place(part)
        return iter(steps)

    def _nested(self, field: Field, mark: str, depth: int) -> _Op:
        program = self._program(field.message_type, depth + 1)
        op = _Op(code="message", test=condition_of(field), field=field.descriptor.number, program=program)
        if mark == "&":
            return op._replace(code="each")
        return op._replace(
            text=f" {field.name}(".encode() if mark == "(" else b"", counts=field.repeated and mark != "^"
        )

    def _place(self, place: Place) -> Iterator[_Op]:
        """Yields the steps for one ``{…}`` of a template that is not a nested message."""
        field, second = place.field, place.second
        number = field.descriptor.number
        other = 0 if second is None else second.descriptor.number
        limit = place.above or 0
        test: str = condition_of(field, not_zero=place.mark == "*") if place.above is None else "above"
        if place.mark == "#":
            yield from (_Op(text=f"{field.name}[".encode()), _Op(code="count", field=number), _Op(text=b"]"))
        elif place.mark == "@":
            yield _Op(code="message", test="written", field=number, program=self._zone(field.message_type))
        elif place.sign == "+":
            yield _Op(code="joined", field=number, other=other, names=_encoded(market_names("Trd_Common.TrdSecMarket")))
        elif place.sign == "/":
            yield _Op(code="preferred", test=test, field=number, other=other)
        elif self._hides(field):
            yield _Op(test=test, field=number, limit=limit, text=REDACTED.encode())
        elif place.sign == "~":
            yield _Op(code="dated", test=test, field=number, other=other, mapping=self._dated)
        else:
            yield self._value(field, place.choice)._replace(test=test, field=number, limit=limit)

    def _value(self, field: Field, choice: tuple[str, str] | None) -> _Op:
        program = self._security(field.message_type) if field.kind == "message" else None
        if field.repeated:
            return _Op(code="list", program=program)
        if program is not None:
            return _Op(code="message", program=program)
        if choice is not None:
            return _Op(code="choice", text=choice[0].encode(), other_text=choice[1].encode())
        return _Op(code="value")

    def _security(self, descriptor: Descriptor) -> int:
        """Returns the program that writes market and code of a security, as ``HK.00700``."""
        names = _encoded(market_names("Qot_Common.QotMarket"))
        return self._of_security(descriptor, "security", _Op(True, code="joined", names=names), "code", "market")

    def _zone(self, descriptor: Descriptor) -> int:
        """Returns the program that writes the time zone of the market of a security, if it is known."""
        names = _encoded(market_zones())
        return self._of_security(descriptor, "zone", _Op(True, test="named", names=names), "market", "market")

    def _of_security(self, descriptor: Descriptor, kind: str, op: _Op, field: str, other: str) -> int:
        key = f"{descriptor.full_name} {kind}", 0
        if key not in self._programs:
            fields = fields_by_name(descriptor)
            op = op._replace(field=fields[field].descriptor.number, other=fields[other].descriptor.number)
            self._programs[key] = self.renderer.add_program(self.types.index(descriptor), (op,))
        return self._programs[key]

    def _hides(self, field: Field) -> bool:
        return field.secret and not self._show_secrets


def _encoded(names: Any) -> dict[int, bytes]:
    return {number: str(name).encode() for number, name in names.items()}
