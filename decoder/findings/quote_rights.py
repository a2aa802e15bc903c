"""Remembers what quotes a gateway served, to tell a quote right that was lost from one that was never there."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from decoder import schema
from decoder.body.scalars import plain_text
from decoder.bounded import BoundedDict
from decoder.formatting.escape import quote
from decoder.vocabulary import QOT_SUB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message as ProtobufMessage

    from decoder.findings.context import Context
    from decoder.message import Message

__all__ = ["QuoteRights"]

_MAX_ASKED = 1_024
"""Requests without an answer yet that are remembered."""
_MAX_SERVED = 65_536
"""Kinds of quotes of a security that are remembered; the one not asked for longest is forgotten."""
_MAX_KEYS = 400
"""Kinds and securities of one request; the gateway takes 400 snapshots."""
_MAX_CODE = 32
_READS = frozenset((3004, 3006, 3008, 3010, 3012, 3014, 3203))
"""Requests for quotes: BasicQot, KL, RT, Ticker, OrderBook, Broker, SecuritySnapshot."""

Key = tuple[int, int, int, str]
"""Protocol id, SubType (0 unless it is Qot_Sub), market and code."""


class QuoteRights:
    """Remembers, over all connections, the requests for quotes that were answered with success."""

    def __init__(self) -> None:
        self._asked: BoundedDict[int, tuple[Key, ...]] = BoundedDict(_MAX_ASKED)
        self._served: BoundedDict[tuple[str, Key], int] = BoundedDict(_MAX_SERVED)

    def request(self, message: Message, body: ProtobufMessage) -> None:
        """Takes a request."""
        if message.proto_id == QOT_SUB or message.proto_id in _READS:
            self._asked[message.number] = tuple(islice(_keys(message.proto_id, body), _MAX_KEYS))

    def response(self, context: Context, message: Message) -> None:
        """Takes a response with success, which shows that the right was there."""
        if message.request is None:
            return
        for key in self._asked.pop(message.request, ()):
            self._served[context.gateway, key] = message.number
            self._served.move_to_end((context.gateway, key))

    def had(self, context: Context, message: Message, text: str) -> tuple[str, int] | None:
        """Returns what a response refuses for want of the right and an earlier one granted: its name and that message.

        Of several securities those count that `text` names; if it names none, all must have been served.
        """
        keys = () if message.request is None else self._asked.get(message.request, ())
        named = [key for key in keys if key[3] in text] or keys
        earlier = [self._served.get((context.gateway, key)) for key in named]
        if not earlier or None in earlier:
            return None
        _, _, market, code = named[0]
        markets = schema.enum_names(schema.enum_descriptor("Qot_Common.QotMarket"), "sdk")
        return f"{markets.get(market, market)}.{quote(code, _MAX_CODE)}", earlier[0] or 0


def _keys(proto_id: int, body: ProtobufMessage) -> Iterator[Key]:
    c2s: Any = body.c2s  # type: ignore[attr-defined]
    if proto_id == QOT_SUB and not c2s.isSubOrUnSub:
        return
    securities = getattr(c2s, "securityList", None)
    for security in [c2s.security] if securities is None else securities:
        code = plain_text(security.code[:_MAX_CODE])
        if not code:
            continue
        for sub_type in c2s.subTypeList if proto_id == QOT_SUB else (0,):
            yield proto_id, sub_type, security.market, code
