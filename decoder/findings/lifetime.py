"""Follows the life of a connection: KeepAlive, what the gateway announces, and the end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder import schema
from decoder.findings.context import SECOND, duration_text, protocol_name
from decoder.formatting.escape import quote
from decoder.vocabulary import INIT_CONNECT, INIT_WEB_SOCKET, KEEP_ALIVE, OPEND_DISCONNECT

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.context import Context
    from decoder.findings.finding import Severity
    from decoder.findings.push_silence import PushSilence
    from decoder.message import Message

__all__ = ["Last", "Lifetime"]

_PATIENCE_NS = 30 * SECOND
"""After so long without a KeepAlive the gateway closes the connection (source: the vendor's documentation)."""
_NOTICE_NS = 5 * SECOND
"""Longest time from an announcement to an end that it explains: a logout ends all connections at once."""
_MAX_NOTICES = 4  # announcements remembered of a connection
_MAX_TEXT = 160  # characters of the gateway's text that a finding quotes

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
# Numbers of Qot_Common.QotRight in the order of what they allow; 0 says nothing.
_RIGHT_RANKS = {5: 0, 1: 1, 2: 2, 3: 3, 6: 4, 4: 4}
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
"""The last message of a connection: its number, protocol id and kind."""


class _Notice(NamedTuple):
    number: int
    time_ns: int
    text: str


class Lifetime:
    """Follows one connection from KeepAlive to KeepAlive, to its end."""

    def __init__(self, context: Context, silence: PushSilence) -> None:
        self._context = context
        self._silence = silence
        self._rights: dict[str, int] = {}  # by the name of their field: the highest so far
        self._interval_ns = 0
        self._alive_ns = context.first_ns
        self._alive_number: int | None = None
        self._alive_gaps = 0
        self._overdue_number: int | None = None
        self._overdue = False
        self._notices: deque[_Notice] = deque(maxlen=_MAX_NOTICES)
        self.deadline_ns = context.first_ns + _PATIENCE_NS
        """A message later than this shows that a KeepAlive is overdue; then `overdue` is called."""
        self.received_ns = context.first_ns
        """Time of the gateway's last message."""

    def overdue(self, message: Message) -> None:
        """Takes a message after the deadline."""
        if message.proto_id != KEEP_ALIVE or message.kind != "request":
            self._report_missed(message.time_ns, message.number)

    def init_response(self, message: Message) -> None:
        """Takes the response to InitConnect: it says how often a KeepAlive is wanted."""
        body = message.protobuf
        if body is not None and body.HasField("s2c"):
            interval = body.s2c.keepAliveInterval  # type: ignore[attr-defined]
            self._interval_ns = max(0, min(interval, 3_600)) * SECOND
        self._restart(message)

    def keep_alive(self, message: Message) -> None:
        """Takes a KeepAlive request."""
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
        """Takes a Notify push."""
        if not body.HasField("s2c"):
            return
        s2c = body.s2c  # type: ignore[attr-defined]
        if s2c.HasField("event"):
            number, said = s2c.event.eventType, s2c.event.desc
            self._announce(message, "gateway-event", "Notify.GtwEventType", number, said, _EVENTS)
        if s2c.HasField("programStatus"):
            self._program_status(message, s2c.programStatus.programStatus)
        if s2c.HasField("connectStatus"):
            self._links(message, s2c.connectStatus, "until Notify says otherwise")
        if s2c.HasField("qotRight"):
            self._quote_rights(message, s2c.qotRight)

    def global_state(self, message: Message, body: ProtobufMessage) -> None:
        """Takes the response GetGlobalState, which tells the same as Notify when it is asked."""
        if not body.HasField("s2c"):
            return
        s2c = body.s2c  # type: ignore[attr-defined]
        if s2c.HasField("programStatus"):
            self._program_status(message, s2c.programStatus)
        if not (s2c.qotLogined and s2c.trdLogined):
            self._links(message, s2c, "until it is logged in")

    def _program_status(self, message: Message, status: Any) -> None:
        self._announce(message, "gateway-status", "Common.ProgramStatusType", status.type, status.strExtDesc, _STATES)

    def _links(self, message: Message, links: Any, until: str) -> None:
        lost = [name for name, there in (("quote", links.qotLogined), ("trade", links.trdLogined)) if not there]
        if not lost:
            self._silence.event(message, "the links to the servers are back", lost=False)
            return
        names = " and ".join(lost)
        plural = "s" * (len(lost) > 1)
        self._silence.event(message, f"OpenD is not logged in to the {names} server{plural}", lost="quote" in lost)
        text = f"OpenD is not logged in to the {names} server{plural}: requests that need them fail {until}"
        key = () if message.kind == "push" else ("state",)
        self._context.report("warning", "server-link-lost", message, text, *key)

    def _quote_rights(self, message: Message, rights: Any) -> None:
        lower = []
        for field, right in rights.ListFields():
            rank = _RIGHT_RANKS.get(right) if field.name.endswith("QotRight") else None
            if rank is None:
                continue
            highest = self._rights.get(field.name)
            if highest is not None and rank < highest:
                name = schema.enum_names(schema.enum_descriptor("Qot_Common.QotRight"), "sdk").get(right, right)
                lower.append(f"{field.name} is {name} now")
            self._rights[field.name] = rank
        if lower:
            self._silence.event(message, "a quote right became lower", lost=True)
            text = (
                f"{', '.join(lower[:5])}, it was higher before: another terminal took the right, or it ended; "
                "request_highest_quote_right in OpenD takes it back"
            )
            self._context.report("warning", "quote-right-lost", message, text)

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
        self._silence.event(message, str(name), lost=severity == "error")
        key = () if message.kind == "push" else (number,)  # asked again, it says the same again
        self._context.report(severity, code, message, f"the gateway says {name}{shown}: {advice}", *key)

    def end(self, info: ConnectionInfo | None, last: Last | None, time_ns: int) -> None:
        """Takes the end of the connection, or (None) of what is known of it; `last` is its last message."""
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
        """Returns why the gateway closed, as far as the capture tells."""
        notices = [notice for notice in self._notices if time_ns - notice.time_ns < _NOTICE_NS]
        if notices:
            told = ", ".join(f"{notice.text} (message {notice.number})" for notice in notices)
            return f", having said {told}"
        if self._overdue:
            return f", {duration_text(time_ns - self._alive_ns)} after the last KeepAlive"
        if self._context.no_login:
            return ": it wants InitConnect first"
        if last_id == OPEND_DISCONNECT:
            return ", having said that it lost its own connection to OpenD: look into OpenD's log"
        if last_id == INIT_WEB_SOCKET:
            return ", right after InitWebSocket: compare the client's key with websocket_key_md5 in OpenD's settings"
        if self._context.other_protocol:
            return ": it is no OpenD, what it answered is something else"
        if last_id == INIT_CONNECT and self._context.login_fault is not None:
            return f", right after an InitConnect that OpenD cannot read ({self._context.login_fault})"
        if last_id == INIT_CONNECT and self._context.login_encrypted:
            return ", right after InitConnect: compare the RSA keys and encryption settings of client and OpenD"
        if last_id == INIT_CONNECT:
            return (
                ", right after InitConnect in clear: OpenD wants encryption (rsa_private_key is set there), has "
                "too many connections (128), or does not take this client's version; look into its log"
            )
        if self._context.gateway_unread:
            return "; it may have said why, but messages of it could not be read"
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
