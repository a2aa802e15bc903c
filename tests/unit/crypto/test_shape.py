"""Plaintext told from ciphertext by its form: bodies of the vendor's classes against random bytes."""

from __future__ import annotations

from random import Random

import pytest

from decoder.crypto.shape import has_message_shape, looks_like_damaged_plaintext
from tests.support.exchange import init_request, init_response, keep_alive, keep_alive_answer, refused, rsa, rsa_key
from tests.support.session import response

REQUESTS = [keep_alive(), init_request(clientID="x" * 300)]
RESPONSES = [
    keep_alive_answer(),
    init_response(),
    refused("GetGlobalState", "no"),
    response("Qot_Sub", -100, "x" * 200),
    response("Qot_Sub"),
]


@pytest.mark.parametrize("body", REQUESTS)
def test_requests_of_the_vendor_have_the_shape(body: bytes) -> None:
    assert has_message_shape("c2s", 0, body)


@pytest.mark.parametrize("body", RESPONSES)
def test_responses_of_the_vendor_have_the_shape(body: bytes) -> None:
    assert has_message_shape("s2c", 0, body)


def test_a_response_is_no_request() -> None:
    assert not any(has_message_shape("c2s", 0, body) for body in RESPONSES)


def test_json_begins_with_a_brace() -> None:
    assert has_message_shape("c2s", 1, b'{"c2s": {}}')
    assert not has_message_shape("c2s", 1, b"\x0a\x00")


def test_ciphertext_hardly_ever_has_the_shape() -> None:
    random = Random(1)
    for direction in ("c2s", "s2c"):
        taken = sum(has_message_shape(direction, 0, random.randbytes(64)) for _ in range(5_000))
        assert taken <= 2, direction


def test_rsa_is_not_taken_for_damaged_plaintext_and_damaged_plaintext_is() -> None:
    body = init_request(clientID="a program with a name")
    assert not looks_like_damaged_plaintext("c2s", rsa(body, rsa_key()))
    damaged = bytearray(body[: len(body) // 8 * 8])  # the length alone must not decide
    damaged[5] ^= 0x10
    assert looks_like_damaged_plaintext("c2s", bytes(damaged))


def test_a_length_that_no_rsa_key_makes_is_plaintext() -> None:
    assert looks_like_damaged_plaintext("c2s", Random(2).randbytes(129))
