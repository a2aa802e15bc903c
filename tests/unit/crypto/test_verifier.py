"""The table of verdicts, row by row, on exchanges built with the vendor's classes and pycryptodome."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from decoder import Decoder, Gap, KeyRing, Limits, Message
from decoder.crypto.keylog import key_log_line
from decoder.vocabulary import HINTS
from tests.support.exchange import (
    CONN_ID,
    IV,
    KEY,
    MODES,
    Exchange,
    cbc,
    decode,
    ecb,
    ecb_zero_padded,
    frame,
    ftaes,
    hashing_ciphertext,
    init_request,
    init_response,
    keep_alive,
    keep_alive_answer,
    pem,
    refused,
    rsa,
    rsa_key,
    state_request,
    vendor,
)

OUR_KEY = rsa_key(1024)
OTHER_KEY = rsa_key(1024, seed=1)
NOT_THE_KEY = b"another key 0123"


def ring(*keys: Any, keylog: Path | None = None) -> KeyRing:
    return KeyRing([pem(key) for key in keys or (OUR_KEY,)], [keylog] if keylog else [])


def handshake(exchange: Exchange, *, key: Any = OUR_KEY, iv: bytes | None = IV, chunk: int = 0) -> Exchange:
    """InitConnect, both ways under RSA."""
    request, response = init_request(), init_response(iv=iv)
    exchange.c2s(frame(1001, request, rsa(request, key, chunk)))
    return exchange.s2c(frame(1001, response, rsa(response, key, chunk)))


def told(messages: list[Message]) -> list[tuple[int, str, str, str | None]]:
    return [(m.proto_id, m.encryption, m.verdict, m.reason) for m in messages]


OPENED = [(1001, "RSA", "verified", None), (1001, "RSA", "verified", None)]


# Row 1: bytes of the message are missing


def test_a_message_cut_by_the_snap_length_is_truncated() -> None:
    short, long = frame(1002, b""), frame(1004, keep_alive(), serial_no=2)
    exchange = Exchange().c2s(short).c2s(long).c2s(short)
    snap_length = len(exchange.packets[-1][0])  # what holds the short ones
    decoder = Decoder()
    items = [i for data, now in exchange.packets for i in decoder.feed(data[:snap_length], now, 1, len(data))]
    items += decoder.flush()
    assert [(m.proto_id, m.verdict, m.reason) for m in items if isinstance(m, Message)] == [
        (1002, "verified", None),
        (1004, "unverified", "truncated"),
        (1002, "verified", None),
    ]
    assert [(g.bytes, g.reason) for g in items if isinstance(g, Gap)] == [(len(long) - len(short), "snaplen")]


def test_a_message_that_lost_a_segment_has_a_gap() -> None:
    whole = frame(1002, refused("GetGlobalState", "x" * 500))
    exchange = Exchange().s2c(frame(1004, keep_alive_answer()))
    exchange.s2c(whole[:200]).lose("s2c", 200).s2c(whole[400:]).s2c(frame(1004, keep_alive_answer(), serial_no=2))
    messages, gaps, _ = decode(exchange)
    assert told(messages) == [
        (1004, "None", "verified", None),
        (1002, "unknown", "unverified", "gap"),
        (1004, "None", "verified", None),
    ]
    assert [(gap.bytes, gap.reason, gap.direction) for gap in gaps] == [(200, "lost", "s2c")]
    assert messages[1].body is None


def test_a_length_over_the_limit_is_oversize() -> None:
    good = frame(1004, keep_alive())
    huge = struct.pack("<2sIBBII20s8s", b"FT", 1002, 0, 0, 5, 2**32 - 1, bytes(20), bytes(8))
    messages, gaps, _ = decode(Exchange().c2s(good, huge, good, good))
    assert told(messages) == [
        (1004, "None", "verified", None),
        (1002, "unknown", "unverified", "oversize"),
        (1004, "None", "verified", None),
        (1004, "None", "verified", None),
    ]
    assert gaps == []


# Row 2: the SHA-1 of a decryption, or of the body as sent


@pytest.mark.parametrize("bits", [512, 768, 1000, 1024, 1536, 2048])
def test_rsa_of_any_modulus_size(bits: int) -> None:
    key = rsa_key(bits)
    messages, _, _ = decode(
        handshake(Exchange(), key=key).c2s(frame(1004, keep_alive(), cbc(keep_alive()))), keys=ring(key)
    )
    assert told(messages) == [*OPENED, (1004, "AES_CBC", "verified", None)]
    assert messages[0].plaintext == init_request()
    assert messages[1].plaintext == init_response()


@pytest.mark.parametrize("chunk", [1, 2, 16, 50, 99, 100, 116, 117])
def test_rsa_with_any_number_of_bytes_in_a_block(chunk: int) -> None:
    messages, _, _ = decode(handshake(Exchange(), chunk=chunk), keys=ring())
    assert told(messages) == OPENED
    assert messages[1].plaintext == init_response()


@pytest.mark.parametrize(
    ("given_pem", "passphrase"),
    [
        (pem(OUR_KEY, pkcs=1), None),
        (pem(OUR_KEY, pkcs=8), None),
        (pem(OUR_KEY, pkcs=1, passphrase="open"), "open"),
        (pem(OUR_KEY, pkcs=8, passphrase="open"), "open"),
    ],
    ids=["PKCS#1", "PKCS#8", "PKCS#1 encrypted", "PKCS#8 encrypted"],
)
def test_every_form_of_key_file(given_pem: bytes, passphrase: str | None, tmp_path: Path) -> None:
    path = tmp_path / "rsa.pem"
    path.write_bytes(given_pem)
    for source in (given_pem, path, str(path)):
        messages, _, _ = decode(handshake(Exchange()), keys=KeyRing([source], passphrase=passphrase))
        assert told(messages) == OPENED


def test_the_right_one_of_several_keys_is_found() -> None:
    first, second = Exchange(client_port=50001), Exchange(client_port=50002)
    handshake(first, key=OUR_KEY)
    handshake(second, key=OTHER_KEY)
    messages, _, _ = decode(first, second, keys=ring(rsa_key(2048), OTHER_KEY, rsa_key(512), OUR_KEY))
    assert told(messages) == OPENED * 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [*range(20), 31, 32, 33, 1000])
def test_every_mode_and_every_length(mode: str, size: int) -> None:
    plain = refused("KeepAlive", "x" * size)
    exchange = handshake(Exchange()).s2c(frame(1004, plain, MODES[mode](plain)))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages) == [*OPENED, (1004, mode, "verified", None)]
    assert messages[2].plaintext == plain
    assert messages[2].conn_id == str(CONN_ID)


@pytest.mark.parametrize("size", [0, 1, 4, 5, 6, 16, 17])
def test_aes_ecb_with_zero_padding(size: int) -> None:
    plain = refused("KeepAlive", "x" * size)
    exchange = handshake(Exchange()).s2c(frame(1004, plain, ecb_zero_padded(plain)))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages)[2:] == [(1004, "AES_ECB", "verified", None)]
    assert messages[2].plaintext == plain


def test_aes_ecb_with_zero_padding_of_a_body_that_ends_in_zeros() -> None:
    for kept in range(5):  # bytes of an unknown field
        body = b"\x08\x00" if not kept else b"\x08\x00\x3a" + bytes([kept]) + bytes(kept)
        messages, _, _ = decode(handshake(Exchange()).s2c(frame(1004, body, ecb_zero_padded(body))), keys=ring())
        assert told(messages)[2:] == [(1004, "AES_ECB", "verified", None)]
        assert messages[2].plaintext == body


@pytest.mark.parametrize("announced", [-1, 0, 1, 2, 77])
@pytest.mark.parametrize("mode", MODES)
def test_the_announced_algorithm_proves_nothing(mode: str, announced: int) -> None:
    request, response = init_request(packetEncAlgo=announced), init_response()
    exchange = Exchange().c2s(frame(1001, request, rsa(request, OUR_KEY)))
    exchange.s2c(frame(1001, response, rsa(response, OUR_KEY)))
    exchange.c2s(frame(1004, keep_alive(), MODES[mode](keep_alive())))
    assert told(decode(exchange, keys=ring())[0]) == [*OPENED, (1004, mode, "verified", None)]


def test_a_mode_may_change_from_message_to_message() -> None:
    exchange = handshake(Exchange())
    order = ["AES_CBC", "FTAES_ECB", "AES_CBC", "AES_ECB", "None", "AES_CBC", "None", "None", "FTAES_ECB"]
    seal = {**MODES, "None": lambda plain: plain}
    for serial_no, mode in enumerate(order):
        exchange.c2s(frame(1004, keep_alive(), seal[mode](keep_alive()), serial_no))
    assert told(decode(exchange, keys=ring())[0])[2:] == [(1004, mode, "verified", None) for mode in order]


def test_an_announced_encryption_that_never_happens() -> None:
    exchange = Exchange().c2s(frame(1001, init_request(packetEncAlgo=2))).s2c(frame(1001, init_response()))
    exchange.c2s(frame(1004, keep_alive())).s2c(frame(1004, keep_alive_answer()))
    messages, _, _ = decode(exchange)
    assert {(m.encryption, m.verdict) for m in messages} == {("None", "verified")}
    assert [m.conn_id for m in messages] == [None] + [str(CONN_ID)] * 3


def test_plain_messages_on_an_encrypted_connection() -> None:
    exchange = handshake(Exchange()).c2s(frame(1004, keep_alive()))
    exchange.s2c(frame(1004, keep_alive_answer(), cbc(keep_alive_answer())))
    exchange.c2s(frame(1002, state_request(), cbc(state_request())))
    assert told(decode(exchange, keys=ring())[0])[2:] == [
        (1004, "None", "verified", None),
        (1004, "AES_CBC", "verified", None),
        (1002, "AES_CBC", "verified", None),
    ]


def test_only_the_request_of_init_connect_is_encrypted() -> None:
    request = init_request(packetEncAlgo=-1)
    exchange = Exchange().c2s(frame(1001, request, rsa(request, OUR_KEY))).s2c(frame(1001, init_response()))
    exchange.c2s(frame(1004, keep_alive())).s2c(frame(1004, keep_alive_answer()))
    expected = [(1001, "None", "verified", None), (1004, "None", "verified", None), (1004, "None", "verified", None)]
    assert told(decode(exchange, keys=ring())[0]) == [OPENED[0], *expected]
    # What is in clear needs no key.
    assert told(decode(exchange)[0]) == [(1001, "unknown", "unverified", "no-key"), *expected]


def test_init_connect_in_clear_hands_out_the_key_of_encrypted_messages() -> None:
    exchange = Exchange().c2s(frame(1001, init_request())).s2c(frame(1001, init_response()))
    exchange.c2s(frame(1004, keep_alive(), cbc(keep_alive())))
    assert told(decode(exchange)[0])[2:] == [(1004, "AES_CBC", "verified", None)]


def test_messages_that_stand_before_the_response_that_carries_their_key() -> None:
    request, response = init_request(), init_response()
    exchange = Exchange().c2s(frame(1001, request, rsa(request, OUR_KEY)))
    exchange.c2s(frame(1004, keep_alive(), cbc(keep_alive())), frame(1002, state_request(), ftaes(state_request())))
    exchange.s2c(frame(1001, response, rsa(response, OUR_KEY)))
    exchange.s2c(frame(1004, keep_alive_answer(), cbc(keep_alive_answer())))
    messages, _, _ = decode(exchange, keys=ring())
    assert [(m.proto_id, m.direction, m.encryption, m.verdict) for m in messages if m.direction == "c2s"] == [
        (1001, "c2s", "RSA", "verified"),
        (1004, "c2s", "AES_CBC", "verified"),
        (1002, "c2s", "FTAES_ECB", "verified"),
    ]
    assert {m.verdict for m in messages} == {"verified"}
    assert [m.number for m in messages] == [1, 2, 3, 4, 5]
    assert messages[-1].request == next(m.number for m in messages if (m.proto_id, m.kind) == (1004, "request"))


def test_what_one_connection_holds_back_holds_up_no_other() -> None:
    request, response = init_request(), init_response()
    waiting, other = Exchange(client_port=50001), Exchange(client_port=50002)
    waiting.c2s(frame(1001, request, rsa(request, OUR_KEY))).c2s(frame(1004, keep_alive(), cbc(keep_alive())))
    other.now = waiting.now
    other.c2s(frame(1002, state_request()))
    waiting.now = other.now + 10
    waiting.s2c(frame(1001, response, rsa(response, OUR_KEY)))
    messages, _, _ = decode(waiting, other, keys=ring())
    assert [(m.connection, m.proto_id) for m in messages][:2] == [(0, 1001), (1, 1002)]
    assert {m.verdict for m in messages} == {"verified"}


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_body_under_every_mode(mode: str) -> None:
    exchange = handshake(Exchange()).s2c(frame(1004, b"", MODES[mode](b"")))
    messages, _, _ = decode(exchange, keys=ring())
    assert messages[2].verdict == "verified"
    assert messages[2].plaintext == b""


def test_a_header_alone_is_a_message() -> None:
    empty = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    exchange = Exchange().c2s(frame(1002, b"")).s2c(frame(1004, b"", serial_no=9)).c2s(frame(9999, b""))
    messages, _, _ = decode(exchange)
    assert [(m.proto_id, m.body_len, m.sha1, m.verdict) for m in messages] == [
        (1002, 0, empty, "verified"),
        (1004, 0, empty, "verified"),
        (9999, 0, empty, "verified"),
    ]
    assert all(m.plaintext == b"" for m in messages)


def test_a_key_handed_out_again_replaces_the_first() -> None:
    other_key, other_iv = b"second key 01234", b"second iv 012345"
    exchange = handshake(Exchange()).c2s(frame(1004, keep_alive(), cbc(keep_alive())))
    response = init_response(key=other_key, iv=other_iv)
    exchange.s2c(frame(1001, response, rsa(response, OUR_KEY), serial_no=2))
    sealed = cbc(keep_alive(), other_key, other_iv)
    exchange.c2s(frame(1004, keep_alive(), sealed, serial_no=3))
    assert told(decode(exchange, keys=ring())[0])[-1] == (1004, "AES_CBC", "verified", None)


# Row 3: the sender hashed the ciphertext


def test_sha1_of_ciphertext_under_rsa_and_its_key_counts() -> None:
    request, response = init_request(), init_response()
    exchange = Exchange().c2s(hashing_ciphertext(1001, rsa(request, OUR_KEY)))
    exchange.s2c(hashing_ciphertext(1001, rsa(response, OUR_KEY)))
    exchange.c2s(frame(1004, keep_alive(), cbc(keep_alive())))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages) == [
        (1001, "RSA", "unverified", "sha1-of-ciphertext"),
        (1001, "RSA", "unverified", "sha1-of-ciphertext"),
        (1004, "AES_CBC", "verified", None),
    ]
    assert messages[0].to_dict() is not None
    assert messages[1].conn_id == str(CONN_ID)


@pytest.mark.parametrize("mode", MODES)
def test_sha1_of_ciphertext_under_aes(mode: str) -> None:
    plain = refused("GetGlobalState", "a text that is longer than one block")
    exchange = handshake(Exchange()).s2c(hashing_ciphertext(1002, MODES[mode](plain)))
    exchange.c2s(hashing_ciphertext(1004, MODES[mode](keep_alive())))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages)[2:] == [
        (1002, mode, "unverified", "sha1-of-ciphertext"),
        (1004, mode, "unverified", "sha1-of-ciphertext"),
    ]
    assert messages[2].plaintext == plain
    assert messages[2].body == {"retType": "RET_ERROR", "retMsg": "a text that is longer than one block"}


@pytest.mark.parametrize("mode", MODES)
def test_sha1_of_ciphertext_first_and_last_among_right_ones(mode: str) -> None:
    """It must not become what is tried first, nor may what works for others hide it."""
    exchange = handshake(Exchange())
    exchange.c2s(hashing_ciphertext(1004, MODES[mode](keep_alive()), serial_no=1))
    exchange.c2s(frame(1004, keep_alive(), MODES[mode](keep_alive()), serial_no=2))
    exchange.c2s(frame(1004, keep_alive(), serial_no=3))
    exchange.c2s(hashing_ciphertext(1004, MODES[mode](keep_alive()), serial_no=4))
    assert told(decode(exchange, keys=ring())[0])[2:] == [
        (1004, mode, "unverified", "sha1-of-ciphertext"),
        (1004, mode, "verified", None),
        (1004, "None", "verified", None),
        (1004, mode, "unverified", "sha1-of-ciphertext"),
    ]


def test_bytes_as_sent_that_are_a_message_are_in_clear() -> None:
    exchange = handshake(Exchange()).s2c(frame(1004, keep_alive_answer()))
    assert told(decode(exchange, keys=ring())[0])[2:] == [(1004, "None", "verified", None)]


def test_a_plain_body_that_does_not_parse_and_does_not_decrypt_is_verified_all_the_same() -> None:
    exchange = handshake(Exchange()).s2c(frame(1004, b"\xff" * 32))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages)[2:] == [(1004, "None", "verified", None)]
    assert "bad-body" in messages[2].notes


def test_bytes_with_none_but_unknown_fields_are_not_the_message() -> None:
    """The only messages without a required field are those of 3801 to 3803: there, ciphertext may well parse."""
    cls = vendor("SkillWrapAPI").TechnicalUnusualReq
    plain = cls(**{cls.DESCRIPTOR.fields[0].name: "00700"}).SerializeToString()
    keys = (hashlib.md5(b"%d" % number).hexdigest()[:16].encode() for number in range(100_000))
    key = next(key for key in keys if has_none_but_unknown_fields(cls, ecb(plain, key)))
    request, response = init_request(), init_response(key=key)
    exchange = Exchange().c2s(frame(1001, request, rsa(request, OUR_KEY)))
    exchange.s2c(frame(1001, response, rsa(response, OUR_KEY)))
    exchange.c2s(hashing_ciphertext(3801, ecb(plain, key)))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages)[2:] == [(3801, "AES_ECB", "unverified", "sha1-of-ciphertext")]
    assert messages[2].plaintext == plain
    # The same bytes where no key makes anything of them are what was sent.
    (message,), _, _ = decode(Exchange().c2s(hashing_ciphertext(3801, ecb(plain, key))))
    assert told([message]) == [(3801, "None", "verified", None)]
    assert message.notes == ["bad-body"]
    assert message.body is None
    assert message.raw


def has_none_but_unknown_fields(cls: Any, data: bytes) -> bool:
    try:
        return not cls.FromString(data).ListFields()
    except DecodeError:
        return False


# Row 4: InitConnect that no key opens


def test_no_key() -> None:
    messages, _, _ = decode(handshake(Exchange()).c2s(frame(1004, keep_alive(), cbc(keep_alive()))))
    assert told(messages) == [(number, "unknown", "unverified", "no-key") for number in (1001, 1001, 1004)]
    assert all("--rsa-key" in (m.hint or "") for m in messages)


def test_wrong_key() -> None:
    exchange = handshake(Exchange()).c2s(frame(1004, keep_alive(), cbc(keep_alive())))
    messages, _, _ = decode(exchange, keys=ring(OTHER_KEY, rsa_key(2048)))
    assert told(messages) == [(number, "unknown", "unverified", "wrong-key") for number in (1001, 1001, 1004)]


def test_the_sample_key_that_is_tried_unasked_is_no_given_key() -> None:
    pytest.importorskip("futu")
    keys = KeyRing()
    keys.use_sample_key()
    messages, _, _ = decode(handshake(Exchange()), keys=keys)
    assert {m.reason for m in messages} == {"no-key"}
    sample = Exchange()
    handshake(sample, key=keys.rsa_keys[0].key)
    messages, _, decoder = decode(sample, keys=keys)
    assert told(messages) == OPENED
    assert any("sample key" in line for line in decoder.summary.reports)


# Row 5: the handshake was not seen


def test_handshake_missing() -> None:
    exchange = Exchange(syn=False).c2s(frame(1004, keep_alive(), cbc(keep_alive()), 1))
    exchange.s2c(frame(1004, keep_alive_answer(), cbc(keep_alive_answer()), 1))
    exchange.c2s(frame(1004, keep_alive(), cbc(keep_alive()), 2))
    exchange.s2c(frame(1004, keep_alive_answer(), cbc(keep_alive_answer()), 2))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages) == [(1004, "unknown", "unverified", "handshake-missing")] * 4


def test_a_late_start_in_clear_has_no_need_of_a_handshake() -> None:
    exchange = Exchange(syn=False).c2s(frame(1004, keep_alive(), serial_no=1))
    exchange.s2c(frame(1004, keep_alive_answer(), serial_no=1))
    bad = bytearray(frame(1004, keep_alive(), serial_no=2))
    bad[-1] ^= 1
    exchange.c2s(bytes(bad)).c2s(frame(1004, keep_alive(), serial_no=3))
    assert told(decode(exchange)[0]) == [
        (1004, "None", "verified", None),
        (1004, "None", "verified", None),
        (1004, "None", "failed", "sha1-mismatch"),
        (1004, "None", "verified", None),
    ]


def test_a_handshake_whose_response_was_lost_is_missing() -> None:
    request, response = init_request(), init_response()
    exchange = Exchange().c2s(frame(1001, request, rsa(request, OUR_KEY)))
    exchange.lose("s2c", len(frame(1001, response, rsa(response, OUR_KEY))))
    for serial_no in (2, 3):
        exchange.c2s(frame(1004, keep_alive(), cbc(keep_alive()), serial_no))
        exchange.s2c(frame(1004, keep_alive_answer(), cbc(keep_alive_answer()), serial_no))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages) == [OPENED[0]] + [(1004, "unknown", "unverified", "handshake-missing")] * 4


def test_a_handshake_of_which_only_the_request_is_there_and_no_key_opens_it() -> None:
    request, sealed = init_request(), cbc(keep_alive())
    exchange = Exchange().c2s(frame(1001, request, rsa(request, OUR_KEY)))
    exchange.lose("s2c", 300).c2s(frame(1004, keep_alive(), sealed)).c2s(frame(1004, keep_alive(), sealed, 2))
    for keys, reason in ((None, "no-key"), (ring(OTHER_KEY), "wrong-key")):
        assert {m.reason for m in decode(exchange, keys=keys)[0]} == {reason}


def test_damage_on_a_connection_whose_handshake_was_answered_in_clear_is_damage() -> None:
    request = init_request(packetEncAlgo=-1)
    bad = frame(1004, keep_alive(), keep_alive(1), 2)
    exchange = Exchange().c2s(frame(1001, request, rsa(request, OUR_KEY))).s2c(frame(1001, init_response()))
    exchange.c2s(frame(1004, keep_alive())).c2s(bad)
    assert told(decode(exchange)[0])[2:] == [
        (1004, "None", "verified", None),
        (1004, "None", "failed", "sha1-mismatch"),
    ]


# Key logs


def write_keylog(path: Path, *entries: tuple[int, bytes, bytes | None]) -> Path:
    lines = [f"OPEND_AES {conn_id} {key.hex()}" + (f" {iv.hex()}" if iv else "") for conn_id, key, iv in entries]
    path.write_text("\n".join(lines) + "\n")
    return path


def late(mode: str) -> Exchange:
    exchange = Exchange(syn=False)
    for serial_no in (1, 2):
        exchange.c2s(frame(1004, keep_alive(), MODES[mode](keep_alive()), serial_no))
        exchange.s2c(frame(1004, keep_alive_answer(), MODES[mode](keep_alive_answer()), serial_no))
    return exchange


@pytest.mark.parametrize("mode", MODES)
def test_a_key_log_stands_in_for_the_handshake(mode: str, tmp_path: Path) -> None:
    others = [(number, hashlib.md5(b"%d" % number).digest(), IV) for number in range(50)]
    path = write_keylog(tmp_path / "keys", *others[:25], (CONN_ID, KEY, IV), *others[25:])
    messages, _, _ = decode(late(mode), keys=KeyRing(keylogs=[path]))
    assert told(messages) == [(1004, mode, "verified", None)] * 4
    assert {m.conn_id for m in messages} == {str(CONN_ID)}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("FTAES_ECB", ("FTAES_ECB", "verified", None)),
        ("AES_ECB", ("AES_ECB", "verified", None)),
        ("AES_CBC", ("unknown", "unverified", "handshake-missing")),
    ],
)
def test_a_key_log_without_an_iv_opens_everything_but_cbc(
    mode: str, expected: tuple[str, str, str | None], tmp_path: Path
) -> None:
    path = write_keylog(tmp_path / "keys", (CONN_ID, KEY, None))
    messages, _, _ = decode(late(mode), keys=KeyRing(keylogs=[path]))
    assert told(messages) == [(1004, *expected)] * 4


def test_a_key_log_of_other_connections_opens_nothing(tmp_path: Path) -> None:
    path = write_keylog(tmp_path / "keys", (1, NOT_THE_KEY, IV), (2, bytes(16), None))
    messages, _, _ = decode(late("AES_CBC"), keys=KeyRing(keylogs=[path]))
    assert told(messages) == [(1004, "unknown", "unverified", "handshake-missing")] * 4
    assert {m.conn_id for m in messages} == {None}


def test_a_key_log_serves_a_handshake_that_no_key_opens(tmp_path: Path) -> None:
    path = write_keylog(tmp_path / "keys", (CONN_ID, KEY, IV))
    exchange = handshake(Exchange()).c2s(frame(1004, keep_alive(), cbc(keep_alive())))
    messages, _, _ = decode(exchange, keys=KeyRing(keylogs=[path]))
    assert told(messages) == [
        (1001, "unknown", "unverified", "no-key"),
        (1001, "unknown", "unverified", "no-key"),
        (1004, "AES_CBC", "verified", None),
    ]
    assert messages[2].conn_id == str(CONN_ID)


def test_trials_of_a_key_log_are_bounded(tmp_path: Path) -> None:
    others = [(number, hashlib.md5(b"%d" % number).digest(), IV) for number in range(30)]
    path = write_keylog(tmp_path / "keys", *others, (CONN_ID, KEY, IV))
    for tries, reason in ((30, "handshake-missing"), (1000, None)):
        messages, _, _ = decode(late("AES_CBC"), keys=KeyRing(keylogs=[path]), limits=Limits(max_keylog_tries=tries))
        assert {m.reason for m in messages} == {reason}


def test_a_key_of_the_log_is_a_key_of_the_connection(tmp_path: Path) -> None:
    path = write_keylog(tmp_path / "keys", (1, NOT_THE_KEY, IV), (CONN_ID, KEY, IV))
    exchange = late("AES_CBC").c2s(hashing_ciphertext(1004, cbc(keep_alive()), 7))
    messages, _, _ = decode(exchange, keys=KeyRing(keylogs=[path]))
    assert told(messages)[4:] == [(1004, "AES_CBC", "unverified", "sha1-of-ciphertext")]


def test_a_harvested_key_log_opens_the_same_capture_from_the_middle(tmp_path: Path) -> None:
    exchange = handshake(Exchange()).c2s(frame(1004, keep_alive(), cbc(keep_alive())))
    keys = ring()
    decode(exchange, keys=keys)
    path = tmp_path / "keys"
    path.write_text("".join(key_log_line(key) + "\n" for key in keys.harvested))
    assert path.read_text() == f"OPEND_AES {CONN_ID} {KEY.hex()} {IV.hex()}\n"
    assert told(decode(late("AES_CBC"), keys=KeyRing(keylogs=[path]))[0]) == [(1004, "AES_CBC", "verified", None)] * 4


# Last row: damaged, or hashed wrongly


@pytest.mark.parametrize("mode", [None, *MODES])
def test_a_flipped_bit_in_a_body_fails_that_message_and_no_other(mode: str | None) -> None:
    plain = refused("KeepAlive", "x" * 100)
    sealed = plain if mode is None else MODES[mode](plain)
    for position in (0, 5, len(sealed) // 2, len(sealed) - 1):
        for bit in (0, 7):
            bad = bytearray(sealed)
            bad[position] ^= 1 << bit
            exchange = handshake(Exchange()).s2c(frame(1004, plain, sealed, 1), frame(1004, plain, bytes(bad), 2))
            exchange.s2c(frame(1004, plain, sealed, 3))
            messages, gaps, _ = decode(exchange, keys=ring())
            assert [(m.serial_no, m.verdict, m.reason) for m in messages[2:]] == [
                (1, "verified", None),
                (2, "failed", "sha1-mismatch"),
                (3, "verified", None),
            ]
            assert gaps == []


def test_a_failed_body_is_shown_where_it_parses_completely() -> None:
    plain = refused("KeepAlive", "x" * 40)
    bad = plain.replace(b"xxxx", b"xyxx", 1)
    for sealed, shown in ((bad, "None"), (cbc(bad), "AES_CBC"), (ftaes(bad), "FTAES_ECB"), (ecb(bad), "AES_ECB")):
        exchange = handshake(Exchange()).s2c(frame(1004, plain, sealed, 2))
        messages, _, _ = decode(exchange, keys=ring())
        assert told(messages)[2:] == [(1004, shown, "failed", "sha1-mismatch")]
        assert messages[2].body == {"retType": "RET_ERROR", "retMsg": "xyxx" + "x" * 36}


def test_a_failed_body_that_does_not_parse_is_not_shown() -> None:
    exchange = handshake(Exchange()).s2c(frame(1004, keep_alive_answer(), b"\xff" * 31, 2))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages)[2:] == [(1004, "unknown", "failed", "sha1-mismatch")]
    assert messages[2].body is None


def test_a_damaged_init_connect_in_clear_is_no_missing_key() -> None:
    bad = bytearray(frame(1001, init_request()))
    bad[-1] ^= 1
    exchange = Exchange().c2s(bytes(bad)).s2c(frame(1001, init_response()))
    messages, _, _ = decode(exchange)
    assert {m.direction: (m.encryption, m.verdict, m.reason) for m in messages} == {
        "c2s": ("None", "failed", "sha1-mismatch"),
        "s2c": ("None", "verified", None),
    }


def test_a_wrong_hash_under_rsa_is_a_mismatch_and_not_a_wrong_key() -> None:
    request = init_request()
    exchange = Exchange().c2s(frame(1001, request, rsa(request, OUR_KEY), sha1=bytes(20)))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages) == [(1001, "RSA", "failed", "sha1-mismatch")]
    assert messages[0].plaintext == request


def test_a_message_under_a_key_that_no_one_handed_out_fails() -> None:
    sealed = cbc(keep_alive(), NOT_THE_KEY)
    exchange = handshake(Exchange()).c2s(frame(1004, keep_alive(), sealed))
    assert told(decode(exchange, keys=ring())[0])[2:] == [(1004, "unknown", "failed", "sha1-mismatch")]


# Bodies


def test_an_unknown_id_shows_what_is_known() -> None:
    body = b"\x08\x96\x01\x12\x02hi"
    exchange = Exchange().c2s(frame(4567, body, serial_no=3)).s2c(frame(4567, body, serial_no=3))
    messages, _, _ = decode(exchange)
    for message, kind in zip(messages, ("request", "response"), strict=True):
        assert (message.proto_id, message.proto, message.kind) == (4567, None, kind)
        assert message.verdict == "verified"
        assert message.body is None
        assert message.notes == ["unknown-protocol"]
        raw = str(message.raw)
        assert "150" in raw
        assert "hi" in raw
    assert messages[1].request == messages[0].number


def test_a_verified_body_that_does_not_parse_is_noted() -> None:
    for body in (b"\xff\xff\xff", b"\x0a\x7f", b""):
        messages, _, _ = decode(Exchange().c2s(frame(1002, body)))
        (message,) = messages
        assert (message.verdict, message.reason) == ("verified", None)
        assert message.body is None
        assert message.notes == ["bad-body"]


def test_unknown_fields_and_enum_numbers_are_noted_and_kept() -> None:
    notify = vendor("Notify").Response(retType=0)
    notify.s2c.type = 1
    notify.s2c.event.eventType = 4242
    notify.s2c.event.desc = "new"
    data = notify.SerializeToString() + b"\xfa\x3e\x03abc"
    messages, _, _ = decode(Exchange().s2c(frame(1003, data)))
    (message,) = messages
    assert message.kind == "push"
    assert message.body == {
        "retType": "RET_OK",
        "s2c": {"type": "GTW_EVENT", "event": {"eventType": 4242, "desc": "new"}},
    }
    assert sorted(message.notes) == ["unknown-enum-value", "unknown-fields"]


@pytest.mark.parametrize("mode", [None, *MODES])
def test_json_bodies_under_every_mode(mode: str | None) -> None:
    request = vendor("KeepAlive").Request()
    request.c2s.time = 1_700_000_000
    plain = json_format.MessageToJson(request).encode()
    sealed = plain if mode is None else MODES[mode](plain)
    exchange = handshake(Exchange()).c2s(frame(1004, plain, sealed, fmt=1))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages)[2:] == [(1004, mode or "None", "verified", None)]
    assert messages[2].format == "Json"
    assert messages[2].body == {"c2s": {"time": "1700000000"}}


def test_json_init_connect_hands_out_its_key() -> None:
    response = vendor("InitConnect").Response.FromString(init_response())
    plain = json_format.MessageToJson(response).encode()
    request = init_request()
    exchange = Exchange().c2s(frame(1001, request, rsa(request, OUR_KEY)))
    exchange.s2c(frame(1001, plain, rsa(plain, OUR_KEY), fmt=1))
    exchange.c2s(frame(1004, keep_alive(), cbc(keep_alive())))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages) == [*OPENED, (1004, "AES_CBC", "verified", None)]
    assert messages[1].conn_id == str(CONN_ID)


def test_json_whose_ciphertext_was_hashed() -> None:
    plain = b'{"c2s": {"time": "1700000000"}}'
    exchange = handshake(Exchange()).c2s(frame(1004, cbc(plain), fmt=1))
    messages, _, _ = decode(exchange, keys=ring())
    assert told(messages)[2:] == [(1004, "AES_CBC", "unverified", "sha1-of-ciphertext")]
    assert messages[2].body == {"c2s": {"time": "1700000000"}}


# All of it at once


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_mixture_on_an_encrypted_connection(data: st.DataObject) -> None:
    """Whatever is done to each message, its row of the table is what comes out, and the next one is unharmed."""
    exchange = handshake(Exchange())
    expected: list[tuple[str, str, str | None]] = []
    for serial_no in range(data.draw(st.integers(1, 8))):
        mode = data.draw(st.sampled_from([None, *MODES]))
        plain = refused("KeepAlive", data.draw(st.text("abc", max_size=40)))
        sealed = plain if mode is None else MODES[mode](plain)
        what = data.draw(st.sampled_from(["right", "hash-ciphertext", "flip"]))
        sha1 = hashlib.sha1(plain).digest()
        if what == "hash-ciphertext":
            sha1 = hashlib.sha1(sealed).digest()
        elif what == "flip":
            sha1 = bytes([sha1[0] ^ 1]) + sha1[1:]
        exchange.s2c(frame(1004, plain, sealed, serial_no, sha1=sha1))
        if what == "flip":
            expected.append((mode or "None", "failed", "sha1-mismatch"))
        elif what == "right" or mode is None:
            expected.append((mode or "None", "verified", None))
        else:
            expected.append((mode, "unverified", "sha1-of-ciphertext"))
    messages, _, _ = decode(exchange, keys=ring())
    assert [(m.encryption, m.verdict, m.reason) for m in messages[2:]] == expected


def test_every_reason_has_a_hint() -> None:
    assert set(HINTS) == {
        "truncated",
        "gap",
        "oversize",
        "rsa-padding",
        "sha1-of-ciphertext",
        "no-key",
        "wrong-key",
        "handshake-missing",
        "no-digest",
        "sha1-mismatch",
    }


# A first InitConnect that is hashed wrongly


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("fmt", [0, 1])
def test_a_first_init_connect_with_a_wrong_sha1_is_no_foreign_traffic(encrypted: bool, fmt: int) -> None:
    """SDK authors hash nothing, the ciphertext's hex, or write zeros: the message is shown, and said to be wrong."""
    plain = init_request()
    if fmt:
        plain = json_format.MessageToJson(vendor("InitConnect").Request.FromString(plain)).encode()
    right = hashlib.sha1(plain)
    for wrong in (bytes(20), hashlib.sha1(b"").digest(), right.hexdigest().encode()[:20], b"\xff" * 20):
        sent = rsa(plain, OUR_KEY) if encrypted else plain
        for mss in (65000, 20):
            exchange = Exchange().c2s(frame(1001, plain, sent, fmt=fmt, sha1=wrong), mss=mss)
            messages, gaps, decoder = decode(exchange, keys=ring())
            encryption = "RSA" if encrypted else "None"
            assert told(messages) == [(1001, encryption, "failed", "sha1-mismatch")]
            assert messages[0].body is not None
            assert messages[0].body["c2s"]["clientID"] == "test"
            assert (gaps, decoder.summary.not_opend) == ([], [])
