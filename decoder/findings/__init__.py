"""Judges the traffic: findings (Wireshark calls them expert information) and the ledgers behind them."""

from __future__ import annotations

from decoder.findings.analyser import Analyser
from decoder.findings.codes import CODES, MEANINGS
from decoder.findings.finding import SEVERITIES, Finding, Severity

__all__ = ["CODES", "MEANINGS", "SEVERITIES", "Analyser", "Finding", "Severity"]
