"""Both ends of a segment as one key."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.packet.flow_key import endpoints, ports, reverse_key

numbers = st.integers(0, 65_535)
addresses = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)), st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6))
)


def key_of(source: str, destination: str, source_port: int, destination_port: int) -> bytes:
    ends = ip_address(source).packed + ip_address(destination).packed
    return ends + source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")


@pytest.mark.parametrize(
    ("source", "destination", "shown"),
    [
        ("127.0.0.1", "10.1.2.3", ("127.0.0.1:50112", "10.1.2.3:11111")),
        ("::1", "2001:db8::2", ("[::1]:50112", "[2001:db8::2]:11111")),
    ],
)
def test_ends_as_people_write_them(source: str, destination: str, shown: tuple[str, str]) -> None:
    key = key_of(source, destination, 50112, 11111)
    assert endpoints(key) == shown
    assert ports(key) == (50112, 11111)


@given(addresses, numbers, numbers)
def test_the_reverse_key_is_that_of_the_other_direction(ends: tuple[object, object], source: int, other: int) -> None:
    first, second = map(str, ends)
    key = key_of(first, second, source, other)
    assert reverse_key(key) == key_of(second, first, other, source)
    assert endpoints(reverse_key(key)) == endpoints(key)[::-1]
    assert ports(reverse_key(key)) == (other, source)
