"""Chooses what cuts the frames of a connection: they lie bare in its streams, or travel in WebSocket frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.framing.framer import Framer
from decoder.framing.websocket_framer import WebSocketFramer, begins_websocket
from decoder.framing.websocket_upgrade import Upgrade

if TYPE_CHECKING:
    from decoder.conversation.half_connection import HalfConnection
    from decoder.tcp.reassembly import Block

__all__ = ["choose_framing", "new_framer"]


def new_framer(half: HalfConnection, begin: int) -> Framer | WebSocketFramer:
    """Returns what cuts the frames of a direction from the offset `begin` on."""
    limits, upgrade = half.shared.limits, half.shared.upgrade
    if upgrade is None:
        return Framer(half, limits.max_body, limits.max_resync_scan, begin)
    from_client = half.direction == "c2s"
    return WebSocketFramer(half, upgrade, limits.max_body, from_client=from_client, at_start=begin == half.begin)


def choose_framing(half: HalfConnection, block: Block) -> None:
    """Looks, while no message was found, whether the messages of the connection travel in WebSocket frames."""
    shared, at_start = half.shared, block.offset == half.begin
    if isinstance(half.framer, WebSocketFramer) or not begins_websocket(block.data, at_start=at_start):
        return
    shared.upgrade = shared.upgrade or Upgrade()
    try:
        _change_framing(half, block.offset)
    except ImportError:
        shared.upgrade = None
        shared.info.library_missing |= not at_start or b"websocket" in block.data.lower()
        return
    shared.info.websocket = shared.upgrade
    peer = half.peer
    if not at_start or (peer.begin is not None and peer.untouched):
        _change_framing(peer, peer.stream.position)


def _change_framing(half: HalfConnection, begin: int) -> None:
    """Cuts the stream by the framing of the connection from the offset `begin` on."""
    before, half.framer = half.framer, new_framer(half, begin)
    half.flow.transport = "websocket"
    before.finish()
    before.report_silent()
