"""The virtual environments that the SDK runs in, made on first use next to this file."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

HOME = Path(__file__).parent / ".venv"
REQUIREMENTS = {
    "latest": ("futu-api==10.11.7108", "protobuf>=7,<8"),
    "websocket": ("futu-api==10.11.7108", "protobuf>=7,<8", "websockets==17.4"),
    "protobuf5": ("futu-api==10.11.7108", "protobuf>=5.26,<6"),  # newer ones break the SDK's JSON mode
}
JAVASCRIPT_CLIENT = HOME / "javascript" / "client.cjs"
JAVASCRIPT = ("futu-api@10.11.7108", "ws@8", "esbuild")


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


def bundle_javascript() -> None:
    """Makes `JAVASCRIPT_CLIENT`, which Node.js runs: the client of the recordings with the official JavaScript SDK."""
    directory = JAVASCRIPT_CLIENT.parent
    if not (directory / "node_modules" / "futu-api").exists():
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "package.json").write_text("{}")
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", *JAVASCRIPT], cwd=directory, check=True
        )
    source = Path(__file__).with_name("client.mjs").read_text(encoding="utf-8")
    (directory / "client.mjs").write_text(source, encoding="utf-8")
    command = [
        "npx",
        "esbuild",
        "client.mjs",
        "--bundle",
        "--platform=node",
        "--format=cjs",
        f"--outfile={JAVASCRIPT_CLIENT}",
    ]
    subprocess.run([*command, "--log-level=error"], cwd=directory, check=True)
