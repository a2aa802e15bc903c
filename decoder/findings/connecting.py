"""Reports on connections that do not come about: refused, unanswered, closed or silent before the login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.conversation.summary import protocol_of
from decoder.findings.finding import Finding, Findings, Severity
from decoder.formatting.escape import quote
from decoder.vocabulary import LOGIN_IDS

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.context import Context
    from decoder.message import Message

__all__ = ["First", "login_fault", "report_connection", "report_login", "report_silent_gateway"]

_MAX_LINE = 80  # bytes of an HTTP status line that are quoted

_SEVERITIES: dict[str, Severity] = {
    "refused": "error",
    "unreachable": "error",
    "closed-before-login": "warning",
    "wrong-header": "error",
    "not-opend": "note",
}
_ADVICE = {
    "refused": (
        "the connection was refused: nothing listens on that port; is OpenD running, and are api_ip and api_port "
        "those that the client uses?"
    ),
    "unreachable": "nobody answered: the address is wrong, the machine is off, or a firewall drops the packets",
}
_BY_CLIENT = "the client closed the connection before a byte was sent: a probe of the port, or a client that gave up"
_BY_GATEWAY = (
    "the gateway closed the connection before a byte was sent: OpenD has too many connections (128), or something "
    "else listens there; look into OpenD's log"
)

First = tuple[int, int, str, int]
"""The first message of a connection: its number, protocol id, kind and time."""


def report_connection(findings: Findings, info: ConnectionInfo) -> None:
    """Reports a connection that ended without a message, or without an answer to its first."""
    code = info.no_message
    if code is None or code == "silent":
        return
    if code == "closed-before-login":
        text = _BY_CLIENT if info.closed_by == "client" else _BY_GATEWAY
    else:
        text = _ADVICE.get(code) or info.why_not_opend
    line = f"{info.client} > {info.server}: {text}"
    findings.add(Finding(_SEVERITIES[code], code, None, info.ordinal, info.first_ns, line))


def report_silent_gateway(context: Context, info: ConnectionInfo) -> None:
    """Reports what the gateway's side sent where it never sent a message."""
    data = info.first_bytes.get("s2c", b"")
    if not data or info.not_opend:
        return
    context.other_protocol = True
    what = protocol_of(data)
    line = data.split(b"\r\n", 1)[0][:_MAX_LINE].decode("latin-1")
    said = f"{what}: {quote(line)}" if what == "HTTP" else what or f"they begin with {data[:8].hex(' ')}"
    context.report_at(
        "error",
        "not-opend",
        None,
        info.last_ns,
        f"{info.bytes['s2c']:,} bytes came from the gateway's port and no message ({said}): "
        "something else answers there",
    )


def login_fault(message: Message) -> str | None:
    """Returns the reason for which no OpenD can read a login request; None if there is none."""
    notes = message.own_notes or ()
    if message.reason in ("sha1-mismatch", "rsa-padding"):
        return f"message {message.number}: {message.reason}"
    if message.reason == "gap" and not {"length-counts-header", "connection-ends"}.isdisjoint(notes):
        return f"message {message.number}: its length"
    return None


def report_login(context: Context, info: ConnectionInfo, first: First) -> None:
    """Reports a connection whose beginning was seen and whose first message is not InitConnect."""
    number, proto_id, kind, time_ns = first
    if not info.syn_seen or proto_id in LOGIN_IDS or kind != "request" or context.client_gaps:
        return
    context.no_login = True
    context.report_at(
        "error",
        "no-login",
        number,
        time_ns,
        "the first message of the connection is not InitConnect: OpenD answers nothing else before it; send it "
        "first, and "
        "wait for its answer",
    )
