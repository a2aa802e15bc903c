"""Keeps what a message holds: its `Flow`, and its attributes, in C where the compiled core runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from decoder import core
from decoder.limits import Limits

if TYPE_CHECKING:
    from decoder.body.body import Body
    from decoder.framing.header import Header
    from decoder.vocabulary import Direction, Kind, Transport

__all__ = ["ATTRIBUTES", "DEFAULT_LIMITS", "Flow", "MessageFields", "PlainFields"]

DEFAULT_LIMITS = Limits()
ATTRIBUTES = (
    *("flow", "header", "time_ns", "_frames", "kind", "plaintext", "encryption", "verdict", "reason", "conn_id"),
    *("number", "ordinal", "request", "latency_ns", "copy", "error", "own_notes", "_body"),
)
"""Names of the attributes of a message, in both cores."""


class Flow:
    """Identifies one direction of one connection."""

    __slots__ = ("connection", "direction", "dst", "first_ns", "limits", "src", "transport")

    def __init__(
        self,
        connection: int,
        direction: Direction,
        src: str,
        dst: str,
        limits: Limits = DEFAULT_LIMITS,
        transport: Transport = "tcp",
        first_ns: int = 0,
    ) -> None:
        self.connection = connection
        self.direction: Direction = direction
        self.src = src
        self.dst = dst
        self.limits = limits
        """Limits of the `Decoder`."""
        self.transport: Transport = transport
        """``tcp``, or ``websocket`` where messages travel in WebSocket frames."""
        self.first_ns = first_ns
        """Time of the first packet of the connection, in nanoseconds since 1970."""

    def __reduce__(self) -> tuple[type[Flow], tuple[int, Direction, str, str, Limits, Transport, int]]:
        return Flow, (self.connection, self.direction, self.src, self.dst, self.limits, self.transport, self.first_ns)


class PlainFields:
    """Keeps the attributes of a message; `decoder._core.MessageFields` does the same in C."""

    # No __slots__: an instance dict with its defaults in the class is made in half the time (0.2 µs against 0.45).

    number: int = 0
    """Ordinal of the record, from 1."""
    ordinal: int = 0
    """Ordinal of the message within its connection, from 1."""
    request: int | None = None
    """Number of the request that this response answers."""
    latency_ns: int | None = None
    """Nanoseconds from the completion of the request to that of this response."""
    copy: bool = False
    """True if the same message came out before, on another connection that carries the same conversation."""
    error: dict[str, Any] | None = None
    """Error in the header of a WebSocket reply: ``{"code": …, "message": …}``."""
    _body: Body | None = None
    own_notes: list[str] | None = None
    """Notes on the message itself, listed before those on its body; None if there are none."""

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
        """Header as sent."""
        self.time_ns = time_ns
        """Capture time of the packet that completed the message, in nanoseconds since 1970, UTC."""
        self._frames = frames
        self.kind: Kind = kind
        """``request``, ``response`` or ``push``, by protocol id and direction."""
        self.plaintext = plaintext
        """Body after decryption: proven if `verdict` is ``verified``, else the best candidate or None."""
        self.encryption = encryption
        """``None``, ``RSA``, ``FTAES_ECB``, ``AES_ECB``, ``AES_CBC`` or ``unknown``."""
        self.verdict = verdict
        """``verified``, ``unverified`` or ``failed``."""
        self.reason = reason
        """Key of `HINTS` that says why the message is not verified; None if it is."""
        self.conn_id = conn_id
        """connID of InitConnect or of the key log, as text; None while unknown."""
        if notes is not None:
            self.own_notes = notes


if TYPE_CHECKING or core.MessageFields is None:  # noqa: SIM108 (a class is chosen, as mypy has to see)
    MessageFields = PlainFields
else:
    MessageFields = core.MessageFields
