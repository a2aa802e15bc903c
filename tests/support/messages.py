"""Messages made directly, for tests of what comes after the decoder: their bodies are of the vendor's classes."""

from __future__ import annotations

from typing import Any

from decoder import Message
from decoder.findings.context import Context
from decoder.findings.finding import Finding, Findings
from decoder.framing.header import HEADER
from decoder.message import Flow
from tests.support.exchange import CONN_ID, START_NS, frame

SECOND = 1_000_000_000

__all__ = ["SECOND", "START_NS", "Line"]


class Line:
    """One connection: `ask`, `answer` and `push` make its messages, numbered from 1; `wait` lets time pass."""

    def __init__(self, ordinal: int = 0, *, client: str = "192.0.2.1:50112", findings: Findings | None = None) -> None:
        gateway = "192.0.2.2:11111"
        self.flows = {"c2s": Flow(ordinal, "c2s", client, gateway), "s2c": Flow(ordinal, "s2c", gateway, client)}
        self.now = START_NS
        self.number = 0
        self.findings = Findings() if findings is None else findings
        self.context = Context(self.findings, self.flows["c2s"], START_NS)

    def wait(self, seconds: float) -> Line:
        self.now += int(seconds * SECOND)
        return self

    def message(
        self,
        kind: Any,
        proto_id: int,
        body: bytes | None,
        *,
        serial_no: int = 1,
        encryption: str = "AES_CBC",
        verdict: str = "verified",
        reason: str | None = None,
        notes: list[str] | None = None,
        conn_id: int | None = CONN_ID,
    ) -> Message:
        self.number += 1
        flow = self.flows["c2s" if kind == "request" else "s2c"]
        header = HEADER.unpack_from(frame(proto_id, body or b"", serial_no=serial_no))
        shown = None if conn_id is None else str(conn_id)
        made = Message(flow, header, self.now, (self.number,), kind, body, encryption, verdict, reason, shown, notes)
        made.number = self.number
        return made

    def ask(self, proto_id: int, body: bytes | None, **options: Any) -> Message:
        return self.message("request", proto_id, body, **options)

    def answer(self, asked: Message, body: bytes | None, **options: Any) -> Message:
        made = self.message("response", asked.proto_id, body, serial_no=asked.serial_no, **options)
        made.request, made.latency_ns = asked.number, self.now - asked.time_ns
        return made

    def push(self, proto_id: int, body: bytes | None, **options: Any) -> Message:
        return self.message("push", proto_id, body, **options)

    # What was found

    @property
    def found(self) -> list[Finding]:
        return self.findings.listed()

    @property
    def codes(self) -> list[str]:
        """Severity, code and count of each finding."""
        return [f"{finding.severity} {finding.code} {finding.count}" for finding in self.found]

    @property
    def text(self) -> str:
        """The text of the only finding."""
        (finding,) = self.found
        return finding.text
