"""One conversation on two address pairs: recognised by what both carry, and not by a like beginning."""

from __future__ import annotations

import gc

from decoder.conversation.twins import TwinFinder, Twins
from decoder.framing.header import HEADER
from decoder.message import Flow, Message
from tests.support.exchange import frame


class Connection:
    """A connection, as far as a `TwinFinder` knows it."""

    def __init__(self, ordinal: int) -> None:
        self.ordinal = ordinal
        self.twins: Twins | None = None


def message(serial_no: int, *, conn_id: str | None = "77", verdict: str = "verified", body: bytes = b"body") -> Message:
    header = HEADER.unpack_from(frame(1001 if serial_no == 1 else 3004, body, serial_no=serial_no))
    flow = Flow(0, "s2c", "b:2", "a:1")
    return Message(flow, header, 0, (serial_no,), "response", body, "None", verdict, None, conn_id)


def found(*, second: Message | None = None) -> tuple[TwinFinder, Connection, Connection]:
    finder, one, other = TwinFinder(), Connection(0), Connection(1)
    finder.find(one, message(1))
    finder.find(other, message(1) if second is None else second)
    return finder, one, other


def test_the_same_response_lets_two_connections_be_compared() -> None:
    finder, one, other = found()
    assert one.twins is other.twins is finder.found[0]
    assert finder.found[0].ordinals == (0, 1)


def test_another_conn_id_another_body_or_no_proof_is_another_conversation() -> None:
    for second in (
        message(1, conn_id="78"),
        message(1, body=b"x"),
        message(1, verdict="failed"),
        message(1, conn_id=None),
    ):
        finder, _, other = found(second=second)
        assert not finder.found
        assert other.twins is None


def test_three_messages_that_agree_prove_it_and_the_second_of_each_is_the_copy() -> None:
    finder, _, _ = found()
    (twins,) = finder.found
    copies = []
    for serial_no in (2, 3, 4):
        assert twins.proven is (serial_no == 4)
        first, second = message(serial_no), message(serial_no)
        twins.check(0, first)
        twins.check(1, second)
        copies.append((first.copy, second.copy))
    assert twins.matched == 4
    assert copies == [(False, True)] * 3


def test_whichever_connection_is_ahead_has_the_original() -> None:
    twins = Twins(0, 1, "77")
    ahead, behind = [message(n) for n in range(2, 6)], [message(n) for n in range(2, 6)]
    for each in ahead:
        twins.check(1, each)
    for each in behind:
        twins.check(0, each)
    assert not any(each.copy for each in ahead)
    assert all(each.copy for each in behind)


def test_a_repetition_on_one_connection_is_no_copy() -> None:
    twins = Twins(0, 1, "77")
    again = message(2)
    twins.check(0, message(2))
    twins.check(0, again)
    assert not again.copy


def test_two_conversations_that_only_begin_alike_are_given_up() -> None:
    twins = Twins(0, 1, "77")
    for serial_no in range(2, 202):
        twins.check(serial_no % 2, message(serial_no))
    assert twins.given_up
    assert not twins.proven


def test_a_connection_that_is_gone_is_compared_with_nothing() -> None:
    finder, one, other = TwinFinder(), Connection(0), Connection(1)
    finder.find(one, message(1))
    del one
    gc.collect()
    finder.find(other, message(1))
    assert not finder.found


def test_a_request_that_came_before_is_known_again() -> None:
    finder = TwinFinder()
    assert not finder.is_repeated(message(1))
    assert finder.is_repeated(message(1))
    assert not finder.is_repeated(message(2))


def test_conversations_remembered_are_bounded() -> None:
    finder = TwinFinder()
    connections = [Connection(number) for number in range(2_000)]
    for connection in connections:
        finder.find(connection, message(1, conn_id=str(connection.ordinal)))
        finder.is_repeated(message(connection.ordinal))
    late = Connection(9_999)
    finder.find(late, message(1, conn_id="0"))  # forgotten long ago
    assert late.twins is None
    finder.find(Connection(10_000), message(1, conn_id="1999"))
    assert len(finder.found) == 1
