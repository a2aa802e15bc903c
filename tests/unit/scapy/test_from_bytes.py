"""A message out of the bytes of one packet, without a session."""

from __future__ import annotations

from decoder.scapy.from_bytes import message_of
from tests.support.exchange import cbc, frame, init_request, keep_alive, rsa, rsa_key
from tests.support.session import book


def judged(data: bytes, direction: str = "c2s") -> tuple[str, str, str | None, str]:
    message = message_of(data, "a:1", "b:2", direction, 5)  # type: ignore[arg-type]
    assert message.time_ns == 5
    return message.kind, message.verdict, message.reason, message.encryption


def test_a_body_in_clear_is_verified_by_its_sha1() -> None:
    assert judged(frame(1004, keep_alive())) == ("request", "verified", None, "None")


def test_a_sealed_body_needs_a_session() -> None:
    sealed = frame(1004, keep_alive(), cbc(keep_alive()))
    assert judged(sealed) == ("request", "unverified", "handshake-missing", "unknown")
    login = frame(1001, init_request(), rsa(init_request(), rsa_key()))
    assert judged(login) == ("request", "unverified", "no-key", "unknown")


def test_a_body_that_is_not_all_there_is_truncated() -> None:
    assert judged(frame(1004, keep_alive())[:-1]) == ("request", "unverified", "truncated", "unknown")


def test_the_kind_by_direction_and_protocol() -> None:
    assert judged(frame(1004, keep_alive()), "s2c")[0] == "response"
    assert judged(frame(3013, book()), "s2c")[0] == "push"
