"""The short way of the usual message: whole in one segment, in sync, proven by the method that proved the last one.

This is `Framer`, `Opener` and `Connection.give_frame` in one loop without the calls between them: 2.0 µs a
message against 3.3.  It stops at the first frame that is anything else, and leaves that to them; so what
comes out is the same (tests/test_fast_path.py compares).
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING

from .header import HEADER, HEADER_LEN, MAGIC, Header
from .message import Message
from .schema import PUSH_IDS
from .verdict import INIT_CONNECT

if TYPE_CHECKING:
    from .side import Side

__all__ = ["give_whole_messages"]

_unpack = HEADER.unpack_from


def give_whole_messages(side: Side, data: bytes, numbers: tuple[int, ...], time_ns: int) -> int:
    """Give out the messages at the start of `data`, a segment of `side`, whose framer is in step.

    Returns how many bytes they take.
    """
    connection = side.connection
    if connection.holding or side.copies:
        return 0
    opener = connection.opener
    decrypt = opener.decrypt
    to_gateway = side.direction == "c2s"
    position, size = 0, len(data)
    while size - position >= HEADER_LEN:
        header: Header = _unpack(data, position)
        proto_id = header[1]
        end = position + HEADER_LEN + header[5]
        if end > size or header[0] != MAGIC or proto_id == INIT_CONNECT:
            break
        body = data[position + HEADER_LEN : end]
        plain = body if decrypt is None else decrypt(body)
        if plain is None or sha1(plain).digest() != header[6]:
            break
        if decrypt is None:
            if not len(body) & 15 and opener.doubts(side.direction, header, body):
                break
            opener.clear_seen = True
        connection.give(
            Message(
                side.flow,
                header,
                time_ns,
                numbers,
                "request" if to_gateway else "push" if proto_id in PUSH_IDS else "response",
                plain,
                opener.encryption,
                "verified",
                None,
                opener.conn_id,
            )
        )
        position = end
    return position
