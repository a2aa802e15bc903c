"""Parses the body of one message against the schema and converts it to plain data."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder import schema
from decoder.body.parse import parse_body, unknown_fields
from decoder.body.parse_cost import check_json, check_protobuf, too_deep
from decoder.body.to_dict import to_dict
from decoder.errors import BodyError
from decoder.limits import Limits
from decoder.schema.secrecy import may_hold_secrets

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.vocabulary import Direction, EnumStyle

__all__ = ["Body", "Kind", "kind_of", "ret_type_names", "ret_type_of"]

JSON = 1
"""Value of the header's format field for JSON bodies."""
_LIMITS = Limits()


class Body:
    """Holds a parsed body; `message` is None without plaintext, without a schema, or if required fields are missing."""

    message: ProtobufMessage | None = None
    problem: str | None = None
    """Remark on why there is no `message`, or None."""
    _value_notes: list[str] | None = None  # remarks on values; `to_dict` collects them on its way
    _remarks: list[str] | None = None
    _may_have_unknown = False

    def __init__(
        self, proto_id: int, direction: Direction, format: int, plaintext: bytes | None, limits: Limits = _LIMITS
    ) -> None:
        self._kind = kind_of(proto_id, direction)
        self._proto_id = proto_id
        self._format = format
        self._plaintext = plaintext
        if plaintext is None:
            return
        cls = self._kind.cls
        if cls is None:
            self.problem = "no-schema" if self._kind.proto else "unknown-protocol"
        elif format == JSON:
            self.problem = check_json(plaintext, limits)
            if self.problem is None:
                self._read_json(cls, plaintext)
        else:
            self.problem = check_protobuf(plaintext, cls.DESCRIPTOR, limits)
            if self.problem is None:
                self._read_protobuf(cls, plaintext, limits)

    @classmethod
    def known(cls, proto_id: int, direction: Direction, plaintext: bytes, message: ProtobufMessage) -> Body:
        """Returns the body of a `plaintext` that `parse_known` has parsed as `message`."""
        body = cls.__new__(cls)
        body._kind = kind_of(proto_id, direction)
        body._proto_id = proto_id
        body._format = 0
        body._plaintext = plaintext
        body.message = message
        return body

    def _read_protobuf(self, cls: type[ProtobufMessage], plaintext: bytes, limits: Limits) -> None:
        message, self.problem, self._may_have_unknown = parse_body(cls, plaintext)
        if self.problem is None:
            self.message = message
        elif message is None:
            self.problem = too_deep(plaintext, cls.DESCRIPTOR, limits) or self.problem

    def _read_json(self, cls: type[ProtobufMessage], plaintext: bytes) -> None:
        from decoder.body.from_json import read_json

        try:
            message, self._remarks = read_json(plaintext, cls)
        except BodyError as error:
            self.problem = f"bad-body: {error}"
            return
        if message.IsInitialized():
            self.message = message
        else:
            self.problem = "bad-body: required fields missing"
            self._remarks.insert(0, self.problem)

    @property
    def complete(self) -> bool:
        """True if the plaintext is a complete message of its protocol."""
        return self.message is not None

    @property
    def proto(self) -> str | None:
        """Names of the protocol; None if the schema does not have it."""
        return self._kind.proto

    @property
    def ret_type(self) -> str | None:
        """SDK name of the retType of a response or push; the number as text where it has no name."""
        if self.message is None or not self._kind.has_ret_type:
            return None
        return ret_type_of(self.message)

    @property
    def packet_id(self) -> dict[str, Any] | None:
        """PacketID of a trade request: its connID as text, its serialNo; None if there is none."""
        if self.message is None or not self._kind.has_packet_id:
            return None
        c2s = self.message.c2s  # type: ignore[attr-defined]
        if not c2s.HasField("packetID"):
            return None
        return {"connID": str(c2s.packetID.connID), "serialNo": c2s.packetID.serialNo}

    @property
    def remarks(self) -> list[str]:
        """Remarks on the body: each a note, and after a colon the places in the body."""
        if self._value_notes is None:
            self._value_notes = []
            if self.message is not None:  # nobody called `to_dict` yet
                to_dict(self.message, "number", True, self._value_notes, complete=True)
        return self.remarks_on_form + self._value_notes

    @property
    def remarks_on_form(self) -> list[str]:
        """Remarks that need no look at every value: the body does not parse, or has fields that the schema lacks."""
        if self._remarks is None:
            self._remarks = [] if self.problem is None else [self.problem]
            if self._may_have_unknown and self.message is not None and self._plaintext is not None:
                unknown = unknown_fields(self.message, self._plaintext)
                if unknown is not None:
                    self._remarks.append(unknown)
        return self._remarks

    @property
    def notes(self) -> list[str]:
        """`remarks` without the places, to filter by and to count."""
        if self._value_notes == [] and not (self._remarks or self.problem or self._may_have_unknown):
            return []  # the usual case
        return [remark.partition(":")[0] for remark in self.remarks]

    def to_dict(self, enums: EnumStyle, *, redact: bool) -> dict[str, Any] | None:
        """Returns the body as plain data in the protobuf JSON mapping, or None if it could not be parsed."""
        if self.message is None:
            return None
        self._value_notes = []
        return to_dict(self.message, enums, redact, self._value_notes, complete=True)

    def raw(self, *, show_secrets: bool) -> Any:
        """Returns a wire-level view of a body that does not parse; None if it does, or if secrets may be in it."""
        if self.message is not None or self._plaintext is None:
            return None
        if not show_secrets and may_hold_secrets(self._proto_id):
            return None
        from decoder.body.wire import text_view, wire_view

        return text_view(self._plaintext) if self._format == JSON else wire_view(self._plaintext)


def ret_type_of(body: ProtobufMessage) -> str:
    """Returns the SDK name of the retType of `body`, which has one; the number as text where it has no name."""
    number: int = body.retType  # type: ignore[attr-defined]
    return ret_type_names().get(number) or str(number)


@functools.cache
def ret_type_names() -> dict[int, str]:
    """Returns the SDK name of each known retType."""
    names = schema.enum_names(schema.enum_descriptor("Common.RetType"), "sdk")
    return {number: str(name) for number, name in names.items()}


class Kind(NamedTuple):
    """Holds what all bodies of a protocol in one direction have in common."""

    proto: str | None
    cls: type[ProtobufMessage] | None
    has_ret_type: bool
    has_packet_id: bool


@functools.lru_cache(4096)
def kind_of(proto_id: int, direction: Direction) -> Kind:
    """Returns the kind of the bodies of a protocol in one direction."""
    protocol = schema.protocol(proto_id)
    name = None if protocol is None else protocol.name
    cls = schema.body_class(proto_id, direction)
    if cls is None:
        return Kind(name, None, False, False)
    fields = cls.DESCRIPTOR.fields_by_name
    c2s = fields["c2s"].message_type if "c2s" in fields else None
    has_packet_id = c2s is not None and "packetID" in c2s.fields_by_name
    return Kind(name, cls, "retType" in fields, has_packet_id)
