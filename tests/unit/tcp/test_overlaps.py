"""Copies that differ: which of them a message is made of, and how long a better one is waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decoder import Decoder, KeyRing, Limits, Message
from tests.support import exchange as ex
from tests.support.segments import START_NS, STEP_NS, Segment, Talk, decode_segments, feed
from tests.unit.conversation.test_connection import HELLO, WELCOME, answer, flip, request


def test_the_good_copy_wins_while_its_message_waits_for_a_hole() -> None:
    talk = Talk().c2s(request(1)).c2s(request(2)).c2s(request(3))
    *before, one, two, three = talk.segments
    decoded = decode_segments([*before, flip(two), two, one, three])
    assert decoded.verified == [1, 2, 3]
    assert [message.notes for message in decoded.messages] == [[], ["conflicting-overlap"], []]
    assert decoded.messages[1].frames == [5]
    assert decoded.messages[1].time_ns == START_NS + 5 * STEP_NS


def test_the_good_copy_wins_while_its_message_is_not_whole() -> None:
    talk = Talk().c2s(request(1)).s2c(answer(1, 300), mss=100)
    *before, one, two, three, four = talk.segments
    decoded = decode_segments([*before, flip(one), one, two, three, four])
    assert decoded.verified == [1, 1]
    assert decoded.messages[1].notes == ["conflicting-overlap"]
    assert decoded.messages[1].frames == [6, 7, 8, 9]


def test_the_good_copy_wins_after_its_message_failed() -> None:
    """The receiver dropped the bad one: it acknowledges what came before, and the sender sends again."""
    talk = Talk().c2s(request(1)).s2c(answer(1)).c2s(request(2)).s2c(answer(2)).c2s(request(3))
    *before, two, answer_two, three = talk.segments
    again = replace(answer_two, direction="s2c", payload=b"", seq=answer_two.seq, ack=two.seq)
    decoded = decode_segments([*before, flip(two), again, again, two, answer_two, three])
    assert decoded.told == ["1 verified", "1 verified", "2 verified", "2 verified", "3 verified"]
    assert decoded.messages[2].notes == ["conflicting-overlap"]
    assert decoded.messages[2].frames == [9]
    assert decoded.messages[3].request == 3


def test_the_good_copy_mends_its_message_at_once() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(request(2))
    *before, two = talk.segments
    decoder = Decoder()
    assert len(feed(decoder, [*before, flip(two)])) == 2
    (message,) = feed(decoder, [two], 10)
    assert isinstance(message, Message)
    assert (message.verdict, message.frames) == ("verified", [10])


def test_a_conflict_is_noted_on_the_message_that_it_is_in() -> None:
    talk = Talk().c2s(request(1)).c2s(request(2), request(3), request(4)).c2s(request(5))
    *before, one, three, five = talk.segments
    decoded = decode_segments([*before, flip(three, 52 + 50), three, one, five])
    assert decoded.verified == [1, 2, 3, 4, 5]
    assert [message.notes for message in decoded.messages] == [[], [], ["conflicting-overlap"], [], []]


def test_a_bad_copy_after_the_good_one_changes_nothing() -> None:
    talk = Talk().c2s(request(1)).s2c(answer(1))
    *before, one, answer_one = talk.segments
    decoded = decode_segments([*before, one, flip(one), answer_one])
    assert decoded.told == ["1 verified", "1 verified"]


def test_of_two_that_overlap_in_part_each_good_part_counts() -> None:
    data = answer(1, 300)
    talk = Talk().c2s(request(1)).s2c(data)
    *before, whole = talk.segments
    head, tail = replace(whole, payload=data[:200]), replace(whole, payload=data[150:], seq=whole.seq + 150)
    decoded = decode_segments([*before, flip(tail, 20), flip(head), replace(head), tail])
    assert decoded.verified == [1, 1]


def test_a_message_that_fails_comes_out_16_packets_after_the_acknowledgement() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(request(2)).ack("s2c")
    decoder = Decoder()
    *before, data, ack = talk.segments
    assert len(feed(decoder, [*before, flip(data)])) == 2
    assert feed(decoder, [ack] * 16, 10) == []
    (message,) = feed(decoder, [ack], 26)
    assert isinstance(message, Message)
    assert (message.verdict, message.frames) == ("failed", [6])


def test_in_a_live_capture_it_comes_out_a_fifth_of_a_second_after_it() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(request(2)).ack("s2c")
    decoder = Decoder()
    *before, data, ack = talk.segments
    feed(decoder, [*before, flip(data)])
    assert feed(decoder, [ack], 10) == []
    arrived = START_NS + 6 * STEP_NS
    assert decoder.tick(arrived + 199_000_000) == []
    (message,) = decoder.tick(arrived + 201_000_000)
    assert isinstance(message, Message)
    assert (message.verdict, message.frames) == ("failed", [6])


def test_without_the_acknowledgement_a_fifth_of_a_second_is_not_enough() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(request(2))
    decoder = Decoder()
    feed(decoder, [*talk.segments[:-1], flip(talk.segments[-1])])
    assert decoder.tick(START_NS + 1_000_000_000) == []
    assert len(decoder.tick(START_NS + 20_000_000_000)) == 1


def test_the_good_version_repairs_it_even_if_the_acknowledgement_overtook_that() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(request(2)).ack("s2c")
    *before, data, ack = talk.segments
    decoded = decode_segments([*before, flip(data), ack, data])
    assert decoded.told == ["1 verified", "1 verified", "2 verified"]


def test_the_good_version_of_a_message_that_waits_for_its_key_is_kept() -> None:
    keys = KeyRing([ex.pem(ex.rsa_key())])
    plain = ex.keep_alive(7)
    early = ex.frame(1004, plain, ex.cbc(plain), 2)
    hello = ex.frame(1001, ex.init_request(), ex.rsa(ex.init_request(), ex.rsa_key()), 1)
    welcome = ex.frame(1001, ex.init_response(), ex.rsa(ex.init_response(), ex.rsa_key()), 1)
    talk = Talk().c2s(hello).c2s(early).s2c(welcome)
    *before, data, answer = talk.segments
    decoded = decode_segments([*before, Segment("c2s", data.seq + 50, b"\0\0"), data, answer], keys)
    assert decoded.told == ["1 verified", "2 verified", "1 verified"]
    assert "conflicting-overlap" in decoded.messages[1].notes


def test_a_message_that_fails_and_is_never_acknowledged_is_not_waited_for_long() -> None:
    decoder = Decoder(limits=Limits(reorder_packets=20))
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(*[request(n) for n in range(200)], mss=52)
    one_sided = talk.segments[5:]
    feed(decoder, talk.segments[:5])
    one_sided[5] = flip(one_sided[5])
    told = [item.serial_no for item in feed(decoder, one_sided[:20], 6) if isinstance(item, Message)]
    assert told == [0, 1, 2, 3, 4]
    told = [item.serial_no for item in feed(decoder, one_sided[20:30], 26) if isinstance(item, Message)]
    assert told == list(range(5, 30))


@pytest.mark.parametrize("limits", [Limits(reorder_packets=20), Limits(max_pending=20 * 52)])
def test_nor_is_one_whose_keys_are_known(limits: Limits) -> None:
    """So many packets, or so many bytes behind it, are enough."""
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(*[request(n) for n in range(2, 40)], mss=52)
    *before, bad = talk.segments[:6]
    decoder = Decoder(limits=limits)
    assert len(feed(decoder, [*before, flip(bad), *talk.segments[6:24]])) == 2
    told = feed(decoder, talk.segments[24:30], 30)
    assert [item.serial_no for item in told if isinstance(item, Message)] == list(range(2, 27))


def test_an_acknowledgement_from_nowhere_settles_nothing() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME).c2s(request(2)).ack("s2c")
    *before, two, ack = talk.segments
    decoded = decode_segments([*before, flip(two), replace(ack, ack=ack.ack + 2**30), two, ack])
    assert decoded.verified == [1, 1, 2]


def test_a_client_whose_messages_all_fail_holds_nothing_up() -> None:
    bad = [request(n)[:16] + bytes(20) + request(n)[36:] for n in range(400)]
    one_sided = [segment for segment in Talk().c2s(*bad, mss=52).segments if segment.payload]
    decoder = Decoder(limits=Limits(reorder_packets=20))
    assert len(feed(decoder, one_sided)) > 350
    assert len(decode_segments(one_sided).messages) == 400


def test_while_one_waits_for_its_copy_its_connection_waits_and_no_other() -> None:
    talk = Talk().c2s(request(1)).s2c(answer(1)).c2s(request(2)).c2s(request(3)).s2c(answer(2))
    other = Talk(ports=(50113, 11111)).c2s(request(7)).segments
    *before, two, three, answer_two = talk.segments
    stale = replace(answer_two, ack=two.seq)  # sent before it came
    decoder = Decoder()
    assert len(feed(decoder, before)) == 2
    assert feed(decoder, [flip(two), three, stale], 10) == []
    (message,) = feed(decoder, other, 20)
    assert isinstance(message, Message)
    assert message.connection == 1
    told = feed(decoder, [two], 30) + decoder.flush()
    assert [(item.serial_no, item.direction) for item in told if isinstance(item, Message)] == [
        (2, "s2c"),
        (2, "c2s"),
        (3, "c2s"),
    ]


def test_messages_of_both_directions_come_out_in_the_order_in_which_they_were_completed() -> None:
    talk = Talk().c2s(request(1)).s2c(answer(1))
    bad = len(talk.segments)
    talk.c2s(request(2))
    for serial_no in range(3, 9):
        talk.s2c(answer(serial_no)).c2s(request(serial_no))
    # Nobody acknowledges anything.
    segments = [replace(segment, ack=1001 if segment.direction == "s2c" else 5001) for segment in talk.segments]
    segments[bad] = flip(segments[bad])
    messages = decode_segments(segments).messages
    assert [max(message.frames) for message in messages] == sorted(max(message.frames) for message in messages)
    assert len(messages) == 15


@pytest.mark.parametrize("skip", [1, 10, 30])
def test_a_bad_copy_of_one_message_is_not_put_into_it_with_the_one_before(skip: int) -> None:
    talk = Talk().c2s(request(1)[:20]).c2s(request(1)[20:] + request(2)).c2s(request(3))
    *before, head, both, last = talk.segments
    bad = flip(replace(both, seq=both.seq + 32 + skip, payload=both.payload[32 + skip :]), 50 - skip)
    decoded = decode_segments([*before, both, bad, head, last])
    assert decoded.verified == [1, 2, 3]
    assert [message.notes for message in decoded.messages] == [[], ["conflicting-overlap"], []]


def test_packets_whose_copies_were_of_no_use_are_not_named() -> None:
    talk = Talk().c2s(request(1)[:20]).c2s(request(1)[20:] + request(2)).c2s(request(3))
    *before, head, both, last = talk.segments
    decoded = decode_segments([*before, both, flip(both, 32 + 50), head, last])
    assert [message.frames for message in decoded.messages] == [[4, 6], [4], [7]]


def test_any_number_of_conflicts_one_after_the_other() -> None:
    talk = Talk().c2s(HELLO).s2c(WELCOME)
    first = len(talk.segments)
    for serial_no in range(2, 42):
        talk.c2s(request(serial_no))
    packets = [each for segment in talk.segments[first:] for each in (flip(segment), segment)]
    decoded = decode_segments([*talk.segments[:first], *packets])
    assert decoded.verified == [1, 1, *range(2, 42)]
    assert all(message.notes == ["conflicting-overlap"] for message in decoded.messages[2:])
