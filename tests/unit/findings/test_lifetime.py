"""The life of a connection: KeepAlive, announcements of the gateway, the end."""

from __future__ import annotations

from typing import Any

import pytest

from decoder.conversation.summary import ConnectionInfo
from decoder.findings.lifetime import Last, Lifetime
from decoder.findings.push_silence import PushSilence
from decoder.findings.readability import report_unverified
from tests.support.exchange import init_response, keep_alive
from tests.support.messages import Line
from tests.support.session import response


class Bench:
    """A connection that logged in; the gateway wants a KeepAlive every 10 s."""

    def __init__(self) -> None:
        self.line = Line()
        self.lifetime = Lifetime(self.line.context, PushSilence(self.line.context))
        asked = self.line.ask(1001, b"")
        self.lifetime.init_response(self.line.answer(asked, init_response()))
        self.last: Last = self.line.number, 1001, "response"

    def alive(self, *seconds: float) -> Bench:
        """A KeepAlive after each of these waits."""
        for each in seconds:
            self._take(self.line.wait(each).ask(1004, keep_alive()))
        return self

    def _take(self, message: Any) -> None:
        if message.time_ns > self.lifetime.deadline_ns:
            self.lifetime.overdue(message)
        if message.proto_id == 1004:
            self.lifetime.keep_alive(message)
        self.last = message.number, message.proto_id, message.kind

    def notify(self, after: float = 0, **s2c: Any) -> Bench:
        message = self.line.wait(after).push(1003, response("Notify", **s2c))
        self._take(message)
        self.lifetime.received_ns = message.time_ns
        assert message.protobuf is not None
        self.lifetime.notify(message, message.protobuf)
        return self

    def end(self, closed_by: str | None, after: float = 0, *, reset: bool = False) -> list[str]:
        self.line.wait(after)
        info = ConnectionInfo(0, "a:1", "b:2", 0, self.line.now)
        info.closed_by, info.reset, info.closed_ns = closed_by, reset, self.line.now
        self.lifetime.end(info, self.last, self.line.now)
        return self.line.codes

    @property
    def last_text(self) -> str:
        return self.line.found[-1].text


EVENT: dict[str, Any] = {"type": 1, "event": {"eventType": 7, "desc": "logged in elsewhere"}}


@pytest.mark.parametrize(
    ("waits", "codes"),
    [
        ((8, 8, 15), []),
        ((8, 17, 8), ["warning keep-alive-late 1"]),
        ((8, 31), ["error keep-alive-missed 1"]),
        ((8, 31, 31), ["error keep-alive-missed 1"] * 2),
    ],
)
def test_keep_alive_in_time_late_and_missed(waits: tuple[float, ...], codes: list[str]) -> None:
    assert Bench().alive(*waits).line.codes == codes


def test_a_lost_packet_may_have_held_the_keep_alive() -> None:
    bench = Bench().alive(8)
    bench.line.context.client_gaps = 1
    assert bench.alive(31).line.codes == []


def test_another_message_after_the_deadline_shows_that_it_was_missed() -> None:
    assert "error keep-alive-missed 1" in Bench().alive(8).notify(31, type=0).line.codes


@pytest.mark.parametrize(
    ("notify", "codes"),
    [
        (EVENT, ["error gateway-event 1"]),
        ({"type": 1, "event": {"eventType": 14, "desc": ""}}, ["warning gateway-event 1"]),
        ({"type": 2, "programStatus": {"programStatus": {"type": 11}}}, ["error gateway-status 1"]),
        ({"type": 2, "programStatus": {"programStatus": {"type": 10}}}, []),
        ({"type": 3, "connectStatus": {"qotLogined": True, "trdLogined": False}}, ["warning server-link-lost 1"]),
        ({"type": 3, "connectStatus": {"qotLogined": True, "trdLogined": True}}, []),
    ],
    ids=["kicked out", "trade password", "logged out", "ready", "no trade server", "all well"],
)
def test_announcements(notify: dict[str, Any], codes: list[str]) -> None:
    assert Bench().notify(**notify).line.codes == codes


def test_the_gateways_own_words_are_quoted_and_harmless() -> None:
    bench = Bench().notify(type=1, event={"eventType": 7, "desc": "\x1b[2J" + "x" * 10_000})
    assert bench.line.text.isprintable()
    assert len(bench.line.text) < 500


def test_a_quote_right_that_became_lower() -> None:
    bench = Bench()
    for right in (3, 3, 1):
        bench.notify(type=4, qotRight={"hkQotRight": right, "usQotRight": 3, "cnQotRight": 2})
    assert bench.line.codes == ["warning quote-right-lost 1"]
    assert "hkQotRight is BMP now" in bench.line.text


def test_asked_for_the_state_says_the_same_and_counts_once() -> None:
    numbers = ("marketHK", "marketUS", "marketSH", "marketSZ", "marketHKFuture", "serverVer", "serverBuildNo", "time")
    fields: dict[str, Any] = dict.fromkeys(numbers, 1)
    bench = Bench()
    for _ in range(3):
        asked = bench.line.ask(1002, b"")
        answer = bench.line.answer(
            asked, response("GetGlobalState", **fields, qotLogined=False, trdLogined=True, programStatus={"type": 4})
        )
        assert answer.protobuf is not None
        bench.lifetime.global_state(answer, answer.protobuf)
    assert bench.line.codes == ["warning gateway-status 3", "warning server-link-lost 3"]


@pytest.mark.parametrize(
    ("closed_by", "reset", "codes", "words"),
    [
        ("server", False, ["error closed-by-gateway 1"], "without saying why"),
        ("server", True, ["error closed-by-gateway 1"], "with a TCP reset"),
        ("client", False, ["note closed-by-client 1"], "the client closed"),
        ("client", True, ["warning closed-by-client 1"], "ended hard"),
    ],
)
def test_who_ended_it(closed_by: str, reset: bool, codes: list[str], words: str) -> None:
    bench = Bench().notify(8, type=0)
    assert bench.end(closed_by, 1, reset=reset) == codes
    assert words in bench.last_text
    assert "the last message was Notify push (3)" in bench.last_text


def test_still_open_is_no_end() -> None:
    assert Bench().end(None, 5) == []


@pytest.mark.parametrize(("reason", "words"), [("no-key", "may have said why"), ("no-digest", "without saying why")])
def test_an_answer_without_body_is_read_whole_on_a_websocket(reason: str, words: str) -> None:
    bench = Bench().notify(8, type=0)
    answer = bench.line.push(1003, None, verdict="unverified", reason=reason)
    report_unverified(bench.line.context, answer)
    bench.end("server", 1)
    assert words in bench.last_text


@pytest.mark.parametrize(("after", "words"), [(4.9, "having said KickedOut (message 3)"), (5.1, "without saying why")])
def test_an_announcement_explains_an_end_within_five_seconds(after: float, words: str) -> None:
    bench = Bench().notify(**EVENT)
    bench.end("server", after)
    assert words in bench.last_text


def test_an_end_after_a_missed_keep_alive() -> None:
    bench = Bench().alive(8)
    bench.end("server", 31)
    assert "31 s after the last KeepAlive" in bench.last_text


@pytest.mark.parametrize(("encrypted", "words"), [(True, "compare the RSA keys"), (False, "wants encryption")])
def test_an_end_right_after_the_login(encrypted: bool, words: str) -> None:
    bench = Bench()
    bench.line.context.login_encrypted = encrypted
    bench.end("server", 1)
    assert words in bench.last_text


def test_a_client_that_gave_up_on_a_silent_gateway() -> None:
    bench = Bench().alive(*[8] * 5)
    assert bench.end("client", 1) == ["warning closed-by-client 1"]
    assert "had sent nothing for 41 s" in bench.last_text
