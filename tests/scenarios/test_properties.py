"""Random traffic, treated as networks and capture tools treat it, against a model that knows which messages are whole.

Whatever order packets come in, however often and in whatever pieces: every message whose bytes are all in the capture
comes out once, verified, with the packets that brought it; none comes out that was not sent; what is missing adds up.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder import Decoder, Gap, KeyRing, Message
from tests.support import traffic
from tests.support.segments import Decoded, Segment, feed

rngs = st.integers(0, 2**32 - 1).map(Random)  # a hundred times as fast as st.randoms()
modes = st.sampled_from(traffic.MODES)
counts = st.integers(0, 8)
sizes = st.sampled_from((1, 7, 100, 1460, 65_000))


def delivery(
    rng: Random, mode: str, count: int, max_size: int, *, which: int = 0, ports: int = 0, quotes: bool = True
) -> traffic.Delivery:
    """One connection, its serial numbers and ports apart from those of others."""
    talk = traffic.converse(rng, mode, rng.randrange(2), count, first=1 + 1000 * which, quotes=quotes)
    isn = (which * 2**30 + rng.getrandbits(29), 2**32 - rng.randrange(3000) - which * 2**30)
    return traffic.deliver(rng, talk, max_size, (50_000 + (ports or which), 11_111), isn)


def decoded(packets: list[Segment], mode: str) -> Decoded:
    """What comes out; after each packet the total of what is buffered is right, and nothing is left at the end."""
    decoder = Decoder(keys=KeyRing() if mode == "no key" else traffic.keys())
    items: list[Message | Gap] = []
    for number, packet in enumerate(packets, 1):
        items += feed(decoder, [packet], number)
        entries = [*decoder._table.entries.values(), *decoder._table._older.values()]
        held = sum(connection.held_bytes for connection in {connection for connection, _ in entries})
        counted = sum(half.counted for _, half in entries)
        assert decoder._table.buffered == counted == held + sum(half.buffered for _, half in entries)
    entries = [*decoder._table.entries.values(), *decoder._table._older.values()]
    items += decoder.flush()
    assert not any(connection.held_bytes or half.buffered for connection, half in entries)
    return Decoded(items, decoder)


windows = st.sampled_from((1, 2, 8, traffic.WINDOW))


@given(rngs, modes, counts, sizes, st.integers(0, 10), windows, st.booleans())
def test_repeated_and_reordered(
    rng: Random, mode: str, count: int, max_size: int, repeats: int, window: int, from_syn: bool
) -> None:
    # Where packets overtake the SYN, nobody can tell what a body in clear quotes from a message.
    one = delivery(rng, mode, count, max_size, quotes=from_syn)
    one.captured = traffic.repeat(rng, one, repeats)
    result = decoded(traffic.mix(rng, [one], window, from_syn=from_syn), mode)
    traffic.check([one], result)
    traffic.check_gaps(one, result)


@given(rngs, modes, counts, sizes, st.integers(1, 6), windows)
def test_lost_repeated_and_reordered(
    rng: Random, mode: str, count: int, max_size: int, losses: int, window: int
) -> None:
    one = delivery(rng, mode, count, max_size, quotes=False)
    one.captured = traffic.lose(rng, traffic.repeat(rng, one, 3), losses)
    result = decoded(traffic.mix(rng, [one], window), mode)
    traffic.check([one], result)
    traffic.check_gaps(one, result)


@given(rngs, modes, counts, sizes, st.integers(0, 3), windows)
def test_entered_in_the_middle(rng: Random, mode: str, count: int, max_size: int, losses: int, window: int) -> None:
    one = delivery(rng, mode, count, max_size, quotes=False)
    late = one.captured[rng.randrange(len(one.captured)) :]
    one.captured = traffic.lose(rng, late, losses)
    result = decoded(traffic.mix(rng, [one], window), mode)
    traffic.check([one], result)


@given(rngs, modes, counts, sizes, st.sampled_from((0, 1, 44, 60, 500, 2000)))
def test_cut_by_the_snap_length(rng: Random, mode: str, count: int, max_size: int, snap: int) -> None:
    one = delivery(rng, mode, count, max_size, quotes=False)
    one.captured = traffic.snap(one.captured, snap)
    window = rng.choice((1, 8))
    result = decoded(traffic.mix(rng, [one], window), mode)
    traffic.check([one], result)
    traffic.check_gaps(one, result)
    # (What was cut from a packet that others overtook where the stream begins counts as lost.)
    assert window > 1 or not [gap for gap in result.gaps if gap[2] == "lost"]


@given(rngs, st.sampled_from(traffic.MODES[:-1]), counts, sizes, st.integers(1, 4))
def test_of_copies_that_differ_the_one_whose_message_verifies_wins(
    rng: Random, mode: str, count: int, max_size: int, conflicts: int
) -> None:
    one = delivery(rng, mode, count, max_size)
    one.captured = traffic.conflict(rng, one, conflicts)
    result = decoded(traffic.mix(rng, [one]), mode)
    traffic.check([one], result, copies=False)
    assert not result.gaps


@given(rngs, st.lists(modes, min_size=2, max_size=4), counts, sizes, st.integers(0, 4), windows)
def test_several_connections_at_once(
    rng: Random, chosen: list[str], count: int, max_size: int, losses: int, window: int
) -> None:
    several = [
        delivery(
            rng,
            mode if mode != "no key" else "plain",
            count,
            max_size,
            which=which,
            quotes=not losses and window == 1,
        )
        for which, mode in enumerate(chosen)
    ]
    for each in several:
        each.captured = traffic.lose(rng, traffic.repeat(rng, each, 2), losses)
    result = decoded(traffic.mix(rng, several, window), "any")
    traffic.check(several, result)


@pytest.mark.parametrize("end", ["FIN", "nothing"])
@pytest.mark.parametrize("begin", ["SYN", "nothing"])
@given(rng=rngs, mode=modes, count=counts, max_size=sizes)
def test_ports_used_again(begin: str, end: str, rng: Random, mode: str, count: int, max_size: int) -> None:
    first, second = (delivery(rng, mode, count, max_size, which=which, ports=1) for which in (0, 1))
    if end == "nothing":
        first.captured = first.captured[:-3]
    if begin == "nothing":
        second.captured = second.captured[3:]
    packets = traffic.mix(rng, [first])
    traffic.mix(rng, [second])
    second.numbers = [number + len(packets) for number in second.numbers]
    result = decoded(packets + second.captured, mode)
    traffic.check([first, second], result)
