"""Tokens of ``--where``: words, quotes, operators, patterns, and where an error is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.errors import FilterError
from decoder.filter.tokens import Token, error_at, is_keyword, split_at_commas, tokens, value_of


def kinds(text: str) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in tokens(text)]


def test_words_operators_brackets_and_quotes() -> None:
    assert kinds("(a>=1 or b!~'x y') and not c=\"d\"") == [
        ("bracket", "("),
        ("word", "a"),
        ("operator", ">="),
        ("word", "1"),
        ("word", "or"),
        ("word", "b"),
        ("operator", "!~"),
        ("quoted", "'x y'"),
        ("bracket", ")"),
        ("word", "and"),
        ("word", "not"),
        ("word", "c"),
        ("operator", "="),
        ("quoted", '"d"'),
        ("end", ""),
    ]


def test_a_token_knows_where_it_begins() -> None:
    assert [token.start for token in tokens("  ab = c")] == [2, 5, 7, 8]


@pytest.mark.parametrize(
    ("text", "problem", "place"),
    [("a='b", "never closed", 2), ("a ! b", "write not here", 2), ("a=b\\", "needs a character", 3)],
)
def test_what_is_no_token_is_refused_with_a_mark_below_it(text: str, problem: str, place: int) -> None:
    with pytest.raises(FilterError, match=problem) as caught:
        tokens(text)
    shown = str(caught.value).splitlines()
    assert shown[1] == f"  {text}"
    assert shown[2].index("^") == 2 + place


def test_an_error_writes_nothing_to_the_terminal_but_text() -> None:
    assert str(error_at("a\x1b[2Jb\nc", "no \x1b", 0)).splitlines() == ["no  ", "  a [2Jb c", "  ^"]


@pytest.mark.parametrize(
    ("text", "value", "parts", "null"),
    [
        ("abc", "abc", None, False),
        ("a*c", "a*c", ("a", "c"), False),
        (r"a\*c", "a*c", None, False),
        ("'a*c'", "a*c", ("a", "c"), False),
        (r"'it\'s'", "it's", None, False),
        ("null", "null", None, True),
        ("'null'", "null", None, False),
    ],
)
def test_stars_escapes_and_null(text: str, value: str, parts: tuple[str, ...] | None, null: bool) -> None:
    found = value_of(tokens(text)[0])
    assert (found.text, found.parts, found.null) == (value, parts, null)


def test_a_list_is_split_at_commas_that_are_not_escaped_or_quoted() -> None:
    (word, *_) = tokens(r"a,b\,c,d")
    assert [(part.text, part.start) for part in split_at_commas(word)] == [("a", 0), (r"b\,c", 2), ("d", 7)]
    (quoted, *_) = tokens("'a,b'")
    assert [part.text for part in split_at_commas(quoted)] == ["'a,b'"]


def test_keywords_are_words_in_any_case_and_no_quotes() -> None:
    assert all(map(is_keyword, tokens("and OR Not")[:3]))
    assert not is_keyword(Token("quoted", "'and'", 0))
    assert not is_keyword(Token("word", "android", 0))


@given(st.text(max_size=60))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        found = tokens(text)
    except FilterError:
        return
    assert found[-1].kind == "end"
    assert "".join(token.text for token in found) == "".join(text.split()) or "'" in text or '"' in text
