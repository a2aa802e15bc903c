"""Requests and responses of one connection."""

from __future__ import annotations

import pytest

from decoder.conversation.summary import ConnectionInfo
from decoder.findings.request_tracking import RequestTracking, Tally
from tests.support.exchange import keep_alive
from tests.support.messages import Line
from tests.support.session import order, request, response

ASKED, ANSWERED = request("GetGlobalState", userID=1), response("Qot_Sub")


class Bench:
    """A connection whose handshake was seen."""

    def __init__(self) -> None:
        self.line, self.tally = Line(), Tally()
        self.line.context.handshake = True
        self.tracking = RequestTracking(self.line.context, self.tally)
        self.serial = 0

    def ask(self, proto_id: int = 1002, body: bytes = ASKED, serial_no: int | None = None) -> object:
        self.serial += 1
        message = self.line.ask(proto_id, body, serial_no=self.serial if serial_no is None else serial_no)
        self.later = self.tracking.request(message)
        return message

    def answer(self, asked: object) -> Bench:
        self.tracking.response(self.line.answer(asked, ANSWERED))  # type: ignore[arg-type]
        return self

    def orphan(self, serial_no: int = 99) -> Bench:
        self.tracking.response(self.line.message("response", 1002, ANSWERED, serial_no=serial_no))
        return self

    def end(self, *, closed: bool = False) -> list[str]:
        info = ConnectionInfo(0, "a:1", "b:2", 0, 0)
        info.closed_by = "server"
        self.tracking.end(info if closed else None, self.line.now)
        return self.line.codes


def test_answered_requests_are_right() -> None:
    bench = Bench()
    for _ in range(100):
        bench.answer(bench.ask())
    assert bench.end() == []
    assert bench.tally.pending == 0


def test_a_request_without_an_answer() -> None:
    bench = Bench()
    bench.ask()
    bench.ask(2202, order(1))
    bench.line.wait(13)
    bench.ask(1004, keep_alive())
    assert bench.tally.pending == 3
    assert bench.end() == ["warning unanswered 1", "error unanswered 1", "note unanswered 1"]
    assert "may have been placed all the same" in bench.line.found[1].text
    assert bench.tally.pending == 0


def test_the_end_of_the_connection_is_named() -> None:
    bench = Bench()
    bench.ask()
    assert bench.end(closed=True) == ["warning unanswered 1"]
    assert "until the connection ended" in bench.line.text


@pytest.mark.parametrize(("encrypted", "words"), [(True, "sent encrypted"), (False, "sent in clear")])
def test_a_login_without_an_answer_is_about_keys(encrypted: bool, words: str) -> None:
    bench = Bench()
    bench.line.context.login_encrypted = encrypted
    bench.ask(1001)
    bench.line.wait(20)
    assert bench.end() == ["warning login-unanswered 1"]
    assert words in bench.line.text


@pytest.mark.parametrize(("seconds", "codes"), [(12.1, ["warning late-response 1"]), (11.9, [])])
def test_the_sdk_stops_waiting_after_12_seconds(seconds: float, codes: list[str]) -> None:
    bench = Bench()
    asked = bench.ask()
    bench.line.wait(seconds)
    assert bench.answer(asked).end() == codes


def test_a_second_answer_to_one_request() -> None:
    bench = Bench()
    asked = bench.ask()
    bench.answer(asked).orphan(serial_no=1)
    assert bench.end() == ["warning duplicate-response 1"]


def test_an_answer_to_nothing() -> None:
    assert Bench().orphan().end() == ["warning response-without-request 1"]
    lossy = Bench()
    lossy.line.context.client_gaps = 1
    assert lossy.orphan().end() == ["note response-without-request 1"]
    assert "a part that the capture lacks" in lossy.line.text


def test_what_was_asked_before_the_capture_is_no_finding() -> None:
    bench = Bench()
    bench.line.context.handshake = False
    assert bench.orphan().end() == []


def test_a_response_that_was_captured_before_its_request() -> None:
    bench = Bench().orphan(serial_no=1)
    bench.ask()
    assert bench.later
    assert bench.end() == []


def test_one_serial_number_for_two_requests() -> None:
    bench = Bench()
    bench.answer(bench.ask(serial_no=7))
    bench.ask(serial_no=7)
    assert bench.end() == ["warning duplicate-serial 1", "note unanswered 1"]


def test_serial_numbers_grow_but_for_keep_alive_and_the_end_of_32_bits() -> None:
    falls, wraps, apart = Bench(), Bench(), Bench()
    for bench, numbers, proto_id in ((falls, (10, 9), 1002), (wraps, (2**32 - 5, 3), 1002), (apart, (10, 9), 1004)):
        for number in numbers:
            bench.answer(bench.ask(proto_id, keep_alive() if proto_id == 1004 else ASKED, serial_no=number))
    assert falls.end() == ["note serial-not-growing 1"]
    assert wraps.end() == apart.end() == []


def test_requests_that_are_followed_are_bounded() -> None:
    bench = Bench()
    for _ in range(5_000):
        bench.ask()
    assert bench.tally.pending == 4_096
    assert bench.line.codes == ["note analysis-limit 1"]
