"""Runs the tests with the lowest versions of everything that pyproject.toml admits.

    python tests/tools/lower_bounds.py [--venv FOLDER] [PYTEST ARGUMENT...]

The Python that runs this is the Python that is tested; the lower bounds hold on 3.10.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# grpcio-tools needs a newer protobuf than the lowest; the linters do not care.
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "futu-api", "dpkt")


def lowest() -> list[str]:
    """The runtime dependencies, each pinned to its lower bound."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    if listed is None:
        raise SystemExit("pyproject.toml: no dependencies found")
    pins = re.findall(r'"([\w-]+)>=([\d.]+)', listed[1])
    if len(pins) != listed[1].count('"') // 2:
        raise SystemExit("pyproject.toml: a dependency has no lower bound")
    return [f"{name}=={version}" for name, version in pins]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--venv", type=Path, help="keep the virtual environment here")
    options, arguments = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.venv or Path(temporary)
        python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        if not python.exists():
            venv.create(folder, with_pip=True)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*install, *lowest(), *TOOLS], check=True)
        subprocess.run([*install, "--no-deps", "-e", str(ROOT)], check=True)
        subprocess.run([str(python), "-m", "pip", "list", "--disable-pip-version-check"], check=True)
        return subprocess.run([str(python), "-m", "pytest", *arguments], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
