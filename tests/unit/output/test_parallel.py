"""What several processes render is what one renders, in the same order."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import decoder
from decoder import Gap
from decoder.message import Flow
from decoder.output import parallel
from decoder.output.jsonl import JsonLinesOutput
from decoder.output.text import TextOutput
from tests.support.recorded import RECORDINGS

GAP = Gap(Flow(1, "s2c", "a:1", "b:2"), 1_700_000_000_000_000_000, 1448, "lost", 7)
BATCHES: list[list[Any]] = [[item, GAP] * 20 for item in decoder.read(RECORDINGS[0].path)] * 3
MAIN = os.getpid()


@pytest.fixture(params=["fork", "spawn"])
def start_method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How workers are started: on Linux, and elsewhere."""
    method: str = request.param
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform cannot {method}")
    context = multiprocessing.get_context(method)
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: context)
    return method


@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize("slot", [64, 4096, 2**20], ids=["for nothing", "for batches only", "for all"])
@pytest.mark.parametrize("output", [JsonLinesOutput, partial(TextOutput, utc=True)], ids=["bytes", "text"])
def test_the_same_in_the_same_order(output: Any, slot: int, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it does not fit into the shared memory, or is text."""
    monkeypatch.setattr(parallel, "_SLOT_SIZE", slot)
    one = [output().render(batch) for batch in BATCHES]
    assert len(one) > 3 * parallel._MAX_QUEUED
    assert list(parallel.render_in_order(BATCHES, output, jobs)) == one


def test_however_workers_are_started(start_method: str) -> None:
    one = [JsonLinesOutput().render(batch) for batch in BATCHES]
    assert list(parallel.render_in_order(BATCHES, JsonLinesOutput, 2)) == one


def test_all_processes_take_their_part() -> None:
    """So that the tests above do not see everything rendered by the main process."""
    rendered = list(parallel.render_in_order([[GAP]] * 200, ProcessNames, 3))
    assert len(set(rendered)) == 3
    assert min(map(rendered.count, rendered)) > 20


class ProcessNames:
    def render(self, records: Any) -> bytes:
        time.sleep(0.002)
        return str(os.getpid()).encode()


class Mortal(JsonLinesOutput):
    """Ends the worker in which it renders its sixth batch."""

    lives = 6

    def render(self, records: Any) -> bytes:
        if os.getpid() != MAIN:
            self.lives -= 1
            if not self.lives:
                os._exit(9)
        return super().render(records)


@pytest.mark.parametrize("jobs", [2, 3])
def test_what_a_killed_worker_leaves_is_rendered_all_the_same(jobs: int) -> None:
    one = [JsonLinesOutput().render(batch) for batch in BATCHES]
    assert list(parallel.render_in_order(BATCHES, Mortal, jobs)) == one


class Failing:
    def render(self, records: Any) -> bytes:
        raise LookupError("of the renderer")


def test_an_error_in_a_worker_is_the_callers(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LookupError, match="of the renderer"):
        list(parallel.render_in_order(BATCHES, Failing, 2))
    assert capfd.readouterr().err == ""


class Slow:
    """Takes its time in a worker."""

    def render(self, records: Any) -> bytes:
        if os.getpid() != MAIN:
            time.sleep(0.5)
        return b""


def test_no_more_is_read_ahead_than_is_allowed() -> None:
    read = 0

    def counted() -> Iterator[list[Any]]:
        nonlocal read
        for _ in range(10_000):
            read += 1
            yield [GAP]

    rendered = parallel.render_in_order(counted(), Slow, 2)
    next(rendered)
    assert parallel._MAX_QUEUED < read <= 2 * parallel._MAX_WAITING + 1
    rendered.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()
