"""The virtual environments that the SDK runs in, made on first use next to this file."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

HOME = Path(__file__).parent / ".venv"
REQUIREMENTS = {
    "latest": ("futu-api==10.11.7108", "protobuf>=7,<8"),
    "protobuf5": ("futu-api==10.11.7108", "protobuf>=5.26,<6"),  # newer ones break the SDK's JSON mode
}


def python_of(name: str) -> Path:
    """The interpreter of an environment, which is built if it is not there yet."""
    directory = HOME / name
    interpreter = directory / "bin" / "python"
    ready = directory / "ready"
    if not ready.exists():
        print(f"building the environment {name}", file=sys.stderr)
        venv.create(directory, clear=True, with_pip=True)
        subprocess.run([interpreter, "-m", "pip", "install", "-q", *REQUIREMENTS[name]], check=True)
        ready.touch()
    return interpreter
