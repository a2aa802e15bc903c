"""What several processes render is what one renders, in the same order."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from recorded import CAPTURES, RECORDINGS

import decoder
from decoder.commands import parallel
from decoder.keys import KeyRing
from decoder.output.jsonl import JsonLinesOutput
from decoder.output.text import TextOutput
from decoder.where import compile_filter

BATCHES = [[item] * 40 for item in decoder.read(RECORDINGS[0].path)]


def batches() -> list[list[Any]]:
    return BATCHES


@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize("slot", [64, 2**20], ids=["too small", "large enough"])
@pytest.mark.parametrize("output", [JsonLinesOutput, partial(TextOutput, utc=True)], ids=["bytes", "text"])
def test_the_same_in_the_same_order(output: Any, slot: int, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it does not fit into the shared memory, or is text."""
    monkeypatch.setattr(parallel, "_SLOT", slot)
    one = [output().render(batch) for batch in BATCHES]
    assert len(one) > 10
    assert list(parallel.render_in_order(BATCHES, batches, output, jobs)) == one


def killed_after_ten() -> Iterator[list[Any]]:
    yield from BATCHES[:10]
    os._exit(9)


def one_more_message() -> list[list[Any]]:
    return [*BATCHES[:10], [*BATCHES[10], BATCHES[10][0]], *BATCHES[11:]]


@pytest.mark.parametrize("again", [killed_after_ten, one_more_message, list], ids=["killed", "differs", "nothing"])
@pytest.mark.parametrize("jobs", [2, 3])
def test_what_a_worker_does_not_deliver_is_rendered_all_the_same(again: Any, jobs: int) -> None:
    one = [JsonLinesOutput().render(batch) for batch in BATCHES]
    assert list(parallel.render_in_order(BATCHES, again, JsonLinesOutput, jobs)) == one


def test_workers_render_their_share() -> None:
    """So that the tests above do not see everything rendered by the main process."""
    rendered = list(parallel.render_in_order(BATCHES, batches, ProcessNames, 3))
    assert len(set(rendered)) == 3
    assert all(rendered[index] == rendered[index % 3] for index in range(len(rendered)))


class ProcessNames:
    def render(self, records: Any) -> bytes:
        return str(os.getpid()).encode()


def test_what_a_worker_needs_can_be_handed_to_a_fresh_process() -> None:
    """Where there is no fork."""
    ring = KeyRing([CAPTURES / "demo_rsa_key.pem"])
    copy = pickle.loads(pickle.dumps(ring))
    assert [(each.name, each.key) for each in copy.rsa_keys] == [(each.name, each.key) for each in ring.rsa_keys]
    chosen = pickle.loads(pickle.dumps(compile_filter("kind=response")))
    assert [chosen.match(batch[0]) for batch in BATCHES] == [batch[0].kind == "response" for batch in BATCHES]
