"""Findings about connections on which no conversation comes about."""

from __future__ import annotations

from hashlib import sha1

import decoder
from decoder import KeyRing
from decoder.findings import Analyser, Finding
from tests.support.exchange import (
    HEADER,
    Exchange,
    frame,
    init_request,
    init_response,
    keep_alive,
    keep_alive_answer,
)


def found_all(exchange: Exchange) -> list[Finding]:
    analyser = Analyser()
    each = decoder.Decoder(keys=KeyRing(), on_connection=analyser.connection_ended)
    for data, time_ns in exchange.packets:
        analyser.add(each.feed(data, time_ns))
    analyser.add(each.flush())
    return analyser.finish()


def findings(exchange: Exchange) -> dict[str, Finding]:
    """The findings by code."""
    return {finding.code: finding for finding in found_all(exchange)}


def test_http_instead_of_an_answer_is_named_and_counted() -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\nServer: \x1b[31mx\r\n\r\n" + b"." * 3_000
    found = findings(Exchange().c2s(frame(1001, init_request())).s2c(answer, mss=1_400).fin())
    text = found["not-opend"].text
    assert f"{len(answer):,} bytes came from the gateway's port" in text
    assert '"HTTP/1.1 400 Bad Request"' in text
    assert text.isprintable()


def test_a_gateway_that_answers_is_not_said_to_be_something_else() -> None:
    exchange = Exchange().c2s(frame(1001, init_request())).s2c(frame(1001, init_response())).fin()
    assert "not-opend" not in findings(exchange)


def test_a_length_that_counts_the_header_is_named() -> None:
    for added, expected in ((44, True), (43, False)):
        message = frame(1001, init_request(clientID="a program with a name of some length"))
        magic, proto_id, fmt, version, serial_no, length, digest, reserved = HEADER.unpack(message[: HEADER.size])
        head = HEADER.pack(magic, proto_id, fmt, version, serial_no, length + added, digest, reserved)
        found = findings(Exchange().c2s(head + message[HEADER.size :]).fin())
        assert ("wrong-header" in found) is expected
        assert ("incomplete" in found) is not expected


def ends(exchange: Exchange) -> tuple[str, str]:
    """How a connection ended, and what is said of its login."""
    found = findings(exchange)
    return found["closed-by-gateway"].text, found["login-unanswered"].text


def test_a_login_that_no_opend_can_read_is_the_cause_of_the_end() -> None:
    body = init_request(clientID="a program with a name of some length")
    header = HEADER.pack(b"FT", 1001, 0, 0, 1, len(body) + 44, sha1(body).digest(), bytes(8))
    for sent, fault in ((frame(1001, body, sha1=bytes(20)), "sha1-mismatch"), (header + body, "its length")):
        end, login = ends(Exchange().c2s(sent).fin("s2c"))
        assert f"an InitConnect that OpenD cannot read (message 1: {fault})" in end
        assert f"OpenD cannot read it (message 1: {fault})" in login
    short = init_request(clientID="x")
    header = HEADER.pack(b"FT", 1001, 0, 0, 1, len(short) + 44, sha1(short).digest(), bytes(8))
    assert "own 44 bytes" in findings(Exchange().c2s(header + short).fin("s2c"))["wrong-header"].text
    end, login = ends(Exchange().c2s(frame(1001, body)).fin("s2c"))
    assert "in clear: OpenD wants encryption" in end
    assert "rsa_private_key" in login


def test_where_something_else_answers_encryption_is_not_the_cause() -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    end, login = ends(Exchange().c2s(frame(1001, init_request())).s2c(answer).fin("s2c"))
    assert "it is no OpenD" in end
    assert login.endswith("what answered is no OpenD")


def test_requests_that_nothing_answers_are_one_finding() -> None:
    """Where only one direction was recorded; of orders each is worth a line."""
    exchange = Exchange(syn=False)
    for number in range(2, 302):
        exchange.c2s(frame(1004, keep_alive(), serial_no=number))
    each = found_all(exchange)
    (unanswered,) = [finding for finding in each if finding.code == "unanswered"]
    assert unanswered.count == 300
    assert "only one direction was recorded" in unanswered.text
    exchange.s2c(frame(1004, keep_alive_answer(), serial_no=2))
    assert len([finding for finding in found_all(exchange) if finding.code == "unanswered"]) > 1
