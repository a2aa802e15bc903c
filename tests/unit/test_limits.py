"""Limits: they scale with the memory that is allowed, and refuse what protobuf could not keep."""

from __future__ import annotations

from dataclasses import fields

import pytest

from decoder.limits import Limits

MIB = 1 << 20


@pytest.mark.parametrize("memory", [1, MIB, 16 * MIB, 256 * MIB, 4096 * MIB])
def test_no_buffer_takes_more_than_its_share_of_the_memory(memory: int) -> None:
    limits = Limits().with_memory(memory)
    assert limits.max_memory == memory
    least = 64 * 1024
    assert limits.max_body <= max(memory // 2, least)
    for size in (limits.max_pending, limits.max_held_bytes, limits.max_fragment_bytes):
        assert 0 < size <= max(memory // 4, least)


def test_more_memory_than_usual_raises_no_other_limit() -> None:
    usual, large = Limits(), Limits().with_memory(1 << 40)
    changed = {field.name for field in fields(Limits) if getattr(usual, field.name) != getattr(large, field.name)}
    assert changed == {"max_memory"}


def test_little_memory_still_tracks_connections() -> None:
    assert Limits().with_memory(1).max_connections == 256
    assert Limits().with_memory(4 * MIB).max_connections == 1024


@pytest.mark.parametrize("depth", [0, -1, 101])
def test_a_depth_that_protobuf_does_not_read_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="max_depth is 1 to 100"):
        Limits(max_depth=depth)
