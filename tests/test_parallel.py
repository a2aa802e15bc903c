"""What several processes render is what one renders, in the same order."""

from __future__ import annotations

from functools import partial

import pytest
from recorded import RECORDINGS

import decoder
from decoder.commands import parallel
from decoder.output.jsonl import JsonLinesOutput
from decoder.output.text import TextOutput

BATCHES = [[item] * 40 for item in decoder.read(RECORDINGS[0].path)]


@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize("slot", [64, 2**20], ids=["too small", "large enough"])
@pytest.mark.parametrize("output", [JsonLinesOutput, partial(TextOutput, utc=True)], ids=["bytes", "text"])
def test_the_same_in_the_same_order(output: type, slot: int, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it does not fit into the shared memory, or is text."""
    monkeypatch.setattr(parallel, "_SLOT", slot)
    monkeypatch.setattr(parallel, "_WORTH_SENDING", 100)
    one = [output().render(batch) for batch in BATCHES]
    several = list(parallel.render_in_order(BATCHES, output, jobs))
    assert len(several) > 10
    assert type(one[0])().join(several) == type(one[0])().join(one)
