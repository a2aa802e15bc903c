"""Reports on what cannot be read: one finding for each reason of a kind, with the next step."""

from __future__ import annotations

import pytest

from decoder.findings.codes import CODES
from decoder.findings.readability import CONFLICT, report_conflict, report_gap, report_unverified
from decoder.message import Gap
from decoder.vocabulary import GAP_REASONS, HINTS
from tests.support.messages import Line


def unverified(line: Line, reason: str, kind: str = "request", notes: list[str] | None = None) -> None:
    verdict = "failed" if reason == "sha1-mismatch" else "unverified"
    report_unverified(line.context, line.message(kind, 1002, None, verdict=verdict, reason=reason, notes=notes))


def test_every_reason_has_a_code_of_the_list_and_its_hint() -> None:
    for reason, hint in HINTS.items():
        line = Line()
        unverified(line, reason)
        if reason == "no-digest":  # of every message of a WebSocket port
            assert line.codes == []
            continue
        (finding,) = line.found
        assert finding.code in CODES, reason
        assert hint in finding.text, reason


@pytest.mark.parametrize(
    ("reason", "codes"),
    [
        ("no-key", ["error no-key 4"]),
        ("gap", ["warning incomplete 2", "warning incomplete 2"]),
        ("oversize", ["warning oversize 1"] * 4),
    ],
    ids=["once a connection", "once a direction", "each"],
)
def test_what_one_finding_stands_for(reason: str, codes: list[str]) -> None:
    line = Line()
    for kind in ("request", "response") * 2:
        unverified(line, reason, kind)
    assert line.codes == codes


@pytest.mark.parametrize(
    ("reason", "begin"),
    [
        ("no-key", "the first unverified message is GetGlobalState: "),
        ("gap", "the first unverified message is GetGlobalState: "),
        ("oversize", "GetGlobalState is unverified: "),
        ("sha1-mismatch", "GetGlobalState failed: "),
    ],
)
def test_a_finding_on_several_messages_does_not_speak_as_if_all_were_of_one_protocol(reason: str, begin: str) -> None:
    line = Line()
    unverified(line, reason)
    assert line.text == begin + HINTS[reason]


def test_at_the_end_of_the_capture_nothing_is_lost() -> None:
    line = Line()
    unverified(line, "gap", notes=["capture-ends"])
    assert line.codes == ["note incomplete 1"]


def test_a_length_that_counts_the_header_is_a_wrong_header() -> None:
    line = Line()
    unverified(line, "gap", notes=["length-counts-header"])
    assert line.codes == ["error wrong-header 1"]


@pytest.mark.parametrize(("verdict", "words"), [("verified", "tells which is right"), ("failed", "neither has")])
def test_versions_of_bytes_that_differ(verdict: str, words: str) -> None:
    line = Line()
    report_conflict(line.context, line.message("request", 1002, b"", verdict=verdict))
    (finding,) = line.found
    assert finding.code == CONFLICT
    assert words in finding.text


def test_every_gap_reason_is_reported_with_its_size_and_sender() -> None:
    for reason in GAP_REASONS:
        line = Line()
        report_gap(line.context, Gap(line.flows["s2c"], 0, 12_345, reason, 7))
        (finding,) = line.found
        assert finding.text.startswith("12,345 bytes of the gateway before packet 7 "), reason
        assert finding.severity == ("note" if reason == "mid-stream" else "warning")
    line = Line()
    report_gap(line.context, Gap(line.flows["c2s"], 0, None, "lost"))
    assert line.text.startswith("some bytes of the client are missing")
