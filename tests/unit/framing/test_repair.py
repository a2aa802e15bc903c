"""Messages out of bytes of which there are several versions: the SHA-1 decides which of them is used."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from decoder.framing.budget import Budget
from decoder.framing.buffer import Buffer
from decoder.framing.header import HEADER_LEN, Header
from decoder.framing.repair import repair
from decoder.framing.trial import Trial
from decoder.tcp.overlaps import Conflict, OverlapConflicts
from decoder.vocabulary import Arrival
from tests.support.exchange import frame

MAX_BODY = 10_000
GOOD = frame(3004, b"the body that was sent", serial_no=1)


class Handler:
    """Knows messages in clear by their SHA-1, and counts how often it is asked."""

    keys_known = 0

    def __init__(self, *versions: Conflict) -> None:
        self.conflicts = OverlapConflicts()
        for version in versions:
            self.conflicts.add(version)
        self.asked = 0

    def verifies(self, header: Header, body: bytes, *, by_hash: bool = False) -> bool:
        self.asked += 1
        return hashlib.sha1(body).digest() == header[6]


def version(start: int, data: bytes, number: int = 7) -> Conflict:
    return Conflict(start, data, Arrival((number,), number * 10), (start, start + len(data)))


def repaired(damaged: bytes, *versions: Conflict, **options: Any) -> tuple[Header | None, Buffer, Handler]:
    buffer, handler = Buffer(), Handler(*versions)
    buffer.append(damaged, Arrival((1,), 10), 0)
    options = {"budget": Budget(1 << 20), "complete": True, **options}
    trial = Trial(handler, buffer, MAX_BODY)  # type: ignore[arg-type]
    trial.budget = options["budget"]
    return repair(trial, 0, complete=options["complete"]), buffer, handler


def damaged(*places: int) -> bytes:
    data = bytearray(GOOD)
    for place in places:
        data[place] ^= 0x40
    return bytes(data)


def test_the_other_version_of_a_damaged_body_is_put_in() -> None:
    header, buffer, _ = repaired(damaged(50), version(48, GOOD[48:52]))
    assert header is not None
    assert buffer.read(0, 999) == GOOD
    assert buffer.origin(48, 52).packets == (7,)
    assert buffer.origin(0, 48).packets == (1,)


def test_several_versions_are_combined() -> None:
    header, buffer, _ = repaired(damaged(46, 60), version(45, GOOD[45:48]), version(58, GOOD[58:62], 8))
    assert header is not None
    assert buffer.read(0, 999) == GOOD


def test_a_version_that_is_bad_itself_is_left_out() -> None:
    header, buffer, _ = repaired(damaged(50), version(48, GOOD[48:52]), version(60, b"bad"))
    assert header is not None
    assert buffer.read(0, 999) == GOOD


@pytest.mark.parametrize("place", [3, 13, 20], ids=["protocol id", "length", "SHA-1"])
def test_a_damaged_header_is_repaired_where_the_first_version_proves_nothing(place: int) -> None:
    header, buffer, _ = repaired(damaged(place), version(0, GOOD[:HEADER_LEN]))
    assert header is not None
    assert buffer.read(0, 999) == GOOD


def test_a_proven_message_is_not_turned_into_another() -> None:
    """A forged retransmission with another serial number, over the same body."""
    forged = frame(3004, b"the body that was sent", serial_no=2)
    header, buffer, _ = repaired(GOOD, version(0, forged[:HEADER_LEN]))
    assert header is None
    assert buffer.read(0, 999) == GOOD


def test_nothing_that_does_not_verify_is_put_in() -> None:
    header, buffer, _ = repaired(damaged(50), version(48, b"nonsense"))
    assert header is None
    assert buffer.read(0, 999) == damaged(50)


def test_no_combination_is_tried_twice() -> None:
    buffer, handler = Buffer(), Handler(version(48, b"nonsense"))
    buffer.append(damaged(50), Arrival((1,), 10), 0)
    for _ in range(3):
        assert repair(Trial(handler, buffer, MAX_BODY), 0, complete=True) is None  # type: ignore[arg-type]
    assert handler.asked == 1


def test_what_the_budget_does_not_pay_is_not_tried() -> None:
    header, _, handler = repaired(damaged(50), version(48, GOOD[48:52]), budget=Budget(10))
    assert header is None
    assert handler.asked == 0


def test_the_work_for_many_versions_is_bounded() -> None:
    versions = [version(45 + n, bytes([n]), n + 2) for n in range(16)]
    _, _, handler = repaired(damaged(50), *versions)
    assert handler.asked <= 153  # all, all but one or two, and each alone; every combination would be 65,535


def test_of_many_versions_those_of_two_packets_are_left_out_together() -> None:
    """The first versions of two places are damaged, and two forged packets come as late as the good ones."""
    first = bytearray(GOOD)
    good = []
    for at in range(HEADER_LEN, HEADER_LEN + 5):
        good.append(version(at, GOOD[at : at + 1], at))
        first[at] ^= 1
    forged = [version(HEADER_LEN + at, b"\xaa", 100 + at % 2) for at in (6, 7, 8, 9)]
    header, _, _ = repaired(bytes(first), *good, *forged)
    assert header is not None


def test_another_message_than_the_first_version_waits_while_more_of_that_may_come() -> None:
    longer = bytearray(damaged(8))  # another serial number, and it claims more than is there
    longer[12] += 200
    assert repaired(bytes(longer), version(0, GOOD[:HEADER_LEN]), complete=False)[0] is None
    assert repaired(bytes(longer), version(0, GOOD[:HEADER_LEN]))[0] is not None
