"""Subscriptions as a table: spans, pushes, silences, quota slots."""

from __future__ import annotations

from typing import Any

import decoder
from decoder import KeyRing
from decoder.findings import Analyser
from tests.support.answers import KEY, PAIRS, hello, pushes, sub
from tests.support.exchange import Exchange, pem
from tests.support.session import book


def table(*sessions: Exchange) -> list[dict[str, Any]]:
    analyser = Analyser()
    each = decoder.Decoder(keys=KeyRing([pem(KEY)]), on_connection=analyser.connection_ended)
    for data, time_ns in sorted((p for session in sessions for p in session.packets), key=lambda packet: packet[1]):
        analyser.add(each.feed(data, time_ns))
    analyser.add(each.flush())
    analyser.finish()
    return [row.record() for row in analyser.subscriptions.rows()]


def test_a_subscription_from_grant_to_drop() -> None:
    session = pushes(sub(hello(), "00700"), 50).wait(7).push(3013, book())
    (row,) = table(sub(session, "00700", on=False).alive(16))
    assert (row["symbol"], row["sub_type"], row["pushes"], row["requested_by"]) == ("HK.00700", "ORDER_BOOK", 51, 3)
    assert row["since"] is not None
    assert row["until"] is not None
    assert 999 < row["first_push_ms"] < 1_010
    assert 6.9 < row["longest_silence_s"] < 7.1
    assert row["renewed"] is None


def test_a_push_that_nobody_asked_for_has_a_row() -> None:
    asked, unasked = table(sub(hello(), "00005").push(3013, book("00005")).push(3013, book("00700")))
    assert (asked["symbol"], asked["requested_by"], asked["pushes"]) == ("HK.00005", 3, 1)
    assert (unasked["symbol"], unasked["since"], unasked["requested_by"], unasked["pushes"]) == (
        "HK.00700",
        None,
        None,
        1,
    )


def test_refused_subscriptions_take_no_slot() -> None:
    assert table(sub(hello(), "00700", ret_type=-1, text="no")) == []


def test_quota_slots_are_shared_and_held_for_a_minute() -> None:
    first = sub(hello(), "00001", "00002")
    second = sub(hello(50_113).wait(1), "00002", "00003")
    assert [row["quota_slots"] for row in table(first, second)] == [1, 2, 2, 3]
    soon = sub(sub(hello(), "00001", "00002").wait(5), "00001", "00002", on=False)
    assert [row["quota_slots"] for row in table(sub(soon, "00003"))] == [1, 2, 3]
    late = sub(sub(hello(), "00001", "00002").wait(61), "00001", "00002", on=False)
    assert [row["quota_slots"] for row in table(sub(late, "00003"))] == [1, 2, 1]


def test_renewal() -> None:
    shows, silent = PAIRS["subscriptions-not-renewed"]
    assert [(row["symbol"], row["renewed"]) for row in table(*shows())[:2]] == [("HK.00700", True), ("HK.00005", False)]
    assert [row["renewed"] for row in table(*silent()[:2])] == [True, True, None, None]
