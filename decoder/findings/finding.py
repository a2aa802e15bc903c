"""A finding, and the bounded list that findings are collected in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from decoder.formatting.times import rfc3339

__all__ = ["MEANINGS", "SEVERITIES", "Finding", "Findings", "Severity"]

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

MEANINGS = {
    # Can the traffic be read at all?
    "no-key": "messages are encrypted and no key was given",
    "wrong-key": "messages are encrypted and no given key opens them",
    "handshake-missing": "messages are encrypted and the capture lacks the exchange of their key",
    "truncated": "messages were cut by the snap length",
    "incomplete": "messages lack bytes that the capture does not have",
    "oversize": "messages claim a length over the limit",
    "sha1-mismatch": "a message does not have the SHA-1 in its header",
    "sha1-of-ciphertext": "the sender hashes what it encrypted instead of what it means",
    "conflicting-overlap": "copies of the same bytes differ",
    "gap": "bytes are missing from the capture, or could not be used",
    "not-opend": "a connection on a gateway's port that speaks something else",
    # Who else can read it?
    "sample-key": "the SDK's public sample key protects the traffic",
    "secret-in-clear": "a password, key or code goes over the wire in clear",
    "trade-in-clear": "trade messages go over the wire in clear",
    "key-in-clear": "the key of an encrypted connection was handed out in clear",
    "clear-on-encrypted": "messages in clear on an encrypted connection",
    "encryption-off": "the client encrypts the handshake although its encryption is off",
    # Requests and responses
    "request-failed": "a request was refused, or a push reports a failure",
    "rate-limited": "a request was refused: too many in too short a time",
    "quota-used-up": "a request was refused: a quota is used up",
    "gateway-timeout": "the gateway itself got no answer in time",
    "unanswered": "a request got no response",
    "late-response": "a response came after the official SDK had stopped waiting",
    "response-without-request": "a response to nothing that was asked",
    "duplicate-serial": "two requests of one protocol have the same serial number",
    "duplicate-response": "a request was answered twice",
    # PacketID and orders
    "packet-id-repeated": "a trade request carries a PacketID that was used before",
    "packet-id-not-growing": "a trade request carries a PacketID lower than one before it",
    "packet-id-foreign": "a trade request carries the connID of another connection",
    "order-repeated": "the same order was placed again within a short time",
    "order-failed": "an order failed",
    # The life of a connection
    "keep-alive-late": "a KeepAlive came later than the gateway asked for",
    "keep-alive-missed": "no KeepAlive for so long that the gateway may close the connection",
    "gateway-event": "the gateway told of an event that stops or restricts its work",
    "gateway-status": "the gateway told of a state in which it takes no requests",
    "server-link-lost": "the gateway lost its own connection to the quote or trade servers",
    "closed-by-gateway": "the gateway closed the connection",
    "closed-by-client": "the client closed the connection",
    # Subscriptions
    "push-not-subscribed": "a push that the connection never subscribed to",
    "subscription-silent": "a subscription that never got a push",
    # Schema drift
    "unknown-protocol": "a protocol id that the schema does not know",
    "unknown-fields": "fields that the schema does not know",
    "unknown-enum-value": "enum values that the schema does not know",
    "bad-body": "a body that is not the message it should be",
    # The analysis itself
    "analysis-limit": "a limit of the analysis was hit",
}
"""Every code, and what it says in general."""


@dataclass
class Finding:
    """One thing worth knowing about the traffic."""

    severity: Severity
    code: str
    """A key of `MEANINGS`."""
    message: int | None
    """Number of the message it is about, of the first if there are several; None: a connection or a gap."""
    connection: int | None
    time_ns: int
    """When it showed, in nanoseconds since 1970, UTC."""
    text: str
    """One line: what it is, what it means, and what to do.  Safe to print."""
    count: int = 1
    """How many messages or other occurrences it stands for."""

    @property
    def time(self) -> str:
        """`time_ns` as RFC 3339."""
        return rfc3339(self.time_ns)

    def record(self) -> dict[str, Any]:
        """The finding as an object of ``stats --format json``."""
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "connection": self.connection,
            "time": self.time,
            "text": self.text,
            "count": self.count,
        }


class Findings:
    """Collects findings: of each code the first `max_per_code`, of the rest their number.

    `wanted` is asked for each whether to take it, by message number (or None) and connection.
    """

    def __init__(self, max_per_code: int = 100, wanted: Callable[[int | None, int | None], bool] | None = None) -> None:
        self._max = max_per_code
        self._wanted = wanted
        self._listed: list[Finding] = []
        self._by_key: dict[object, Finding] = {}
        self._of_code: Counter[str] = Counter()
        self._counts: Counter[Severity] = Counter()
        self._left_out: dict[tuple[str, Severity], int] = {}
        self._last_ns = 0
        self.muted: frozenset[str] = frozenset()
        """Codes of findings that are passed over."""

    def add(self, finding: Finding, key: object = None) -> None:
        """Take a finding.  With a key, one that has the same key is counted up instead of listed again."""
        if finding.code in self.muted:
            return
        if self._wanted is not None and not self._wanted(finding.message, finding.connection):
            return
        if key is not None:
            known = self._by_key.get(key)
            if known is not None:
                known.count += finding.count
                return
        code = finding.code
        self._counts[finding.severity] += 1
        self._last_ns = max(self._last_ns, finding.time_ns)
        if self._of_code[code] >= self._max:
            place = code, finding.severity
            self._left_out[place] = self._left_out.get(place, 0) + 1
            return
        self._of_code[code] += 1
        self._listed.append(finding)
        if key is not None:
            self._by_key[key] = finding

    @property
    def counts(self) -> dict[Severity, int]:
        """How many there are of each severity, those that are not listed included."""
        return {severity: self._counts[severity] for severity in SEVERITIES}

    def listed(self) -> list[Finding]:
        """The findings in the order of time; at the end, for each code with too many, how many were left out."""
        rest = [
            Finding(severity, code, None, None, self._last_ns, f"{count:,} more of these are not listed", count)
            for (code, severity), count in self._left_out.items()
        ]
        return sorted(self._listed, key=lambda finding: (finding.time_ns, finding.message or 0)) + rest
