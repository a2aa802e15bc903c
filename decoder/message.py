"""What the decoder gives: a `Message` for every message, a `Gap` for every hole.

A message is opened (decrypted, checked) when it is made, but its body is parsed when it is first
asked for: whoever only counts messages does not pay for their bodies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from decoder import schema
from decoder.body.body import Body
from decoder.body.lag import lag_ms
from decoder.formatting.times import rfc3339
from decoder.framing.header import FORMATS, Header
from decoder.limits import Limits
from decoder.vocabulary import HINTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message as ProtobufMessage

    from decoder.vocabulary import Direction, EnumStyle, Kind

__all__ = ["Flow", "Gap", "Message"]

DEFAULT_LIMITS = Limits()


class Flow:
    """One direction of one TCP connection."""

    __slots__ = ("connection", "direction", "dst", "limits", "src")

    def __init__(
        self, connection: int, direction: Direction, src: str, dst: str, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.connection = connection
        self.direction: Direction = direction
        self.src = src
        self.dst = dst
        self.limits = limits
        """Those of the `Decoder`."""

    def __reduce__(self) -> tuple[type[Flow], tuple[int, Direction, str, str, Limits]]:
        return Flow, (self.connection, self.direction, self.src, self.dst, self.limits)


class Message:
    """One message, with the keys of the JSON Lines contract as attributes (the README's field table).

    Beyond the contract: `time_ns` (int, UTC), `plaintext` (bytes or None), `protobuf` (the parsed
    protobuf message or None), `header`, `hint` (what to do about `reason`).
    """

    # No __slots__: an instance dict whose defaults stand in the class is made in half the time (0.2 µs against 0.45).

    number: int = 0
    """Ordinal of the record, from 1."""
    request: int | None = None
    """Of a response: the number of its request."""
    latency_ns: int | None = None
    """Of a response: nanoseconds from the completion of its request to its own."""
    _body: Body | None = None
    own_notes: list[str] | None = None
    """Notes on the message itself, which stand before those on its body; None if there are none."""

    def __init__(
        self,
        flow: Flow,
        header: Header,
        time_ns: int,
        frames: tuple[int, ...],
        kind: Kind,
        plaintext: bytes | None,
        encryption: str,
        verdict: str,
        reason: str | None,
        conn_id: str | None,
        notes: list[str] | None = None,
    ) -> None:
        self.flow = flow
        self.header = header
        """The header as it stands on the wire."""
        self.time_ns = time_ns
        """Capture time of the packet that completed the message, in nanoseconds since 1970, UTC."""
        self._frames = frames
        self.kind: Kind = kind
        """``request``, ``response`` or ``push``: by protocol id and direction."""
        self.plaintext = plaintext
        """The body after decryption: proven if `verdict` is ``verified``, else the best candidate or None."""
        self.encryption = encryption
        """``None``, ``RSA``, ``FTAES_ECB``, ``AES_ECB``, ``AES_CBC`` or ``unknown``."""
        self.verdict = verdict
        """``verified``, ``unverified`` or ``failed``."""
        self.reason = reason
        """Why not verified: a key of `HINTS`; None if it is."""
        self.conn_id = conn_id
        """The connID of InitConnect or of the key log, as text."""
        if notes is not None:
            self.own_notes = notes

    def __reduce__(self) -> tuple[Callable[..., Message], tuple[Any, ...]]:
        # For worker processes: what cannot be worked out again, as a tuple (an instance dict takes twice as long).
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
            self.request,
            self.latency_ns,
        )

    # The contract's keys that are worked out on demand.

    @property
    def frames(self) -> list[int]:
        """Numbers of the packets whose bytes the message uses, from 1, first copies only."""
        return list(self._frames)

    @property
    def time(self) -> str:
        """`time_ns` as RFC 3339."""
        return rfc3339(self.time_ns)

    @property
    def connection(self) -> int:
        """Ordinal of the TCP connection in the capture, from 0."""
        return self.flow.connection

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
        return self.header[1]

    @property
    def version(self) -> int:
        """Version in the header: 0 in every client seen."""
        return self.header[3]

    @property
    def serial_no(self) -> int:
        """Serial number: pairs a response with its request."""
        return self.header[4]

    @property
    def body_len(self) -> int:
        """Length of the body on the wire."""
        return self.header[5]

    @property
    def proto(self) -> str | None:
        """Name of the protocol, or None if the schema does not know the id."""
        protocol = schema.protocol(self.header[1])
        return None if protocol is None else protocol.name

    @property
    def format(self) -> str:
        """``Protobuf`` or ``Json``; the bare number for anything else."""
        return FORMATS.get(self.header[2]) or str(self.header[2])

    @property
    def sha1(self) -> str:
        """The SHA-1 that the header carries, hex."""
        return self.header[6].hex()

    @property
    def latency_ms(self) -> float | None:
        """`latency_ns` in milliseconds."""
        return None if self.latency_ns is None else self.latency_ns / 1_000_000

    @property
    def lag_ms(self) -> float | None:
        """Of a push that tells a time: how late it is, in milliseconds (`decoder.body.lag`); else None."""
        return lag_ms(self.header[1], self.protobuf, self.time_ns) if self.kind == "push" else None

    @property
    def hint(self) -> str | None:
        """One line on what to do about `reason`."""
        return None if self.reason is None else HINTS[self.reason]

    # The body.

    @property
    def content(self) -> Body:
        """The body, parsed at the first call."""
        body = self._body
        if body is None:
            body = self._body = Body(
                self.header[1], self.flow.direction, self.header[2], self.plaintext, self.flow.limits
            )
        return body

    @property
    def is_parsed(self) -> bool:
        """Whether the body was asked for before."""
        return self._body is not None

    @property
    def protobuf(self) -> ProtobufMessage | None:
        """The body as a protobuf message of the package's own schema (a JSON body too), or None."""
        return self.content.message

    @property
    def ret_type(self) -> str | None:
        """Of a response or push: the SDK's name of its retType."""
        return self.content.ret_type

    @property
    def packet_id(self) -> dict[str, Any] | None:
        """The PacketID that a trade write carries."""
        return self.content.packet_id

    @property
    def body(self) -> dict[str, Any] | None:
        """`to_dict()` with secrets redacted."""
        return self.content.to_dict("sdk", redact=True)

    def to_dict(self, enums: EnumStyle = "sdk", *, redact: bool = False) -> dict[str, Any] | None:
        """The body as plain data in the protobuf JSON mapping, with original field names, or None.

        This is data for a program, so secrets are in it unless `redact` is set; everything that
        this package prints is redacted unless the user asks otherwise.
        """
        return self.content.to_dict(enums, redact=redact)

    @property
    def raw(self) -> Any:
        """Wire-level view of a body that the schema cannot read, else None; withheld where it may hold secrets."""
        return self.content.raw(show_secrets=False)

    @property
    def notes(self) -> list[str]:
        """What is worth knowing beside the verdict."""
        return [*self.own_notes, *self.content.notes] if self.own_notes else self.content.notes

    def add_note(self, note: str) -> None:
        """Append `note` unless it is there already."""
        if self.own_notes is None:
            self.own_notes = [note]
        elif note not in self.own_notes:
            self.own_notes.append(note)

    def record(self, enums: EnumStyle = "sdk", *, show_secrets: bool = False) -> dict[str, Any]:
        """The record of the JSON Lines contract, ready for a JSON writer."""
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
        """As `record`, with what comes from the body given by the caller."""
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
            "sha1": sha1.hex(),
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
        }

    def __repr__(self) -> str:
        return (
            f"<Message {self.number} {self.flow.direction} {self.proto or self.proto_id} {self.kind} "
            f"serial {self.serial_no} {self.verdict}>"
        )


def _restored(*state: Any) -> Message:
    message = Message(*state[:11])
    message.number, message.request, message.latency_ns = state[11:]
    return message


class Gap:
    """A hole in one direction of a connection: bytes that are missing or could not be used."""

    __slots__ = ("bytes", "flow", "frame", "reason", "time_ns")

    def __init__(self, flow: Flow, time_ns: int, size: int | None, reason: str, frame: int = 0) -> None:
        self.flow = flow
        self.frame = frame
        """Number of the packet at which the hole was declared."""
        self.time_ns = time_ns
        """Capture time of the packet at which the hole was declared, in nanoseconds since 1970."""
        self.bytes = size
        """Its size, or None if it is not known."""
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
        """The gap as an object of the JSON Lines contract."""
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
