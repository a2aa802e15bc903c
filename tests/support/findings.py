"""Findings about made traffic."""

from __future__ import annotations

import decoder
from decoder import KeyRing
from decoder.findings import Analyser, Finding
from tests.support.answers import KEY, Traffic
from tests.support.exchange import pem
from tests.support.session import Session


def analysed(traffic: Traffic) -> list[Finding]:
    """All findings, in the order of time."""
    analyser = Analyser()
    each = decoder.Decoder(keys=KeyRing([pem(KEY)]), on_connection=analyser.connection_ended)
    for data, time_ns in sorted((p for session in traffic for p in session.packets), key=lambda packet: packet[1]):
        analyser.add(each.feed(data, time_ns))
    analyser.add(each.flush())
    return analyser.finish()


def found(*sessions: Session) -> dict[str, str]:
    """The text of the last finding of each code."""
    return {finding.code: finding.text for finding in analysed(list(sessions))}
