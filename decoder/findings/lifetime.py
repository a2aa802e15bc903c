"""The life of a connection: KeepAlive, what the gateway announces, and the end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from decoder import schema
from decoder.findings.context import SECOND, duration_text, protocol_name
from decoder.formatting.escape import quote
from decoder.vocabulary import INIT_CONNECT

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.context import Context
    from decoder.findings.finding import Severity
    from decoder.message import Message

__all__ = ["KEEP_ALIVE", "NOTIFY", "Last", "Lifetime"]

NOTIFY, KEEP_ALIVE = 1003, 1004

_PATIENCE_NS = 30 * SECOND
"""After so long without a KeepAlive the gateway closes the connection (source: the vendor's documentation)."""
_NOTICE_NS = 60 * SECOND
"""How long before the end of a connection an announcement still explains it."""
_MAX_NOTICES = 4
_MAX_TEXT = 160

_LOG_IN = "log in to OpenD again"
_CODE = "enter the code in OpenD's console, its operation port, or with Verification"
_UPDATE = "update OpenD"
_DISCLAIMER = "agree to the disclaimer in the app, then start OpenD again"
_REINSTALL = "install OpenD again"

# Numbers of Notify.GtwEventType: severity and what to do.
_EVENTS: dict[int, tuple[Severity, str]] = {
    1: ("error", "check OpenD's configuration file"),
    2: ("error", "OpenD's API server did not start: is its port in use?"),
    3: ("error", _UPDATE),
    4: ("error", "check account and password in OpenD's configuration"),
    5: ("error", _DISCLAIMER),
    6: ("warning", _REINSTALL),
    7: ("error", "the account logged in somewhere else; run one OpenD per account, log in again"),
    8: ("error", f"the login password was changed; {_LOG_IN}"),
    9: ("error", "the account may not log in: ask the broker"),
    10: ("warning", _CODE),
    11: ("warning", _CODE),
    12: ("error", _REINSTALL),
    13: ("error", "OpenD lacks data that it needs: check its network, start it again"),
    14: ("warning", "the trade password was changed: unlock trade again with the new one"),
    15: ("warning", "turn on the device lock in the app"),
}
# Numbers of Common.ProgramStatusType: likewise; the others are steps on the way to READY.
_STATES: dict[int, tuple[Severity, str]] = {
    3: ("warning", _CODE),
    4: ("warning", _CODE),
    5: ("error", "check account and password in OpenD's configuration"),
    6: ("error", _UPDATE),
    8: ("error", "OpenD lacks data that it needs: check its network, start it again"),
    9: ("error", _DISCLAIMER),
    11: ("error", f"OpenD was logged out, all its connections end; {_LOG_IN}"),
    12: ("error", "OpenD could not fetch the disclaimer: check its network, start it again"),
}


Last = tuple[int, int, str]
"""What is kept of the last message of a connection: number, protocol id, kind."""


class _Notice(NamedTuple):
    number: int
    time_ns: int
    text: str


class Lifetime:
    """Follows one connection from KeepAlive to KeepAlive, to its end."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._interval_ns = 0
        self._alive_ns = context.first_ns
        self._alive_number: int | None = None
        self._alive_gaps = 0
        self._overdue_number: int | None = None
        self._overdue = False
        self._notices: deque[_Notice] = deque(maxlen=_MAX_NOTICES)
        self.deadline_ns = context.first_ns + _PATIENCE_NS
        """A message later than this shows that a KeepAlive is overdue: call `overdue`."""
        self.received_ns = context.first_ns
        """When the gateway sent something last."""

    def overdue(self, message: Message) -> None:
        """A message after the deadline."""
        if message.proto_id != KEEP_ALIVE or message.kind != "request":
            self._report_missed(message.time_ns, message.number)

    def init_response(self, message: Message) -> None:
        """The response to InitConnect: says how often a KeepAlive is wanted."""
        body = message.protobuf
        if body is not None and body.HasField("s2c"):
            interval = body.s2c.keepAliveInterval  # type: ignore[attr-defined]
            self._interval_ns = max(0, min(interval, 3_600)) * SECOND
        self._restart(message)

    def keep_alive(self, message: Message) -> None:
        """A KeepAlive request."""
        passed = message.time_ns - self._alive_ns
        whole = self._alive_gaps == self._context.client_gaps
        interval = self._interval_ns
        if passed > self._patience_ns:
            self._report_missed(message.time_ns, message.number)
        elif whole and interval and passed > interval * 3 // 2 + SECOND:
            self._context.report(
                "warning",
                "keep-alive-late",
                message,
                f"KeepAlive after {duration_text(passed)}, the gateway asked for one every "
                f"{duration_text(interval)}: the client is busy or was suspended",
            )
        self._restart(message)

    def notify(self, message: Message, body: ProtobufMessage) -> None:
        """A Notify push."""
        if not body.HasField("s2c"):
            return
        s2c = body.s2c  # type: ignore[attr-defined]
        if s2c.HasField("event"):
            number, said = s2c.event.eventType, s2c.event.desc
            self._announce(message, "gateway-event", "Notify.GtwEventType", number, said, _EVENTS)
        if s2c.HasField("programStatus"):
            status = s2c.programStatus.programStatus
            self._announce(
                message, "gateway-status", "Common.ProgramStatusType", status.type, status.strExtDesc, _STATES
            )
        if s2c.HasField("connectStatus"):
            lost = [
                what
                for what, there in (
                    ("quote", s2c.connectStatus.qotLogined),
                    ("trade", s2c.connectStatus.trdLogined),
                )
                if not there
            ]
            if lost:
                self._context.report(
                    "warning",
                    "server-link-lost",
                    message,
                    f"OpenD is not logged in to the {' and '.join(lost)} server{'s' * (len(lost) > 1)}: requests "
                    "that need them fail until Notify says otherwise",
                )

    def _announce(
        self,
        message: Message,
        code: str,
        enum: str,
        number: int,
        said: str | bytes,
        table: dict[int, tuple[Severity, str]],
    ) -> None:
        known = table.get(number)
        if known is None:
            return
        severity, advice = known
        name = schema.enum_names(schema.enum_descriptor(enum), "sdk").get(number, number)
        self._notices.append(_Notice(message.number, message.time_ns, str(name)))
        shown = f" ({quote(said, _MAX_TEXT)})" if said else ""
        self._context.report(severity, code, message, f"the gateway says {name}{shown}: {advice}")

    def end(self, info: ConnectionInfo | None, last: Last | None, time_ns: int) -> None:
        """The end of the connection, or (None) of what is known of it; `last` is its last message."""
        if info is not None and info.closed_ns is not None:
            time_ns = info.closed_ns
        if time_ns > self.deadline_ns:
            self._report_missed(time_ns, None)
        if info is None or info.closed_by is None or last is None:
            return
        cut = " with a TCP reset" if info.reset else ""
        number, proto_id, kind = last
        latest = f"the last message was {protocol_name(proto_id)} {kind} ({number})"
        if info.closed_by == "server":
            text = f"the gateway closed the connection{cut}{self._cause(proto_id, time_ns)}; {latest}"
            self._context.report_at("error", "closed-by-gateway", None, time_ns, text)
            return
        silence = time_ns - self.received_ns
        severity: Severity = "warning" if info.reset else "note"
        text = f"the client closed the connection{cut}"
        if silence > _PATIENCE_NS:
            severity = "warning"
            text += f" after the gateway had sent nothing for {duration_text(silence)} (the SDK gives up after 33 s)"
        elif info.reset:
            text += ": it was ended hard, or did not read what it got"
        self._context.report_at(severity, "closed-by-client", None, time_ns, f"{text}; {latest}")

    def _cause(self, last_id: int, time_ns: int) -> str:
        """Why the gateway closed, as far as the capture tells."""
        notices = [notice for notice in self._notices if time_ns - notice.time_ns < _NOTICE_NS]
        if notices:
            told = ", ".join(f"{notice.text} (message {notice.number})" for notice in notices)
            return f", having said {told}"
        if self._overdue:
            return f", {duration_text(time_ns - self._alive_ns)} after the last KeepAlive"
        if last_id == INIT_CONNECT:
            return ", right after InitConnect: compare the RSA keys and encryption settings of client and OpenD"
        return " without saying why: look into OpenD's log; was it stopped?"

    @property
    def _patience_ns(self) -> int:
        return max(_PATIENCE_NS, 2 * self._interval_ns)

    def _restart(self, message: Message) -> None:
        self._alive_ns = message.time_ns
        self._alive_number = message.number
        self._alive_gaps = self._context.client_gaps
        self._overdue = False
        self.deadline_ns = message.time_ns + self._patience_ns

    def _report_missed(self, time_ns: int, number: int | None) -> None:
        self.deadline_ns = 1 << 63
        if self._overdue or self._alive_gaps != self._context.client_gaps:
            return  # told already, or it may be among what the capture lacks
        self._overdue = True
        since = f" since message {self._alive_number}" if self._alive_number is not None else ""
        self._context.report_at(
            "error",
            "keep-alive-missed",
            number,
            time_ns,
            f"no KeepAlive for {duration_text(time_ns - self._alive_ns)}{since}: OpenD closes a connection after 30 s "
            "without one; the client's thread hangs, or was lost in a fork",
        )
