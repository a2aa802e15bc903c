"""Defines the results of the decoder: `Message` and `Gap`, and `Flow`, which both refer to.

A message is decrypted and verified before it is made.  Its body is parsed at the first access, so a
program that only counts messages does not pay for their bodies.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from decoder import schema
from decoder.body.body import Body
from decoder.body.lag import lag_ms
from decoder.formatting.times import rfc3339
from decoder.framing.header import FORMATS, PROTO_ID
from decoder.message_fields import Flow, MessageFields
from decoder.vocabulary import ENDS, HINTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message as ProtobufMessage

    from decoder.vocabulary import Direction, EnumStyle, Transport

__all__ = ["Flow", "Gap", "Message"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_MAX_HTML = 20_000
"""Characters of a body shown in a notebook: a browser is slow with the megabytes that one can have."""


class Message(MessageFields):
    """Holds one message, with the keys of the JSON Lines contract (docs/record.md) as attributes.

    Beyond the contract: `time_ns`, `datetime`, `ordinal`, `plaintext` (bytes or None), `protobuf` (the parsed
    protobuf message or None), `header`, `hint` (next step for `reason`).  Those that are not computed are in
    `MessageFields`.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Callable[..., Message], tuple[Any, ...]]:
        # For worker processes: a tuple pickles in half the time of an instance dict.
        return _restored, (
            self.flow,
            self.header,
            self.time_ns,
            self._frames,
            self.kind,
            self.plaintext,
            self.encryption,
            self.verdict,
            self.reason,
            self.conn_id,
            self.own_notes,
            self.number,
            self.ordinal,
            self.request,
            self.latency_ns,
            self.error,
            self.copy,
        )

    # Keys of the contract that are computed on access.

    @property
    def frames(self) -> list[int]:
        """Numbers of the packets whose bytes the message uses, from 1, first copies only."""
        return list(self._frames)

    @property
    def time(self) -> str:
        """`time_ns` as RFC 3339, in UTC."""
        return rfc3339(self.time_ns)

    @property
    def datetime(self) -> dt.datetime:
        """`time_ns` as an aware datetime in UTC, cut to microseconds."""
        try:
            return _EPOCH + dt.timedelta(microseconds=self.time_ns // 1_000)
        except OverflowError:  # the time stamp of a damaged capture
            return dt.datetime.max.replace(tzinfo=dt.timezone.utc)

    @property
    def connection(self) -> int:
        """Ordinal of the TCP connection in the capture, from 0."""
        return self.flow.connection

    @property
    def transport(self) -> Transport:
        """``tcp`` or ``websocket``."""
        return self.flow.transport

    @property
    def src(self) -> str:
        """Sender, ``127.0.0.1:50112`` or ``[::1]:50112``."""
        return self.flow.src

    @property
    def dst(self) -> str:
        """Receiver."""
        return self.flow.dst

    @property
    def direction(self) -> Direction:
        """``c2s`` or ``s2c``."""
        return self.flow.direction

    @property
    def proto_id(self) -> int:
        """Protocol id."""
        _, proto_id, *_ = self.header
        return proto_id

    @property
    def version(self) -> int:
        """Version in the header: 0 in every client seen."""
        _, _, _, version, *_ = self.header
        return version

    @property
    def serial_no(self) -> int:
        """Serial number: pairs a response with its request."""
        _, _, _, _, serial_no, *_ = self.header
        return serial_no

    @property
    def body_len(self) -> int:
        """Length of the body on the wire."""
        _, _, _, _, _, body_len, *_ = self.header
        return body_len

    @property
    def proto(self) -> str | None:
        """Name of the protocol, or None if the schema does not know the id."""
        protocol = schema.protocol(self.proto_id)
        return None if protocol is None else protocol.name

    @property
    def format(self) -> str:
        """``Protobuf`` or ``Json``; the bare number for anything else."""
        _, _, body_format, *_ = self.header
        return FORMATS.get(body_format) or str(body_format)

    @property
    def sha1(self) -> str | None:
        """The SHA-1 that the header carries, hex; None if it carries none."""
        _, _, _, _, _, _, digest, _ = self.header
        return digest.hex() or None

    @property
    def latency_ms(self) -> float | None:
        """`latency_ns` in milliseconds."""
        return None if self.latency_ns is None else self.latency_ns / 1_000_000

    @property
    def lag_ms(self) -> float | None:
        """Of a push that tells a time: how late it is, in milliseconds (`decoder.body.lag`); else None."""
        return lag_ms(self.header[PROTO_ID], self.protobuf, self.time_ns) if self.kind == "push" else None

    @property
    def hint(self) -> str | None:
        """Cause and next step for `reason`, in one line."""
        if self.reason == "gap":
            for note in self.own_notes or ():
                if note in ENDS:
                    return ENDS[note]
        return None if self.reason is None else HINTS[self.reason]

    # The body.

    @property
    def content(self) -> Body:
        """Body, parsed at the first access."""
        body = self._body
        if body is None:
            _, proto_id, body_format, *_ = self.header
            body = self._body = Body(proto_id, self.flow.direction, body_format, self.plaintext, self.flow.limits)
        return body

    def adopt(self, message: ProtobufMessage) -> None:
        """Takes the body as `parse_known` has parsed it, so that nobody parses it again."""
        assert self.plaintext is not None
        self._body = Body.known(self.header[PROTO_ID], self.flow.direction, self.plaintext, message)

    @property
    def is_parsed(self) -> bool:
        """True once the body was parsed."""
        return self._body is not None

    @property
    def protobuf(self) -> ProtobufMessage | None:
        """Body as a protobuf message of the package's own schema (a JSON body too), or None."""
        return self.content.message

    @property
    def ret_type(self) -> str | None:
        """SDK name of the retType of a response or push."""
        return self.content.ret_type

    @property
    def packet_id(self) -> dict[str, Any] | None:
        """PacketID of a trade request that has one."""
        return self.content.packet_id

    @property
    def body(self) -> dict[str, Any] | None:
        """`to_dict()` with secrets redacted."""
        return self.content.to_dict("sdk", redact=True)

    def to_dict(self, enums: EnumStyle = "sdk", *, redact: bool = False) -> dict[str, Any] | None:
        """Returns the body as plain data in the protobuf JSON mapping, with original field names, or None.

        This is data for a program, so it contains secrets unless `redact` is set.  What this package
        prints is redacted unless the user asks otherwise.
        """
        return self.content.to_dict(enums, redact=redact)

    @property
    def raw(self) -> Any:
        """Wire-level view of a body that the schema cannot parse, else None; withheld if secrets may be in it."""
        return self.content.raw(show_secrets=False)

    @property
    def notes(self) -> list[str]:
        """Notes on the message and its body, beside the verdict."""
        return [*self.own_notes, *self.content.notes] if self.own_notes else self.content.notes

    def add_note(self, note: str) -> None:
        """Appends `note` unless the message has it already."""
        if self.own_notes is None:
            self.own_notes = [note]
        elif note not in self.own_notes:
            self.own_notes.append(note)

    def record(self, enums: EnumStyle = "sdk", *, show_secrets: bool = False) -> dict[str, Any]:
        """Returns the record of the JSON Lines contract, ready for a JSON writer."""
        content = self._body or self.content
        body = content.to_dict(enums, redact=not show_secrets)
        raw = None if body is not None else content.raw(show_secrets=show_secrets)
        return self.record_with(content.proto, content.ret_type, content.packet_id, body, raw, self.notes)

    def record_with(
        self,
        proto: str | None,
        ret_type: str | None,
        packet_id: dict[str, Any] | None,
        body: dict[str, Any] | None,
        raw: Any,
        notes: list[str],
    ) -> dict[str, Any]:
        """Returns the record with the values that depend on the body from the caller."""
        flow = self.flow
        _, proto_id, format, version, serial_no, body_len, sha1, _ = self.header
        latency = self.latency_ns
        return {
            "number": self.number,
            "frames": self._frames,
            "time": rfc3339(self.time_ns),
            "connection": flow.connection,
            "conn_id": self.conn_id,
            "src": flow.src,
            "dst": flow.dst,
            "direction": flow.direction,
            "kind": self.kind,
            "proto_id": proto_id,
            "proto": proto,
            "format": FORMATS.get(format) or str(format),
            "version": version,
            "serial_no": serial_no,
            "body_len": body_len,
            "sha1": sha1.hex() or None,
            "encryption": self.encryption,
            "verdict": self.verdict,
            "reason": self.reason,
            "packet_id": packet_id,
            "request": self.request,
            "latency_ms": None if latency is None else latency / 1_000_000,
            "ret_type": ret_type,
            "body": body,
            "raw": raw,
            "notes": notes,
            "transport": flow.transport,
            "error": self.error,
        }

    def _repr_html_(self) -> str:
        """Renders the message as a table, for notebooks; secrets are redacted."""
        import json

        from decoder.formatting.html import html_table

        verdict = self.verdict if self.reason is None else f"{self.verdict} ({self.reason}): {self.hint}"
        rows = [("time", self.time), ("from", self.src), ("to", self.dst), ("encryption", self.encryption)]
        rows += [("verdict", verdict), ("notes", ", ".join(self.notes))]
        body = self.body
        text = "" if body is None else json.dumps(body, indent=1, ensure_ascii=False)
        if len(text) > _MAX_HTML:
            text = f"{text[:_MAX_HTML]}\n… ({len(text) - _MAX_HTML:,} more characters; message.body has all)"
        title = f"{self.number} {self.proto or self.proto_id} {self.kind} #{self.serial_no}"
        return html_table(title, [row for row in rows if row[1]], text)

    def __repr__(self) -> str:
        return (
            f"<Message {self.number} {self.flow.direction} {self.proto or self.proto_id} {self.kind} "
            f"serial {self.serial_no} {self.verdict}>"
        )


def _restored(*state: Any) -> Message:
    message = Message(*state[:11])
    message.number, message.ordinal, message.request, message.latency_ns, message.error, message.copy = state[11:]
    return message


class Gap:
    """Describes a hole in one direction of a connection: bytes that are missing or could not be used."""

    __slots__ = ("bytes", "flow", "frame", "reason", "time_ns")

    def __init__(self, flow: Flow, time_ns: int, size: int | None, reason: str, frame: int = 0) -> None:
        self.flow = flow
        self.frame = frame
        """Number of the packet at which the hole was declared."""
        self.time_ns = time_ns
        """Capture time of the packet at which the hole was declared, in nanoseconds since 1970."""
        self.bytes = size
        """Size of the hole, or None if it is not known."""
        self.reason = reason
        """``lost``, ``snaplen``, ``limit``, ``resync`` or ``mid-stream``."""

    @property
    def connection(self) -> int:
        """Ordinal of the TCP connection in the capture, from 0."""
        return self.flow.connection

    @property
    def direction(self) -> Direction:
        """``c2s`` or ``s2c``."""
        return self.flow.direction

    @property
    def time(self) -> str:
        """`time_ns` as RFC 3339."""
        return rfc3339(self.time_ns)

    def record(self) -> dict[str, Any]:
        """Returns the gap as an object of the JSON Lines contract."""
        return {
            "gap": True,
            "connection": self.flow.connection,
            "direction": self.flow.direction,
            "time": self.time,
            "bytes": self.bytes,
            "reason": self.reason,
        }

    def __repr__(self) -> str:
        size = "some" if self.bytes is None else self.bytes
        return f"<Gap connection {self.connection} {self.direction}: {size} bytes, {self.reason}>"
