"""Makes the renderer of the compiled core for JSON Lines."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

from decoder import schema
from decoder.body.body import ret_type_names
from decoder.body.codegen import REDACTED
from decoder.bounded import BoundedDict
from decoder.core import JsonLines
from decoder.formatting.times import rfc3339
from decoder.message import Message
from decoder.output.core_tables import FieldTexts, TypeTables, flow_table
from decoder.schema.fields import fields_by_name, split_bits

if TYPE_CHECKING:
    from decoder import _core
    from decoder.body.body import Kind
    from decoder.message import Flow
    from decoder.schema.fields import Field
    from decoder.vocabulary import Direction, EnumStyle

__all__ = ["compiled_json_lines"]

_MAX_CACHED = 4_096  # texts of the values of one bit set
_SECOND = slice(None, -len(".000000000Z"))  # of a time in RFC 3339


def compiled_json_lines(
    enums: EnumStyle, line: Callable[[Any], bytes], *, show_secrets: bool
) -> _core.JsonLines | None:
    """Returns the renderer of the compiled core, or None if Python must do.

    :param line: returns the line of a record that the core leaves to Python
    """
    if JsonLines is None:
        return None
    return _Tables(JsonLines, enums, line, show_secrets=show_secrets).renderer


class _Tables:
    def __init__(
        self, make: type[_core.JsonLines], enums: EnumStyle, line: Callable[[Any], bytes], *, show_secrets: bool
    ) -> None:
        self._enums: EnumStyle = enums
        self._show_secrets = show_secrets
        self.renderer = make(Message, flow_table(self._body, _flow_texts), _second, line)
        self._types = TypeTables(self.renderer.add_type, self._texts)

    def _body(self, proto_id: int, direction: Direction, kind: Kind) -> int:
        assert kind.cls is not None
        fields = fields_by_name(kind.cls.DESCRIPTOR)
        index = holder = self._types.index(kind.cls.DESCRIPTOR)
        ret_type = fields["retType"].descriptor.number if kind.has_ret_type else 0
        packet_id = 0
        if kind.has_packet_id:
            c2s = fields["c2s"].message_type
            holder, packet_id = self._types.index(c2s), fields_by_name(c2s)["packetID"].descriptor.number
        label = b',"proto_id":%d,"proto":%b,"format":"Protobuf"' % (proto_id, orjson.dumps(kind.proto))
        return self.renderer.add_body((index, label, ret_type, holder, packet_id, _ret_names(), 0, -1))

    def _texts(self, field: Field) -> FieldTexts:
        key = orjson.dumps(field.name) + b":"
        if field.secret and not self._show_secrets:
            return FieldTexts(key, fixed=orjson.dumps(REDACTED))
        if field.kind == "enum":
            assert field.enum is not None
            # In an enum of the vendor without a 0, the value 0 means that nothing is set.
            names = {0: 0, **schema.enum_names(field.enum, self._enums)}
            dumped = {number: orjson.dumps(str(name) if field.wide else name) for number, name in names.items()}
            return FieldTexts(key, names=dumped)
        if field.kind == "bits":
            return FieldTexts(key, texts=BoundedDict(_MAX_CACHED, lambda value: self._bits(field, value)))
        return FieldTexts(key)

    def _bits(self, field: Field, value: int) -> bytes | None:
        found, rest = split_bits(value, schema.bit_names(field.descriptor, self._enums) or field.known)
        if rest:
            return None
        if self._enums == "number":
            return orjson.dumps(str(value) if field.wide else value)
        return orjson.dumps("|".join(found) or "0")


def _flow_texts(flow: Flow) -> tuple[bytes, bytes, bytes]:
    ends = orjson.dumps({"src": flow.src, "dst": flow.dst, "direction": flow.direction})
    return (
        b',"connection":%d' % flow.connection,
        b"," + ends[1:-1],
        b',"transport":%b,"error":null}\n' % orjson.dumps(flow.transport),
    )


@cache
def _ret_names() -> dict[int, bytes]:
    return {number: orjson.dumps(name) for number, name in ret_type_names().items()}


def _second(second: int) -> bytes:
    return rfc3339(second * 1_000_000_000)[_SECOND].encode()
