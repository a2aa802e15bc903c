"""Defines the states of a connection, the table of transitions, and what both directions share."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from decoder.crypto.verifier import BodyVerifier
from decoder.vocabulary import Arrival

if TYPE_CHECKING:
    from decoder.conversation.hold_queue import Item
    from decoder.conversation.summary import ConnectionInfo
    from decoder.crypto.keyring import KeyRing
    from decoder.framing.websocket_upgrade import Upgrade
    from decoder.limits import Limits

__all__ = ["TRANSITIONS", "Ending", "Event", "SharedState", "State"]


class State(Enum):
    """State of a connection."""

    OPEN = auto()
    """Data may come in both directions."""
    RESET = auto()
    """A RST with exactly the next number was seen.  It may be forged, so data that continues opens it again."""
    CLOSED = auto()
    """Both directions are complete up to their FIN.  Data that continues opens it again: then a FIN was forged."""
    FINISHED = auto()
    """Everything came out, and the connection was reported.  Only late retransmissions are expected."""


class Event(Enum):
    """Event that may change the state of a connection."""

    RST_REACHED = auto()
    """The stream stands exactly where a RST said."""
    FINS_REACHED = auto()
    """Both streams stand exactly where their FINs said."""
    DATA_CONTINUES = auto()
    """New bytes came at the number where a stream stood."""
    FINISH = auto()
    """The capture ends, or room is needed."""


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.OPEN, Event.RST_REACHED): State.RESET,
    (State.OPEN, Event.FINS_REACHED): State.CLOSED,
    (State.RESET, Event.DATA_CONTINUES): State.OPEN,
    (State.RESET, Event.FINS_REACHED): State.CLOSED,
    (State.CLOSED, Event.DATA_CONTINUES): State.OPEN,
    (State.CLOSED, Event.RST_REACHED): State.RESET,
    (State.OPEN, Event.FINISH): State.FINISHED,
    (State.RESET, Event.FINISH): State.FINISHED,
    (State.CLOSED, Event.FINISH): State.FINISHED,
}
"""The next state; an event that is not listed changes nothing."""


class Ending(NamedTuple):
    """The place of a stream where a FIN or RST said that it ends."""

    offset: int
    reset: bool
    arrival: Arrival


class SharedState:
    """Holds what both directions of a connection share."""

    __slots__ = (
        "answered",
        "confirmed",
        "direction_known",
        "from_start",
        "hold_overflowed",
        "info",
        "items",
        "keyring",
        "limits",
        "now",
        "segments",
        "server_settled",
        "state",
        "upgrade",
        "verifier",
    )

    def __init__(self, info: ConnectionInfo, keyring: KeyRing, limits: Limits, now: Arrival) -> None:
        self.info = info
        self.keyring = keyring
        self.limits = limits
        self.verifier = BodyVerifier(keyring, limits)
        self.state = State.OPEN
        self.now = now
        """The packet seen last."""
        self.segments = 0
        """Segments that took the slow path: the clock of all waits that count packets."""
        self.confirmed = False
        """True once a header of the protocol was accepted."""
        self.direction_known = False
        """True once a SYN or the content showed which end is the gateway."""
        self.answered = False
        """True once a message of the gateway came out."""
        self.from_start = False
        """True if the beginning of the conversation is, or may be, in the capture."""
        self.server_settled = True
        """False while packets may have overtaken the gateway's first ones."""
        self.hold_overflowed = False
        """True once the hold queue was full: from then on nothing waits for keys."""
        self.upgrade: Upgrade | None = None
        """The upgrade to WebSocket, if the content showed that there was one."""
        self.items: list[Item] = []
        """Messages and gaps that came out of the framers and were not handled yet."""

    def handle(self, event: Event) -> None:
        """Changes the state as the table says."""
        self.state = TRANSITIONS.get((self.state, event), self.state)

    @property
    def may_hold(self) -> bool:
        """True if a message that cannot be decrypted may wait for the InitConnect response."""
        if self.state is State.FINISHED or self.hold_overflowed or not self.verifier.may_open_later:
            return False
        if not self.server_settled:
            return True
        return not self.answered and (self.from_start or self.verifier.request_seen)
