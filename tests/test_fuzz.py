"""A short run of every fuzzing target; `make fuzz` runs them for longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("target", ["readers", "packets", "streams", "bodies"])
def test_a_short_run_finds_nothing(target: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, "--seconds", "2"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{target}: " in done.stdout
    assert "nothing found" in done.stdout
