"""Messages in notebooks."""

from __future__ import annotations

from html.parser import HTMLParser

from decoder import Gap, Message
from decoder.message import Flow
from decoder.output.notebook import notebook_html
from tests.support.exchange import vendor

SCRIPT = "<script>alert(1)</script>&amp;\x1b[2J\u202e"


class Reader(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def notify(text: str) -> Message:
    body = vendor("Notify").Response(retType=0)
    body.s2c.type = 1
    body.s2c.event.eventType, body.s2c.event.desc = 1, text
    plaintext = body.SerializeToString()
    header = (b"FT", 1003, 0, 0, 7, len(plaintext), bytes(20), bytes(8))
    flow = Flow(3, "s2c", "192.0.2.2:11111", "192.0.2.1:50112")
    return Message(flow, header, 1_700_000_000_000_000_000, (1,), "push", plaintext, "None", "verified", None, None)


def test_a_message_shows_its_line_and_its_fields() -> None:
    item = notify("hello")
    item.number = 17
    read = Reader(item._repr_html_())
    assert read.tags == ["details", "summary", "code", "pre"]
    assert read.text.startswith("17 2023-11-1")
    assert 'desc: "hello"' in read.text
    assert "Message 17" in read.text


def test_nothing_from_the_wire_is_markup() -> None:
    read = Reader(notify(SCRIPT)._repr_html_())
    assert read.tags == ["details", "summary", "code", "pre"]
    assert read.text.count("<script>alert(1)</script>&amp;") == 2
    assert "\x1b" not in read.text
    assert "\u202e" not in read.text


def test_a_gap() -> None:
    read = Reader(notebook_html(Gap(Flow(4, "s2c", "a:1", "b:2"), 1_700_000_000_000_000_000, 1448, "lost")))
    assert "1,448 bytes missing from the capture" in read.text
