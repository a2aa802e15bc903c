"""Provides what the analyses of one connection share: its facts, and the way to report on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder import schema
from decoder.findings.finding import Finding, Findings, Severity
from decoder.message import Gap, Message

if TYPE_CHECKING:
    from decoder.message import Flow

__all__ = ["SECOND", "Context", "duration_text", "name_of", "protocol_name"]

SECOND = 1_000_000_000


class Context:
    """Describes a connection under analysis, and reports on it."""

    def __init__(self, findings: Findings, flow: Flow, first_ns: int) -> None:
        self._findings = findings
        self.ordinal = flow.connection
        self.first_ns = first_ns
        """Time of its first message or gap, nanoseconds since 1970, UTC."""
        client, gateway = (flow.src, flow.dst) if flow.direction == "c2s" else (flow.dst, flow.src)
        self.local = _host(client) == _host(gateway)
        """True if both ends are one machine, so that nobody on a network sees what is in clear."""
        self.client, self.gateway = client, gateway
        """Address and port of each end."""
        self.client_host = _host(client)
        """Address of the client; ``loopback`` for this machine."""
        self.last_ns = first_ns
        """Time of its last message or gap."""
        self.handshake = False
        """True if its InitConnect request is in the capture: nothing came before the first message."""
        self.login_encrypted: bool | None = None
        """True if its InitConnect request is encrypted; None if that was not seen."""
        self.login_fault: str | None = None
        """Message and reason for which OpenD cannot read its InitConnect request; None if nothing is wrong with it."""
        self.other_protocol = False
        """True if something that is no OpenD answers."""
        self.no_login = False
        """True if its first message is not InitConnect."""
        self.gateway_unread = False
        """True if a message of the gateway could not be read."""
        self.client_gaps = 0
        """Number of gaps in the client's stream."""
        self.reports = 0
        """Number of reports so far."""

    def report(self, severity: Severity, code: str, item: Message | Gap, text: str, *key: object) -> None:
        """Reports on a message or gap; reports with the same code and key on this connection count as one."""
        number = item.number if isinstance(item, Message) else None
        self.report_at(severity, code, number, item.time_ns, text, *key)

    def report_once(self, severity: Severity, code: str, item: Message | Gap, text: str, *key: object) -> None:
        """Reports on a message or gap; reports with the same code and key on all connections count as one."""
        self.reports += 1
        number = item.number if isinstance(item, Message) else None
        self._findings.add(Finding(severity, code, number, self.ordinal, item.time_ns, text), (code, key))

    def amend(self, code: str, severity: Severity, text: str, *key: object) -> None:
        """Changes what `report_once` reported with the same code and key: more is known now."""
        self._findings.amend((code, key), severity, text)

    def report_at(
        self, severity: Severity, code: str, number: int | None, time_ns: int, text: str, *key: object
    ) -> None:
        """Reports on a message by its number, or on the connection itself."""
        self.reports += 1
        finding = Finding(severity, code, number, self.ordinal, time_ns, text)
        self._findings.add(finding, (code, self.ordinal, key) if key else None)


def protocol_name(proto_id: int) -> str:
    """Returns the name of a protocol, its number if it has none."""
    known = schema.protocol(proto_id)
    return f"protocol {proto_id}" if known is None else known.name


def name_of(message: Message) -> str:
    """Returns the name of a message's protocol, its number if it has none."""
    return protocol_name(message.proto_id)


def duration_text(duration_ns: int) -> str:
    """Returns a duration as people say it: ``12.5 s``, ``340 ms``."""
    if duration_ns < SECOND:
        return f"{duration_ns / 1_000_000:.3g} ms"
    return f"{duration_ns / SECOND:.4g} s"


def _host(end: str) -> str:
    host = end.rpartition(":")[0]
    return "loopback" if host.startswith("127.") or host == "[::1]" else host
