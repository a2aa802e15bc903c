"""HTML in which everything is escaped that is not markup of our own."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from decoder.output.report.markup import Markup, joined, tag, text


class Reader(HTMLParser):
    """Python's own parser, as an independent reader."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


@given(st.text(max_size=150), st.text(max_size=150))
def test_no_text_becomes_markup(words: str, value: str) -> None:
    read = Reader(tag("p", words, title=value))
    assert [name for name, _ in read.tags] == ["p"]
    assert set(read.tags[0][1]) == {"title"}
    if words.isprintable():
        assert read.words == words
    if value.isprintable():
        assert read.tags[0][1]["title"] == value


def test_control_characters_show_as_escapes() -> None:
    assert text("a\x1b[2J\u202eb\x00") == "a\\x1b[2J\\u202eb\\x00"
    assert tag("p", "\x85") == "<p>\\x85</p>"


def test_long_texts_are_cut() -> None:
    assert text("x" * 500).startswith("x" * 200 + "… (300 more)")
    assert len(tag("p", title="x" * 100_000)) < 5_000


def test_attributes() -> None:
    element = tag("input", type="search", hidden=True, disabled=False, value=None, aria_label="find", class_="a")
    assert element == '<input type="search" hidden aria-label="find" class="a">'
    assert tag("circle", cx=1) == '<circle cx="1"/>'
    assert tag("meta", name="x", http_equiv="y") == '<meta name="x" http-equiv="y">'


def test_children() -> None:
    assert tag("ul", tag("li", "<a>"), None, "b & c") == "<ul><li>&lt;a&gt;</li>b &amp; c</ul>"
    assert joined(["<", Markup("<br>"), 5], " < ") == "&lt; &lt; <br> &lt; 5"
