"""What ``repr()`` and ``show()`` print of a message."""

from __future__ import annotations

import json

from decoder.scapy.text import content_lines, facts
from tests.support.exchange import init_response
from tests.support.messages import Line
from tests.support.session import response


def test_facts_of_a_response() -> None:
    line = Line()
    answer = line.answer(line.ask(1002, b""), b"")
    answer.latency_ns = 1_234_567
    assert list(facts(answer)) == ["response", "to message 1", "after 1.235 ms", "AES_CBC", "verified"]


def test_facts_of_what_is_in_clear_or_not_verified() -> None:
    line = Line()
    assert list(facts(line.push(1003, b"", encryption="None"))) == ["push", "in clear", "verified"]
    unread = line.push(1003, None, verdict="unverified", reason="no-key", encryption="unknown")
    assert list(facts(unread)) == ["push", "unknown", "unverified: no-key"]


def test_a_body_as_indented_json_without_secrets() -> None:
    content = Line().message("response", 1001, init_response()).content
    shown = json.loads("\n".join(content_lines(content, show_secrets=False)))
    assert shown["s2c"]["connAESKey"] == "[redacted]"
    assert json.loads("\n".join(content_lines(content, show_secrets=True)))["s2c"]["connAESKey"] == "opendump-testkey"


def test_notes_follow_the_body() -> None:
    lines = list(content_lines(Line().push(1003, response("Notify", type=99)).content, show_secrets=False))
    assert lines[-1].startswith("note: unknown-enum-value")


def test_no_character_of_the_wire_moves_the_cursor() -> None:
    hostile = Line().push(1003, response("Notify", -1, "\x1b[2J\u202e\u2028"))
    lines = list(content_lines(hostile.content, show_secrets=False))
    assert all(line.isprintable() for line in lines)
    assert any("\\u202e" in line for line in lines)


def test_a_body_that_cannot_be_read_gives_its_raw_view_or_nothing() -> None:
    assert list(content_lines(Line().push(1003, None).content, show_secrets=False)) == []
    raw = list(content_lines(Line().push(3013, b"\xff\xff").content, show_secrets=False))
    assert any("ffff" in line for line in raw)
