"""Makes docs/images/report.png: the first screen and the orders of the report of captures/cbc.pcap."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.browser import Opened, running  # noqa: E402

_HEIGHT = 1_107
"""Pixels: the bottom of an order."""
_LEFT_OUT = """() => {
  for (const name of ["findings", "latency", "lateness", "lanes"]) document.getElementById(name).remove();
}"""


def main() -> None:
    """Writes the picture."""
    target = ROOT / "docs" / "images" / "report.png"
    with tempfile.TemporaryDirectory() as folder, running() as browser:
        report = Path(folder) / "report.html"
        key = ROOT / "captures" / "demo_rsa_key.pem"
        capture = ROOT / "captures" / "cbc.pcap"
        options = ["--rsa-key", str(key), "--utc", "-o", str(report)]
        subprocess.run([sys.executable, "-m", "decoder", "report", str(capture), *options], check=True)
        opened = Opened(browser, report, viewport={"width": 1_200, "height": _HEIGHT})
        opened.page.evaluate(_LEFT_OUT)
        opened.page.screenshot(path=str(target))
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
