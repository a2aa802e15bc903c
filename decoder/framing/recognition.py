"""Recognizes connections of the protocol by the first bytes of a segment, whatever framing they have."""

from __future__ import annotations

from decoder.framing.header import begins_with_header
from decoder.framing.websocket_frames import begins_with_frame
from decoder.framing.websocket_upgrade import begins_upgrade

__all__ = ["begins_like_others", "begins_with_message", "is_of_client"]


def begins_with_message(data: bytes, max_body: int) -> bool:
    """Returns True if `data` begins with a message, bare or in a WebSocket frame.

    :param max_body: bytes of the longest body
    """
    return begins_with_header(data, max_body) or begins_with_frame(data) is not None


def begins_like_others(data: bytes) -> bool:
    """Returns True if `data` may begin a connection of the protocol, but begins those with other servers, too."""
    return begins_upgrade(data)


def is_of_client(data: bytes) -> bool | None:
    """Returns True if `data` begins with the framing of a client, False if with that of a gateway, None if neither."""
    return True if begins_upgrade(data) else begins_with_frame(data)
