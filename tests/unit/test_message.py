"""`Message` and `Gap`: attributes beyond the record, pickling, and how a notebook shows a message."""

from __future__ import annotations

import datetime as dt
import pickle
import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from decoder.framing.header import HEADER
from decoder.message import Flow, Gap, Message
from tests.support.exchange import Exchange, decode, frame, init_response, refused
from tests.support.recorded import RECORDINGS


def message(**values: Any) -> Message:
    header: Any = HEADER.unpack(frame(1004, b"", sha1=bytes(20))[:44])
    flow = values.pop("flow", Flow(0, "c2s", "192.0.2.1:50112", "192.0.2.2:11111"))
    made = Message(flow, header, values.pop("time_ns", 0), (1,), "request", b"", "None", "verified", None, None)
    for name, value in values.items():
        setattr(made, name, value)
    return made


@given(st.datetimes(min_value=dt.datetime(1970, 1, 1), max_value=dt.datetime(2200, 1, 1)))
def test_datetime_is_the_time_in_utc(when: dt.datetime) -> None:
    when = when.replace(tzinfo=dt.timezone.utc)
    time_ns = (when - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(microseconds=1) * 1000
    assert message(time_ns=time_ns).datetime == when
    assert message(time_ns=time_ns + 999).datetime == when


def test_a_damaged_time_stamp_has_a_datetime() -> None:
    assert message(time_ns=1 << 90).datetime.year == 9999
    assert message(time_ns=1 << 90).time.startswith("9999-")


def test_transport_and_error_are_keys_of_the_record() -> None:
    assert [message().record()[key] for key in ("transport", "error")] == ["tcp", None]
    flow = Flow(0, "s2c", "192.0.2.2:33333", "192.0.2.1:50112", transport="websocket")
    error = {"code": 5, "message": "no"}
    assert [message(flow=flow, error=error).record()[key] for key in ("transport", "error")] == ["websocket", error]


def test_nothing_is_lost_by_pickling() -> None:
    flow = Flow(3, "s2c", "192.0.2.2:33333", "192.0.2.1:50112", transport="websocket")
    made = message(
        flow=flow, error={"code": 5, "message": "no"}, number=7, ordinal=5, request=6, latency_ns=1_000, copy=True
    )
    made.add_note("conflicting-overlap")
    again = pickle.loads(pickle.dumps(made))
    assert again.record() == made.record()
    assert (again.ordinal, again.copy) == (5, True)
    gap = Gap(flow, 1, None, "lost", 9)
    assert pickle.loads(pickle.dumps(gap)).record() == gap.record()


class Checker(HTMLParser):
    """Collects tags and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_notebook_shows_verdict_and_body_without_secrets() -> None:
    (shown,) = decode(Exchange().s2c(frame(1001, init_response())))[0]
    checker = Checker(shown._repr_html_())
    assert set(checker.tags) == {"table", "caption", "tr", "th", "td", "pre"}
    assert "InitConnect response" in checker.text
    assert "verified" in checker.text
    assert '"connAESKey": "[redacted]"' in checker.text
    (bad,) = decode(Exchange().s2c(frame(1001, init_response(), sha1=bytes(20))))[0]
    assert f"failed (sha1-mismatch): {bad.hint}" in Checker(bad._repr_html_()).text


def test_a_notebook_runs_no_text_of_the_wire() -> None:
    for text in ("<script>alert(1)</script>", "\x1b[31m\u202e", "x" * 100_000):
        (shown,) = decode(Exchange().s2c(frame(1004, refused("KeepAlive", text))))[0]
        html = shown._repr_html_()
        assert "script" not in Checker(html).tags
        assert not re.search("[\x1b\u202e]", html)
        assert len(html) < 25_000


def test_every_recorded_message_has_a_table() -> None:
    from decoder import messages

    for recording in RECORDINGS[:3]:
        for item in messages(recording.path):
            assert str(item.serial_no) in Checker(item._repr_html_()).text
