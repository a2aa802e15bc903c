"""Findings that answer public questions: each on made traffic, and silent on traffic that looks like it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

import decoder
from decoder import KeyRing
from decoder.findings import CODES, Analyser, Finding
from tests.support.answers import KEY, PAIRS, Traffic
from tests.support.exchange import pem


def analysed(traffic: Traffic) -> list[Finding]:
    analyser = Analyser()
    each = decoder.Decoder(keys=KeyRing([pem(KEY)]), on_connection=analyser.connection_ended)
    for data, time_ns in sorted((p for session in traffic for p in session.packets), key=lambda packet: packet[1]):
        analyser.add(each.feed(data, time_ns))
    analyser.add(each.flush())
    return analyser.finish()


def apart(traffic: Traffic) -> Iterable[Traffic]:
    """Sessions on the same ports are different captures."""
    ports = {session._ports for session in traffic}
    return [traffic] if len(ports) == len(traffic) else [[session] for session in traffic]


@pytest.mark.parametrize("code", PAIRS)
def test_it_shows(code: str) -> None:
    for part in apart(PAIRS[code][0]()):
        found = [finding for finding in analysed(part) if finding.code == code]
        assert found, code
        for finding in found:
            assert finding.text.isprintable()
            assert 20 < len(finding.text) < 600


@pytest.mark.parametrize("code", PAIRS)
def test_its_look_alike_is_silent(code: str) -> None:
    for part in apart(PAIRS[code][1]()):
        assert [finding.text for finding in analysed(part) if finding.code == code] == []


def test_every_code_says_what_to_do() -> None:
    for code, entry in CODES.items():
        assert entry.meaning, code
        assert entry.remedy, code


def the(code: str) -> str:
    (finding,) = (finding for finding in analysed(PAIRS[code][0]()) if finding.code == code)
    return finding.text


def test_texts_name_the_facts() -> None:
    assert "FILLED_ALL 48" in the("cancel-without-effect")
    assert "stayed SUBMITTED" in the("change-without-effect")
    assert "02189" in the("batch-refused")
    assert "00700" not in the("batch-refused")
    assert "connection 0 holds 2 slots" in the("quota-held-by-other-connection")
    assert "ORDER_BOOK of HK.00005" in the("subscriptions-not-renewed")
    assert "00700" not in the("subscriptions-not-renewed")
    assert "from 5003 to 1" in the("opend-restarted")
    assert "2023-11-14T19:26:40Z" in the("session-older-than-capture")
    assert "hkQotRight is BMP now" in the("quote-right-lost")
    assert "110 connections" in the("connections-near-limit")
    silence = the("pushes-stopped")
    assert "not logged in to the quote and trade servers" in silence
    assert "are back" in silence


def test_a_refusal_for_coming_too_often_counts() -> None:
    from tests.support.answers import snapshots

    (finding,) = (f for f in analysed([snapshots(61, "请求频率太高")]) if f.code == "rate-limited")
    assert "61 such requests came in the 30 s before, its limit is 60 (published)" in finding.text
    named = snapshots(5, "获取快照频率太高，请求失败，每30秒最多4次。")
    (finding,) = (f for f in analysed([named]) if f.code == "rate-limited")
    assert "5 such requests came in the 30 s before, its limit is 4 (its text)" in finding.text
