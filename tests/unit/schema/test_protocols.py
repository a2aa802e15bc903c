"""Protocols by id and name."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from decoder.schema import (
    body_class,
    is_push,
    message_class,
    protocol,
    protocol_named,
    protocols,
)
from decoder.schema.protocols import _BODIES
from tests.tools.vendor_constants import Constants, read_constants

PUSHES = {1003, 2208, 2218, 3005, 3007, 3009, 3011, 3013, 3015, 3019, 3261, 3310, 3450, 3451, 3452}


@pytest.fixture(scope="module")
def constants(vendor: Any) -> Constants:
    return read_constants(vendor.folder.parent.parent)


def test_every_id_of_the_sdk_is_known_by_its_name(constants: Constants) -> None:
    assert len(constants.protocol_ids) > 170
    for name, number in constants.protocol_ids.items():
        found = protocol(number)
        assert found is not None, number
        assert found.name == name
        assert found.state == "current"
        assert protocol_named(name) is found


def test_the_pushes_of_the_sdk_are_pushes_and_its_requests_are_not(constants: Constants) -> None:
    assert {constants.protocol_ids[name] for name in constants.pushes} == PUSHES
    for number in constants.protocol_ids.values():
        assert is_push(number) == (number in PUSHES), number


def test_old_and_unconfirmed_pushes_are_pushes_too() -> None:
    assert {p.proto_id for p in protocols() if p.kind == "push"} - PUSHES == {2, 2207, 3017}
    assert not is_push(0xFFFFFFFF)


def test_protocols_come_in_the_order_of_their_ids() -> None:
    numbers = [known.proto_id for known in protocols()]
    assert numbers == sorted(set(numbers))


def test_every_protocol_has_its_messages(constants: Constants, vendor: Any) -> None:
    for name, number in constants.protocol_ids.items():
        if f"{name}.Response" in vendor.messages:
            answer = body_class(number, "s2c")
            assert answer is message_class(f"{name}.Response")
            request = body_class(number, "c2s")
            assert request is (None if number in PUSHES else message_class(f"{name}.Request"))


@pytest.mark.parametrize(
    ("number", "name"), [(3801, "TechnicalUnusual"), (3802, "FinancialUnusual"), (3803, "DerivativeUnusual")]
)
def test_three_protocols_have_messages_without_the_usual_wrappers(number: int, name: str) -> None:
    assert body_class(number, "c2s") is message_class(f"SkillWrapAPI.{name}Req")
    assert body_class(number, "s2c") is message_class(f"SkillWrapAPI.{name}Rsp")


def test_retired_protocols_still_decode() -> None:
    for number in (3016, 3017, 3100, 3101, 3102, 3200):
        known = protocol(number)
        assert known is not None
        assert known.state.startswith("removed")
        assert body_class(number, "s2c") is not None


def test_what_has_no_body_has_no_class() -> None:
    for number in (2, 1009, 0, 4, 0xFFFFFFFF):
        assert body_class(number, "c2s") is None
        assert body_class(number, "s2c") is None


def test_the_login_of_the_websocket_port_has_classes() -> None:
    assert body_class(1, "c2s") is message_class("InitWebSocket.Request")
    assert body_class(1, "s2c") is message_class("InitWebSocket.Response")


def test_unknown_ids_are_not_remembered() -> None:
    before = len(_BODIES)
    for number in range(50_000, 60_000):
        body_class(number, "c2s")
    assert len(_BODIES) == before


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_ids_and_kinds_need_no_protobuf() -> None:
    code = """
import sys, decoder.schema as schema
assert schema.is_push(1003) and not schema.is_push(3004)
assert schema.protocol(2202).name == "Trd_PlaceOrder"
print([name for name in sys.modules if name.startswith(("google", "scapy", "rich", "click"))])
"""
    assert run(code).strip() == "[]"
