"""Chains of headers in bytes of which the framing is not known."""

from __future__ import annotations

from random import Random

from decoder.framing.budget import Budget
from decoder.framing.buffer import Buffer
from decoder.framing.header import HEADER
from decoder.framing.header_chains import HeaderChains, resembles
from decoder.vocabulary import Arrival
from tests.support.exchange import frame

MAX_BODY = 10_000
A, B, C = (frame(3004, bytes([n]) * 30, serial_no=n) for n in (1, 2, 3))
SIZE = len(A)


def scanned(*packets: bytes, budget: int = 1 << 30) -> tuple[HeaderChains, Buffer]:
    buffer, chains = Buffer(), HeaderChains(0, MAX_BODY, Budget(budget))
    for number, data in enumerate(packets, 1):
        buffer.append(data, Arrival((number,), number), buffer.end)
        chains.scan(buffer)
    return chains, buffer


def test_headers_that_follow_one_another_are_one_chain() -> None:
    chains, buffer = scanned(b"garbage" + A + B + C)
    (chain,) = chains.chains
    assert (chain.start, chain.end, chain.headers, chain.next) == (7, 7 + SIZE, 3, 7 + 3 * SIZE)
    assert [(at, header[4]) for at, header in chain.members] == [(7, 1), (7 + SIZE, 2), (7 + 2 * SIZE, 3)]
    assert chains.is_unbroken(chain, buffer)


def test_it_makes_no_difference_how_the_bytes_come() -> None:
    data = b"garbage" + A + B + C
    chains, _ = scanned(*(data[at : at + 5] for at in range(0, len(data), 5)))
    (chain,) = chains.chains
    assert (chain.start, chain.headers) == (7, 3)


def test_a_chain_breaks_where_other_bytes_stand() -> None:
    chains, buffer = scanned(A + b"x" * 100)
    (chain,) = chains.chains
    assert not chains.is_unbroken(chain, buffer)
    chains, buffer = scanned(A + b"F")  # what is there may become a header
    assert chains.is_unbroken(chains.chains[0], buffer)


def test_a_damaged_header_does_not_break_it() -> None:
    damaged = bytearray(B)
    damaged[0] ^= 0x20
    chains, buffer = scanned(A + bytes(damaged) + C)
    assert chains.is_unbroken(chains.chains[0], buffer)


def test_messages_inside_a_body_are_a_chain_of_their_own() -> None:
    outer = frame(3004, b"head" + A + B + b"tail", serial_no=9)
    chains, buffer = scanned(outer + C)
    inner = next(chain for chain in chains.chains if chain.header[4] == 1)
    whole = next(chain for chain in chains.chains if chain.header[4] == 9)
    assert whole.headers == 2
    assert inner.headers == 2
    assert chains.is_unbroken(whole, buffer)
    assert not chains.is_unbroken(inner, buffer)


def test_a_header_that_begins_a_packet_is_marked() -> None:
    chains, _ = scanned(b"garbage", A)
    assert chains.chains[0].starts_segment
    chains, _ = scanned(b"garbage" + A)
    assert not chains.chains[0].starts_segment


def test_without_budget_nothing_is_scanned() -> None:
    chains, _ = scanned(A, budget=10)
    assert not chains.chains


def test_chains_are_bounded_and_the_oldest_is_given_up() -> None:
    """Headers that all claim another end: each of them is a chain."""
    heads = b"".join(HEADER.pack(b"FT", 3004, 0, 0, n, 9_000 - n % 97, bytes(20), bytes(8)) for n in range(5_000))
    chains, _ = scanned(heads)
    assert len(chains.chains) == 4096
    assert chains.chains[0].start > 0


def test_random_bytes_resemble_no_header() -> None:
    random = Random(1)
    assert not any(resembles(HEADER.unpack(random.randbytes(44)), MAX_BODY) for _ in range(2_000))
    assert resembles(HEADER.unpack_from(A), MAX_BODY)
