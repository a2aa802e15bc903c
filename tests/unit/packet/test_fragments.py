"""IP datagrams out of fragments: complete ones come out, broken rules and floods cost bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.packet.fragments import Datagram, Fragments

BODY = bytes(range(256)) * 8


def add(
    fragments: Fragments, start: int, end: int, *, key: bytes = b"k", number: int = 1, body: bytes = BODY
) -> Datagram | None:
    """Adds the bytes from `start` to `end` of a datagram that is `body`."""
    return fragments.add(key, 6, start, end < len(body), body[start:end], end - start, (number,))


def new() -> Fragments:
    return Fragments(max_datagrams=10, max_bytes=100_000)


def test_the_last_missing_fragment_completes_a_datagram() -> None:
    fragments = new()
    assert add(fragments, 0, 1024, number=3) is None
    assert add(fragments, 1024, 2048, number=5) == Datagram(6, BODY, 2048, (3, 5))
    assert fragments.evicted == 0


@given(st.permutations(range(8)), st.lists(st.tuples(st.integers(0, 7), st.integers(1, 8)), max_size=6))
def test_any_order_and_any_overlap_give_the_datagram(order: list[int], more: list[tuple[int, int]]) -> None:
    fragments, found = new(), []
    pieces = [(part * 256, (part + 1) * 256) for part in order]
    overlapping = [(first * 256, min(first + size, 8) * 256) for first, size in more]
    for number, (start, end) in enumerate([*overlapping, *pieces], 1):
        datagram = add(fragments, start, end, number=number)
        if datagram is not None:
            found.append(datagram)
    assert found
    assert {(datagram.data, datagram.length) for datagram in found} == {(BODY, 2048)}


def test_the_first_copy_of_a_byte_wins() -> None:
    fragments = new()
    add(fragments, 0, 1024)
    fragments.add(b"k", 6, 512, True, b"x" * 512, 512, (2,))
    datagram = add(fragments, 1024, 2048, number=3)
    assert datagram is not None
    assert datagram.data == BODY
    assert datagram.frames == (1, 3)  # nothing of packet 2 was used


def test_what_was_not_captured_ends_the_data_and_not_the_length() -> None:
    fragments = new()
    fragments.add(b"k", 6, 0, True, BODY[:100], 1024, (1,))
    assert add(fragments, 1024, 2048, number=2) == Datagram(6, BODY[:100], 2048, (1, 2))


@pytest.mark.parametrize(
    ("offset", "more", "length"),
    [(0, True, 0), (65_528, False, 8), (0, True, 7), (65_000, False, 600)],
    ids=["empty", "beyond 64 KiB", "no multiple of 8", "too long"],
)
def test_fragments_that_break_the_rules_are_ignored(offset: int, more: bool, length: int) -> None:
    fragments = new()
    assert fragments.add(b"k", 6, offset, more, bytes(length), length, (1,)) is None
    assert add(fragments, 0, 1024) is None
    datagram = add(fragments, 1024, 2048, number=2)
    assert datagram is not None
    assert datagram.data == BODY


def test_datagrams_do_not_mix() -> None:
    fragments = new()
    add(fragments, 0, 1024, key=b"a")
    assert add(fragments, 1024, 2048, key=b"b") is None


def test_the_oldest_is_given_up_for_too_many_or_too_much() -> None:
    few = Fragments(max_datagrams=2, max_bytes=1 << 20)
    for number, key in enumerate((b"a", b"b", b"c"), 1):
        add(few, 0, 1024, key=key, number=number)
    assert few.evicted == 1
    assert add(few, 1024, 2048, key=b"a", number=4) is None
    assert add(few, 1024, 2048, key=b"c", number=5) is not None
    small = Fragments(max_datagrams=1000, max_bytes=3_000)
    for number, key in enumerate((b"a", b"b", b"c"), 1):
        add(small, 0, 1024, key=key, number=number)
    assert small.evicted == 1


def test_an_identification_is_used_again_after_30000_packets() -> None:
    fragments = new()
    add(fragments, 0, 1024, number=1)
    assert add(fragments, 1024, 2048, number=30_002) is None
    datagram = add(fragments, 0, 1024, number=30_003)
    assert datagram is not None
    assert datagram.frames == (30_002, 30_003)


def test_a_flood_of_tiny_fragments_of_one_datagram_is_given_up() -> None:
    fragments = Fragments(max_datagrams=10, max_bytes=1 << 30)
    for number in range(2_000):
        fragments.add(b"k", 6, number * 16, True, bytes(8), 8, (number + 1,))
    assert fragments.evicted >= 1
