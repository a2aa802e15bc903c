"""A checkpoint is read by the version that wrote it, and runs nothing."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from decoder.errors import OpenDError
from decoder.output import checkpoint
from decoder.output.checkpoint import packed, unpacked


def test_a_state_comes_back() -> None:
    known = object()
    state = {"a": [1, b"2", None], "known": known}
    assert unpacked(packed(state, {"name": known}), {"name": 5}) == {"a": [1, b"2", None], "known": 5}


def test_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed([1], {})
    monkeypatch.setattr(checkpoint, "version", lambda name: "9.9")
    with pytest.raises(OpenDError, match=r"written by version 0\.2\.0, this is 9\.9"):
        unpacked(content, {})


class Runs:
    """Runs a command when it is unpickled as usual."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


def test_nothing_in_it_is_run(tmp_path: Path) -> None:
    hostile: list[bytes] = [
        pickle.dumps(Runs(tmp_path / "made"), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ]
    hostile += [
        pickle.dumps((1, "0.2.0", OrderedDict(), [])),  # harmless, but not needed
        pickle.dumps((1, "0.2.0", ["method", ["known", "tables"], "__init__"], [])),
        b"\x80\x05cos\nmkdir\n(X\x01\x00\x00\x00atR.",
        b"\x80\x05\x82\x01.",  # a registered extension
        b"\x80\x05X\x01\x00\x00\x00aQ.",  # a persistent id
    ]
    for content in hostile:
        with pytest.raises(OpenDError, match="the checkpoint is damaged"):
            unpacked(content, {"tables": Runs(tmp_path / "made")})
    assert pickle.loads(hostile[0]) is None  # which shows what is refused
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


@pytest.mark.parametrize("size", range(0, 60, 7))
def test_a_cut_one_is_damaged(size: int) -> None:
    with pytest.raises(OpenDError, match="damaged"):
        unpacked(packed([1, "two", b"three" * 10], {})[:size], {})
