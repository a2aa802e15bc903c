"""The compiled core under AddressSanitizer and UBSan: a short run of the target `cores`, and a planted fault."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from tests.fuzz import sanitized

pytestmark = pytest.mark.skipif(
    sanitized.sanitizer() is None, reason="needs Linux, gcc with AddressSanitizer, and the headers of Python"
)
RUNS = "4000"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sanitized.build(tmp_path_factory.mktemp("core"))


def test_a_short_run_finds_nothing(module: Path, tmp_path: Path) -> None:
    done = sanitized.run(module, "--runs", RUNS, "--seed", "1", "--found", str(tmp_path))
    assert done.returncode == 0, done.stderr[-5000:]
    assert done.stdout.endswith(f"#{RUNS} DONE\n")


def test_a_read_past_the_end_is_found(tmp_path: Path) -> None:
    """The sources with a look at one length left out."""
    sources = tmp_path / "engine"
    sources.mkdir()
    for path in sanitized.ENGINE.glob("*.[ch]"):
        text = path.read_text("utf-8")
        checked = "if (!read_varint(rest, &size) || size > span_size(*rest)) {"
        if path.name == "core_wire.c":
            assert checked in text
            text = text.replace(checked, "if (!read_varint(rest, &size)) {")
        (sources / path.name).write_text(text, "utf-8")
    with patch.object(sanitized, "ENGINE", sources):
        module = sanitized.build(tmp_path)
    done = sanitized.run(module, "--runs", RUNS, "--seed", "1", "--found", str(tmp_path))
    assert done.returncode != 0
    assert "ERROR: AddressSanitizer" in done.stderr
