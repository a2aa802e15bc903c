"""Chooses what cuts the frames of a connection: they lie bare in its streams, or travel in WebSocket frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from decoder.framing.framer import Framer
from decoder.framing.handler import FrameHandler
from decoder.framing.websocket_framer import WebSocketFramer, begins_websocket
from decoder.framing.websocket_upgrade import Upgrade

if TYPE_CHECKING:
    from decoder.conversation.state import SharedState
    from decoder.vocabulary import Direction

__all__ = ["new_framer", "upgraded_framer"]


class Half(FrameHandler, Protocol):
    """A direction of a connection, as far as it is known here."""

    shared: SharedState
    begin: int | None

    @property
    def direction(self) -> Direction:
        """``c2s`` or ``s2c``."""


def new_framer(half: Half, begin: int) -> Framer | WebSocketFramer:
    """Returns what cuts the frames of a direction from the offset `begin` on."""
    limits, upgrade = half.shared.limits, half.shared.upgrade
    if upgrade is None:
        return Framer(half, limits.max_body, limits.max_resync_scan, begin)
    from_client = half.direction == "c2s"
    return WebSocketFramer(half, upgrade, limits.max_body, from_client=from_client, at_start=begin == half.begin)


def upgraded_framer(half: Half, data: bytes, begin: int) -> Framer | WebSocketFramer | None:
    """Returns what cuts the frames of a direction if `data`, at `begin`, shows that they travel in WebSocket frames."""
    shared, at_start = half.shared, begin == half.begin
    if not begins_websocket(data, at_start=at_start):
        return None
    shared.upgrade = shared.upgrade or Upgrade()
    try:
        framer = new_framer(half, begin)
    except ImportError:
        shared.upgrade = None
        shared.info.library_missing |= not at_start or b"websocket" in data.lower()
        return None
    shared.info.websocket = shared.upgrade
    return framer
