"""Findings about connections on which no conversation comes about."""

from __future__ import annotations

import decoder
from decoder import KeyRing
from decoder.findings import Analyser, Finding
from tests.support.exchange import HEADER, Exchange, frame, init_request, init_response


def findings(exchange: Exchange) -> dict[str, Finding]:
    """The findings by code."""
    analyser = Analyser()
    each = decoder.Decoder(keys=KeyRing(), on_connection=analyser.connection_ended)
    for data, time_ns in exchange.packets:
        analyser.add(each.feed(data, time_ns))
    analyser.add(each.flush())
    return {finding.code: finding for finding in analyser.finish()}


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
