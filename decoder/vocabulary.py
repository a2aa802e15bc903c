"""Defines the words that several stages share: directions, kinds, reasons, gap reasons, protocol ids.

Each fact has its only home here.  Nothing in this module depends on another module of the package.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

__all__ = [
    "APPLICATION",
    "DEFAULT_PORT",
    "ENDS",
    "GAP_REASONS",
    "GET_GLOBAL_STATE",
    "HINTS",
    "INIT_CONNECT",
    "INIT_WEB_SOCKET",
    "KEEP_ALIVE",
    "LOGIN_IDS",
    "NOTIFY",
    "OPEND_DISCONNECT",
    "QOT_SUB",
    "QOT_UPDATE_BASIC_QOT",
    "QOT_UPDATE_BROKER",
    "QOT_UPDATE_KL",
    "QOT_UPDATE_ORDER_BOOK",
    "QOT_UPDATE_RT",
    "QOT_UPDATE_TICKER",
    "TRD_GET_ACC_LIST",
    "TRD_GET_ORDER_LIST",
    "TRD_MODIFY_ORDER",
    "TRD_PLACE_COMBO_ORDER",
    "TRD_PLACE_ORDER",
    "TRD_RECONFIRM_ORDER",
    "TRD_SUB_ACC_PUSH",
    "TRD_UNLOCK_TRADE",
    "TRD_UPDATE_ORDER",
    "TRD_UPDATE_ORDER_FILL",
    "Arrival",
    "Direction",
    "EnumStyle",
    "GapReason",
    "Kind",
    "Transport",
    "Verdict",
]

APPLICATION: Final = "opendump"
"""First word of a pcapng section's application field in a capture that `opendump rewrite` wrote."""

DEFAULT_PORT: Final = 11111
"""TCP port on which OpenD listens unless its `api_port` setting says otherwise (source: the official SDK's default)."""

Direction = Literal["c2s", "s2c"]
"""``c2s``: from the client to the gateway; ``s2c``: from the gateway to the client."""

Kind = Literal["request", "response", "push"]
"""Kind of a message, decided by protocol id and direction."""

Transport = Literal["tcp", "websocket"]
"""Layer that carries the messages of a connection."""

EnumStyle = Literal["sdk", "proto", "number"]
"""Display style of enum values: ``FILLED_ALL``, ``OrderStatus_Filled_All`` or ``11``."""

HINTS: Final = {
    "truncated": "the capture kept only the start of each packet; record with a larger snap length (tcpdump -s 0)",
    "gap": "packets are missing from the capture; record closer to the client or with a larger buffer (tcpdump -B)",
    "oversize": "the length in the header is over the limit; raise --max-memory if such a message is real",
    "rsa-padding": "the right key, but the client pads InitConnect with RSA OAEP; OpenD reads PKCS#1 v1.5 only",
    "sha1-of-ciphertext": "the sender hashed the encrypted bytes, not the plain ones: a bug in its SDK",
    "no-key": "the connection is encrypted; give OpenD's RSA private key (its rsa_private_key setting) with --rsa-key",
    "wrong-key": "no RSA key that was tried opens InitConnect; give the file named by OpenD's setting rsa_private_key",
    "handshake-missing": "InitConnect, which has the keys, is missing: give a key log with --keylog, or record it",
    "no-digest": "nothing to do: OpenD's WebSocket port sends no SHA-1, so nothing can prove its messages",
    "sha1-mismatch": "the body does not have the SHA-1 in its header: damaged in transit, or hashed wrongly",
}
"""Reasons why a message is not verified, each with a line on its cause and the next step."""

ENDS: Final = {
    "capture-ends": "the capture ends before the message does: it was still being sent, or the file is still growing",
    "connection-ends": "the connection ends before the message does: the sender closed it, or the length is wrong",
    "length-counts-header": "the length in its header counts the header's own 44 bytes, so OpenD waits for more: send "
    "the length of the body alone",
}
"""Notes on a message of which no packet is lost and yet bytes are missing, each with a line that says so."""

GapReason = Literal["lost", "snaplen", "limit", "resync", "mid-stream"]
"""Reason why bytes of a stream are in no message."""

GAP_REASONS: Final = {
    "lost": "missing from the capture",
    "snaplen": "cut off by the snap length",
    "limit": "dropped: a memory limit was hit",
    "resync": "skipped to reach the next header",
    "mid-stream": "before the first header",
}
"""All values of `GapReason`, each with a phrase that follows a number of bytes."""

# Protocol ids that the code refers to; the schema has the others (source: `schema/protocols.tsv`).
INIT_WEB_SOCKET: Final = 1
OPEND_DISCONNECT: Final = 2
INIT_CONNECT: Final = 1001
LOGIN_IDS: Final = frozenset((INIT_CONNECT, INIT_WEB_SOCKET))
"""Protocols one of which opens a session: the first over TCP, the second on OpenD's WebSocket port."""
GET_GLOBAL_STATE: Final = 1002
NOTIFY: Final = 1003
KEEP_ALIVE: Final = 1004
TRD_GET_ACC_LIST: Final = 2001
TRD_UNLOCK_TRADE: Final = 2005
TRD_SUB_ACC_PUSH: Final = 2008
TRD_GET_ORDER_LIST: Final = 2201
TRD_PLACE_ORDER: Final = 2202
TRD_MODIFY_ORDER: Final = 2205
TRD_UPDATE_ORDER: Final = 2208
TRD_RECONFIRM_ORDER: Final = 2209
TRD_UPDATE_ORDER_FILL: Final = 2218
TRD_PLACE_COMBO_ORDER: Final = 2227
QOT_SUB: Final = 3001
QOT_UPDATE_BASIC_QOT: Final = 3005
QOT_UPDATE_KL: Final = 3007
QOT_UPDATE_RT: Final = 3009
QOT_UPDATE_TICKER: Final = 3011
QOT_UPDATE_ORDER_BOOK: Final = 3013
QOT_UPDATE_BROKER: Final = 3015


class Arrival(NamedTuple):
    """Holds the numbers of the packets that brought some bytes, and the capture time of the last of these packets."""

    packets: tuple[int, ...]
    time_ns: int


class Verdict(NamedTuple):
    """Holds the result of decrypting and verifying a body."""

    plaintext: bytes | None
    """The body after decryption, or the best candidate; None if nothing readable was found."""
    encryption: str
    """``None``, ``RSA``, ``FTAES_ECB``, ``AES_ECB``, ``AES_CBC`` or ``unknown``."""
    name: str
    """``verified``, ``unverified`` or ``failed``."""
    reason: str | None
    """Key of `HINTS`, or None for a verified body."""
