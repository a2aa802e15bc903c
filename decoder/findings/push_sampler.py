"""Samples quote pushes: of those that are like others before them every 16th is inspected."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from decoder.framing.header import FORMAT, PROTO_ID
from decoder.vocabulary import (
    QOT_UPDATE_BASIC_QOT,
    QOT_UPDATE_BROKER,
    QOT_UPDATE_KL,
    QOT_UPDATE_ORDER_BOOK,
    QOT_UPDATE_RT,
    QOT_UPDATE_TICKER,
)

if TYPE_CHECKING:
    from decoder.findings.subscription_ledger import SubscriptionRow
    from decoder.message import Message

__all__ = ["PushSampler"]

_WHOLE = 2  # pushes of a protocol and security that are inspected before sampling begins
_EVERY = 16  # afterwards every 16th is: a drift of the schema in a stream shows within 16 pushes
_MAX_KEYS = 4_096  # protocols and securities of a connection; the largest quota is 2,000
_PROTOBUF = 0  # of the header's format field

# retType 0, no retMsg, no errCode, then the length of s2c.
_SUCCESS = rb"\x08\x00(?:\x12\x00)?(?:\x18\x00)?\x22[\x80-\xff]{0,4}[\x00-\x7f]"
# rehabType and klType of candles; tag and length of the security, which stands first in these pushes.
_START = re.compile(_SUCCESS + rb"((?:\x08[\x00-\x7f]\x10[\x00-\x7f]\x1a|\x0a)[\x00-\x7f])").match
# Tag and length of the first quote, tag and length of its security.
_QUOTE = re.compile(_SUCCESS + rb"\x0a([\x80-\xff]{0,4}[\x00-\x7f])(\x0a[\x00-\x7f])").match
_ODD_LOTS = b"\x48\x01"  # orderBookType, the last field of an order book

Key = tuple[int, bytes]


def _of_security(body: bytes) -> bytes | None:
    """Returns what a push about one security shares with others of it."""
    start = _START(body)
    if start is None or body.endswith(_ODD_LOTS):
        return None
    end = start.end()
    return body[start.start(1) : end + body[end - 1]]


def _of_quote(body: bytes) -> bytes | None:
    """Likewise of a push of quotes that holds one."""
    start = _QUOTE(body)
    if start is None:
        return None
    length = 0
    for place, byte in enumerate(start[1]):
        length |= (byte & 0x7F) << 7 * place
    if start.end(1) + length != len(body):
        return None
    end = start.end()
    return body[start.start(2) : end + body[end - 1]]


_READERS: dict[int, Callable[[bytes], bytes | None]] = {
    QOT_UPDATE_KL: _of_security,
    QOT_UPDATE_RT: _of_security,
    QOT_UPDATE_TICKER: _of_security,
    QOT_UPDATE_ORDER_BOOK: _of_security,
    QOT_UPDATE_BROKER: _of_security,
    QOT_UPDATE_BASIC_QOT: _of_quote,
}
"""Pushes of quotes, and what tells those of a security apart."""


class PushSampler:
    """Decides which pushes of one connection are inspected.

    Most of a capture is quotes: to parse each of them would take two thirds of the time of all statistics.  A push that
    reports success, of a protocol and a security of which two pushes had nothing to remark, counts as more of the
    same; every 16th is looked at all the same.  So a field or enum value that is new to the schema can be missed in a
    single quote push, not in a stream of them; all other messages are looked at.
    """

    def __init__(self) -> None:
        self._unremarkable: dict[Key, int] = {}
        self._turn = 0
        self.rows: dict[Key, Sequence[SubscriptionRow]] = {}
        """The subscriptions that the pushes with a key count for."""

    def key(self, message: Message) -> Key | None:
        """Returns the bytes that a push shares with others of its security; None if it must be inspected."""
        header, plaintext = message.header, message.plaintext
        read = _READERS.get(header[PROTO_ID])
        if read is None or plaintext is None or header[FORMAT] != _PROTOBUF:
            return None
        shared = read(plaintext)
        return None if shared is None else (header[PROTO_ID], shared)

    def skips(self, key: Key) -> bool:
        """Returns True if a push with this key need not be inspected."""
        if self._unremarkable.get(key, 0) < _WHOLE:
            return False
        self._turn += 1
        return self._turn % _EVERY != 0

    def record(self, key: Key, remarkable: bool, rows: Sequence[SubscriptionRow]) -> None:
        """Records that a push with this key was inspected, and which subscriptions it counts for."""
        if len(self._unremarkable) >= _MAX_KEYS:
            self.forget()
        self._unremarkable[key] = 0 if remarkable else self._unremarkable.get(key, 0) + 1
        self.rows[key] = rows

    def forget(self) -> None:
        """Starts anew, because subscriptions changed: the next pushes are inspected."""
        self._unremarkable.clear()
        self.rows.clear()
