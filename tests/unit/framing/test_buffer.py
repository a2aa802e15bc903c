"""The bytes that wait in a framer, and which packets brought them: against a plain list of bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from decoder.framing.buffer import Buffer
from decoder.vocabulary import Arrival


def filled(*blocks: bytes, offset: int = 0) -> Buffer:
    """Each block from a packet of its own: 1, 2, 3 and so on, at 10, 20, 30 ns."""
    buffer = Buffer()
    for number, block in enumerate(blocks, 1):
        buffer.append(block, Arrival((number,), number * 10), offset)
        offset += len(block)
    return buffer


def test_offsets_are_those_of_the_stream() -> None:
    buffer = filled(b"abc", b"defg", offset=100)
    assert (buffer.base, buffer.end, len(buffer), buffer.blocks) == (100, 107, 7, 2)
    assert buffer.read(102, 105) == b"cde"
    assert buffer.read(0, 1_000) == b"abcdefg"


def test_the_origin_of_bytes_are_the_packets_that_brought_them() -> None:
    buffer = filled(b"abc", b"defg", b"hi")
    assert buffer.origin(0, 3) == Arrival((1,), 10)
    assert buffer.origin(2, 4) == Arrival((1, 2), 20)
    assert buffer.origin(0, 9) == Arrival((1, 2, 3), 30)


def test_the_time_is_that_of_the_latest_packet_not_of_the_last_byte() -> None:
    buffer = Buffer()
    buffer.append(b"abc", Arrival((9,), 90), 0)  # it filled a hole: it came after what stands behind it
    buffer.append(b"def", Arrival((4,), 40), 3)
    assert buffer.origin(0, 6) == Arrival((4, 9), 90)


def test_a_packet_begins_where_the_one_before_ends() -> None:
    buffer = filled(b"abc", b"defg")
    assert buffer.begins_packet(3, 4)
    assert not buffer.begins_packet(3, 5)
    assert not buffer.begins_packet(4, 1)
    buffer.drop(3)
    assert buffer.begins_packet(3, 4)
    buffer.drop(5)
    assert not buffer.begins_packet(5, 1)  # the packet began before


def test_an_empty_buffer_begins_anywhere_anew() -> None:
    buffer = filled(b"abc")
    buffer.drop(3)
    assert len(buffer) == 0
    buffer.append(b"xyz", Arrival((7,), 70), 50)
    assert (buffer.base, buffer.read(0, 99), buffer.origin(50, 53)) == (50, b"xyz", Arrival((7,), 70))


def test_other_bytes_take_the_place_and_the_origin_of_the_first() -> None:
    buffer = filled(b"abc", b"defg", b"hi")
    buffer.replace(2, b"XYZ", Arrival((8,), 80))
    assert buffer.read(0, 9) == b"abXYZfghi"
    assert buffer.origin(0, 2) == Arrival((1,), 10)
    assert buffer.origin(2, 5) == Arrival((8,), 80)
    assert buffer.origin(5, 7) == Arrival((2,), 20)
    assert buffer.origin(0, 9) == Arrival((1, 2, 3, 8), 80)
    buffer.replace(100, b"outside", Arrival((9,), 90))
    buffer.replace(7, b"HI beyond the end", Arrival((9,), 90))
    assert buffer.read(0, 99) == b"abXYZfgHI"


@given(st.data())
def test_like_a_plain_list_of_bytes(data: st.DataObject) -> None:
    """The model: for each byte its value and the packet that brought it."""
    buffer, model, base = Buffer(), list[tuple[int, int]](), 0
    for number in range(1, data.draw(st.integers(1, 40)) + 1):
        step = data.draw(st.sampled_from(["append", "append", "drop", "replace"]))
        if step == "append":
            block = data.draw(st.binary(min_size=1, max_size=8))
            buffer.append(block, Arrival((number,), number), base + len(model))
            model += [(byte, number) for byte in block]
        elif step == "drop" and model:
            count = data.draw(st.integers(0, len(model)))
            buffer.drop(base + count)
            del model[:count]
            base += count
        elif step == "replace" and model:
            at = data.draw(st.integers(0, len(model) - 1))
            other = data.draw(st.binary(min_size=1, max_size=6))[: len(model) - at]
            buffer.replace(base + at, other, Arrival((number,), number))
            model[at : at + len(other)] = [(byte, number) for byte in other]
        assert buffer.read(0, 1 << 40) == bytes(byte for byte, _ in model)
        if model:
            start = data.draw(st.integers(0, len(model) - 1))
            end = data.draw(st.integers(start + 1, len(model)))
            assert buffer.origin(base + start, base + end).packets == tuple(sorted({n for _, n in model[start:end]}))
