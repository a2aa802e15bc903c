"""Draws the pictures of a terminal in the documentation: real commands, their real output in colour, as SVG."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from decoder import Decoder, KeyRing
from decoder.capture.reader import CaptureReader
from decoder.formatting.clock import local_time
from decoder.output.top_screen import Head, TopScreen
from decoder.statistics.activity import Activity

__all__ = ["COMMANDS", "PICTURES", "screen", "top_screen"]

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "opendump decode captures/reconnect.pcap.gz --rsa-key captures/demo_rsa_key.pem -c 10",
    "opendump decode captures/cbc.pcap --rsa-key captures/demo_rsa_key.pem --where 'proto=Trd_UpdateOrder' -c 4",
)
_TOP_PACKETS, _TOP_LINES = 300, 50
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


def _terminal() -> str:
    console = _console(_COLUMNS)
    for line in Text.from_ansi(screen("always")).split("\n"):
        console.print(line, no_wrap=True, overflow="ellipsis")
    return _svg(console, "opendump")


def top_screen() -> Console:
    """Returns a console on which ``opendump top`` was drawn, in the middle of a recording."""
    activity = Activity()
    engine = Decoder(keys=KeyRing([ROOT / "captures" / "demo_rsa_key.pem"]), on_connection=activity.connection_ended)
    packets = [packet for batch in CaptureReader(ROOT / "captures" / "cbc.pcap").batches() for packet in batch]
    packets = packets[:_TOP_PACKETS]
    activity.add(engine.feed_batch(packets))
    now_ns = packets[-1][0]
    head = Head("lo", local_time(now_ns // 10**9, True), len(packets), activity.statistics.messages, 0, activity.gaps)
    console = _console(_COLUMNS)
    console.print(TopScreen(activity, utc=True).draw(head, now_ns, _COLUMNS, _TOP_LINES))
    return console


def _console(columns: int) -> Console:
    return Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor")


def _svg(console: Console, title: str) -> str:
    """Returns what was printed as SVG that loads nothing from elsewhere."""
    svg = console.export_svg(title=title, theme=MONOKAI, unique_id="opendump")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


_IMAGES = ROOT / "docs" / "images"
PICTURES: dict[Path, Callable[[], str]] = {
    _IMAGES / "terminal.svg": _terminal,
    _IMAGES / "top.svg": lambda: _svg(top_screen(), "opendump top"),
}
"""What draws each picture, by its file."""
