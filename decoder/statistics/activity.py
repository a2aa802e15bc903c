"""Follows what happens now: rates, latencies, unanswered requests, the state of the gateway (``opendump top``)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from decoder.bounded import BoundedDict
from decoder.message import Gap, Message
from decoder.statistics.statistics import Statistics
from decoder.statistics.windows import LatencyWindow, RateWindow
from decoder.vocabulary import GET_GLOBAL_STATE, INIT_CONNECT, KEEP_ALIVE, NOTIFY

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo

__all__ = ["Activity", "ConnectionActivity", "GatewayState", "ProtocolActivity"]

_MAX_CONNECTIONS = 1_024
_MAX_PROTOCOLS = 256
_MAX_GATEWAYS = 16
_MAX_PENDING = 256
"""Unanswered requests that are remembered for each connection: the oldest, whose age is shown."""
_MAX_RECENT = 2_000
_MAX_RECENT_BYTES = 16 * 1024 * 1024
"""Messages that can be looked at, and the bytes of their bodies; the oldest are dropped."""


@dataclass
class GatewayState:
    """Holds what a gateway said of itself last."""

    time_ns: int = 0
    version: int | None = None
    """serverVer."""
    program: str | None = None
    """Status of OpenD: READY, FORCE_LOGOUT, …"""
    quote_link: bool | None = None
    """True while OpenD is logged in to the quote servers."""
    trade_link: bool | None = None
    event: str | None = None
    """The last event: KickedOut, …"""
    event_ns: int = 0


@dataclass
class ConnectionActivity:
    """Holds what happens on one connection."""

    requests: RateWindow = field(default_factory=RateWindow)
    pushes: RateWindow = field(default_factory=RateWindow)
    keep_alive_ns: int | None = None
    """Time of the last KeepAlive request."""
    ended_ns: int | None = None
    pending: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Requests without a response, oldest first: time and protocol by the number of the message."""


@dataclass
class ProtocolActivity:
    """Holds what happens with one protocol."""

    messages: RateWindow = field(default_factory=RateWindow)
    latency: LatencyWindow = field(default_factory=LatencyWindow)


class Activity:
    """Takes messages and gaps as they come, in bounded memory.  `statistics` has the totals, as ``opendump stats``.

    All ages and rates are those of the capture's clock: the caller says what time it is.
    """

    def __init__(self) -> None:
        self.statistics = Statistics()
        self.connections: BoundedDict[int, ConnectionActivity] = BoundedDict(
            _MAX_CONNECTIONS, lambda ordinal: ConnectionActivity()
        )
        self.protocols: BoundedDict[int, ProtocolActivity] = BoundedDict(
            _MAX_PROTOCOLS, lambda proto_id: ProtocolActivity()
        )
        self.gateways: BoundedDict[str, GatewayState] = BoundedDict(_MAX_GATEWAYS, lambda address: GatewayState())
        self.recent: deque[Message | Gap] = deque()
        """The last messages and gaps."""
        self.gaps = 0
        self.seen = 0
        """Messages and gaps so far."""
        self._recent_bytes = 0

    def connection_ended(self, info: ConnectionInfo) -> None:
        """Takes the end of a connection; its last messages may come with the next `add`."""
        self.statistics.connection_ended(info)
        known = self.connections.get(info.ordinal)
        if known is not None:
            known.ended_ns = info.last_ns

    def add(self, items: Iterable[Message | Gap]) -> None:
        """Takes the next messages and gaps, in the order in which the decoder gave them."""
        items = list(items)
        for item in items:
            self.seen += 1
            self._remember(item)
            if isinstance(item, Message):
                self._take(item)
            else:
                self.gaps += 1
        self.statistics.add(items)

    def _remember(self, item: Message | Gap) -> None:
        self.recent.append(item)
        self._recent_bytes += _size(item)
        while len(self.recent) > _MAX_RECENT or (self._recent_bytes > _MAX_RECENT_BYTES and len(self.recent) > 1):
            self._recent_bytes -= _size(self.recent.popleft())

    def _take(self, message: Message) -> None:
        connection = self.connections[message.flow.connection]
        protocol = self.protocols[message.proto_id]
        protocol.messages.add(message.time_ns)
        if message.kind == "push":
            connection.pushes.add(message.time_ns)
        elif message.kind == "request":
            connection.requests.add(message.time_ns)
            answered = message.own_notes is not None and "request-later" in message.own_notes
            if not answered and len(connection.pending) < _MAX_PENDING:
                name = message.proto or str(message.proto_id)
                connection.pending[message.number] = message.time_ns, name
            if message.proto_id == KEEP_ALIVE:
                connection.keep_alive_ns = message.time_ns
        else:
            if message.request is not None:
                connection.pending.pop(message.request, None)
            if message.latency_ns is not None:
                protocol.latency.add(message.time_ns, message.latency_ns)
        if message.direction == "s2c" and message.proto_id in (NOTIFY, GET_GLOBAL_STATE, INIT_CONNECT):
            self._gateway_says(message)

    def _gateway_says(self, message: Message) -> None:
        body: Any = message.body
        said = body.get("s2c") if isinstance(body, dict) else None
        if not isinstance(said, dict):
            return
        state = self.gateways[message.src]
        state.time_ns = message.time_ns
        if message.proto_id == NOTIFY:
            kind = said.get("type")
            links = said.get("connectStatus") if kind == "CONN_STATUS" else None
            program = said.get("programStatus") if kind == "PROGRAM_STATUS" else None
            program = program.get("programStatus") if program else None
            if kind == "GTW_EVENT" and "event" in said:
                state.event, state.event_ns = str(said["event"].get("eventType")), message.time_ns
        else:
            links, program = said, said.get("programStatus")
            state.version = said.get("serverVer", state.version)
        if links:
            state.quote_link = links.get("qotLogined", state.quote_link)
            state.trade_link = links.get("trdLogined", state.trade_link)
        if program:
            state.program = str(program.get("type"))


def _size(item: Message | Gap) -> int:
    return item.body_len if isinstance(item, Message) else 0
