"""Draws the picture of a terminal in README.md: real commands, their real output in colour, as SVG."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

__all__ = ["COMMANDS", "PICTURE", "picture", "screen"]

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "terminal.svg"
COMMANDS = (
    "opendump decode captures/reconnect.pcap.gz --rsa-key captures/demo_rsa_key.pem -c 10",
    "opendump decode captures/cbc.pcap --rsa-key captures/demo_rsa_key.pem --where 'proto=Trd_UpdateOrder' -c 4",
)
_COLUMNS = 128
"""Width of the picture in characters; longer lines end with an ellipsis."""


def screen(color: str) -> str:
    """Returns the commands and what they print, with ANSI colours if `color` is ``always``."""
    text = ""
    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "decoder", *shlex.split(command)[1:], "--color", color],
            cwd=ROOT,
            env={"TZ": "UTC", "PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=True,
        )
        text += f"$ {command}\n{done.stdout}"
    return text.replace("\r\n", "\n").rstrip("\n")


def picture() -> str:
    """Returns the screen as SVG; it loads nothing from elsewhere."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in Text.from_ansi(screen("always")).split("\n"):
        console.print(line, no_wrap=True, overflow="ellipsis")
    svg = console.export_svg(title="opendump", theme=MONOKAI, unique_id="opendump")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
