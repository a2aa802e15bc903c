"""Makes messages and gaps of what a framer finds in one direction, and answers what the bytes alone do not tell.

What comes out is added to the items of the state that both directions share.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING

from decoder.body.body import Body
from decoder.conversation.hold_queue import PendingMessage
from decoder.framing.header import BODY_LEN, DIGEST, FORMAT, HEADER_LEN, PROTO_ID, Header
from decoder.framing.repair import patched
from decoder.message import Gap, Message
from decoder.schema import PUSH_IDS
from decoder.vocabulary import INIT_CONNECT, Arrival, Direction, GapReason, Kind, Verdict

if TYPE_CHECKING:
    from decoder.conversation.state import Ending, SharedState
    from decoder.message import Flow
    from decoder.tcp.overlaps import OverlapConflicts

__all__ = ["FrameOutput", "new_message"]

_WAITING = frozenset(("no-key", "wrong-key", "handshake-missing", "sha1-mismatch"))
"""Reasons that a key which is still to come would end."""


class FrameOutput:
    """Handles the frames of one direction."""

    __slots__ = ("begin", "conflicts", "ending", "flow", "shared")

    def __init__(self, shared: SharedState, flow: Flow, conflicts: OverlapConflicts) -> None:
        self.shared = shared
        self.flow = flow
        self.conflicts = conflicts
        self.begin: int | None = None
        """Offset of the very first byte of the stream, if that is known."""
        self.ending: Ending | None = None
        """The FIN or RST that may end the stream."""

    @property
    def direction(self) -> Direction:
        """``c2s`` or ``s2c``."""
        return self.flow.direction

    # Events

    def handle_frame(self, header: Header, body: bytes, arrival: Arrival, offset: int) -> Verdict | None:
        shared = self.shared
        opened = shared.verifier.open(self.direction, header, body)
        if not shared.direction_known and self.is_reversed(header, opened):
            self.exchange_directions()
            opened = shared.verifier.open(self.direction, header, body)
        _, encryption, verdict, reason = opened
        if verdict != "verified" and reason != "sha1-of-ciphertext":
            return opened
        notes = self._conflict_notes(header, body, offset) if self.conflicts else None
        ambiguous = encryption == "None" and shared.verifier.may_be_ciphertext(self.direction, header, body)
        if ambiguous and self._may_hold(header):
            self._hold(header, body, arrival, notes)
        else:
            self._emit(header, opened, arrival, notes)
        return None

    def is_reversed(self, header: Header, opened: Verdict) -> bool:
        """Returns True if the first message shows that the other end is the gateway."""
        plaintext, _, verdict, _ = opened
        if plaintext is None or verdict != "verified":
            return False

        def is_complete(direction: Direction) -> bool:
            return Body(header[PROTO_ID], direction, header[FORMAT], plaintext, self.shared.limits).complete

        return is_complete("s2c" if self.direction == "c2s" else "c2s") and not is_complete(self.direction)

    def exchange_directions(self) -> None:
        """Lets this be the other direction of the connection."""
        raise NotImplementedError

    def handle_unproven(self, header: Header, body: bytes, opened: Verdict, arrival: Arrival, offset: int) -> None:
        other = None
        if self.conflicts:
            start = offset + HEADER_LEN
            other = patched(body, start, self.conflicts.overlapping(start, start + len(body)))
        notes = self._conflict_notes(header, body, offset) if self.conflicts else None
        if opened.reason in _WAITING and self._may_hold(header):
            self._hold(header, body, arrival, notes, None if other == body else other)
        else:
            self._emit(header, opened, arrival, notes)

    def handle_cut_short(self, header: Header, body: bytes, arrival: Arrival) -> None:
        opened = self.shared.verifier.open(self.direction, header, body)
        if opened.name == "verified":  # and yet the header is damaged
            opened = opened._replace(name="failed", reason="sha1-mismatch")
        self._emit(header, opened, arrival, ["damaged-length"])

    def handle_incomplete(self, header: Header, arrival: Arrival, reason: str) -> None:
        notes = None
        if reason == "unfinished":
            reason, notes = "gap", ["connection-ends" if self.ending is not None else "capture-ends"]
        elif reason == "length-counts-header":
            reason, notes = "gap", ["length-counts-header"]
        self._emit(header, Verdict(None, "unknown", "unverified", reason), arrival, notes)

    def handle_undigested(
        self, header: Header, body: bytes, arrival: Arrival, error: dict[str, int | str] | None
    ) -> None:
        opened = self.shared.verifier.open_undigested(self.direction, header, body)
        self._emit(header, opened, arrival, None, error)

    def handle_gap(self, size: int, reason: GapReason, arrival: Arrival) -> None:
        self.shared.items.append(Gap(self.flow, arrival.time_ns, size, reason, arrival.packets[-1]))

    def _emit(
        self,
        header: Header,
        opened: Verdict,
        arrival: Arrival,
        notes: list[str] | None,
        error: dict[str, int | str] | None = None,
    ) -> None:
        shared = self.shared
        shared.confirmed = shared.direction_known = True
        shared.answered = shared.answered or self.direction == "s2c"
        message = new_message(self.flow, header, opened, arrival, shared.verifier.conn_id, notes)
        if error is not None:
            message.error = error
        shared.items.append(message)

    def _hold(
        self, header: Header, body: bytes, arrival: Arrival, notes: list[str] | None, other: bytes | None = None
    ) -> None:
        self.shared.confirmed = True
        self.shared.items.append(PendingMessage(self.flow, header, body, arrival, notes, other))

    def _may_hold(self, header: Header) -> bool:
        """Returns True if the key to this message may still come."""
        if header[PROTO_ID] == INIT_CONNECT or self.direction == "s2c":
            return False
        return self.shared.may_hold

    # Questions

    @property
    def now(self) -> Arrival:
        return self.shared.now

    @property
    def confirmed(self) -> bool:
        return self.shared.confirmed

    @property
    def nothing_decrypted(self) -> bool:
        return self.shared.verifier.nothing_decrypted

    @property
    def keys_known(self) -> int:
        return len(self.shared.verifier.keys)

    @property
    def begins_at_first_byte(self) -> bool:
        return self.begin is not None

    def verifies(self, header: Header, body: bytes, *, by_hash: bool = False) -> bool:
        return self.shared.verifier.verifies(self.direction, header, body, by_hash=by_hash)

    def in_clear(self, header: Header, body: bytes) -> bool:
        return sha1(body).digest() == header[DIGEST]

    def starts(self, header: Header) -> bool:
        # An encrypted InitConnect verifies nothing without the key, but it is whole RSA blocks of 512 bits at least;
        # in the middle of a stream, of one of the usual sizes.
        if self.shared.confirmed:
            return True
        return (
            header[PROTO_ID] == INIT_CONNECT
            and header[BODY_LEN] >= 64
            and (self.begin is not None or header[BODY_LEN] % 64 == 0)
        )

    def repairable(self, header: Header, opened: Verdict) -> bool:
        if header[PROTO_ID] == INIT_CONNECT:
            return opened.reason in ("sha1-mismatch", "wrong-key")
        return opened.name == "failed" and not self._may_hold(header)

    def _conflict_notes(self, header: Header, body: bytes, offset: int) -> list[str] | None:
        """Returns a note if versions of the frame's bytes differ, and forgets them.

        A single byte may be a keep-alive probe: that repeats the last byte sent, or sends any byte in its place.
        """
        end = offset + HEADER_LEN + len(body)
        noted = [
            conflict
            for conflict in self.conflicts.overlapping(offset, end)
            if conflict.contradicts(offset, end)
            and (len(conflict.data) > 1 or conflict.start < min(offset + HEADER_LEN, end - 1))
        ]
        self.conflicts.forget(end)
        return ["conflicting-overlap"] if noted else None


def new_message(
    flow: Flow, header: Header, opened: Verdict, arrival: Arrival, conn_id: str | None, notes: list[str] | None
) -> Message:
    """Makes the message of a frame; it is not numbered yet."""
    plaintext, encryption, verdict, reason = opened
    kind: Kind = "request" if flow.direction == "c2s" else "push" if header[PROTO_ID] in PUSH_IDS else "response"
    packets, time_ns = arrival
    return Message(flow, header, time_ns, packets, kind, plaintext, encryption, verdict, reason, conn_id, notes)
