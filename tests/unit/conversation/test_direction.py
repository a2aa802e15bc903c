"""The sender of a message, told from its content: bodies of the vendor's classes."""

from __future__ import annotations

import pytest

from decoder.conversation.direction import direction_of, told_by_content
from tests.support.exchange import cbc, frame, init_request, init_response, keep_alive, keep_alive_answer
from tests.support.session import book


def told(data: bytes) -> str | None:
    return told_by_content(data[:44], data[44:])


@pytest.mark.parametrize(
    ("data", "direction"),
    [
        (frame(1001, init_request()), "c2s"),
        (frame(1001, init_response()), "s2c"),
        (frame(1004, keep_alive()), "c2s"),
        (frame(1004, keep_alive_answer()), "s2c"),
        (frame(1004, b'{"c2s": {"time": 1}}', fmt=1), "c2s"),
        (frame(1004, b'{"retType": 0}', fmt=1), "s2c"),
    ],
)
def test_requests_and_responses_begin_differently(data: bytes, direction: str) -> None:
    assert told(data) == direction


def test_a_push_comes_from_the_gateway_though_nobody_can_read_it() -> None:
    assert told(frame(3013, book(), cbc(book()))) == "s2c"


def test_the_first_bytes_of_ciphertext_tell_nothing() -> None:
    """By chance they may be those of a request: the SHA-1 shows that the body is not in clear."""
    assert told(frame(1004, b"plain", b"\x0a" + bytes(15))) is None


def test_a_body_that_is_cut_tells_by_its_beginning() -> None:
    assert told(frame(1001, init_request())[:50]) == "c2s"
    assert told(frame(1001, init_request())[:44]) is None
    assert told(frame(1001, init_request())[:43]) is None


def test_other_plaintext_tells_nothing() -> None:
    assert direction_of(b"") is None
    assert direction_of(b"\x12\x00") is None
