"""Which frames the bytes at hand hold, damaged or not: the playbook of test_framer.py, continued."""

from __future__ import annotations

import pytest

from decoder.framing.framer import Framer
from decoder.tcp.overlaps import Conflict
from decoder.vocabulary import Arrival
from tests.unit.framing.test_framer import (
    MAX_BODY,
    MAX_SCAN,
    SIZE,
    A,
    B,
    C,
    D,
    E,
    Play,
    message,
    with_flip,
    with_length,
)

# Damage


@pytest.mark.parametrize("mss", [5, 60, 10_000])
@pytest.mark.parametrize("position", [20, 44, 60, SIZE - 1])
def test_a_flipped_bit_in_sha1_or_body_fails_that_message(position: int, mss: int) -> None:
    play = Play()
    assert play.feed(A, with_flip(B, position), C, mss=mss) == ["1 verified", "2 sha1-mismatch", "3 verified"]


@pytest.mark.parametrize("mss", [5, 60, 10_000])
@pytest.mark.parametrize("position", [0, 1])
def test_a_damaged_magic_costs_that_message(position: int, mss: int) -> None:
    play = Play()
    told = play.feed(A, with_flip(B, position), C, D, mss=mss) + play.finish()
    assert told == ["1 verified", f"gap {SIZE} resync", "3 verified", "4 verified"]


@pytest.mark.parametrize("position", [6, 7, 36, 43])
def test_a_damaged_field_that_nothing_depends_on_costs_nothing(position: int) -> None:
    play = Play()
    assert play.feed(A + with_flip(B, position) + C) == ["1 verified", "2 verified", "3 verified"]


LENGTHS = [
    pytest.param(SIZE - 44 + more, id=f"{more:+}")
    for more in (-30, -29, -14, -1, 1, 2, 14, 43, 44, 45, SIZE, 2 * SIZE, 2 * SIZE + 1, 1000, MAX_BODY - 100)
]


@pytest.mark.parametrize("mss", [7, SIZE, 10_000])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_damaged_length_costs_that_message_alone(length: int, mss: int) -> None:
    """Also one that swallows exactly the next message, or the next two."""
    play = Play()
    told = play.feed(A, with_length(B, length), C, D, E, mss=mss) + play.finish()
    assert told[0] == "1 verified"
    assert told[1] in ("2 cut short", "2 sha1-mismatch")
    assert [each for each in told[2:] if not each.startswith("gap")] == ["3 verified", "4 verified", "5 verified"]


@pytest.mark.parametrize("length", [1000, MAX_BODY - 100])
def test_what_a_damaged_length_seems_to_swallow_does_not_wait(length: int) -> None:
    play = Play()
    assert play.feed(A, with_length(B, length)) == ["1 verified"]
    assert play.feed(C) == ["2 cut short", "3 verified"]
    assert play.feed(D) == ["4 verified"]
    assert play.frames == [(1,), (2,), (3,), (4,)]


def test_nor_for_long_if_no_packet_begins_with_a_header() -> None:
    play = Play()
    play.framer = Framer(play, 2**20, MAX_SCAN, 0)
    rest = [message(serial_no, 20_000) for serial_no in range(3, 23)]
    told = play.feed(A + with_length(B, 2**20 - 1) + b"".join(rest), mss=1009)
    assert told[:3] == ["1 verified", "2 cut short", "3 verified"]


@pytest.mark.parametrize("length", [MAX_BODY + 1, 2**31, 2**32 - 1])
def test_an_absurd_length_is_not_waited_for(length: int) -> None:
    play = Play()
    told = play.feed(A, with_length(B, length), C, D)
    assert told == ["1 verified", "2 oversize", f"gap {SIZE - 44} resync", "3 verified", "4 verified"]
    assert play.framer.buffered == 0


def test_a_damaged_length_where_the_sha1_is_damaged_too() -> None:
    """Nothing verifies where it ends; messages in a row, the first of which begins a packet, outweigh it."""
    play = Play()
    assert play.feed(A, with_flip(with_length(B, 5000), 20), C, D, E) == ["1 verified"]
    assert play.feed(message(6)) == ["2 cut short", "3 verified", "4 verified", "5 verified", "6 verified"]


def test_a_header_that_no_client_writes_outweighs_nothing() -> None:
    play = Play()
    odd = with_flip(with_flip(with_length(B, 5000), 40), 20)
    assert play.feed(A, odd, C) == ["1 verified", "2 cut short", "3 verified"]


def test_what_comes_after_damage_up_to_the_end() -> None:
    play = Play()
    play.feed(A, with_flip(with_length(B, 5000), 20), C)
    assert play.finish() == ["2 cut short", "3 verified"]


# Nothing can be read


def test_without_a_key_headers_show_the_way() -> None:
    play = Play(nothing_decrypted=True)
    assert play.feed(A, B + C, mss=0) == ["1 no-key", "2 no-key", "3 no-key"]
    assert play.framer.buffered == 43
    assert play.feed(D) == ["4 no-key"]


@pytest.mark.parametrize("length", LENGTHS)
def test_without_a_key_a_damaged_length_costs_that_message_alone(length: int) -> None:
    play = Play(nothing_decrypted=True)
    told = play.feed(A, with_length(B, length), C, D, E) + play.finish()
    told = [each.partition(" ")[0] for each in told if not each.startswith("gap")]
    assert told == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("length", [SIZE - 44 + SIZE, SIZE - 44 + 2 * SIZE])
def test_without_a_key_a_message_swallows_no_others_of_its_packet(length: int) -> None:
    play = Play(nothing_decrypted=True)
    told = play.feed(A + with_length(B, length) + C + D + E) + play.finish()
    assert [each.partition(" ")[0] for each in told] == ["1", "2", "3", "4", "5"]


def test_without_a_key_a_lone_header_after_a_hole_is_not_enough() -> None:
    play = Play(nothing_decrypted=True)
    play.feed(A)
    play.hole(100)
    assert play.feed(B[:60]) == []
    assert play.feed(B[60:]) == []
    assert play.feed(C) == ["2 no-key", "3 no-key"]


# More than one thing is wrong


def test_a_damaged_length_in_a_message_with_a_hole_costs_that_message_alone() -> None:
    """It is told with the bytes that came of it, not passed over."""
    play = Play()
    assert play.feed(A, with_flip(with_length(B, 5000), 20)[:60]) == ["1 verified"]
    assert play.hole(SIZE - 60) == [f"gap {SIZE - 60} lost"]
    assert play.feed(C, D, E, message(6)) == ["2 gap", "3 verified", "4 verified", "5 verified", "6 verified"]


def test_a_fake_header_after_a_hole_is_outweighed_by_messages_in_a_row_behind_it() -> None:
    play = Play()
    play.feed(A)
    play.hole(80)
    play.feed(bytes(50) + with_length(message(9), 20_000)[:44] + bytes(100))
    assert play.feed(B, C, D) == []
    assert play.feed(E) == ["gap 194 resync", "2 verified", "3 verified", "4 verified", "5 verified"]


def test_a_forged_header_that_claims_more_than_comes_does_not_cost_the_real_message_behind_it() -> None:
    """The forged one came first, and is another message; what it seems to swallow shows that it does not end there."""
    play = Play()
    forged = with_flip(with_length(message(66, SIZE - 44), 5000), 20)
    assert play.feed(A, forged) == ["1 verified"]
    play.conflicts.add(Conflict(SIZE, B, Arrival((9,), 90)))
    play.framer.repair()
    assert play.news() == []
    assert play.feed(C, D, E, message(6)) == ["2 verified", "3 verified", "4 verified", "5 verified", "6 verified"]
