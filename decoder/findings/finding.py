"""Defines a finding, and the bounded list that findings are collected in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from decoder.formatting.frame_filter import frame_filter
from decoder.formatting.times import rfc3339

__all__ = ["SEVERITIES", "Finding", "Findings", "Severity"]

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass
class Finding:
    """Reports one thing worth knowing about the traffic."""

    severity: Severity
    code: str
    """A key of `decoder.findings.codes.CODES`."""
    message: int | None
    """Number of the message it is about, of the first if there are several; None: a connection or a gap."""
    connection: int | None
    time_ns: int
    """When it showed, in nanoseconds since 1970, UTC."""
    text: str
    """One line: what it is, what it means, and what to do.  Safe to print."""
    count: int = 1
    """Number of messages or other occurrences that it stands for."""
    packets: tuple[int, ...] = ()
    """Numbers of the packets of `message`, 64 at most; none if it is about none, or these are not known any more."""

    @property
    def time(self) -> str:
        """`time_ns` as RFC 3339."""
        return rfc3339(self.time_ns)

    def record(self) -> dict[str, Any]:
        """Returns the finding as an object of ``stats --format json``."""
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "connection": self.connection,
            "time": self.time,
            "text": self.text,
            "count": self.count,
            "wireshark": frame_filter(self.packets) if self.packets else None,
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
        self._counts: Counter[tuple[str, Severity]] = Counter()
        self._left_out: Counter[tuple[str, Severity]] = Counter()
        self._last_ns = 0
        self.on_listed: Callable[[Finding], None] | None = None
        """Called with each finding that is added to the list."""
        self.packets_of: Callable[[int], tuple[int, ...]] = lambda number: ()
        """Returns the packets of a message by its number."""
        self._muted: frozenset[str] = frozenset()

    def mute(self, codes: frozenset[str]) -> None:
        """Passes over findings with these codes: those that were added, and those to come."""
        self._muted = codes
        self._listed = [finding for finding in self._listed if finding.code not in codes]
        for counts in (self._counts, self._left_out):
            for place in [place for place in counts if place[0] in codes]:
                del counts[place]

    def add(self, finding: Finding, key: object = None) -> None:
        """Adds a finding.  With a key, one that has the same key is counted up instead of listed again."""
        if finding.code in self._muted:
            return
        if self._wanted is not None and not self._wanted(finding.message, finding.connection):
            return
        if key is not None:
            known = self._by_key.get(key)
            if known is not None:
                known.count += finding.count
                return
        code = finding.code
        place = code, finding.severity
        self._counts[place] += 1
        self._last_ns = max(self._last_ns, finding.time_ns)
        if self._of_code[code] >= self._max:
            self._left_out[place] += 1
            return
        self._of_code[code] += 1
        if finding.message is not None:
            finding.packets = self.packets_of(finding.message)
        self._listed.append(finding)
        if self.on_listed is not None:
            self.on_listed(finding)
        if key is not None:
            self._by_key[key] = finding

    def amend(self, key: object, severity: Severity, text: str) -> None:
        """Changes severity and text of the finding that was listed with `key`, if there is one."""
        finding = self._by_key.get(key)
        if finding is not None and finding.code not in self._muted:
            self._counts[finding.code, finding.severity] -= 1
            self._counts[finding.code, severity] += 1
            finding.severity, finding.text = severity, text

    @property
    def counts(self) -> dict[Severity, int]:
        """Returns how many there are of each severity, those that are not listed included."""
        counts = dict.fromkeys(SEVERITIES, 0)
        for (_, severity), count in self._counts.items():
            counts[severity] += count
        return counts

    def listed(self) -> list[Finding]:
        """Returns the findings in the order of time; at the end, for each code with too many, the number left out."""
        rest = [
            Finding(severity, code, None, None, self._last_ns, f"{count:,} more of these are not listed", count)
            for (code, severity), count in self._left_out.items()
        ]
        return sorted(self._listed, key=lambda finding: (finding.time_ns, finding.message or 0)) + rest
