"""Numbers of messages, and responses with their requests."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from decoder.conversation.pairing import Pairing
from decoder.conversation.summary import Results
from decoder.framing.header import HEADER
from decoder.limits import Limits
from decoder.message import Flow, Message
from decoder.tcp.reassembly import PendingBlock
from decoder.vocabulary import Arrival
from tests.support.exchange import frame

CLIENT, GATEWAY = Flow(0, "c2s", "a:1", "b:2"), Flow(0, "s2c", "b:2", "a:1")


class Client:
    """Stands for the client's direction, of which the beginning of a request is there, or waits behind a hole."""

    def __init__(self, proto_id: int = 0, serial_no: int = 0, *behind_a_hole: bytes) -> None:
        self.framer = self
        self.unfinished_header = HEADER.unpack_from(frame(proto_id, b"", serial_no=serial_no)) if proto_id else None
        self.stream = self
        self.pending = [PendingBlock(at * 100, data, Arrival((1,), 10)) for at, data in enumerate(behind_a_hole)]


def message(kind: Any, serial_no: int, time_ns: int = 0, proto_id: int = 1004, reason: str | None = None) -> Message:
    flow = CLIENT if kind == "request" else GATEWAY
    header = HEADER.unpack_from(frame(proto_id, b"", serial_no=serial_no))
    verdict = "verified" if reason is None else "unverified"
    return Message(flow, header, time_ns, (1,), kind, b"", "None", verdict, reason, None)


def emitted(*messages: Message, client: Client | None = None, **limits: int) -> Results:
    results = Results()
    pairing = Pairing(results, Limits(**limits))
    for each in messages:
        pairing.emit(each, client or Client())  # type: ignore[arg-type]
    return results


def test_messages_are_numbered_over_all_connections() -> None:
    results = Results()
    for pairing in (Pairing(results, Limits()), Pairing(results, Limits())):
        pairing.emit(message("request", 1), Client())  # type: ignore[arg-type]
    assert [item.number for item in results.items if isinstance(item, Message)] == [1, 2]


def test_a_response_has_the_number_and_the_latency_of_its_request() -> None:
    asked, answered = message("request", 7, 1_000), message("response", 7, 4_500)
    emitted(message("push", 7), asked, answered)
    assert (answered.request, answered.latency_ns) == (2, 3_500)
    assert (asked.request, asked.latency_ns) == (None, None)


@pytest.mark.parametrize(("proto_id", "serial_no"), [(1004, 8), (1002, 7)])
def test_protocol_and_serial_number_must_both_agree(proto_id: int, serial_no: int) -> None:
    answered = message("response", serial_no, proto_id=proto_id)
    emitted(message("request", 7), answered)
    assert answered.request is None


def test_a_request_is_answered_once() -> None:
    first, second = message("response", 7), message("response", 7)
    emitted(message("request", 7), first, second)
    assert (first.request, second.request) == (1, None)


def test_a_clock_that_stepped_back_gives_no_latency() -> None:
    answered = message("response", 7, 500)
    emitted(message("request", 7, 1_000), answered)
    assert (answered.request, answered.latency_ns, answered.own_notes) == (1, None, ["clock-stepped-back"])


def test_a_response_that_came_before_its_request_is_noted_on_both() -> None:
    answered, asked = message("response", 7), message("request", 7)
    emitted(answered, asked, client=Client(1004, 7))
    assert answered.own_notes == asked.own_notes == ["request-later"]
    assert answered.request is None


def test_a_response_whose_request_is_not_in_the_capture_has_no_note() -> None:
    answered = message("response", 7)
    emitted(answered)
    assert answered.own_notes is None


def test_unanswered_requests_are_bounded_and_the_limit_is_told() -> None:
    requests = [message("request", number) for number in range(10)]
    oldest, newest = message("response", 0), message("response", 9)
    results = emitted(*requests, oldest, newest, max_pending_requests=4)
    assert (oldest.request, newest.request) == (None, 10)
    assert len(results.limits_hit) == 1


def test_reasons_are_counted() -> None:
    results = emitted(message("request", 1, reason="no-key"), message("push", 1, reason="gap"), message("push", 2))
    assert results.reasons == {"no-key": 1, "gap": 1}
    assert sum(results.gap_hints.values()) == 1


def test_a_held_response_is_noted_while_its_request_is_still_to_come() -> None:
    pairing = Pairing(Results(), Limits())
    to_come = Counter({(1004, 7): 1})
    early, asked, late = message("response", 7), message("request", 7), message("response", 7)
    for each in (early, asked, late):
        pairing.note_later_request(each, to_come)
    assert (early.own_notes, asked.own_notes, late.own_notes) == (["request-later"], None, None)


def test_a_response_whose_request_waits_behind_a_hole() -> None:
    behind = frame(1004, bytes(50), serial_no=8)[:20]
    for data, notes in ((behind, ["request-later"]), (b"\0" + behind, None)):
        (answered,) = emitted(message("response", 8), client=Client(0, 0, data)).items
        assert isinstance(answered, Message)
        assert answered.own_notes == notes
