"""The HTML table for notebooks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from decoder.formatting.html import html_table


def test_a_table() -> None:
    assert html_table("a & b", [("name", "<x>")]) == (
        "<table><caption>a &amp; b</caption><tr><th>name</th><td>&lt;x&gt;</td></tr></table>"
    )
    assert html_table("", [], "1\n2").endswith("<pre>1\n2</pre>")


@given(st.text())
def test_no_text_makes_a_tag(text: str) -> None:
    assert html_table(text, [(text, text)], text).count("<") == html_table("", [("", "")], "x").count("<") - (
        0 if text else 2
    )
