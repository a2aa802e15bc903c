"""Replaces secrets, and on request what names a person, in the body of a message."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from decoder.body.body import JSON, kind_of
from decoder.body.codegen import REDACTED
from decoder.body.from_dict import join
from decoder.body.to_dict import to_dict
from decoder.framing.header import DIGEST, FORMAT
from decoder.output.personal_fields import PERSONAL, TEXTS
from decoder.schema.fields import Field, fields_of
from decoder.schema.secrecy import may_hold_secrets

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.message import Message
    from decoder.output.pseudonyms import Pseudonyms
    from decoder.schema.fields import Descriptor

__all__ = ["Replaced", "Replacer"]

_NO_SHA1 = bytes(20)
_SECRET, _TEXT, _INNER = "secret", "text", "inner"


class Replaced(NamedTuple):
    """A body that may be passed on."""

    body: bytes
    sha1: bytes
    """For the header: right if the message was verified, zeros if it was not and its body was changed."""
    places: list[str]
    """Paths of the fields that were replaced."""


class Replacer:
    """Replaces what must not be passed on.

    :param show_secrets: keep secrets
    :param pseudonyms: makes the stand-ins of personal fields; None keeps these
    """

    def __init__(self, *, show_secrets: bool = False, pseudonyms: Pseudonyms | None = None) -> None:
        self._redact = not show_secrets
        self._pseudonyms = pseudonyms
        self._plans: dict[Descriptor, tuple[tuple[Field, str], ...]] = {}

    def replace(self, message: Message) -> Replaced | None:
        """Returns the body of `message`, which has a plaintext, fit to be passed on; None if that cannot be judged."""
        plaintext, sha1 = message.plaintext, message.header[DIGEST]
        assert plaintext is not None
        # Of either direction: what came the wrong way is in fields that are unknown there.
        suspicious = self._pseudonyms is not None or (self._redact and may_hold_secrets(message.proto_id))
        cls = kind_of(message.proto_id, message.direction).cls
        if cls is not None and not suspicious and not self._plan(cls.DESCRIPTOR):
            return Replaced(plaintext, sha1, [])  # most messages: quotes have no secrets
        content = message.protobuf
        if content is None:
            return None if suspicious and plaintext else Replaced(plaintext, sha1, [])
        if not suspicious and not self._plan(content.DESCRIPTOR):
            return Replaced(plaintext, sha1, [])
        copy = type(content)()
        copy.CopyFrom(content)
        places: dict[str, None] = {}
        self._walk(copy, "", places)
        if "unknown-fields" in message.content.notes:
            copy.DiscardUnknownFields()
            places["unknown fields"] = None
        if not places:
            return Replaced(plaintext, sha1, [])
        is_ours = message.verdict == "verified"
        body = _json(copy) if message.header[FORMAT] == JSON else copy.SerializeToString()
        return Replaced(body, hashlib.sha1(body).digest() if is_ours else _NO_SHA1, list(places))

    def error(self, message: Message) -> dict[str, int | str] | None:
        """Returns the error in the header of a WebSocket reply, fit to be passed on."""
        error = message.error
        if error is None or self._pseudonyms is None:
            return error
        return {"code": error["code"], "message": self._pseudonyms.sentence(str(error["message"]))}

    def _walk(self, message: ProtobufMessage, path: str, places: dict[str, None]) -> None:
        for field, action in self._plan(message.DESCRIPTOR):
            name = field.name
            if field.repeated:
                values = getattr(message, name)
                if not values:
                    continue
                here = join(path, name)
                if action == _INNER:
                    for value in values:
                        self._walk(value, here, places)
                else:
                    values[:] = [self._stand_in(field, action, value) for value in values]
                    places[here] = None
            elif message.HasField(name):
                here = join(path, name)
                value = getattr(message, name)
                if action == _INNER:
                    self._walk(value, here, places)
                    continue
                new = self._stand_in(field, action, value)
                if new != value:
                    setattr(message, name, new)
                    places[here] = None

    def _stand_in(self, field: Field, action: str, value: Any) -> Any:
        if action == _SECRET:
            return REDACTED if field.kind == "string" else REDACTED.encode() if field.kind == "bytes" else 0
        assert self._pseudonyms is not None
        if action == _TEXT:
            return self._pseudonyms.sentence(value)
        return self._pseudonyms.number(value, action) if field.kind == "int" else self._pseudonyms.text(value, action)

    def _plan(self, descriptor: Descriptor) -> tuple[tuple[Field, str], ...]:
        """The fields of a message type that are looked at, and what is done with them."""
        plan = self._plans.get(descriptor)
        if plan is None:
            actions = ((field, self._action(descriptor, field)) for field in fields_of(descriptor))
            plan = self._plans[descriptor] = tuple((field, action) for field, action in actions if action is not None)
        return plan

    def _action(self, descriptor: Descriptor, field: Field) -> str | None:
        if field.kind == "message":
            return _INNER if self._concerns(field.message_type, set()) else None
        if field.secret:
            return _SECRET if self._redact else None
        if self._pseudonyms is None:
            return None
        name = f"{descriptor.full_name}.{field.name}"
        return PERSONAL.get(name) or (_TEXT if name in TEXTS or field.name in TEXTS else None)

    def _concerns(self, descriptor: Descriptor, seen: set[Descriptor]) -> bool:
        """True if a message type has a field to replace, at any depth."""
        if descriptor in seen:
            return False
        seen.add(descriptor)
        return any(
            self._concerns(field.message_type, seen)
            if field.kind == "message"
            else self._action(descriptor, field) is not None
            for field in fields_of(descriptor)
        )


def _json(message: ProtobufMessage) -> bytes:
    # Numbers for enums: most are plain integers in the vendor's schema, whose JSON reader takes no names there.
    return orjson.dumps(to_dict(message, "number", redact=False))
