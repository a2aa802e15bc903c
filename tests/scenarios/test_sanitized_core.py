"""The compiled core under AddressSanitizer and UBSan: a short run of each target, and planted faults."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from tests.fuzz import sanitized

pytestmark = pytest.mark.skipif(
    sanitized.sanitizer() is None, reason="needs Linux, gcc with AddressSanitizer, and the headers of Python"
)
RUNS = {"cores": "4000", "captures": "150"}


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sanitized.build(tmp_path_factory.mktemp("core"))


@pytest.mark.parametrize("target", sanitized.TARGETS)
def test_a_short_run_finds_nothing(module: Path, target: str, tmp_path: Path) -> None:
    done = sanitized.run(module, target, "--runs", RUNS[target], "--seed", "1", "--found", str(tmp_path))
    assert done.returncode == 0, done.stderr[-5000:]
    assert done.stdout.endswith(f"#{RUNS[target]} DONE\n")


FAULTS = {
    "cores": (
        "core_wire.c",
        "if (!read_varint(rest, &size) || size > span_size(*rest)) {",
        "if (!read_varint(rest, &size)) {",
    ),
    "captures": ("core_walk.c", "start > end || end > captured)", "start > end)"),
}
"""For each target a file of the sources, a look at a length in it, and the same without."""


@pytest.mark.parametrize("target", sanitized.TARGETS)
def test_a_read_past_the_end_is_found(target: str, tmp_path: Path) -> None:
    sources = tmp_path / "engine"
    sources.mkdir()
    name, checked, unchecked = FAULTS[target]
    for path in sanitized.ENGINE.glob("*.[ch]"):
        text = path.read_text("utf-8")
        if path.name == name:
            assert checked in text
            text = text.replace(checked, unchecked)
        (sources / path.name).write_text(text, "utf-8")
    with patch.object(sanitized, "ENGINE", sources):
        module = sanitized.build(tmp_path)
    done = sanitized.run(module, target, "--runs", RUNS[target], "--seed", "1", "--found", str(tmp_path))
    assert done.returncode != 0
    assert "ERROR: AddressSanitizer" in done.stderr
