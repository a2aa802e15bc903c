"""Reports on connections that do not come about: refused, unanswered, closed or silent before the login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.findings.finding import Finding, Findings
from decoder.vocabulary import LOGIN_IDS

if TYPE_CHECKING:
    from decoder.conversation.summary import ConnectionInfo
    from decoder.findings.context import Context
    from decoder.findings.finding import Severity

__all__ = ["First", "report_connection", "report_login"]

First = tuple[int, int, str, int]
"""The first message of a connection: its number, protocol id, kind and time."""


def report_connection(findings: Findings, info: ConnectionInfo) -> None:
    """Reports a connection that ended without a message, or without an answer to its first."""
    ends = f"{info.client} > {info.server}"
    found: tuple[Severity, str, str] | None = None
    if info.refused:
        found = (
            "error",
            "refused",
            "the connection was refused: nothing listens on that port; is OpenD running, and are api_ip and api_port "
            "those that the client uses?",
        )
    elif info.unanswered:
        found = (
            "error",
            "unreachable",
            "nobody answered: the address is wrong, the machine is off, or a firewall drops the packets",
        )
    elif info.syn_ack_seen and info.silent and info.closed_by is not None:
        who = "the client" if info.closed_by == "client" else "the gateway"
        why = (
            "a probe of the port, or a client that gave up"
            if info.closed_by == "client"
            else "OpenD has too many connections (128), or something else listens there; look into OpenD's log"
        )
        found = ("warning", "closed-before-login", f"{who} closed the connection before a byte was sent: {why}")
    elif info.not_opend:
        if info.wrong_header is not None and info.other_protocol is None:
            found = ("error", "wrong-header", info.why_not_opend)
        else:
            found = ("note", "not-opend", info.why_not_opend)
    if found is not None:
        severity, code, text = found
        findings.add(Finding(severity, code, None, info.ordinal, info.first_ns, f"{ends}: {text}"))


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
