"""Streams that are entered in the middle, in the worst order: what random traffic found (tests/test_properties.py)."""

from __future__ import annotations

from dataclasses import replace

from tests.support import exchange as ex
from tests.support.segments import Segment, Talk, decode_segments
from tests.support.traffic import keys


def request(serial_no: int, size: int = 0) -> bytes:
    return ex.frame(
        1004, ex.refused("KeepAlive", "x" * size) if size else ex.keep_alive(serial_no), serial_no=serial_no
    )


def sealed(serial_no: int) -> bytes:
    plain = ex.keep_alive(serial_no)
    return ex.frame(1004, plain, ex.cbc(plain), serial_no)


HELLO, WELCOME = (
    ex.frame(1001, plain, ex.rsa(plain, ex.rsa_key())) for plain in (ex.init_request(), ex.init_response())
)


def test_early_copies_with_other_boundaries_are_one_message_and_the_first_copies_are_used() -> None:
    one, two = Talk(syn=False).c2s(request(1, 100)).c2s(request(2)).segments
    shorter = replace(one, payload=one.payload[:80])
    decoded = decode_segments([two, shorter, one])
    assert decoded.told == ["1 verified", "2 verified"]
    assert [message.frames for message in decoded.messages] == [[2, 3], [1]]


def test_also_where_they_never_join_the_others() -> None:
    one, two = Talk(syn=False).c2s(request(1, 100)).lose("c2s", 9).c2s(request(2)).segments
    later = replace(one, seq=one.seq + 50, payload=one.payload[50:])
    decoded = decode_segments([two, later, one])
    assert decoded.told == ["1 verified", "gap 9 lost", "2 verified"]
    assert [message.frames for message in decoded.messages] == [[2, 3], [1]]


def test_a_message_that_came_before_its_key_is_tried_again_with_it() -> None:
    talk = Talk(syn=False).lose("c2s", 9).c2s(sealed(2)).s2c(WELCOME)
    damaged = talk.segments[0]
    before = Segment("c2s", damaged.seq - 30, bytes(30))
    decoded = decode_segments([before, *talk.segments], keys())
    assert sorted(decoded.told) == ["1 verified", "2 verified", "gap 30 mid-stream"]


def test_at_the_end_the_key_is_looked_for_before_what_it_opens() -> None:
    talk = Talk(syn=False).c2s(HELLO).s2c(WELCOME).lose("s2c", 100).c2s(sealed(2)).fin()
    _, welcome, late, client_end, server_end, _ = talk.segments
    decoded = decode_segments([client_end, server_end, late, welcome], keys())
    assert decoded.told == ["2 verified", "1 verified", "gap 100 lost"]


def test_at_the_end_what_came_early_counts_before_what_came_after_it() -> None:
    talk = Talk(syn=False).s2c(WELCOME).lose("s2c", 100).s2c(sealed(2))
    welcome, late = talk.segments
    assert decode_segments([late, welcome], keys()).told == ["1 verified", "gap 100 lost", "2 verified"]


def test_a_first_header_with_too_short_a_length_waits_for_a_better_copy() -> None:
    hello = ex.frame(1001, ex.init_request())
    segments = Talk().c2s(hello, mss=14).segments
    good = segments[3]
    bad = replace(good, payload=good.payload[:12] + b"\1" + good.payload[13:])
    assert decode_segments([*segments[:3], bad, good, *segments[4:]]).told == ["1 verified"]


def test_bytes_that_cannot_be_rsa_cost_none_of_the_trials() -> None:
    segments = Talk().c2s(HELLO, mss=1).segments
    good = segments[3 + 12]
    bad = replace(good, payload=b"\1")
    damaged = segments[3 + 20]
    worse = replace(damaged, payload=bytes([damaged.payload[0] ^ 1]) * 2)
    packets = [*segments[:15], replace(bad, payload=b"\1\0"), good, *segments[16:23], worse, *segments[23:]]
    assert decode_segments(packets, keys()).told == ["1 verified"]


def test_a_length_that_a_better_copy_mends_is_no_damage() -> None:
    # The wrong length is a little longer; the SHA-1 shows where the message ends.
    talk = Talk().c2s(request(1), request(2, 60), request(3)).segments
    good = talk[3]
    at = len(request(1)) + 12
    bad = replace(good, payload=good.payload[:at] + bytes([good.payload[at] + 16]) + good.payload[at + 1 :])
    assert decode_segments([*talk[:3], bad, good]).told == ["1 verified", "2 verified", "3 verified"]
    acknowledged = Segment("s2c", 5001, flags=0x10, ack=good.seq + len(good.payload))
    assert decode_segments([*talk[:3], bad, acknowledged]).told == ["1 verified", "2 sha1-mismatch", "3 verified"]


def test_a_header_that_came_early_in_pieces() -> None:
    one, two, three = Talk(syn=False).c2s(request(1)).c2s(request(2, 40)).c2s(request(3)).segments
    letter, rest = replace(two, payload=two.payload[:1]), replace(two, seq=two.seq + 1, payload=two.payload[1:])
    decoded = decode_segments([three, one, letter, rest])
    assert decoded.verified == [1, 2, 3]


def test_a_copy_that_did_not_help_is_not_tried_with_every_packet() -> None:
    # Else what may be hashed would be used up before the copy that does.
    large = request(2, 700_000)
    *before, good = Talk().c2s(request(1)).s2c(request(1)).c2s(large, mss=60_000).segments
    bad = replace(good, payload=bytes(len(good.payload)))
    worse = replace(good, payload=b"\1" * len(good.payload))
    more = [Segment("c2s", good.seq + len(good.payload) + at, b"F") for at in range(100)]
    decoded = decode_segments([*before, bad, worse, *more, good])
    assert decoded.told[:3] == ["1 verified", "1 verified", "2 verified"]


def test_what_the_snap_length_cut_off_behind_the_first_header_does_not_end_the_wait_for_what_is_before_it() -> None:
    one, cut = Talk(syn=False).c2s(request(1)).c2s(request(2), request(3, 100)).segments
    decoded = decode_segments([cut.snapped(len(cut.payload) - 50), one])
    assert decoded.told == ["1 verified", "2 verified", "gap 50 snaplen", "3 truncated"]
