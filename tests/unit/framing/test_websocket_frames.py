"""Heads of WebSocket frames, written by the library `websockets`, and frames found in the middle of a stream."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from decoder.framing.websocket_frames import (
    FrameHead,
    begins_message,
    begins_with_frame,
    find_frame,
    frame_head,
    payload_start,
)
from tests.support.exchange import frame as opend_frame
from tests.support.exchange import keep_alive
from tests.support.websocket import Deflater, reply, request, ws

REQUEST = request(1002, 7, b"body")
REPLY = reply(1002, 7, b"body")


def written(payload: bytes, *, mask: bool) -> bytes:
    return Frame(Opcode.BINARY, payload).serialize(mask=mask)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("mask", [False, True])
def test_a_head_tells_what_the_library_wrote(size: int, mask: bool) -> None:
    payload = Random(size).randbytes(size)
    data = written(payload, mask=mask)
    head = frame_head(data, 0)
    assert head is not None
    assert (head.length, head.total, bool(head.mask)) == (size, len(data), mask)
    assert payload_start(data, 0, head) == payload[:44]


def test_a_head_that_is_not_all_there_is_none() -> None:
    data = written(bytes(70_000), mask=True)
    for size in range(14):
        assert frame_head(data[:size], 0) is None
    assert frame_head(data[:14], 0) is not None


@pytest.mark.parametrize(("payload", "mask"), [(REQUEST, True), (REPLY, False)])
def test_a_frame_of_this_protocol_says_which_end_sent_it(payload: bytes, mask: bool) -> None:
    assert begins_with_frame(written(payload, mask=mask)) is mask


def test_other_frames_and_other_bytes_are_none() -> None:
    assert begins_with_frame(written(b"something else" * 5, mask=False)) is None
    assert begins_with_frame(Frame(Opcode.TEXT, REPLY).serialize(mask=False)) is None
    assert begins_with_frame(b"GET / HTTP/1.1\r\n") is None
    assert begins_with_frame(b"") is None


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("junk", [b"", b"\x82\x05hello", bytes(range(256))])
def test_a_frame_is_found_behind_anything(junk: bytes, masked: bool) -> None:
    data = junk + written(REQUEST if masked else REPLY, mask=masked) + b"more"
    assert find_frame(data, masked=masked) == (len(junk), True)
    assert find_frame(data, masked=not masked)[1] is False


def test_a_compressed_frame_is_found() -> None:
    data = b"junk" + ws(Deflater()(REPLY), compressed=True)
    assert find_frame(data, masked=False) == (4, True)


def test_where_more_bytes_may_make_a_frame_the_search_goes_on_there() -> None:
    data = b"no frame here " + written(REPLY, mask=False)
    for size in range(15, 30):
        at, found = find_frame(data[:size], masked=False)
        assert (at, found) == (14, False), size
    assert find_frame(b"no frame here ", masked=False) == (14, False)


def test_a_message_may_be_of_the_44_byte_framing() -> None:
    inner = opend_frame(1004, keep_alive())
    assert begins_message(inner, len(inner))
    assert not begins_message(inner, len(inner) + 1)
    assert begins_message(inner, None)
    assert begins_message(REQUEST, None)
    assert not begins_message(b"{}", 2)


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_make_it_raise(data: bytes, masked: bool) -> None:
    at, _ = find_frame(data, masked=masked)
    assert 0 <= at <= len(data)
    head = frame_head(data, 0)
    assert head is None or isinstance(head, FrameHead)
