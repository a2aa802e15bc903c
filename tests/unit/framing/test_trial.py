"""Which candidates for a header are real: what speaks for each, and what against."""

from __future__ import annotations

import hashlib
from random import Random

import pytest

from decoder.framing.buffer import Buffer
from decoder.framing.header import HEADER, Header
from decoder.framing.header_chains import Chain
from decoder.framing.pending_frame import PendingFrame
from decoder.framing.trial import END, MANY, MORE, Trial
from decoder.tcp.overlaps import Conflict, OverlapConflicts
from decoder.vocabulary import Arrival
from tests.support.exchange import frame

MAX_BODY = 100_000


class Handler:
    """Knows messages by the SHA-1 of their body; `sealed`: it says that they were encrypted."""

    keys_known = 0

    def __init__(self, *, nothing_decrypted: bool = False, sealed: bool = False) -> None:
        self.nothing_decrypted, self.sealed, self.asked = nothing_decrypted, sealed, 0
        self.conflicts = OverlapConflicts()

    def verifies(self, header: Header, body: bytes, *, by_hash: bool = False) -> bool:
        self.asked += 1
        return not self.nothing_decrypted and hashlib.sha1(body).digest() == header[6]

    def in_clear(self, header: Header, body: bytes) -> bool:
        return not self.sealed


class Bench:
    """Bytes in packets, the chains in them, and a trial."""

    def __init__(self, *packets: bytes, nothing_decrypted: bool = False, sealed: bool = False) -> None:
        self.handler = Handler(nothing_decrypted=nothing_decrypted, sealed=sealed)
        self.buffer = Buffer()
        for number, data in enumerate(packets, 1):
            self.buffer.append(data, Arrival((number,), number * 10), self.buffer.end)
        self.trial = Trial(self.handler, self.buffer, MAX_BODY)  # type: ignore[arg-type]
        self.chains = self.trial.chains_from(0)
        self.chains.scan(self.buffer)

    def chain(self, serial_no: int) -> Chain:
        return next(chain for chain in self.chains.chains if chain.header[4] == serial_no)

    def confirms(self, serial_no: int, *, at_start: bool = False) -> bool:
        return self.trial.confirms(self.chain(serial_no), self.chains, at_start)


def message(serial_no: int, size: int = 30) -> bytes:
    return frame(3004, Random(serial_no).randbytes(size), serial_no=serial_no)


def unproven(serial_no: int, size: int = 30) -> bytes:
    return HEADER.pack(b"FT", 3004, 0, 0, serial_no, size, bytes(20), bytes(8)) + bytes(size)


def test_the_sha1_proves_a_whole_message() -> None:
    bench = Bench(message(1) + b"x" * 50)
    assert bench.trial.proven(bench.chain(1))
    bench = Bench(unproven(1) + b"x" * 50)
    assert not bench.trial.proven(bench.chain(1))


def test_a_proof_that_failed_is_tried_again_only_with_another_key() -> None:
    bench = Bench(unproven(1) + b"x" * 50)
    for _ in range(3):
        assert not bench.trial.proven(bench.chain(1))
    assert bench.handler.asked == 1
    bench.handler.keys_known = 1
    assert not bench.trial.proven(bench.chain(1))
    assert bench.handler.asked == 2


def test_a_header_whose_chain_goes_on_to_the_last_byte_counts() -> None:
    assert Bench(unproven(1) + unproven(2)).confirms(1)
    assert Bench(unproven(1)).confirms(1)


def test_a_lone_header_that_other_bytes_follow_does_not_count() -> None:
    assert not Bench(b"junk" + unproven(1) + b"x" * 50).confirms(1)


def test_two_in_a_row_that_begin_a_packet_count_though_they_break_off() -> None:
    row = unproven(1) + unproven(2) + b"x" * 50
    assert Bench(b"junk", row).confirms(1)
    assert not Bench(b"junk" + row).confirms(1)
    assert Bench(b"junk" + row).confirms(1, at_start=True)
    assert Bench(b"junk" + row, nothing_decrypted=True).confirms(1)


def test_a_proven_message_in_clear_may_be_embedded_and_an_encrypted_one_cannot() -> None:
    data = b"junk" + message(1) + b"x" * 50
    assert not Bench(data).confirms(1)
    assert Bench(data, sealed=True).confirms(1)
    assert Bench(data).confirms(1, at_start=True)


def test_so_many_in_a_row_are_no_chance() -> None:
    row = b"".join(unproven(n) for n in range(1, MANY + 1))
    assert Bench(b"junk" + row + b"x" * 50).confirms(1)
    assert not Bench(b"junk" + row[: 74 * (MANY - 1)] + b"x" * 50).confirms(1)


def pending(data: bytes, start: int = 0, *, certain: bool = True) -> PendingFrame:
    return PendingFrame(HEADER.unpack_from(data), start, certain)


def test_the_sha1_shows_where_a_message_with_a_wrong_length_ends() -> None:
    wrong = bytearray(message(1))
    wrong[12] += 70
    bench = Bench(bytes(wrong) + message(2) + message(3))
    frame_ = pending(bytes(wrong))
    assert bench.trial.ends_at(frame_, bench.chain(2))
    assert not bench.trial.ends_at(frame_, bench.chain(2))  # asked once for each of both
    chains = bench.trial.chains_from(0)
    assert bench.trial.end_of_whole(pending(bytes(wrong)), chains) == len(message(1))


@pytest.mark.parametrize(("then", "enough"), [(END, 1), (MORE, 4)])
def test_messages_that_begin_a_packet_inside_another_outweigh_its_length(then: int, enough: int) -> None:
    """At the end of a stream one is enough; while more may come, four."""
    claims = HEADER.pack(b"FT", 3004, 0, 0, 99, 50_000, bytes(20), bytes(8))
    for count in (enough - 1, enough):
        row = b"".join(message(n) for n in range(1, count + 1))
        bench = Bench(claims, row)
        if count:
            outweighs = bench.trial.overrides_length(pending(claims), bench.chain(1), bench.chains, then)
            assert outweighs is (count >= enough)


def test_a_frame_remembers_the_packets_of_bytes_that_are_dropped() -> None:
    data = message(1, 100)
    bench = Bench(data[:60], data[60:100], data[100:])
    waiting = pending(data)
    waiting.keep_origin(bench.buffer, 80)
    assert waiting.arrival == Arrival((1, 2), 20)


def test_a_row_may_go_on_in_another_version_of_the_bytes_behind_it() -> None:
    bench = Bench(message(1) + b"x" * 50)
    assert not bench.confirms(1)
    bench.handler.conflicts.add(Conflict(len(message(1)), b"FT" + bytes(48), Arrival((2,), 20)))
    assert bench.confirms(1)


def test_four_in_a_row_one_of_which_begins_a_packet_count_though_the_next_is_damaged() -> None:
    rows = {count: [message(n) for n in range(1, count + 1)] for count in (3, 4)}
    for count, row in rows.items():
        assert Bench(b"y" + row[0], b"".join(row[1:]) + b"x" * 50).confirms(1) is (count == 4)
    assert not Bench(b"y" + b"".join(rows[4]) + b"x" * 50).confirms(1)
