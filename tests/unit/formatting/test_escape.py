"""Text from the wire, made safe to print."""

from __future__ import annotations

import json
import unicodedata

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.formatting.escape import escape, json_safe, quote

CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")
any_text = st.text(st.characters(codec="utf-8"))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("00700", "00700"),
        ("腾讯控股 é", "腾讯控股 é"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\r\nb\tc\0", r"a\r\nb\tc\x00"),
        ("\x9b2J \x7f", r"\x9b2J \x7f"),
        ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
        ("\u200b\ufeff\u2028", r"\u200b\ufeff\u2028"),
        ("\U000e0041", r"\U000e0041"),
        (b"ok", "ok"),
        (b"\xff\xfe\x1b", "��" + r"\x1b"),
    ],
)
def test_escape(raw: str | bytes, shown: str) -> None:
    assert escape(raw) == shown


@given(any_text)
def test_nothing_escaped_is_left_that_a_terminal_obeys(text: str) -> None:
    shown = escape(text)
    assert not [character for character in shown if unicodedata.category(character) in CONTROLS]
    assert shown.count("\n") == 0


@given(any_text, st.integers(1, 40))
def test_length_is_bounded_and_the_rest_counted(text: str, limit: int) -> None:
    shown = escape(text, limit)
    if len(text) <= limit:
        assert shown == escape(text)
    else:
        assert shown == f"{escape(text[:limit])}… ({len(text) - limit} more)"


def test_bytes_are_not_decoded_beyond_the_limit() -> None:
    assert escape(b"\xff" * 10_000_000, 10) == "�" * 10 + "… (30 more)"


@pytest.mark.parametrize(
    "word", ["00700", "HK.00700", "a_b-c", "192.0.2.1:443", "2026-11-20 09:30:00", "2026-11-20 09:30:00.125"]
)
def test_plain_words_and_times_stand_bare(word: str) -> None:
    assert quote(word) == word


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("", '""'),
        ("two words", '"two words"'),
        ('say "no"', r'"say \"no\""'),
        ("x=1", '"x=1"'),
        ("[redacted]", '"[redacted]"'),
        ("\n", r'"\n"'),
        ("腾讯", '"腾讯"'),
        ("2026-11-20 09:30:00 RET_OK", '"2026-11-20 09:30:00 RET_OK"'),
    ],
)
def test_everything_else_is_quoted(raw: str, shown: str) -> None:
    assert quote(raw) == shown


@given(st.dictionaries(any_text, any_text))
def test_json_keeps_its_value_and_loses_what_is_invisible(data: dict[str, str]) -> None:
    safe = json_safe(orjson.dumps(data))
    assert json.loads(safe) == data
    text = safe.decode()
    assert not [
        c for c in text if unicodedata.category(c) in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(c) in BIDI
    ]


BIDI = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")


def test_json_of_every_character() -> None:
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    safe = json_safe(orjson.dumps(everything))
    assert json.loads(safe) == everything
    left = {
        unicodedata.category(character) for character in safe.decode() if unicodedata.bidirectional(character) in BIDI
    }
    assert not left
    for character in "\x1b\x7f\x9b\u200e\u200f\u202e\u2066\u061c\u200b\u2028\ufeff\U000e0041":
        assert character not in safe.decode()
    assert json_safe("腾讯控股，é".encode()) == "腾讯控股，é".encode()
