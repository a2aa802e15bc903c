"""The sentences and counts at the top of the report."""

from __future__ import annotations

from decoder.output.report.axes import Clock
from decoder.output.report.verdict import conclusions, recorded, tiles
from tests.support.exchange import Exchange
from tests.support.recorded import CAPTURES
from tests.support.reports import collected, of_recording
from tests.unit.output.report.test_collector import session

CLOCK = Clock(utc=True)


def test_what_was_recorded() -> None:
    assert recorded(of_recording(CAPTURES / "cbc.pcap"), CLOCK) == (
        "12 s on 22 Nov 2026, 08:19:58 to 08:20:10 (UTC): 254 messages on 2 connections with 127.0.0.1:11111, "
        "by Python PyNormal; all of them verified by the SHA-1 in the header."
    )


def test_the_end_and_its_cause_go_first() -> None:
    said = list(conclusions(of_recording(CAPTURES / "cbc.pcap")))
    assert said[0][0] == "error"
    assert said[0][1].startswith("The gateway closed connection 0")
    assert "KickedOut" in said[1][1]
    assert said[2] == ("warning", "7 orders: 2 failed, 2 refused, 1 filled, 1 cancelled, 1 unanswered.")
    assert said[3][1].endswith("the slowest took 2.5 s (message 140).")


def test_nothing_wrong_is_said_too() -> None:
    said = list(conclusions(collected(session().fin())))
    assert said[-1] == ("note", "Nothing went wrong that the capture shows.")
    assert all(severity == "note" for severity, _ in said)


def test_a_capture_without_a_message() -> None:
    data = collected(Exchange())
    assert recorded(data, CLOCK).startswith("2 ms on 14 Nov 2023, 22:13:20 to 22:13:20 (UTC): 0 messages")
    assert ("0", "messages", "") in tiles(data)


def test_counts() -> None:
    assert [(number, noun) for number, noun, _ in tiles(of_recording(CAPTURES / "cbc.pcap"))] == [
        ("26", "errors"),
        ("15", "warnings"),
        ("254", "messages"),
        ("0", "not verified"),
        ("0", "gaps"),
        ("2", "connections"),
        ("7", "orders"),
    ]
