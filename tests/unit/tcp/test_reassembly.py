"""The stream of one direction as a playbook: segments in, bytes and holes out."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.tcp.reassembly import BLOCK_COST, Block, Hole, StreamReassembler
from decoder.vocabulary import Arrival, GapReason

ISN = 1000
LIMIT = 1 << 20


class Play:
    """A stream whose first byte has sequence number 1000; packets are numbered from 1."""

    def __init__(self, isn: int = ISN, limit: int = LIMIT) -> None:
        self.stream = StreamReassembler()
        self.stream.start(isn)
        self.isn = isn
        self.limit = limit
        self.number = 0

    def push(self, offset: int, data: bytes, missing: int = 0) -> list[str]:
        """What a segment at `offset` brings out, in short: the bytes and the packet that brought them, or a hole."""
        self.number += 1
        seq = (self.isn + offset) % 2**32
        return self.told(self.stream.push(seq, data, missing, Arrival((self.number,), self.number * 10), self.limit))

    def lose(self, reason: GapReason = "lost") -> list[str]:
        return self.told(self.stream.lose_hole(reason))

    def finish(self, acked: int = 0) -> list[str]:
        return self.told(self.stream.finish(acked))

    @staticmethod
    def told(pieces: list[Block | Hole]) -> list[str]:
        out = []
        for piece in pieces:
            if isinstance(piece, Hole):
                out.append(f"hole {piece.size} {piece.reason}")
            else:
                assert piece.arrival.time_ns == piece.arrival.packets[-1] * 10
                out.append(f"{piece.data.decode()} #{piece.arrival.packets[-1]}")
        return out


# In order


def test_segments_in_order_come_out_as_they_came() -> None:
    play = Play()
    assert play.push(0, b"abc") == ["abc #1"]
    assert play.push(3, b"de") == ["de #2"]
    assert play.stream.position == 5
    assert not play.stream.waiting


def test_the_first_segment_sets_the_offsets_where_no_syn_was_seen() -> None:
    stream = StreamReassembler()
    stream.start(77, settled=False)
    assert stream.push(77, b"abc", 0, Arrival((1,), 10), LIMIT) == []
    assert stream.settle() == [Block(0, b"abc", Arrival((1,), 10))]
    assert stream.offset(80) == 3


@pytest.mark.parametrize("begin", [None, 75])
def test_the_first_byte_is_fixed_late_where_no_syn_was_seen(begin: int | None) -> None:
    stream = StreamReassembler()
    stream.start(77, settled=False)
    for number, (seq, data) in enumerate(((77, b"de"), (73, b"xy"), (75, b"bc"), (80, b"g")), 1):
        assert stream.push(seq, data, 0, Arrival((number,), number), LIMIT) == []
    offsets = [
        (block.offset, block.data)
        for block in stream.settle(None if begin is None else begin - 77)
        if isinstance(block, Block)
    ]
    assert offsets == [(-4, b"xy"), (-2, b"bc"), (0, b"de")][begin is not None :]
    assert stream.hole == Hole(2, 1, "lost")
    assert stream.push(79, b"f", 0, Arrival((5,), 5), LIMIT) == [
        Block(2, b"f", Arrival((5,), 5)),
        Block(3, b"g", Arrival((4,), 4)),
    ]


def test_sequence_numbers_wrap() -> None:
    play = Play(isn=2**32 - 2)
    assert play.push(0, b"abcd") == ["abcd #1"]
    assert play.push(6, b"gh") == []
    assert play.push(4, b"ef") == ["ef #3", "gh #2"]
    assert play.stream.next_seq == 6


# Out of order


def test_the_tail_waits_for_the_head() -> None:
    play = Play()
    assert play.push(3, b"def") == []
    assert play.stream.waiting
    assert play.stream.first_pending == 3
    assert play.push(0, b"abc") == ["abc #2", "def #1"]
    assert not play.stream.waiting
    assert play.stream.pending_bytes == 0


def test_any_order_gives_the_same_bytes() -> None:
    play = Play()
    for offset, data in ((6, b"g"), (2, b"c"), (4, b"e"), (1, b"b"), (5, b"f"), (3, b"d")):
        assert play.push(offset, data) == []
    assert play.push(0, b"a") == ["a #7", "b #4", "c #2", "d #6", "e #3", "f #5", "g #1"]


# Again


def test_a_retransmission_brings_nothing() -> None:
    play = Play()
    play.push(0, b"abc")
    assert play.push(0, b"abc") == []
    assert play.push(1, b"bc") == []
    assert play.stream.conflicts == []


def test_of_a_segment_that_is_partly_new_only_that_part_comes_out() -> None:
    play = Play()
    play.push(0, b"abc")
    assert play.push(1, b"bcde") == ["de #2"]


def test_the_first_copy_of_what_waits_wins() -> None:
    play = Play()
    play.push(3, b"def")
    play.push(3, b"def")
    play.push(2, b"cdefg")
    assert play.push(0, b"ab") == ["ab #4", "c #3", "def #1", "g #3"]


def test_a_segment_over_many_that_wait_fills_the_holes_between_them() -> None:
    play = Play()
    for offset in (1, 3, 5):
        play.push(offset, b"ABCDEF"[offset : offset + 1])
    assert play.push(0, b"ABCDEF") == ["A #4", "B #1", "C #4", "D #2", "E #4", "F #3"]


def test_a_copy_that_differs_is_kept_and_the_first_one_used() -> None:
    play = Play()
    play.push(3, b"def")
    play.push(2, b"cdXX")
    assert [(copy.start, copy.data, copy.arrival.packets) for copy in play.stream.conflicts] == [(3, b"dXX", (2,))]
    assert play.push(0, b"ab") == ["ab #3", "c #2", "def #1"]


def test_a_byte_that_came_first_stays_even_if_it_may_be_a_keep_alive_probe() -> None:
    """The SHA-1 decides between the two: a single byte behind a hole may as well be the right one."""
    play = Play()
    assert play.push(4, b"\0") == []
    assert play.push(2, b"cde") == []
    assert play.push(0, b"ab") == ["ab #3", "cd #2", "\0 #1"]
    assert [(conflict.start, conflict.data) for conflict in play.stream.conflicts] == [(4, b"e")]


def test_a_keep_alive_probe_after_its_byte_brings_nothing() -> None:
    play = Play()
    play.push(0, b"abc")
    assert play.push(2, b"") == []
    assert play.push(2, b"\0") == []
    assert play.push(3, b"def") == ["def #4"]
    assert play.stream.conflicts == []


def test_a_zero_window_probe_is_the_next_byte() -> None:
    play = Play()
    play.push(0, b"abc")
    assert play.push(3, b"d") == ["d #2"]
    assert play.push(3, b"def") == ["ef #3"]


# Holes


def test_a_hole_is_given_up_when_told_so() -> None:
    play = Play()
    play.push(0, b"ab")
    play.push(5, b"fg")
    play.push(9, b"j")
    assert play.lose() == ["hole 3 lost", "fg #2"]
    assert play.lose() == ["hole 2 lost", "j #3"]
    assert play.lose() == []


def test_what_comes_after_its_hole_was_given_up_is_too_late() -> None:
    play = Play()
    play.push(2, b"cd")
    assert play.lose() == ["hole 2 lost", "cd #1"]
    assert play.push(0, b"ab") == []
    assert play.push(4, b"e") == ["e #3"]


def test_too_much_waiting_gives_up_the_first_hole() -> None:
    play = Play(limit=2 * (BLOCK_COST + 2))
    play.push(2, b"cd")
    play.push(6, b"gh")
    assert play.push(10, b"kl") == ["hole 2 limit", "cd #1"]
    assert play.stream.pending_bytes == 2 * (BLOCK_COST + 2)


def test_the_end_gives_up_every_hole() -> None:
    play = Play()
    play.push(2, b"cd")
    play.push(6, b"gh")
    assert play.finish() == ["hole 2 lost", "cd #1", "hole 2 lost", "gh #2"]
    assert play.finish() == []


def test_what_the_peer_acknowledged_beyond_the_last_byte_is_lost() -> None:
    play = Play()
    play.push(0, b"ab")
    assert play.finish(acked=10) == ["hole 8 lost"]


def test_an_acknowledged_fin_that_was_not_seen_is_no_hole() -> None:
    play = Play()
    play.push(0, b"ab")
    assert play.finish(acked=3) == []


def test_a_fin_tells_where_the_stream_ends() -> None:
    play = Play()
    play.push(0, b"ab")
    play.stream.note_fin(5)
    assert play.finish(acked=6) == ["hole 3 lost"]


def test_bytes_behind_a_fin_show_that_it_was_none() -> None:
    play = Play()
    play.push(0, b"ab")
    play.stream.note_fin(2)
    assert play.push(2, b"cd") == ["cd #2"]
    assert play.stream.fin is None


def test_what_waits_behind_an_acknowledged_fin_was_never_sent() -> None:
    play = Play()
    play.push(0, b"ab")
    play.stream.note_fin(2)
    assert play.push(7, b"forged") == []
    play.stream.note_fin(2)
    assert play.finish(acked=3) == []
    assert play.stream.pending_bytes == 0


def test_an_acknowledgement_from_nowhere_is_no_hole() -> None:
    play = Play()
    play.push(0, b"ab")
    assert play.finish(acked=2**31 - 1) == []


# Cut by the snap length


def test_what_the_snap_length_cut_off_is_a_hole_that_a_whole_copy_may_fill() -> None:
    play = Play()
    assert play.push(0, b"ab", missing=3) == ["ab #1"]
    assert play.push(5, b"fg") == []
    assert play.lose() == ["hole 3 snaplen", "fg #2"]
    play = Play()
    assert play.push(0, b"ab", missing=3) == ["ab #1"]
    assert play.push(0, b"abcde") == ["cde #2"]
    assert not play.stream.waiting


def test_a_packet_cut_down_to_its_headers() -> None:
    play = Play()
    assert play.push(0, b"", missing=3) == []
    assert play.lose() == ["hole 3 snaplen"]


def test_a_cut_packet_waits_for_its_turn() -> None:
    play = Play()
    assert play.push(3, b"d", missing=2) == []
    assert play.stream.waiting
    assert play.push(0, b"abc") == ["abc #2", "d #1"]
    assert play.lose() == ["hole 2 snaplen"]


def test_a_whole_copy_of_cut_bytes_is_preferred() -> None:
    play = Play()
    play.push(3, b"d", missing=3)
    play.push(5, b"fgh")
    assert play.push(0, b"abc") == ["abc #3", "d #1"]
    assert play.lose() == ["hole 1 snaplen", "fgh #2"]
    play = Play()
    play.push(3, b"d", missing=2)
    play.push(3, b"def")
    assert play.push(0, b"abc") == ["abc #3", "d #1", "ef #2"]


def test_the_same_cut_twice_is_one_hole() -> None:
    play = Play()
    play.push(3, b"d", missing=2)
    play.push(3, b"d", missing=2)
    assert play.push(0, b"abc") == ["abc #3", "d #1"]
    assert play.lose() == ["hole 2 snaplen"]
    assert play.push(3, b"d", missing=2) == []
    assert not play.stream.waiting


def test_a_hole_before_a_cut_ends_where_the_cut_begins() -> None:
    play = Play()
    play.push(2, b"", missing=3)
    assert play.stream.first_pending == 2
    assert play.finish() == ["hole 2 lost", "hole 3 snaplen"]


def test_what_was_cut_counts_for_the_limit() -> None:
    play = Play(limit=3 * BLOCK_COST)
    for offset in (2, 4, 6):
        assert play.push(offset, b"", missing=1) == []
    assert play.push(8, b"", missing=1) == ["hole 2 limit", "hole 1 snaplen"]
    assert play.stream.waiting


# All of it


@given(st.randoms(use_true_random=False), st.integers(0, 2**32 - 1))
def test_any_pieces_in_any_order_give_the_stream_and_name_what_is_missing(rng: Random, isn: int) -> None:
    content = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 200)))
    stream = StreamReassembler()
    stream.start(isn)
    have = bytearray(len(content))
    out: list[Block | Hole] = []
    for number in range(1, rng.randrange(1, 40)):
        start = rng.randrange(len(content))
        end = rng.randint(start + 1, min(len(content), start + 30))
        have[start:end] = b"\1" * (end - start)
        out += stream.push((isn + start) % 2**32, content[start:end], 0, Arrival((number,), number), LIMIT)
    out += stream.finish(0)
    position = 0
    for piece in out:
        assert piece.offset == position
        size = len(piece.data) if isinstance(piece, Block) else piece.size
        if isinstance(piece, Block):
            assert piece.data == content[position : position + size]
            assert all(have[position : position + size])
        else:
            assert not any(have[position : position + size])
        position += size
    assert not any(have[position:])
    assert stream.pending_bytes == 0
    assert stream.conflicts == []
