"""All connections of a capture: what comes from a `Decoder` becomes findings in the order of time."""

from __future__ import annotations

from typing import Any

from decoder import KeyRing
from decoder.conversation.summary import ConnectionInfo
from decoder.engine.decoder import Decoder
from decoder.findings.analyser import Analyser, _Packets
from tests.support.exchange import frame, pem, rsa_key
from tests.support.messages import Line
from tests.support.segments import Talk, decode_segments
from tests.support.session import Session, request, response

STATE = request("GetGlobalState", userID=1)


def analysed(*sessions: Session, **options: Any) -> Analyser:
    analyser = Analyser(**options)
    decoder = Decoder(keys=KeyRing([pem(rsa_key())]), on_connection=analyser.connection_ended)
    for data, time_ns in sorted((p for session in sessions for p in session.packets), key=lambda packet: packet[1]):
        analyser.add(decoder.feed(data, time_ns))
    analyser.add(decoder.flush())
    return analyser


def asking(port: int = 50_112, *, ends: bool = True) -> Session:
    """Asks twice and gets no answer."""
    session = Session(rsa_key(), client_port=port).hello(conn_id=port)
    for _ in range(2):
        session.ask(1002, STATE)
    session.wait(13).keep_alive()
    return session.close() if ends else session


def test_findings_of_all_connections_in_the_order_of_time() -> None:
    found = analysed(asking(), asking(50_113)).finish()
    assert [each.time_ns for each in found] == sorted(each.time_ns for each in found)
    assert {each.connection for each in found} == {0, 1}


def test_a_connection_that_did_not_end_is_concluded_with_the_capture() -> None:
    analyser = analysed(asking(ends=False))
    analyser.finish()
    assert analyser.counts["warning"] == 2
    assert not analyser._connections


def test_only_what_is_wanted_is_listed() -> None:
    found = analysed(asking(), wanted=lambda number, connection: number == 3).finish()
    assert [(each.code, each.message) for each in found] == [("unanswered", 3)]


def test_findings_are_told_as_they_show_and_muted_ones_are_not() -> None:
    told: list[str] = []
    analyser = Analyser()
    analyser.on_finding(lambda finding: told.append(finding.code))
    analyser.mute(frozenset(("no-key",)))
    line = Line()
    for serial_no, reason in enumerate(("no-key", "oversize"), 1):
        analyser.take(line.ask(1002, None, serial_no=serial_no, verdict="unverified", reason=reason))
    assert told == ["oversize"]
    assert [each.code for each in analyser.found] == ["oversize"]


def test_a_copy_of_a_message_is_passed_over() -> None:
    analyser, line = Analyser(), Line()
    copy = line.ask(1002, STATE)
    copy.copy = True
    assert not analyser.take(copy)
    assert analyser.finish() == []


def test_a_request_that_came_out_after_its_response_is_said_to_the_caller() -> None:
    analyser, line = Analyser(), Line()
    line.context.handshake = True
    analyser.take(line.ask(1001, b""))
    assert not analyser.take(line.message("response", 1002, response("Qot_Sub"), serial_no=9))
    assert analyser.take(line.ask(1002, STATE, serial_no=9))


def test_requests_near_a_limit_are_noted_once_for_each_protocol() -> None:
    session = Session(rsa_key()).hello()
    for _ in range(50):
        session.wait(0.1).talk(3203, request("Qot_GetSecuritySnapshot"), response("Qot_GetSecuritySnapshot"))
    found = [each for each in analysed(session).finish() if each.code == "rate-limit-near"]
    assert len(found) == 1
    assert "50 Qot_GetSecuritySnapshot in 30 s, near the limit of 60 (published)" in found[0].text


def test_a_connection_without_a_message_is_reported_with_its_end() -> None:
    analyser = Analyser()
    info = ConnectionInfo(0, "a:1", "b:2", 0, 0)
    info.syn_seen = True
    analyser.connection_ended(info)
    analyser.settle()
    assert [each.code for each in analyser.finish()] == ["unreachable"]


def test_limits_that_were_hit_are_lines_for_people() -> None:
    assert analysed(asking()).limits_hit == []


def test_requests_are_remembered_for_what_is_found_later_and_pushes_while_they_pass() -> None:
    talk = Talk().c2s(frame(1004, b"\x0a\x02\x08\x00", serial_no=1)).s2c(frame(3011, b"\x08\x00", serial_no=2))
    asked, pushed = decode_segments(talk.segments).messages
    packets = _Packets()
    for message in (asked, pushed):
        packets.message(message)
    assert packets.of(asked.number) == tuple(asked.frames)
    assert packets.of(pushed.number) == tuple(pushed.frames)
    packets.message(asked)
    assert packets.of(pushed.number) == ()
