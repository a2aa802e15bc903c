"""Reports who else can read the traffic: secrets and trade in clear, keys that protect nothing."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from decoder import schema
from decoder.body.scalars import plain_text
from decoder.findings.context import name_of
from decoder.framing.header import PROTO_ID
from decoder.schema.fields import fields_by_name
from decoder.vocabulary import INIT_CONNECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message as ProtobufMessage

    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.context import Context
    from decoder.findings.finding import Severity
    from decoder.message import Message
    from decoder.vocabulary import Transport

__all__ = ["SECRECY_CODES", "Exposure"]

SECRECY_CODES = frozenset(
    ("sample-key", "secret-in-clear", "trade-in-clear", "key-in-clear", "clear-on-encrypted", "encryption-off")
)
"""Codes of the findings on who else can read the traffic: meaningless for a capture that `opendump rewrite` wrote."""

_NO_ENCRYPTION = -1  # PacketEncAlgo_None
_SESSION_MODES = frozenset(("FTAES_ECB", "AES_ECB", "AES_CBC"))
_HEX_KEY = re.compile("[0-9A-F]{16}")
_TURN_ON = "set rsa_private_key in OpenD, and the same key and encryption in the client"
_PROTECT: dict[Transport, str] = {
    "tcp": _TURN_ON,
    "websocket": "give OpenD's WebSocket port a certificate and let the client use wss",
}
"""Advice on messages in clear, by what carries them."""


class Exposure:
    """Watches how the messages of one connection are protected."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._announced: int | None = None
        self._request_encrypted = False
        self._clear_response: int | None = None
        self._encrypted = False
        self._session_seen = False
        self._hex_key: int | None = None
        self._sensitive = _sensitive_protocols()

    def message(self, message: Message) -> None:
        """Takes a message whose body was decrypted."""
        if message.encryption == "None":
            direction = message.flow.direction
            if self._encrypted and message.body_len and message.proto_id != INIT_CONNECT:
                self._context.report(
                    "warning",
                    "clear-on-encrypted",
                    message,
                    f"{name_of(message)} is in clear though the connection is encrypted: a client that ignores the "
                    "encryption it agreed to; OpenD may drop the message",
                    direction,
                )
            elif (kind := self._sensitive[direction].get(message.header[PROTO_ID])) is not None:
                self._report_clear(message, kind)
        elif message.encryption in _SESSION_MODES and not self._session_seen:
            self._session_seen = True
            if self._hex_key is not None and not self._context.local:
                self._context.report_at(
                    "note",
                    "weak-key",
                    self._hex_key,
                    message.time_ns,
                    "the session key is 16 hex digits, 64 bits of chance instead of 128 (OpenD makes them so): over a "
                    "network that others use, tunnel the connection (SSH, VPN) as well",
                )
            if self._clear_response is not None and not self._encrypted:
                self._context.report_at(
                    self._severity("error"),
                    "key-in-clear",
                    self._clear_response,
                    message.time_ns,
                    "InitConnect handed out the key of this connection in clear: its encryption protects nothing; "
                    + _TURN_ON,
                )
            self._encrypted = True

    def handshake(self, message: Message) -> None:
        """Takes an InitConnect message."""
        encrypted = message.encryption == "RSA"
        if message.kind == "request":
            self._request_encrypted = encrypted
            body = message.protobuf
            self._announced = None if body is None else body.c2s.packetEncAlgo  # type: ignore[attr-defined]
            return
        body = message.protobuf
        if body is not None and _HEX_KEY.fullmatch(plain_text(body.s2c.connAESKey)):  # type: ignore[attr-defined]
            self._hex_key = message.number
        if message.encryption == "None":
            self._clear_response = message.number
        elif encrypted and self._announced == _NO_ENCRYPTION and self._request_encrypted:
            self._context.report(
                "error",
                "encryption-off",
                message,
                "the client encrypts InitConnect, for it has a key file, but its encryption is off, so it cannot read "
                "this answer (the SDK says: check sha error); switch its encryption on or take the key file away",
            )
        self._encrypted = self._encrypted or (encrypted and self._announced != _NO_ENCRYPTION)

    def end(self, info: ConnectionInfo) -> None:
        """Takes the end of the connection."""
        if info.sample_key:
            self._context.report_at(
                "error",
                "sample-key",
                None,
                info.first_ns,
                "the key file is the sample that ships with the SDK: anyone can read this connection; make your own "
                "(openssl genrsa -traditional 1024) for OpenD and client",
            )

    def _report_clear(self, message: Message, kind: str) -> None:
        context = self._context
        where = "in clear (it stays on this machine)" if context.local else "in clear over the network"
        if kind == "trade":
            context.report(
                self._severity("warning"),
                "trade-in-clear",
                message,
                f"trade messages go {where}: {_PROTECT[message.transport]}",
                "trade",
            )
        body = message.protobuf
        names = [] if body is None else list(dict.fromkeys(_present_secrets(body)))
        if names:
            context.report(
                self._severity("error"),
                "secret-in-clear",
                message,
                f"{name_of(message)} sends {', '.join(names[:5])} {where}: whoever sees it can use it; "
                + _PROTECT[message.transport],
                message.proto_id,
                message.direction,
            )

    def _severity(self, severity: Severity) -> Severity:
        return "note" if self._context.local else severity


@cache
def _sensitive_protocols() -> dict[str, dict[int, str]]:
    """Returns why messages should not go in clear, by direction and protocol id."""
    found: dict[str, dict[int, str]] = {"c2s": {}, "s2c": {}}
    for known in schema.protocols():
        for direction in ("c2s", "s2c"):
            cls = schema.body_class(known.proto_id, direction)
            if cls is None or known.proto_id == INIT_CONNECT:
                continue  # InitConnect is judged by what its key is used for
            if known.name.startswith("Trd_"):
                found[direction][known.proto_id] = "trade"
            elif schema.has_secrets(cls.DESCRIPTOR):
                found[direction][known.proto_id] = "secret"
    return found


def _present_secrets(message: ProtobufMessage) -> Iterator[str]:
    """Yields the names of the secret fields that are present and not empty."""
    for descriptor, value in message.ListFields():
        field = fields_by_name(message.DESCRIPTOR)[descriptor.name]
        if field.secret:
            if value:
                yield field.name
        elif field.kind == "message" and schema.has_secrets(field.message_type):
            for item in list(value)[:100] if field.repeated else [value]:
                yield from _present_secrets(item)
