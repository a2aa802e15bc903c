"""What is worth knowing about the traffic: the expert information of this protocol."""

from __future__ import annotations

from decoder.findings.analyser import Analyser
from decoder.findings.finding import MEANINGS, SEVERITIES, Finding, Severity

__all__ = ["MEANINGS", "SEVERITIES", "Analyser", "Finding", "Severity"]
