"""The body of one message: parsed against the schema, shown as plain data, or as a wire-level view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import schema
from .errors import BodyError

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from .message import Direction, EnumStyle

__all__ = ["Body"]

JSON = 1
_WIRE_FIELDS, _WIRE_DEPTH, _WIRE_BYTES = 1_000, 16, 64 * 1024


class Body:
    """A parsed body: `message` is None when there is no plaintext, the protocol is unknown, or it does not parse."""

    __slots__ = ("_direction", "_findings", "_format", "_plaintext", "_proto_id", "message", "problem")

    def __init__(self, proto_id: int, direction: Direction, format: int, plaintext: bytes | None) -> None:
        self._proto_id = proto_id
        self._direction: Direction = direction
        self._format = format
        self._plaintext = plaintext
        self._findings: list[str] | None = None
        self.message: ProtobufMessage | None = None
        self.problem: str | None = None
        """Why `message` is None or not complete: a note's text."""
        if plaintext is None:
            return
        cls = schema.body_class(proto_id, direction)
        if cls is None:
            self.problem = "unknown-protocol" if schema.protocol(proto_id) is None else "no-schema"
        elif format == JSON:
            self._read_json(cls, plaintext)
        else:
            from .convert import parse_body

            self.message, self.problem = parse_body(cls, plaintext)

    def _read_json(self, cls: type[ProtobufMessage], plaintext: bytes) -> None:
        from .json_body import read_json

        try:
            self.message, self._findings = read_json(plaintext, cls)
        except BodyError as error:
            self.problem = f"bad-body: {error}"

    @property
    def proto(self) -> str | None:
        """Name of the protocol."""
        protocol = schema.protocol(self._proto_id)
        return None if protocol is None else protocol.name

    @property
    def ret_type(self) -> str | None:
        """The SDK's name of the retType of a response or push."""
        raise NotImplementedError

    @property
    def packet_id(self) -> dict[str, Any] | None:
        """The PacketID in a request."""
        raise NotImplementedError

    @property
    def notes(self) -> list[str]:
        """Notes about the body."""
        raise NotImplementedError

    def to_dict(self, enums: EnumStyle, *, redact: bool) -> dict[str, Any] | None:
        """The body as plain data."""
        raise NotImplementedError

    def raw(self, *, show_secrets: bool) -> Any:
        """Wire-level view, only where the schema cannot read the body."""
        raise NotImplementedError
