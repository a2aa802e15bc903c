"""The tables of ``opendump top``."""

from __future__ import annotations

import pytest

from decoder import Decoder, KeyRing
from decoder.output import top_tables
from decoder.statistics.activity import Activity
from tests.support.answers import hello, placed, state, sub, told
from tests.support.exchange import pem, rsa_key
from tests.support.session import SECOND, Session, book, request, response


def activity(*sessions: Session, at_end: bool = False) -> Activity:
    found = Activity()
    engine = Decoder(keys=KeyRing([pem(rsa_key())]), on_connection=found.connection_ended)
    for data, time_ns in sorted((p for session in sessions for p in session.packets), key=lambda packet: packet[1]):
        found.add(engine.feed(data, time_ns))
    if at_end:
        found.add(engine.flush())
    return found


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (9.94, "9.9 s"), (12.4, "12 s"), (119, "119 s"), (180, "3 min"), (7200, "2 h"), (-5, "0.0 s")],
)
def test_how_long_ago(seconds: float, text: str) -> None:
    assert top_tables.age(0, int(seconds * SECOND)) == text
    assert top_tables.age(None, 5) == "-"


def test_connections_with_their_oldest_unanswered_request() -> None:
    session = hello().wait(1)
    session.ask(1002, request("GetGlobalState", userID=1))
    session.keep_alive()
    found = activity(session)
    ((ordinal, client, program, encryption, *_, oldest),) = top_tables.connections(found, session.now + SECOND).rows
    assert (ordinal, client, encryption) == ("0", "192.0.2.1:50112", "RSA+AES_CBC")
    assert "test" in program
    assert oldest == "1.0 s GetGlobalState"


def test_a_connection_that_ended_is_shown_for_a_minute() -> None:
    session = hello().wait(1).close()
    found = activity(session, at_end=True)
    (row,) = top_tables.connections(found, session.now + 10 * SECOND).rows
    assert row[-1] == "closed 10 s ago"
    assert top_tables.connections(found, session.now + 61 * SECOND).rows == []


def test_protocols_the_busiest_of_the_last_10_seconds_first() -> None:
    session = hello().wait(30)
    for _ in range(5):
        session.wait(0.1).talk(1002, request("GetGlobalState", userID=1), response("GetGlobalState", -1, "no"))
    rows = top_tables.protocols(activity(session), session.now + SECOND).rows
    assert rows[0][0] == "GetGlobalState"
    assert rows[0][2] == "1.0"  # ten messages in ten seconds
    assert rows[0][6] == "5"
    assert [row[0] for row in rows][1:] == ["InitConnect"]


def test_orders_that_are_open_or_were_a_minute_ago() -> None:
    session = placed(told(hello())).push(2208, state(5))
    found = activity(session)
    ((order, symbol, side, qty, price, *_, shown),) = top_tables.orders(found, session.now + 300 * SECOND).rows
    assert (order, symbol, side, qty, price, shown) == ("7", "HK.00700", "BUY", "100", "400.2", "SUBMITTED")
    session.push(2208, state(11, filled=100.0))
    done = activity(session)
    assert len(top_tables.orders(done, session.now + 59 * SECOND).rows) == 1
    assert top_tables.orders(done, session.now + 61 * SECOND).rows == []


def test_subscriptions_with_the_longest_silence_first() -> None:
    session = sub(hello(), "00700", "00005")
    for code in ("00005", "00700"):
        session.wait(5).push(3013, book(code))
    rows = top_tables.subscriptions(activity(session), session.now).rows
    assert [row[1] for row in rows] == ["HK.00005", "HK.00700"]


def test_calls_that_have_a_limit() -> None:
    session = hello()
    for _ in range(3):
        session.wait(0.1).talk(3203, request("Qot_GetSecuritySnapshot"), response("Qot_GetSecuritySnapshot", -1, "x"))
    (row,) = top_tables.calls(activity(session), session.now).rows
    assert row[:3] == ["Qot_GetSecuritySnapshot", "3", "60"]


def test_findings_the_last_first() -> None:
    session = hello().push(1003, response("Notify", -1, "first")).wait(5).push(1003, response("Notify", -1, "second"))
    rows = top_tables.findings(activity(session), session.now).rows
    assert ["second" in rows[0][3], "first" in rows[1][3]] == [True, True]


def test_what_the_gateway_said_of_itself() -> None:
    status = response("Notify", type=2, programStatus={"programStatus": {"type": 11}})
    links = response("Notify", type=3, connectStatus={"qotLogined": True, "trdLogined": False})
    session = hello().push(1003, status).push(1003, links)
    (line,) = top_tables.gateway_lines(activity(session), session.now)
    assert line.startswith("OpenD 192.0.2.2:11111")
    for part in ("FORCE_LOGOUT", "quote server linked", "trade server LOST"):
        assert part in line
