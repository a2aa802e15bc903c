"""Runs Wireshark's programs; a test that needs one is skipped where it is not installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["tool", "tshark_fields"]


def tool(name: str, *arguments: str | Path) -> str:
    """What the program prints."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    run = subprocess.run([name, *map(str, arguments)], capture_output=True, text=True, check=False)
    # tshark ends with 2 when it reads a capture that is cut short.
    assert run.returncode in (0, 2), run.stderr
    return run.stdout


def tshark_fields(file: Path, *fields: str) -> list[list[str]]:
    """The values of `fields` of each packet, as tshark reads the capture."""
    asked = [part for field in fields for part in ("-e", field)]
    return [line.split("\t") for line in tool("tshark", "-n", "-r", file, "-T", "fields", *asked).splitlines()]
