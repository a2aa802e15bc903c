"""The list of codes."""

from __future__ import annotations

import re

from decoder.findings.codes import CODES, MEANINGS, SUBJECTS


def test_every_code_has_a_meaning_and_a_next_step() -> None:
    odd = [
        code
        for code, entry in CODES.items()
        for text in entry
        if not (text and text.isprintable()) or text.endswith(".") or len(text) > 160
    ]
    assert odd == []
    assert {code: entry.meaning for code, entry in CODES.items()} == MEANINGS


def test_every_code_stands_under_one_subject() -> None:
    listed = [code for codes in SUBJECTS.values() for code in codes]
    assert sorted(listed) == sorted(CODES)
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", code) for code in listed)
