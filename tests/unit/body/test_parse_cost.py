"""What parsing a body would take: bodies that would fill the memory are refused before they are parsed."""

from __future__ import annotations

import json
import tracemalloc
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.body.parse_cost import always_safe_size, check_json, check_protobuf, too_deep
from decoder.limits import Limits
from decoder.schema import message_class, protocols
from tests.support.exchange import vendor
from tests.support.session import filled, security

SMALL = Limits(max_parsed=1 << 20)
SUB = message_class("Qot_Sub.Request")


def many(count: int) -> bytes:
    """A request with so many securities, which have two bytes each."""
    inner = b"\x0a\x00" * count
    size = len(inner)
    return b"\x0a" + varint(size) + inner


def varint(number: int) -> bytes:
    data = b""
    while number > 0x7F:
        data += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return data + bytes((number,))


def test_a_body_of_many_small_messages_is_refused() -> None:
    assert check_protobuf(many(100), SUB.DESCRIPTOR, SMALL) is None
    assert check_protobuf(many(100_000), SUB.DESCRIPTOR, SMALL) == "too-large: parsed, it would take more than 1 MiB"


def test_the_estimate_is_not_below_what_is_taken() -> None:
    """Message and plain data together, as Python counts it; protobuf's own memory comes on top."""
    from decoder.body.to_dict import to_dict

    data = many(20_000)
    tracemalloc.start()
    message = SUB.FromString(data)
    plain = to_dict(message)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert plain
    assert check_protobuf(data, SUB.DESCRIPTOR, Limits(max_parsed=peak)) is not None


def test_small_bodies_are_not_scanned() -> None:
    assert always_safe_size(Limits(max_parsed=256 << 20)) == 1 << 20
    assert always_safe_size(Limits(max_parsed=256 << 20, max_depth=5)) == 0


def test_depth_is_bounded() -> None:
    data = filled(
        vendor("Qot_Sub").Request(), {"c2s": {"securityList": [security()], "subTypeList": [1], "isSubOrUnSub": True}}
    ).SerializeToString()
    assert too_deep(data, SUB.DESCRIPTOR, Limits(max_depth=1)) == "too-deep: nested more than 1 levels deep"
    assert too_deep(data, SUB.DESCRIPTOR, Limits(max_depth=2)) is None
    groups = b"\x0b" * 200
    assert too_deep(groups, SUB.DESCRIPTOR, Limits()) == "too-deep: nested more than 100 levels deep"


def test_what_the_schema_does_not_know_costs_nothing() -> None:
    unknown = b"\xf8\x3f\x01" * 500_000
    assert check_protobuf(unknown, SUB.DESCRIPTOR, SMALL) is None


def test_packed_lists_count_each_item() -> None:
    cls = message_class("Qot_Sub.C2S")
    packed = b"\x12" + varint(100_000) + b"\x01" * 100_000  # subTypeList
    assert check_protobuf(packed, cls.DESCRIPTOR, SMALL) is not None


@pytest.mark.parametrize("seed", range(4))
def test_any_bytes_are_scanned_without_an_error_for_any_type(seed: int) -> None:
    random = Random(seed)
    for known in protocols():
        for name in filter(None, (known.request, known.response)):
            data = random.randbytes(300)
            check_protobuf(data, message_class(name).DESCRIPTOR, Limits(max_parsed=1, max_depth=3))


keys = st.text(max_size=3)
nested = st.recursive(
    st.none() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(nested, st.integers(1, 5))
def test_the_depth_of_json_by_its_definition(value: Any, most: int) -> None:
    found = check_json(json.dumps(value).encode(), Limits(max_depth=most))
    assert (found is not None) is (depth(value) > most + 1)  # the body itself is no level


@pytest.mark.parametrize("text", ['"[[[[["', '"\\"[[[["', '{"a": "\\\\"}', '"\\\\\\"[[["'])
def test_brackets_in_texts_do_not_count(text: str) -> None:
    assert check_json(text.encode(), Limits(max_depth=1)) is None


def test_json_of_many_objects_is_refused() -> None:
    data = json.dumps([{"a": {}}] * 3_000).encode()
    assert check_json(data, SMALL) == "too-large: parsed, it would take more than 1 MiB"
    assert check_json(data, Limits()) is None


def test_deep_json_costs_linear_time() -> None:
    """Thousands of levels: as many passes as are allowed, and no recursion."""
    assert check_json(b"[" * 200_000 + b"]" * 200_000, Limits(max_parsed=1 << 40)) is not None
